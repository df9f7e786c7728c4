#include "scheduler_bench.h"

#include "tests/unit/run_suite.h"

#include <math.h>
#include <stdlib.h>

/* ---- workers ---- */
START_TEST(crashed_worker_comes_back_after_delays_that_double_up_to_a_minute)
{
    struct bench b;
    begin(&b, &usual, &(struct scheduler_start){0});
    ck_assert_uint_eq(count(&b, COMMAND_START_WORKER), 4);
    static const int64_t delays_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (size_t i = 0; i < sizeof(delays_ms) / sizeof(delays_ms[0]); i++) {
        step(&b, (struct scheduler_event){.kind = EVENT_WORKER_EXITED, .worker = 1});
        ck_assert_uint_eq(count(&b, COMMAND_START_WORKER), 0);
        tick(&b, delays_ms[i] - 1);
        ck_assert_uint_eq(count(&b, COMMAND_START_WORKER), 0);
        tick(&b, 1);
        ck_assert_uint_eq(count(&b, COMMAND_START_WORKER), 1);
        ck_assert_uint_eq(find(&b, COMMAND_START_WORKER)->worker, 1);
    }
}
END_TEST

START_TEST(worker_that_lived_for_a_minute_comes_back_after_the_first_delay)
{
    struct bench b;
    begin(&b, &usual, &(struct scheduler_start){0});
    for (int i = 0; i < 5; i++) {
        step(&b, (struct scheduler_event){.kind = EVENT_WORKER_EXITED, .worker = 0});
        tick(&b, 60000);
        ck_assert_uint_eq(count(&b, COMMAND_START_WORKER), 1);
    }
    step(&b, (struct scheduler_event){.kind = EVENT_WORKER_READY, .worker = 0});
    b.now_ms += SCHEDULER_HEALTHY_MS;
    step(&b, (struct scheduler_event){.kind = EVENT_WORKER_EXITED, .worker = 0});
    tick(&b, 1000);
    ck_assert_uint_eq(count(&b, COMMAND_START_WORKER), 1);
}
END_TEST

START_TEST(pause_and_a_blocked_store_suspend_every_worker_and_both_must_end)
{
    struct bench b;
    begin_ready(&b, &usual, &(struct scheduler_start){0});
    ck_assert_uint_eq(scheduler_active_workers(&b.s), 4);
    step(&b, (struct scheduler_event){.kind = EVENT_PAUSE});
    ck_assert_uint_eq(count(&b, COMMAND_SUSPEND_WORKER), 4);
    ck_assert_uint_eq(scheduler_active_workers(&b.s), 0);
    step(&b, (struct scheduler_event){.kind = EVENT_BLOCKED});
    step(&b, (struct scheduler_event){.kind = EVENT_RESUME});
    ck_assert_uint_eq(scheduler_active_workers(&b.s), 0);
    step(&b, (struct scheduler_event){.kind = EVENT_FREE});
    ck_assert_uint_eq(count(&b, COMMAND_SUSPEND_WORKER), 4);
    ck_assert_uint_eq(scheduler_active_workers(&b.s), 4);
}
END_TEST

START_TEST(workers_take_turns_while_a_training_takes_their_slots)
{
    struct bench b;
    begin_ready(&b, &usual, &(struct scheduler_start){0});
    positions(&b, 8000);
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 1);
    ck_assert_uint_eq(scheduler_active_workers(&b.s), 2);
    bool played[4] = {false};
    for (int turn = 0; turn < 4; turn++) {
        for (uint32_t i = 0; i < 4; i++) {
            played[i] = played[i] || !b.s.workers[i].suspended;
        }
        tick(&b, SCHEDULER_TURN_MS);
        ck_assert_uint_eq(scheduler_active_workers(&b.s), 2);
    }
    ck_assert(played[0] && played[1] && played[2] && played[3]);
}
END_TEST

