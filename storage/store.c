#include "storage/store.h"

#include "storage/migrations.h"
#include "storage/store_internal.h"

#include <stdlib.h>
#include <string.h>

enum { CLOSE_BUSY_MS = 1000 }; /* for a reader's transaction at the close */

/* ---- open and close ---- */

/* A reader without write permission cannot make the log's index. Nobody writes then (a writer would
 * have made it), so the file can be read as it stands. */
static int connect_reader(const char *path, sqlite3 **ret, struct error *err)
{
    int64_t n = 0;
    sqlite3 *db = NULL;
    int r = store_file_connect(path, SQLITE_OPEN_READONLY, false, &db, err);
    r = r < 0 ? r : store_pragma(db, "SELECT count(*) FROM sqlite_schema", &n, err);
    if (r < 0) {
        sqlite3_close(db);
        db = NULL;
        if ((r == ERROR_IO || r == ERROR_PERMISSION) && store_file_wal_bytes(path) == 0) {
            r = store_file_connect(path, SQLITE_OPEN_READONLY, true, &db, err);
            r = r < 0 ? r : store_pragma(db, "SELECT count(*) FROM sqlite_schema", &n, err);
        }
    }
    r = r < 0 ? r : store_pragma(db, "PRAGMA user_version", &n, err);
    if (r == 0 && n > STORE_VERSION) { /* it stands in the log; the header has been looked at */
        r = error_set(err, ERROR_VERSION, "has schema version %lld, this program knows up to %d",
                      (long long)n, STORE_VERSION);
    }
    if (r < 0) {
        sqlite3_close(db);
        return error_prefix(err, r, "%s", path);
    }
    *ret = db;
    return 0;
}

static int connect_writer(const char *path, sqlite3 **ret, struct error *err)
{
    sqlite3 *db = NULL;
    int r = store_file_connect(path, SQLITE_OPEN_READWRITE, false, &db, err);
    if (r < 0) {
        return r;
    }
    /* SQLite falls back to reading where writing is not allowed; that is not what was asked for. */
    if (sqlite3_db_readonly(db, "main") != 0) {
        sqlite3_close(db);
        return error_set(err, ERROR_PERMISSION,
                         "%s: cannot be opened for writing (permissions, a read-only or full disk)",
                         path);
    }
    /* Should the version in the log be one that we refuse, closing must not move the log into the
     * file. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    const struct migrations own = migrations_own();
    r = migrations_run(db, &own, err);
    if (r == 0 && sqlite3_exec(db,
                               "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                               "PRAGMA journal_size_limit = 67108864;"
                               "PRAGMA foreign_keys = ON",
                               NULL, NULL, NULL) != SQLITE_OK) {
        r = store_error(db, err, "cannot open for writing");
    }
    if (r < 0) {
        sqlite3_close(db);
        return error_prefix(err, r, "%s", path);
    }
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    /* The log and its index stay, empty, after a clean end: who may only read could not make them, and
     * SQLite opens a store in this mode with them or not at all (https://www.sqlite.org/wal.html,
     * "Read-Only Databases"). With a limit on the log's size they are emptied at the end. */
    int keep = 1;
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    *ret = db;
    return 0;
}

static struct store *store_create(sqlite3 *db, const char *path, enum store_mode mode)
{
    struct store *store = calloc(1, sizeof *store);
    char *copy = strdup(path);
    if (store == NULL || copy == NULL) {
        free(store);
        free(copy);
        return NULL;
    }
    store->db = db;
    store->path = copy;
    store->mode = mode;
    return store;
}

int store_open(const char *path, enum store_mode mode, struct store **ret, struct error *err)
{
    sqlite3 *db = NULL;
    struct error why;
    int r = store_file_check(path, &why);
    if (r == ERROR_NOT_FOUND && mode == STORE_CREATE) {
        r = store_file_create(path, &why);
    }
    if (r < 0) {
        return error_set(err, r, "%s", why.text);
    }
    r = mode == STORE_READ ? connect_reader(path, &db, err) : connect_writer(path, &db, err);
    if (r < 0) {
        return r;
    }
    struct store *store = store_create(db, path, mode);
    if (store == NULL) {
        sqlite3_close(db);
        return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", path);
    }
    *ret = store;
    return 0;
}

