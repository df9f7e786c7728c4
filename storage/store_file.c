/* The store as a file. Before SQLite gets to see a file for writing, the file has been looked at in
 * ways that cannot change it: its header, then its schema, through connections that are read-only and
 * immutable. So a file that is refused stays as it is, byte for byte, with nothing new
 * beside it. A file with a write-ahead log (its writer was killed) cannot be read without that log:
 * then the look is an ordinary read-only connection, which may write the log's index (-shm) anew but
 * neither log nor file. */
#include "storage/migrations.h"
#include "storage/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_BYTES = 100, PATH_BYTES = 4096 };

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

int64_t store_file_wal_bytes(const char *path)
{
    char wal[PATH_BYTES];
    struct stat status;
    snprintf(wal, sizeof wal, "%s-wal", path);
    return stat(wal, &status) == 0 ? (int64_t)status.st_size : 0;
}

/* The first bytes of an open database, through SQLite's own descriptor; returns how many, or -1. */
static int read_front(sqlite3 *db, uint8_t *ret)
{
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
        file->pMethods == NULL || file->pMethods->xFileSize(file, &size) != SQLITE_OK) {
        return -1;
    }
    int n = size < HEADER_BYTES ? (int)size : HEADER_BYTES;
    return n == 0 || file->pMethods->xRead(file, ret, n, 0) == SQLITE_OK ? n : -1;
}

/* Read the header; *ret_size is the file's size. Never through a descriptor of our own: closing that
 * would drop the locks of every connection that this process has to the file
 * (https://www.sqlite.org/howtocorrupt.html, 2.2), and the next program to close its own would take
 * itself for the last one and delete the log under a living daemon. */
