/* Files that are not ours, are newer, damaged or cut off: a clear error, and nothing changes, neither
 * in the file nor beside it. */
#include "storage/migrations.h"
#include "store_fixture.h"
#include "tests/unit/run_suite.h"

#include <fcntl.h>
#include <sys/stat.h>

struct bytes {
    uint8_t *data;
    size_t size;
};

static struct bytes read_file(const char *path)
{
    struct stat status;
    struct bytes bytes;
    int fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &status), 0);
    bytes.size = (size_t)status.st_size;
    bytes.data = malloc(bytes.size + 1);
    ck_assert_int_eq(read(fd, bytes.data, bytes.size), status.st_size);
    close(fd);
    return bytes;
}

static void write_file(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

/* Opening the file at f->path gives `code` in each mode, and all is as before. */
static void assert_refused(struct fixture *f, int code, const char *about)
{
    static const enum store_mode modes[] = {STORE_READ, STORE_WRITE, STORE_CREATE};
    struct bytes before = read_file(f->path);
    int n_files = fixture_files(f);
    for (size_t i = 0; i < 3; i++) {
        struct store *store = NULL;
        f->err.text[0] = '\0';
        int r = store_open(f->path, modes[i], &store, &f->err);
        ck_assert_msg(r == code, "%s, mode %zu: %d: %s", about, i, r, f->err.text);
        ck_assert_ptr_null(store);
        ck_assert_msg(strstr(f->err.text, f->path) != NULL, "%s: %s", about, f->err.text);
        struct bytes after = read_file(f->path);
        ck_assert_msg(after.size == before.size &&
                          memcmp(after.data, before.data, before.size) == 0,
                      "%s, mode %zu: the file changed", about, i);
        free(after.data);
        ck_assert_msg(fixture_files(f) == n_files, "%s, mode %zu: a new file", about, i);
    }
    free(before.data);
}

/* The store as a file alone, as a snapshot is. */
static void remove_empty_log(const struct fixture *f)
{
    char path[160];
    struct stat status;
    snprintf(path, sizeof path, "%s-wal", f->path);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, 0);
    ck_assert_int_eq(unlink(path), 0);
    snprintf(path, sizeof path, "%s-shm", f->path);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(fixture_files(f), 1);
}

/* A store with some games, closed; its bytes. */
static struct bytes make_store(struct fixture *f)
{
    open_with_net(f);
    for (uint64_t i = 0; i < 3; i++) {
        put_game(f, i, 10, 1, NULL);
    }
    ck_ok(store_commit(f->store, &f->err));
    store_close(f->store);
    f->store = NULL;
    remove_empty_log(f);
    return read_file(f->path);
}

START_TEST(missing_file_is_made_only_when_asked)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store *store = NULL;
    fixture_folder(f);
    ck_assert_int_eq(store_open(f->path, STORE_READ, &store, &f->err), ERROR_NOT_FOUND);
    ck_assert_int_eq(store_open(f->path, STORE_WRITE, &store, &f->err), ERROR_NOT_FOUND);
    ck_assert_int_eq(fixture_files(f), 0);
    char elsewhere[128];
    snprintf(elsewhere, sizeof elsewhere, "%s/none/qzd.db", f->folder);
    ck_assert_int_eq(store_open(elsewhere, STORE_CREATE, &store, &f->err), ERROR_NOT_FOUND);
    ck_ok(store_open(f->path, STORE_CREATE, &store, &f->err));
    store_close(store);
    remove_empty_log(f);
    ck_ok(store_open(f->path, STORE_CREATE, &store, &f->err)); /* there already */
    store_close(store);
    fixture_close(f);
}
END_TEST

START_TEST(odd_characters_in_a_path_are_no_matter)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    fixture_folder(f);
    snprintf(f->path, sizeof f->path, "%s/a b?mode=ro#%%41\xc3\xbc.db", f->folder);
    ck_ok(store_open(f->path, STORE_CREATE, &f->store, &f->err));
    ck_ok(store_set_run(f->store, "a", "b", &f->err));
    ck_ok(store_commit(f->store, &f->err));
    fixture_reopen(f, STORE_READ);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM run"), 1);
    ck_assert_int_eq(access(f->path, F_OK), 0);
    fixture_close(f);
}
END_TEST

