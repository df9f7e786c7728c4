/* Trainings and evaluations: their processes, and what becomes of what they say. */
#include "daemon/daemon_internal.h"

#include "storage/error.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a training begins ---- */
static void start_train_process(struct daemon *d)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__TrainJob job = QZD__TRAIN_JOB__INIT;
    struct error err = {.text = ""};

    d->training.told = d->training.recorded = false;
    d->doctor.training_silent_s = 0;
    d->training.progress = (struct train_progress){.policy_loss = NAN, .value_loss = NAN};
    if (supervisor_start(d->supervisor, ROLE_TRAIN, 0, &err) < 0) {
        daemon_note(d, SEVERITY_ERROR, "training", "%s", err.text);
        daemon_event(d, (struct scheduler_event){.kind = EVENT_TRAINING_EXITED});
        return;
    }
    daemon_limit_child(d, ROLE_TRAIN, 0);
    job.job = (char *)d->training.row.training.settings;
    job.state_dir = d->state_dir;
    message.what_case = QZD__TO_CHILD__WHAT_TRAIN_JOB;
    message.train_job = &job;
    supervisor_send(d->supervisor, ROLE_TRAIN, 0, &message);
}

static void training_begun(struct storage_task *task, int result, const struct error *err)
{
    struct daemon *d = task->context;
    struct training_begin_task *begin = (struct training_begin_task *)task;

    if (result < 0) {
        daemon_note(d, SEVERITY_ERROR, "training failed", "it could not begin: %s", err->text);
        daemon_event(d, (struct scheduler_event){.kind = EVENT_TRAINING_FAILED});
        return;
    }
    d->training.row = begin->row;
    begin->row = (struct training_row){0};
    const struct store_training *t = &d->training.row.training;
    daemon_say(d, SEVERITY_INFO, "training",
               "generation %u begins: %" PRId64 " new positions, window %" PRId64 " of %" PRId64
               ", %" PRId64 " samples, q_ratio %g",
               t->generation, t->new_positions, t->positions, t->all_positions, t->samples,
               t->q_ratio);
    if (!d->stopping) {
        start_train_process(d);
    }
}

void daemon_begin_training(struct daemon *d)
{
    struct scheduler_settings settings;

    daemon_scheduler_settings(d, &settings);
    struct training_begin_task *begin =
        training_begin_create(&d->config, &settings, training_begun, d);
    if (begin == NULL) {
        daemon_event(d, (struct scheduler_event){.kind = EVENT_TRAINING_FAILED});
        return;
    }
    (void)snprintf(begin->state_dir, sizeof(begin->state_dir), "%s", d->state_dir);
    (void)snprintf(begin->parent_file, sizeof(begin->parent_file), "%s", d->trained.file);
    begin->parent_id = d->trained.id;
    begin->started_at = daemon_wall_ms();
    begin->generation = d->net.generation + 1;
    begin->threads = settings.training_threads;
    begin->seed = d->seed;
    daemon_put(d, &begin->task);
}

void daemon_resume_training(struct daemon *d)
{
    daemon_say(d, SEVERITY_INFO, "training", "generation %u goes on",
               d->training.row.training.generation);
    start_train_process(d);
}

/* ---- and ends ---- */
/* The scheduler may begin the next one at once, so it is told only when the end is recorded and the
 * process has gone. */
static void tell_outcome(struct daemon *d)
{
    if (d->training.recorded && !supervisor_lives(d->supervisor, ROLE_TRAIN, 0)) {
        d->training.recorded = false;
        daemon_event(d, d->training.outcome);
    }
}

static void record_outcome(struct daemon *d, struct scheduler_event outcome)
{
    training_row_finish(&d->training.row);
    d->training.progress = (struct train_progress){.policy_loss = NAN, .value_loss = NAN};
    d->training.recorded = true;
    d->training.outcome = outcome;
    supervisor_stop(d->supervisor, ROLE_TRAIN, 0, DAEMON_GRACE_MS);
    tell_outcome(d);
}

static void training_failed(struct storage_task *task, int result, const struct error *err)
{
    struct daemon *d = task->context;

    if (result < 0) {
        daemon_note(d, SEVERITY_ERROR, "training", "its failure could not be recorded: %s",
                    err->text);
    }
    record_outcome(d, (struct scheduler_event){.kind = EVENT_TRAINING_FAILED});
}

