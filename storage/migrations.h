/* The schema's versions. A store says in user_version which one it has; opening it for writing brings
 * it up to date, all steps in one transaction. storage/schema.sql, embedded in the program, is the
 * step to version 1; a later change of the tables is a step of its own behind it: storage/schema_2.sql, ... */
#ifndef STORAGE_MIGRATIONS_H
#define STORAGE_MIGRATIONS_H

#include "storage/error.h"

#include <stdint.h>

struct sqlite3;

enum {
    STORE_APPLICATION_ID = 0x717A6431, /* 'qzd1', in every store's header */
    STORE_VERSION = 5,                 /* user_version that this program writes */
};

/* steps[i] leads from version i to i + 1. */
struct migrations {
    int n;
    const char *const *steps; /* SQL */
};

/* The steps up to STORE_VERSION. */
struct migrations migrations_own(void);

/* Bring an open database from the version in its header to migrations->n. Nothing happens if it is
 * there; on failure it is as it was. ERROR_VERSION: it is newer. */
int migrations_run(struct sqlite3 *db, const struct migrations *migrations, struct error *err);

#endif
