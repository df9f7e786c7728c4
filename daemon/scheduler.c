#include "daemon/scheduler.h"

#include <math.h>
#include <string.h>

/* Each step has two halves: apply() writes the event into the state; settle() compares what should be
 * with what is and issues a command for each difference. Events therefore need not know of each
 * other, and any order of them ends in the same place. */
struct output {
    struct scheduler_command *commands;
    uint32_t n;
};

static void emit(struct output *out, struct scheduler_command command)
{
    if (out->n < SCHEDULER_MAX_COMMANDS) {
        out->commands[out->n++] = command;
    }
}

const char *scheduler_process_text(enum scheduler_process state)
{
    switch (state) {
    case PROCESS_STOPPED:
        return "stopped";
    case PROCESS_STARTING:
        return "starting";
    case PROCESS_RUNNING:
        return "running";
    case PROCESS_BACKING_OFF:
        return "waiting to start again";
    }
    return "?";
}

const char *scheduler_evaluation_text(enum scheduler_evaluation evaluation)
{
    switch (evaluation) {
    case EVALUATION_NET:
        return "net alone";
    case EVALUATION_SEARCH:
        return "with search";
    case EVALUATION_MATCH:
        return "matches";
    case EVALUATION_GATE:
        return "gate";
    }
    return "?";
}

int64_t scheduler_window(const struct scheduler_settings *settings, int64_t positions)
{
    double n = (double)positions;
    double c = settings->window_c;
    double alpha = settings->window_alpha;

    if (positions <= 1) {
        return positions < 0 ? 0 : positions;
    }
    /* alpha -> 0 is the logarithm, the limit of the formula. */
    double grown = fabs(alpha) < 1e-9 ? log(n / c) : (pow(n / c, alpha) - 1) / alpha;
    double window = c * (1 + settings->window_beta * grown);
    if (!(window > 1)) {
        return 1;
    }
    return window >= n ? positions : (int64_t)window;
}

/* ---- back-off ---- */
static void backoff_started(struct scheduler_backoff *backoff, int64_t now_ms)
{
    backoff->started_ms = now_ms;
}

static void backoff_crashed(struct scheduler_backoff *backoff, int64_t now_ms)
{
    if (now_ms - backoff->started_ms >= SCHEDULER_HEALTHY_MS) {
        backoff->crashes = 0;
    }
    backoff->crashes++;
    int64_t delay_ms = SCHEDULER_MAX_DELAY_MS;
    if (backoff->crashes <= 6) {
        delay_ms = (int64_t)SCHEDULER_FIRST_DELAY_MS << (backoff->crashes - 1);
    }
    backoff->retry_ms =
        now_ms + (delay_ms < SCHEDULER_MAX_DELAY_MS ? delay_ms : SCHEDULER_MAX_DELAY_MS);
}

/* ---- trainings ---- */
int64_t scheduler_training_threshold(const struct scheduler *scheduler)
{
    const struct scheduler_settings *settings = &scheduler->settings;

    if (scheduler->positions_at_training == 0) {
        return settings->first_positions;
    }
    int64_t share = (int64_t)ceil(settings->every_share * (double)scheduler->positions);
    int64_t wanted = share > settings->every_min ? share : settings->every_min;
    return wanted < settings->every_max ? wanted : settings->every_max;
}

int64_t scheduler_new_positions(const struct scheduler *scheduler)
{
    int64_t since = scheduler->positions_at_training;

    if (scheduler->positions_at_failure > since) {
        since = scheduler->positions_at_failure;
    }
    return scheduler->positions > since ? scheduler->positions - since : 0;
}

enum scheduler_train_now scheduler_ask_train_now(const struct scheduler *scheduler)
{
    if (scheduler->training != PROCESS_STOPPED) {
        return TRAIN_NOW_AFTER_RUNNING;
    }
    return scheduler->positions > scheduler->positions_at_training ? TRAIN_NOW_BEGINS
                                                                   : TRAIN_NOW_AFTER_NEXT_GAME;
}

