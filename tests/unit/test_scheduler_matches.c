#include "scheduler_bench.h"

#include "tests/unit/run_suite.h"

/* Suites with search and matches too. */
static struct scheduler_settings rated(void)
{
    struct scheduler_settings settings = usual;
    settings.plays_matches = true;
    return settings;
}

static void begin_rated(struct bench *b, double account_ms)
{
    struct scheduler_settings settings = rated();
    begin_ready(b, &settings, &(struct scheduler_start){.account_ms = account_ms});
}

static void judge(struct bench *b, int64_t net, enum scheduler_evaluation evaluation)
{
    step(b, (struct scheduler_event){.kind = EVENT_JUDGE, .net = net, .evaluation = evaluation});
}

static void finished(struct bench *b, bool more)
{
    step(b, (struct scheduler_event){.kind = EVENT_EVALUATION_FINISHED, .more = more});
}

static void check_started(const struct bench *b, int64_t net, enum scheduler_evaluation evaluation)
{
    ck_assert_uint_eq(count(b, COMMAND_START_EVALUATION), 1);
    ck_assert_int_eq(find(b, COMMAND_START_EVALUATION)->net, net);
    ck_assert_int_eq(find(b, COMMAND_START_EVALUATION)->evaluation, evaluation);
}

START_TEST(new_net_is_judged_alone_then_with_search_then_by_matches)
{
    struct bench b;
    begin_rated(&b, 0);
    positions(&b, 8000);
    step(&b,
         (struct scheduler_event){.kind = EVENT_TRAINING_FINISHED, .net = 2, .positions = 8000});
    check_started(&b, 2, EVALUATION_NET);
    finished(&b, false);
    check_started(&b, 2, EVALUATION_SEARCH);
    tick(&b, 1000); /* a debt of 600 ms */
    finished(&b, false);
    ck_assert_uint_eq(count(&b, COMMAND_START_EVALUATION), 0);
    tick(&b, 1400); /* less 560 */
    ck_assert_uint_eq(count(&b, COMMAND_START_EVALUATION), 0);
    tick(&b, 200);
    check_started(&b, 2, EVALUATION_MATCH);
}
END_TEST

START_TEST(search_suites_and_matches_share_the_account_by_time)
{
    struct bench b;
    int64_t ms[4] = {0};
    begin_rated(&b, 0);
    for (int64_t net = 1; net < 2000;
         net++) { /* a new net each half minute, always something to do */
        judge(&b, net, EVALUATION_SEARCH);
        judge(&b, net, EVALUATION_MATCH);
        for (int i = 0; i < 30; i++) {
            tick(&b, 1000);
            if (b.s.evaluation == PROCESS_RUNNING) {
                enum scheduler_evaluation kind = b.s.evaluation_kind;
                int64_t took = kind == EVALUATION_SEARCH ? 15000 : 4000;
                b.now_ms += took - 1000;
                ms[kind] += took;
                tick(&b, 1000);
                finished(&b, kind == EVALUATION_MATCH && net % 5 != 0);
            }
        }
    }
    double share =
        (double)ms[EVALUATION_MATCH] / (double)(ms[EVALUATION_MATCH] + ms[EVALUATION_SEARCH]);
    ck_assert_double_eq_tol(share, 0.5, 0.02);
}
END_TEST

START_TEST(net_that_has_begun_plays_all_its_matches_and_then_the_newest_goes_on)
{
    struct bench b;
    begin_rated(&b, 100000);
    judge(&b, 3, EVALUATION_MATCH);
    check_started(&b, 3, EVALUATION_MATCH);
    judge(&b, 4, EVALUATION_MATCH);
    ck_assert_uint_eq(count(&b, COMMAND_SKIP_EVALUATION), 0);
    judge(&b, 5, EVALUATION_MATCH);
    ck_assert_uint_eq(count(&b, COMMAND_SKIP_EVALUATION), 1);
    ck_assert_int_eq(find(&b, COMMAND_SKIP_EVALUATION)->net, 4);
    finished(&b, true);
    check_started(&b, 3, EVALUATION_MATCH); /* the next opponent */
    judge(&b, 5, EVALUATION_MATCH);         /* said again: nothing new */
    ck_assert_uint_eq(b.n, 0);
    finished(&b, false);
    check_started(&b, 5, EVALUATION_MATCH);
    finished(&b, false);
    tick(&b, 60000);
    ck_assert_uint_eq(count(&b, COMMAND_START_EVALUATION), 0);
}
END_TEST

START_TEST(net_that_waits_for_the_account_is_skipped_for_a_newer_one)
{
    struct bench b;
    begin_rated(&b, -1000000);
    judge(&b, 3, EVALUATION_MATCH);
    judge(&b, 4, EVALUATION_MATCH);
    ck_assert_int_eq(find(&b, COMMAND_SKIP_EVALUATION)->net, 3);
    tick(&b, 2500001);
    check_started(&b, 4, EVALUATION_MATCH);
}
END_TEST

START_TEST(match_whose_process_dies_goes_on_and_is_given_up_after_five_deaths)
{
    struct bench b;
    begin_rated(&b, 1000000);
    judge(&b, 3, EVALUATION_MATCH);
    judge(&b, 4, EVALUATION_MATCH);
    for (int death = 1; death <= SCHEDULER_MAX_CRASHES; death++) {
        step(&b, (struct scheduler_event){.kind = EVENT_EVALUATION_EXITED});
        tick(&b, 60000);
        if (death < SCHEDULER_MAX_CRASHES) {
            check_started(&b, 3, EVALUATION_MATCH);
            b.s.evaluation_backoff.started_ms = b.now_ms;
        }
    }
    ck_assert_uint_eq(count(&b, COMMAND_GIVE_UP_EVALUATION), 1);
    check_started(&b, 4, EVALUATION_MATCH);
}
END_TEST

