#include "storage/migrations.h"

#include "store_fixture.h"
#include "tests/unit/run_suite.h"

static sqlite3 *memory(void)
{
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
    return db;
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s", sql);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

START_TEST(steps_run_from_the_version_that_is_there)
{
    static const char *const steps[] = {"CREATE TABLE a(x)", "INSERT INTO a VALUES(1)",
                                        "INSERT INTO a VALUES(2)"};
    sqlite3 *db = memory();
    struct error err = {""};
    ck_assert_int_eq(migrations_run(db, &(struct migrations){2, steps}, &err), 0);
    ck_assert_int_eq(number(db, "SELECT sum(x) FROM a"), 1);
    ck_assert_int_eq(number(db, "PRAGMA user_version"), 2);
    ck_assert_int_eq(migrations_run(db, &(struct migrations){2, steps}, &err), 0);
    ck_assert_int_eq(number(db, "SELECT sum(x) FROM a"), 1);
    ck_assert_int_eq(migrations_run(db, &(struct migrations){3, steps}, &err), 0);
    ck_assert_int_eq(number(db, "SELECT sum(x) FROM a"), 3);
    ck_assert_int_eq(number(db, "PRAGMA user_version"), 3);
    sqlite3_close(db);
}
END_TEST

START_TEST(failing_step_undoes_all_of_them)
{
    static const char *const steps[] = {"CREATE TABLE a(x)", "CREATE TABLE b(y); nonsense"};
    sqlite3 *db = memory();
    struct error err = {""};
    ck_assert_int_eq(migrations_run(db, &(struct migrations){2, steps}, &err), ERROR_INVALID);
    ck_assert_msg(strstr(err.text, "version 2") != NULL, "%s", err.text);
    ck_assert_int_eq(number(db, "SELECT count(*) FROM sqlite_schema"), 0);
    ck_assert_int_eq(number(db, "PRAGMA user_version"), 0);
    ck_assert_int_ne(sqlite3_get_autocommit(db), 0);
    sqlite3_close(db);
}
END_TEST

START_TEST(newer_database_is_refused)
{
    sqlite3 *db = memory();
    struct error err = {""};
    sqlite3_exec(db, "PRAGMA user_version = 9", NULL, NULL, NULL);
    const struct migrations own = migrations_own();
    ck_assert_int_eq(migrations_run(db, &own, &err), ERROR_VERSION);
    ck_assert_int_eq(number(db, "SELECT count(*) FROM sqlite_schema"), 0);
    sqlite3_close(db);
}
END_TEST

START_TEST(new_store_has_its_marks_and_settings)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    fixture_open(f);
    ck_assert_double_eq(sql_number(f, "PRAGMA application_id"), STORE_APPLICATION_ID);
    ck_assert_double_eq(sql_number(f, "PRAGMA user_version"), STORE_VERSION);
    ck_assert_double_eq(sql_number(f, "PRAGMA auto_vacuum"), 2); /* incremental */
    ck_assert_double_eq(sql_number(f, "PRAGMA synchronous"), 2); /* full */
    ck_assert_double_eq(sql_number(f, "PRAGMA foreign_keys"), 1);
    ck_assert_double_eq(sql_number(f, "PRAGMA busy_timeout"), 10000);
    ck_assert_double_eq(
        sql_number(f, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
    ck_assert_double_eq(
        sql_number(f, "SELECT count(*) FROM pragma_table_list WHERE schema = 'main'"
                      " AND type = 'table' AND NOT strict AND name NOT LIKE 'sqlite%'"),
        0);
    fixture_close(f);
}
END_TEST

START_TEST(store_of_the_second_version_gains_the_doctors_table_and_keeps_its_rows)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    const struct store_diagnosis diagnosis = {.at = 5,
                                              .generation = 2,
                                              .name = "value sign",
                                              .state = "red",
                                              .figure = NAN,
                                              .detail = "-0.4",
                                              .bound = "red < 0"};
    fixture_open(f);
    ck_ok(store_put_event(f->store, 1, "info", "kept", "", &f->err));
    ck_ok(store_commit(f->store, &f->err));
    fixture_undo_to(f, 2);

    fixture_reopen(f, STORE_READ); /* a reader takes it as it is */
    ck_assert_double_eq(sql_number(f, "PRAGMA user_version"), 2);
    fixture_reopen(f, STORE_WRITE);
    ck_assert_double_eq(sql_number(f, "PRAGMA user_version"), STORE_VERSION);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM events WHERE what = 'kept'"), 1);
    ck_ok(store_put_diagnosis(f->store, &diagnosis, &f->err));
    ck_ok(store_put_diagnosis(f->store, &diagnosis, &f->err)); /* the same again is no second row */
    ck_ok(store_commit(f->store, &f->err));
    ck_assert_double_eq(sql_number(f,
                                   "SELECT count(*) FROM diagnoses WHERE name = 'value sign' AND "
                                   "state = 'red' AND generation = 2 AND figure IS NULL"),
                        1);
    fixture_close(f);
}
END_TEST

START_TEST(store_of_the_fourth_version_gains_the_figures_of_its_value_targets)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    static const char *const sums[] = {
        "SELECT count(*) FROM value_targets WHERE mean_abs_qz IS NOT NULL AND bias IS NOT NULL",
        "SELECT total(mean_abs_qz * (ply + 1)) FROM value_targets",
        "SELECT total(corr_qz * (ply + 1)) FROM value_targets",
        "SELECT total(corr_vz * (ply + 1)) FROM value_targets",
        "SELECT total(slope * (ply + 1)) FROM value_targets",
        "SELECT total(bias * (ply + 1)) FROM value_targets",
    };
    double before[sizeof sums / sizeof sums[0]];
    open_with_net(f);
    for (uint64_t number = 1; number <= 20; number++) {
        put_game(f, number, 6, number % 2 == 0, NULL);
    }
    ck_ok(store_commit(f->store, &f->err));
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
        before[i] = sql_number(f, sums[i]);
        ck_assert_msg(before[i] != 0, "%s: nothing to compare", sums[i]);
    }
    ck_assert_double_eq(before[0], sql_number(f, "SELECT count(*) FROM value_tallies"));
    fixture_undo_to(f, 4);
    fixture_reopen(f, STORE_WRITE);
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
        ck_assert_msg(sql_number(f, sums[i]) == before[i], "%s", sums[i]);
    }
    ck_ok(store_check_tallies(f->store, &f->err));
    put_game(f, 21, 6, 1, NULL); /* and they go on */
    ck_ok(store_commit(f->store, &f->err));
    ck_assert_double_ne(sql_number(f, sums[2]), before[2]);
    ck_ok(store_check_tallies(f->store, &f->err));
    fixture_close(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("migrations");
    TCase *tests = tcase_create("migrations");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, steps_run_from_the_version_that_is_there);
    tcase_add_test(tests, failing_step_undoes_all_of_them);
    tcase_add_test(tests, newer_database_is_refused);
    tcase_add_test(tests, new_store_has_its_marks_and_settings);
    tcase_add_test(tests, store_of_the_second_version_gains_the_doctors_table_and_keeps_its_rows);
    tcase_add_test(tests, store_of_the_fourth_version_gains_the_figures_of_its_value_targets);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
