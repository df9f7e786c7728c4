/* Core slots: how many cores this process may really use. The affinity mask and the cgroup's processor
 * quota (version 1 and 2, each level up to the root) both bound it; a container with "2 CPUs" on a
 * host of 64 gets 2. Never below 1. */
#ifndef DAEMON_SLOTS_H
#define DAEMON_SLOTS_H

#include <stdint.h>

uint32_t slots_count(void);
/* The same with other roots in place of /proc and /sys/fs/cgroup, for tests; affinity as given. */
uint32_t slots_count_in(uint32_t affinity, const char *proc_root, const char *cgroup_root);

#endif
