/* The doctor's figures from real stores: right where they can be told by hand, safe where the rows are not. */
#include "daemon/doctor/doctor_read.h"

#include "random_net.h"
#include "store_fixture.h"
#include "tests/unit/run_suite.h"
#include "trainer/net/evaluator.h"

#include <sys/stat.h>

enum { GAMES = 60, PLIES = 8, POSITIONS = GAMES * PLIES, PAIRS = POSITIONS - GAMES };

static struct fixture fixture;
static struct fixture *f = &fixture;
static struct doctor_figures *figures;

static void sql(const char *text)
{
    char *message = NULL;
    ck_assert_msg(sqlite3_exec(store_handle(f->store), text, NULL, NULL, &message) == SQLITE_OK,
                  "%s: %s", text, message);
}

/* GAMES games of PLIES by net 0 behind the opening 44, each with moves of its own. */
static void setup(void)
{
    open_with_net(f);
    for (uint64_t i = 0; i < GAMES; i++) {
        put_game(f, i, PLIES, i % 2 == 0 ? 1 : -1, NULL);
    }
    ck_ok(store_commit(f->store, &f->err));
    sql("UPDATE searches SET settings = "
        "'{\"noise\":{\"share\":0.25},\"temperature\":{\"start\":1.0,"
        "\"floor\":0.2},\"resign\":{\"threshold\":0.9}}'");
    figures = malloc(sizeof(*figures));
}

static void teardown(void)
{
    free(figures);
    fixture_close(f);
}

static int read_figures(int64_t generation, const atomic_bool *stop)
{
    const struct doctor_source source = {.db = store_handle(f->store),
                                         .state_dir = f->folder,
                                         .generation = generation,
                                         .stop = stop};
    return doctor_read(&source, figures, &f->err);
}

START_TEST(correlations_are_those_of_the_rows_by_side)
{
    sql("UPDATE nets SET generation = 2");
    sql("UPDATE positions SET q = z, v = CASE WHEN (ply + (SELECT first_side FROM games WHERE id = "
        "game_id)) % 2 = 0 THEN z * 0.5 ELSE -z * 0.5 END");
    ck_ok(read_figures(-1, NULL));
    const struct doctor_games *g = &figures->games;
    ck_assert_uint_eq(g->games, GAMES);
    ck_assert_uint_eq(g->positions, POSITIONS);
    ck_assert_double_eq_tol(g->corr_qz[0], 1, 1e-9);
    ck_assert_double_eq_tol(g->corr_qz[1], 1, 1e-9);
    ck_assert_double_eq_tol(g->corr_vz[0], 1, 1e-9);
    ck_assert_double_eq_tol(g->corr_vz[1], -1, 1e-9);
    ck_assert_uint_eq(g->n_vz[0], GAMES);
    ck_assert_double_eq_tol(g->corr_next, 1, 1e-9); /* z alternates, q is z */
    ck_assert_uint_eq(g->n_next, PAIRS);
    ck_assert_uint_eq(g->n_won, GAMES);
    ck_assert_double_eq(g->noise_share, 0.25);
    ck_assert_double_eq(g->temperature, 1);
    ck_assert(figures->resigns.on);

    sql("UPDATE nets SET generation = 1"); /* a net of generation 1 need not know anything yet */
    ck_ok(read_figures(-1, NULL));
    ck_assert(isnan(figures->games.corr_vz[0]));
}
END_TEST

START_TEST(entropy_is_that_of_the_visits_and_proven_roots_do_not_count)
{
    const struct policy_entry even[] = {{0, 10}, {3, 10}};
    uint8_t bytes[RECORD_MAX_POLICY];
    char text[512] = "UPDATE positions SET kld = 0.5, policy = x'";
    int n = policy_encode(even, 2, bytes);
    for (int i = 0; i < n; i++) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%02x", bytes[i]);
    }
    strcat(text, "'");
    sql(text);
    ck_ok(read_figures(-1, NULL));
    ck_assert_double_eq_tol(figures->games.entropy, log(2), 1e-9);
    ck_assert_double_eq_tol(figures->games.log_moves, log(2), 1e-9);
    ck_assert_double_eq_tol(figures->games.kld, 0.5, 1e-6);
    ck_assert_uint_eq(figures->games.n_entropy, POSITIONS);
    sql("UPDATE positions SET proven = 1 WHERE ply > 0");
    ck_ok(read_figures(-1, NULL));
    ck_assert_uint_eq(figures->games.n_entropy, GAMES);
}
END_TEST

