/* events.exec: a command for each event that is severe enough, so that a person hears of it.
 *
 * No shell, and nothing of an event becomes part of the command line: its parts are environment variables (QZD_EVENT_SEVERITY,
 * QZD_EVENT_WHAT, QZD_EVENT_DETAIL, QZD_EVENT_AT in Unix ms, QZD_GENERATION, QZD_STATE_DIR, QZD_EVENTS_DROPPED) and the same is a
 * JSON object on its standard input. One command runs at a time, in a session and process group of its own; after its
 * seconds the group gets SIGTERM and, EVENT_EXEC_GRACE_MS later, SIGKILL. Events wait meanwhile, EVENT_EXEC_QUEUE of them;
 * what comes beyond is counted and dropped. All of it in the loop's thread; nothing blocks. */
#ifndef DAEMON_EVENT_EXEC_H
#define DAEMON_EVENT_EXEC_H

#include "daemon/config/config.h"

#include <stdint.h>
#include <uv.h>

enum {
    EVENT_EXEC_QUEUE = 16,
    EVENT_EXEC_GRACE_MS = 2000,
    EVENT_EXEC_LAST_MS = 5000, /* what a running command may still take at the end */
};

struct event_exec_event { /* strings borrowed */
    int64_t at;
    const char *severity, *what, *detail;
    uint32_t generation;
    const char *state_dir;
};

struct event_exec_callbacks {
    /* A command that could not be started, failed or took too long; events that were dropped. Whoever
     * is told must not make an event for a command of it. */
    void (*trouble)(const char *text, void *context);
    void *context;
};

struct event_exec;

struct event_exec *event_exec_create(uv_loop_t *loop, const struct event_exec_callbacks *callbacks);
/* Take over the settings; for the next command. */
void event_exec_set(struct event_exec *exec, const struct config_command *command,
                    uint32_t seconds);
/* Copies the event. Nothing happens while no command is set. */
void event_exec_put(struct event_exec *exec, const struct event_exec_event *event);
/* Drop what waits, end what runs within EVENT_EXEC_LAST_MS and the grace, free. The loop lives until then.
 * NULL is allowed. */
void event_exec_close(struct event_exec *exec);

#endif
