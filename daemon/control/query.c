#include "daemon/control/query.h"

#include "daemon/control/query_access.h"
#include "daemon/doctor/doctor_read.h"
#include "storage/clock.h"
#include "storage/sqlfunctions.h"
#include "storage/store.h"

#include <jansson.h>
#include <math.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PROGRESS_OPS = 2000,         /* virtual machine steps between looks at clock and stop flag */
    MAX_ANSWER_BYTES = 32 << 20, /* values in one answer; what is beyond is cut off */
    STORE_MS = 1000,             /* for the questions whose statements are ours */
};

/* One question while it is being answered. */
struct session {
    const struct query_request *request;
    struct store *store;
    struct sqlite3 *db;
    int64_t deadline_ms; /* monotonic; INT64_MAX: none */
    struct query_access access;
    bool timed_out;
};

void query_format_real(double value, char ret_text[QUERY_REAL_TEXT])
{
    int digits = 15;
    do {
        snprintf(ret_text, QUERY_REAL_TEXT, "%.*g", digits, value);
    } while (digits++ < 17 && strtod(ret_text, NULL) != value);
    if (strpbrk(ret_text, ".en") == NULL) { /* keep it a real number for whoever reads types */
        size_t n = strlen(ret_text);
        snprintf(ret_text + n, QUERY_REAL_TEXT - n, ".0");
    }
}

static bool stopped(const struct session *session)
{
    return session->request->stop != NULL && atomic_load(session->request->stop);
}

static int on_progress(void *context)
{
    struct session *session = context;
    session->timed_out = session->timed_out || clock_ms(CLOCK_MONOTONIC) > session->deadline_ms;
    return session->timed_out || stopped(session);
}

/* ---- opening, and what SQLite's codes mean here ---- */

static int open_session(const struct query_request *request, struct session *ret, struct error *err)
{
    *ret = (struct session){.request = request, .deadline_ms = INT64_MAX};
    int r = store_open(request->db_path, STORE_READ, &ret->store, err);
    if (r < 0) {
        return r;
    }
    ret->db = store_handle(ret->store);
    /* A check reads everything and takes its time, as long as its asker allows; the doctor reads in many short
     * statements. */
    if (request->kind == QUERY_CHECK) {
        ret->deadline_ms = request->time_limit_ms == 0
                               ? INT64_MAX
                               : clock_ms(CLOCK_MONOTONIC) + request->time_limit_ms;
    } else if (request->kind != QUERY_DOCTOR) {
        ret->deadline_ms = clock_ms(CLOCK_MONOTONIC) +
                           (request->kind == QUERY_SQL ? request->time_limit_ms : STORE_MS);
    }
    sqlite3_progress_handler(ret->db, PROGRESS_OPS, on_progress, ret);
    return 0;
}

static void close_session(struct session *session)
{
    sqlite3_progress_handler(session->db, 0, NULL, NULL);
    sqlite3_set_authorizer(session->db, NULL, NULL);
    store_close(session->store);
}

static int sqlite_error(const struct session *session, int code, struct error *err)
{
    if (stopped(session)) {
        return error_set(err, ERROR_CANCELLED, "stopped: the daemon is going down");
    }
    if (session->timed_out) {
        return error_set(
            err, ERROR_TIMEOUT, "took longer than %u ms; narrow it, or allow it more time",
            session->request->kind == QUERY_SQL ? session->request->time_limit_ms : STORE_MS);
    }
    if (session->access.refused[0] != '\0') {
        return error_set(err, ERROR_INVALID, "%s is refused: only reading is possible here",
                         session->access.refused);
    }
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, ERROR_BUSY, "the store is in use: %s", sqlite3_errmsg(session->db));
    case SQLITE_NOMEM:
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return error_set(err, ERROR_IO, "%s: %s", session->request->db_path,
                         sqlite3_errmsg(session->db));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_set(err, ERROR_CORRUPT, "%s: %s", session->request->db_path,
                         sqlite3_errmsg(session->db));
    default:
        return error_set(err, ERROR_INVALID, "%s", sqlite3_errmsg(session->db));
    }
}

/* ---- rows as JSON text ---- */

static void write_hex(FILE *out, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    fputs("{\"hex\":\"", out);
    for (size_t i = 0; i < n; i++) {
        fputc(digits[bytes[i] >> 4], out);
        fputc(digits[bytes[i] & 15], out);
    }
    fputs("\"}", out);
}

static void write_text(FILE *out, const char *text, size_t n)
{
    json_t *value = json_stringn(text, n); /* NULL where it is not UTF-8 */
    if (value == NULL) {
        write_hex(out, (const uint8_t *)text, n);
        return;
    }
    json_dumpf(value, out, JSON_ENCODE_ANY);
    json_decref(value);
}

