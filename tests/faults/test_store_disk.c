/* The store on a disk that fails and with the power cut, at every single write, fsync and truncation of a scripted life
 * (store_script.h). After each: what was acknowledged is there, whole steps only, nothing twice, integrity and
 * tallies ok, and (after every eighth cut) the rest of the script leads to the same store as if nothing had been. */
#include "tests/faults/store_script.h"
#include "tests/faults/vfs_shim.h"
#include "tests/unit/store_fixture.h"

#include "storage/migrations.h"
#include "storage/store_internal.h"
#include "tests/unit/run_suite.h"

#include <sys/mman.h>
#include <sys/wait.h>

/* What a child tells its parent, in memory that both see. */
struct report {
    int opened; /* store_open has succeeded */
    int acknowledged;
    uint32_t operations;
    uint32_t failures; /* that the script was told of */
    uint64_t states[SCRIPT_STEPS + 1];
    bool done;
};
static struct report *report;

static void make_report(void)
{
    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(report, MAP_FAILED);
}

static void clear_folder(const struct fixture *f)
{
    DIR *folder = opendir(f->folder);
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] != '.') {
            unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    closedir(folder);
    memset(report, 0, sizeof(*report));
}

/* ---- in the child ---- */

/* A child says what is wrong and fails; Check's assertions are the parent's. */
#define NEEDS(condition, ...)                   \
    do {                                        \
        if (!(condition)) {                     \
            (void)fprintf(stderr, __VA_ARGS__); \
            (void)fputc('\n', stderr);          \
            _exit(1);                           \
        }                                       \
    } while (0)

static void failed_as_promised(int r, const struct error *err, const char *what, int step)
{
    NEEDS(r == ERROR_IO || r == ERROR_FULL, "step %d: %s gives %d: %s", step, what, r, err->text);
    NEEDS(err->text[0] != '\0', "step %d: %s says nothing", step, what);
    NEEDS(++report->failures < 1000, "step %d: it never ends failing", step);
}

static void open_until_it_works(const char *path, enum store_mode mode, struct store **ret)
{
    struct error err = {.text = ""};

    for (int r = -1; r < 0;) {
        r = store_open(path, mode, ret, &err);
        if (r < 0) {
            failed_as_promised(r, &err, "store_open", -1);
        }
    }
}

/* As the storage thread does it: what fails for want of a disk is written again. */
static void run_script(const char *path, int from, bool looks)
{
    struct error err = {.text = ""};
    struct store *store = NULL;

    open_until_it_works(path, STORE_CREATE, &store);
    report->opened = 1;
    if (looks) {
        report->states[from] = script_state(store);
    }
    for (int i = from; i < SCRIPT_STEPS;) {
        int r = script_step(&store, path, i, &err);
        if (store == NULL) { /* the step opens it again and could not */
            failed_as_promised(r, &err, "store_open", i);
            open_until_it_works(path, STORE_WRITE, &store);
            continue;
        }
        r = r < 0 ? r : store_commit(store, &err);
        if (r < 0) {
            failed_as_promised(r, &err, "writing", i);
            store_rollback(store);
            continue;
        }
        report->acknowledged = ++i;
        if (looks) {
            report->states[i] = script_state(store);
        }
    }
    store_close(store);
    report->operations = vfs_shim_operations();
    report->done = true;
}