static void fail_training(struct daemon *d, const char *why)
{
    struct training_finish_task *finish = training_finish_create(
        &d->training.row, &d->net, NULL, why, daemon_wall_ms(), training_failed, d);

    d->training.told = true;
    daemon_note(d, SEVERITY_ERROR, "training failed",
                "generation %u was not made: %s; net %u stays, the next try comes with as many "
                "new positions again",
                d->training.row.training.generation, why, d->net.generation);
    if (finish == NULL) {
        record_outcome(d, (struct scheduler_event){.kind = EVENT_TRAINING_FAILED});
        return;
    }
    daemon_put(d, &finish->task);
}

void daemon_give_up_training(struct daemon *d)
{
    fail_training(d, "its process ended before its work again and again");
}

static void take_net(struct daemon *d, struct store_net *net)
{
    store_net_finish(&d->net);
    d->net = *net;
    net->arch = NULL; /* taken over */
    daemon_remember_net(d, &d->net);
}

static void training_finished(struct storage_task *task, int result, const struct error *err)
{
    struct daemon *d = task->context;
    struct training_finish_task *finish = (struct training_finish_task *)task;

    if (result < 0) {
        fail_training(d, err->text);
        return;
    }
    const struct store_training *t = &finish->training;
    bool candidate = strcmp(finish->net.state, "candidate") == 0;
    int64_t net = finish->net.id;
    d->trained.id = net;
    memcpy(d->trained.file, finish->net.file, sizeof(d->trained.file));
    d->last.policy_loss = t->policy_loss;
    d->last.policy_gap = t->policy_loss - t->policy_entropy;
    d->last.value_loss = t->value_loss;
    d->last.held_out_policy_gap = t->held_out_policy_loss - t->held_out_policy_entropy;
    d->last.held_out_value_loss = t->held_out_value_loss;
    int64_t positions = d->training.row.training.all_positions;
    if (candidate) {
        daemon_say(d, SEVERITY_INFO, "candidate",
                   "generation %u is trained (net %" PRId64
                   "); it plays when it has passed its gate",
                   finish->net.generation, net);
    } else {
        take_net(d, &finish->net);
        daemon_say_net(d);
        daemon_doctor_generation(d);
    }
    record_outcome(d, (struct scheduler_event){.kind = EVENT_TRAINING_FINISHED,
                                               .net = net,
                                               .candidate = candidate,
                                               .positions = positions});
}

static void take_result(struct daemon *d, const char *json)
{
    struct error err = {.text = ""};
    struct train_result result;

    if (train_result_parse(json, &result, &err) < 0) {
        fail_training(d, err.text);
        return;
    }
    struct training_finish_task *finish = training_finish_create(
        &d->training.row, &d->net, &result, NULL, daemon_wall_ms(), training_finished, d);
    if (finish == NULL) {
        fail_training(d, "out of memory");
        return;
    }
    finish->net.parent_id = d->trained.id;
    if (d->config.evaluation.gate != CONFIG_GATE_NONE) {
        (void)snprintf(finish->net.state, sizeof(finish->net.state), "candidate");
    }
    daemon_put(d, &finish->task);
}

static void take_progress(struct daemon *d, const Qzd__TrainProgress *wire)
{
    const struct store_training_step step = {.step = wire->step,
                                             .samples = wire->samples,
                                             .policy_loss = wire->policy_loss,
                                             .value_loss = wire->value_loss,
                                             .grad_norm = wire->grad_norm,
                                             .learning_rate = wire->learning_rate};

    d->training.progress = (struct train_progress){.step = wire->step,
                                                   .steps = wire->steps,
                                                   .samples = wire->samples,
                                                   .policy_loss = wire->policy_loss,
                                                   .policy_entropy = wire->policy_entropy,
                                                   .value_loss = wire->value_loss,
                                                   .grad_norm = wire->grad_norm,
                                                   .learning_rate = wire->learning_rate,
                                                   .samples_per_s = wire->samples_per_s};
    d->doctor.training_silent_s = 0;
    daemon_put(d, storage_task_step(d->training.row.id, &step));
}

