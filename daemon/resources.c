#include "daemon/resources.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { WEAKEST = 19 };

static int set_thread(id_t thread, int wanted)
{
    errno = 0;
    int now = getpriority(PRIO_PROCESS, thread);

    if (errno != 0) {
        return errno == ESRCH ? 0 : -errno; /* a thread that ended meanwhile */
    }
    /* Where nothing changes nothing is asked: a sandbox may forbid even that. */
    return now == wanted || setpriority(PRIO_PROCESS, thread, wanted) == 0 ? 0 : -errno;
}

/* On Linux each thread has its own niceness; new ones inherit their maker's. */
static int set_nice(int pid, uint32_t nice, struct error *err)
{
    char path[64];
    int own = getpriority(PRIO_PROCESS, 0);
    int wanted = own + (int)nice < WEAKEST ? own + (int)nice : WEAKEST;
    int r = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    if (threads == NULL) {
        return error_set(err, error_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    for (struct dirent *entry; r == 0 && (entry = readdir(threads)) != NULL;) {
        long thread = strtol(entry->d_name, NULL, 10);
        r = thread > 0 ? set_thread((id_t)thread, wanted) : 0;
    }
    (void)closedir(threads);
    return r == 0 ? 0
                  : error_set(err, error_from_errno(-r), "niceness %d cannot be set: %s", wanted,
                              strerror(-r));
}

static int set_memory(int pid, uint32_t memory_mib, struct error *err)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)memory_mib << 20;

    if (prlimit(pid, RLIMIT_DATA, NULL, &limit) < 0) {
        return error_set(err, error_from_errno(errno), "its memory limit cannot be read: %s",
                         strerror(errno));
    }
    if (memory_mib == 0 || wanted > limit.rlim_max) {
        wanted = limit.rlim_max;
    }
    if (wanted != limit.rlim_cur) {
        limit.rlim_cur = wanted; /* the hard limit stays, so that it can be raised again */
        if (prlimit(pid, RLIMIT_DATA, &limit, NULL) < 0) {
            return error_set(err, error_from_errno(errno),
                             "a memory limit of %u MiB cannot be set: %s", memory_mib,
                             strerror(errno));
        }
    }
    return 0;
}

int resources_apply(int pid, const struct resources *resources, struct error *err)
{
    int r = set_memory(pid, resources->memory_mib, err);
    int s = set_nice(pid, resources->nice, err);

    return s < 0 ? s : r;
}
