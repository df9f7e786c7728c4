#include "daemon/control/query.h"

#include "tests/unit/run_suite.h"
#include "tests/unit/scratch_store.h"

#include <jansson.h>
#include <pthread.h>
#include <time.h>

static struct fixture fixture;

static void setup(void)
{
    fixture_open(&fixture);
    scratch_fill(&fixture, NULL);
    store_close(
        fixture.store); /* tests run in forked processes, across which SQLite must not be carried */
    fixture.store = NULL;
}

static void teardown(void)
{
    fixture_close(&fixture);
}

static json_t *parsed(char *json)
{
    json_error_t error;
    json_t *value = json_loads(json, JSON_ALLOW_NUL, &error);
    ck_assert_msg(value != NULL, "%s in %s", error.text, json);
    free(json);
    return value;
}

static json_t *sql(const char *text)
{
    char *json = NULL;
    struct error err = {""};
    int r = query_sql(fixture.path, text, 100, 5000, &json, &err);
    ck_assert_msg(r == 0, "%s: %s", text, err.text);
    return parsed(json);
}

static json_t *row_of(json_t *answer, size_t row)
{
    return json_array_get(json_object_get(answer, "rows"), row);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#define ENDLESS \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

START_TEST(values_keep_type_and_digits)
{
    json_t *answer = sql("SELECT 9223372036854775807, -9007199254740993, 0.1, 2.0, 1e300, NULL, "
                         "'d\xc3\xa9j\xc3\xa0 \"vu\"', x'00ff', 9e999, CAST(x'ff' AS TEXT)");
    json_t *row = row_of(answer, 0);
    ck_assert_int_eq(json_integer_value(json_array_get(row, 0)), INT64_MAX);
    ck_assert_int_eq(json_integer_value(json_array_get(row, 1)), -9007199254740993);
    ck_assert(json_real_value(json_array_get(row, 2)) == 0.1);
    ck_assert(json_is_real(json_array_get(row, 3)));
    ck_assert(json_real_value(json_array_get(row, 4)) == 1e300);
    ck_assert(json_is_null(json_array_get(row, 5)));
    ck_assert_str_eq(json_string_value(json_array_get(row, 6)), "d\xc3\xa9j\xc3\xa0 \"vu\"");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(row, 7), "hex")), "00ff");
    ck_assert(json_is_null(json_array_get(row, 8))); /* JSON has no infinity */
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(row, 9), "hex")), "ff");
    ck_assert(json_is_false(json_object_get(answer, "truncated")));
    json_decref(answer);
}
END_TEST

START_TEST(reals_have_the_fewest_digits_that_read_back)
{
    uint64_t random = 7;
    char text[QUERY_REAL_TEXT];
    query_format_real(0.1, text);
    ck_assert_str_eq(text, "0.1");
    query_format_real(-3.0, text);
    ck_assert_str_eq(text, "-3.0");
    query_format_real(1e22, text);
    ck_assert_str_eq(text, "1e+22");
    for (int i = 0; i < 10000; i++) {
        uint64_t bits = draw(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) {
            query_format_real(value, text);
            ck_assert_msg(strtod(text, NULL) == value, "%s of %a", text, value);
        }
    }
}
END_TEST

static const char *const writing[] = {
    "DELETE FROM games",
    "INSERT INTO run VALUES('x', 'y')",
    "UPDATE nets SET line = 'x'",
    "DROP TABLE games",
    "CREATE TABLE t(x)",
    "CREATE TEMP TABLE t(x)",
    "CREATE VIEW w AS SELECT 1",
    "ALTER TABLE games RENAME TO g",
    "ATTACH '/nowhere/qzd-test.db' AS other",
    "DETACH main",
    "VACUUM",
    "VACUUM INTO '/nowhere/qzd-test.db'",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "SAVEPOINT s",
    "REINDEX",
    "ANALYZE",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA user_version = 9",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA incremental_vacuum",
    "PRAGMA optimize",
    "PRAGMA writable_schema = ON",
    "PRAGMA query_only = OFF",
    "PRAGMA temp_store_directory = '/tmp'",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA mmap_size = 0",
    "PRAGMA synchronous = OFF",
    "EXPLAIN DELETE FROM games",
    "SELECT load_extension('x')",
    "WITH a AS (SELECT 1) INSERT INTO run SELECT 'a', 'b'",
    "SELECT 1; DELETE FROM games",
    "REPLACE INTO run VALUES('a', 'b')",
};

