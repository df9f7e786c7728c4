#include "daemon/writer/storage_thread.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A store of memory: tasks write their numbers into `open`, a commit makes them durable. It is the thread's
 * alone but for what is atomic. */
enum { MAX_NUMBERS = 20000 };
static struct {
    int open[MAX_NUMBERS], durable[MAX_NUMBERS];
    uint32_t n_open;
    atomic_uint n_durable, n_commits, n_rollbacks;
    atomic_int fail_commits; /* so many fail, negative: all */
    atomic_int fail_code;
    atomic_int fail_applies; /* so many writes fail with ERROR_FULL */
    atomic_bool closed;
} disk;

static int fake_commit(struct store *store, struct error *err)
{
    (void)store;
    int failing = atomic_load(&disk.fail_commits);
    if (failing != 0) {
        if (failing > 0) {
            atomic_fetch_sub(&disk.fail_commits, 1);
        }
        disk.n_open = 0;
        return error_set(err, atomic_load(&disk.fail_code), "the disk is full");
    }
    uint32_t n = atomic_load(&disk.n_durable);
    memcpy(disk.durable + n, disk.open, disk.n_open * sizeof(disk.open[0]));
    atomic_store(&disk.n_durable, n + disk.n_open);
    disk.n_open = 0;
    atomic_fetch_add(&disk.n_commits, 1);
    return 0;
}

static void fake_rollback(struct store *store)
{
    (void)store;
    disk.n_open = 0;
    atomic_fetch_add(&disk.n_rollbacks, 1);
}

static uint32_t fake_pending(const struct store *store)
{
    (void)store;
    return disk.n_open;
}

static int fake_counts(struct store *store, struct store_counts *ret, struct error *err)
{
    (void)store;
    (void)err;
    *ret = (struct store_counts){.positions = atomic_load(&disk.n_durable)};
    return 0;
}

static int fake_trim(struct store *store, int64_t bytes, struct error *err)
{
    (void)store;
    (void)bytes;
    (void)err;
    return 0;
}

static void fake_close(struct store *store)
{
    (void)store;
    atomic_store(&disk.closed, true);
}

static const struct storage_backend backend = {.commit = fake_commit,
                                               .rollback = fake_rollback,
                                               .pending = fake_pending,
                                               .read_counts = fake_counts,
                                               .trim_wal = fake_trim,
                                               .close = fake_close};

/* ---- a loop with a thread ---- */
struct house {
    uv_loop_t loop;
    struct storage_thread *thread;
    int put, done, destroyed;
    int last_result;
    char last_error[512];
    int64_t counted; /* the last counts told */
    int troubles, trouble_code, recoveries, drains;
    bool closed;
    uint32_t lost;
    int follow_ups; /* that each finished task puts another, so many times */
};

struct numbered_task {
    struct storage_task task;
    int number, refuse;
};

static int apply_number(struct storage_task *task, struct store *store, struct error *err)
{
    const struct numbered_task *numbered = (const struct numbered_task *)task;
    (void)store;
    if (numbered->refuse != 0) {
        return error_set(err, numbered->refuse, "number %d is refused", numbered->number);
    }
    if (atomic_load(&disk.fail_applies) > 0) {
        atomic_fetch_sub(&disk.fail_applies, 1);
        return error_set(err, ERROR_FULL, "no space for a row");
    }
    disk.open[disk.n_open++] = numbered->number;
    return 0;
}

static void put(struct house *house, int refuse, bool urgent);

static void number_done(struct storage_task *task, int result, const struct error *err)
{
    struct house *house = task->context;
    const struct numbered_task *numbered = (const struct numbered_task *)task;
    if (result < 0) {
        house->last_result = result;
        (void)snprintf(house->last_error, sizeof(house->last_error), "%s", err->text);
    } else { /* durable already, and its counts are known */
        bool found = false;
        for (uint32_t i = 0; i < atomic_load(&disk.n_durable); i++) {
            found = found || disk.durable[i] == numbered->number;
        }
        ck_assert_msg(found, "number %d is done before it is durable", numbered->number);
        ck_assert_int_gt(house->counted, 0);
    }
    house->done++;
    if (house->follow_ups > 0) {
        house->follow_ups--;
        put(house, 0, false);
    }
}

static void number_destroy(struct storage_task *task)
{
    ((struct house *)task->context)->destroyed++;
    free(task);
}

static void on_committed(const struct store_counts *counts, void *context)
{
    ((struct house *)context)->counted = counts->positions;
}

static void on_trouble(int code, const char *text, void *context)
{
    struct house *house = context;
    ck_assert(text[0] != '\0');
    house->troubles++;
    house->trouble_code = code;
}

