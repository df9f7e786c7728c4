#include "daemon/resources.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that waits for a byte, then does `act` and exits with what that returns. */
struct child {
    pid_t pid;
    int pipe;
};

static struct child begin(int (*act)(void))
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        char byte = 0;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 1 ? act() : 99);
    }
    close(ends[0]);
    return (struct child){.pid = pid, .pipe = ends[1]};
}

static int end(struct child child)
{
    int status = 0;
    ck_assert_int_eq(write(child.pipe, "x", 1), 1);
    close(child.pipe);
    ck_assert_int_eq(waitpid(child.pid, &status, 0), child.pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int tell_nice(void)
{
    return getpriority(PRIO_PROCESS, 0);
}

/* 0: 64 MiB of private memory were to be had. Mapped, as malloc does with such sizes; a sanitizer's own malloc would end
 * the process. */
static int take_64_mib(void)
{
    void *bytes = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return bytes == MAP_FAILED ? 1 : 0;
}

START_TEST(child_runs_so_many_steps_behind_its_parent)
{
    struct error err = {.text = ""};
    int own = getpriority(PRIO_PROCESS, 0);
    for (uint32_t nice = 0; nice <= 19; nice += 5) {
        struct child child = begin(tell_nice);
        const struct resources resources = {.nice = nice};
        ck_assert_msg(resources_apply(child.pid, &resources, &err) == 0, "%s", err.text);
        int wanted = own + (int)nice < 19 ? own + (int)nice : 19;
        ck_assert_int_eq(end(child), wanted);
    }
    ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), own);
}
END_TEST

START_TEST(memory_limit_holds_and_can_be_taken_back)
{
    struct error err = {.text = ""};
    struct rlimit before;
    struct rlimit after;
    ck_assert_int_eq(getrlimit(RLIMIT_DATA, &before), 0);

    struct child child = begin(take_64_mib);
    ck_assert_int_eq(resources_apply(child.pid, &(struct resources){.memory_mib = 32}, &err), 0);
    ck_assert_int_eq(end(child), 1);

    child = begin(take_64_mib);
    ck_assert_int_eq(resources_apply(child.pid, &(struct resources){.memory_mib = 32}, &err), 0);
    ck_assert_int_eq(resources_apply(child.pid, &(struct resources){.memory_mib = 0}, &err), 0);
    ck_assert_int_eq(end(child), 0);

    ck_assert_int_eq(getrlimit(RLIMIT_DATA, &after), 0);
    ck_assert_uint_eq(before.rlim_cur, after.rlim_cur);
}
END_TEST

struct sleeper {
    int ready, done;
};

/* Says that it is there, waits, and ends the process with its own niceness. */
static void *sleep_long(void *argument)
{
    const struct sleeper *sleeper = argument;
    char byte = 'x';
    if (write(sleeper->ready, &byte, 1) == 1 && read(sleeper->done, &byte, 1) == 1) {
        _exit(getpriority(PRIO_PROCESS, 0)); /* of the calling thread */
    }
    _exit(99);
}

START_TEST(threads_that_run_already_are_reached_too)
{
    struct error err = {.text = ""};
    int ready[2];
    int done[2];
    int status = 0;
    ck_assert_int_eq(pipe(ready) | pipe(done), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct sleeper sleeper = {.ready = ready[1], .done = done[0]};
        pthread_t thread;
        if (pthread_create(&thread, NULL, sleep_long, &sleeper) == 0) {
            (void)pthread_join(thread, NULL);
        }
        _exit(98);
    }
    char byte = 0;
    int own = getpriority(PRIO_PROCESS, 0);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(resources_apply(pid, &(struct resources){.nice = 3}, &err), 0);
    ck_assert_int_eq(write(done[1], "x", 1), 1);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(WEXITSTATUS(status), own + 3 < 19 ? own + 3 : 19);
}
END_TEST

START_TEST(process_that_has_gone_is_an_error_not_a_crash)
{
    struct error err = {.text = ""};
    struct child child = begin(tell_nice);
    (void)end(child);
    ck_assert_int_lt(resources_apply(child.pid, &(struct resources){.nice = 1}, &err), 0);
    ck_assert_str_ne(err.text, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resources");
    TCase *tests = tcase_create("resources");
    tcase_add_test(tests, child_runs_so_many_steps_behind_its_parent);
    tcase_add_test(tests, memory_limit_holds_and_can_be_taken_back);
    tcase_add_test(tests, threads_that_run_already_are_reached_too);
    tcase_add_test(tests, process_that_has_gone_is_an_error_not_a_crash);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
