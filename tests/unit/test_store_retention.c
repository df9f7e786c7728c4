/* Retention: what goes, what stays, and that the tallies cannot tell. */
#include "store_fixture.h"

#include "tests/unit/run_suite.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { N_GAMES = 240, PLIES = 24 };

static const char *const kept_tables[] = {
    "SELECT * FROM game_tallies ORDER BY 1",
    "SELECT * FROM net_tallies ORDER BY 1",
    "SELECT * FROM value_tallies ORDER BY 1, 2, 3",
    "SELECT * FROM progress",
    "SELECT * FROM value_targets ORDER BY 1, 2, 3",
    "SELECT * FROM trainings",
    "SELECT * FROM nets",
    "SELECT * FROM searches",
};

/* A hash of everything that retention must not change. */
static uint64_t hash_of_the_rest(struct fixture *f)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < sizeof kept_tables / sizeof kept_tables[0]; i++) {
        sqlite3_stmt *row = NULL;
        ck_assert_int_eq(sqlite3_prepare_v2(store_handle(f->store), kept_tables[i], -1, &row, NULL),
                         SQLITE_OK);
        while (sqlite3_step(row) == SQLITE_ROW) {
            for (int c = 0; c < sqlite3_column_count(row); c++) {
                const unsigned char *text = sqlite3_column_text(row, c);
                for (; text != NULL && *text != '\0'; text++) {
                    hash = (hash ^ *text) * 0x100000001b3U;
                }
                hash = (hash ^ 0xff) * 0x100000001b3U;
            }
        }
        ck_assert_int_eq(sqlite3_finalize(row), SQLITE_OK);
    }
    return hash;
}

static void begin_training(struct fixture *f, int64_t first_seq, int64_t last_seq, bool finish)
{
    struct store_training training = make_training();
    int64_t id = 0;
    training.first_seq = first_seq;
    training.last_seq = last_seq;
    ck_ok(store_begin_training(f->store, &training, &id, &f->err));
    if (finish) {
        ck_ok(store_finish_training(f->store, id, &training, 0, "as a test", &f->err));
    }
}

/* Games of two nets and of several kinds; some are given up on the way. */
static void fill(struct fixture *f)
{
    static const enum game_kind kinds[] = {GAME_SELFPLAY, GAME_SELFPLAY, GAME_MATCH, GAME_SELFPLAY,
                                           GAME_IMPORT};
    char sha256[2][RECORD_SHA256_BYTES];
    uint64_t random = 5;
    for (uint32_t i = 0; i < 2; i++) {
        make_sha256(i, sha256[i]);
        add_net(f, i);
    }
    make_sha256(0, f->sha256);
    for (uint64_t g = 0; g < N_GAMES; g++) {
        struct record_start start = make_start(g);
        start.kind = kinds[g % 5];
        ck_ok(store_put_start(f->store, &start, 4, &f->err));
        for (uint32_t ply = 0; ply < PLIES; ply++) {
            struct record_search search =
                make_search(sha256[(g * PLIES + ply) / (N_GAMES * PLIES / 2)]);
            struct record_position position = make_position(&random, ply);
            position.kind = start.kind == GAME_IMPORT ? POSITION_IMPORT : POSITION_FULL;
            ck_ok(store_put_position(f->store, start.uid,
                                     start.kind == GAME_IMPORT ? NULL : &search, &position,
                                     &f->err));
        }
        if (g % 17 == 16) {
            ck_ok(store_abandon_game(f->store, start.uid, &f->err));
        } else {
            struct record_end end = make_end(PLIES, (int)(g % 3) - 1, 5000 + (int64_t)g);
            ck_ok(store_put_end(f->store, start.uid, &end, &f->err));
        }
    }
    ck_ok(store_commit(f->store, &f->err));
}

static int64_t used_bytes(struct fixture *f)
{
    return (int64_t)((sql_number(f, "PRAGMA page_count") - sql_number(f, "PRAGMA freelist_count")) *
                     sql_number(f, "PRAGMA page_size"));
}

