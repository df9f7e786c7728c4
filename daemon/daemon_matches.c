/* Matches for ratings and gates: planned by the storage thread, played by qzd match, told pair by pair. A match is
 * one evaluation; a net's next one is asked for when it has ended. After each the ratings are fitted anew in
 * the thread pool and written in one commit.
 *
 *   start -> plan (storage) -> process and job -> pairs (storage) ... -> result -> end (storage) -> process
 *   ends -> the scheduler hears of it. A candidate's fate is committed with the end of its match. */
#include "daemon/daemon_internal.h"
#include "daemon/game_rules.h"
#include "daemon/writer/match_tasks.h"
#include "daemon/writer/rate.h"

#include "selfplay/match.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_gate(const struct daemon *d)
{
    return d->evaluation.kind == EVALUATION_GATE;
}

/* What is played or was decided, for lines of the log. */
static void name_match(const struct daemon *d, char *ret, size_t size)
{
    const struct match_now *now = &d->evaluation.match;

    if (strcmp(now->opponent_line, "main") == 0) {
        (void)snprintf(ret, size, "generation %u against %u", d->evaluation.net.generation,
                       now->opponent_generation);
    } else {
        (void)snprintf(ret, size, "generation %u against the %s net", d->evaluation.net.generation,
                       now->opponent_line);
    }
}

/* ---- a candidate's fate ---- */
static void take_candidate(struct daemon *d, struct store_net *net)
{
    store_net_finish(&d->net);
    d->net = *net;
    net->arch = NULL; /* taken over */
    daemon_remember_net(d, &d->net);
    daemon_say_net(d);
    daemon_doctor_generation(d);
}

static void decide(struct daemon *d, struct match_end_task *end)
{
    if (end->verdict == GATE_ACCEPTED) {
        take_candidate(d, &end->net);
        daemon_event(
            d, (struct scheduler_event){.kind = EVENT_CANDIDATE_ACCEPTED, .net = end->candidate});
        return;
    }
    daemon_note(d, SEVERITY_INFO, "net rejected",
                "net %" PRId64 " (%s): generation %u stays, the next training goes on from the "
                "rejected net's weights and makes generation %u again",
                end->candidate,
                end->match_id == 0             ? "its match could not be played"
                : end->verdict == GATE_REFUSED ? "too few of its match's games are distinct"
                                               : "not shown to be stronger",
                d->net.generation, d->net.generation + 1);
    daemon_event(d, (struct scheduler_event){.kind = EVENT_CANDIDATE_REJECTED});
}

static void rejected(struct storage_task *task, int result, const struct error *err)
{
    struct daemon *d = task->context;

    if (result < 0) {
        daemon_note(d, SEVERITY_ERROR, "gate", "a rejection could not be recorded: %s", err->text);
        daemon_event(d, (struct scheduler_event){.kind = EVENT_CANDIDATE_REJECTED});
        return;
    }
    decide(d, (struct match_end_task *)task);
}

void daemon_reject_candidate(struct daemon *d, int64_t net)
{
    struct match_end_task *end = match_end_create(rejected, d);

    if (end == NULL) { /* it is a candidate still at the next start */
        daemon_event(d, (struct scheduler_event){.kind = EVENT_CANDIDATE_REJECTED});
        return;
    }
    end->candidate = net;
    end->verdict = GATE_REJECTED;
    daemon_put(d, &end->task);
}

/* ---- a match begins ---- */
static void cannot_be_played(struct daemon *d)
{
    if (is_gate(d)) {
        daemon_reject_candidate(d, d->evaluation.net_id);
    }
    daemon_event(d, (struct scheduler_event){.kind = EVENT_EVALUATION_FAILED});
}

