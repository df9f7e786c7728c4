/* The storage thread on a disk that fails for a while, or for good, or goes with the power: what it has called done is
 * in the store, once; what fails is told, kept and written when the disk works again. */
#include "tests/faults/vfs_shim.h"
#include "tests/unit/store_fixture.h"

#include "daemon/writer/storage_tasks.h"
#include "tests/unit/run_suite.h"

#include <sys/mman.h>
#include <sys/wait.h>

enum { TASKS = 140, LIMIT_S = 60 };

/* What a child tells its parent, in memory that both see. */
struct report {
    bool done[TASKS]; /* acknowledged */
    uint32_t n_done, refused;
    uint32_t troubles, recoveries, lost;
    int trouble_code;
    bool closed;
};
static struct report *report;

struct house {
    uv_loop_t loop;
    struct storage_thread *thread;
};

#define NEEDS(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            _exit(1);                                                                     \
        }                                                                                 \
    } while (0)

static void on_committed(const struct store_counts *counts, void *context)
{
    (void)counts;
    (void)context;
}

static void on_trouble(int code, const char *text, void *context)
{
    (void)context;
    NEEDS(text[0] != '\0' && (code == ERROR_IO || code == ERROR_FULL));
    report->troubles++;
    report->trouble_code = code;
}

static void on_recovered(int64_t after_ms, void *context)
{
    (void)after_ms;
    (void)context;
    report->recoveries++;
}

static void on_drained(void *context)
{
    (void)context;
}

static void on_closed(uint32_t lost, void *context)
{
    (void)context;
    report->lost = lost;
    report->closed = true;
}

/* The context of a task is its place in report->done. */
static void on_done(struct storage_task *task, int result, const struct error *err)
{
    (void)err;
    if (result < 0) {
        report->refused++;
        return;
    }
    *(bool *)task->context = true;
    report->n_done++;
}

static void put(struct house *house, int i)
{
    char detail[32];
    (void)snprintf(detail, sizeof(detail), "number %d", i);
    struct storage_task *task = storage_task_event(i, "info", "test", detail);
    NEEDS(task != NULL);
    task->done = on_done;
    task->context = &report->done[i];
    task->urgent = i % 4 == 3;
    NEEDS(storage_thread_put(house->thread, task));
}

static void run(const char *path, const struct vfs_plan *plan)
{
    const struct storage_callbacks callbacks = {.committed = on_committed,
                                                .trouble = on_trouble,
                                                .recovered = on_recovered,
                                                .drained = on_drained};
    struct house house;
    struct store *store = NULL;
    struct error err = {.text = ""};

    vfs_shim_register();
    NEEDS(store_open(path, STORE_CREATE, &store, &err) == 0);
    vfs_shim_plan(plan);
    NEEDS(uv_loop_init(&house.loop) == 0);
    NEEDS(storage_thread_open(&house.loop, store, &storage_backend_sqlite, &callbacks,
                              &house.thread, &err) == 0);
    for (int i = 0; i < TASKS;
         i++) { /* an urgent task ends a group: they are waited for one by one */
        uint64_t began = uv_hrtime();
        put(&house, i);
        while (i % 4 == 3 && !report->done[i] && plan->count != UINT32_MAX) {
            NEEDS(uv_hrtime() - began < LIMIT_S * 1000000000ULL);
            (void)uv_run(&house.loop, UV_RUN_NOWAIT);
            uv_sleep(1);
        }
    }
    storage_thread_close(house.thread, on_closed, &house);
    (void)uv_run(&house.loop, UV_RUN_DEFAULT);
    _exit(report->closed ? 0 : 1);
}

static int run_child(struct fixture *f, const struct vfs_plan *plan)
{
    int status = 0;
    fixture_folder(f);
    memset(report, 0, sizeof(*report));
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        run(f->path, plan);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* Acknowledged: there once. Others: at most once, and if `all`, there too. Then the folder goes. */
static void check_store(struct fixture *f, bool all)
{
    char sql[96];
    ck_ok(store_open(f->path, STORE_WRITE, &f->store, &f->err));
    ck_ok(store_check_integrity(f->store, &f->err));
    for (int i = 0; i < TASKS; i++) {
        snprintf(sql, sizeof sql, "SELECT count(*) FROM events WHERE detail = 'number %d'", i);
        int n = (int)sql_number(f, sql);
        ck_assert_msg(n == 1 || (n == 0 && !report->done[i] && !all), "number %d is there %d times",
                      i, n);
    }
    fixture_close(f);
}

static void setup(void)
{
    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(report, MAP_FAILED);
}

/* _i: which operation is the first to fail. */
START_TEST(disk_that_fails_for_a_while_costs_time_and_nothing_else)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    const struct vfs_plan plan = {
        .fault = _i % 2 == 0 ? VFS_FAIL_IO : VFS_FAIL_FULL, .at = 1 + 7 * (uint32_t)_i, .count = 3};
    ck_assert_int_eq(run_child(f, &plan), 0);
    ck_assert_uint_eq(report->n_done, TASKS);
    ck_assert_uint_eq(report->refused + report->lost, 0);
    ck_assert_uint_eq(report->troubles, 1); /* said once, however often it was tried */
    ck_assert_uint_eq(report->recoveries, 1);
    ck_assert_int_eq(report->trouble_code, _i % 2 == 0 ? ERROR_IO : ERROR_FULL);
    check_store(f, true);
}
END_TEST

START_TEST(power_cut_leaves_all_that_was_called_done)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    uint32_t done = 0;
    for (uint32_t n = 3 + (uint32_t)_i; n < 90; n += 13) {
        const struct vfs_plan plan = {
            .fault = VFS_CUT, .at = n, .count = 1, .seed = 4 * (uint64_t)n + (uint64_t)_i};
        ck_assert_int_eq(run_child(f, &plan), VFS_CUT_STATUS);
        done += report->n_done;
        check_store(f, false);
    }
    ck_assert_uint_gt(done, 0);
}
END_TEST

START_TEST(disk_that_fails_for_good_is_given_up_at_the_close_and_the_loss_is_counted)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    const struct vfs_plan plan = {.fault = VFS_FAIL_FULL, .at = 3, .count = UINT32_MAX};
    ck_assert_int_eq(run_child(f, &plan), 0);
    ck_assert_uint_eq(report->troubles, 1);
    ck_assert_uint_eq(report->recoveries, 0);
    ck_assert_uint_gt(report->lost, 0);
    ck_assert_uint_eq(report->n_done + report->lost, TASKS);
    check_store(f, false);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("storage_disk");
    TCase *tcase = tcase_create("storage_disk");

    tcase_set_timeout(tcase, 120);
    tcase_add_unchecked_fixture(tcase, setup, NULL);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, disk_that_fails_for_a_while_costs_time_and_nothing_else, 0, 8);
    tcase_add_loop_test(tcase, power_cut_leaves_all_that_was_called_done, 0, 4);
    tcase_add_test(tcase,
                   disk_that_fails_for_good_is_given_up_at_the_close_and_the_loss_is_counted);
    return run_suite(suite);
}
