#include "daemon/writer/match_tasks.h"
#include "daemon/writer/rate.h"

#include "storage/record_message.h"
#include "store_fixture.h"
#include "tests/unit/run_suite.h"

static const struct config_opponents usual = {
    .n = 5, .back = {1, 5, 10, CONFIG_OPPONENT_FIRST, CONFIG_OPPONENT_UNIFORM}};

static void done(struct storage_task *task, int result, const struct error *err)
{
    (void)task;
    (void)result;
    (void)err;
}

static int64_t add_line_net(struct fixture *f, const char *line, uint32_t generation,
                            const char *origin, const char *state)
{
    int64_t id = 0;
    struct store_net net = {
        .generation = generation, .game = "connect4", .arch = (char[]){"{}"}, .file = "f"};
    snprintf(net.line, sizeof net.line, "%s", line);
    snprintf(net.origin, sizeof net.origin, "%s", origin);
    snprintf(net.state, sizeof net.state, "%s", state);
    make_sha256(1000 + generation + (line[0] == 'u' ? 500 : 0), net.sha256);
    ck_ok(store_add_net(f->store, &net, &id, &f->err));
    return id;
}

/* Generations 0 .. newest of line main (ids 1 ..), then the uniform net. */
static int64_t open_line(struct fixture *f, uint32_t newest, const char *origin)
{
    fixture_open(f);
    for (uint32_t generation = 0; generation <= newest; generation++) {
        add_line_net(f, "main", generation, generation == 0 ? origin : "training", "current");
    }
    return add_line_net(f, "uniform", 0, "new", "current");
}

/* The next match of the net; the caller destroys it. */
static struct match_plan_task *plan(struct fixture *f, int64_t net, bool gate)
{
    struct match_plan_task *task = match_plan_create(done, NULL);
    ck_assert_ptr_nonnull(task);
    task->net_id = net;
    task->gate = gate;
    task->at = 5;
    task->opponents = usual;
    task->pairs = 7;
    task->nodes = 800;
    task->settings = strdup("{\"nodes\":800}");
    ck_ok(task->task.apply(&task->task, f->store, &f->err));
    return task;
}

/* Whom the net plays next; that match ends. 0: nobody. */
static int64_t play_next(struct fixture *f, int64_t net)
{
    struct match_plan_task *task = plan(f, net, false);
    int64_t opponent = task->match.id == 0 ? 0 : task->match.net_b;
    if (opponent != 0) {
        ck_assert_int_eq(task->match.net_a, net);
        ck_assert_int_eq(task->a.id, net);
        ck_assert_int_eq(task->b.id, opponent);
        ck_assert_uint_eq(task->match.planned_pairs, 7);
        ck_assert_int_ge(store_end_match(f->store, task->match.id, "counts", NAN, 9, &f->err), 0);
    }
    task->task.destroy(&task->task);
    return opponent;
}

START_TEST(net_meets_each_opponent_once_and_the_uniform_net_for_a_new_first_one)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t uniform = open_line(f, 12, "new");
    const int64_t expected[] = {12, 8, 3, uniform, 0}; /* generations 11, 7, 2 */
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(play_next(f, 13), expected[i]);
    }
    const int64_t young[] = {2, uniform,
                             0}; /* of generation 2: 1 back; 2 back is none of 5 and 10 */
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(play_next(f, 3), young[i]);
    }
    ck_assert_int_eq(play_next(f, 1), 0);       /* generation 0 waits for the others */
    ck_assert_int_eq(play_next(f, 2), uniform); /* one back is generation 0: the same */
    ck_assert_int_eq(play_next(f, 2), 0);
    fixture_close(f);
}
END_TEST

START_TEST(imported_first_net_is_a_player_of_its_own)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t uniform = open_line(f, 3, "import");
    const int64_t expected[] = {3, 1, uniform, 0};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(play_next(f, 4), expected[i]);
    }
    ck_assert_int_eq(play_next(f, 1), uniform);
    fixture_close(f);
}
END_TEST