static void send_job(struct daemon *d, struct match_plan_task *plan)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__MatchJob job = QZD__MATCH_JOB__INIT;
    char file_a[PATH_MAX + 160];
    char file_b[PATH_MAX + 160];
    enum config_gate gate = d->config.evaluation.gate;

    if (!plan->match.gate) {
        gate = CONFIG_GATE_NONE;
    } else if (gate == CONFIG_GATE_NONE) { /* switched off while a candidate waited */
        gate = CONFIG_GATE_ELO;
    }
    (void)snprintf(file_a, sizeof(file_a), "%s/%s", d->state_dir, plan->a.file);
    (void)snprintf(file_b, sizeof(file_b), "%s/%s", d->state_dir, plan->b.file);
    job.match_id = plan->match.id;
    job.net_a_file = file_a;
    job.net_a_sha256 = plan->a.sha256;
    job.net_b_file = file_b;
    job.net_b_sha256 = plan->b.sha256;
    job.settings = plan->match.settings;
    job.game = d->config.game;
    job.host = d->host;
    job.pairs = plan->match.planned_pairs;
    job.gate = (char *)gate_text(gate);
    job.n_half_points = 2 * plan->n_known;
    job.half_points = plan->half_points;
    job.n_fingerprints = 2 * plan->n_known;
    job.fingerprints = plan->fingerprints;
    message.what_case = QZD__TO_CHILD__WHAT_MATCH_JOB;
    message.match_job = &job;
    supervisor_send(d->supervisor, ROLE_MATCH, 0, &message);
    if (d->scheduler.evaluation_suspended) { /* it was told so before there was a process */
        daemon_send_suspend(d, ROLE_MATCH, 0, true);
    }
}

static void take_plan(struct daemon *d, const struct match_plan_task *plan)
{
    /* Net a of a match that was begun the other way round may be the opponent. */
    const struct planned_net *own = plan->a.id == plan->net_id ? &plan->a : &plan->b;
    const struct planned_net *opponent = own == &plan->a ? &plan->b : &plan->a;
    struct evaluation_now *now = &d->evaluation;

    now->net = (struct known_net){.id = own->id, .generation = own->generation};
    memcpy(now->net.sha256, own->sha256, sizeof(now->net.sha256));
    memcpy(now->net.file, own->file, sizeof(now->net.file));
    now->match = (struct match_now){.id = plan->match.id,
                                    .opponent_generation = opponent->generation,
                                    .pairs = (uint32_t)plan->n_known,
                                    .planned_pairs = plan->match.planned_pairs};
    memcpy(now->match.opponent_line, opponent->line, sizeof(now->match.opponent_line));
}

static void planned(struct storage_task *task, int result, const struct error *err)
{
    struct daemon *d = task->context;
    struct match_plan_task *plan = (struct match_plan_task *)task;
    struct error why = {.text = ""};

    if (d->stopping) {
        return;
    }
    if (result < 0) {
        daemon_note(d, SEVERITY_ERROR, "match", "net %" PRId64 ": %s", plan->net_id, err->text);
        cannot_be_played(d);
        return;
    }
    if (plan->match.id == 0) { /* the net has met all its opponents */
        if (is_gate(d)) {
            cannot_be_played(d);
        } else {
            daemon_event(d, (struct scheduler_event){.kind = EVENT_EVALUATION_FINISHED});
        }
        return;
    }
    take_plan(d, plan);
    if (supervisor_start(d->supervisor, ROLE_MATCH, 0, &why) < 0) {
        daemon_note(d, SEVERITY_ERROR, "match", "%s", why.text);
        daemon_event(d, (struct scheduler_event){.kind = EVENT_EVALUATION_EXITED});
        return;
    }
    send_job(d, plan);
}

/* Games of matches have no chance in them; what their records say of their settings says so too. */
static char *settings_of_matches(const struct daemon *d)
{
    struct selfplay_settings settings =
        match_settings(&d->config.selfplay_settings, d->config.evaluation.nodes);

    return selfplay_settings_json(&settings);
}