/* Returns about how many bytes it wrote. */
static size_t write_value(FILE *out, sqlite3_stmt *statement, int column)
{
    char text[QUERY_REAL_TEXT];
    size_t n = 0;
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        fprintf(out, "%lld", sqlite3_column_int64(statement, column));
        return 20;
    case SQLITE_FLOAT:
        if (!isfinite(sqlite3_column_double(statement, column))) {
            fputs("null", out);
            return 4;
        }
        query_format_real(sqlite3_column_double(statement, column), text);
        fputs(text, out);
        return 20;
    case SQLITE_TEXT:
        n = (size_t)sqlite3_column_bytes(statement, column);
        write_text(out, (const char *)sqlite3_column_text(statement, column), n);
        return n;
    case SQLITE_BLOB:
        n = (size_t)sqlite3_column_bytes(statement, column);
        write_hex(out, sqlite3_column_blob(statement, column), n);
        return 2 * n;
    default:
        fputs("null", out);
        return 4;
    }
}

static void write_name(FILE *out, sqlite3_stmt *statement, int column)
{
    const char *name = sqlite3_column_name(statement, column);
    write_text(out, name == NULL ? "" : name, name == NULL ? 0 : strlen(name));
}

static size_t write_row(FILE *out, sqlite3_stmt *statement, int n_columns, bool as_object)
{
    size_t n = 0;
    fputc(as_object ? '{' : '[', out);
    for (int i = 0; i < n_columns; i++) {
        if (i > 0) {
            fputc(',', out);
        }
        if (as_object) {
            write_name(out, statement, i);
            fputc(':', out);
        }
        n += write_value(out, statement, i);
    }
    fputc(as_object ? '}' : ']', out);
    return n;
}

/* Step through the statement: columns, rows, and whether there was more. */
static int write_rows(struct session *session, sqlite3_stmt *statement, uint32_t max_rows,
                      bool as_objects, FILE *out, struct error *err)
{
    int n_columns = sqlite3_column_count(statement);
    fputs("{\"columns\":[", out);
    for (int i = 0; i < n_columns; i++) {
        if (i > 0) {
            fputc(',', out);
        }
        write_name(out, statement, i);
    }
    fputs("],\"rows\":[", out);

    bool truncated = false;
    size_t bytes = 0;
    for (uint32_t n = 0;; n++) {
        int code = sqlite3_step(statement);
        if (code == SQLITE_DONE) {
            break;
        }
        if (code != SQLITE_ROW || on_progress(session) != 0) {
            return sqlite_error(session, code, err);
        }
        if (n >= max_rows || bytes > MAX_ANSWER_BYTES) {
            truncated = true;
            break;
        }
        fputs(n > 0 ? ",\n" : "\n", out);
        bytes += write_row(out, statement, n_columns, as_objects);
    }
    fputs("]", out);
    if (!as_objects) {
        fprintf(out, ",\"truncated\":%s", truncated ? "true" : "false");
    }
    fputs("}", out);
    return 0;
}

/* Run a prepared statement; its rows are the answer. */
static int answer_rows(struct session *session, sqlite3_stmt *statement, uint32_t max_rows,
                       bool as_objects, char **ret_json, struct error *err)
{
    char *json = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&json, &size);
    if (out == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    int r = write_rows(session, statement, max_rows, as_objects, out, err);
    bool failed = ferror(out) != 0;
    failed = fclose(out) != 0 || failed;
    if (r == 0 && failed) {
        r = error_set(err, ERROR_NO_MEMORY, "out of memory for the answer");
    }
    if (r < 0) {
        free(json);
        return r;
    }
    *ret_json = json;
    return 0;
}

/* ---- the questions ---- */

/* Is there another statement behind the first? Blanks, comments and semicolons are none. */
static bool has_more(struct sqlite3 *db, const char *tail)
{
    while (*tail != '\0') {
        sqlite3_stmt *next = NULL;
        const char *rest = tail;
        int code = sqlite3_prepare_v2(db, tail, -1, &next, &rest);
        sqlite3_finalize(next);
        if (code != SQLITE_OK || next != NULL) {
            return true;
        }
        if (rest == tail) {
            return false;
        }
        tail = rest;
    }
    return false;
}

