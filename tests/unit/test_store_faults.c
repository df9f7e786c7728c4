/* The store when things go wrong around it: its process is killed, memory runs out at the n-th
 * allocation, the disk is full. */
#include "store_fixture.h"

#include "tests/unit/run_suite.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* ---- memory that fails: ours by the linker's --wrap, SQLite's by its own hook ---- */

static long fail_in; /* the n-th allocation from now fails, once; 0 = never */

static bool fails(void)
{
    return fail_in > 0 && --fail_in == 0;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__real_reallocarray(void *memory, size_t n, size_t size);
void *__wrap_reallocarray(void *memory, size_t n, size_t size);
void *__wrap_reallocarray(void *memory, size_t n, size_t size)
{
    return fails() ? NULL : __real_reallocarray(memory, n, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

static sqlite3_mem_methods plain;

static void *sqlite_malloc(int size)
{
    return fails() ? NULL : plain.xMalloc(size);
}

static void *sqlite_realloc(void *memory, int size)
{
    return fails() ? NULL : plain.xRealloc(memory, size);
}

static void hook_sqlite(void)
{
    sqlite3_mem_methods hooked;
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain);
    hooked = plain;
    hooked.xMalloc = sqlite_malloc;
    hooked.xRealloc = sqlite_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &hooked) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK) {
        abort(); /* Check is not running yet */
    }
}

static int count_game(struct store_game *game, void *context)
{
    (void)game;
    ++*(int *)context;
    return 0;
}

static int count_unfinished(const struct store_unfinished *game, void *context)
{
    (void)game;
    ++*(int *)context;
    return 0;
}

/* Something of everything; the first error ends it. */
static int use_store(struct fixture *f, uint64_t number)
{
    uint64_t random = number;
    struct record_start start = make_start(number);
    struct record_start other = make_start(number + 1000000);
    struct record_search search = make_search(f->sha256);
    struct record_end end = make_end(2, 1, 5);
    struct record_position p = make_position(&random, 0);
    struct record_position q = make_position(&random, 1);
    struct store_net net = {0};
    struct store_counts counts;
    int n = 0;
    int r = store_put_start(f->store, &start, 0, &f->err);
    r = r < 0 ? r : store_put_start(f->store, &other, 0, &f->err);
    r = r < 0 ? r : store_put_position(f->store, start.uid, &search, &p, &f->err);
    r = r < 0 ? r : store_put_position(f->store, start.uid, &search, &q, &f->err);
    r = r < 0 ? r : store_put_end(f->store, start.uid, &end, &f->err);
    r = r < 0 ? r : store_put_event(f->store, 1, "info", "a", "b", &f->err);
    r = r < 0 ? r : store_commit(f->store, &f->err);
    r = r < 0 ? r : store_current_net(f->store, "main", &net, &f->err);
    store_net_finish(&net);
    r = r < 0 ? r : store_read_counts(f->store, &counts, &f->err);
    r = r < 0 ? r : store_unfinished_games(f->store, count_unfinished, &n, &f->err);
    r = r < 0 ? r : store_read_games(f->store, 0, 1000, 2, count_game, &n, &f->err);
    r = r < 0 ? r : store_check_tallies(f->store, &f->err);
    return r < 0 ? r : 0;
}

/* Reopen, use, close, with the n-th allocation failing, for each n until none is left to fail. */
START_TEST(each_failing_allocation_is_an_error_and_costs_nothing_committed)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int n_failed = 0;
    open_with_net(f);
    ck_ok(store_commit(f->store, &f->err));
    store_close(f->store);
    for (long n = 1;; n += 1 + n / 10) { /* each of the first ten, then ever fewer */
        f->store = NULL;
        fail_in = n;
        int r = store_open(f->path, STORE_WRITE, &f->store, &f->err);
        r = r < 0 ? r : use_store(f, (uint64_t)n);
        bool all_done = fail_in > 0;
        fail_in = 0;
        n_failed += r < 0;
        ck_assert_msg(r == 0 || r == ERROR_NO_MEMORY || r == ERROR_IO || r == ERROR_BUSY,
                      "allocation %ld: %d: %s", n, r, f->err.text);
        store_close(f->store);
        f->store = NULL;
        ck_ok(store_open(f->path, STORE_READ, &f->store, &f->err));
        ck_ok(store_check_tallies(f->store, &f->err));
        store_close(f->store);
        f->store = NULL;
        if (all_done) {
            ck_assert_int_eq(r, 0);
            break;
        }
    }
    ck_assert_int_gt(n_failed, 30);
    ck_ok(store_open(f->path, STORE_WRITE, &f->store, &f->err));
    ck_ok(store_check_integrity(f->store, &f->err));
    fixture_close(f);
}
END_TEST