void daemon_start_match(struct daemon *d, int64_t net, bool gate)
{
    struct match_plan_task *plan = match_plan_create(planned, d);
    uint32_t pairs = gate ? d->config.evaluation.gate_pairs : d->config.evaluation.match_pairs;

    d->evaluation =
        (struct evaluation_now){.kind = gate ? EVALUATION_GATE : EVALUATION_MATCH, .net_id = net};
    if (plan != NULL) {
        plan->settings = settings_of_matches(d);
    }
    if (plan == NULL || plan->settings == NULL) {
        if (plan != NULL) {
            plan->task.destroy(&plan->task);
        }
        daemon_event(d, (struct scheduler_event){.kind = EVENT_EVALUATION_EXITED});
        return;
    }
    plan->net_id = net;
    plan->gate = gate;
    plan->at = daemon_wall_ms();
    plan->opponents = d->config.evaluation.opponents;
    plan->pairs = pairs < d->max_pairs ? pairs : d->max_pairs;
    plan->nodes = d->config.evaluation.nodes;
    daemon_put(d, &plan->task);
}

/* ---- what it says ---- */
static void pair_stored(struct storage_task *task, int result, const struct error *err)
{
    struct daemon *d = task->context;

    if (result < 0) { /* then none behind it can be stored either */
        d->refused++;
        daemon_note(d, SEVERITY_ERROR, "record refused", "%s", err->text);
        supervisor_kill(d->supervisor, ROLE_MATCH, 0);
    }
}

static void ended(struct storage_task *task, int result, const struct error *err)
{
    struct daemon *d = task->context;
    struct match_end_task *end = (struct match_end_task *)task;
    struct match_now *now = &d->evaluation.match;
    char name[64];

    if (result < 0) {
        daemon_note(d, SEVERITY_ERROR, "match", "its end could not be recorded: %s", err->text);
        supervisor_kill(d->supervisor, ROLE_MATCH, 0); /* it is tried again */
        return;
    }
    name_match(d, name, sizeof(name));
    if (end->verdict == GATE_REFUSED) {
        daemon_note(d, SEVERITY_WARNING, "match refused",
                    "%s: under nine tenths of the games of %u pairs are distinct", name,
                    end->pairs);
    } else {
        daemon_say(d, SEVERITY_INFO, is_gate(d) ? "gate" : "match",
                   "%s: %+.0f +- %.0f Elo after %u pairs: %s", name, end->elo, end->elo_error,
                   end->pairs, gate_verdict_text(end->verdict));
    }
    now->recorded = true;
    supervisor_stop(d->supervisor, ROLE_MATCH, 0, DAEMON_GRACE_MS);
    if (end->candidate != 0) {
        decide(d, end);
    }
    daemon_rate(d);
}

static void take_match_result(struct daemon *d, const Qzd__MatchResult *result)
{
    struct match_end_task *end = match_end_create(ended, d);

    if (end == NULL) {
        supervisor_kill(d->supervisor, ROLE_MATCH, 0);
        return;
    }
    end->match_id = result->match_id;
    end->candidate = is_gate(d) ? d->evaluation.net_id : 0;
    end->at = daemon_wall_ms();
    end->verdict = gate_verdict_parse(result->verdict);
    end->llr = result->has_llr != 0 ? result->llr : (double)NAN;
    end->elo = result->elo;
    end->elo_error = result->elo_error;
    end->pairs = result->pairs;
    if (end->verdict == GATE_OPEN || end->match_id != d->evaluation.match.id) {
        daemon_note(d, SEVERITY_ERROR, "match", "a result of no sense: match %" PRId64 ", %.32s",
                    result->match_id, result->verdict);
        end->task.destroy(&end->task);
        supervisor_kill(d->supervisor, ROLE_MATCH, 0);
        return;
    }
    d->evaluation.match.told = true;
    daemon_put(d, &end->task);
}