/* ---- trainings ---- */
START_TEST(trainings_are_due_at_first_and_then_by_share_within_their_bounds)
{
    struct bench b;
    begin_ready(&b, &usual, &(struct scheduler_start){0});
    positions(&b, 7999);
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 0);
    positions(&b, 8000);
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 1);

    static const struct {
        int64_t all, threshold;
    } cases[] = {{16000, 8000}, {200000, 8000}, {300000, 12000}, {500000, 20000}, {900000, 20000}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct scheduler_start start = {.positions = cases[i].all,
                                              .positions_at_training =
                                                  cases[i].all - cases[i].threshold + 1};
        begin_ready(&b, &usual, &start);
        ck_assert_int_eq(scheduler_training_threshold(&b.s), cases[i].threshold);
        ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 0);
        positions(&b, cases[i].all + 1 + (int64_t)ceil(usual.every_share));
        ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 1);
    }
}
END_TEST

START_TEST(failed_training_keeps_the_net_and_waits_for_as_many_new_positions_again)
{
    struct bench b;
    begin_ready(&b, &usual, &(struct scheduler_start){0});
    positions(&b, 8000);
    positions(&b, 9000);
    step(&b, (struct scheduler_event){.kind = EVENT_TRAINING_FAILED});
    ck_assert_uint_eq(b.s.generation, 0);
    ck_assert_uint_eq(count(&b, COMMAND_SET_NET), 0);
    positions(&b, 16999);
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 0);
    positions(&b, 17000);
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 1);
}
END_TEST

START_TEST(crashed_training_goes_on_with_its_job_and_is_given_up_after_five_crashes)
{
    struct bench b;
    begin_ready(&b, &usual, &(struct scheduler_start){0});
    positions(&b, 8000);
    for (int i = 0; i < SCHEDULER_MAX_CRASHES; i++) {
        step(&b, (struct scheduler_event){.kind = EVENT_TRAINING_EXITED});
        ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 0);
        tick(&b, SCHEDULER_MAX_DELAY_MS - 1);
        if (i + 1 < SCHEDULER_MAX_CRASHES) {
            ck_assert_uint_eq(count(&b, COMMAND_RESUME_TRAINING), 1);
        } else {
            ck_assert_uint_eq(count(&b, COMMAND_GIVE_UP_TRAINING), 1);
        }
    }
    ck_assert_int_eq(b.s.training, PROCESS_STOPPED);
    tick(&b, 600000);
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 0);
}
END_TEST

START_TEST(restarted_daemon_goes_on_with_the_training_that_was_running)
{
    struct bench b;
    begin(&b, &usual, &(struct scheduler_start){.positions = 8100, .training_known = true});
    ck_assert_uint_eq(count(&b, COMMAND_RESUME_TRAINING), 1);
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 0);
}
END_TEST

START_TEST(new_net_goes_to_every_running_worker_and_is_judged)
{
    struct bench b;
    begin_ready(&b, &usual, &(struct scheduler_start){0});
    positions(&b, 8000);
    step(&b,
         (struct scheduler_event){.kind = EVENT_TRAINING_FINISHED, .net = 2, .positions = 8000});
    ck_assert_uint_eq(b.s.generation, 1);
    ck_assert_uint_eq(count(&b, COMMAND_SET_NET), 4);
    ck_assert_uint_eq(count(&b, COMMAND_START_EVALUATION), 1);
    ck_assert_int_eq(find(&b, COMMAND_START_EVALUATION)->net, 2);
    ck_assert_int_eq(find(&b, COMMAND_START_EVALUATION)->evaluation, EVALUATION_NET);
    ck_assert_int_eq(scheduler_new_positions(&b.s), 0);
}
END_TEST

START_TEST(train_now_begins_at_once_or_as_soon_as_something_is_new)
{
    struct bench b;
    begin_ready(&b, &usual,
                &(struct scheduler_start){.positions = 9000, .positions_at_training = 9000});
    ck_assert_int_eq(scheduler_ask_train_now(&b.s), TRAIN_NOW_AFTER_NEXT_GAME);
    step(&b, (struct scheduler_event){.kind = EVENT_TRAIN_NOW});
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 0);
    positions(&b, 9030);
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 1);
    ck_assert_int_eq(scheduler_ask_train_now(&b.s), TRAIN_NOW_AFTER_RUNNING);
    step(&b,
         (struct scheduler_event){.kind = EVENT_TRAINING_FINISHED, .net = 2, .positions = 9030});
    positions(&b, 9060); /* asked for once, done once */
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 0);
}
END_TEST

