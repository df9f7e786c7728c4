/* What the daemon says of itself: the status for qzctl, the live block, the line to systemd. */
#include "daemon/build_id.h"
#include "daemon/daemon_internal.h"

#include "daemon/notify.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rates ---- */
void rate_add(struct rate *rate, double n)
{
    rate->since_tick += n;
}

void rate_tick(struct rate *rate, double seconds)
{
    if (seconds <= 0) {
        return;
    }
    double now = rate->since_tick / seconds;
    double weight = rate->seen ? 1 - exp(-seconds / 30) : 1;
    if (rate->seen || rate->since_tick > 0) { /* the first figure is not averaged with nothing */
        rate->per_s += weight * (now - rate->per_s);
        rate->seen = true;
    }
    rate->since_tick = 0;
}

static double positions_per_s(const struct daemon *d)
{
    double sum = 0;

    for (uint32_t i = 0; i < d->n_workers; i++) {
        sum += d->workers[i].positions.per_s;
    }
    return sum;
}

static double evaluations_per_s(const struct daemon *d)
{
    double sum = 0;

    for (uint32_t i = 0; i < d->n_workers; i++) {
        sum += d->workers[i].evaluations.per_s;
    }
    return sum;
}

static bool training_runs(const struct daemon *d)
{
    return d->scheduler.training == PROCESS_RUNNING;
}

/* Seconds to the next net (a training runs) or to the next training; NaN: cannot be told. */
static double seconds_to_next(const struct daemon *d)
{
    const struct train_progress *progress = &d->training.progress;

    if (training_runs(d)) {
        if (progress->steps <= 0 || !(progress->samples_per_s > 0)) {
            return NAN;
        }
        double left = (double)(progress->steps - progress->step);
        return left * d->config.training.params.batch / progress->samples_per_s;
    }
    double rate = positions_per_s(d);
    int64_t missing =
        scheduler_training_threshold(&d->scheduler) - scheduler_new_positions(&d->scheduler);
    if (missing <= 0) {
        return 0;
    }
    return rate > 0 && !d->scheduler.paused ? (double)missing / rate : NAN;
}

static const char *notice(const struct daemon *d)
{
    if (d->stopping) {
        return "stopping: what was played is being written";
    }
    if (d->scheduler.blocked) {
        return "the store cannot be written: self-play waits, nothing is lost";
    }
    if (d->scheduler.paused) {
        return "paused (qzctl resume)";
    }
    return d->doctor.summary[0] == '\0' ? NULL : d->doctor.summary;
}

/* ---- status ---- */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *workers_json(const struct daemon *d)
{
    json_t *list = json_array();

    for (uint32_t i = 0; list != NULL && i < d->n_workers; i++) {
        const struct scheduler_worker *state = &d->scheduler.workers[i];
        const struct worker_view *view = &d->workers[i];
        bool suspended = state->state == PROCESS_RUNNING && state->suspended;
        (void)json_array_append_new(
            list, json_pack("{s:I, s:s, s:I, s:I, s:o, s:o, s:I, s:I}", "worker", (json_int_t)i,
                            "state", suspended ? "suspended" : scheduler_process_text(state->state),
                            "pid", (json_int_t)supervisor_pid(d->supervisor, ROLE_WORKER, i),
                            "games", (json_int_t)game_table_count(d->games, i), "positions_per_s",
                            number(view->positions.per_s), "evaluations_per_s",
                            number(view->evaluations.per_s), "bytes", (json_int_t)view->bytes,
                            "restarts", (json_int_t)view->restarts));
    }
    return list;
}

