/* A training's job and result as JSON: what goes to the train process and back, and what stands in
 * trainings.settings, from which a training that was killed is begun again. The state directory is not
 * part of it, so that a directory may be moved. */
#ifndef DAEMON_TRAIN_JOB_H
#define DAEMON_TRAIN_JOB_H

#include "storage/error.h"
#include "trainer/train.h"

#include <limits.h>

/* Canonical JSON (sorted keys), malloced; NULL: out of memory. NaN becomes null. */
char *train_job_json(const struct train_job *job);
char *train_result_json(const struct train_result *result);

/* A job that owns its strings; its pointers point into itself, so it is never copied. */
struct train_job_file {
    struct train_job job;
    char state_dir[PATH_MAX];
    char line[32];
    char parent_file[256];
    char teacher_file[PATH_MAX];
};
/* Every key must be there and typed: ERROR_INVALID. *ret is malloced, freed by free(). */
int train_job_parse(const char *json, const char *state_dir, struct train_job_file **ret,
                    struct error *err);
int train_result_parse(const char *json, struct train_result *ret, struct error *err);

#endif