START_TEST(moves_of_an_opening_and_moves_that_were_played_are_the_same_game)
{
    sql("UPDATE positions SET action = (ply * 2) % 7");
    ck_ok(read_figures(-1, NULL));
    ck_assert_double_eq_tol(figures->games.distinct, 1.0 / GAMES, 1e-9);
    ck_assert_double_eq_tol(figures->games.prefixes, 1.0 / GAMES, 1e-9);
    ck_assert_double_eq_tol(figures->games.first_prefixes, 1.0 / GAMES, 1e-9);
    ck_assert_double_eq(figures->games.common_prefix, 1);
    ck_assert_uint_eq(figures->games.from_start, 0);
    sql("UPDATE positions SET action = game_id % 3 WHERE ply = 6"); /* behind the first eight */
    ck_ok(read_figures(-1, NULL));
    ck_assert_double_eq_tol(figures->games.distinct, 3.0 / GAMES, 1e-9);
    ck_assert_double_eq_tol(figures->games.prefixes, 1.0 / GAMES, 1e-9);
    sql("UPDATE positions SET action = game_id % 3 WHERE ply = 5"); /* the eighth, after 44 */
    ck_ok(read_figures(-1, NULL));
    ck_assert_double_eq_tol(figures->games.prefixes, 3.0 / GAMES, 1e-9);
    sql("UPDATE positions SET action = 5 WHERE ply = 6; UPDATE positions SET action = 3 WHERE ply "
        "= 5");
    /* One of them begins at the usual start with 4, 4 (columns 3, 3) as its first moves. */
    sql("UPDATE games SET opening = '', plies = 10 WHERE id = 1");
    sql("UPDATE positions SET ply = ply + 20 WHERE game_id = 1");
    sql("UPDATE positions SET ply = ply - 18 WHERE game_id = 1");
    sql("INSERT INTO positions(game_id, ply, search_id, action, q, z, nodes, kind) VALUES"
        "(1, 0, 1, 3, 0, 1, 800, 'full'), (1, 1, 1, 3, 0, -1, 800, 'full')");
    ck_ok(read_figures(-1, NULL));
    ck_assert_uint_eq(figures->games.from_start, 1);
    ck_assert_double_eq_tol(figures->games.distinct, 1.0 / GAMES, 1e-9);
    ck_assert_double_eq_tol(figures->games.prefixes, 1.0 / GAMES, 1e-9);
}
END_TEST

START_TEST(resignations_that_were_mistakes_are_counted)
{
    sql("UPDATE games SET would_resign_ply = 2, would_resign_side = 0, reason = 'rules'");
    ck_ok(read_figures(-1, NULL));
    ck_assert_uint_eq(figures->resigns.played, GAMES);
    ck_assert_uint_eq(figures->resigns.mistook,
                      GAMES / 2); /* the first player won every other one */
    sql("UPDATE games SET reason = 'resign' WHERE id % 2 = 0");
    ck_ok(read_figures(-1, NULL));
    ck_assert_uint_eq(figures->resigns.played, GAMES / 2);
}
END_TEST

START_TEST(a_generations_figures_end_when_its_net_was_made)
{
    add_net(f, 1); /* created_at 1001, before all games */
    sql("UPDATE nets SET created_at = 5029 WHERE generation = 1"); /* games end at 5000 + i */
    add_net(f, 2);
    sql("UPDATE nets SET created_at = 9000 WHERE generation = 2");
    ck_ok(read_figures(1, NULL));
    ck_assert_uint_eq(figures->generation, 1);
    ck_assert_uint_eq(figures->games.games, 30);
    ck_assert(!figures->now && !figures->disk.known && !figures->live.known);
    ck_ok(read_figures(-1, NULL));
    ck_assert_uint_eq(figures->generation, 2);
    ck_assert_uint_eq(figures->games.games, GAMES);
    ck_assert(figures->now && figures->disk.known && figures->disk.free_bytes > 0);
    ck_assert_int_eq(read_figures(7, NULL), ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(f->err.text, "no generation 7"));
}
END_TEST