/* Steps until there is nothing more to do; what they dropped in all. */
static struct store_dropped drop_all(struct fixture *f, int64_t bytes, int64_t budget_ms,
                                     uint32_t *ret_steps)
{
    const struct store_retention what = {.bytes = bytes, .budget_ms = budget_ms};
    struct store_dropped sum = {.more = true};
    for (*ret_steps = 0; sum.more; (*ret_steps)++) {
        struct store_dropped step = {0};
        ck_ok(store_drop_oldest(f->store, &what, &step, &f->err));
        ck_ok(store_commit(f->store, &f->err));
        step.games += sum.games;
        step.positions += sum.positions;
        step.last_seq = step.last_seq > 0 ? step.last_seq : sum.last_seq;
        sum = step;
        ck_assert_uint_lt(*ret_steps, 10000);
    }
    return sum;
}

START_TEST(oldest_games_go_until_it_fits_and_the_tallies_cannot_tell)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    uint32_t steps = 0;
    struct stat status;
    fixture_open(f);
    fill(f);
    begin_training(f, 180, 200, true);
    ck_ok(store_commit(f->store, &f->err));
    double games = sql_number(f, "SELECT count(*) FROM games WHERE state = 'finished'");
    uint64_t before = hash_of_the_rest(f);
    int64_t bytes = used_bytes(f) * 2 / 5; /* all games of net 0 go, and some of net 1 */

    struct store_dropped sum = drop_all(f, bytes, 1, &steps);
    ck_assert_int_gt(sum.games, 20);
    ck_assert_int_eq(sum.positions, sum.games * PLIES);
    ck_assert_uint_gt(steps, 2); /* in small steps */
    ck_assert(!sum.short_of_games);
    ck_assert_int_le(sum.file_bytes, bytes);
    /* exactly the oldest, whole */
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games WHERE state = 'finished'"),
                        games - (double)sum.games);
    ck_assert_double_eq(sql_number(f, "SELECT min(seq) FROM games"), (double)sum.last_seq + 1);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM positions WHERE game_id NOT IN"
                                      " (SELECT id FROM games)"),
                        0);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games WHERE state = 'abandoned'"
                                      " AND id < (SELECT min(id) FROM games WHERE seq > 0)"),
                        0);
    ck_assert_uint_eq(hash_of_the_rest(f), before);
    ck_ok(store_check_tallies(f->store, &f->err));
    ck_ok(store_check_integrity(f->store, &f->err));
    /* and it goes on counting */
    put_game(f, 1000, PLIES, 1, NULL);
    ck_ok(store_commit(f->store, &f->err));
    ck_ok(store_check_tallies(f->store, &f->err));
    fixture_reopen(f, STORE_WRITE);
    ck_assert_int_eq(stat(f->path, &status), 0);
    ck_assert_int_le(status.st_size, bytes + 65536); /* the file, not only a figure in it */
    ck_ok(store_check_tallies(f->store, &f->err));
    fixture_close(f);
}
END_TEST

START_TEST(what_trainings_draw_from_stays_whatever_the_bytes)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    uint32_t steps = 0;
    fixture_open(f);
    fill(f);
    ck_ok(store_check_tallies(f->store, &f->err));
    ck_assert_str_eq(f->err.text, "");
    struct store_dropped sum = drop_all(f, 1, 1000, &steps);
    ck_assert_int_eq(sum.games, 0); /* no training has begun */
    ck_assert(sum.short_of_games);

    begin_training(f, 60, 200, false); /* runs */
    begin_training(f, 90, 200, true);  /* newer, and over */
    ck_ok(store_commit(f->store, &f->err));
    uint64_t before = hash_of_the_rest(f);
    sum = drop_all(f, 1, 1000, &steps);
    ck_assert_int_eq(sum.games, 59);
    ck_assert_int_eq(sum.last_seq, 59);
    ck_assert(sum.short_of_games && !sum.more);
    ck_assert_double_eq(sql_number(f, "SELECT min(seq) FROM games"), 60);
    ck_assert_uint_eq(hash_of_the_rest(f), before);
    ck_ok(store_check_tallies(f->store, &f->err));

    begin_training(f, 150, 220, true);
    ck_ok(store_commit(f->store, &f->err));
    sum = drop_all(f, 1, 1000, &steps);
    ck_assert_int_eq(sum.games, 0); /* that of seq 60 runs still */
    fixture_close(f);
}
END_TEST

