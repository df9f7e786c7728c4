/* state_dir/lock: whoever holds it may write the state directory. The holder writes its pid and its
 * control socket's path into the file, so that `--state DIR` finds all. The lock is an flock(2), so it
 * ends with its process, however that ends. */
#ifndef DAEMON_LOCK_H
#define DAEMON_LOCK_H

#include "storage/error.h"

#include <limits.h>
#include <stdint.h>

struct lock;

struct lock_owner {
    int64_t pid;
    char socket[PATH_MAX]; /* "": it has none */
};

/* Make state_dir (and its parents) if they are not there and take the lock. `socket` may be NULL. Returns ERROR_BUSY,
 * with the holder's pid in the text, if another process holds it. */
int lock_take(const char *state_dir, const char *socket, struct lock **ret, struct error *err);
void lock_release(struct lock *lock); /* NULL is allowed */

/* Who holds it: 0 with *ret; ERROR_NOT_FOUND if nobody does (then *ret is left alone). */
int lock_find_owner(const char *state_dir, struct lock_owner *ret, struct error *err);

#endif
