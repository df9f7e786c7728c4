#include "daemon/slots.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[] = "/tmp/qzd-slots-XXXXXX";
static char proc_root[64];
static char cgroup_root[64];

static void put(const char *path, const char *text)
{
    char full[256];

    (void)snprintf(full, sizeof(full), "%s/%s", folder, path);
    for (char *at = full + strlen(folder) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(full, 0755);
        *at = '/';
    }
    FILE *file = fopen(full, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void clear(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s/proc %s/cg; mkdir -p %s/proc/self %s/cg",
                   folder, folder, folder, folder);
    ck_assert_int_eq(system(command), 0);
}

static uint32_t slots(uint32_t affinity)
{
    return slots_count_in(affinity, proc_root, cgroup_root);
}

START_TEST(without_a_quota_the_affinity_counts)
{
    ck_assert_uint_eq(slots(6), 6);
    put("proc/self/cgroup", "0::/user.slice\n");
    put("cg/user.slice/cpu.max", "max 100000\n");
    ck_assert_uint_eq(slots(6), 6);
    ck_assert_uint_ge(slots_count(), 1);
}
END_TEST

START_TEST(least_quota_of_a_version_2_group_and_those_above_it_counts)
{
    put("proc/self/cgroup", "0::/a/b/c\n");
    put("cg/a/cpu.max", "300000 100000\n");
    put("cg/a/b/cpu.max", "800000 100000\n");
    put("cg/a/b/c/cpu.max", "max 100000\n");
    ck_assert_uint_eq(slots(16), 3);
    ck_assert_uint_eq(slots(2), 2);
    put("cg/a/b/c/cpu.max", "50000 100000\n");
    ck_assert_uint_eq(slots(16), 1); /* never none */
}
END_TEST

START_TEST(quota_of_a_container_whose_path_is_not_visible_stands_at_the_root)
{
    put("proc/self/cgroup", "0::/\n");
    put("cg/cpu.max", "400000 100000\n");
    ck_assert_uint_eq(slots(16), 4);
    put("proc/self/cgroup", "0::/../../elsewhere\n");
    ck_assert_uint_eq(slots(16), 4);
}
END_TEST

START_TEST(quota_of_a_version_1_group_counts)
{
    put("proc/self/cgroup", "7:memory:/m\n4:cpu,cpuacct:/jobs/j\n0::/\n");
    put("cg/cpu,cpuacct/jobs/j/cpu.cfs_quota_us", "250000\n");
    put("cg/cpu,cpuacct/jobs/j/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(slots(16), 3); /* 2.5 cores keep three processes busier than two */
    put("cg/cpu,cpuacct/jobs/j/cpu.cfs_quota_us", "-1\n");
    ck_assert_uint_eq(slots(16), 16);
    put("cg/cpu,cpuacct/jobs/cpu.cfs_quota_us", "200000\n");
    put("cg/cpu,cpuacct/jobs/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(slots(16), 2);
}
END_TEST

START_TEST(nonsense_in_the_files_is_no_quota)
{
    put("proc/self/cgroup", "0::/x\nrubbish\n:::\n");
    put("cg/x/cpu.max", "lots of it\n");
    ck_assert_uint_eq(slots(5), 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slots");
    TCase *tcase = tcase_create("slots");
    char command[128];

    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    (void)snprintf(proc_root, sizeof(proc_root), "%s/proc", folder);
    (void)snprintf(cgroup_root, sizeof(cgroup_root), "%s/cg", folder);
    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, clear, NULL);
    tcase_add_test(tcase, without_a_quota_the_affinity_counts);
    tcase_add_test(tcase, least_quota_of_a_version_2_group_and_those_above_it_counts);
    tcase_add_test(tcase, quota_of_a_container_whose_path_is_not_visible_stands_at_the_root);
    tcase_add_test(tcase, quota_of_a_version_1_group_counts);
    tcase_add_test(tcase, nonsense_in_the_files_is_no_quota);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    (void)!system(command);
    return failed == 0 ? 0 : 1;
}