START_TEST(newest_nets_file_is_compared_with_what_was_recorded)
{
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, NET_VALUE_WDL, 5, 1);
    struct evaluator *evaluator = NULL;
    char folder[96];
    char sha256[RECORD_SHA256_BYTES];
    char text[256];
    snprintf(folder, sizeof folder, "%s/nets", f->folder);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_ok(net_save_by_hash(net, folder, sha256, &f->err));
    snprintf(text, sizeof text, "UPDATE nets SET sha256 = '%s', file = 'nets/%s.safetensors'",
             sha256, sha256);
    sql(text);
    sql("UPDATE positions SET v = 0");
    ck_ok(read_figures(-1, NULL));
    ck_assert_str_eq(figures->net.trouble, "");
    ck_assert_uint_eq(figures->net.positions, DOCTOR_COMPARED);
    ck_assert_double_gt(figures->net.difference, 0.001);
    ck_assert_int_eq(figures->net.rounding, DOCTOR_FP32);
    sql("UPDATE searches SET kernel = 'winograd-bf16/avx512'");
    ck_ok(read_figures(-1, NULL));
    ck_assert_int_eq(figures->net.rounding, DOCTOR_BF16_POINTS);
    sql("UPDATE searches SET kernel = 'direct-bf16/amx'");
    ck_ok(read_figures(-1, NULL));
    ck_assert_int_eq(figures->net.rounding, DOCTOR_BF16_CELLS);

    /* A position and its mirror image, of which the net is shown one. */
    struct doctor_sampled *two = calloc(1, sizeof *two);
    struct doctor_net compared = {.trouble = ""};
    ck_ok(evaluator_create(game, net, 1, &evaluator, &f->err));
    for (two->n = 0; two->n < 2; two->n++) {
        struct evaluation evaluation;
        uint16_t legal[GAME_MAX_LEGAL];
        const char *why = NULL;
        void *state = &two->states[two->n];
        ck_assert(game->init(state, two->n == 0 ? "112" : "776", &why));
        const struct evaluator_request request = {
            .state = state, .n_legal = game->legal(state, legal), .legal = legal};
        evaluator_run(evaluator, &request, 1, &evaluation);
        two->v[two->n] = evaluation.v;
    }
    ck_assert(game->is_canonical(&two->states[0]) != game->is_canonical(&two->states[1]));
    snprintf(text, sizeof text, "%s/%s.safetensors", folder, sha256);
    doctor_net_compare(game, text, two, &compared);
    ck_assert_uint_eq(compared.positions, 2);
    ck_assert_double_lt(compared.difference, 1e-5);

    ck_assert_int_eq(truncate(text, 1000), 0); /* damaged meanwhile */
    ck_ok(read_figures(-1, NULL));
    ck_assert_str_ne(figures->net.trouble, "");
    unlink(text);
    ck_ok(read_figures(-1, NULL));
    ck_assert_str_ne(figures->net.trouble, "");
    sql("UPDATE nets SET state = 'removed'"); /* by whoever needed the space: no damage */
    sql("UPDATE nets SET state = 'current' WHERE generation = 0 AND 0");
    ck_ok(read_figures(-1, NULL));
    ck_assert_str_eq(figures->net.trouble, "");
    rmdir(folder);
    evaluator_destroy(evaluator);
    net_destroy(net);
    free(two);
}
END_TEST

START_TEST(growth_is_told_from_all_moves_not_from_those_that_teach)
{
    const double day_s = 86400;
    const double hour_s = (GAMES - 1) * 60.0;
    sql("UPDATE games SET finished_at = 1000 + seq * 60000");
    sql("UPDATE game_tallies SET positions = positions / 4"); /* as with playout caps */
    ck_ok(read_figures(-1, NULL));
    ck_assert(figures->disk.known);
    ck_assert_double_gt(figures->disk.store_bytes, 0);
    double expected = figures->disk.store_bytes * (GAMES - 1) / GAMES * day_s / hour_s;
    ck_assert_double_eq_tol(figures->disk.bytes_per_day / expected, 1, 1e-9);
}
END_TEST