/* A put that fails for want of memory leaves the group as it was, or says that the group is gone. */
START_TEST(put_without_memory_can_be_repeated)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int n_failed = 0;
    open_with_net(f);
    ck_ok(store_commit(f->store, &f->err));
    struct record_search search = make_search(f->sha256);
    for (long n = 1;; n += 1 + n / 30) {
        uint64_t random = (uint64_t)n;
        struct record_start start = make_start((uint64_t)n);
        struct record_position p = make_position(&random, 0);
        struct record_end end = make_end(1, 1, 5);
        fixture_reopen(f, STORE_WRITE); /* no statement is prepared, so all allocate */
        ck_ok(store_put_start(f->store, &start, 0, &f->err));
        fail_in = n;
        int r = store_put_position(f->store, start.uid, &search, &p, &f->err);
        r = r < 0 ? r : store_put_end(f->store, start.uid, &end, &f->err);
        bool all_done = fail_in > 0;
        fail_in = 0;
        n_failed += r < 0;
        if (r == ERROR_IO) { /* gone: from the start again */
            ck_assert_uint_eq(store_pending(f->store), 0);
        } else {
            ck_assert_msg(r >= 0 || r == ERROR_NO_MEMORY, "allocation %ld: %d: %s", n, r,
                          f->err.text);
            ck_assert_uint_gt(store_pending(f->store), 0);
        }
        ck_assert_int_ge(store_put_start(f->store, &start, 0, &f->err), 0);
        ck_assert_int_ge(store_put_position(f->store, start.uid, &search, &p, &f->err), 0);
        ck_assert_int_ge(store_put_end(f->store, start.uid, &end, &f->err), 0);
        ck_ok(store_commit(f->store, &f->err));
        if (all_done) {
            break;
        }
    }
    ck_assert_int_gt(n_failed, 20);
    ck_ok(store_check_tallies(f->store, &f->err));
    ck_ok(store_check_integrity(f->store, &f->err));
    fixture_close(f);
}
END_TEST

/* What is there is compared by its texts: one that SQLite has no memory to copy is no other one. */
START_TEST(repeated_puts_without_memory_are_never_taken_for_conflicts)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct record_position positions[3];
    struct store_net net = {0};
    int n_failed = 0;
    open_with_net(f);
    struct record_start start = put_game(f, 1, 3, 1, positions);
    struct record_end end = make_end(3, 1, 5001);
    struct record_search search = make_search(f->sha256);
    ck_ok(store_commit(f->store, &f->err));
    bool all_done = false;
    for (long n = 1; !all_done; n++) {
        fail_in = n;
        int r = store_put_start(f->store, &start, 0, &f->err);
        r = r < 0 ? r : store_put_position(f->store, start.uid, &search, &positions[2], &f->err);
        r = r < 0 ? r : store_put_end(f->store, start.uid, &end, &f->err);
        ck_assert_msg(r == STORE_KNOWN || r == ERROR_NO_MEMORY || r == ERROR_IO,
                      "allocation %ld: %d: %s", n, r, f->err.text);
        int found = r < 0 ? r : store_get_net(f->store, 1, &net, &f->err);
        ck_assert(found < 0 || strcmp(net.line, "main") == 0);
        store_net_finish(&net);
        n_failed += found < 0;
        all_done = fail_in > 0;
        fail_in = 0;
    }
    ck_assert_int_gt(n_failed, 10);
    fixture_close(f);
}
END_TEST

/* The check compares last of all: there too, a number that cannot be printed is no difference. */
START_TEST(check_of_tallies_without_memory_finds_no_difference)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    const long many = 1000000;
    int n_failed = 0;
    open_with_net(f);
    put_game(f, 1, 3, 1, NULL);
    ck_ok(store_commit(f->store, &f->err));
    ck_ok(store_check_tallies(f->store, &f->err)); /* the store's own statements are kept now */
    fail_in = many;
    ck_ok(store_check_tallies(f->store, &f->err));
    long n_allocations = many - fail_in;
    for (long n = n_allocations > 150 ? n_allocations - 150 : 1; n <= n_allocations; n++) {
        fail_in = n;
        int r = store_check_tallies(f->store, &f->err);
        fail_in = 0;
        ck_assert_msg(r == 0 || r == ERROR_NO_MEMORY, "allocation %ld of %ld: %d: %s", n,
                      n_allocations, r, f->err.text);
        n_failed += r < 0;
    }
    ck_assert_int_gt(n_failed, 20);
    fixture_close(f);
}
END_TEST

