/* A layer under SQLite that fails on demand, and knows what a power cut would leave on the disk.
 *
 * It counts the operations that change files: writes, fsyncs, truncations of databases and their logs. At the one that
 * the plan names, it either fails (SQLITE_IOERR_..., SQLITE_FULL; a write may then have written a part) or cuts the
 * power: the process ends, and the files hold what was fsynced and, of what was written since, any part, in
 * any order, torn. A failed fsync keeps none of what was written before it, as Linux does it: the pages count as
 * clean afterwards, and only who writes them again gets them onto the disk.
 *
 * One plan a process; meant for a child that the test forks for each n. Not thread-safe but for one
 * writing connection. Deletions and what is done outside of SQLite (renames) are taken as durable at once. */
#ifndef TESTS_FAULTS_VFS_SHIM_H
#define TESTS_FAULTS_VFS_SHIM_H

#include <stdint.h>

enum vfs_fault {
    VFS_NONE,
    VFS_FAIL_IO,   /* SQLITE_IOERR_WRITE, _FSYNC, _TRUNCATE */
    VFS_FAIL_FULL, /* SQLITE_FULL for writes, half of which is written; the others succeed */
    VFS_CUT,
};

struct vfs_plan {
    enum vfs_fault fault;
    uint32_t at;    /* the at-th operation from now, from 1, */
    uint32_t count; /* and as many in all; UINT32_MAX: for ever */
    uint64_t
        seed; /* of what a cut leaves: seed % 4: 0 nothing unsynced, 1 all of it, 2 some writes, 3 some, torn */
};

enum { VFS_CUT_STATUS = 77 }; /* exit status of a process that the plan has cut */

/* Make it the default VFS of this process. Once, before any connection. */
void vfs_shim_register(void);
void vfs_shim_plan(const struct vfs_plan *plan);
/* Operations since the plan was set. */
uint32_t vfs_shim_operations(void);
/* Cut the power now. */
void vfs_shim_cut(uint64_t seed) __attribute__((noreturn));

#endif