START_TEST(window_is_katagos_formula_and_never_more_than_there_is)
{
    ck_assert_int_eq(scheduler_window(&usual, 0), 0);
    ck_assert_int_eq(scheduler_window(&usual, 500), 500);
    ck_assert_int_eq(scheduler_window(&usual, 20000), 20000);
    /* c (1 + beta ((N/c)^alpha - 1) / alpha) by hand: 20000 (1 + 0.4 (50^0.75 - 1) / 0.75) */
    ck_assert_int_eq(scheduler_window(&usual, 1000000), 209898);
}
END_TEST

/* ---- evaluations ---- */
START_TEST(search_suites_wait_while_the_account_is_negative_and_older_nets_are_skipped)
{
    struct bench b;
    begin_ready(&b, &usual, &(struct scheduler_start){.account_ms = -1000});
    step(&b,
         (struct scheduler_event){.kind = EVENT_JUDGE, .net = 1, .evaluation = EVALUATION_SEARCH});
    ck_assert_uint_eq(count(&b, COMMAND_START_EVALUATION), 0);
    tick(&b, 2400); /* 0.1 of 4 slots earns 400 ms a second */
    ck_assert_uint_eq(count(&b, COMMAND_START_EVALUATION), 0);
    step(&b,
         (struct scheduler_event){.kind = EVENT_JUDGE, .net = 2, .evaluation = EVALUATION_SEARCH});
    ck_assert_uint_eq(count(&b, COMMAND_SKIP_EVALUATION), 1);
    ck_assert_int_eq(find(&b, COMMAND_SKIP_EVALUATION)->net, 1);
    tick(&b, 100);
    ck_assert_uint_eq(count(&b, COMMAND_START_EVALUATION), 1);
    ck_assert_int_eq(find(&b, COMMAND_START_EVALUATION)->net, 2);
    tick(&b, 10000);
    ck_assert_double_eq_tol(b.s.account_ms, 10000 * (0.4 - 1), 1);
}
END_TEST

START_TEST(account_saves_up_ten_minutes_at_most)
{
    struct bench b;
    begin_ready(&b, &usual, &(struct scheduler_start){0});
    tick(&b, INT64_C(24) * 3600000);
    ck_assert_double_eq_tol(b.s.account_ms, 0.4 * 600000, 1e-6);
}
END_TEST

START_TEST(evaluation_is_suspended_for_a_training_that_leaves_no_slot)
{
    struct scheduler_settings small = usual;
    struct bench b;
    small.slots = small.workers = small.training_threads = 1;
    begin_ready(&b, &small, &(struct scheduler_start){0});
    step(&b, (struct scheduler_event){.kind = EVENT_JUDGE, .net = 1});
    ck_assert_uint_eq(count(&b, COMMAND_START_EVALUATION), 1);
    ck_assert_uint_eq(scheduler_active_workers(&b.s), 0);
    positions(&b, 8000);
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 1);
    ck_assert_uint_eq(count(&b, COMMAND_SUSPEND_EVALUATION), 1);
    ck_assert(b.s.evaluation_suspended);
    double account_ms = b.s.account_ms;
    tick(&b, 1000); /* suspended: it earns and pays nothing */
    ck_assert_double_eq_tol(b.s.account_ms, account_ms + 100, 1e-6);
    step(&b,
         (struct scheduler_event){.kind = EVENT_TRAINING_FINISHED, .net = 2, .positions = 8000});
    ck_assert(!b.s.evaluation_suspended);
}
END_TEST

START_TEST(stop_tells_everything_that_runs_and_starts_nothing_more)
{
    struct bench b;
    begin_ready(&b, &usual, &(struct scheduler_start){0});
    step(&b, (struct scheduler_event){.kind = EVENT_JUDGE, .net = 1});
    positions(&b, 8000);
    step(&b, (struct scheduler_event){.kind = EVENT_STOP});
    ck_assert_uint_eq(count(&b, COMMAND_STOP_WORKER), 4);
    ck_assert_uint_eq(count(&b, COMMAND_STOP_TRAINING), 1);
    ck_assert_uint_eq(count(&b, COMMAND_STOP_EVALUATION), 1);
    step(&b, (struct scheduler_event){.kind = EVENT_WORKER_EXITED, .worker = 0});
    positions(&b, 90000);
    tick(&b, 3600000);
    ck_assert_uint_eq(b.n, 0);
}
END_TEST