static int read_header(const char *path, uint8_t *ret, int64_t *ret_size, struct error *err)
{
    struct stat status;
    sqlite3 *db = NULL;
    if (strlen(path) > PATH_BYTES - 16) {
        return error_set(err, ERROR_INVALID, "%.64s...: the path is too long", path);
    }
    if (stat(path, &status) < 0 || access(path, R_OK) < 0) {
        return error_set(err, error_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return error_set(err, ERROR_INVALID, "%s: not a regular file, so no store", path);
    }
    *ret_size = status.st_size;
    int r = store_file_connect(path, SQLITE_OPEN_READONLY, true, &db, err);
    if (r < 0) {
        return r;
    }
    int n = read_front(db, ret);
    sqlite3_close(db);
    if (n < 0) {
        return error_set(err, ERROR_IO, "%s: its header cannot be read", path);
    }
    if (n < HEADER_BYTES) {
        return error_set(err, ERROR_INVALID, "%s: %d bytes are no store; move the file away", path,
                         n);
    }
    return 0;
}

/* Offsets of the header's fields: https://www.sqlite.org/fileformat.html, section 1.3. */
static int check_header(const char *path, struct error *err)
{
    uint8_t header[HEADER_BYTES] = {0};
    int64_t size = 0;
    int r = read_header(path, header, &size, err);
    if (r < 0) {
        return r;
    }
    if (memcmp(header, "SQLite format 3", 16) != 0) {
        return error_set(err, ERROR_INVALID,
                         "%s: not a SQLite database, so no store of qzd; move the file away", path);
    }
    if (big_endian(header + 68) != STORE_APPLICATION_ID) {
        return error_set(err, ERROR_INVALID,
                         "%s: a database of another program (application id 0x%08x); move the file "
                         "away",
                         path, big_endian(header + 68));
    }
    uint32_t version = big_endian(header + 60);
    if (version > STORE_VERSION) {
        return error_set(err, ERROR_VERSION,
                         "%s: has schema version %u, this program knows up to %d: it was written "
                         "by a newer qzd",
                         path, version, STORE_VERSION);
    }
    uint32_t page_size = (uint32_t)header[16] << 8 | header[17];
    page_size = page_size == 1 ? 65536 : page_size;
    bool count_is_valid = big_endian(header + 24) == big_endian(header + 92);
    int64_t expected = (int64_t)page_size * big_endian(header + 28);
    /* With a log beside it, the file may be behind what its header says. */
    if (page_size < 512 || (page_size & (page_size - 1)) != 0 ||
        (count_is_valid && size < expected && store_file_wal_bytes(path) == 0)) {
        return error_set(err, ERROR_CORRUPT,
                         "%s: damaged: %lld bytes where the header says %lld; restore a snapshot",
                         path, (long long)size, (long long)expected);
    }
    return 0;
}

int store_file_connect(const char *path, int flags, bool immutable, sqlite3 **ret,
                       struct error *err)
{
    char uri[3 * PATH_BYTES];
    size_t n = (size_t)snprintf(uri, sizeof uri, "file:");
    for (const char *c = path; *c != '\0' && n < sizeof uri - 32; c++) {
        bool special = *c == '%' || *c == '?' || *c == '#' || (unsigned char)*c < 0x21;
        n += (size_t)snprintf(uri + n, 8, special ? "%%%02X" : "%c", (unsigned char)*c);
    }
    snprintf(uri + n, sizeof uri - n, "%s", immutable ? "?immutable=1" : "");

    sqlite3 *db = NULL;
    if (sqlite3_open_v2(uri, &db, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        int r = store_error(db, err, "%s", path);
        sqlite3_close(db);
        return r;
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, 10000);
    *ret = db;
    return 0;
}

/* Every table, index and view that a store of this version has must be there. */
static int check_names(sqlite3 *db, struct error *err)
{
    sqlite3 *model = NULL;
    sqlite3_stmt *wanted = NULL;
    sqlite3_stmt *found = NULL;
    const struct migrations own = migrations_own();
    struct migrations same_version = own;
    int64_t version = 0;
    int r = store_pragma(db, "PRAGMA user_version", &version, err);
    if (r < 0 || version > own.n) { /* newer: migrations_run() says so */
        return r;
    }
    same_version.n = (int)version;
    r = store_file_connect(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, false, &model,
                           err);
    r = r < 0 ? r : migrations_run(model, &same_version, err);
    if (r < 0) {
        goto out;
    }
    if (sqlite3_prepare_v2(model, "SELECT type, name FROM sqlite_schema", -1, &wanted, NULL) !=
        SQLITE_OK) {
        r = store_error(model, err, "schema");
        goto out;
    }
    if (sqlite3_prepare_v2(db, "SELECT 1 FROM sqlite_schema WHERE type = ? AND name = ?", -1,
                           &found, NULL) != SQLITE_OK) {
        r = store_error(db, err, "schema");
        goto out;
    }
    while (r == 0 && sqlite3_step(wanted) == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(wanted, 0);
        const char *name = (const char *)sqlite3_column_text(wanted, 1);
        sqlite3_bind_text(found, 1, type, -1, SQLITE_STATIC);
        sqlite3_bind_text(found, 2, name, -1, SQLITE_STATIC);
        int step = sqlite3_step(found);
        if (step == SQLITE_DONE) {
            r = error_set(err, ERROR_CORRUPT, "%s %s is missing; restore a snapshot", type, name);
        } else if (step != SQLITE_ROW) {
            r = store_error(db, err, "schema");
        }
        sqlite3_reset(found);
    }
out:
    sqlite3_finalize(wanted);
    sqlite3_finalize(found);
    sqlite3_close(model);
    return r;
}

/* The schema's own pages, and the small tables that everything hangs on. Not the whole file: that is
 * store_check_integrity(), and takes minutes on a big one. */
static int check_schema(sqlite3 *db, struct error *err)
{
    static const char *const pragmas[] = {
        "PRAGMA quick_check('sqlite_schema')",
        "PRAGMA quick_check('nets')",
        "PRAGMA quick_check('run')",
    };
    int r = check_names(db, err);
    for (size_t i = 0; r == 0 && i < sizeof pragmas / sizeof pragmas[0]; i++) {
        sqlite3_stmt *stmt = NULL;
        if (sqlite3_prepare_v2(db, pragmas[i], -1, &stmt, NULL) != SQLITE_OK ||
            sqlite3_step(stmt) != SQLITE_ROW) {
            r = store_error(db, err, "%s", pragmas[i]);
        } else {
            const char *text = (const char *)sqlite3_column_text(stmt, 0);
            if (text == NULL || strcmp(text, "ok") != 0) {
                r = error_set(err, ERROR_CORRUPT, "damaged: %s; restore a snapshot",
                              text == NULL ? "?" : text);
            }
        }
        sqlite3_finalize(stmt);
    }
    return r;
}

int store_file_check(const char *path, struct error *err)
{
    sqlite3 *db = NULL;
    int r = check_header(path, err);
    if (r < 0) {
        return r;
    }
    r = store_file_connect(path, SQLITE_OPEN_READONLY, store_file_wal_bytes(path) == 0, &db, err);
    if (r < 0) {
        return r;
    }
    r = check_schema(db, err);
    if (r == ERROR_INVALID) { /* SQL that should run does not: the tables are not what they say */
        r = ERROR_CORRUPT;
    }
    if (r < 0) {
        error_prefix(err, r, "%s", path);
    }
    sqlite3_close(db);
    return r;
}

static int fill_new_file(const char *path, struct error *err)
{
    sqlite3 *db = NULL;
    int r = store_file_connect(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, false, &db, err);
    if (r < 0) {
        return r;
    }
    char sql[160];
    snprintf(sql, sizeof sql,
             "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
             "PRAGMA synchronous = FULL; PRAGMA application_id = %d",
             STORE_APPLICATION_ID);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        r = store_error(db, err, "%s", path);
    }
    const struct migrations own = migrations_own();
    r = r < 0 ? r : migrations_run(db, &own, err);
    /* The file alone is renamed, so all must be in it and fsynced. The close would see to that too, but says OK when it
     * could not. */
    if (r == 0 &&
        sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK) {
        r = store_error(db, err, "%s: moving the log into the new store", path);
    }
    if (sqlite3_close(db) != SQLITE_OK && r == 0) {
        r = error_set(err, ERROR_IO, "%s: cannot close the new store", path);
    }
    return r;
}

int store_file_sync_directory_of(const char *path, struct error *err)
{
    char directory[PATH_BYTES];
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash == NULL) {
        snprintf(directory, sizeof directory, ".");
    } else {
        slash[slash == directory] = '\0';
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = 0;
    if (fd < 0 || fsync(fd) < 0) {
        r = error_set(err, error_from_errno(errno), "%s: %s", directory, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return r;
}

int store_file_create(const char *path, struct error *err)
{
    char fresh[PATH_BYTES];
    if (strlen(path) > PATH_BYTES - 16) {
        return error_set(err, ERROR_INVALID, "%.64s...: the path is too long", path);
    }
    /* Made under another name, so that a power cut never leaves half a store under this one. What an
     * earlier attempt left is thrown away; the state directory's lock keeps two makers apart. */
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        snprintf(fresh, sizeof fresh, "%s.new%s", path, endings[i]);
        unlink(fresh);
    }
    snprintf(fresh, sizeof fresh, "%s.new", path);
    int r = fill_new_file(fresh, err);
    int renamed = r < 0 ? 0 : renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE);
    if (renamed < 0 && (errno == EINVAL || errno == ENOSYS)) { /* a file system that cannot */
        renamed = rename(fresh, path);
    }
    if (renamed < 0) {
        r = error_set(err, errno == EEXIST ? ERROR_BUSY : error_from_errno(errno), "%s: %s", path,
                      strerror(errno));
    }
    if (r < 0) {
        unlink(fresh);
        return r;
    }
    return store_file_sync_directory_of(path, err);
}
