#include "selfplay/match.h"

#include "random_net.h"
#include "selfplay/opening.h"
#include "storage/policy.h"
#include "tests/unit/run_suite.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_PAIRS = 40, NODES = 12 };

static const char *const sha_a = "aaaaaaaaaaaaaaaa000000000000000000000000000000000000000000000000";
static const char *const sha_b = "bbbb00000000bbbb000000000000000000000000000000000000000000000000";

/* What is kept of a pair. */
struct kept {
    uint32_t points;
    uint32_t half_points[2];
    uint64_t fingerprints[2];
    int64_t seeds[2];
    char opening[64];
    uint32_t plies[2];
    uint16_t actions[2][64];
};
struct log {
    const struct game *game;
    struct kept pairs[MAX_PAIRS];
    uint32_t first, n; /* pairs first .. first + n - 1 */
    uint32_t enough;   /* end after so many; 0 = never */
    struct match_tally tally;
};

static const struct game *game;
static struct net *nets[2];
static struct log one;
static struct log two;

static int64_t no_time(void)
{
    return 1000;
}

static void choose_game(const char *name)
{
    game = game_find(name);
    for (uint64_t i = 0; i < 2; i++) {
        net_destroy(nets[i]);
        nets[i] = random_net(game, NET_VALUE_WDL, 40 + i, 1.0);
    }
}

static void set_up(void)
{
    choose_game("connect4");
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
}

static void tear_down(void)
{
    net_destroy(nets[0]);
    net_destroy(nets[1]);
    nets[0] = nets[1] = NULL;
    match_tally_finish(&one.tally);
    match_tally_finish(&two.tally);
}

/* The result by the rules for the side that moved first behind the opening, in half points. */
static uint32_t replay(const struct match_game *record)
{
    union game_state state;
    uint16_t legal[GAME_MAX_LEGAL];
    int value = 0;
    ck_assert(game->init(&state, record->start.opening, NULL));
    for (uint32_t ply = 0; ply < record->end.plies; ply++) {
        const struct record_position *position = &record->positions[ply];
        struct policy_entry visits[GAME_MAX_LEGAL];
        uint32_t n = game->legal(&state, legal);
        bool is_legal = false;
        for (uint32_t i = 0; i < n; i++) {
            is_legal = is_legal || legal[i] == position->action;
        }
        ck_assert(is_legal);
        ck_assert_uint_eq(position->ply, ply);
        ck_assert_uint_eq(position->action, position->best_action); /* temperature 0 */
        ck_assert_int_eq(position->kind, POSITION_FULL);
        ck_assert_int_gt(
            policy_decode(position->policy, position->policy_bytes, visits, GAME_MAX_LEGAL), 0);
        game->play(&state, position->action);
    }
    ck_assert(game->over(&state, &value));
    return (uint32_t)(1 + (record->end.plies % 2 == 0 ? value : -value));
}

static bool keep(const struct match_pair *pair, void *context)
{
    struct log *log = context;
    if (log->n == 0) {
        log->first = pair->pair;
    }
    ck_assert_uint_eq(pair->pair, log->first + log->n); /* in start order, none left out */
    struct kept *kept = &log->pairs[log->n++];
    match_pair_points(pair, kept->half_points);
    kept->points = pair->points;
    ck_assert_uint_eq(kept->points, kept->half_points[0] + kept->half_points[1]);
    ck_assert_str_eq(pair->games[0].start.opening, pair->games[1].start.opening);
    ck_assert_str_ne(pair->games[0].start.uid, pair->games[1].start.uid);
    snprintf(kept->opening, sizeof kept->opening, "%s", pair->games[0].start.opening);
    for (int k = 0; k < 2; k++) {
        const struct match_game *record = &pair->games[k];
        uint32_t first = replay(record);
        ck_assert_uint_eq(kept->half_points[k], k == 0 ? first : 2 - first);
        ck_assert_int_eq(record->start.kind, GAME_MATCH);
        ck_assert_str_eq(record->end.reason, "rules");
        kept->fingerprints[k] = record->fingerprint;
        kept->seeds[k] = record->start.seed;
        kept->plies[k] = record->end.plies;
        for (uint32_t ply = 0; ply < record->end.plies; ply++) {
            kept->actions[k][ply] = record->positions[ply].action;
        }
    }
    ck_assert_int_eq(match_tally_add(&log->tally, kept->half_points, kept->fingerprints), 0);
    return log->n != log->enough;
}

