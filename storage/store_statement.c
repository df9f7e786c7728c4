#include "storage/store_internal.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int code_of(sqlite3 *db)
{
    int extended = sqlite3_extended_errcode(db);
    if (extended == SQLITE_IOERR_NOMEM) {
        return ERROR_NO_MEMORY;
    }
    switch (extended & 0xff) {
    case SQLITE_NOMEM:
        return ERROR_NO_MEMORY;
    case SQLITE_FULL:
        return ERROR_FULL;
    case SQLITE_IOERR: {
        int errnum = sqlite3_system_errno(db);
        return errnum == ENOSPC || errnum == EDQUOT ? ERROR_FULL : ERROR_IO;
    }
    case SQLITE_CANTOPEN: {
        int errnum = sqlite3_system_errno(db);
        return errnum != 0 ? error_from_errno(errnum) : ERROR_IO;
    }
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERROR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERROR_CORRUPT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ERROR_PERMISSION;
    case SQLITE_INTERRUPT:
        return ERROR_CANCELLED;
    default:
        return ERROR_INVALID;
    }
}

int store_error(sqlite3 *db, struct error *err, const char *format, ...)
{
    char about[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(about, sizeof about, format, arguments);
    va_end(arguments);
    /* read the code first: errmsg of a failed allocation may change it */
    int code = db == NULL ? ERROR_NO_MEMORY : code_of(db);
    return error_set(err, code, "%s: %s", about,
                     db == NULL ? error_text(code) : sqlite3_errmsg(db));
}

int store_pragma(sqlite3 *db, const char *sql, int64_t *ret, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW) {
        int r = store_error(db, err, "%s", sql);
        sqlite3_finalize(stmt);
        return r;
    }
    *ret = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return 0;
}

struct query query_begin(struct store *store, const char *sql, const char *what, struct error *err)
{
    struct query query = {.store = store, .what = what, .err = err};
    for (uint32_t i = 0; i < store->n_statements; i++) {
        if (store->statements[i].sql == sql) {
            query.stmt = store->statements[i].stmt;
            return query;
        }
    }
    if (store->n_statements == STORE_MAX_STATEMENTS) {
        query.result = error_set(err, ERROR_NO_MEMORY, "%s: too many kept statements", what);
        return query;
    }
    if (sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &query.stmt, NULL) !=
        SQLITE_OK) {
        query.result = store_error(store->db, err, "%s", what);
        return query;
    }
    store->statements[store->n_statements++] = (struct store_statement){sql, query.stmt};
    return query;
}

static void fail(struct query *query)
{
    if (query->result == 0) {
        query->result = store_error(query->store->db, query->err, "%s", query->what);
    }
    query_end(query);
}

static void bound(struct query *query, int sqlite_result)
{
    if (sqlite_result != SQLITE_OK) {
        fail(query);
    }
}

void query_int(struct query *query, int64_t value)
{
    if (query->stmt != NULL) {
        bound(query, sqlite3_bind_int64(query->stmt, ++query->n_bound, value));
    }
}

void query_int_or_null(struct query *query, bool known, int64_t value)
{
    if (known) {
        query_int(query, value);
    } else if (query->stmt != NULL) {
        bound(query, sqlite3_bind_null(query->stmt, ++query->n_bound));
    }
}

void query_real(struct query *query, double value)
{
    if (query->stmt == NULL) {
        return;
    }
    /* SQLite would make NULL of NaN by itself; said here, it does not look like luck */
    bound(query, isnan(value) ? sqlite3_bind_null(query->stmt, ++query->n_bound)
                              : sqlite3_bind_double(query->stmt, ++query->n_bound, value));
}

void query_text(struct query *query, const char *text)
{
    if (query->stmt != NULL) {
        bound(query, sqlite3_bind_text(query->stmt, ++query->n_bound, text, -1, SQLITE_STATIC));
    }
}

void query_blob(struct query *query, const void *bytes, size_t size)
{
    if (query->stmt == NULL) {
        return;
    }
    bound(query, size == 0 ? sqlite3_bind_null(query->stmt, ++query->n_bound)
                           : sqlite3_bind_blob(query->stmt, ++query->n_bound, bytes, (int)size,
                                               SQLITE_STATIC));
}

int query_step(struct query *query)
{
    if (query->stmt == NULL || query->result < 0) {
        return query_end(query);
    }
    int r = sqlite3_step(query->stmt);
    if (r == SQLITE_ROW) {
        return 1;
    }
    if (r == SQLITE_DONE) {
        return query_end(query);
    }
    fail(query);
    return query->result;
}

int query_run(struct query *query)
{
    int r = query_step(query);
    query_end(query);
    return r < 0 ? r : 0;
}

int query_end(struct query *query)
{
    if (query->stmt != NULL) {
        sqlite3_reset(query->stmt);
        sqlite3_clear_bindings(query->stmt); /* the strings are no longer ours */
        query->stmt = NULL;
    }
    return query->result;
}

int64_t query_column_int(const struct query *query, int column)
{
    return sqlite3_column_int64(query->stmt, column);
}

bool query_column_null(const struct query *query, int column)
{
    return sqlite3_column_type(query->stmt, column) == SQLITE_NULL;
}

float query_column_float(const struct query *query, int column)
{
    return query_column_null(query, column) ? NAN
                                            : (float)sqlite3_column_double(query->stmt, column);
}

/* SQLite may have to copy a value to end it by NUL, and have no memory for that. */
static void column_failed(struct query *query)
{
    if (query->result == 0) {
        query->result = error_set(query->err, ERROR_NO_MEMORY, "%s: out of memory", query->what);
    }
}

const char *query_column_text(struct query *query, int column)
{
    bool null = query_column_null(query, column);
    const char *text = (const char *)sqlite3_column_text(query->stmt, column);
    if (text == NULL && !null) {
        column_failed(query);
    }
    return text == NULL ? "" : text;
}

const void *query_column_blob(struct query *query, int column, size_t *ret_size)
{
    bool null = query_column_null(query, column);
    const void *bytes = sqlite3_column_blob(query->stmt, column);
    *ret_size = (size_t)sqlite3_column_bytes(query->stmt, column);
    if (bytes == NULL && !null && sqlite3_errcode(query->store->db) == SQLITE_NOMEM) {
        column_failed(query);
    }
    return bytes;
}

void query_column_copy(struct query *query, int column, char *ret, size_t size)
{
    snprintf(ret, size, "%s", query_column_text(query, column));
}
