/* The supervisor: the daemon's children by role. It starts and stops what the scheduler says, says what
 * they say, and knows when all are gone. Whether and when one is started again is the scheduler's. */
#ifndef DAEMON_SUPERVISOR_H
#define DAEMON_SUPERVISOR_H

#include "daemon/child.h"

#include <stdbool.h>
#include <stdint.h>

enum supervisor_role { ROLE_WORKER, ROLE_TRAIN, ROLE_MATCH };
const char *supervisor_role_text(enum supervisor_role role);

struct supervisor_callbacks {
    /* The callee takes over the message. index: of a worker, else 0. */
    void (*message)(enum supervisor_role role, uint32_t index, Qzd__FromChild *message,
                    void *context);
    void (*line)(enum supervisor_role role, uint32_t index, const char *line, void *context);
    /* The place is free again when this is called. stopped: it was told to end. */
    void (*ended)(enum supervisor_role role, uint32_t index, bool clean, bool stopped,
                  const char *how, void *context);
    void (*all_ended)(void *context); /* after supervisor_stop_all() */
    void *context;
};

struct supervisor;

/* NULL: out of memory. */
struct supervisor *supervisor_create(uv_loop_t *loop, uint32_t workers,
                                     const struct supervisor_callbacks *callbacks);
void supervisor_destroy(struct supervisor *supervisor); /* no child may live; NULL is allowed */

int supervisor_start(struct supervisor *supervisor, enum supervisor_role role, uint32_t index,
                     struct error *err);
bool supervisor_lives(const struct supervisor *supervisor, enum supervisor_role role,
                      uint32_t index);
int supervisor_pid(const struct supervisor *supervisor, enum supervisor_role role, uint32_t index);
/* Nothing happens if there is no such child (any more). */
void supervisor_send(struct supervisor *supervisor, enum supervisor_role role, uint32_t index,
                     const Qzd__ToChild *message);
void supervisor_stop(struct supervisor *supervisor, enum supervisor_role role, uint32_t index,
                     uint32_t grace_ms);
void supervisor_kill(struct supervisor *supervisor, enum supervisor_role role, uint32_t index);
/* Stop or go on reading from all workers. */
void supervisor_read(struct supervisor *supervisor, bool reading);
/* Stop all; all_ended is called when the last is gone, at once if there is none. */
void supervisor_stop_all(struct supervisor *supervisor, uint32_t grace_ms);
void supervisor_kill_all(struct supervisor *supervisor);

#endif