static json_t *training_json(const struct daemon *d)
{
    const struct train_progress *p = &d->training.progress;

    if (!training_runs(d)) {
        return json_pack("{s:s}", "state",
                         d->scheduler.training == PROCESS_BACKING_OFF ? "waiting to start again"
                                                                      : "none");
    }
    return json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "state", "running", "generation",
        (json_int_t)d->training.row.training.generation, "step", (json_int_t)p->step, "steps",
        (json_int_t)p->steps, "samples", (json_int_t)p->samples, "policy_loss",
        number(p->policy_loss), "policy_entropy", number(p->policy_entropy), "value_loss",
        number(p->value_loss), "learning_rate", number(p->learning_rate), "samples_per_s",
        number(p->samples_per_s), "q_ratio", number(d->training.row.training.q_ratio));
}

static json_t *evaluation_json(const struct daemon *d)
{
    const struct scheduler *s = &d->scheduler;
    bool runs = s->evaluation == PROCESS_RUNNING;

    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:I, s:o}", "state",
        runs && s->evaluation_suspended ? "suspended" : scheduler_process_text(s->evaluation),
        "generation", runs ? json_integer((json_int_t)d->evaluation.net.generation) : json_null(),
        "with_search", runs ? json_boolean(d->evaluation.kind == EVALUATION_SEARCH) : json_null(),
        "what", runs ? json_string(scheduler_evaluation_text(d->evaluation.kind)) : json_null(),
        "candidate", s->candidate > 0 ? json_integer((json_int_t)s->candidate) : json_null(),
        "waiting",
        (json_int_t)s->n_pending + (s->pending_search > 0 ? 1 : 0) +
            (s->pending_match > 0 ? 1 : 0) + (s->next_match > 0 ? 1 : 0) + (s->gate_due ? 1 : 0),
        "account_s", number(s->account_ms / 1000));
}

static json_t *last_json(const struct judgement *last)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "policy_loss",
                     number(last->policy_loss), "policy_gap", number(last->policy_gap),
                     "value_loss", number(last->value_loss), "held_out_policy_gap",
                     number(last->held_out_policy_gap), "held_out_value_loss",
                     number(last->held_out_value_loss), "mistakes_net", number(last->mistakes_net),
                     "mistakes_search", number(last->mistakes_search), "value_accuracy",
                     number(last->value_accuracy));
}

static json_t *next_net_json(const struct daemon *d)
{
    return json_pack("{s:I, s:I, s:o}", "new_positions",
                     (json_int_t)scheduler_new_positions(&d->scheduler), "needed_positions",
                     (json_int_t)scheduler_training_threshold(&d->scheduler), "eta_s",
                     number(seconds_to_next(d)));
}

static json_t *storage_json(const struct daemon *d)
{
    return json_pack("{s:I, s:I, s:b, s:I, s:I}", "queue",
                     (json_int_t)(d->storage == NULL ? 0 : storage_thread_queue(d->storage)),
                     "queue_max", (json_int_t)STORAGE_QUEUE_MAX, "blocked",
                     (int)d->scheduler.blocked, "refused", (json_int_t)d->refused, "dropped",
                     (json_int_t)d->dropped);
}

static json_t *doctor_json_short(const struct daemon *d)
{
    const struct doctor_report *report = &d->doctor.report;
    json_t *red = json_array();
    json_t *yellow = json_array();

    for (uint32_t i = 0; i < report->n; i++) {
        const struct diagnosis *one = &report->checks[i];
        if (one->state == DOCTOR_RED || one->state == DOCTOR_YELLOW) {
            (void)json_array_append_new(one->state == DOCTOR_RED ? red : yellow,
                                        json_string(one->check));
        }
    }
    return json_pack("{s:o, s:o, s:I, s:I}", "red", red, "yellow", yellow, "green",
                     (json_int_t)doctor_count(report, DOCTOR_GREEN), "unknown",
                     (json_int_t)doctor_count(report, DOCTOR_UNKNOWN));
}