START_TEST(rejected_and_removed_nets_are_passed_over)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t uniform = open_line(f, 6, "new");
    ck_ok(store_set_net_state(f->store, 2, "removed", &f->err)); /* five back */
    int64_t rejected = add_line_net(f, "main", 60, "training", "rejected");
    (void)rejected;
    ck_assert_int_eq(play_next(f, 7), 6);
    ck_assert_int_eq(play_next(f, 7), uniform);
    ck_assert_int_eq(play_next(f, 7), 0);
    struct match_plan_task *task = match_plan_create(done, NULL);
    task->net_id = 2;
    task->opponents = usual;
    task->settings = strdup("{}");
    ck_assert_int_eq(task->task.apply(&task->task, f->store, &f->err), ERROR_NOT_FOUND);
    task->task.destroy(&task->task);
    fixture_close(f);
}
END_TEST

/* ---- pairs as messages ---- */
enum { PLIES = 6 };
struct told {
    Qzd__MatchPair pair;
    Qzd__Game games[2], *list[2];
    Qzd__GameStart starts[2];
    Qzd__GameEnd ends[2];
    Qzd__Search searches[2][2];
    Qzd__Position positions[2][PLIES], *position_list[2][PLIES];
    struct record_start start[2];
    struct record_end end[2];
    struct record_position record[2][PLIES];
    uint32_t half_points[2];
    uint64_t fingerprints[2];
};

static char digits[2][RECORD_SHA256_BYTES];

static void tell(struct fixture *f, struct told *t, int64_t match, uint32_t number,
                 const int64_t nets[2])
{
    memset(t, 0, sizeof *t);
    qzd__match_pair__init(&t->pair);
    for (int k = 0; k < 2; k++) {
        struct store_net net = {0};
        ck_ok(store_get_net(f->store, nets[k], &net, &f->err));
        memcpy(digits[k], net.sha256, sizeof digits[k]);
        store_net_finish(&net);
    }
    for (int k = 0; k < 2; k++) {
        uint64_t random = 7UL * number + (uint64_t)k;
        t->start[k] = make_start(100 * (uint64_t)match + 2UL * number + (uint64_t)k);
        t->start[k].kind = GAME_MATCH;
        t->start[k].first_side = 0;
        t->end[k] = make_end(PLIES, 1, 50); /* the first player wins both */
        t->half_points[k] = k == 0 ? 2 : 0;
        t->fingerprints[k] = 1000 * (uint64_t)match + 2UL * number + (uint64_t)k;
        qzd__game__init(&t->games[k]);
        record_start_to_message(&t->start[k], &t->starts[k]);
        record_end_to_message(t->start[k].uid, &t->end[k], &t->ends[k]);
        for (int i = 0; i < 2; i++) {
            struct record_search search = make_search(digits[k ^ i]);
            record_search_to_message(&search, &t->searches[k][i]);
        }
        for (uint32_t ply = 0; ply < PLIES; ply++) {
            t->record[k][ply] = make_position(&random, ply);
            record_position_to_message(t->start[k].uid, &t->record[k][ply], &t->positions[k][ply]);
            t->positions[k][ply].search = &t->searches[k][ply % 2];
            t->position_list[k][ply] = &t->positions[k][ply];
        }
        t->games[k].start = &t->starts[k];
        t->games[k].end = &t->ends[k];
        t->games[k].n_positions = PLIES;
        t->games[k].positions = t->position_list[k];
        t->list[k] = &t->games[k];
    }
    t->pair.match_id = match;
    t->pair.pair = number;
    t->pair.n_half_points = t->pair.n_fingerprints = t->pair.n_games = 2;
    t->pair.half_points = t->half_points;
    t->pair.fingerprints = t->fingerprints;
    t->pair.games = t->list;
}

static int put(struct fixture *f, const struct told *t)
{
    struct storage_task *task = match_pair_create(&t->pair, done, NULL);
    ck_assert_ptr_nonnull(task);
    int r = task->apply(task, f->store, &f->err);
    task->destroy(task);
    return r;
}

