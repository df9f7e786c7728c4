/* Answers from the store, as JSON text, for HTTP handlers (in reader threads) and for qzctl when no daemon runs:
 * the same code. Each call opens its own read-only connection and holds no read transaction over a
 * second. All strings returned are malloced. */
#ifndef DAEMON_QUERY_H
#define DAEMON_QUERY_H

#include "storage/error.h"

#include <stdint.h>

/* {"columns": [...], "rows": [{...}, ...]} of the view `progress`. */
int query_progress(const char *db_path, char **ret_json, struct error *err);
/* One read-only statement: {"columns": [...], "rows": [[...], ...], "truncated": bool}; blobs as hex text
 * {"hex": "..."}. At most max_rows rows and time_limit_ms; ERROR_TIMEOUT; ERROR_INVALID with SQLite's message; a
 * statement that would write is refused. Has the functions policy_json(policy) and
 * policy_visits(policy). */
int query_sql(const char *db_path, const char *sql, uint32_t max_rows, uint32_t time_limit_ms,
              char **ret_json, struct error *err);
/* What status can say from the store alone: game, generation, games, positions, last event, sizes. */
int query_status(const char *db_path, char **ret_json, struct error *err);
/* The newest events. */
int query_events(const char *db_path, uint32_t n, char **ret_json, struct error *err);
/* store_check_tallies and store_check_integrity: {"integrity": "ok", "tallies": "ok"} or what is wrong. */
int query_check(const char *db_path, char **ret_json, struct error *err);

#endif