/* ---- mistake 5: days of life with a thousand random kills ---- */
enum { KILLS = 1000, GAME_POSITIONS = 33, MAX_SIM_NETS = 4096 };

struct world {
    struct bench b;
    uint64_t random;
    /* the store: survives a kill of the daemon */
    int64_t positions, positions_at_training, positions_at_failure, samples, samples_positions;
    bool row_running; /* a training's row */
    int64_t job_new, job_all, job_samples;
    double job_done, job_checkpoint; /* samples */
    double stored_account_ms;
    int64_t net;
    bool judged_net[MAX_SIM_NETS], judged_search[MAX_SIM_NETS];
    uint32_t generation;
    /* what runs */
    bool daemon_lives, train_process, match_process;
    double partial_positions, match_left_ms;
    /* core time that was really used */
    double selfplay_ms, training_ms, evaluation_ms, elapsed_ms;
    uint32_t finished, failed, nets_judged, searches_judged, daemon_kills;
};

static uint32_t draw(struct world *w, uint32_t n)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (uint32_t)((w->random >> 11) % n);
}

static void event(struct world *w, struct scheduler_event e);

/* Whether the store's numbers ask for a training: what the design says, written down a second time. */
static bool due_by_store(const struct world *w)
{
    double wanted = fmin(fmax(8000, ceil(0.04 * (double)w->positions)), 20000);
    int64_t since = w->positions_at_failure > w->positions_at_training ? w->positions_at_failure
                                                                       : w->positions_at_training;

    return (double)(w->positions - since) >= wanted;
}

static void obey(struct world *w, const struct scheduler_command *command)
{
    switch (command->kind) {
    case COMMAND_START_WORKER:
        event(w, (struct scheduler_event){.kind = EVENT_WORKER_READY, .worker = command->worker});
        break;
    case COMMAND_START_TRAINING:
        ck_assert_msg(!w->row_running, "a second training begins beside the first");
        ck_assert_msg(due_by_store(w), "a training begins after %ld new positions of %ld",
                      (long)(w->positions - w->positions_at_training), (long)w->positions);
        w->row_running = true;
        w->job_new = w->positions - w->positions_at_training;
        w->job_all = w->positions;
        w->job_samples = 4 * w->job_new;
        w->job_done = w->job_checkpoint = 0;
        w->train_process = true;
        break;
    case COMMAND_RESUME_TRAINING:
        ck_assert_msg(w->row_running, "nothing to resume");
        w->job_done = w->job_checkpoint;
        w->train_process = true;
        break;
    case COMMAND_GIVE_UP_TRAINING:
        w->row_running = false;
        w->failed++;
        w->positions_at_failure = w->positions;
        break;
    case COMMAND_START_EVALUATION:
        ck_assert_msg(!w->match_process, "two evaluations at once");
        w->match_process = true;
        w->match_left_ms = command->evaluation == EVALUATION_SEARCH ? 240000 : 1000;
        break;
    default:
        break;
    }
}

static void event(struct world *w, struct scheduler_event e)
{
    struct scheduler_command commands[SCHEDULER_MAX_COMMANDS];
    uint32_t n = scheduler_step(&w->b.s, &e, w->b.now_ms, commands);

    for (uint32_t i = 0; i < n; i++) {
        obey(w, &commands[i]);
    }
}

/* The daemon begins on what the store says and nothing else. */
static void start_daemon(struct world *w)
{
    const struct scheduler_start start = {.positions = w->positions,
                                          .positions_at_training = w->positions_at_training,
                                          .positions_at_failure = w->positions_at_failure,
                                          .generation = w->generation,
                                          .training_known = w->row_running,
                                          .account_ms = w->stored_account_ms};

    w->daemon_lives = true;
    scheduler_init(&w->b.s, &usual, &start, w->b.now_ms);
    for (int64_t net = w->net > 10 ? w->net - 10 : 1; net <= w->net; net++) {
        if (!w->judged_net[net]) {
            event(w, (struct scheduler_event){.kind = EVENT_JUDGE, .net = net});
        }
    }
    if (!w->judged_search[w->net]) {
        event(w, (struct scheduler_event){
                     .kind = EVENT_JUDGE, .net = w->net, .evaluation = EVALUATION_SEARCH});
    }
    event(w, (struct scheduler_event){.kind = EVENT_TICK});
}

