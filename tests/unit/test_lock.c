#include "daemon/lock.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/qzd-lock-XXXXXX";

/* A child that holds the lock until its pipe closes; *ret_go is our end. */
static pid_t hold(const char *state, int *ret_go)
{
    int ready[2];
    int go[2];
    char byte = 'x';

    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(go), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct lock *lock = NULL;
        (void)close(go[1]);
        byte = lock_take(state, "/run/somewhere.sock", &lock, NULL) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &byte, 1);
        (void)!read(go[0], &byte, 1);
        _exit(0);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 'y');
    (void)close(ready[0]);
    (void)close(ready[1]);
    (void)close(go[0]);
    *ret_go = go[1];
    return pid;
}

START_TEST(second_process_is_refused_with_the_holders_pid_and_may_have_it_when_that_is_killed)
{
    char state[128];
    char pid_text[32];
    int go = -1;
    struct lock *lock = NULL;
    struct lock_owner owner = {.pid = 0};
    struct error err = {.text = ""};

    (void)snprintf(state, sizeof(state), "%s/a/b/state", folder);
    pid_t pid = hold(state, &go);
    (void)snprintf(pid_text, sizeof(pid_text), " %d;", (int)pid);
    ck_assert_int_eq(lock_take(state, NULL, &lock, &err), ERROR_BUSY);
    ck_assert_msg(strstr(err.text, pid_text) != NULL, "%s", err.text);
    ck_assert_int_eq(lock_find_owner(state, &owner, &err), 0);
    ck_assert_int_eq(owner.pid, pid);
    ck_assert_str_eq(owner.socket, "/run/somewhere.sock");
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    (void)waitpid(pid, NULL, 0);
    ck_assert_int_eq(lock_find_owner(state, &owner, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(lock_take(state, NULL, &lock, &err), 0);
    lock_release(lock);
    (void)close(go);
}
END_TEST

START_TEST(nobody_holds_a_directory_that_is_not_there_or_was_released)
{
    char state[128];
    struct lock *lock = NULL;
    struct lock_owner owner = {.pid = 5};

    (void)snprintf(state, sizeof(state), "%s/none", folder);
    ck_assert_int_eq(lock_find_owner(state, &owner, NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(lock_take(state, "", &lock, NULL), 0);
    lock_release(lock);
    ck_assert_int_eq(lock_find_owner(state, &owner, NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(owner.pid, 5);
}
END_TEST

START_TEST(place_where_no_directory_can_be_made_is_named)
{
    struct lock *lock = NULL;
    struct error err = {.text = ""};

    ck_assert_int_lt(lock_take("/proc/none/state", NULL, &lock, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "/proc/none"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lock");
    TCase *tcase = tcase_create("lock");
    char command[128];

    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    suite_add_tcase(suite, tcase);
    tcase_add_test(
        tcase, second_process_is_refused_with_the_holders_pid_and_may_have_it_when_that_is_killed);
    tcase_add_test(tcase, nobody_holds_a_directory_that_is_not_there_or_was_released);
    tcase_add_test(tcase, place_where_no_directory_can_be_made_is_named);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    (void)!system(command);
    return failed == 0 ? 0 : 1;
}