static struct match_params params_of(int a, int b, uint32_t first_pair, uint32_t n_pairs)
{
    return (struct match_params){
        .game = game,
        .a = {nets[a], a == 0 ? sha_a : sha_b},
        .b = {nets[b], b == 0 ? sha_a : sha_b},
        .settings = match_settings(&selfplay_settings_default, NODES),
        .first_pair = first_pair,
        .n_pairs = n_pairs,
        .cache_entries = 4096,
        .host = "here",
        .build = "test",
        .now = no_time,
    };
}

static void play(int a, int b, uint32_t first_pair, uint32_t n_pairs, struct log *log)
{
    struct match_params params = params_of(a, b, first_pair, n_pairs);
    struct error err = {""};
    ck_assert_msg(match_play(&params, keep, log, NULL, NULL, &err) == 0, "%s", err.text);
}

START_TEST(results_are_those_of_the_rules_and_come_in_start_order)
{
    play(0, 1, 0, 30, &one); /* `keep` checks each game */
    ck_assert_uint_eq(one.n, 30);
    ck_assert_uint_eq(one.tally.wins + one.tally.draws + one.tally.losses, 60);
    ck_assert_uint_gt(one.tally.wins, 0);
    ck_assert_uint_gt(one.tally.losses, 0);
    ck_assert_uint_eq(pentanomial_n(&one.tally.pairs), 30);
    double points = (double)one.tally.wins + 0.5 * (double)one.tally.draws;
    ck_assert_double_eq_tol(pentanomial_score(&one.tally.pairs), points / 60, 1e-12);
    for (uint32_t i = 0; i < 30; i++) {
        for (uint32_t k = 0; k < i; k++) {
            ck_assert_str_ne(one.pairs[i].opening, one.pairs[k].opening);
        }
    }
}
END_TEST

START_TEST(turned_match_is_the_same_games_seen_from_the_other_side)
{
    play(0, 1, 0, 16, &one);
    play(1, 0, 0, 16, &two);
    for (int i = 0; i < 16; i++) {
        ck_assert_str_eq(one.pairs[i].opening, two.pairs[i].opening);
        ck_assert_uint_eq(one.pairs[i].points, 4 - two.pairs[i].points);
        for (int k = 0; k < 2; k++) {
            ck_assert_uint_eq(one.pairs[i].fingerprints[k], two.pairs[i].fingerprints[1 - k]);
            ck_assert_int_eq(memcmp(one.pairs[i].actions[k], two.pairs[i].actions[1 - k],
                                    sizeof one.pairs[i].actions[k]),
                             0);
        }
    }
}
END_TEST

START_TEST(net_against_itself_repeats_each_game_and_does_not_count)
{
    play(0, 0, 0, 12, &one);
    for (int i = 0; i < 12; i++) {
        ck_assert_uint_eq(one.pairs[i].points, 2);
        ck_assert_uint_eq(one.pairs[i].fingerprints[0], one.pairs[i].fingerprints[1]);
    }
    ck_assert_uint_eq(one.tally.distinct, 12);
    ck_assert(!rating_counts(one.tally.distinct, 24));
    play(0, 1, 0, 12, &two);
    ck_assert(rating_counts(two.tally.distinct, 24));
}
END_TEST

START_TEST(match_goes_on_at_any_pair)
{
    play(0, 1, 0, 14, &one);
    for (uint32_t first = 1; first < 14; first += 4) {
        memset(&two, 0, sizeof two);
        play(0, 1, first, 14, &two);
        ck_assert_uint_eq(two.n, 14 - first);
        for (uint32_t i = 0; i < two.n; i++) {
            ck_assert_uint_eq(two.pairs[i].points, one.pairs[first + i].points);
            ck_assert_int_eq(two.pairs[i].seeds[0], one.pairs[first + i].seeds[0]);
            ck_assert_uint_eq(two.pairs[i].fingerprints[1], one.pairs[first + i].fingerprints[1]);
        }
        match_tally_finish(&two.tally);
    }
}
END_TEST

