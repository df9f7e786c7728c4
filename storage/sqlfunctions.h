/* What SQL on a store may use besides SQLite's own functions:
 *     policy_json(policy)    '[{"action":3,"visits":120},...]'
 *     policy_visits(policy)  the sum of the visits
 * NULL for NULL; an error for bytes that are no policy. */
#ifndef STORAGE_SQLFUNCTIONS_H
#define STORAGE_SQLFUNCTIONS_H

#include "storage/error.h"

struct sqlite3;

int sqlfunctions_register(struct sqlite3 *db, struct error *err);

#endif