static bool training_due(const struct scheduler *scheduler)
{
    if (scheduler->candidate > 0) {
        return false; /* the next net's generation is not settled */
    }
    if (scheduler->train_now && scheduler->positions > scheduler->positions_at_training) {
        return true;
    }
    return !scheduler->paused &&
           scheduler_new_positions(scheduler) >= scheduler_training_threshold(scheduler);
}

static void settle_training(struct scheduler *s, struct output *out)
{
    if (s->stopping || s->blocked) {
        return;
    }
    bool begins = s->training == PROCESS_STOPPED && training_due(s);
    bool goes_on = s->training == PROCESS_BACKING_OFF && s->now_ms >= s->training_backoff.retry_ms;
    if (!begins && !goes_on) {
        return;
    }
    if (goes_on && s->training_backoff.crashes >= SCHEDULER_MAX_CRASHES) {
        s->training = PROCESS_STOPPED;
        s->training_known = false;
        s->training_backoff.crashes = 0;
        s->positions_at_failure = s->positions;
        emit(out, (struct scheduler_command){.kind = COMMAND_GIVE_UP_TRAINING});
        return;
    }
    bool resume = s->training_known;
    s->train_now = false;
    s->training = PROCESS_RUNNING;
    s->training_known = true;
    backoff_started(&s->training_backoff, s->now_ms);
    emit(out, (struct scheduler_command){.kind = resume ? COMMAND_RESUME_TRAINING
                                                        : COMMAND_START_TRAINING});
}

/* ---- evaluations ---- */
static uint32_t slots_of_training(const struct scheduler *s)
{
    return s->training == PROCESS_RUNNING ? s->settings.training_threads : 0;
}

static bool evaluation_has_room(const struct scheduler *s)
{
    return !s->stopping && !s->blocked && !s->paused && slots_of_training(s) < s->settings.slots;
}

static bool evaluation_active(const struct scheduler *s)
{
    return s->evaluation == PROCESS_RUNNING && !s->evaluation_suspended;
}

static void skip(struct output *out, int64_t net, enum scheduler_evaluation evaluation)
{
    if (net > 0) {
        emit(out, (struct scheduler_command){
                      .kind = COMMAND_SKIP_EVALUATION, .net = net, .evaluation = evaluation});
    }
}

static void judge_net(struct scheduler *s, int64_t net, struct output *out)
{
    if (!s->settings.judges_net) {
        return;
    }
    if (s->n_pending == SCHEDULER_MAX_PENDING) {
        skip(out, s->pending_nets[0], EVALUATION_NET);
        memmove(s->pending_nets, s->pending_nets + 1,
                (SCHEDULER_MAX_PENDING - 1) * sizeof(s->pending_nets[0]));
        s->n_pending--;
    }
    s->pending_nets[s->n_pending++] = net;
}

static void judge_match(struct scheduler *s, int64_t net, struct output *out)
{
    int64_t *place = s->match_begun ? &s->next_match : &s->pending_match;

    if (!s->settings.plays_matches || net <= s->next_match || net <= s->pending_match) {
        return;
    }
    skip(out, *place, EVALUATION_MATCH);
    *place = net;
}

static void judge(struct scheduler *s, int64_t net, enum scheduler_evaluation evaluation,
                  struct output *out)
{
    switch (evaluation) {
    case EVALUATION_NET:
        judge_net(s, net, out);
        break;
    case EVALUATION_SEARCH:
        if (s->settings.judges_search && net > s->pending_search) {
            skip(out, s->pending_search, EVALUATION_SEARCH);
            s->pending_search = net;
        }
        break;
    case EVALUATION_MATCH:
        judge_match(s, net, out);
        break;
    case EVALUATION_GATE: /* comes with its training, never alone */
        break;
    }
}

/* Matches for ratings before suites with search? Whichever has had less time; at a tie the suites. */
static bool match_goes_first(const struct scheduler *s)
{
    return s->pending_match > 0 && (s->pending_search == 0 || s->match_ms < s->search_ms);
}

