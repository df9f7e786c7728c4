#include "daemon/slots.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first line of a small file; false if there is none. */
static bool read_line(const char *path, char *ret, size_t size)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return false;
    }
    bool ok = fgets(ret, (int)size, file) != NULL;
    (void)fclose(file);
    if (ok) {
        ret[strcspn(ret, "\n")] = '\0';
    }
    return ok;
}

/* cpu.max is "200000 100000" or "max 100000". Infinity: no quota. */
static double quota_v2(const char *folder)
{
    char path[PATH_MAX];
    char line[128];

    if (snprintf(path, sizeof(path), "%s/cpu.max", folder) >= (int)sizeof(path) ||
        !read_line(path, line, sizeof(line)) || strncmp(line, "max", 3) == 0) {
        return INFINITY;
    }
    char *rest = NULL;
    double quota = strtod(line, &rest);
    double period = strtod(rest, NULL);
    return quota > 0 && period > 0 ? quota / period : INFINITY;
}

static double quota_v1(const char *folder)
{
    char path[PATH_MAX];
    char quota_text[64];
    char period_text[64];

    if (snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", folder) >= (int)sizeof(path) ||
        !read_line(path, quota_text, sizeof(quota_text)) ||
        snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder) >= (int)sizeof(path) ||
        !read_line(path, period_text, sizeof(period_text))) {
        return INFINITY;
    }
    double quota = strtod(quota_text, NULL); /* -1: none */
    double period = strtod(period_text, NULL);
    return quota > 0 && period > 0 ? quota / period : INFINITY;
}

/* The least quota of a group and all above it. `group` is as in /proc/self/cgroup ("/a/b"). Inside a
 * container that path may not be visible; the mount's own root then is the group. */
static double least_quota(const char *mount, const char *group, double (*quota)(const char *folder))
{
    char path[PATH_MAX];
    double least = quota(mount);

    if (strstr(group, "..") != NULL ||
        snprintf(path, sizeof(path), "%s%s", mount, group) >= (int)sizeof(path)) {
        return least;
    }
    while (strlen(path) > strlen(mount)) {
        double here = quota(path);
        least = here < least ? here : least;
        *strrchr(path, '/') = '\0';
    }
    return least;
}

/* True if the comma-separated list of controllers has "cpu". */
static bool lists_cpu(const char *controllers, size_t size)
{
    for (const char *at = controllers; at < controllers + size;) {
        size_t length = strcspn(at, ",:");
        if (length == 3 && strncmp(at, "cpu", 3) == 0) {
            return true;
        }
        at += length + 1;
    }
    return false;
}

/* Lines of /proc/self/cgroup: "0::/group" (v2) and "4:cpu,cpuacct:/group" (v1). */
static double quota_of_line(char *line, const char *cgroup_root)
{
    char mount[PATH_MAX];
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');

    if (group == NULL) {
        return INFINITY;
    }
    controllers++;
    size_t size = (size_t)(group - controllers);
    group++;
    group[strcspn(group, "\n")] = '\0';
    if (size == 0) {
        double least = least_quota(cgroup_root, group, quota_v2);
        (void)snprintf(mount, sizeof(mount), "%s/unified", cgroup_root); /* a mixed set-up */
        double mixed = least_quota(mount, group, quota_v2);
        return mixed < least ? mixed : least;
    }
    if (!lists_cpu(controllers, size)) {
        return INFINITY;
    }
    (void)snprintf(mount, sizeof(mount), "%s/%.*s", cgroup_root, (int)size, controllers);
    double least = least_quota(mount, group, quota_v1);
    (void)snprintf(mount, sizeof(mount), "%s/cpu", cgroup_root);
    double alone = least_quota(mount, group, quota_v1);
    return alone < least ? alone : least;
}

uint32_t slots_count_in(uint32_t affinity, const char *proc_root, const char *cgroup_root)
{
    char path[PATH_MAX];
    char line[PATH_MAX];
    double slots = affinity;

    if (snprintf(path, sizeof(path), "%s/self/cgroup", proc_root) < (int)sizeof(path)) {
        FILE *file = fopen(path, "re");
        while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
            double quota = quota_of_line(line, cgroup_root);
            slots = quota < slots ? quota : slots;
        }
        if (file != NULL) {
            (void)fclose(file);
        }
    }
    /* Half a core more than a whole number is worth a slot: 1.5 cores keep two processes busier
     * than one. */
    slots = floor(slots + 0.5);
    return slots < 1 ? 1 : (uint32_t)slots;
}

static uint32_t affinity_count(void)
{
    /* A mask of 1,024 is the fixed type's; larger machines need a larger one. */
    for (int n = 1024; n <= 65536; n *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)n);
        if (set == NULL) {
            break;
        }
        size_t size = CPU_ALLOC_SIZE((size_t)n);
        int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0) {
            return (uint32_t)count;
        }
    }
    return 1;
}

uint32_t slots_count(void)
{
    return slots_count_in(affinity_count(), "/proc", "/sys/fs/cgroup");
}