/* It is given up: another attempt would say the same. */
static void fail_match(struct daemon *d, const char *why)
{
    daemon_note(d, SEVERITY_ERROR, "match failed", "net %" PRId64 ": %s", d->evaluation.net_id,
                why);
    d->evaluation.match.told = d->evaluation.match.failed = true;
    supervisor_stop(d->supervisor, ROLE_MATCH, 0, DAEMON_GRACE_MS);
}

static void take_match_pair(struct daemon *d, const Qzd__MatchPair *pair)
{
    struct error err;

    if (game_rules_pair(d->game, pair, &err) < 0) {
        fail_match(d, err.text);
        return;
    }
    d->evaluation.match.pairs = pair->pair + 1;
    daemon_put(d, match_pair_create(pair, pair_stored, d));
}

void daemon_play_message(struct daemon *d, const Qzd__FromChild *message)
{
    switch (message->what_case) {
    case QZD__FROM_CHILD__WHAT_MATCH_PAIR:
        if (!d->evaluation.match.told) {
            take_match_pair(d, message->match_pair);
        }
        break;
    case QZD__FROM_CHILD__WHAT_MATCH_RESULT:
        if (!d->evaluation.match.told) {
            take_match_result(d, message->match_result);
        }
        break;
    case QZD__FROM_CHILD__WHAT_FAILURE:
        fail_match(d, message->failure->text);
        break;
    default:
        break;
    }
}

void daemon_play_ended(struct daemon *d, bool stopped, const char *how)
{
    const struct match_now *now = &d->evaluation.match;

    if (now->failed) {
        cannot_be_played(d);
        return;
    }
    if (now->recorded) {
        daemon_event(
            d, (struct scheduler_event){.kind = EVENT_EVALUATION_FINISHED, .more = !is_gate(d)});
        return;
    }
    if (!stopped) {
        char name[64];
        name_match(d, name, sizeof(name));
        daemon_note(d, SEVERITY_WARNING, "match exited", "%s: %s after %u of %u pairs; it goes on",
                    name, how, now->pairs, now->planned_pairs);
    }
    daemon_event(d, (struct scheduler_event){.kind = EVENT_EVALUATION_EXITED});
}

/* ---- ratings ---- */
struct rate_work {
    uv_work_t work;
    struct daemon *d;
    char db_path[PATH_MAX];
    uint32_t nodes;
    struct store_rating *ratings;
    size_t n;
    int result;
    struct error err;
};

static void work_out(uv_work_t *handle)
{
    struct rate_work *work = handle->data;
    struct store *store = NULL;

    work->result = store_open(work->db_path, STORE_READ, &store, &work->err);
    if (work->result == 0) {
        work->result = rate_store(store, work->nodes, &work->ratings, &work->n, &work->err);
    }
    store_close(store);
}

static void worked_out(uv_work_t *handle, int status)
{
    struct rate_work *work = handle->data;
    struct daemon *d = work->d;

    d->rating = false;
    if (status == 0 && work->result < 0) {
        daemon_note(d, SEVERITY_ERROR, "ratings", "%s", work->err.text);
    } else if (status == 0 && work->n > 0 && !d->stopping) {
        daemon_put(d, match_ratings_create(work->ratings, work->n, daemon_wall_ms()));
        work->ratings = NULL;
    }
    free(work->ratings);
    free(work);
    if (d->rate_again && !d->stopping) {
        d->rate_again = false;
        daemon_rate(d);
    }
}

void daemon_rate(struct daemon *d)
{
    if (d->stopping) {
        return; /* the next start does it */
    }
    if (d->rating) {
        d->rate_again = true; /* what has come since then is not in it */
        return;
    }
    struct rate_work *work = calloc(1, sizeof *work);
    if (work == NULL) {
        return; /* the next match's end tries again */
    }
    work->work.data = work;
    work->d = d;
    work->nodes = d->config.evaluation.nodes;
    (void)snprintf(work->db_path, sizeof(work->db_path), "%s", d->db_path);
    d->rating = uv_queue_work(&d->loop, &work->work, work_out, worked_out) == 0;
    if (!d->rating) {
        free(work);
    }
}
