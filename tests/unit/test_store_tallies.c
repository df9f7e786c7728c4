/* Random operations against a naive model in plain arrays; from it the tallies, the window and both
 * views are computed the slow way. */
#include "store_fixture.h"

#include "tests/unit/run_suite.h"

enum { N_GAMES = 60, N_NETS = 3, MAX_PLIES = 24 };

struct model_game {
    struct record_start start;
    struct record_position positions[MAX_PLIES];
    int net[MAX_PLIES]; /* -1: no search */
    uint32_t n;
    bool started, ended, abandoned;
    int64_t seq;
    struct record_end end;
};

struct model {
    uint64_t random;
    int64_t last_seq;
    char sha256[N_NETS][RECORD_SHA256_BYTES];
    struct model_game games[N_GAMES];
};

static int z_of(const struct model_game *game, uint32_t ply)
{
    int side = (int)(game->start.first_side + ply) % 2;
    return side == 0 ? game->end.first_player_outcome : -game->end.first_player_outcome;
}

/* ---- operations ---- */

static void start(struct fixture *f, struct model *m, uint32_t g)
{
    struct model_game *game = &m->games[g];
    game->start = make_start(g);
    uint32_t dice = draw_below(&m->random, 10);
    game->start.kind = dice == 0 ? GAME_MATCH : dice == 1 ? GAME_IMPORT : GAME_SELFPLAY;
    ck_ok(store_put_start(f->store, &game->start, 4, &f->err));
    game->started = true;
}

static void move(struct fixture *f, struct model *m, struct model_game *game)
{
    struct record_position p = make_position(&m->random, game->n);
    int net = (int)draw_below(&m->random, N_NETS);
    uint32_t dice = draw_below(&m->random, 12);
    if (game->start.kind == GAME_IMPORT) {
        p.kind = POSITION_IMPORT;
        net = -1;
    } else if (dice < 3) {
        p.kind = dice == 0 ? POSITION_FORCED : POSITION_FAST;
    } else if (dice == 3) {
        p.q = p.d = NAN;
    } else if (dice == 4) {
        p.proven = (int8_t)((int)draw_below(&m->random, 3) - 1);
        p.q = p.proven;
    } else if (dice == 5) {
        p.kld = NAN;
    }
    struct record_search search = make_search(m->sha256[net < 0 ? 0 : net]);
    ck_ok(store_put_position(f->store, game->start.uid, net < 0 ? NULL : &search, &p, &f->err));
    game->positions[game->n] = p;
    game->net[game->n++] = net;
}

static void end(struct fixture *f, struct model *m, struct model_game *game)
{
    game->end = make_end(game->n, (int)draw_below(&m->random, 3) - 1,
                         (int64_t)draw_below(&m->random, 1000));
    ck_ok(store_put_end(f->store, game->start.uid, &game->end, &f->err));
    game->ended = true;
    game->seq = ++m->last_seq;
}

static void step(struct fixture *f, struct model *m)
{
    uint32_t g = draw_below(&m->random, N_GAMES);
    struct model_game *game = &m->games[g];
    uint32_t dice = draw_below(&m->random, 100);
    if (!game->started) {
        start(f, m, g);
    } else if (game->ended) {
        ck_assert_int_eq(store_put_end(f->store, game->start.uid, &game->end, &f->err),
                         STORE_KNOWN);
    } else if (game->abandoned) {
        ck_assert_int_lt(store_put_end(f->store, game->start.uid, &game->end, &f->err), 0);
    } else if (dice < 2) {
        ck_ok(store_abandon_game(f->store, game->start.uid, &f->err));
        game->abandoned = true;
    } else if (game->n == MAX_PLIES || dice < 8) {
        end(f, m, game);
    } else {
        move(f, m, game);
    }
}

/* ---- the slow way ---- */

/* The correlation of x and y, as a view rounds it. */
struct moments {
    double n, x, y, xx, yy, xy, abs_diff;
};

static void add_moment(struct moments *m, double x, double y)
{
    m->n++;
    m->x += x;
    m->y += y;
    m->xx += x * x;
    m->yy += y * y;
    m->xy += x * y;
    m->abs_diff += fabs(x - y);
}

static double covariance(const struct moments *m)
{
    return m->n * m->xy - m->x * m->y;
}

static double correlation(const struct moments *m)
{
    return covariance(m) / sqrt((m->n * m->xx - m->x * m->x) * (m->n * m->yy - m->y * m->y));
}