/* Whether the same job may do better later: then its process counts as crashed. */
static bool passes(int code)
{
    return code == ERROR_FULL || code == ERROR_IO || code == ERROR_BUSY ||
           code == ERROR_NO_MEMORY || code == ERROR_TIMEOUT;
}

static void take_train_failure(struct daemon *d, const Qzd__Failure *failure)
{
    if (failure->code == ERROR_CANCELLED) {
        return; /* we stopped it; its checkpoint waits */
    }
    if (passes(failure->code)) {
        daemon_note(d, SEVERITY_WARNING, "training interrupted", "%s", failure->text);
        return;
    }
    fail_training(d, failure->text);
}

void daemon_take_core_time(struct daemon *d, const char *what, uint64_t ms)
{
    daemon_put(d, storage_task_core_time(what, (int64_t)ms, d->scheduler.account_ms));
}

void daemon_train_message(struct daemon *d, const Qzd__FromChild *message)
{
    if (message->what_case == QZD__FROM_CHILD__WHAT_CORE_TIME) {
        daemon_take_core_time(d, "training", message->core_time->ms);
        return;
    }
    if (message->what_case == QZD__FROM_CHILD__WHAT_EVENT) {
        if (daemon_may_say(d, ROLE_TRAIN, 0)) {
            daemon_note(d, log_severity_parse(message->event->severity), message->event->what, "%s",
                        message->event->detail);
        }
        return;
    }
    if (d->training.row.id == 0 || d->training.told) {
        return; /* it has had its say */
    }
    switch (message->what_case) {
    case QZD__FROM_CHILD__WHAT_TRAIN_PROGRESS:
        take_progress(d, message->train_progress);
        break;
    case QZD__FROM_CHILD__WHAT_TRAIN_RESULT:
        d->training.told = true;
        take_result(d, message->train_result->result);
        break;
    case QZD__FROM_CHILD__WHAT_FAILURE:
        take_train_failure(d, message->failure);
        break;
    default: /* Hello needs no answer: the job waits in its pipe */
        break;
    }
}

void daemon_train_ended(struct daemon *d, bool stopped, const char *how)
{
    if (d->training.told) {
        tell_outcome(d);
        return;
    }
    if (stopped) {
        return;
    }
    daemon_note(d, SEVERITY_WARNING, "training exited",
                "generation %u: %s before it was done; it goes on from its checkpoint",
                d->training.row.training.generation, how);
    daemon_event(d, (struct scheduler_event){.kind = EVENT_TRAINING_EXITED});
}

/* ---- evaluations ---- */
static bool is_move_suite(const char *path)
{
    const char *ending = strrchr(path, '.');

    return ending != NULL && strcmp(ending, ".mask") == 0;
}

/* The next suite of the running evaluation: with search only move suites, since a search's value is
 * judged by what it plays. False: that was all. */
static bool next_suite(struct daemon *d, const char **ret_path)
{
    struct evaluation_now *now = &d->evaluation;

    while (now->next_suite < d->config.evaluation.n_suites) {
        const char *path = d->config.evaluation.suites[now->next_suite++];
        if (now->kind != EVALUATION_SEARCH || is_move_suite(path)) {
            *ret_path = path;
            return true;
        }
    }
    return false;
}

static void send_suite(struct daemon *d)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__SuiteJob job = QZD__SUITE_JOB__INIT;
    char file[PATH_MAX + 160];
    const char *path = NULL;
    char *settings = selfplay_settings_json(&d->config.selfplay_settings);

    if (settings == NULL || !next_suite(d, &path)) {
        free(settings);
        d->evaluation.done = true;
        supervisor_stop(d->supervisor, ROLE_MATCH, 0, DAEMON_GRACE_MS);
        return;
    }
    (void)snprintf(file, sizeof(file), "%s/%s", d->state_dir, d->evaluation.net.file);
    job.net_file = file;
    job.net_sha256 = d->evaluation.net.sha256;
    job.suite_file = (char *)path;
    job.nodes = d->evaluation.kind == EVALUATION_SEARCH ? d->config.evaluation.nodes : 0;
    job.settings = settings;
    job.game = d->config.game;
    message.what_case = QZD__TO_CHILD__WHAT_SUITE_JOB;
    message.suite_job = &job;
    supervisor_send(d->supervisor, ROLE_MATCH, 0, &message);
    free(settings);
}