static bool take_pending(struct scheduler *s)
{
    if (s->gate_due) {
        s->evaluation_net = s->candidate;
        s->evaluation_kind = EVALUATION_GATE;
        s->gate_due = false;
        return true;
    }
    if (s->n_pending > 0) {
        s->evaluation_net = s->pending_nets[0];
        s->evaluation_kind = EVALUATION_NET;
        s->n_pending--;
        memmove(s->pending_nets, s->pending_nets + 1, s->n_pending * sizeof(s->pending_nets[0]));
        return true;
    }
    if (s->account_ms < 0) {
        return false;
    }
    if (match_goes_first(s)) {
        s->evaluation_net = s->pending_match;
        s->evaluation_kind = EVALUATION_MATCH;
        s->match_begun = true;
        return true;
    }
    if (s->pending_search > 0) {
        s->evaluation_net = s->pending_search;
        s->evaluation_kind = EVALUATION_SEARCH;
        s->pending_search = 0;
        return true;
    }
    return false;
}

/* All matches of the net are played, or none can be: the next net's turn. */
static void end_matches(struct scheduler *s)
{
    s->pending_match = s->next_match;
    s->next_match = 0;
    s->match_begun = false;
}

static void end_evaluation(struct scheduler *s, bool more)
{
    if (s->evaluation != PROCESS_STOPPED && s->evaluation_kind == EVALUATION_MATCH && !more) {
        end_matches(s);
    }
    s->evaluation = PROCESS_STOPPED;
    s->evaluation_suspended = false;
    s->evaluation_backoff.crashes = 0;
}

static void settle_evaluation(struct scheduler *s, struct output *out)
{
    bool room = evaluation_has_room(s);

    if (s->evaluation == PROCESS_RUNNING && s->evaluation_suspended == room && !s->stopping) {
        s->evaluation_suspended = !room;
        emit(out, (struct scheduler_command){.kind = COMMAND_SUSPEND_EVALUATION,
                                             .suspended = s->evaluation_suspended});
    }
    if (!room) {
        return;
    }
    bool goes_on =
        s->evaluation == PROCESS_BACKING_OFF && s->now_ms >= s->evaluation_backoff.retry_ms;
    if (goes_on && s->evaluation_backoff.crashes >= SCHEDULER_MAX_CRASHES) {
        emit(out, (struct scheduler_command){.kind = COMMAND_GIVE_UP_EVALUATION,
                                             .net = s->evaluation_net,
                                             .evaluation = s->evaluation_kind});
        end_evaluation(s, false);
        goes_on = false;
    }
    if (goes_on || (s->evaluation == PROCESS_STOPPED && take_pending(s))) {
        s->evaluation = PROCESS_RUNNING;
        s->evaluation_suspended = false;
        backoff_started(&s->evaluation_backoff, s->now_ms);
        emit(out, (struct scheduler_command){.kind = COMMAND_START_EVALUATION,
                                             .net = s->evaluation_net,
                                             .evaluation = s->evaluation_kind});
    }
}

/* ---- workers ---- */
static void settle_workers(struct scheduler *s, struct output *out)
{
    uint32_t taken = slots_of_training(s) + (evaluation_active(s) ? 1U : 0U);
    uint32_t free_slots = taken < s->settings.slots ? s->settings.slots - taken : 0;

    if (s->stopping) {
        return;
    }
    if (s->paused || s->blocked) {
        free_slots = 0;
    }
    uint32_t workers = s->settings.workers;
    uint32_t first = workers > 0 ? (uint32_t)(s->now_ms / SCHEDULER_TURN_MS % workers) : 0;
    for (uint32_t turn = 0; turn < workers; turn++) {
        uint32_t i = (first + turn) % workers;
        struct scheduler_worker *worker = &s->workers[i];
        bool starts = worker->state == PROCESS_STOPPED || (worker->state == PROCESS_BACKING_OFF &&
                                                           s->now_ms >= worker->backoff.retry_ms);
        if (starts) {
            worker->state = PROCESS_STARTING;
            worker->suspended = false;
            backoff_started(&worker->backoff, s->now_ms);
            emit(out, (struct scheduler_command){.kind = COMMAND_START_WORKER, .worker = i});
        }
        if (worker->state != PROCESS_RUNNING) {
            continue;
        }
        bool suspended = free_slots == 0;
        free_slots -= suspended ? 0U : 1U;
        if (worker->suspended != suspended) {
            worker->suspended = suspended;
            emit(out, (struct scheduler_command){
                          .kind = COMMAND_SUSPEND_WORKER, .worker = i, .suspended = suspended});
        }
    }
}