static void kill_something(struct world *w)
{
    switch (draw(w, 3)) {
    case 0: /* the daemon, and with it its children */
        w->daemon_lives = w->train_process = w->match_process = false;
        w->daemon_kills++;
        break;
    case 1:
        event(w, (struct scheduler_event){.kind = EVENT_WORKER_EXITED,
                                          .worker = draw(w, usual.workers)});
        break;
    default:
        if (w->train_process) {
            w->train_process = false;
            event(w, (struct scheduler_event){.kind = EVENT_TRAINING_EXITED});
        }
        break;
    }
}

static void play(struct world *w, double ms, uint32_t active)
{
    w->selfplay_ms += active * ms;
    w->partial_positions += active * 25.0 * ms / 1000;
    if (w->partial_positions >= GAME_POSITIONS) {
        int64_t games = (int64_t)(w->partial_positions / GAME_POSITIONS);
        w->partial_positions -= (double)(games * GAME_POSITIONS);
        w->positions += games * GAME_POSITIONS;
        event(w, (struct scheduler_event){.kind = EVENT_COUNTS, .positions = w->positions});
    }
}

static void train(struct world *w, double ms)
{
    w->training_ms += usual.training_threads * ms;
    w->job_done += 900.0 * ms / 1000;
    if (draw(w, 30) == 0) {
        w->job_checkpoint = w->job_done;
    }
    if (w->job_done < (double)w->job_samples) {
        return;
    }
    w->train_process = w->row_running = false;
    w->samples += w->job_samples;
    w->samples_positions += w->job_new;
    w->positions_at_training = w->job_all;
    w->positions_at_failure = 0;
    w->finished++;
    w->net++;
    ck_assert(w->net < MAX_SIM_NETS);
    w->generation++;
    event(w, (struct scheduler_event){
                 .kind = EVENT_TRAINING_FINISHED, .net = w->net, .positions = w->job_all});
}

static void judge(struct world *w, double ms)
{
    w->evaluation_ms += ms;
    w->match_left_ms -= ms;
    if (w->match_left_ms <= 0) {
        int64_t net = w->b.s.evaluation_net;
        bool *judged =
            (w->b.s.evaluation_kind == EVALUATION_SEARCH) ? w->judged_search : w->judged_net;
        judged[net] = true;
        w->nets_judged += (w->b.s.evaluation_kind == EVALUATION_SEARCH) ? 0U : 1U;
        w->searches_judged += (w->b.s.evaluation_kind == EVALUATION_SEARCH) ? 1U : 0U;
        w->match_process = false;
        event(w, (struct scheduler_event){.kind = EVENT_EVALUATION_FINISHED});
    }
}

static void check_step(const struct world *w)
{
    const struct scheduler *s = &w->b.s;
    uint32_t used = scheduler_active_workers(s);

    used += s->training == PROCESS_RUNNING ? usual.training_threads : 0;
    used += s->evaluation == PROCESS_RUNNING && !s->evaluation_suspended ? 1U : 0U;
    ck_assert_msg(used <= usual.slots, "%u of %u slots are taken", used, usual.slots);
    /* By what is in the store, not by what the scheduler remembers of it. */
    bool due = due_by_store(w);
    ck_assert_msg(!due || s->training != PROCESS_STOPPED, "a training that is due does not run");
}

