#include "storage/store_matches.h"

#include "storage/migrations.h"

#include "store_fixture.h"
#include "tests/unit/run_suite.h"

enum { PLIES = 6 };

/* Net 0 and 1 of the line, and a match between them. */
static int64_t open_match(struct fixture *f, bool gate)
{
    int64_t id = 0;
    open_with_net(f);
    add_net(f, 1);
    const struct store_match match = {.net_a = 2,
                                      .net_b = 1,
                                      .gate = gate,
                                      .nodes = 800,
                                      .planned_pairs = 10,
                                      .started_at = 7,
                                      .settings = (char[]){"{\"nodes\":800}"}};
    ck_ok(store_begin_match(f->store, &match, &id, &f->err));
    return id;
}

static char digits[2][RECORD_SHA256_BYTES];
static struct record_position positions[2][PLIES];

/* Games of pair `number`; the first player wins the first and loses or draws the second. */
static void make_pair(uint32_t number, uint32_t first, uint32_t second, struct store_pair *ret,
                      struct store_match_game games[2])
{
    *ret = (struct store_pair){.pair = number,
                               .half_points = {first, second},
                               .fingerprints = {1000 + number, UINT64_MAX - number}};
    for (unsigned k = 0; k < 2; k++) {
        uint64_t random = 10 * number + k;
        make_sha256(k, digits[k]);
        for (uint32_t ply = 0; ply < PLIES; ply++) {
            positions[k][ply] = make_position(&random, ply);
        }
        uint32_t half_points = ret->half_points[k];
        int for_first = k == 0 ? (int)half_points - 1 : 1 - (int)half_points;
        games[k] = (struct store_match_game){.start = make_start(2 * number + k),
                                             .positions = positions[k],
                                             .end = make_end(PLIES, for_first, 50)};
        games[k].start.kind = GAME_MATCH;
    }
    for (int k = 0; k < 2; k++) {
        games[k].search[0] = make_search(digits[1 - k]);
        games[k].search[1] = make_search(digits[k]);
    }
}

static int put(struct fixture *f, int64_t match, uint32_t number, uint32_t first, uint32_t second)
{
    struct store_pair pair;
    struct store_match_game games[2];
    make_pair(number, first, second, &pair, games);
    return store_put_pair(f->store, match, &pair, games, &f->err);
}

START_TEST(pairs_bring_their_games_and_counts)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t match = open_match(f, false);
    ck_ok(put(f, match, 0, 2, 1));
    ck_ok(put(f, match, 1, 2, 2));
    ck_ok(put(f, match, 2, 0, 1));
    ck_ok(store_commit(f->store, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games WHERE kind = 'match'"
                                      " AND state = 'finished' AND seq IS NOT NULL"),
                        6);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM positions WHERE z IS NOT NULL"), 36);
    ck_assert_double_eq(sql_number(f, "SELECT 100 * wins + 10 * draws + losses FROM matches"), 321);
    ck_assert_double_eq(sql_number(f, "SELECT distinct_games FROM matches"), 6);
    ck_assert_double_eq(sql_number(f, "SELECT score FROM match_results"), 0.6667);
    ck_assert_double_eq(sql_number(f, "SELECT pairs_half * 100 + pairs_one_and_half * 10 + pairs_2"
                                      " FROM match_results"),
                        111);
    /* even plies of the first game are net_a's */
    ck_assert_double_eq(
        sql_number(f,
                   "SELECT s.net_id FROM match_pairs m JOIN positions p ON p.game_id = m.first_game"
                   " JOIN searches s ON s.id = p.search_id WHERE m.pair = 1 AND p.ply = 2"),
        2);
    /* no window or count of self-play sees them */
    struct store_counts counts;
    ck_ok(store_read_counts(f->store, &counts, &f->err));
    ck_assert_int_eq(counts.positions, 0);
    ck_assert_int_eq(counts.games, 0);
    ck_assert_int_eq(counts.unfinished, 0);
    ck_ok(store_check_tallies(f->store, &f->err));
    fixture_close(f);
}
END_TEST