/* Run the script in a child under a plan; returns its exit status. `cuts`: the power goes at its end. */
static int run_child(const char *path, const struct vfs_plan *plan, bool looks, bool cuts)
{
    int status = 0;
    (void)fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        vfs_shim_register();
        vfs_shim_plan(plan);
        run_script(path, report->acknowledged, looks);
        if (cuts) {
            vfs_shim_cut(0);
        }
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* ---- in the parent ---- */
static struct report reference; /* of a run without faults */

static void run_reference(struct fixture *f)
{
    const struct vfs_plan plan = {.fault = VFS_NONE};

    clear_folder(f);
    ck_assert_int_eq(run_child(f->path, &plan, true, false), 0);
    ck_assert(report->done && report->failures == 0);
    reference = *report;
    for (int i = 1; i <= SCRIPT_STEPS; i++) {
        ck_assert_uint_ne(reference.states[i], reference.states[i - 1]);
    }
}

static void check_healthy(struct fixture *f, const char *when)
{
    ck_assert_msg(store_check_integrity(f->store, &f->err) == 0, "%s: %s", when, f->err.text);
    ck_assert_msg(store_check_tallies(f->store, &f->err) == 0, "%s: %s", when, f->err.text);
}

/* After a cut: the store holds the acknowledged steps, and perhaps the one that was on its way. */
static void check_after_cut(struct fixture *f, const char *when)
{
    int r = store_open(f->path, STORE_WRITE, &f->store, &f->err);

    if (r == ERROR_NOT_FOUND) {
        ck_assert_msg(!report->opened, "%s: the store is gone", when);
        report->acknowledged = 0;
    } else {
        ck_assert_msg(r == 0, "%s: %s", when, f->err.text);
        check_healthy(f, when);
        uint64_t state = script_state(f->store);
        int i = report->acknowledged;
        if (state != reference.states[i]) {
            ck_assert_msg(i < SCRIPT_STEPS && state == reference.states[i + 1],
                          "%s: neither what was acknowledged (%d steps) nor one step more", when,
                          i);
            report->acknowledged++;
        }
        store_close(f->store);
        f->store = NULL;
    }
}

static void check_whole(struct fixture *f, const char *when)
{
    ck_assert_msg(report->done, "%s: the script did not come to its end", when);
    ck_assert_msg(store_open(f->path, STORE_WRITE, &f->store, &f->err) == 0, "%s: %s", when,
                  f->err.text);
    check_healthy(f, when);
    ck_assert_msg(script_state(f->store) == reference.states[SCRIPT_STEPS], "%s: another store",
                  when);
    store_close(f->store);
    f->store = NULL;
}

/* QZD_TEST_FAULTS: "all": each operation in every way; a number: every so many operations, each in one way, taken in
 * turn; unset: 1. */
static uint32_t stride(void)
{
    const char *text = getenv("QZD_TEST_FAULTS");
    long n = text == NULL ? 1 : strtol(text, NULL, 10);

    return n > 0 ? (uint32_t)n : 1;
}

static bool is_turn(uint32_t n, unsigned kind, unsigned kinds)
{
    const char *text = getenv("QZD_TEST_FAULTS");

    if (text != NULL && strcmp(text, "all") == 0) {
        return true;
    }
    return n % stride() == 0 && n / stride() % kinds == kind;
}

static void open_fixture(struct fixture *f)
{
    fixture_folder(f);
    make_report();
    run_reference(f);
    ck_assert_uint_gt(reference.operations, 100);
}

static void close_fixture(struct fixture *f)
{
    fixture_close(f);
    munmap(report, sizeof(*report));
}

/* _i: what the cut leaves of what was not synced: nothing, all, some, torn. */
START_TEST(power_cut_at_every_operation_costs_nothing_acknowledged)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    const struct vfs_plan none = {.fault = VFS_NONE};
    char when[96];
    open_fixture(f);
    for (uint32_t n = 1; n <= reference.operations; n++) {
        if (!is_turn(n, (unsigned)_i, 4)) {
            continue;
        }
        const struct vfs_plan plan = {
            .fault = VFS_CUT, .at = n, .count = 1, .seed = 4 * (uint64_t)n + (uint64_t)_i};
        snprintf(when, sizeof when, "power cut at operation %u, kind %d", n, _i);
        clear_folder(f);
        int status = run_child(f->path, &plan, false, false);
        ck_assert_msg(status == VFS_CUT_STATUS, "%s: status %d", when, status);
        check_after_cut(f, when);
        if (n % 8 == 0) { /* and it goes on to the same end */
            ck_assert_int_eq(run_child(f->path, &none, false, false), 0);
            check_whole(f, when);
        }
    }
    close_fixture(f);
}
END_TEST

/* _i: 0, 1: one I/O error, one full disk; 2, 3: five operations in a row. Then all goes well again, and at the end the
 * power is cut: what came behind the failure was acknowledged in truth. */
START_TEST(failure_of_every_operation_is_told_and_written_again)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    char when[96];
    uint32_t told = 0;
    uint32_t runs = 0;
    open_fixture(f);
    for (uint32_t n = 1; n <= reference.operations; n++) {
        if (!is_turn(n, (unsigned)_i, 4)) {
            continue;
        }
        runs++;
        const struct vfs_plan plan = {
            .fault = _i % 2 == 0 ? VFS_FAIL_IO : VFS_FAIL_FULL, .at = n, .count = _i < 2 ? 1 : 5};
        snprintf(when, sizeof when, "failure at operation %u, kind %d", n, _i);
        clear_folder(f);
        int status = run_child(f->path, &plan, false, true);
        ck_assert_msg(status == VFS_CUT_STATUS, "%s: status %d", when, status);
        told += report->failures > 0;
        check_whole(f, when);
    }
    /* Not each is told: a checkpoint on the way or at the close fails in silence, and the log keeps it all. */
    ck_assert_uint_gt(told, runs / 3);
    close_fixture(f);
}
END_TEST