char *daemon_status(void *context)
{
    const struct daemon *d = context;
    json_t *root = json_pack(
        "{s:b, s:s, s:s, s:I, s:o, s:s, s:s?, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:b, "
        "s:b, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o}",
        "running", 1, "version", QZD_VERSION, "build", build_id, "pid", (json_int_t)uv_os_getpid(),
        "uptime_s", number((double)(daemon_now_ms() - d->started_ms) / 1000), "state_dir",
        d->state_dir, "config", d->config_path, "game", d->config.game, "generation",
        (json_int_t)d->net.generation, "net_sha256", d->net.sha256, "games",
        (json_int_t)d->counts.games, "unfinished_games", (json_int_t)d->counts.unfinished,
        "positions", (json_int_t)d->counts.positions, "samples", (json_int_t)d->counts.samples,
        "positions_per_s", number(positions_per_s(d)), "evaluations_per_s",
        number(evaluations_per_s(d)), "paused", (int)d->scheduler.paused, "stopping",
        (int)d->stopping, "training", training_json(d), "next_net", next_net_json(d), "last",
        last_json(&d->last), "evaluation", evaluation_json(d), "slots", (json_int_t)d->slots,
        "storage", storage_json(d), "doctor", doctor_json_short(d), "workers", workers_json(d));
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);

    json_decref(root);
    return text;
}

/* ---- each second ---- */
static void draw(struct daemon *d)
{
    const struct train_progress *progress = &d->training.progress;
    bool told = training_runs(d) && progress->steps > 0;
    const struct terminal_view view = {
        .generation = d->net.generation,
        .games = d->counts.games,
        .positions = d->counts.positions,
        .positions_per_s = positions_per_s(d),
        .workers_active = scheduler_active_workers(&d->scheduler),
        .workers = d->n_workers,
        .policy_loss = told ? progress->policy_loss : d->last.policy_loss,
        .policy_gap = told ? progress->policy_loss - progress->policy_entropy : d->last.policy_gap,
        .value_loss = told ? progress->value_loss : d->last.value_loss,
        .mistakes_net = d->last.mistakes_net,
        .mistakes_search = d->last.mistakes_search,
        .value_accuracy = d->last.value_accuracy,
        .new_positions = scheduler_new_positions(&d->scheduler),
        .needed_positions = scheduler_training_threshold(&d->scheduler),
        .next_net_s = seconds_to_next(d),
        .training = training_runs(d),
        .step = progress->step,
        .steps = progress->steps,
        .notice = notice(d),
    };

    if (d->terminal != NULL) {
        terminal_draw(d->terminal, &view);
    }
}

static void tell_systemd(const struct daemon *d)
{
    char text[384];
    char next[224] = "";
    double seconds = seconds_to_next(d);

    if (notice(d) != NULL) {
        (void)snprintf(next, sizeof(next), ", %s", notice(d));
    } else if (isfinite(seconds)) {
        (void)snprintf(next, sizeof(next), ", %s in %.0f s",
                       training_runs(d) ? "next net" : "next training", seconds);
    }
    (void)snprintf(text, sizeof(text), "generation %u, %lld games, %.1f positions/s%s",
                   d->net.generation, (long long)d->counts.games, positions_per_s(d), next);
    notify_status(text);
}

void daemon_show(struct daemon *d)
{
    draw(d);
    tell_systemd(d);
}

static void append_figure(char *text, size_t size, const char *name, double value)
{
    size_t used = strlen(text);

    if (isfinite(value)) {
        (void)snprintf(text + used, size - used, ", %s %.4f", name, value);
    }
}

void daemon_say_net(struct daemon *d)
{
    char text[512] = "";

    append_figure(text, sizeof(text), "policy loss", d->last.policy_loss);
    append_figure(text, sizeof(text), "gap", d->last.policy_gap);
    append_figure(text, sizeof(text), "gap held out", d->last.held_out_policy_gap);
    append_figure(text, sizeof(text), "value loss", d->last.value_loss);
    append_figure(text, sizeof(text), "held out", d->last.held_out_value_loss);
    daemon_say(d, SEVERITY_INFO, "new net", "generation %u (%.12s) after %lld games%s",
               d->net.generation, d->net.sha256, (long long)d->counts.games, text);
    draw(d);
}
