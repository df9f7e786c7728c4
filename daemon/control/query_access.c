#include "daemon/control/query_access.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>

enum { MAX_VALUE_BYTES = 16 << 20 }; /* longest text or blob that a statement may build */

/* Pragmas that only tell. Those of the second list take the name of a table or an index, or how many problems to list; an
 * argument of the others would set something. */
static const char *const reading_pragmas[] = {
    "application_id", "auto_vacuum",    "collation_list", "compile_options", "database_list",
    "encoding",       "freelist_count", "function_list",  "page_count",      "page_size",
    "pragma_list",    "schema_version", "synchronous",    "table_list",      "user_version",
};
static const char *const asking_pragmas[] = {
    "foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo",
    "integrity_check",   "quick_check",      "table_info", "table_list", "table_xinfo",
};

static bool listed(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (sqlite3_stricmp(list[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool pragma_allowed(const char *name, const char *argument)
{
    if (listed(asking_pragmas, sizeof asking_pragmas / sizeof *asking_pragmas, name)) {
        return true;
    }
    return argument == NULL &&
           listed(reading_pragmas, sizeof reading_pragmas / sizeof *reading_pragmas, name);
}

/* The connection is read-only already; this refuses by name what read-only connections still allow (ATTACH,
 * settings of the connection, transactions that would outlive the time limit). */
static int authorize(void *context, int action, const char *a, const char *b, const char *database,
                     const char *view)
{
    (void)database;
    (void)view;
    struct query_access *access = context;
    const char *what = NULL;
    switch (action) {
    case SQLITE_UPDATE: /* asked for where a table-valued function (json_each) is made known; real writes to the
                         * schema SQLite itself refuses, and the connection could not do them */
        if (sqlite3_stricmp(a, "sqlite_master") == 0) {
            return SQLITE_OK;
        }
        what = "a statement that writes";
        break;
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        if (b == NULL || sqlite3_stricmp(b, "load_extension") != 0) {
            return SQLITE_OK;
        }
        what = "load_extension()";
        break;
    case SQLITE_PRAGMA:
        if (pragma_allowed(a, b)) {
            return SQLITE_OK;
        }
        break;
    case SQLITE_ATTACH:
        what = "ATTACH";
        break;
    case SQLITE_DETACH:
        what = "DETACH";
        break;
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
        what = "a transaction of one's own";
        break;
    default: /* an open set: every code not named above changes something */
        what = "a statement that writes";
        break;
    }
    if (access->refused[0] == '\0') {
        if (what == NULL) {
            snprintf(access->refused, sizeof access->refused, "PRAGMA %.60s%s", a,
                     b == NULL ? "" : " with a value");
        } else {
            snprintf(access->refused, sizeof access->refused, "%s", what);
        }
    }
    return SQLITE_DENY;
}

void query_access_restrict(struct sqlite3 *db, struct query_access *access)
{
    access->refused[0] = '\0';
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_set_authorizer(db, authorize, access);
}