START_TEST(step_without_time_drops_one_game_and_without_need_none)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store_dropped step = {0};
    fixture_open(f);
    fill(f);
    begin_training(f, 180, 200, true);
    ck_ok(store_commit(f->store, &f->err));
    double games = sql_number(f, "SELECT count(*) FROM games");
    ck_ok(store_drop_oldest(f->store, &(struct store_retention){.bytes = 1, .budget_ms = 0}, &step,
                            &f->err));
    ck_assert(step.games == 1 && step.more);
    ck_ok(store_drop_oldest(f->store,
                            &(struct store_retention){.bytes = INT64_MAX, .budget_ms = 1000}, &step,
                            &f->err));
    ck_assert(step.games == 0 && !step.more && !step.short_of_games);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), games - 1);
    fixture_close(f);
}
END_TEST

START_TEST(step_that_is_rolled_back_has_dropped_nothing)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store_dropped step = {0};
    fixture_open(f);
    fill(f);
    begin_training(f, 180, 200, true);
    ck_ok(store_commit(f->store, &f->err));
    double games = sql_number(f, "SELECT count(*) FROM games");
    ck_ok(store_drop_oldest(f->store, &(struct store_retention){.bytes = 1, .budget_ms = 1000},
                            &step, &f->err));
    ck_assert_int_eq(step.games, 179);
    store_rollback(f->store);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), games);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM removed_net_tallies"), 0);
    ck_ok(store_check_tallies(f->store, &f->err));
    fixture_close(f);
}
END_TEST

/* In a child: steps of a millisecond with a commit each, for ever; a byte is told after each. */
static void drop_until_killed(const char *path, int64_t bytes, int told)
{
    const struct store_retention what = {.bytes = bytes, .budget_ms = 1};
    struct store_dropped step = {0};
    struct store *store = NULL;
    if (store_open(path, STORE_WRITE, &store, NULL) < 0) {
        _exit(1);
    }
    do {
        if (store_drop_oldest(store, &what, &step, NULL) < 0 || store_commit(store, NULL) < 0) {
            _exit(2);
        }
    } while (told < 0 || write(told, "x", 1) == 1);
    _exit(3);
}

START_TEST(kill_in_the_middle_leaves_rows_and_tallies_in_step)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    uint64_t random = 11;
    fixture_open(f);
    fill(f);
    begin_training(f, 200, 210, true);
    ck_ok(store_commit(f->store, &f->err));
    uint64_t before = hash_of_the_rest(f);
    for (int round = 0; round < 25; round++) {
        int status = 0;
        int64_t bytes = used_bytes(f) - 40000;
        store_close(f->store);
        f->store = NULL;
        int told[2];
        ck_assert_int_eq(pipe(told), 0);
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            drop_until_killed(f->path, bytes, told[1]);
        }
        for (uint32_t steps = draw_below(&random, 3); steps > 0; steps--) {
            char byte = 0;
            ck_assert_int_eq(read(told[0], &byte, 1), 1);
        }
        usleep(draw_below(&random, 4000)); /* somewhere within the next */
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(WIFSIGNALED(status), "it ended by itself: %d", WEXITSTATUS(status));
        close(told[0]);
        close(told[1]);
        ck_ok(store_open(f->path, STORE_WRITE, &f->store, &f->err));
        ck_ok(store_check_tallies(f->store, &f->err));
        ck_ok(store_check_integrity(f->store, &f->err));
        ck_assert_uint_eq(hash_of_the_rest(f), before);
    }
    ck_assert_double_gt(sql_number(f, "SELECT min(seq) FROM games"), 1);
    fixture_close(f);
}
END_TEST