struct naive {
    double games, plies, first_wins, draws, positions, fast, proven, nodes, kld;
    struct moments qz, vz;
};

/* What net played at (ply, proven), both -1 for all. */
static struct naive count(const struct model *m, int net, int ply, int proven)
{
    struct naive sum;
    memset(&sum, 0, sizeof sum);
    for (int g = 0; g < N_GAMES; g++) {
        const struct model_game *game = &m->games[g];
        if (!game->ended || game->start.kind != GAME_SELFPLAY) {
            continue;
        }
        if (game->n > 0 && game->net[game->n - 1] == net) {
            sum.games++;
            sum.plies += game->n;
            sum.first_wins += game->end.first_player_outcome == 1;
            sum.draws += game->end.first_player_outcome == 0;
        }
        for (uint32_t i = 0; i < game->n; i++) {
            const struct record_position *p = &game->positions[i];
            if (game->net[i] != net || (ply >= 0 && (int)i != ply) ||
                (proven >= 0 && (p->proven != PROVEN_NONE) != proven)) {
                continue;
            }
            sum.fast += p->kind == POSITION_FAST;
            if (p->kind != POSITION_FULL) {
                continue;
            }
            sum.positions++;
            sum.proven += p->proven != PROVEN_NONE;
            sum.nodes += p->nodes;
            sum.kld += isnan(p->kld) ? 0.0 : round((double)p->kld * 1e6);
            if (!isnan(p->q)) {
                add_moment(&sum.qz, (double)p->q, z_of(game, i));
                add_moment(&sum.vz, (double)p->v, z_of(game, i));
            }
        }
    }
    return sum;
}

static double number_of(struct fixture *f, const char *column, const char *from, int64_t a, int b,
                        int c)
{
    char sql[300];
    char where[200];
    snprintf(where, sizeof where, from, (long long)a, b, c);
    snprintf(sql, sizeof sql, "SELECT coalesce(max(%s), 0) FROM %s", column, where);
    return sql_number(f, sql);
}

static void check_net_tallies(struct fixture *f, const struct model *m, const char *about)
{
    for (int net = 0; net < N_NETS; net++) {
        struct naive n = count(m, net, -1, -1);
        const struct {
            const char *column;
            double value;
        } expected[] = {
            {"games", n.games},         {"plies", n.plies},   {"first_wins", n.first_wins},
            {"draws", n.draws},         {"proven", n.proven}, {"positions", n.positions},
            {"fast_positions", n.fast}, {"nodes", n.nodes},   {"sum_kld", n.kld},
        };
        for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
            double got =
                number_of(f, expected[i].column, "net_tallies WHERE net_id = %lld", net + 1, 0, 0);
            ck_assert_msg(got == expected[i].value, "%s, net %d, %s: %.0f, not %.0f", about, net,
                          expected[i].column, got, expected[i].value);
        }
    }
}

static void check_window(struct fixture *f, struct model *m, const char *about)
{
    int64_t last = m->last_seq - (int64_t)draw_below(&m->random, 3);
    int64_t wanted = (int64_t)draw_below(&m->random, 400);
    int64_t first = 0;
    int64_t n = 0;
    int64_t expected_first = last + 1;
    int64_t expected_n = 0;
    for (int64_t seq = last; seq > 0; seq--) {
        int g = 0;
        while (m->games[g].seq != seq) {
            g++;
        }
        if (m->games[g].start.kind == GAME_MATCH) {
            continue;
        }
        int64_t full = 0;
        for (uint32_t i = 0; i < m->games[g].n; i++) {
            enum position_kind kind = m->games[g].positions[i].kind;
            full += kind == POSITION_FULL || kind == POSITION_IMPORT;
        }
        if (expected_n + full > wanted) {
            break;
        }
        expected_n += full;
        expected_first = seq;
    }
    ck_ok(store_window(f->store, last, wanted, &first, &n, &f->err));
    ck_assert_msg(first == expected_first && n == expected_n, "%s: %lld, %lld", about,
                  (long long)first, (long long)n);
}

static void check_close(const char *about, const char *what, double got, double expected)
{
    /* rounded to four places; sums of millionths, each off by half of one at most */
    bool same = isnan(expected) || isinf(expected) ? isnan(got) : fabs(got - expected) < 1.2e-4;
    ck_assert_msg(same, "%s, %s: %.6f, not %.6f", about, what, got, expected);
}