void daemon_start_evaluation(struct daemon *d, int64_t net, bool search)
{
    const struct known_net *known = daemon_find_net(d, net);
    struct error err = {.text = ""};

    if (known == NULL) { /* it waited so long that newer ones took its place */
        daemon_event(d, (struct scheduler_event){.kind = EVENT_EVALUATION_FAILED});
        return;
    }
    d->evaluation = (struct evaluation_now){
        .kind = search ? EVALUATION_SEARCH : EVALUATION_NET, .net_id = net, .net = *known};
    if (supervisor_start(d->supervisor, ROLE_MATCH, 0, &err) < 0) {
        daemon_note(d, SEVERITY_ERROR, "evaluation", "%s", err.text);
        daemon_event(d, (struct scheduler_event){.kind = EVENT_EVALUATION_EXITED});
        return;
    }
    daemon_limit_child(d, ROLE_MATCH, 0);
    send_suite(d);
}

static void take_suite_result(struct daemon *d, const Qzd__SuiteResult *result)
{
    char text[256] = "";
    size_t used = 0;

    daemon_put(d, storage_task_evaluation(d->evaluation.net.id, result, daemon_wall_ms()));
    for (size_t i = 0; i < result->n_metrics; i++) {
        const Qzd__SuiteResult__Metric *metric = result->metrics[i];
        if (strcmp(metric->name, "mistakes") == 0 && result->nodes == 0) {
            d->last.mistakes_net = metric->value;
            d->last.net_generation = d->evaluation.net.generation;
        } else if (strcmp(metric->name, "mistakes") == 0) {
            d->last.mistakes_search = metric->value;
            d->last.search_generation = d->evaluation.net.generation;
        } else if (strcmp(metric->name, "value_accuracy") == 0 && result->nodes == 0) {
            d->last.value_accuracy = metric->value;
        }
        int n = snprintf(text + used, sizeof(text) - used, "%s%s %.4f", i == 0 ? "" : ", ",
                         metric->name, metric->value);
        used = n < 0 || used + (size_t)n >= sizeof(text) ? sizeof(text) - 1 : used + (size_t)n;
    }
    daemon_say(d, SEVERITY_INFO, "evaluation", "generation %u, %s, %s: %s (%.1f s)",
               d->evaluation.net.generation, result->suite,
               result->nodes == 0 ? "net alone" : "with search", text, result->seconds);
}

static bool is_match(const struct daemon *d)
{
    return d->evaluation.kind == EVALUATION_MATCH || d->evaluation.kind == EVALUATION_GATE;
}

void daemon_match_message(struct daemon *d, const Qzd__FromChild *message)
{
    if (is_match(d) && message->what_case != QZD__FROM_CHILD__WHAT_CORE_TIME) {
        daemon_play_message(d, message);
        return;
    }
    switch (message->what_case) {
    case QZD__FROM_CHILD__WHAT_CORE_TIME:
        daemon_take_core_time(d, "evaluation", message->core_time->ms);
        break;
    case QZD__FROM_CHILD__WHAT_SUITE_RESULT:
        take_suite_result(d, message->suite_result);
        send_suite(d);
        break;
    case QZD__FROM_CHILD__WHAT_FAILURE:
        daemon_note(d, SEVERITY_ERROR, "evaluation failed", "generation %u: %s",
                    d->evaluation.net.generation, message->failure->text);
        send_suite(d); /* the others may do */
        break;
    default:
        break;
    }
}

void daemon_match_ended(struct daemon *d, bool stopped, const char *how)
{
    if (is_match(d)) {
        daemon_play_ended(d, stopped, how);
        return;
    }
    if (d->evaluation.done) {
        daemon_event(d, (struct scheduler_event){.kind = EVENT_EVALUATION_FINISHED});
        return;
    }
    if (!stopped) {
        daemon_note(d, SEVERITY_WARNING, "evaluation exited",
                    "generation %u: %s before it was done; it begins again",
                    d->evaluation.net.generation, how);
    }
    daemon_event(d, (struct scheduler_event){.kind = EVENT_EVALUATION_EXITED});
}