START_TEST(equal_fingerprints_count_once)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t match = open_match(f, false);
    struct store_pair pair;
    struct store_match_game games[2];
    make_pair(0, 2, 0, &pair, games);
    pair.fingerprints[1] = pair.fingerprints[0];
    ck_ok(store_put_pair(f->store, match, &pair, games, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT distinct_games FROM matches"), 1);
    fixture_close(f);
}
END_TEST

START_TEST(pair_that_comes_again_is_known_and_one_out_of_turn_leaves_nothing)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t match = open_match(f, false);
    ck_ok(put(f, match, 0, 2, 1));
    ck_assert_int_eq(put(f, match, 0, 2, 1), STORE_KNOWN);
    ck_assert_int_eq(put(f, match, 0, 2, 2), ERROR_CONFLICT);
    ck_assert_int_eq(put(f, match, 2, 2, 2), ERROR_INVALID);
    ck_assert_int_eq(put(f, 99, 0, 2, 2), ERROR_NOT_FOUND);
    ck_assert_int_eq(put(f, match, 1, 2, 3), ERROR_INVALID);
    /* A pair whose second game cannot be: its first game goes too. */
    struct store_pair pair;
    struct store_match_game games[2];
    make_pair(1, 1, 1, &pair, games);
    games[1].search[1].net_sha256 = "0000";
    ck_assert_int_eq(store_put_pair(f->store, match, &pair, games, &f->err), ERROR_NOT_FOUND);
    ck_assert_msg(strstr(f->err.text, "pair 1") != NULL, "%s", f->err.text);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), 2);
    ck_assert_double_eq(sql_number(f, "SELECT pairs FROM matches"), 1);
    ck_ok(put(f, match, 1, 1, 1));
    ck_ok(store_end_match(f->store, match, "counts", NAN, 9, &f->err));
    ck_assert_int_eq(store_end_match(f->store, match, "refused", NAN, 10, &f->err), STORE_KNOWN);
    ck_assert_int_eq(put(f, match, 2, 2, 2), ERROR_INVALID);
    ck_assert_double_eq(sql_number(f, "SELECT finished_at FROM matches WHERE verdict = 'counts'"),
                        9);
    fixture_close(f);
}
END_TEST

START_TEST(match_under_way_is_found_whoever_is_named_first)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store_match match = {0};
    int64_t id = open_match(f, true);
    ck_ok(put(f, id, 0, 2, 1));
    ck_assert_int_eq(store_find_match(f->store, 1, 2, &match, &f->err), 1);
    ck_assert_int_eq(match.id, id);
    ck_assert_int_eq(match.net_a, 2);
    ck_assert(match.gate);
    ck_assert_uint_eq(match.pairs, 1);
    ck_assert_uint_eq(match.planned_pairs, 10);
    ck_assert_str_eq(match.settings, "{\"nodes\":800}");
    store_match_finish(&match);
    ck_assert_int_eq(store_find_match(f->store, 1, 3, &match, &f->err), ERROR_NOT_FOUND);
    ck_ok(store_end_match(f->store, id, "rejected", -2.95, 9, &f->err));
    ck_assert_int_eq(store_find_match(f->store, 2, 1, &match, &f->err), 0);
    fixture_close(f);
}
END_TEST

static int sum_pairs(const struct store_pair *pair, void *context)
{
    uint64_t *sum = context;
    *sum = *sum * 100 + pair->pair * 10UL + pair->half_points[0] + pair->half_points[1];
    ck_assert_uint_eq(pair->fingerprints[1], UINT64_MAX - pair->pair);
    return pair->pair == 2 ? 77 : 0;
}

START_TEST(pairs_are_read_in_order)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    uint64_t sum = 0;
    int64_t match = open_match(f, false);
    ck_ok(put(f, match, 0, 2, 1));
    ck_ok(put(f, match, 1, 2, 2));
    ck_ok(store_read_pairs(f->store, match, sum_pairs, &sum, &f->err));
    ck_assert_uint_eq(sum, 314);
    ck_ok(put(f, match, 2, 0, 0));
    ck_assert_int_eq(store_read_pairs(f->store, match, sum_pairs, &sum, &f->err), 77);
    fixture_close(f);
}
END_TEST

static int add_results(const struct store_result *result, void *context)
{
    uint64_t *sums = context;
    for (int k = 0; k < 5; k++) {
        sums[k] += result->pairs[k];
    }
    return 0;
}

START_TEST(only_finished_matches_that_count_give_results)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    uint64_t sums[5] = {0};
    int64_t match = open_match(f, false);
    ck_ok(put(f, match, 0, 2, 1));
    ck_ok(store_read_results(f->store, 800, add_results, sums, &f->err));
    ck_assert_uint_eq(sums[3], 0);
    ck_ok(store_end_match(f->store, match, "counts", NAN, 9, &f->err));
    ck_ok(store_read_results(f->store, 400, add_results, sums, &f->err));
    ck_assert_uint_eq(sums[3], 0);
    ck_ok(store_read_results(f->store, 800, add_results, sums, &f->err));
    ck_assert_uint_eq(sums[3], 1);
    sqlite3_exec(store_handle(f->store), "UPDATE matches SET verdict = 'refused'", NULL, NULL,
                 NULL);
    ck_ok(store_read_results(f->store, 800, add_results, sums, &f->err));
    ck_assert_uint_eq(sums[3], 1);
    fixture_close(f);
}
END_TEST