static void check_views(struct fixture *f, const struct model *m, const char *about)
{
    for (int net = 0; net < N_NETS; net++) {
        struct naive n = count(m, net, -1, -1);
        const char *from = "progress WHERE net_id = %lld";
        if (n.games == 0 || n.qz.n < 3) {
            continue;
        }
        check_close(about, "plies / 100", number_of(f, "plies / 100", from, net + 1, 0, 0),
                    round(n.plies / n.games * 100) / 1e4);
        check_close(about, "first_player_score",
                    number_of(f, "first_player_score", from, net + 1, 0, 0),
                    (n.first_wins + 0.5 * n.draws) / n.games);
        check_close(about, "draws", number_of(f, "draws", from, net + 1, 0, 0), n.draws / n.games);
        check_close(about, "mean_abs_qz", number_of(f, "mean_abs_qz", from, net + 1, 0, 0),
                    n.qz.abs_diff / n.qz.n);
        check_close(about, "corr_qz", number_of(f, "1 + corr_qz", from, net + 1, 0, 0),
                    1 + correlation(&n.qz));
        check_close(about, "corr_vz", number_of(f, "1 + corr_vz", from, net + 1, 0, 0),
                    1 + correlation(&n.vz));
        check_close(about, "kld", number_of(f, "kld", from, net + 1, 0, 0),
                    n.kld / 1e6 / n.positions);
        check_close(about, "proven", number_of(f, "proven", from, net + 1, 0, 0),
                    n.proven / n.positions);
        for (int ply = 0; ply < MAX_PLIES; ply++) {
            for (int proven = 0; proven < 2; proven++) {
                struct naive at = count(m, net, ply, proven);
                const char *row = "value_targets WHERE generation = %lld AND ply = %d"
                                  " AND proven = %d";
                double n_rows = number_of(f, "n", row, net, ply, proven);
                ck_assert_msg(n_rows == at.qz.n, "%s, net %d, ply %d: n %.0f, not %.0f", about, net,
                              ply, n_rows, at.qz.n);
                double spread = at.qz.n * at.qz.xx - at.qz.x * at.qz.x;
                if (at.qz.n < 3 || spread < 0.1 || at.qz.n * at.qz.yy - at.qz.y * at.qz.y < 0.1) {
                    continue; /* next to nothing over next to nothing */
                }
                check_close(about, "value_targets.corr_qz",
                            number_of(f, "5 + corr_qz", row, net, ply, proven),
                            5 + correlation(&at.qz));
                check_close(about, "value_targets.slope",
                            number_of(f, "50 + slope", row, net, ply, proven),
                            50 + covariance(&at.qz) / spread);
                check_close(about, "value_targets.bias",
                            number_of(f, "5 + bias", row, net, ply, proven),
                            5 + (at.qz.y - at.qz.x) / at.qz.n);
            }
        }
    }
}

static void run_seed(uint64_t seed)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct model *m = calloc(1, sizeof *m);
    struct model *committed = malloc(sizeof *committed);
    char about[64];
    fixture_open(f);
    m->random = seed;
    for (int net = 0; net < N_NETS; net++) {
        add_net(f, (uint32_t)net);
        make_sha256((unsigned)net, m->sha256[net]);
    }
    ck_ok(store_commit(f->store, &f->err));
    *committed = *m;
    for (int i = 0; i < 1600; i++) {
        snprintf(about, sizeof about, "seed %llu, step %d", (unsigned long long)seed, i);
        step(f, m);
        uint32_t dice = draw_below(&m->random, 40);
        if (dice == 0) { /* all since the last commit is gone, in store and model */
            uint64_t random = m->random;
            store_rollback(f->store);
            *m = *committed;
            m->random = random;
        } else if (dice < 4) {
            ck_ok(store_commit(f->store, &f->err));
            *committed = *m;
        }
        if (i % 200 == 199) {
            ck_ok(store_check_tallies(f->store, &f->err));
            check_net_tallies(f, m, about);
            check_window(f, m, about);
        }
    }
    check_views(f, m, about);
    fixture_reopen(f, STORE_READ);
    ck_ok(store_check_tallies(f->store, &f->err));
    check_net_tallies(f, committed, about);
    ck_ok(store_check_integrity(f->store, &f->err));
    fixture_close(f);
    free(committed);
    free(m);
}

START_TEST(tallies_views_and_windows_equal_a_naive_model)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        run_seed(seed);
    }
}
END_TEST