uint32_t scheduler_active_workers(const struct scheduler *scheduler)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < scheduler->settings.workers; i++) {
        const struct scheduler_worker *worker = &scheduler->workers[i];
        n += worker->state == PROCESS_RUNNING && !worker->suspended ? 1U : 0U;
    }
    return n;
}

/* ---- events ---- */
static void stop_all(struct scheduler *s, struct output *out)
{
    if (s->stopping) {
        return;
    }
    s->stopping = true;
    for (uint32_t i = 0; i < s->settings.workers; i++) {
        enum scheduler_process state = s->workers[i].state;
        if (state == PROCESS_STARTING || state == PROCESS_RUNNING) {
            emit(out, (struct scheduler_command){.kind = COMMAND_STOP_WORKER, .worker = i});
        }
    }
    if (s->training == PROCESS_RUNNING) {
        emit(out, (struct scheduler_command){.kind = COMMAND_STOP_TRAINING});
    }
    if (s->evaluation == PROCESS_RUNNING) {
        emit(out, (struct scheduler_command){.kind = COMMAND_STOP_EVALUATION});
    }
}

static void worker_event(struct scheduler *s, const struct scheduler_event *event)
{
    if (event->worker >= s->settings.workers) {
        return;
    }
    struct scheduler_worker *worker = &s->workers[event->worker];
    if (event->kind == EVENT_WORKER_READY) {
        if (worker->state == PROCESS_STARTING) {
            worker->state = PROCESS_RUNNING;
            worker->suspended = false; /* as a new process is */
        }
        return;
    }
    worker->state = s->stopping ? PROCESS_STOPPED : PROCESS_BACKING_OFF;
    backoff_crashed(&worker->backoff, s->now_ms);
}

/* There is a new current net. */
static void take_net(struct scheduler *s, int64_t net, struct output *out)
{
    s->generation++;
    for (uint32_t i = 0; i < s->settings.workers; i++) {
        if (s->workers[i].state == PROCESS_RUNNING) {
            emit(out, (struct scheduler_command){.kind = COMMAND_SET_NET, .worker = i});
        }
    }
    judge(s, net, EVALUATION_NET, out);
    judge(s, net, EVALUATION_SEARCH, out);
    judge(s, net, EVALUATION_MATCH, out);
}

static void training_event(struct scheduler *s, const struct scheduler_event *event,
                           struct output *out)
{
    if (event->kind == EVENT_TRAINING_EXITED) {
        s->training = PROCESS_BACKING_OFF;
        backoff_crashed(&s->training_backoff, s->now_ms);
        return;
    }
    s->training = PROCESS_STOPPED;
    s->training_known = false;
    s->training_backoff.crashes = 0;
    if (event->kind == EVENT_TRAINING_FAILED) {
        s->positions_at_failure = s->positions;
        return;
    }
    s->positions_at_training = event->positions;
    s->positions_at_failure = 0;
    if (event->candidate) {
        s->candidate = event->net;
        s->gate_due = true;
    } else {
        take_net(s, event->net, out);
    }
}

static void candidate_event(struct scheduler *s, const struct scheduler_event *event,
                            struct output *out)
{
    if (s->candidate == 0) {
        return;
    }
    s->candidate = 0;
    s->gate_due = false;
    if (event->kind == EVENT_CANDIDATE_ACCEPTED) {
        take_net(s, event->net, out);
    }
}

static void evaluation_event(struct scheduler *s, const struct scheduler_event *event)
{
    if (event->kind == EVENT_EVALUATION_EXITED && !s->stopping) {
        s->evaluation = PROCESS_BACKING_OFF;
        s->evaluation_suspended = false;
        backoff_crashed(&s->evaluation_backoff, s->now_ms);
        return;
    }
    end_evaluation(s, event->kind == EVENT_EVALUATION_FINISHED && event->more);
}