START_TEST(ratings_are_replaced_whole_and_show_in_progress)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    const struct store_rating first[] = {{1, 0, 0, 10}, {2, 33.4, 12.2, 10}};
    const struct store_rating second[] = {{2, 50, 9, 20}};
    open_with_net(f);
    add_net(f, 1);
    ck_ok(store_put_ratings(f->store, first, 2, 100, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT elo FROM progress WHERE generation = 1"), 33);
    ck_assert_double_eq(sql_number(f, "SELECT elo_error FROM progress WHERE generation = 1"), 12);
    ck_ok(store_put_ratings(f->store, second, 1, 200, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM ratings"), 1);
    ck_assert_double_eq(sql_number(f, "SELECT at FROM ratings WHERE net_id = 2"), 200);
    fixture_close(f);
}
END_TEST

START_TEST(rejected_net_leaves_its_generation_and_is_what_is_trained_on)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store_net net = {0};
    int64_t id = 0;
    open_with_net(f);
    add_net(f, 1);
    struct store_net candidate = {.line = "main",
                                  .generation = 2,
                                  .parent_id = 2,
                                  .game = "connect4",
                                  .arch = (char[]){"{}"},
                                  .origin = "training",
                                  .file = "x",
                                  .state = "candidate"};
    make_sha256(50, candidate.sha256);
    ck_ok(store_add_net(f->store, &candidate, &id, &f->err));
    ck_ok(store_current_net(f->store, "main", &net, &f->err));
    ck_assert_int_eq(net.id, 2); /* a candidate takes nobody's place */
    store_net_finish(&net);
    ck_ok(store_set_net_state(f->store, id, "rejected", &f->err));
    ck_ok(store_trained_net(f->store, "main", &net, &f->err));
    ck_assert_int_eq(net.id, id);
    store_net_finish(&net);
    make_sha256(51, candidate.sha256); /* the same generation once more */
    ck_ok(store_add_net(f->store, &candidate, &id, &f->err));
    ck_ok(store_set_net_state(f->store, id, "current", &f->err));
    ck_ok(store_current_net(f->store, "main", &net, &f->err));
    ck_assert_int_eq(net.id, id);
    store_net_finish(&net);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM nets WHERE state = 'current'"), 1);
    ck_assert_double_eq(sql_number(f, "SELECT id FROM nets WHERE state = 'old' AND generation = 1"),
                        2);
    ck_ok(store_net_at(f->store, "main", 2, &net, &f->err));
    ck_assert_int_eq(net.id, id);
    store_net_finish(&net);
    ck_assert_int_eq(store_net_at(f->store, "main", 3, &net, &f->err), ERROR_NOT_FOUND);
    ck_assert_int_eq(store_set_net_state(f->store, 99, "old", &f->err), ERROR_NOT_FOUND);
    fixture_close(f);
}
END_TEST

START_TEST(store_without_pairs_gains_them_and_keeps_its_matches)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    open_match(f, false);
    ck_ok(store_commit(f->store, &f->err));
    fixture_undo_to(f, 1);
    fixture_reopen(f, STORE_WRITE);
    ck_assert_double_eq(sql_number(f, "PRAGMA user_version"), STORE_VERSION);
    ck_assert_double_eq(
        sql_number(f, "SELECT count(*) FROM match_results WHERE purpose = 'rating' AND net_a = 2"),
        1);
    ck_ok(put(f, 1, 0, 2, 0));
    fixture_close(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_matches");
    TCase *tests = tcase_create("store_matches");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, pairs_bring_their_games_and_counts);
    tcase_add_test(tests, equal_fingerprints_count_once);
    tcase_add_test(tests, pair_that_comes_again_is_known_and_one_out_of_turn_leaves_nothing);
    tcase_add_test(tests, match_under_way_is_found_whoever_is_named_first);
    tcase_add_test(tests, pairs_are_read_in_order);
    tcase_add_test(tests, only_finished_matches_that_count_give_results);
    tcase_add_test(tests, ratings_are_replaced_whole_and_show_in_progress);
    tcase_add_test(tests, rejected_net_leaves_its_generation_and_is_what_is_trained_on);
    tcase_add_test(tests, store_without_pairs_gains_them_and_keeps_its_matches);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
