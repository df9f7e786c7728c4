#include "storage/migrations.h"

#include "storage/store_internal.h"

#include <stdio.h>

/* The steps' files, each NUL-terminated, in read-only data. A name in a literal takes no parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define EMBED(name, file)                        \
    __asm__(".pushsection .rodata\n" #name ":\n" \
            ".incbin \"" file "\"\n"             \
            ".byte 0\n"                          \
            ".popsection\n");                    \
    extern const char name[]
/* NOLINTEND(bugprone-macro-parentheses) */
EMBED(storage_schema_1, SCHEMA_FOLDER "/schema.sql");
EMBED(storage_schema_2, SCHEMA_FOLDER "/schema_2.sql");
EMBED(storage_schema_3, SCHEMA_FOLDER "/schema_3.sql");
EMBED(storage_schema_4, SCHEMA_FOLDER "/schema_4.sql");
EMBED(storage_schema_5, SCHEMA_FOLDER "/schema_5.sql");

struct migrations migrations_own(void)
{
    static const char *const steps[STORE_VERSION] = {
        storage_schema_1, storage_schema_2, storage_schema_3, storage_schema_4, storage_schema_5};
    return (struct migrations){.n = STORE_VERSION, .steps = steps};
}

static int run_steps(sqlite3 *db, const struct migrations *migrations, struct error *err)
{
    int64_t version = 0;
    int r = store_pragma(db, "PRAGMA user_version", &version, err);
    if (r < 0) {
        return r;
    }
    if (version < 0 || version > migrations->n) {
        return error_set(err, ERROR_VERSION,
                         "the store has schema version %lld, this program knows up to %d: it was "
                         "written by a newer one",
                         (long long)version, migrations->n);
    }
    for (int64_t i = version; i < migrations->n; i++) {
        if (sqlite3_exec(db, migrations->steps[i], NULL, NULL, NULL) != SQLITE_OK) {
            r = store_error(db, err, "migration to version %lld", (long long)i + 1);
            return r;
        }
    }
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", migrations->n);
    if (version < migrations->n && sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return store_error(db, err, "migration");
    }
    return 0;
}

int migrations_run(sqlite3 *db, const struct migrations *migrations, struct error *err)
{
    int64_t version = 0;
    int r = store_pragma(db, "PRAGMA user_version", &version, err);
    if (r < 0 || version == migrations->n) { /* the usual case, without the writer's lock */
        return r;
    }
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
        return store_error(db, err, "migration");
    }
    r = run_steps(db, migrations, err); /* which asks for the version again, now locked */
    if (r == 0 && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        r = store_error(db, err, "migration");
    }
    if (r < 0 && !sqlite3_get_autocommit(db)) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return r;
}