/* ---- a full disk ---- */

START_TEST(full_disk_rolls_the_group_back_and_later_all_goes_on)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    char sql[64];
    open_with_net(f);
    put_game(f, 0, 8, 1, NULL);
    ck_ok(store_commit(f->store, &f->err));
    double pages = sql_number(f, "PRAGMA page_count");
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %.0f", pages + 3);
    sql_number(f, sql);
    /* games until one does not fit */
    int r = 0;
    uint64_t number = 1;
    struct record_search search = make_search(f->sha256);
    while (r >= 0 && number < 1000) {
        uint64_t random = number;
        struct record_start start = make_start(number);
        r = store_put_start(f->store, &start, 0, &f->err);
        for (uint32_t i = 0; r >= 0 && i < 8; i++) {
            struct record_position p = make_position(&random, i);
            r = store_put_position(f->store, start.uid, &search, &p, &f->err);
        }
        struct record_end end = make_end(8, 1, 5);
        r = r < 0 ? r : store_put_end(f->store, start.uid, &end, &f->err);
        number++;
    }
    ck_assert_int_eq(r, ERROR_FULL);
    ck_assert_uint_eq(store_pending(f->store), 0);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), 1);
    ck_ok(store_commit(f->store, &f->err)); /* an empty group */
    ck_ok(store_check_tallies(f->store, &f->err));
    sql_number(f, "PRAGMA max_page_count = 100000"); /* room was made */
    for (uint64_t i = 1; i < number; i++) {
        put_game(f, i, 8, 1, NULL);
    }
    ck_ok(store_commit(f->store, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), (double)number);
    ck_ok(store_check_tallies(f->store, &f->err));
    ck_ok(store_check_integrity(f->store, &f->err));
    fixture_close(f);
}
END_TEST

static void say_full(sqlite3_context *context, int n, sqlite3_value **values)
{
    (void)n;
    (void)values;
    sqlite3_result_error_code(context, SQLITE_FULL);
}

/* SQLite undoes only the statement here; of a group that may have holes nothing must stay. */
START_TEST(full_disk_within_a_long_statement_rolls_the_group_back_too)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    open_with_net(f);
    ck_ok(store_commit(f->store, &f->err));
    struct record_start start = put_game(f, 1, 4, 9, NULL);
    sqlite3 *db = store_handle(f->store);
    sqlite3_create_function(db, "say_full", 0, SQLITE_UTF8, NULL, say_full, NULL, NULL);
    ck_assert_int_eq(sqlite3_exec(db,
                                  "CREATE TEMP TRIGGER t AFTER UPDATE OF seq ON games"
                                  " BEGIN SELECT say_full(); END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    struct record_end end = make_end(4, 1, 9);
    ck_assert_int_eq(store_put_end(f->store, start.uid, &end, &f->err), ERROR_FULL);
    ck_assert_uint_eq(store_pending(f->store), 0);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), 0);
    ck_assert_int_ne(sqlite3_get_autocommit(db), 0);
    fixture_close(f);
}
END_TEST

START_TEST(second_writer_is_told_that_the_store_is_in_use)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store *second = NULL;
    open_with_net(f);
    ck_ok(store_commit(f->store, &f->err));
    ck_ok(store_open(f->path, STORE_WRITE, &second, &f->err));
    sqlite3_busy_timeout(store_handle(second), 1);
    ck_ok(store_set_run(f->store, "a", "b", &f->err)); /* holds the writer's lock */
    ck_assert_int_eq(store_set_run(second, "a", "c", &f->err), ERROR_BUSY);
    ck_ok(store_commit(f->store, &f->err));
    ck_ok(store_set_run(second, "a", "c", &f->err));
    store_close(second);
    fixture_close(f);
}
END_TEST

/* ---- kill -9 ---- */

/* The child: games for ever, a commit after every few puts; after each commit it writes how many games
 * are finished for good. */