START_TEST(nobody_plays_without_opponents)
{
    struct bench b;
    begin_ready(&b, &usual, &(struct scheduler_start){.account_ms = 1000});
    judge(&b, 3, EVALUATION_MATCH);
    tick(&b, 60000);
    ck_assert_uint_eq(count(&b, COMMAND_START_EVALUATION), 0);
}
END_TEST

/* ---- gates ---- */
/* A candidate: net 2, in debt. */
static void begin_candidate(struct bench *b)
{
    begin_rated(b, -50000);
    positions(b, 8000);
    judge(b, 1, EVALUATION_NET); /* keeps the process busy */
    ck_assert_uint_eq(count(b, COMMAND_START_EVALUATION), 1);
    step(b, (struct scheduler_event){
                .kind = EVENT_TRAINING_FINISHED, .net = 2, .positions = 8000, .candidate = true});
}

START_TEST(candidate_does_not_play_and_holds_up_trainings_until_it_is_decided)
{
    struct bench b;
    begin_candidate(&b);
    ck_assert_uint_eq(count(&b, COMMAND_SET_NET), 0);
    ck_assert_uint_eq(b.s.generation, 0);
    judge(&b, 7, EVALUATION_NET);
    finished(&b, false);
    check_started(&b, 2, EVALUATION_GATE); /* before suites, in spite of the debt */
    positions(&b, 50000);
    step(&b, (struct scheduler_event){.kind = EVENT_TRAIN_NOW});
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 0);
    step(&b, (struct scheduler_event){.kind = EVENT_CANDIDATE_ACCEPTED, .net = 2});
    ck_assert_uint_eq(count(&b, COMMAND_SET_NET), 4);
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 1);
    ck_assert_uint_eq(b.s.generation, 1);
    ck_assert_int_eq(b.s.pending_match, 2);
    ck_assert_int_eq(b.s.pending_search, 2);
    finished(&b, false);
    check_started(&b, 7, EVALUATION_NET);
    finished(&b, false);
    check_started(&b, 2, EVALUATION_NET);
}
END_TEST

START_TEST(rejected_candidate_changes_nothing_but_lets_the_next_training_begin)
{
    struct bench b;
    begin_candidate(&b);
    finished(&b, false);
    positions(&b, 20000);
    step(&b, (struct scheduler_event){.kind = EVENT_CANDIDATE_REJECTED});
    ck_assert_uint_eq(count(&b, COMMAND_SET_NET), 0);
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 1);
    ck_assert_uint_eq(b.s.generation, 0);
    ck_assert_int_eq(b.s.pending_match, 0);
    finished(&b, false);
    tick(&b, 1000);
    ck_assert_uint_eq(count(&b, COMMAND_START_EVALUATION), 0);
}
END_TEST

START_TEST(restarted_daemon_goes_on_with_the_candidates_match)
{
    struct scheduler_settings settings = rated();
    struct bench b;
    begin(
        &b, &settings,
        &(struct scheduler_start){
            .positions = 30000, .positions_at_training = 8000, .candidate = 9, .account_ms = -1e6});
    check_started(&b, 9, EVALUATION_GATE);
    ck_assert_uint_eq(count(&b, COMMAND_START_TRAINING), 0);
}
END_TEST

START_TEST(gates_match_that_cannot_be_played_is_given_up_and_asks_for_a_decision)
{
    struct bench b;
    begin_candidate(&b);
    finished(&b, false);
    for (int death = 1; death <= SCHEDULER_MAX_CRASHES; death++) {
        step(&b, (struct scheduler_event){.kind = EVENT_EVALUATION_EXITED});
        tick(&b, 59000);
    }
    ck_assert_uint_eq(count(&b, COMMAND_GIVE_UP_EVALUATION), 1);
    ck_assert_int_eq(find(&b, COMMAND_GIVE_UP_EVALUATION)->evaluation, EVALUATION_GATE);
    ck_assert_int_eq(b.s.candidate, 2); /* until the daemon says what became of it */
    step(&b, (struct scheduler_event){.kind = EVENT_CANDIDATE_REJECTED});
    ck_assert_int_eq(b.s.candidate, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scheduler_matches");
    TCase *tests = tcase_create("scheduler_matches");
    tcase_add_test(tests, new_net_is_judged_alone_then_with_search_then_by_matches);
    tcase_add_test(tests, search_suites_and_matches_share_the_account_by_time);
    tcase_add_test(tests, net_that_has_begun_plays_all_its_matches_and_then_the_newest_goes_on);
    tcase_add_test(tests, net_that_waits_for_the_account_is_skipped_for_a_newer_one);
    tcase_add_test(tests, match_whose_process_dies_goes_on_and_is_given_up_after_five_deaths);
    tcase_add_test(tests, nobody_plays_without_opponents);
    tcase_add_test(tests, candidate_does_not_play_and_holds_up_trainings_until_it_is_decided);
    tcase_add_test(tests, rejected_candidate_changes_nothing_but_lets_the_next_training_begin);
    tcase_add_test(tests, restarted_daemon_goes_on_with_the_candidates_match);
    tcase_add_test(tests, gates_match_that_cannot_be_played_is_given_up_and_asks_for_a_decision);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