START_TEST(files_that_are_no_databases_are_left_alone)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    char garbage[5000];
    uint64_t random = 8;
    fixture_folder(f);
    write_file(f->path, "", 0);
    assert_refused(f, ERROR_INVALID, "empty");
    write_file(f->path, "hello\n", 6);
    assert_refused(f, ERROR_INVALID, "text");
    for (size_t i = 0; i < sizeof garbage; i++) {
        garbage[i] = (char)draw(&random);
    }
    write_file(f->path, garbage, sizeof garbage);
    assert_refused(f, ERROR_INVALID, "garbage");
    unlink(f->path);
    struct store *store = NULL;
    ck_assert_int_eq(store_open(f->folder, STORE_CREATE, &store, &f->err), ERROR_INVALID);
    fixture_close(f);
}
END_TEST

START_TEST(databases_of_others_are_left_alone)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    sqlite3 *db = NULL;
    fixture_folder(f);
    ck_assert_int_eq(sqlite3_open(f->path, &db), SQLITE_OK);
    sqlite3_exec(db, "CREATE TABLE nets(id); PRAGMA user_version = 1", NULL, NULL, NULL);
    sqlite3_close(db);
    assert_refused(f, ERROR_INVALID, "of another program");
    ck_assert_int_eq(sqlite3_open(f->path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA application_id = 0x717A6432; PRAGMA journal_mode = WAL", NULL, NULL,
                 NULL);
    sqlite3_close(db);
    assert_refused(f, ERROR_INVALID, "of a program with a similar id");
    fixture_close(f);
}
END_TEST

START_TEST(newer_store_is_left_alone)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    sqlite3 *db = NULL;
    struct bytes bytes = make_store(f);
    free(bytes.data);
    ck_assert_int_eq(sqlite3_open(f->path, &db), SQLITE_OK);
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", STORE_VERSION + 1);
    sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    assert_refused(f, ERROR_VERSION, "newer");
    fixture_close(f);
}
END_TEST

/* A newer program was killed: its version stands in the log only. */
START_TEST(newer_store_with_a_log_is_left_alone)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    sqlite3 *db = NULL;
    struct store *store = NULL;
    char copy[128];
    char wal[160];
    struct bytes bytes = make_store(f);
    free(bytes.data);
    ck_assert_int_eq(sqlite3_open(f->path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL);
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    struct bytes main_before = read_file(f->path);
    struct bytes log_before = read_file(wal);
    ck_assert_uint_gt(log_before.size, 0);
    snprintf(copy, sizeof copy, "%s/copy.db", f->folder);
    write_file(copy, main_before.data, main_before.size);
    snprintf(wal, sizeof wal, "%s-wal", copy);
    write_file(wal, log_before.data, log_before.size);
    sqlite3_close(db);
    ck_assert_int_eq(store_open(copy, STORE_WRITE, &store, &f->err), ERROR_VERSION);
    ck_assert_int_eq(store_open(copy, STORE_READ, &store, &f->err), ERROR_VERSION);
    struct bytes main_after = read_file(copy);
    struct bytes log_after = read_file(wal);
    ck_assert(main_after.size == main_before.size && log_after.size == log_before.size);
    ck_assert_mem_eq(main_after.data, main_before.data, main_before.size);
    ck_assert_mem_eq(log_after.data, log_before.data, log_before.size);
    free(main_before.data);
    free(main_after.data);
    free(log_before.data);
    free(log_after.data);
    fixture_close(f);
}
END_TEST