START_TEST(thousand_random_kills_change_neither_reuse_nor_shares)
{
    const uint64_t seed = 20240607;
    struct world *w = calloc(1, sizeof(*w));
    uint32_t kills = 0;

    w->random = seed;
    w->net = 1;
    w->b.now_ms = 1000;
    start_daemon(w);
    while (kills < KILLS) {
        w->b.now_ms += 1000;
        if (!w->daemon_lives) {
            start_daemon(w);
        }
        w->elapsed_ms += 1000;
        event(w, (struct scheduler_event){.kind = EVENT_TICK});
        /* What ran through this second; what begins in it runs from the next one on. */
        uint32_t active = scheduler_active_workers(&w->b.s);
        bool trains = w->train_process;
        bool judges = w->match_process && !w->b.s.evaluation_suspended;
        play(w, 1000, active);
        if (trains) {
            train(w, 1000);
        }
        if (judges) {
            judge(w, 1000);
        }
        check_step(w);
        if (w->b.now_ms / 1000 % 10 == 0) {
            w->stored_account_ms = w->b.s.account_ms;
        }
        if (draw(w, 300) == 0) {
            kill_something(w);
            kills++;
        }
    }
    double reuse = (double)w->samples / (double)w->samples_positions;
    double covered = (double)w->samples / (double)w->positions_at_training;
    double share = w->evaluation_ms / (w->elapsed_ms * usual.slots);
    double used =
        (w->selfplay_ms + w->training_ms + w->evaluation_ms) / (w->elapsed_ms * usual.slots);
    ck_assert_msg(fabs(reuse / 4 - 1) < 0.01 && fabs(covered / 4 - 1) < 0.01,
                  "seed %lu: %.4f samples a new position, %.4f a position of all; 4 were asked for",
                  (unsigned long)seed, reuse, covered);
    ck_assert_msg(share < 0.1 * 1.01 + 240000 / (w->elapsed_ms * usual.slots),
                  "seed %lu: evaluations took %.4f of the machine, 0.1 was allowed",
                  (unsigned long)seed, share);
    ck_assert_msg(share > 0.05, "seed %lu: evaluations took only %.4f", (unsigned long)seed, share);
    ck_assert_msg(used > 0.93 && used <= 1.0001, "seed %lu: %.4f of the machine was used",
                  (unsigned long)seed, used);
    ck_assert_msg(w->finished > 100 && w->daemon_kills > 250 && w->searches_judged > 10,
                  "seed %lu: %u trainings, %u kills of the daemon, %u suites with search",
                  (unsigned long)seed, w->finished, w->daemon_kills, w->searches_judged);
    for (int64_t net = 1; net < w->net - 1; net++) {
        ck_assert_msg(w->judged_net[net], "seed %lu: net %ld was never judged alone",
                      (unsigned long)seed, (long)net);
    }
    free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scheduler");
    TCase *tcase = tcase_create("scheduler");

    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, crashed_worker_comes_back_after_delays_that_double_up_to_a_minute);
    tcase_add_test(tcase, worker_that_lived_for_a_minute_comes_back_after_the_first_delay);
    tcase_add_test(tcase, pause_and_a_blocked_store_suspend_every_worker_and_both_must_end);
    tcase_add_test(tcase, workers_take_turns_while_a_training_takes_their_slots);
    tcase_add_test(tcase, trainings_are_due_at_first_and_then_by_share_within_their_bounds);
    tcase_add_test(tcase, failed_training_keeps_the_net_and_waits_for_as_many_new_positions_again);
    tcase_add_test(tcase, crashed_training_goes_on_with_its_job_and_is_given_up_after_five_crashes);
    tcase_add_test(tcase, restarted_daemon_goes_on_with_the_training_that_was_running);
    tcase_add_test(tcase, new_net_goes_to_every_running_worker_and_is_judged);
    tcase_add_test(tcase, train_now_begins_at_once_or_as_soon_as_something_is_new);
    tcase_add_test(tcase, window_is_katagos_formula_and_never_more_than_there_is);
    tcase_add_test(tcase,
                   search_suites_wait_while_the_account_is_negative_and_older_nets_are_skipped);
    tcase_add_test(tcase, account_saves_up_ten_minutes_at_most);
    tcase_add_test(tcase, evaluation_is_suspended_for_a_training_that_leaves_no_slot);
    tcase_add_test(tcase, stop_tells_everything_that_runs_and_starts_nothing_more);
    tcase_add_test(tcase, thousand_random_kills_change_neither_reuse_nor_shares);
    return run_suite(suite);
}
