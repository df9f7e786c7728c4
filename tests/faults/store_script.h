/* A small life of a store, in steps that each end in a commit: nets, games begun, played, resumed, given up and ended, a
 * training, evaluations, events, settings, counters, the log truncated, the store closed and opened again. Every run
 * does the same, so a store is described by how many steps are in it: script_state(). */
#ifndef TESTS_FAULTS_STORE_SCRIPT_H
#define TESTS_FAULTS_STORE_SCRIPT_H

#include "storage/store.h"

#include <stdint.h>

enum { SCRIPT_STEPS = 17 };

/* Write step i (0 ..) into the open group, without committing. What the step does beside writing (truncate, open again)
 * comes first and may be repeated. */
int script_step(struct store **store, const char *path, int i, struct error *err);
/* A hash over every row of every table. */
uint64_t script_state(struct store *store);

#endif