START_TEST(statements_that_do_more_than_read_are_refused)
{
    for (size_t i = 0; i < sizeof writing / sizeof writing[0]; i++) {
        char *json = NULL;
        struct error err = {""};
        int r = query_sql(fixture.path, writing[i], 10, 1000, &json, &err);
        ck_assert_msg(r == ERROR_INVALID, "%s gives %d %s", writing[i], r, json);
        ck_assert_ptr_null(json);
        ck_assert_msg(strstr(err.text, "refused") != NULL ||
                          strstr(err.text, "more than one") != NULL,
                      "%s: %s", writing[i], err.text);
    }
    json_t *answer = sql("SELECT count(*) FROM games");
    ck_assert_int_eq(json_integer_value(json_array_get(row_of(answer, 0), 0)), SCRATCH_GAMES);
    json_decref(answer);
}
END_TEST

static const char *const reading[] = {
    "PRAGMA table_info(games)",
    "PRAGMA user_version",
    "PRAGMA synchronous",
    "PRAGMA integrity_check(3)",
    "SELECT name FROM pragma_table_info('games')",
    "SELECT name FROM sqlite_schema",
    "EXPLAIN QUERY PLAN SELECT * FROM games",
    "SELECT 1 -- a remark",
    ";; SELECT 1; /* nothing */ ; ",
    "VALUES(1), (2)",
    "SELECT e.value FROM positions, json_each(policy_json(policy)) e LIMIT 3",
    "WITH a AS (SELECT 1) SELECT * FROM a",
    "SELECT json_object('a', 1), count(*) OVER () FROM games",
};

START_TEST(statements_that_read_are_allowed)
{
    for (size_t i = 0; i < sizeof reading / sizeof reading[0]; i++) {
        json_decref(sql(reading[i]));
    }
}
END_TEST

START_TEST(wrong_statements_say_what_sqlite_says)
{
    char *json = NULL;
    struct error err = {""};
    ck_assert_int_eq(query_sql(fixture.path, "SELECT nonsense FROM games", 1, 1000, &json, &err),
                     ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "no such column: nonsense"));
    ck_assert_int_eq(
        query_sql(fixture.path, "UPDATE sqlite_schema SET sql = ''", 1, 1000, &json, &err),
        ERROR_INVALID);
    ck_assert_int_eq(query_sql(fixture.path, "  -- nothing", 1, 1000, &json, &err), ERROR_INVALID);
    ck_assert_int_eq(query_sql(fixture.path, "SELECT ?1", 1, 1000, &json, &err), ERROR_INVALID);
    ck_assert_int_eq(query_sql(fixture.path, "SELECT 1; SELECT 2", 1, 1000, &json, &err),
                     ERROR_INVALID);
    ck_assert_int_eq(query_sql(fixture.path, "SELECT zeroblob(900000000)", 1, 1000, &json, &err),
                     ERROR_INVALID);
    ck_assert_ptr_null(json);
}
END_TEST

START_TEST(endless_statement_ends_with_its_time)
{
    char *json = NULL;
    struct error err = {""};
    int64_t begin = now_ms();
    ck_assert_int_eq(query_sql(fixture.path, ENDLESS, 1, 100, &json, &err), ERROR_TIMEOUT);
    int64_t took = now_ms() - begin;
    ck_assert_msg(took >= 100 && took < 2000, "%lld ms", (long long)took);
    ck_assert_ptr_nonnull(strstr(err.text, "100 ms"));
    /* Many quick rows are no way around it either. */
    ck_assert_int_eq(query_sql(fixture.path,
                               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                               "SELECT i, randomblob(100) FROM n",
                               UINT32_MAX, 100, &json, &err),
                     ERROR_TIMEOUT);
    ck_assert_ptr_null(json);
}
END_TEST

