/* The two ends of a training, as storage tasks: its beginning, which chooses the window from what is
 * committed, and its end, which adds the net. */
#ifndef DAEMON_TRAINING_TASKS_H
#define DAEMON_TRAINING_TASKS_H

#include "daemon/config/config.h"
#include "daemon/scheduler.h"
#include "daemon/train_job.h"
#include "daemon/writer/storage_tasks.h"

/* A training as it stands in its row. */
struct training_row {
    int64_t id;
    struct store_training training; /* settings is owned, malloced; q_kind is static */
};
void training_row_finish(struct training_row *row);

/* Begin: counts, window and teacher are read in the commit that writes the row. `row` is the caller's once it is done
 * (take it by zeroing). The task is urgent. */
struct training_begin_task {
    struct storage_task task;
    struct config config;
    struct scheduler_settings settings;
    char state_dir[PATH_MAX];
    char parent_file[256];
    int64_t parent_id, started_at;
    uint32_t generation, threads;
    uint64_t seed;
    struct training_row row; /* filled by the storage thread */
};
/* Copies config and settings; the caller fills in the rest before putting it. */
struct training_begin_task *training_begin_create(const struct config *config,
                                                  const struct scheduler_settings *settings,
                                                  storage_done *done, void *context);

/* The end: with a result a new current net of line "main", else `failure`. */
struct training_finish_task {
    struct storage_task task;
    int64_t training_id;
    struct store_training training; /* settings points into settings_text */
    char *settings_text;
    char *failure;        /* NULL: it has made a net */
    struct store_net net; /* id is filled in */
};
/* Takes no ownership: copies the row's and the parent net's strings. `result` NULL: failed. */
struct training_finish_task *training_finish_create(const struct training_row *row,
                                                    const struct store_net *parent,
                                                    const struct train_result *result,
                                                    const char *failure, int64_t finished_at,
                                                    storage_done *done, void *context);

#endif