START_TEST(taker_may_end_it)
{
    one.enough = 5;
    play(0, 1, 0, 30, &one);
    ck_assert_uint_eq(one.n, 5);
}
END_TEST

static bool stop_after(void *context)
{
    int *left = context;
    return --*left < 0;
}

START_TEST(it_stops_between_batches)
{
    struct match_params params = params_of(0, 1, 0, 20);
    struct error err = {""};
    int left = 100;
    ck_assert_int_eq(match_play(&params, keep, &one, stop_after, &left, &err), ERROR_CANCELLED);
    ck_assert_uint_lt(one.n, 20);
    ck_assert_int_eq(left, -1);
}
END_TEST

START_TEST(other_games_play_too_and_no_opening_is_played_twice)
{
    uint32_t max = 0;
    struct error err = {""};
    choose_game("tictactoe");
    ck_assert_int_eq(match_max_pairs(game, &max, &err), 0);
    play(0, 1, max - 20, max, &one);
    ck_assert_uint_eq(one.n, 20);
    struct match_params params = params_of(0, 1, 0, max + 1);
    ck_assert_int_eq(match_play(&params, keep, &two, NULL, NULL, &err), ERROR_INVALID);
    ck_assert_msg(strstr(err.text, "openings") != NULL, "%s", err.text);
}
END_TEST

START_TEST(net_of_another_game_is_refused)
{
    struct match_params params = params_of(0, 1, 0, 4);
    struct error err = {""};
    params.game = game_find("tictactoe");
    ck_assert_int_eq(match_play(&params, keep, &one, NULL, NULL, &err), ERROR_INVALID);
}
END_TEST

START_TEST(settings_of_a_match_leave_nothing_to_chance)
{
    struct selfplay_settings settings = selfplay_settings_default;
    settings.fast_share = 0.5F;
    settings.resign_threshold = 0.9F;
    settings = match_settings(&settings, 50);
    ck_assert_uint_eq(settings.search.nodes, 50);
    ck_assert(settings.search.noise_share == 0.0F && settings.fast_share == 0.0F);
    ck_assert(settings.resign_threshold == 0.0F);
    ck_assert(temperature_at(&settings.temperature, 0) == 0.0F);
}
END_TEST

START_TEST(equal_games_count_once)
{
    struct match_tally tally = {.room = 0};
    uint64_t distinct = 0;
    for (uint64_t i = 0; i < 500; i++) {
        uint64_t f[2] = {random_u64(1, 0, RANDOM_TEST, i % 300), random_u64(2, 0, RANDOM_TEST, i)};
        ck_assert_int_eq(match_tally_add(&tally, (uint32_t[2]){2, 1}, f), 0);
        distinct += i < 300 ? 2 : 1;
        ck_assert_uint_eq(tally.distinct, distinct);
    }
    ck_assert_uint_eq(tally.wins, 500);
    ck_assert_uint_eq(tally.draws, 500);
    ck_assert_uint_eq(tally.pairs.pairs[3], 500);
    match_tally_finish(&tally);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("match");
    TCase *tests = tcase_create("match");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, results_are_those_of_the_rules_and_come_in_start_order);
    tcase_add_test(tests, turned_match_is_the_same_games_seen_from_the_other_side);
    tcase_add_test(tests, net_against_itself_repeats_each_game_and_does_not_count);
    tcase_add_test(tests, match_goes_on_at_any_pair);
    tcase_add_test(tests, taker_may_end_it);
    tcase_add_test(tests, it_stops_between_batches);
    tcase_add_test(tests, other_games_play_too_and_no_opening_is_played_twice);
    tcase_add_test(tests, net_of_another_game_is_refused);
    tcase_add_test(tests, settings_of_a_match_leave_nothing_to_chance);
    tcase_add_test(tests, equal_games_count_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