START_TEST(damaged_stores_are_left_alone)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct bytes good = make_store(f);
    struct bytes bad = {malloc(good.size), good.size};
    /* what, first byte, how many, what is put there */
    const struct {
        const char *about;
        size_t at, n;
        int value;
    } cases[] = {
        {"page size", 16, 2, 0x03},
        {"schema's page type", 100, 1, 0x55},
        {"schema's cell count", 103, 2, 0x7f},
        {"schema's cells", 108, 400, 0xee},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(bad.data, good.data, good.size);
        memset(bad.data + cases[i].at, cases[i].value, cases[i].n);
        write_file(f->path, bad.data, bad.size);
        assert_refused(f, ERROR_CORRUPT, cases[i].about);
    }
    static const char schema[] = "CREATE TABLE nets(";
    memcpy(bad.data, good.data, good.size);
    uint8_t *text = memmem(bad.data, bad.size, schema, strlen(schema));
    ck_assert_ptr_nonnull(text);
    text[0] = 'K'; /* no SQL any more */
    write_file(f->path, bad.data, bad.size);
    assert_refused(f, ERROR_CORRUPT, "schema's texts");
    /* cut off at every page, and within some */
    for (size_t size = 100; size < good.size; size += 2048) {
        char about[64];
        snprintf(about, sizeof about, "cut off at %zu of %zu", size, good.size);
        write_file(f->path, good.data, size);
        assert_refused(f, ERROR_CORRUPT, about);
    }
    write_file(f->path, good.data, good.size); /* and the whole is still good */
    fixture_reopen(f, STORE_WRITE);
    ck_ok(store_check_integrity(f->store, &f->err));
    free(bad.data);
    free(good.data);
    fixture_close(f);
}
END_TEST

START_TEST(store_without_one_of_its_tables_is_refused)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    sqlite3 *db = NULL;
    struct bytes bytes = make_store(f);
    free(bytes.data);
    ck_assert_int_eq(sqlite3_open(f->path, &db), SQLITE_OK);
    sqlite3_exec(db, "DROP VIEW progress", NULL, NULL, NULL);
    sqlite3_close(db);
    assert_refused(f, ERROR_CORRUPT, "no view");
    ck_assert_msg(strstr(f->err.text, "view progress") != NULL, "%s", f->err.text);
    fixture_close(f);
}
END_TEST

/* Any byte of a page changed: opening fails or not, the check of integrity finds damage or not, nothing
 * crashes. */
START_TEST(random_damage_never_crashes)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct bytes good = make_store(f);
    uint64_t random = 31;
    int n_refused = 0;
    for (int round = 0; round < 150; round++) {
        size_t at = draw(&random) % good.size;
        uint8_t kept[16];
        size_t n = 1 + draw(&random) % 16;
        n = at + n > good.size ? good.size - at : n;
        memcpy(kept, good.data + at, n);
        for (size_t i = 0; i < n; i++) {
            good.data[at + i] = (uint8_t)draw(&random);
        }
        write_file(f->path, good.data, good.size);
        memcpy(good.data + at, kept, n);
        struct store *store = NULL;
        if (store_open(f->path, STORE_READ, &store, &f->err) < 0) {
            n_refused++;
            continue;
        }
        (void)store_check_integrity(store, &f->err);
        (void)store_check_tallies(store, &f->err);
        store_close(store);
    }
    ck_assert_int_gt(n_refused, 0);
    free(good.data);
    fixture_close(f);
}
END_TEST

/* A person who may read the file, but not write beside it (needs no daemon to be running). */
START_TEST(store_in_a_folder_without_write_permission_is_readable)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct bytes bytes = make_store(f);
    free(bytes.data);
    chmod(f->path, 0444);
    chmod(f->folder, 0555);
    bool is_root = geteuid() == 0;
    if (is_root) {
        ck_assert_int_eq(seteuid(65534), 0);
    }
    ck_ok(store_open(f->path, STORE_READ, &f->store, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), 3);
    struct store *store = NULL;
    ck_assert_int_eq(store_open(f->path, STORE_WRITE, &store, &f->err), ERROR_PERMISSION);
    ck_assert_int_eq(fixture_files(f), 1);
    if (is_root) {
        ck_assert_int_eq(seteuid(0), 0);
    }
    chmod(f->folder, 0755);
    fixture_close(f);
}
END_TEST

/* The same person with any SQLite, which cannot do without the log in this mode. */
START_TEST(store_closed_cleanly_is_readable_by_plain_sqlite_without_write_permission)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    open_with_net(f);
    put_game(f, 1, 10, 1, NULL);
    ck_ok(store_commit(f->store, &f->err));
    store_close(f->store);
    f->store = NULL;
    ck_assert_int_eq(fixture_files(f), 3);
    ck_assert_int_eq(chmod(f->folder, 0555), 0);
    bool is_root = geteuid() == 0;
    if (is_root) {
        ck_assert_int_eq(seteuid(65534), 0);
    }
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    ck_assert_int_eq(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT count(*) FROM games", -1, &stmt, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    ck_assert_int_eq(sqlite3_column_int(stmt, 0), 1);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    ck_assert_int_eq(fixture_files(f), 3);
    if (is_root) {
        ck_assert_int_eq(seteuid(0), 0);
    }
    chmod(f->folder, 0755);
    fixture_close(f);
}
END_TEST