/* ---- a migration ---- */
static const char *const older_steps[] = {
    "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT) STRICT; INSERT INTO a(x) VALUES ('one');"
    "INSERT INTO a(x) VALUES ('two')",
    "CREATE TABLE b(id INTEGER PRIMARY KEY, y INTEGER) STRICT; ALTER TABLE a ADD COLUMN y INTEGER;"
    "INSERT INTO b(y) SELECT length(x) FROM a; UPDATE a SET y = 3; CREATE INDEX i ON a(y)",
};

static void migrate_child(const char *path, int n_steps, const struct vfs_plan *plan)
{
    const struct migrations migrations = {.n = n_steps, .steps = older_steps};
    struct error err = {.text = ""};
    sqlite3 *db = NULL;

    vfs_shim_register();
    vfs_shim_plan(plan);
    for (int r = -1; r < 0;) {
        r = store_file_connect(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, false, &db, &err);
        if (r == 0 && sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", NULL,
                                   NULL, NULL) != SQLITE_OK) {
            r = store_error(db, &err, "journal");
        }
        r = r < 0 ? r : migrations_run(db, &migrations, &err);
        if (r < 0) {
            failed_as_promised(r, &err, "migrations_run", n_steps);
            sqlite3_close(db);
        }
    }
    report->acknowledged = n_steps;
    sqlite3_close(db);
    report->operations = vfs_shim_operations();
    _exit(0);
}

static int migrate(const char *path, int n_steps, const struct vfs_plan *plan)
{
    int status = 0;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        migrate_child(path, n_steps, plan);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static int64_t ask(sqlite3 *db, const char *sql)
{
    int64_t value = -1;
    struct error err = {.text = ""};
    ck_assert_msg(store_pragma(db, sql, &value, &err) == 0, "%s: %s", sql, err.text);
    return value;
}

/* Version 1 as it was, or version 2 whole. */
static void check_migrated(const char *path, bool must_be_new, const char *when)
{
    sqlite3 *db = NULL;
    ck_assert_int_eq(store_file_connect(path, SQLITE_OPEN_READWRITE, false, &db, NULL), 0);
    int64_t version = ask(db, "PRAGMA user_version");
    ck_assert_msg(version == 2 || (!must_be_new && version == 1), "%s: version %lld", when,
                  (long long)version);
    ck_assert_int_eq(ask(db, "SELECT count(*) FROM a WHERE x IN ('one', 'two')"), 2);
    ck_assert_int_eq(ask(db, "SELECT count(*) FROM sqlite_schema WHERE name IN ('b', 'i')"),
                     version == 2 ? 2 : 0);
    if (version == 2) {
        ck_assert_int_eq(ask(db, "SELECT count(*) FROM a WHERE y = 3"), 2);
        ck_assert_int_eq(ask(db, "SELECT sum(y) FROM b"), 6);
    }
    sqlite3_close(db);
}

START_TEST(migration_is_whole_or_not_begun_whatever_fails)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    const struct vfs_plan none = {.fault = VFS_NONE};
    char when[96];
    fixture_folder(f);
    make_report();
    ck_assert_int_eq(migrate(f->path, 1, &none), 0);
    ck_assert_int_eq(migrate(f->path, 2, &none), 0);
    uint32_t operations = report->operations;
    ck_assert_uint_gt(operations, 10);
    for (uint32_t n = 1; n <= operations; n++) {
        for (unsigned kind = 0; kind < 6; kind++) {
            if (!is_turn(n, kind, 6)) {
                continue;
            }
            const struct vfs_plan plan = {.fault = kind < 4    ? VFS_CUT
                                                   : kind == 4 ? VFS_FAIL_IO
                                                               : VFS_FAIL_FULL,
                                          .at = n,
                                          .count = 1,
                                          .seed = 4 * (uint64_t)n + kind};
            snprintf(when, sizeof when, "operation %u, kind %u", n, kind);
            clear_folder(f);
            ck_assert_int_eq(migrate(f->path, 1, &none), 0);
            int status = migrate(f->path, 2, &plan);
            ck_assert_msg(status == (kind < 4 ? VFS_CUT_STATUS : 0), "%s: status %d", when, status);
            check_migrated(f->path, report->acknowledged == 2, when);
            ck_assert_int_eq(migrate(f->path, 2, &none), 0);
            check_migrated(f->path, true, when);
        }
    }
    close_fixture(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_disk");
    TCase *tcase = tcase_create("store_disk");

    tcase_set_timeout(tcase, 250);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, power_cut_at_every_operation_costs_nothing_acknowledged, 0, 4);
    tcase_add_loop_test(tcase, failure_of_every_operation_is_told_and_written_again, 0, 4);
    tcase_add_test(tcase, migration_is_whole_or_not_begun_whatever_fails);
    return run_suite(suite);
}