START_TEST(check_beside_a_retention_that_drops_is_not_misled)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    uint32_t checks = 0;
    fixture_open(f);
    fill(f);
    begin_training(f, 200, 210, true);
    ck_ok(store_commit(f->store, &f->err));
    store_close(f->store);
    f->store = NULL;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        drop_until_killed(f->path, 1, -1);
    }
    ck_ok(store_open(f->path, STORE_READ, &f->store, &f->err));
    do {
        int r = store_check_tallies(f->store, &f->err);
        ck_assert_msg(r == 0 || r == ERROR_BUSY, "%d: %s", r, f->err.text);
        checks += r == 0;
    } while (checks < 20);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    fixture_close(f);
}
END_TEST

/* Between two short reads of a check, retention drops what the check has not come to. */
struct overtaking {
    struct fixture *f;
    struct store *writer;
    bool done;
};

static int overtake(unsigned kind, void *context, void *statement, void *sql)
{
    struct overtaking *overtaking = context;
    struct fixture *f = overtaking->f;
    (void)kind;
    (void)statement;
    if (!overtaking->done && strcmp(sql, "COMMIT") == 0) { /* the end of the first read */
        const struct store_retention what = {.bytes = 1, .budget_ms = 100000};
        struct store_dropped step = {0};
        overtaking->done = true;
        ck_ok(store_drop_oldest(overtaking->writer, &what, &step, &f->err));
        ck_ok(store_commit(overtaking->writer, &f->err));
        ck_assert_int_gt(step.games, 205); /* 200 are counted in a read */
    }
    return 0;
}

START_TEST(check_that_is_overtaken_begins_anew)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct overtaking overtaking = {.f = f};
    fixture_open(f);
    fill(f);
    begin_training(f, 216, 220, true);
    ck_ok(store_commit(f->store, &f->err));
    overtaking.writer = f->store;
    f->store = NULL;
    ck_ok(store_open(f->path, STORE_READ, &f->store, &f->err));
    ck_assert_int_eq(
        sqlite3_trace_v2(store_handle(f->store), SQLITE_TRACE_STMT, overtake, &overtaking),
        SQLITE_OK);
    ck_ok(store_check_tallies(f->store, &f->err));
    ck_assert(overtaking.done);
    store_close(overtaking.writer);
    fixture_close(f);
}
END_TEST

START_TEST(store_of_before_gains_the_tables)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    uint32_t steps = 0;
    fixture_open(f);
    fill(f);
    begin_training(f, 180, 200, true);
    ck_ok(store_commit(f->store, &f->err));
    fixture_undo_to(f, 3);
    fixture_reopen(f, STORE_READ);
    ck_ok(store_check_tallies(f->store, &f->err));
    fixture_reopen(f, STORE_WRITE);
    (void)drop_all(f, 1, 1000, &steps);
    ck_ok(store_check_tallies(f->store, &f->err));
    fixture_close(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_retention");
    TCase *tests = tcase_create("store_retention");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, oldest_games_go_until_it_fits_and_the_tallies_cannot_tell);
    tcase_add_test(tests, what_trainings_draw_from_stays_whatever_the_bytes);
    tcase_add_test(tests, step_without_time_drops_one_game_and_without_need_none);
    tcase_add_test(tests, step_that_is_rolled_back_has_dropped_nothing);
    tcase_add_test(tests, kill_in_the_middle_leaves_rows_and_tallies_in_step);
    tcase_add_test(tests, check_beside_a_retention_that_drops_is_not_misled);
    tcase_add_test(tests, check_that_is_overtaken_begins_anew);
    tcase_add_test(tests, store_of_before_gains_the_tables);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