static int ask_sql(struct session *session, char **ret_json, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    const char *tail = session->request->sql;
    int r = sqlfunctions_register(session->db, err);
    if (r < 0) {
        return r;
    }
    query_access_restrict(session->db, &session->access);

    int code = SQLITE_OK;
    while (code == SQLITE_OK && statement == NULL && *tail != '\0') { /* past empty statements */
        code = sqlite3_prepare_v2(session->db, tail, -1, &statement, &tail);
    }
    if (code != SQLITE_OK) {
        return sqlite_error(session, code, err);
    }
    if (statement == NULL) {
        return error_set(err, ERROR_INVALID, "no statement in it");
    }
    if (!sqlite3_stmt_readonly(statement)) {
        r = error_set(err, ERROR_INVALID,
                      "a statement that writes is refused: only reading is possible here");
    } else if (has_more(session->db, tail)) {
        r = error_set(err, ERROR_INVALID, "more than one statement; ask one at a time");
    } else if (sqlite3_bind_parameter_count(statement) > 0) {
        r = error_set(err, ERROR_INVALID, "parameters (?, :name) have no values here");
    } else {
        r = answer_rows(session, statement, session->request->n, false, ret_json, err);
    }
    sqlite3_finalize(statement);
    return r;
}

static int ask_rows(struct session *session, const char *sql, int64_t argument, char **ret_json,
                    struct error *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(session->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK && sqlite3_bind_parameter_count(statement) > 0) {
        code = sqlite3_bind_int64(statement, 1, argument);
    }
    int r = code == SQLITE_OK ? answer_rows(session, statement, QUERY_MAX_ROWS, true, ret_json, err)
                              : sqlite_error(session, code, err);
    sqlite3_finalize(statement);
    return r;
}

static int ask_check(struct session *session, char **ret_json, struct error *err)
{
    struct error integrity = {"ok"};
    struct error tallies = {"ok"};
    (void)store_check_integrity(session->store, &integrity);
    if (!stopped(session) && !session->timed_out) {
        (void)store_check_tallies(session->store, &tallies);
    }
    if (stopped(session)) {
        return error_set(err, ERROR_CANCELLED, "stopped: the daemon is going down");
    }
    if (session->timed_out) {
        return error_set(
            err, ERROR_TIMEOUT,
            "not known: a check of this store takes longer than %u ms, and would hold up the "
            "daemon's log for so long; check it while the daemon is stopped, or check a copy",
            session->request->time_limit_ms);
    }
    json_t *answer = json_pack("{s:s, s:s}", "integrity", integrity.text, "tallies", tallies.text);
    *ret_json = answer == NULL ? NULL : json_dumps(answer, JSON_PRESERVE_ORDER);
    json_decref(answer);
    return *ret_json == NULL ? error_set(err, ERROR_NO_MEMORY, "out of memory") : 0;
}

static int ask_doctor(struct session *session, char **ret_json, struct error *err)
{
    const struct query_request *request = session->request;
    struct doctor_report *report = malloc(sizeof *report);
    const char *slash = strrchr(request->db_path, '/');
    char *state_dir =
        slash == NULL ? strdup(".") : strndup(request->db_path, (size_t)(slash - request->db_path));
    const struct doctor_source source = {.db = session->db,
                                         .state_dir = state_dir,
                                         .generation = request->generation,
                                         .live = request->live,
                                         .stop = request->stop};
    int r = report == NULL || state_dir == NULL ? error_set(err, ERROR_NO_MEMORY, "out of memory")
                                                : doctor_examine(&source, report, err);
    if (r == 0) {
        *ret_json = doctor_json(report);
        r = *ret_json == NULL ? error_set(err, ERROR_NO_MEMORY, "out of memory") : 0;
    }
    free(state_dir);
    free(report);
    return r;
}

/* ---- status from the store alone ---- */

static void put(json_t *object, const char *key, json_t *value) /* takes the value */
{
    (void)json_object_set_new(object, key, value == NULL ? json_null() : value);
}

static int64_t file_bytes(const char *path, const char *ending)
{
    char full[4096];
    struct stat info;
    int n = snprintf(full, sizeof full, "%s%s", path, ending);
    if (n < 0 || (size_t)n >= sizeof full || stat(full, &info) != 0) {
        return 0;
    }
    return info.st_size;
}

static int put_counts(struct session *session, json_t *answer, struct error *err)
{
    struct store_counts counts;
    char text[64];
    int r = store_read_counts(session->store, &counts, err);
    if (r < 0) {
        return r;
    }
    if (store_get_run(session->store, "game", text, sizeof text, NULL) == 0) {
        put(answer, "game", json_string(text));
    }
    put(answer, "games", json_integer(counts.games));
    put(answer, "unfinished_games", json_integer(counts.unfinished));
    put(answer, "positions", json_integer(counts.positions));
    put(answer, "positions_since_training",
        json_integer(counts.positions - counts.positions_at_training));
    put(answer, "samples", json_integer(counts.samples));
    return 0;
}