static void write_until_killed(struct fixture *f, int pipe, uint64_t number)
{
    if (store_open(f->path, STORE_WRITE, &f->store, &f->err) < 0) {
        _exit(1);
    }
    uint64_t random = number;
    struct record_search search = make_search(f->sha256);
    for (;;) {
        struct record_start start = make_start(number);
        struct record_end end = make_end(10, 1, 5);
        int r = store_put_start(f->store, &start, 0, &f->err);
        for (uint32_t i = 0; r >= 0 && i < 10; i++) {
            struct record_position p = make_position(&random, i);
            r = store_put_position(f->store, start.uid, &search, &p, &f->err);
            if (r >= 0 && draw_below(&random, 8) == 0) {
                r = store_commit(f->store, &f->err);
            }
        }
        r = r < 0 ? r : store_put_end(f->store, start.uid, &end, &f->err);
        r = r < 0 ? r : store_commit(f->store, &f->err);
        if (r < 0 || write(pipe, &number, sizeof number) != sizeof number) {
            _exit(2);
        }
        number++;
    }
}

START_TEST(all_that_was_acknowledged_survives_kill_9)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    uint64_t random = 41;
    uint64_t acknowledged = 0; /* games 1 .. acknowledged */
    uint64_t number = 1;
    open_with_net(f);
    ck_ok(store_commit(f->store, &f->err));
    store_close(f->store);
    for (int kill_number = 0; kill_number < 20; kill_number++) {
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            write_until_killed(f, ends[1], number);
        }
        close(ends[1]);
        uint64_t got = 0;
        if (kill_number % 4 > 0 && read(ends[0], &got, sizeof got) == sizeof got) {
            acknowledged = got; /* three of four die while writing, the others while opening too */
        }
        struct timespec wait = {0, (long)draw_below(&random, 20000000)};
        nanosleep(&wait, NULL);
        kill(child, SIGKILL);
        while (read(ends[0], &got, sizeof got) == sizeof got) {
            acknowledged = got;
        }
        close(ends[0]);
        int status = 0;
        waitpid(child, &status, 0);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "kill %d: status %x",
                      kill_number, (unsigned)status);

        f->store = NULL;
        ck_ok(store_open(f->path, STORE_WRITE, &f->store, &f->err));
        ck_ok(store_check_integrity(f->store, &f->err));
        ck_ok(store_check_tallies(f->store, &f->err));
        double finished = sql_number(f, "SELECT count(*) FROM games WHERE state = 'finished'");
        /* one more may have been committed without the word getting through */
        ck_assert_msg(finished == (double)acknowledged || finished == (double)acknowledged + 1,
                      "kill %d of seed 41: %.0f games, %llu acknowledged", kill_number, finished,
                      (unsigned long long)acknowledged);
        ck_assert_double_eq(sql_number(f, "SELECT count(*) = coalesce(max(seq), 0) FROM games"
                                          " WHERE state = 'finished'"),
                            1);
        ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games g WHERE plies <> (SELECT"
                                          " count(*) FROM positions WHERE game_id = g.id)"),
                            0);
        acknowledged = (uint64_t)finished;
        number = acknowledged + 1;
        /* the game under way goes on in the test as abandoned, so that its uid is free again */
        sqlite3_exec(store_handle(f->store),
                     "DELETE FROM positions WHERE game_id IN"
                     " (SELECT id FROM games WHERE state = 'playing');"
                     "DELETE FROM games WHERE state = 'playing'",
                     NULL, NULL, NULL);
        store_close(f->store);
    }
    ck_assert_uint_ge(acknowledged, 15); /* one of each kill that waited */
    f->store = NULL;
    fixture_close(f);
}
END_TEST

int main(void)
{
    hook_sqlite();
    Suite *suite = suite_create("store_faults");
    TCase *tests = tcase_create("store_faults");
    tcase_set_timeout(tests, 200);
    tcase_add_test(tests, each_failing_allocation_is_an_error_and_costs_nothing_committed);
    tcase_add_test(tests, put_without_memory_can_be_repeated);
    tcase_add_test(tests, full_disk_rolls_the_group_back_and_later_all_goes_on);
    tcase_add_test(tests, full_disk_within_a_long_statement_rolls_the_group_back_too);
    tcase_add_test(tests, repeated_puts_without_memory_are_never_taken_for_conflicts);
    tcase_add_test(tests, check_of_tallies_without_memory_finds_no_difference);
    tcase_add_test(tests, second_writer_is_told_that_the_store_is_in_use);
    tcase_add_test(tests, all_that_was_acknowledged_survives_kill_9);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