static void *set_after_a_while(void *flag)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    atomic_store((atomic_bool *)flag, true);
    return NULL;
}

START_TEST(running_statement_can_be_stopped)
{
    atomic_bool stop = false;
    pthread_t thread;
    char *json = NULL;
    struct error err = {""};
    struct query_request request = {.kind = QUERY_SQL,
                                    .db_path = fixture.path,
                                    .sql = ENDLESS,
                                    .n = 1,
                                    .time_limit_ms = 60000,
                                    .stop = &stop};
    ck_assert_int_eq(pthread_create(&thread, NULL, set_after_a_while, &stop), 0);
    ck_assert_int_eq(query_ask(&request, &json, &err), ERROR_CANCELLED);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(rows_beyond_the_limit_are_left_out_and_told)
{
    char *json = NULL;
    struct error err = {""};
    ck_assert_int_eq(query_sql(fixture.path, "SELECT ply FROM positions WHERE game_id = 1", 4, 1000,
                               &json, &err),
                     0);
    json_t *answer = parsed(json);
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "rows")), 4);
    ck_assert(json_is_true(json_object_get(answer, "truncated")));
    json_decref(answer);
    ck_assert_int_eq(query_sql(fixture.path, "SELECT ply FROM positions WHERE game_id = 1",
                               SCRATCH_PLIES, 1000, &json, &err),
                     0);
    answer = parsed(json);
    ck_assert(json_is_false(json_object_get(answer, "truncated"))); /* exactly as many */
    json_decref(answer);
}
END_TEST

START_TEST(policies_can_be_read)
{
    json_t *answer =
        sql("SELECT policy_json(policy), policy_visits(policy) FROM positions LIMIT 1");
    json_t *policy = json_loads(json_string_value(json_array_get(row_of(answer, 0), 0)), 0, NULL);
    json_int_t sum = 0;
    size_t i;
    json_t *entry;
    ck_assert(json_is_array(policy));
    json_array_foreach(policy, i, entry)
    {
        sum += json_integer_value(json_object_get(entry, "visits"));
    }
    ck_assert_int_eq(sum, json_integer_value(json_array_get(row_of(answer, 0), 1)));
    ck_assert_int_gt(sum, 0);
    json_decref(policy);
    json_decref(answer);
}
END_TEST

START_TEST(progress_is_one_object_a_generation)
{
    char *json = NULL;
    struct error err = {""};
    ck_assert_msg(query_progress(fixture.path, &json, &err) == 0, "%s", err.text);
    json_t *answer = parsed(json);
    json_t *columns = json_object_get(answer, "columns");
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "rows")), 2);
    ck_assert_str_eq(json_string_value(json_array_get(columns, 0)), "generation");
    ck_assert_uint_eq(json_object_size(row_of(answer, 0)), json_array_size(columns));
    ck_assert_int_eq(json_integer_value(json_object_get(row_of(answer, 0), "positions")),
                     (int64_t)SCRATCH_GAMES * SCRATCH_PLIES);
    ck_assert(json_real_value(json_object_get(row_of(answer, 1), "mistakes_net")) == 0.25);
    ck_assert(json_is_null(json_object_get(row_of(answer, 0), "mistakes_net")));
    json_decref(answer);
}
END_TEST

START_TEST(newest_events_come_in_order_of_time)
{
    char *json = NULL;
    struct error err = {""};
    ck_assert_msg(query_events(fixture.path, 2, &json, &err) == 0, "%s", err.text);
    json_t *answer = parsed(json);
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "rows")), 2);
    ck_assert_str_eq(json_string_value(json_object_get(row_of(answer, 0), "detail")), "detail 2");
    ck_assert_str_eq(json_string_value(json_object_get(row_of(answer, 1), "detail")), "detail 3");
    json_decref(answer);
}
END_TEST