START_TEST(match_under_way_goes_on_with_the_pairs_that_are_there)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct told told;
    open_line(f, 3, "new");
    struct match_plan_task *task = plan(f, 4, false);
    int64_t match = task->match.id;
    ck_assert_uint_eq(task->n_known, 0);
    task->task.destroy(&task->task);
    for (uint32_t i = 0; i < 3; i++) {
        tell(f, &told, match, i, (int64_t[]){4, 3});
        ck_ok(put(f, &told));
    }
    task = plan(f, 4, false);
    ck_assert_int_eq(task->match.id, match);
    ck_assert_uint_eq(task->n_known, 3);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(task->half_points[2UL * i], 2);
        ck_assert_uint_eq(task->half_points[2UL * i + 1], 0);
        ck_assert_uint_eq(task->fingerprints[2UL * i + 1], 1000 * (uint64_t)match + 2UL * i + 1);
    }
    /* applied once more, as after a rollback: the same */
    ck_ok(task->task.apply(&task->task, f->store, &f->err));
    ck_assert_uint_eq(task->n_known, 3);
    task->task.destroy(&task->task);
    fixture_close(f);
}
END_TEST

START_TEST(pair_that_makes_no_sense_is_refused_whole)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct told told;
    const int64_t nets[2] = {4, 3};
    open_line(f, 3, "new");
    struct match_plan_task *task = plan(f, 4, false);
    int64_t match = task->match.id;
    task->task.destroy(&task->task);
#define REFUSED(change)                                                      \
    do {                                                                     \
        tell(f, &told, match, 0, nets);                                      \
        change;                                                              \
        ck_assert_int_lt(put(f, &told), 0);                                  \
        ck_assert_str_ne(f->err.text, "");                                   \
        ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), 0); \
    } while (0)
    REFUSED(told.half_points[0] = 1); /* the game says 2 */
    REFUSED(told.pair.n_games = 1);
    REFUSED(told.pair.n_half_points = 1);
    REFUSED(told.pair.n_fingerprints = 0);
    REFUSED(told.games[1].n_positions = 5);
    REFUSED(told.positions[0][3].search = NULL);
    REFUSED(told.starts[1].kind = (char[]){"selfplay"});
    REFUSED(told.ends[1].plies = 0);
    REFUSED(told.positions[1][2].ply = 9);
    REFUSED(told.pair.match_id = 99);
#undef REFUSED
    tell(f, &told, match, 0, nets);
    ck_ok(put(f, &told));
    fixture_close(f);
}
END_TEST

START_TEST(gate_ends_with_what_becomes_of_its_candidate)
{
    static const char *const states[] = {"current", "rejected", "rejected"};
    const enum gate_verdict verdicts[] = {GATE_ACCEPTED, GATE_REJECTED, GATE_REFUSED};
    for (int i = 0; i < 3; i++) {
        struct fixture fixture;
        struct fixture *f = &fixture;
        open_line(f, 3, "new");
        int64_t candidate = add_line_net(f, "main", 4, "training", "candidate");
        struct match_plan_task *task = plan(f, candidate, true);
        ck_assert(task->match.gate);
        ck_assert_int_eq(task->match.net_b, 4);
        struct match_end_task *end = match_end_create(done, NULL);
        end->match_id = task->match.id;
        end->candidate = candidate;
        end->verdict = verdicts[i];
        task->task.destroy(&task->task);
        ck_ok(end->task.apply(&end->task, f->store, &f->err));
        ck_ok(end->task.apply(&end->task, f->store, &f->err)); /* after a rollback */
        ck_assert_str_eq(end->net.state, states[i]);
        end->task.destroy(&end->task);
        ck_assert_double_eq(sql_number(f, "SELECT max(generation) FROM nets WHERE state = 'current'"
                                          " AND line = 'main'"),
                            i == 0 ? 4 : 3);
        fixture_close(f);
    }
}
END_TEST