static void put_net(struct session *session, json_t *answer)
{
    struct store_net net;
    if (store_current_net(session->store, "main", &net, NULL) < 0) {
        return;
    }
    put(answer, "generation", json_integer(net.generation));
    put(answer, "net_id", json_integer(net.id));
    put(answer, "net_sha256", json_string(net.sha256));
    put(answer, "net_created_at", json_integer(net.created_at));
    put(answer, "arch", net.arch == NULL ? NULL : json_loads(net.arch, 0, NULL));
    store_net_finish(&net);
}

/* The one row of a statement of ours as an object, null where there is none. */
static json_t *one_row(struct session *session, const char *sql)
{
    char *json = NULL;
    if (ask_rows(session, sql, 0, &json, NULL) < 0) {
        return NULL;
    }
    json_t *all = json_loads(json, 0, NULL);
    json_t *row = json_incref(json_array_get(json_object_get(all, "rows"), 0));
    json_decref(all);
    free(json);
    return row;
}

static int ask_status(struct session *session, char **ret_json, struct error *err)
{
    json_t *answer = json_object();
    int r = put_counts(session, answer, err);
    if (r < 0) {
        json_decref(answer);
        return r;
    }
    put_net(session, answer);
    json_t *last =
        one_row(session, "SELECT max(finished_at) AS at FROM games WHERE state = 'finished'");
    put(answer, "last_game_at", json_incref(json_object_get(last, "at")));
    json_decref(last);
    put(answer, "last_training",
        one_row(session,
                "SELECT generation, state, started_at, finished_at, samples, q_ratio,"
                " policy_loss - policy_entropy AS policy_gap, value_loss, held_out_policy_loss -"
                " held_out_policy_entropy AS policy_gap_held_out, held_out_value_loss, failure"
                " FROM trainings ORDER BY id DESC LIMIT 1"));
    put(answer, "last_event",
        one_row(session, "SELECT at, severity, what, detail FROM events "
                         "ORDER BY id DESC LIMIT 1"));
    put(answer, "store_bytes", json_integer(file_bytes(session->request->db_path, "")));
    put(answer, "wal_bytes", json_integer(file_bytes(session->request->db_path, "-wal")));
    *ret_json = json_dumps(answer, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    json_decref(answer);
    return *ret_json == NULL ? error_set(err, ERROR_NO_MEMORY, "out of memory") : 0;
}

int query_ask(const struct query_request *request, char **ret_json, struct error *err)
{
    struct session session;
    struct error text = {""};
    char *json = NULL;
    int r = open_session(request, &session, err);
    if (r < 0) {
        return r;
    }
    switch (request->kind) {
    case QUERY_PROGRESS:
        r = ask_rows(&session, "SELECT * FROM progress", 0, &json, &text);
        break;
    case QUERY_SQL:
        r = ask_sql(&session, &json, &text);
        break;
    case QUERY_STATUS:
        r = ask_status(&session, &json, &text);
        break;
    case QUERY_EVENTS:
        r = ask_rows(&session,
                     "SELECT id, at, severity, what, detail FROM (SELECT * FROM events "
                     "ORDER BY id DESC LIMIT ?1) ORDER BY id",
                     request->n, &json, &text);
        break;
    case QUERY_CHECK:
        r = ask_check(&session, &json, &text);
        break;
    case QUERY_DOCTOR:
        r = ask_doctor(&session, &json, &text);
        break;
    }
    close_session(&session);
    if (r < 0) {
        return error_set(err, r, "%s", text.text);
    }
    *ret_json = json;
    return 0;
}

int query_progress(const char *db_path, char **ret_json, struct error *err)
{
    return query_ask(&(struct query_request){.kind = QUERY_PROGRESS, .db_path = db_path}, ret_json,
                     err);
}

int query_sql(const char *db_path, const char *sql, uint32_t max_rows, uint32_t time_limit_ms,
              char **ret_json, struct error *err)
{
    return query_ask(&(struct query_request){.kind = QUERY_SQL,
                                             .db_path = db_path,
                                             .sql = sql,
                                             .n = max_rows,
                                             .time_limit_ms = time_limit_ms},
                     ret_json, err);
}

int query_status(const char *db_path, char **ret_json, struct error *err)
{
    return query_ask(&(struct query_request){.kind = QUERY_STATUS, .db_path = db_path}, ret_json,
                     err);
}

int query_events(const char *db_path, uint32_t n, char **ret_json, struct error *err)
{
    return query_ask(&(struct query_request){.kind = QUERY_EVENTS, .db_path = db_path, .n = n},
                     ret_json, err);
}

int query_check(const char *db_path, char **ret_json, struct error *err)
{
    return query_ask(&(struct query_request){.kind = QUERY_CHECK, .db_path = db_path}, ret_json,
                     err);
}
