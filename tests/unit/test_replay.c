/* Games of real (random) nets, recorded by a worker and played again. */
#include "recording.h"
#include "tests/unit/run_suite.h"
#include "trainer/net/kernel.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(games_with_openings_fast_searches_resignation_and_nets_that_change_replay_bit_for_bit)
{
    struct recording *recording = record_rich_games(24, 5);
    uint32_t swapped = 0;
    uint32_t fast = 0;
    uint32_t resigned = 0;
    uint32_t played_out = 0;
    for (uint32_t i = 0; i < recording->n; i++) {
        const struct logged_game *game = &recording->log->games[i];
        resigned += strcmp(game->reason, "resign") == 0;
        played_out += strcmp(game->reason, "rules") == 0 && game->end.would_resign_ply >= 0;
        swapped += strcmp(game->nets[0], game->nets[game->n - 1]) != 0;
        for (uint32_t ply = 0; ply < game->n; ply++) {
            fast += game->positions[ply].kind == POSITION_FAST;
        }
    }
    ck_assert_msg(swapped > 3 && fast > 20 && resigned > 3 && played_out > 0,
                  "%u swapped, %u fast, %u resigned, %u played out", swapped, fast, resigned,
                  played_out);
    ck_assert_uint_ge(recording->n_searches, 3);
    all_identical(recording);
    ck_assert_int_eq(recording->nets_brought, 2); /* each once, however many settings */
    free_recording(recording);
}
END_TEST

START_TEST(resumed_game_replays_as_if_it_had_never_been_interrupted)
{
    enum { N = 6 };
    const struct selfplay_settings settings = rich_settings();
    struct log *log = log_create();
    struct worker *worker = worker_of(game_find("connect4"), N, 1 << 12, log);
    set_net(worker, nets[0], "a");
    set_settings(worker, &settings);
    for (uint32_t i = 0; i < N; i++) {
        struct worker_game game = game_with_opening(i);
        add_game(worker, &game);
    }
    for (uint32_t i = 0; i < 150; i++) {
        (void)step(worker);
    }
    worker_destroy(worker); /* a kill: running searches are lost */
    worker = worker_of(game_find("connect4"), N, 1 << 12, log);
    set_net(worker, nets[1], "b");
    set_settings(worker, &settings);
    uint32_t resumed = 0;
    for (uint32_t i = 0; i < N; i++) {
        struct logged_game *logged = &log->games[i];
        struct worker_game game = game_with_opening(i);
        uint16_t actions[MAX_PLIES];
        float q[MAX_PLIES];
        for (uint32_t ply = 0; ply < logged->n; ply++) {
            actions[ply] = logged->positions[ply].action;
            q[ply] = logged->positions[ply].q;
        }
        if (logged->n_ends == 0) {
            game.n_actions = logged->n;
            game.actions = actions;
            game.q = q;
            resumed += logged->n > 0;
            add_game(worker, &game);
        }
    }
    ck_assert_uint_ge(resumed, 2);
    while (worker_games(worker) > 0) {
        (void)step(worker);
    }
    worker_destroy(worker);
    struct recording *recording = record_games(log, N);
    all_identical(recording);
    free_recording(recording);
}
END_TEST

START_TEST(missing_net_or_a_stop_ends_the_replay_which_can_be_asked_again)
{
    struct recording *recording = record_rich_games(4, 1);
    struct replay *replay = replay_of(8, 0);
    struct replay_counts counts = {0};
    struct error err;
    recording->stop_behind = 10;
    ck_assert_int_eq(run_on(replay, recording, &counts, &err), ERROR_CANCELLED);
    recording->stop_behind = 0;
    const char *sha256 = recording->searches[0].net_sha256;
    recording->searches[0].net_sha256 = "c";
    ck_assert_int_eq(run_on(replay, recording, &counts, &err), ERROR_NOT_FOUND);
    recording->searches[0].net_sha256 = sha256;
    recording->game_searches[0][3] = MAX_SEARCHES;
    ck_assert_int_eq(run_on(replay, recording, &counts, &err), ERROR_INVALID);
    recording->game_searches[0][3] = recording->game_searches[0][2];
    counts = (struct replay_counts){0};
    ck_assert_int_eq(run_on(replay, recording, &counts, &err), 0);
    ck_assert_uint_eq(counts.games_identical, 4);
    replay_destroy(replay);
    free_recording(recording);
}
END_TEST

/* ---- tolerance ---- */

START_TEST(within_the_tolerance_is_close_and_beyond_it_is_different)
{
    struct recording *recording = record_rich_games(2, 0);
    struct record_position *position = &recording->log->games[0].positions[4];
    struct record_position was = *position;
    recording->searches[0].bits = false;
    struct replay_counts counts = play_again(recording, 8);
    ck_assert_uint_eq(counts.games_identical, 2); /* identical all the same */

    position->v += 5e-4F;
    counts = play_again(recording, 8);
    ck_assert_int_eq(recording->n_differences, 0);
    ck_assert_uint_eq(counts.close, 1);
    ck_assert_uint_eq(counts.games_close, 1);

    position->v = was.v + 5e-3F;
    one_difference(recording, 0, 4, "v");
    *position = was;
    position->q += 0.1F;
    one_difference(recording, 0, 4, "q");
    *position = was;
    position->greedy_q += 0.5F; /* hangs on the last leaf of one line */
    counts = play_again(recording, 8);
    ck_assert_uint_eq(counts.games_close, 1);
    free_recording(recording);
}
END_TEST

START_TEST(search_is_searched_again_by_the_kernel_that_it_names)
{
    const char *why = NULL;
    const struct kernel *plain = kernel_by_id("winograd-fp32/plain");
    ck_assert_ptr_nonnull(plain);
    ck_assert_str_eq(plain->name, "plain");
    ck_assert_ptr_null(kernel_by_id("winograd-fp32/abacus"));
    ck_assert_int_eq(setenv("QZD_KERNEL", "plain", 1), 0);
    struct recording *recording = record_rich_games(6, 1);
    ck_assert_int_eq(unsetenv("QZD_KERNEL"), 0);
    for (uint32_t i = 0; i < recording->n_searches; i++) {
        recording->searches[i].kernel = plain;
    }
    all_identical(recording);
    if (kernel_best(KERNEL_FP32, &why) != plain) { /* it rounds otherwise */
        for (uint32_t i = 0; i < recording->n_searches; i++) {
            recording->searches[i].kernel = NULL;
        }
        struct replay_counts counts = play_again(recording, 8);
        ck_assert_uint_lt(counts.identical, counts.positions);
    }
    free_recording(recording);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replay");
    TCase *tests = tcase_create("replay");
    tcase_add_checked_fixture(tests, make_nets, free_nets);
    tcase_set_timeout(tests, 120);
    tcase_add_test(
        tests,
        games_with_openings_fast_searches_resignation_and_nets_that_change_replay_bit_for_bit);
    tcase_add_test(tests, resumed_game_replays_as_if_it_had_never_been_interrupted);
    tcase_add_test(tests, missing_net_or_a_stop_ends_the_replay_which_can_be_asked_again);
    tcase_add_test(tests, within_the_tolerance_is_close_and_beyond_it_is_different);
    tcase_add_test(tests, search_is_searched_again_by_the_kernel_that_it_names);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