/* ---- ratings ---- */
static const struct store_rating *rating_of(const struct store_rating *ratings, size_t n,
                                            int64_t net)
{
    for (size_t i = 0; i < n; i++) {
        if (ratings[i].net_id == net) {
            return &ratings[i];
        }
    }
    return NULL;
}

/* Net a wins both games of n pairs. */
static void sweep(struct fixture *f, int64_t a, int64_t b, uint32_t n)
{
    struct told told;
    int64_t id = 0;
    const struct store_match match = {
        .net_a = a, .net_b = b, .nodes = 800, .planned_pairs = n, .settings = (char[]){"{}"}};
    ck_ok(store_begin_match(f->store, &match, &id, &f->err));
    for (uint32_t i = 0; i < n; i++) {
        tell(f, &told, id, i, (int64_t[]){a, b});
        told.half_points[1] = 2;
        told.ends[1].first_player_outcome = -1;
        ck_ok(put(f, &told));
    }
    ck_ok(store_end_match(f->store, id, "counts", NAN, 9, &f->err));
}

START_TEST(ratings_take_the_uniform_net_and_a_new_first_one_for_the_same)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store_rating *ratings = NULL;
    size_t n = 0;
    int64_t uniform = open_line(f, 3, "new");
    ck_ok(rate_store(f->store, 800, &ratings, &n, &f->err));
    ck_assert_uint_eq(n, 0);
    ck_assert_ptr_null(ratings);
    sweep(f, 2, uniform, 4);
    sweep(f, 3, 2, 4);
    ck_ok(rate_store(f->store, 800, &ratings, &n, &f->err));
    ck_assert_uint_eq(n, 4); /* net 4 has not played */
    ck_assert_double_eq(rating_of(ratings, n, 1)->elo, 0);
    ck_assert_double_eq(rating_of(ratings, n, uniform)->elo, 0);
    double step = 400 * log10(8.5 / 0.5);
    ck_assert_double_eq_tol(rating_of(ratings, n, 2)->elo, step, 1e-4);
    ck_assert_double_eq_tol(rating_of(ratings, n, 3)->elo, 2 * step, 1e-4);
    ck_assert_double_gt(rating_of(ratings, n, 3)->error, rating_of(ratings, n, 2)->error);
    ck_assert_uint_eq(rating_of(ratings, n, 2)->games, 16);
    struct storage_task *task = match_ratings_create(ratings, n, 77);
    ck_assert_int_ge(task->apply(task, f->store, &f->err), 0);
    task->destroy(task);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM ratings WHERE at = 77"), 4);
    fixture_close(f);
}
END_TEST

START_TEST(imported_first_net_is_rated_apart_from_the_uniform_one)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store_rating *ratings = NULL;
    size_t n = 0;
    int64_t uniform = open_line(f, 1, "import");
    sweep(f, 1, uniform, 4);
    ck_ok(rate_store(f->store, 800, &ratings, &n, &f->err));
    ck_assert_double_eq(rating_of(ratings, n, 1)->elo, 0);
    ck_assert_double_lt(rating_of(ratings, n, uniform)->elo, -200);
    free(ratings);
    fixture_close(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("match_tasks");
    TCase *tests = tcase_create("match_tasks");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, net_meets_each_opponent_once_and_the_uniform_net_for_a_new_first_one);
    tcase_add_test(tests, imported_first_net_is_a_player_of_its_own);
    tcase_add_test(tests, rejected_and_removed_nets_are_passed_over);
    tcase_add_test(tests, match_under_way_goes_on_with_the_pairs_that_are_there);
    tcase_add_test(tests, pair_that_makes_no_sense_is_refused_whole);
    tcase_add_test(tests, gate_ends_with_what_becomes_of_its_candidate);
    tcase_add_test(tests, ratings_take_the_uniform_net_and_a_new_first_one_for_the_same);
    tcase_add_test(tests, imported_first_net_is_rated_apart_from_the_uniform_one);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