START_TEST(rows_that_cannot_be_do_no_harm)
{
    static const char *const damages[] = {
        "UPDATE positions SET policy = x'ff00ff00ff'",
        "UPDATE positions SET policy = x'01'",
        "UPDATE positions SET policy = NULL, q = NULL, v = NULL, kld = NULL",
        "UPDATE positions SET action = 60000",
        "UPDATE positions SET action = -1",
        "UPDATE positions SET q = 1e300 WHERE ply = 2",
        "UPDATE games SET opening = '4494949449'",
        "UPDATE games SET opening = printf('%10000s', 'x')",
        "UPDATE searches SET settings = 'no json'",
        "UPDATE searches SET settings = '{\"noise\": 7, \"temperature\": []}'",
        "DELETE FROM positions WHERE game_id % 3 = 0",
        "UPDATE games SET finished_at = NULL",
        "UPDATE games SET first_side = 1",
        "DELETE FROM positions",
    };
    sql("PRAGMA foreign_keys = OFF");
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct doctor_report *report = malloc(sizeof *report);
        sql(damages[i]);
        int r = read_figures(-1, NULL);
        ck_assert_msg(r == 0 || r == ERROR_IO, "%s: %d %s", damages[i], r, f->err.text);
        doctor_diagnose(figures, report);
        free(report);
    }
}
END_TEST

START_TEST(it_stops_when_it_is_told)
{
    atomic_bool stop = true;
    ck_assert_int_eq(read_figures(-1, &stop), ERROR_CANCELLED);
}
END_TEST

START_TEST(store_without_anything_has_no_figures_and_no_alarms)
{
    fixture_close(f);
    fixture_open(f);
    ck_assert_int_eq(read_figures(-1, NULL), ERROR_NOT_FOUND);
    add_net(f, 0);
    ck_ok(store_commit(f->store, &f->err));
    struct doctor_report *report = malloc(sizeof *report);
    ck_ok(read_figures(-1, NULL));
    doctor_diagnose(figures, report);
    ck_assert_uint_eq(doctor_count(report, DOCTOR_RED), 0);
    free(report);
}
END_TEST

static void count_alarm(const char *check, void *context)
{
    ck_assert_str_eq(check, "disk");
    ++*(int *)context;
}

START_TEST(alarms_are_the_checks_that_were_red_and_have_not_been_green_since)
{
    int n = 0;
    sql("INSERT INTO diagnoses VALUES(1, 1, 'disk', 'red', 1, '', ''), (2, 1, 'disk', 'yellow', 1, "
        "'', ''), (1, 1, 'stall', 'red', 1, '', ''), (2, 1, 'stall', 'green', 1, '', ''), "
        "(3, 1, 'gate', 'yellow', 1, '', '')");
    ck_ok(doctor_read_alarms(store_handle(f->store), count_alarm, &n, &f->err));
    ck_assert_int_eq(n, 1);
}
END_TEST

START_TEST(processor_time_is_that_of_the_process)
{
    int64_t before = doctor_process_ms((int)getpid());
    volatile double sum = 0;
    ck_assert_int_ge(before, 0);
    while (doctor_process_ms((int)getpid()) < before + 100) {
        for (int i = 0; i < 100000; i++) {
            sum = sum + i;
        }
    }
    ck_assert_int_eq(doctor_process_ms(0x7ffffff0), -1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        correlations_are_those_of_the_rows_by_side,
        entropy_is_that_of_the_visits_and_proven_roots_do_not_count,
        moves_of_an_opening_and_moves_that_were_played_are_the_same_game,
        resignations_that_were_mistakes_are_counted,
        a_generations_figures_end_when_its_net_was_made,
        newest_nets_file_is_compared_with_what_was_recorded,
        growth_is_told_from_all_moves_not_from_those_that_teach,
        rows_that_cannot_be_do_no_harm,
        it_stops_when_it_is_told,
        store_without_anything_has_no_figures_and_no_alarms,
        alarms_are_the_checks_that_were_red_and_have_not_been_green_since,
        processor_time_is_that_of_the_process,
    };
    Suite *suite = suite_create("doctor_read");
    TCase *reads = tcase_create("doctor_read");
    tcase_set_timeout(reads, 60);
    tcase_add_checked_fixture(reads, setup, teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        tcase_add_test(reads, tests[i]);
    }
    suite_add_tcase(suite, reads);
    return run_suite(suite);
}
