/* A copy of the store while another connection writes it. */
#include "tests/unit/store_fixture.h"

#include "tests/unit/run_suite.h"

#include <sys/stat.h>

static struct fixture fixture;

static void make_store(void)
{
    open_with_net(&fixture);
    struct fixture *f = &fixture;
    for (uint64_t number = 0; number < 20; number++) {
        put_game(f, number, 10, number % 2 == 0 ? 1 : -1, NULL);
    }
    put_game(f, 20, 5, 9, NULL);
    ck_ok(store_commit(f->store, &f->err));
}

static void remove_store(void)
{
    fixture_close(&fixture);
}

static struct store *open_reader(void)
{
    struct store *reader = NULL;
    struct fixture *f = &fixture;
    ck_ok(store_open(f->path, STORE_READ, &reader, &f->err));
    return reader;
}

static char copy_path[128];
static const char *copy(void)
{
    snprintf(copy_path, sizeof copy_path, "%s/copy.db", fixture.folder);
    return copy_path;
}

START_TEST(copy_is_a_store_of_the_same_rows_and_opens_for_writing)
{
    struct fixture *f = &fixture;
    struct fixture other = {.store = NULL};
    struct store *reader = open_reader();
    ck_ok(store_snapshot(reader, copy(), true, NULL, NULL, &f->err));
    store_close(reader);
    ck_ok(store_open(copy(), STORE_WRITE, &other.store, &f->err));
    static const char *const tables[] = {"games", "positions", "nets", "searches", "net_tallies"};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
        ck_assert_double_eq(sql_number(f, sql), sql_number(&other, sql));
    }
    ck_assert_double_eq(sql_number(f, "PRAGMA application_id"),
                        sql_number(&other, "PRAGMA application_id"));
    ck_assert_double_eq(sql_number(f, "PRAGMA user_version"),
                        sql_number(&other, "PRAGMA user_version"));
    ck_assert_double_eq(sql_number(f, "PRAGMA auto_vacuum"),
                        sql_number(&other, "PRAGMA auto_vacuum"));
    struct record_end end = make_end(5, 0, 9000); /* the unfinished game can go on in it */
    ck_assert_int_eq(store_put_end(other.store, make_start(20).uid, &end, &f->err), STORE_ADDED);
    ck_ok(store_commit(other.store, &f->err));
    ck_ok(store_check_tallies(other.store, &f->err));
    store_close(other.store);
}
END_TEST

START_TEST(file_that_is_there_is_never_replaced)
{
    struct fixture *f = &fixture;
    struct store *reader = open_reader();
    struct stat info;
    FILE *file = fopen(copy(), "w");
    ck_assert_ptr_nonnull(file);
    fputs("mine", file);
    fclose(file);
    int files = fixture_files(f);
    ck_assert_int_eq(store_snapshot(reader, copy(), false, NULL, NULL, &f->err), ERROR_CONFLICT);
    ck_assert_int_eq(stat(copy(), &info), 0);
    ck_assert_int_eq(info.st_size, 4);
    ck_assert_int_eq(store_snapshot(reader, f->path, false, NULL, NULL, &f->err), ERROR_CONFLICT);
    ck_assert_int_eq(store_snapshot(reader, f->folder, false, NULL, NULL, &f->err), ERROR_CONFLICT);
    ck_assert_int_eq(fixture_files(f), files);
    store_close(reader);
}
END_TEST

static bool take_the_name(void *context)
{
    (void)context;
    FILE *file = fopen(copy_path, "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    return true;
}

START_TEST(name_that_is_taken_meanwhile_stays_with_who_took_it)
{
    struct fixture *f = &fixture;
    struct store *reader = open_reader();
    struct stat info;
    ck_assert_int_eq(store_snapshot(reader, copy(), false, take_the_name, NULL, &f->err),
                     ERROR_CONFLICT);
    ck_assert_int_eq(stat(copy(), &info), 0);
    ck_assert_int_eq(info.st_size, 0);
    unlink(copy());
    store_close(reader);
}
END_TEST

static bool stop(void *context)
{
    return (*(int *)context)-- > 0;
}

START_TEST(stop_leaves_no_file_behind)
{
    struct fixture *f = &fixture;
    struct store *reader = open_reader();
    int files = fixture_files(f);
    int n = 1;
    ck_assert_int_eq(store_snapshot(reader, copy(), false, stop, &n, &f->err), ERROR_CANCELLED);
    ck_assert_int_eq(fixture_files(f), files);
    ck_assert_int_eq(store_snapshot(reader, "/nowhere/at/all.db", false, NULL, NULL, &f->err) < 0,
                     1);
    n = 1000000;
    ck_ok(store_snapshot(reader, copy(), false, stop, &n, &f->err)); /* the reader is still good */
    store_close(reader);
}
END_TEST

struct writing {
    uint64_t number;
};

static bool write_a_game(void *context)
{
    struct writing *writing = context;
    struct fixture *f = &fixture;
    put_game(f, ++writing->number, 10, 1, NULL);
    ck_ok(store_commit(f->store, &f->err));
    return true;
}

START_TEST(writer_commits_while_the_copy_is_made_and_the_copy_is_of_one_moment)
{
    struct fixture *f = &fixture;
    struct fixture other = {.store = NULL};
    struct writing writing = {.number = 100};
    for (; writing.number < 400; writing.number++) { /* enough for several looks */
        put_game(f, writing.number, 10, -1, NULL);
    }
    ck_ok(store_commit(f->store, &f->err));
    double games = sql_number(f, "SELECT count(*) FROM games");
    uint64_t before = writing.number;
    struct store *reader = open_reader();
    ck_ok(store_snapshot(reader, copy(), true, write_a_game, &writing, &f->err));
    store_close(reader);
    ck_assert_uint_gt(writing.number, before + 1);
    ck_ok(store_open(copy(), STORE_READ, &other.store, &f->err));
    double copied = sql_number(&other, "SELECT count(*) FROM games");
    /* Asked for the first time before the transaction has begun, so one more may be in it. */
    ck_assert(copied >= games && copied <= games + 1);
    store_close(other.store);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"),
                        games + (double)(writing.number - before));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_snapshot");
    TCase *tests = tcase_create("snapshot");
    tcase_add_checked_fixture(tests, make_store, remove_store);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, copy_is_a_store_of_the_same_rows_and_opens_for_writing);
    tcase_add_test(tests, file_that_is_there_is_never_replaced);
    tcase_add_test(tests, name_that_is_taken_meanwhile_stays_with_who_took_it);
    tcase_add_test(tests, stop_leaves_no_file_behind);
    tcase_add_test(tests, writer_commits_while_the_copy_is_made_and_the_copy_is_of_one_moment);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