static void on_recovered(int64_t after_ms, void *context)
{
    ck_assert_int_ge(after_ms, 0);
    ((struct house *)context)->recoveries++;
}

static void on_drained(void *context)
{
    ((struct house *)context)->drains++;
}

static void on_closed(uint32_t lost, void *context)
{
    struct house *house = context;
    house->closed = true;
    house->lost = lost;
}

static void open_house(struct house *house)
{
    const struct storage_callbacks callbacks = {.committed = on_committed,
                                                .trouble = on_trouble,
                                                .recovered = on_recovered,
                                                .drained = on_drained,
                                                .context = house};
    memset(house, 0, sizeof(*house));
    memset(&disk, 0, sizeof(disk));
    ck_assert_int_eq(uv_loop_init(&house->loop), 0);
    ck_assert_int_eq(
        storage_thread_open(&house->loop, NULL, &backend, &callbacks, &house->thread, NULL), 0);
}

static void put(struct house *house, int refuse, bool urgent)
{
    struct numbered_task *numbered = calloc(1, sizeof(*numbered));
    numbered->task = (struct storage_task){.apply = apply_number,
                                           .done = number_done,
                                           .destroy = number_destroy,
                                           .urgent = urgent,
                                           .context = house};
    numbered->number = ++house->put;
    numbered->refuse = refuse;
    ck_assert(storage_thread_put(house->thread, &numbered->task));
}