START_TEST(status_tells_what_the_store_knows)
{
    char *json = NULL;
    struct error err = {""};
    ck_assert_msg(query_status(fixture.path, &json, &err) == 0, "%s", err.text);
    json_t *status = parsed(json);
    ck_assert_str_eq(json_string_value(json_object_get(status, "game")), "connect4");
    ck_assert_int_eq(json_integer_value(json_object_get(status, "generation")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(status, "games")), SCRATCH_GAMES);
    ck_assert_int_eq(json_integer_value(json_object_get(status, "positions")),
                     (int64_t)SCRATCH_GAMES * SCRATCH_PLIES);
    ck_assert_int_eq(json_integer_value(json_object_get(status, "last_game_at")),
                     1700000100000 + SCRATCH_GAMES - 1);
    ck_assert_str_eq(
        json_string_value(json_object_get(json_object_get(status, "last_event"), "detail")),
        "detail 3");
    ck_assert(json_is_null(json_object_get(status, "last_training")));
    ck_assert_int_gt(json_integer_value(json_object_get(status, "store_bytes")), 0);
    json_decref(status);
}
END_TEST

START_TEST(check_finds_a_wrong_tally)
{
    char *json = NULL;
    struct error err = {""};
    ck_assert_msg(query_check(fixture.path, &json, &err) == 0, "%s", err.text);
    json_t *answer = parsed(json);
    ck_assert_str_eq(json_string_value(json_object_get(answer, "integrity")), "ok");
    ck_assert_str_eq(json_string_value(json_object_get(answer, "tallies")), "ok");
    json_decref(answer);

    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(fixture.path, &db), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(db, "UPDATE net_tallies SET positions = positions + 1", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    ck_assert_msg(query_check(fixture.path, &json, &err) == 0, "%s", err.text);
    answer = parsed(json);
    ck_assert_str_eq(json_string_value(json_object_get(answer, "integrity")), "ok");
    ck_assert_str_ne(json_string_value(json_object_get(answer, "tallies")), "ok");
    json_decref(answer);
}
END_TEST

START_TEST(check_that_is_given_too_little_time_says_that_it_does_not_know)
{
    struct fixture big;
    struct fixture *f = &big;
    struct error err = {""};
    char *json = NULL;
    open_with_net(f);
    for (uint64_t i = 0; i < 400; i++) {
        put_game(f, i, 20, 1, NULL);
    }
    ck_ok(store_commit(f->store, &f->err));
    struct query_request request = {.kind = QUERY_CHECK, .db_path = f->path, .time_limit_ms = 1};
    ck_assert_int_eq(query_ask(&request, &json, &err), ERROR_TIMEOUT);
    ck_assert_msg(strstr(err.text, "longer than 1 ms") != NULL, "%s", err.text);
    request.time_limit_ms = 0;
    ck_assert_int_eq(query_ask(&request, &json, &err), 0);
    free(json);
    fixture_close(f);
}
END_TEST

START_TEST(missing_store_is_not_found_and_not_made)
{
    char *json = NULL;
    char path[128];
    struct error err = {""};
    snprintf(path, sizeof path, "%s/none.db", fixture.folder);
    ck_assert_int_eq(query_status(path, &json, &err), ERROR_NOT_FOUND);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("query");
    TCase *tests = tcase_create("query");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, setup, teardown);
    tcase_add_test(tests, values_keep_type_and_digits);
    tcase_add_test(tests, reals_have_the_fewest_digits_that_read_back);
    tcase_add_test(tests, statements_that_do_more_than_read_are_refused);
    tcase_add_test(tests, statements_that_read_are_allowed);
    tcase_add_test(tests, wrong_statements_say_what_sqlite_says);
    tcase_add_test(tests, endless_statement_ends_with_its_time);
    tcase_add_test(tests, running_statement_can_be_stopped);
    tcase_add_test(tests, rows_beyond_the_limit_are_left_out_and_told);
    tcase_add_test(tests, policies_can_be_read);
    tcase_add_test(tests, progress_is_one_object_a_generation);
    tcase_add_test(tests, newest_events_come_in_order_of_time);
    tcase_add_test(tests, status_tells_what_the_store_knows);
    tcase_add_test(tests, check_that_is_given_too_little_time_says_that_it_does_not_know);
    tcase_add_test(tests, missing_store_is_not_found_and_not_made);
    tcase_add_test(tests, check_finds_a_wrong_tally); /* last: it spoils the store */
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