static void change_settings(struct scheduler *s, const struct scheduler_settings *settings)
{
    uint32_t slots = s->settings.slots;
    uint32_t workers = s->settings.workers;

    if (settings == NULL) {
        return;
    }
    s->settings = *settings;
    s->settings.slots = slots;
    s->settings.workers = workers;
}

static void apply(struct scheduler *s, const struct scheduler_event *event, struct output *out)
{
    switch (event->kind) {
    case EVENT_TICK:
        break;
    case EVENT_SETTINGS:
        change_settings(s, event->settings);
        break;
    case EVENT_COUNTS:
        s->positions = event->positions;
        break;
    case EVENT_JUDGE:
        judge(s, event->net, event->evaluation, out);
        break;
    case EVENT_WORKER_READY:
    case EVENT_WORKER_EXITED:
        worker_event(s, event);
        break;
    case EVENT_TRAINING_FINISHED:
    case EVENT_TRAINING_FAILED:
    case EVENT_TRAINING_EXITED:
        training_event(s, event, out);
        break;
    case EVENT_EVALUATION_FINISHED:
    case EVENT_EVALUATION_FAILED:
    case EVENT_EVALUATION_EXITED:
        evaluation_event(s, event);
        break;
    case EVENT_CANDIDATE_ACCEPTED:
    case EVENT_CANDIDATE_REJECTED:
        candidate_event(s, event, out);
        break;
    case EVENT_PAUSE:
    case EVENT_RESUME:
        s->paused = event->kind == EVENT_PAUSE;
        break;
    case EVENT_TRAIN_NOW:
        s->train_now = true;
        break;
    case EVENT_BLOCKED:
    case EVENT_FREE:
        s->blocked = event->kind == EVENT_BLOCKED;
        break;
    case EVENT_STOP:
        stop_all(s, out);
        break;
    }
}

/* The account earns its share of the machine and pays for what ran since the last step. */
static void pass_time(struct scheduler *s, int64_t now_ms)
{
    if (now_ms <= s->now_ms) {
        return;
    }
    double passed_ms = (double)(now_ms - s->now_ms);
    double rate = s->settings.evaluation_share * s->settings.slots;
    s->account_ms += rate * passed_ms;
    if (s->account_ms > rate * SCHEDULER_SAVED_MS) {
        s->account_ms = rate * SCHEDULER_SAVED_MS;
    }
    if (evaluation_active(s)) {
        s->account_ms -= passed_ms;
        s->search_ms += s->evaluation_kind == EVALUATION_SEARCH ? now_ms - s->now_ms : 0;
        s->match_ms += s->evaluation_kind == EVALUATION_MATCH ? now_ms - s->now_ms : 0;
    }
    s->now_ms = now_ms;
}

uint32_t scheduler_step(struct scheduler *scheduler, const struct scheduler_event *event,
                        int64_t now_ms, struct scheduler_command *ret)
{
    struct output out = {.commands = ret};

    pass_time(scheduler, now_ms);
    apply(scheduler, event, &out);
    settle_training(scheduler, &out);
    settle_evaluation(scheduler, &out);
    settle_workers(scheduler, &out);
    return out.n;
}

void scheduler_init(struct scheduler *scheduler, const struct scheduler_settings *settings,
                    const struct scheduler_start *start, int64_t now_ms)
{
    *scheduler = (struct scheduler){
        .settings = *settings,
        .now_ms = now_ms,
        .positions = start->positions,
        .positions_at_training = start->positions_at_training,
        .positions_at_failure = start->positions_at_failure,
        .generation = start->generation,
        .training_known = start->training_known,
        .candidate = start->candidate,
        .gate_due = start->candidate > 0,
        .pending_match = settings->plays_matches ? start->match_begun : 0,
        .match_begun = settings->plays_matches && start->match_begun > 0,
        .account_ms = start->account_ms,
    };
    if (scheduler->settings.workers > SCHEDULER_MAX_WORKERS) {
        scheduler->settings.workers = SCHEDULER_MAX_WORKERS;
    }
    if (start->training_known) { /* due at once: its checkpoint waits */
        scheduler->training = PROCESS_BACKING_OFF;
        scheduler->training_backoff =
            (struct scheduler_backoff){.retry_ms = now_ms, .started_ms = now_ms};
    }
}