static int64_t run_until_done(struct house *house, int done)
{
    uint64_t began = uv_hrtime();
    while (house->done < done) {
        ck_assert_msg(uv_hrtime() - began < 20000000000U, "%d of %d tasks came back", house->done,
                      done);
        (void)uv_run(&house->loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    return (int64_t)((uv_hrtime() - began) / 1000000);
}

static void close_house(struct house *house)
{
    storage_thread_close(house->thread, on_closed, house);
    (void)uv_run(&house->loop, UV_RUN_DEFAULT);
    ck_assert(house->closed);
    ck_assert(atomic_load(&disk.closed));
    ck_assert_int_eq(house->destroyed, house->put);
    ck_assert_int_eq(uv_loop_close(&house->loop), 0);
}

static void check_durable(int n)
{
    ck_assert_int_eq((int)atomic_load(&disk.n_durable), n);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(disk.durable[i], i + 1);
    }
}

START_TEST(tasks_become_durable_in_order_in_groups_of_a_second)
{
    struct house house;
    open_house(&house);
    for (int i = 0; i < 100; i++) {
        put(&house, 0, false);
    }
    int64_t took_ms = run_until_done(&house, 100);
    ck_assert_msg(took_ms >= 900 && took_ms < 4000, "took %ld ms", (long)took_ms);
    ck_assert_uint_eq(atomic_load(&disk.n_commits), 1);
    check_durable(100);
    close_house(&house);
}
END_TEST

START_TEST(five_hundred_rows_or_an_urgent_task_are_committed_at_once)
{
    struct house house;
    open_house(&house);
    for (int i = 0; i < STORAGE_GROUP_ROWS; i++) {
        put(&house, 0, false);
    }
    ck_assert_int_lt(run_until_done(&house, STORAGE_GROUP_ROWS), 800);
    put(&house, 0, true);
    ck_assert_int_lt(run_until_done(&house, STORAGE_GROUP_ROWS + 1), 800);
    close_house(&house);
}
END_TEST

START_TEST(refused_task_comes_back_alone_with_its_error)
{
    struct house house;
    open_house(&house);
    put(&house, 0, false);
    put(&house, ERROR_CONFLICT, false);
    put(&house, 0, true);
    (void)run_until_done(&house, 3);
    ck_assert_int_eq(house.last_result, ERROR_CONFLICT);
    ck_assert_str_eq(house.last_error, "number 2 is refused");
    ck_assert_uint_eq(atomic_load(&disk.n_durable), 2);
    ck_assert_int_eq(disk.durable[1], 3);
    ck_assert_int_eq(house.troubles, 0);
    close_house(&house);
}
END_TEST

START_TEST(group_that_cannot_be_written_is_kept_and_written_again_in_order)
{
    static const int codes[] = {ERROR_FULL, ERROR_IO, ERROR_BUSY};
    struct house house;
    open_house(&house);
    atomic_store(&disk.fail_code, codes[_i]);
    atomic_store(&disk.fail_commits, 3);
    for (int i = 0; i < 700; i++) { /* the first 500 fail with 200 behind them */
        put(&house, 0, i == 699);
    }
    (void)run_until_done(&house, 700);
    check_durable(700);
    ck_assert_int_eq(house.troubles, 1);
    ck_assert_int_eq(house.trouble_code, codes[_i]);
    ck_assert_int_eq(house.recoveries, 1);
    ck_assert(!storage_thread_in_trouble(house.thread));
    ck_assert_uint_ge(atomic_load(&disk.n_rollbacks), 3);
    close_house(&house);
}
END_TEST

START_TEST(write_that_finds_no_space_is_kept_with_all_before_and_behind_it)
{
    struct house house;
    open_house(&house);
    put(&house, 0, false);
    put(&house, 0, false);
    atomic_store(&disk.fail_applies, 2);
    put(&house, 0, true);
    (void)run_until_done(&house, 3);
    check_durable(3);
    ck_assert_int_eq(house.troubles, 1);
    ck_assert_int_eq(house.trouble_code, ERROR_FULL);
    ck_assert_int_eq(house.recoveries, 1);
    close_house(&house);
}
END_TEST

START_TEST(full_queue_says_so_and_tells_when_it_has_drained)
{
    struct house house;
    open_house(&house);
    atomic_store(&disk.fail_code, ERROR_FULL);
    atomic_store(&disk.fail_commits, -1);
    while (!storage_thread_full(house.thread)) {
        put(&house, 0, false);
    }
    ck_assert_int_eq(house.put, STORAGE_QUEUE_MAX);
    uint64_t began = uv_hrtime();
    while (house.troubles == 0 && uv_hrtime() - began < 5000000000U) {
        (void)uv_run(&house.loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    ck_assert_int_eq(house.done, 0);
    ck_assert_int_eq(house.drains, 0);
    /* It still moves while it waits. */
    int64_t before_ms = storage_thread_heartbeat(house.thread);
    uv_sleep(1200);
    ck_assert_int_gt(storage_thread_heartbeat(house.thread), before_ms);
    atomic_store(&disk.fail_commits, 0);
    (void)run_until_done(&house, STORAGE_QUEUE_MAX);
    ck_assert_int_eq(house.drains, 1);
    check_durable(STORAGE_QUEUE_MAX);
    close_house(&house);
}
END_TEST

START_TEST(close_commits_what_was_put)
{
    struct house house;
    open_house(&house);
    for (int i = 0; i < 50; i++) {
        put(&house, 0, false);
    }
    close_house(&house);
    ck_assert_int_eq(house.done, 50);
    ck_assert_uint_eq(house.lost, 0);
    check_durable(50);
}
END_TEST

/* A match's outcome is noted as an event when its rows are durable: also where the daemon is closing. */
START_TEST(close_commits_what_a_finished_task_puts)
{
    struct house house;
    open_house(&house);
    house.follow_ups = 5;
    put(&house, 0, false);
    close_house(&house);
    ck_assert_int_eq(house.done, 6);
    ck_assert_uint_eq(house.lost, 0);
    check_durable(6);
}
END_TEST

START_TEST(close_without_anything_to_write_ends)
{
    struct house house;
    open_house(&house);
    close_house(&house);
    open_house(&house);
    put(&house, 0, true);
    (void)run_until_done(&house, 1);
    close_house(&house);
    ck_assert_uint_eq(house.lost, 0);
}
END_TEST

START_TEST(close_of_a_store_that_cannot_be_written_ends_and_tells_what_is_lost)
{
    struct house house;
    open_house(&house);
    atomic_store(&disk.fail_code, ERROR_FULL);
    atomic_store(&disk.fail_commits, -1);
    for (int i = 0; i < 7; i++) {
        put(&house, 0, false);
    }
    uint64_t began = uv_hrtime();
    close_house(&house);
    ck_assert_uint_lt((uv_hrtime() - began) / 1000000, UINT64_C(3) * STORAGE_CLOSE_MS);
    ck_assert_uint_eq(house.lost, 7);
    ck_assert_uint_eq(atomic_load(&disk.n_durable), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("storage_thread");
    TCase *tcase = tcase_create("storage_thread");

    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, tasks_become_durable_in_order_in_groups_of_a_second);
    tcase_add_test(tcase, five_hundred_rows_or_an_urgent_task_are_committed_at_once);
    tcase_add_test(tcase, refused_task_comes_back_alone_with_its_error);
    tcase_add_loop_test(tcase, group_that_cannot_be_written_is_kept_and_written_again_in_order, 0,
                        3);
    tcase_add_test(tcase, write_that_finds_no_space_is_kept_with_all_before_and_behind_it);
    tcase_add_test(tcase, full_queue_says_so_and_tells_when_it_has_drained);
    tcase_add_test(tcase, close_commits_what_was_put);
    tcase_add_test(tcase, close_commits_what_a_finished_task_puts);
    tcase_add_test(tcase, close_without_anything_to_write_ends);
    tcase_add_test(tcase, close_of_a_store_that_cannot_be_written_ends_and_tells_what_is_lost);
    return run_suite(suite);
}