int store_open_memory(struct store **ret, struct error *err)
{
    sqlite3 *db = NULL;
    int r =
        store_file_connect(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, false, &db, err);
    if (r < 0) {
        return r;
    }
    const struct migrations own = migrations_own();
    struct store *store = NULL;
    r = migrations_run(db, &own, err);
    if (r == 0) {
        store = store_create(db, ":memory:", STORE_WRITE);
        r = store == NULL ? error_set(err, ERROR_NO_MEMORY, "out of memory") : 0;
    }
    if (r < 0) {
        sqlite3_close(db);
        return r;
    }
    *ret = store;
    return 0;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    store_rollback(store);
    for (uint32_t i = 0; i < store->n_statements; i++) {
        sqlite3_finalize(store->statements[i].stmt);
    }
    if (store->mode != STORE_READ) {
        /* SQLite moves the log into the file when the last connection closes; a reader that is still there would
         * leave it to nobody. A failure costs nothing: the log keeps it all. */
        sqlite3_busy_timeout(store->db, CLOSE_BUSY_MS);
        (void)sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    }
    sqlite3_close(store->db);
    free(store->path);
    free(store);
}

struct sqlite3 *store_handle(struct store *store)
{
    return store->db;
}

/* ---- groups ---- */

static int run_sql(struct store *store, const char *sql, struct error *err)
{
    struct query query = query_begin(store, sql, sql, err);
    return query_run(&query);
}

int store_enter(struct store *store, struct error *err)
{
    if (store->mode == STORE_READ) {
        return error_set(err, ERROR_PERMISSION, "%s: opened for reading only", store->path);
    }
    if (!store->in_group) {
        int r = run_sql(store, "BEGIN IMMEDIATE", err);
        if (r < 0) {
            return r;
        }
        store->in_group = true;
    }
    int r = run_sql(store, "SAVEPOINT put", err);
    return r < 0 ? store_leave(store, r, 0, err) : 0;
}

int store_leave(struct store *store, int r, uint32_t n_rows, struct error *err)
{
    if (r >= 0) {
        int released = run_sql(store, "RELEASE put", err);
        if (released == 0) {
            store->pending += n_rows;
            return r;
        }
        r = released;
    }
    /* SQLite itself ends the transaction after some errors; one that fails at undoing is lost too. */
    bool gone = sqlite3_get_autocommit(store->db) != 0 ||
                run_sql(store, "ROLLBACK TO put", NULL) < 0 ||
                run_sql(store, "RELEASE put", NULL) < 0;
    if (gone && r != ERROR_FULL && r != ERROR_IO) {
        r = error_prefix(err, ERROR_IO, "the group was rolled back");
    }
    if (gone || r == ERROR_FULL || r == ERROR_IO) {
        store_rollback(store);
    }
    store_forget_searches(store);
    return r;
}

int store_commit(struct store *store, struct error *err)
{
    if (!store->in_group) {
        return 0;
    }
    int r = run_sql(store, "COMMIT", err);
    if (r < 0) {
        store_rollback(store);
        return error_prefix(err, r, "%s", store->path);
    }
    store->in_group = false;
    store->pending = 0;
    return 0;
}

void store_rollback(struct store *store)
{
    if (store->in_group && !sqlite3_get_autocommit(store->db)) {
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }
    store->in_group = false;
    store->pending = 0;
    store_forget_searches(store);
}

uint32_t store_pending(const struct store *store)
{
    return store->pending;
}

int store_read_begin(struct store *store, struct error *err)
{
    int r = 0;
    if (sqlite3_get_autocommit(store->db)) {
        r = run_sql(store, "BEGIN", err);
        store->in_read = r == 0;
    }
    return r;
}

void store_read_end(struct store *store)
{
    if (store->in_read) {
        sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
        store->in_read = false;
    }
}

/* ---- upkeep ---- */

int store_check_integrity(struct store *store, struct error *err)
{
    struct query query =
        query_begin(store, "PRAGMA integrity_check(1)", "PRAGMA integrity_check", err);
    int r = query_step(&query);
    if (r == 1) {
        const char *text = query_column_text(&query, 0);
        r = query.result < 0 ? query.result
            : strcmp(text, "ok") == 0
                ? 0
                : error_set(err, ERROR_CORRUPT, "%s: damaged: %s", store->path, text);
    }
    query_end(&query);
    return r;
}

int store_trim_wal(struct store *store, int64_t bytes, struct error *err)
{
    if (store->in_group || store->mode == STORE_READ ||
        store_file_wal_bytes(store->path) <= bytes) {
        return 0;
    }
    sqlite3_busy_timeout(store->db, 0); /* a reader that holds the log is not waited for */
    int r = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    int code = r == SQLITE_OK || r == SQLITE_BUSY || r == SQLITE_LOCKED
                   ? 0
                   : store_error(store->db, err, "%s: truncating the log", store->path);
    sqlite3_busy_timeout(store->db, 10000);
    return code;
}
