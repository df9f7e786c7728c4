#include "storage/sqlfunctions.h"

#include "storage/policy.h"

#include <sqlite3.h>

/* Decode the one argument. Returns the number of entries, or -1 with the result set (to NULL or an
 * error). */
static int decode(sqlite3_context *context, sqlite3_value *value, struct policy_entry *ret)
{
    if (sqlite3_value_type(value) == SQLITE_NULL) {
        sqlite3_result_null(context);
        return -1;
    }
    if (sqlite3_value_type(value) != SQLITE_BLOB) {
        sqlite3_result_error(context, "the argument is no policy: not a blob", -1);
        return -1;
    }
    const void *bytes = sqlite3_value_blob(value);
    int size = sqlite3_value_bytes(value);
    int n = policy_decode(bytes, (size_t)size, ret, POLICY_MAX_ENTRIES);
    if (n < 0) {
        sqlite3_result_error(context, "the argument is no policy: it does not decode", -1);
        return -1;
    }
    return n;
}

static void policy_json(sqlite3_context *context, int n_arguments, sqlite3_value **arguments)
{
    struct policy_entry entries[POLICY_MAX_ENTRIES];
    (void)n_arguments;
    int n = decode(context, arguments[0], entries);
    if (n < 0) {
        return;
    }
    sqlite3_str *text = sqlite3_str_new(sqlite3_context_db_handle(context));
    sqlite3_str_appendall(text, "[");
    for (int i = 0; i < n; i++) {
        sqlite3_str_appendf(text, "%s{\"action\":%u,\"visits\":%u}", i > 0 ? "," : "",
                            entries[i].action, entries[i].visits);
    }
    sqlite3_str_appendall(text, "]");
    char *json = sqlite3_str_finish(text);
    if (json == NULL) {
        sqlite3_result_error_nomem(context);
    } else {
        sqlite3_result_text(context, json, -1, sqlite3_free);
    }
}

static void policy_visits(sqlite3_context *context, int n_arguments, sqlite3_value **arguments)
{
    struct policy_entry entries[POLICY_MAX_ENTRIES];
    (void)n_arguments;
    int n = decode(context, arguments[0], entries);
    sqlite3_int64 sum = 0;
    for (int i = 0; i < n; i++) {
        sum += entries[i].visits;
    }
    if (n >= 0) {
        sqlite3_result_int64(context, sum);
    }
}

int sqlfunctions_register(sqlite3 *db, struct error *err)
{
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    if (sqlite3_create_function(db, "policy_json", 1, flags, NULL, policy_json, NULL, NULL) !=
            SQLITE_OK ||
        sqlite3_create_function(db, "policy_visits", 1, flags, NULL, policy_visits, NULL, NULL) !=
            SQLITE_OK) {
        return error_set(err, ERROR_NO_MEMORY, "SQL functions: %s", sqlite3_errmsg(db));
    }
    return 0;
}
