/* The storage thread: the only writer of the store. The loop's thread hands it tasks and goes on; it
 * applies them in order, commits groups (after a second, or 500 rows, or at once for an urgent task) and hands
 * them back when they are durable.
 *
 * Nothing is lost while the process lives: when a group cannot be written (disk full, I/O error, file
 * busy) its tasks are kept, applied again with back-off, and the loop is told, so that self-play
 * pauses. A task that is refused (ERROR_INVALID, ERROR_CONFLICT, ERROR_NOT_FOUND, ...) is dropped
 * alone and comes back with its error. */
#ifndef DAEMON_STORAGE_THREAD_H
#define DAEMON_STORAGE_THREAD_H

#include "storage/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum {
    STORAGE_GROUP_MS = 1000,
    STORAGE_LOOK_MS =
        100, /* between looks into the queue; an urgent task wakes the thread at once */
    STORAGE_GROUP_ROWS = 500,
    STORAGE_QUEUE_MAX = 4096,     /* uncommitted tasks above which the queue counts as full */
    STORAGE_WAL_BYTES = 64 << 20, /* the WAL is truncated above this */
    STORAGE_RETRY_FIRST_MS = 100, /* back-off, doubling */
    STORAGE_RETRY_MAX_MS = 5000,
    STORAGE_CLOSE_MS = 5000, /* a store that cannot be written is given up so long after close */
};

/* One thing to write. Embed it as the first member of a larger struct. */
struct storage_task {
    /* In the storage thread. Runs again if its group was rolled back, so it must not depend on having run
     * before; reads of the store see the group so far. */
    int (*apply)(struct storage_task *task, struct store *store, struct error *err);
    /* In the loop's thread, when durable (result 0 or a positive code of apply) or refused. May be NULL. */
    void (*done)(struct storage_task *task, int result, const struct error *err);
    void (*destroy)(struct storage_task *task); /* frees it, in the loop's thread, after done */
    bool urgent;
    void *context; /* the caller's */
    /* The thread's own. */
    struct storage_task *next;
    int result;
    struct error error;
};

/* What the thread asks of the store beside tasks: a table, so that tests make it fail. */
struct storage_backend {
    int (*commit)(struct store *store, struct error *err);
    void (*rollback)(struct store *store);
    uint32_t (*pending)(const struct store *store);
    int (*read_counts)(struct store *store, struct store_counts *ret, struct error *err);
    int (*trim_wal)(struct store *store, int64_t bytes, struct error *err);
    void (*close)(struct store *store);
};
extern const struct storage_backend storage_backend_sqlite;

/* All are called in the loop's thread. */
struct storage_callbacks {
    void (*committed)(const struct store_counts *counts,
                      void *context); /* before the tasks' done */
    void (*trouble)(int code, const char *text, void *context);
    void (*recovered)(int64_t after_ms, void *context);
    void (*drained)(void *context); /* the queue was full and is half empty again */
    void *context;
};

struct storage_thread;

/* Start it. It takes over the store, which nobody else may use any more, and closes it at its end. */
int storage_thread_open(uv_loop_t *loop, struct store *store, const struct storage_backend *backend,
                        const struct storage_callbacks *callbacks, struct storage_thread **ret,
                        struct error *err);
/* Take over a task. Never blocks, never refuses: see storage_thread_full(). NULL is allowed (a constructor
 * without memory): then false. */
bool storage_thread_put(struct storage_thread *thread, struct storage_task *task);
/* True when whoever can wait should: records from children. */
bool storage_thread_full(struct storage_thread *thread);
uint32_t storage_thread_queue(const struct storage_thread *thread); /* uncommitted tasks */
bool storage_thread_in_trouble(const struct storage_thread *thread);
/* Monotonic ms (uv_hrtime) at which the thread last showed that it moves; it does so at least twice a second
 * while neither SQLite nor the disk holds it. */
int64_t storage_thread_heartbeat(const struct storage_thread *thread);
/* Commit all that was put, and what done() of these puts, and end. `closed` tells how many tasks could not be written. */
void storage_thread_close(struct storage_thread *thread,
                          void (*closed)(uint32_t lost, void *context), void *context);

#endif
