/* What a child may take, where no service manager or container has set it: its niceness and its memory. Both are set
 * from outside, by process id, so that a reload reaches children that run. */
#ifndef DAEMON_RESOURCES_H
#define DAEMON_RESOURCES_H

#include "storage/error.h"

#include <stdint.h>

struct resources {
    uint32_t nice;       /* steps behind this process's own niceness, to at most 19 */
    uint32_t memory_mib; /* RLIMIT_DATA: private writable memory; 0 = as this process may */
};

/* Set both for all threads of process pid, a child of ours. Each is tried whatever becomes of the other.
 * ERROR_PERMISSION: the kernel, or the sandbox that we live in, does not let us; ERROR_NOT_FOUND: it has gone. */
int resources_apply(int pid, const struct resources *resources, struct error *err);

#endif