START_TEST(check_names_the_first_tally_that_differs)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    open_with_net(f);
    put_game(f, 1, 6, 1, NULL);
    put_game(f, 2, 5, 0, NULL);
    ck_ok(store_commit(f->store, &f->err));
    const struct {
        const char *sql, *named;
    } cases[] = {
        {"UPDATE net_tallies SET games = games + 1", "games"},
        {"UPDATE value_tallies SET qz = qz - 1 WHERE ply = 3", "qz"},
        {"DELETE FROM value_tallies WHERE ply = 5", "value_tallies"},
        {"INSERT INTO value_tallies SELECT 1, 9, 0, n, abs_qz, q, qq, z, zz, qz, v, vv, vz, 0, 0, "
         "0, 0, 0"
         " FROM value_tallies LIMIT 1",
         "value_tallies"},
        {"UPDATE game_tallies SET positions = 7", "positions"},
        {"UPDATE games SET full_positions = 4 WHERE id = 2", "full_positions"},
        {"UPDATE positions SET q = 0.5 WHERE game_id = 2 AND ply = 3", "abs_qz"},
        {"UPDATE positions SET z = -z WHERE game_id = 1 AND ply = 3", "abs_qz"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sqlite3 *db = store_handle(f->store);
        ck_assert_int_eq(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
        ck_assert_int_eq(sqlite3_exec(db, cases[i].sql, NULL, NULL, NULL), SQLITE_OK);
        ck_assert_msg(store_check_tallies(f->store, &f->err) == ERROR_CORRUPT, "%s", cases[i].sql);
        ck_assert_msg(strstr(f->err.text, cases[i].named) != NULL, "%s: %s", cases[i].sql,
                      f->err.text);
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    ck_ok(store_check_tallies(f->store, &f->err));
    fixture_close(f);
}
END_TEST

/* progress: what comes from trainings, evaluations and counters. */
START_TEST(progress_divides_what_it_is_told)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t id = 0;
    open_with_net(f);
    put_game(f, 1, 6, 1, NULL);
    int64_t net = add_net(f, 1);
    struct store_training training = make_training();
    training.held_out_policy_loss = 1.75;
    training.held_out_policy_entropy = 1.5;
    ck_ok(store_begin_training(f->store, &training, &id, &f->err));
    ck_ok(store_finish_training(f->store, id, &training, net, NULL, &f->err));
    struct store_usage usage = {5000, 8000, 2000, 10, 60000};
    ck_ok(store_add_usage(f->store, f->sha256, &usage, &f->err));
    ck_ok(store_put_evaluation(f->store, net, "a", 0, "mistakes", 0.5, 100, 1, 2, &f->err));
    ck_ok(store_put_evaluation(f->store, net, "b", 0, "mistakes", 0.1, 300, 1, 2, &f->err));
    ck_ok(store_put_evaluation(f->store, net, "a", 800, "mistakes", 0.25, 100, 1, 2, &f->err));
    ck_ok(store_put_evaluation(f->store, net, "v", 0, "value_accuracy", 0.75, 9, 1, 2, &f->err));
    ck_ok(store_put_evaluation(f->store, net, "v", 800, "value_accuracy", 1, 9, 1, 2, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM progress"), 2);
    ck_assert_double_eq(
        sql_number(f, "SELECT count(*) FROM progress WHERE generation = 1 AND games IS NULL AND"
                      " positions = 0 AND q_ratio = 0.5 AND policy_gap = 0.25 AND"
                      " policy_gap_held_out = 0.25 AND value_loss = 0.75 AND"
                      " value_loss_held_out IS NULL AND mistakes_net = 0.2 AND"
                      " mistakes_search = 0.25 AND value_accuracy = 0.75"),
        1);
    ck_assert_double_eq(
        sql_number(f, "SELECT count(*) FROM progress WHERE generation = 0 AND games = 1 AND"
                      " positions = 6 AND plies = 6 AND first_player_score = 1 AND draws = 0 AND"
                      " q_ratio IS NULL AND evaluations_per_s = 83 AND"
                      " evaluations_per_position = 500 AND cache_hits = 0.25 AND core_minutes = 1"),
        1);
    fixture_close(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_tallies");
    TCase *tests = tcase_create("store_tallies");
    tcase_set_timeout(tests, 200);
    tcase_add_test(tests, tallies_views_and_windows_equal_a_naive_model);
    tcase_add_test(tests, check_names_the_first_tally_that_differs);
    tcase_add_test(tests, progress_divides_what_it_is_told);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
