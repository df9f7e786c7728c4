/* Answers from the store, as JSON text, for HTTP handlers (in reader threads) and for qzctl when no daemon runs:
 * the same code. Each call opens its own read-only connection and holds no read transaction over a
 * second, but for a statement whose asker allows it more. All strings returned are malloced. */
#ifndef DAEMON_QUERY_H
#define DAEMON_QUERY_H

#include "daemon/doctor/doctor.h"
#include "storage/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QUERY_DEFAULT_ROWS = 1000,
    QUERY_MAX_ROWS = 100000,
    QUERY_DEFAULT_MS = 1000,
    QUERY_MAX_MS = 10000,   /* a reader holds back the truncation of the WAL for so long at most */
    QUERY_CHECK_MS = 60000, /* likewise, for a check that a daemon is asked for */
    QUERY_DEFAULT_EVENTS = 50,
    QUERY_MAX_EVENTS = 10000,
    QUERY_REAL_TEXT = 32, /* room for query_format_real */
};

/* {"columns": [...], "rows": [{...}, ...]} of the view `progress`. */
int query_progress(const char *db_path, char **ret_json, struct error *err);
/* One read-only statement: {"columns": [...], "rows": [[...], ...], "truncated": bool}; blobs as hex text
 * {"hex": "..."}. At most max_rows rows and time_limit_ms; ERROR_TIMEOUT; ERROR_INVALID with SQLite's message; a
 * statement that would write is refused. Has the functions policy_json(policy) and
 * policy_visits(policy). Text that is no UTF-8 comes as a blob does; numbers that JSON lacks are null. */
int query_sql(const char *db_path, const char *sql, uint32_t max_rows, uint32_t time_limit_ms,
              char **ret_json, struct error *err);
/* What status can say from the store alone: game, generation, games, positions, last event, sizes. */
int query_status(const char *db_path, char **ret_json, struct error *err);
/* The newest events, oldest of them first: {"columns": [...], "rows": [{...}, ...]}. */
int query_events(const char *db_path, uint32_t n, char **ret_json, struct error *err);
/* store_check_tallies and store_check_integrity: {"integrity": "ok", "tallies": "ok"} or what is wrong. */
int query_check(const char *db_path, char **ret_json, struct error *err);

/* The same as data, for whoever must be able to stop them; and the doctor's report (doctor_json). */
enum query_kind {
    QUERY_PROGRESS,
    QUERY_SQL,
    QUERY_STATUS,
    QUERY_EVENTS,
    QUERY_CHECK,
    QUERY_DOCTOR,
};
struct query_request { /* strings borrowed */
    enum query_kind kind;
    const char *db_path;
    const char *sql;        /* QUERY_SQL */
    uint32_t n;             /* QUERY_SQL: most rows; QUERY_EVENTS: how many */
    uint32_t time_limit_ms; /* QUERY_SQL; QUERY_CHECK: 0 = none */
    int64_t generation;     /* QUERY_DOCTOR: as it was when that net had been made; < 0: now */
    const struct doctor_live *live; /* QUERY_DOCTOR: what the daemon knows; NULL: there is none */
    const atomic_bool *stop; /* set from any thread: ends with ERROR_CANCELLED; may be NULL */
};
int query_ask(const struct query_request *request, char **ret_json, struct error *err);

/* The shortest decimal text that reads back as the same double (finite ones). */
void query_format_real(double value, char ret_text[QUERY_REAL_TEXT]);

#endif
