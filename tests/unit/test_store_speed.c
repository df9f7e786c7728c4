#include "storage/store_speed.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char folder[64];

static void setup(void)
{
    (void)strcpy(folder, "/tmp/qzd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

/* Only an empty folder can be removed. */
static void teardown(void)
{
    ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(groups_are_faster_than_single_commits_and_nothing_is_left)
{
    struct store_speed speed = {0};
    struct error err = {""};
    ck_assert_msg(store_measure(folder, 0.5, &speed, &err) == 0, "%s", err.text);
    ck_assert_double_gt(speed.commits, 0);
    ck_assert_double_gt(speed.positions, speed.commits);
}
END_TEST

START_TEST(folder_that_is_not_there_is_named)
{
    struct store_speed speed = {0};
    struct error err = {""};
    ck_assert_int_eq(store_measure("/nowhere/at/all", 0.1, &speed, &err), ERROR_NOT_FOUND);
    ck_assert_msg(strstr(err.text, "/nowhere/at/all") != NULL, "%s", err.text);
    char *path = calloc(10000, 1);
    ck_assert_ptr_nonnull(path);
    memset(path, 'x', 9999);
    ck_assert_int_eq(store_measure(path, 0.1, &speed, &err), ERROR_INVALID);
    free(path);
}
END_TEST

/* As far as files may grow: where a disk is full. */
START_TEST(full_disk_is_said_and_nothing_is_left)
{
    struct store_speed speed = {0};
    struct error err = {""};
    const struct rlimit limit = {100000, 100000};
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int r = store_measure(folder, 5, &speed, &err);
    ck_assert_msg(r == ERROR_FULL || r == ERROR_IO, "%d: %s", r, err.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_speed");
    TCase *tests = tcase_create("store_speed");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, groups_are_faster_than_single_commits_and_nothing_is_left);
    tcase_add_test(tests, folder_that_is_not_there_is_named);
    tcase_add_test(tests, full_disk_is_said_and_nothing_is_left);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
