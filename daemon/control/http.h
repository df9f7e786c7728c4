/* HTTP/JSON over a Unix socket (libmicrohttpd, driven by the daemon's libuv loop; no thread of its own): the one
 * protocol of qzctl and of `curl --unix-socket`. Questions to the store run in libuv's thread pool (the
 * request is suspended meanwhile), so the loop never waits for a query.
 *
 *   GET  /status            callbacks.status
 *   GET  /progress          query_progress
 *   GET  /events?n=N        query_events
 *   GET  /check             query_check
 *   GET  /doctor?generation=N   the doctor's report (doctor_json), with callbacks.live
 *   POST /sql               body {"sql": "...", "max_rows": N, "time_limit_ms": N} -> query_sql
 *   POST /pause /resume /train /reload /stop      callbacks.command
 * Errors are {"error": "one sentence"} with a fitting status: 400, 404, 405, 409 (cannot be done now), 413, 422 (a bad config), 500, 503.
 * The socket has mode 0660; the peer's uid (SO_PEERCRED) is told to commands and stands in settings_log. */
#ifndef DAEMON_HTTP_H
#define DAEMON_HTTP_H

#include "daemon/doctor/doctor.h"
#include "storage/error.h"

#include <uv.h>

struct http_callbacks {
    /* Live state as JSON, malloced. Called in the loop's thread; must not block. */
    char *(*status)(void *context);
    /* Do `name` ("pause", ...) for `by` ("qzctl uid 1000"). Returns the HTTP status and a malloced JSON body. */
    int (*command)(const char *name, const char *by, char **ret_json, void *context);
    /* What only the daemon knows, for its doctor. In the loop's thread. NULL: nothing. */
    void (*live)(struct doctor_live *ret, void *context);
    void *context;
};

struct http;
/* Listen on socket_path (an old socket file that nobody answers is replaced; a live one: ERROR_BUSY). */
int http_open(uv_loop_t *loop, const char *socket_path, const char *db_path,
              const struct http_callbacks *callbacks, struct http **ret, struct error *err);
/* Stop listening, finish requests in flight; `closed` is called when it has been freed. */
void http_close(struct http *http, void (*closed)(void *context), void *context);

#endif
