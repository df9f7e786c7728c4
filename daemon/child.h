/* One child process: spawned from our own executable, spoken to by frames over its stdin and stdout, its
 * stderr taken line by line. It ends for its owner when it has exited and everything that it wrote
 * has been read, so nothing that it said is lost by its exit. */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include "daemon/wire.h"

#include <uv.h>

struct child;

enum { CHILD_MAX_BACKLOG = 8 << 20 }; /* unread commands above which a child counts as hung */

struct child_callbacks {
    /* A whole message; the callee takes it over. */
    void (*message)(Qzd__FromChild *message, void *context);
    /* A line of its stderr. */
    void (*line)(const char *line, void *context);
    /* It has ended and been read to its end; `how` says in words how ("exit status 1", "killed by signal
     * 9 (Killed)", "a message of 0 bytes ..."). clean: status 0, no broken frame. The child is freed after this. */
    void (*ended)(bool clean, const char *how, void *context);
    void *context;
};

/* Run /proc/self/exe with args (NULL-terminated, args[0] the name). */
int child_spawn(uv_loop_t *loop, const char *const *args, const struct child_callbacks *callbacks,
                struct child **ret, struct error *err);
/* Queue a message. A child that does not read is killed when too much waits. */
void child_send(struct child *child, const Qzd__ToChild *message);
/* Stop or go on reading its messages: what waits then fills the pipe and stops the child. */
void child_read(struct child *child, bool reading);
/* Ask it to end (Stop and SIGTERM), and kill it if it has not after grace_ms. Twice is allowed. */
void child_stop(struct child *child, uint32_t grace_ms);
void child_kill(struct child *child);
int child_pid(const struct child *child);

#endif