START_TEST(closing_beside_a_reader_moves_the_log_into_the_file_too)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store *reader = NULL;
    open_with_net(f);
    put_game(f, 1, 10, 1, NULL);
    ck_ok(store_commit(f->store, &f->err));
    ck_ok(store_open(f->path, STORE_READ, &reader, &f->err));
    ck_ok(store_check_tallies(reader, &f->err));
    store_close(f->store);
    f->store = NULL;
    store_close(reader);
    remove_empty_log(f);
    ck_ok(store_open(f->path, STORE_READ, &f->store, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), 1);
    fixture_close(f);
}
END_TEST

/* POSIX locks belong to the process: closing any descriptor of a file drops them all. A writer whose
 * locks were dropped so would have its log deleted by the next program that closes the file. */
START_TEST(another_opening_in_this_process_leaves_the_writers_locks)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store *reader = NULL;
    struct stat before;
    struct stat after;
    char log[128];
    char command[256];

    open_with_net(f);
    put_game(f, 0, 10, 1, NULL);
    ck_ok(store_commit(f->store, &f->err));
    snprintf(log, sizeof log, "%s-wal", f->path);
    ck_assert_int_eq(stat(log, &before), 0);
    ck_assert_int_gt(before.st_size, 0);
    for (int i = 0; i < 3; i++) {
        ck_ok(store_open(f->path, STORE_READ, &reader, &f->err));
        store_close(reader);
    }
    snprintf(command, sizeof command, "sqlite3 '%s' 'SELECT count(*) FROM games' >/dev/null",
             f->path);
    ck_assert_int_eq(system(command), 0); /* NOLINT: another program, as a person would */
    ck_assert_msg(stat(log, &after) == 0, "the other program deleted the log of a living writer");
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    put_game(f, 1, 10, 1, NULL);
    ck_ok(store_commit(f->store, &f->err));
    ck_ok(store_check_integrity(f->store, &f->err));
    fixture_close(f);
}
END_TEST

/* What a maker that was killed has left is no hindrance. */
START_TEST(leftovers_of_an_interrupted_creation_are_replaced)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    char path[160];
    fixture_folder(f);
    static const char *const endings[] = {".new", ".new-wal", ".new-shm"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", f->path, endings[i]);
        write_file(path, "garbage", 7);
    }
    ck_ok(store_open(f->path, STORE_CREATE, &f->store, &f->err));
    fixture_reopen(f, STORE_WRITE);
    ck_ok(store_check_integrity(f->store, &f->err));
    store_close(f->store);
    f->store = NULL;
    remove_empty_log(f);
    fixture_close(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_files");
    TCase *tests = tcase_create("store_files");
    tcase_set_timeout(tests, 200);
    tcase_add_test(tests, missing_file_is_made_only_when_asked);
    tcase_add_test(tests, odd_characters_in_a_path_are_no_matter);
    tcase_add_test(tests, files_that_are_no_databases_are_left_alone);
    tcase_add_test(tests, databases_of_others_are_left_alone);
    tcase_add_test(tests, newer_store_is_left_alone);
    tcase_add_test(tests, newer_store_with_a_log_is_left_alone);
    tcase_add_test(tests, damaged_stores_are_left_alone);
    tcase_add_test(tests, store_without_one_of_its_tables_is_refused);
    tcase_add_test(tests, random_damage_never_crashes);
    tcase_add_test(tests, store_in_a_folder_without_write_permission_is_readable);
    tcase_add_test(tests,
                   store_closed_cleanly_is_readable_by_plain_sqlite_without_write_permission);
    tcase_add_test(tests, closing_beside_a_reader_moves_the_log_into_the_file_too);
    tcase_add_test(tests, another_opening_in_this_process_leaves_the_writers_locks);
    tcase_add_test(tests, leftovers_of_an_interrupted_creation_are_replaced);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
