/* What the daemon writes into the store, one constructor a thing. Each returns a task for
 * storage_thread_put(), NULL without memory. Texts are copied; `done` and context may be NULL. */
#ifndef DAEMON_STORAGE_TASKS_H
#define DAEMON_STORAGE_TASKS_H

#include "daemon/wire.pb-c.h"
#include "daemon/writer/storage_thread.h"

typedef void storage_done(struct storage_task *task, int result, const struct error *err);

/* A record from a worker: a start, a position (with its search) or an end. Takes over the message, also on failure. With a start,
 * next_game goes into the run table in the same commit, so that no game's number is used again. */
struct storage_record_task {
    struct storage_task task;
    Qzd__FromChild *message;
    uint32_t held_out_one_in;
    uint64_t next_game;
    uint32_t worker; /* who sent it */
};
struct storage_task *storage_task_record(Qzd__FromChild *message, uint32_t worker,
                                         uint32_t held_out_one_in, uint64_t next_game,
                                         storage_done *done, void *context);
/* The uid that a record is about. */
const char *storage_record_uid(const Qzd__FromChild *message);

struct storage_task *storage_task_abandon(const char *uid);
struct storage_task *storage_task_usage(const char *net_sha256, const struct store_usage *usage);
/* Core time spent, and what the evaluations' account stands at (store key "evaluation_account_ms"). */
struct storage_task *storage_task_core_time(const char *what, int64_t ms, double account_ms);
struct storage_task *storage_task_event(int64_t at, const char *severity, const char *what,
                                        const char *detail);
struct storage_task *storage_task_setting(int64_t at, const char *key, const char *old_value,
                                          const char *new_value, const char *by);
struct storage_task *storage_task_diagnosis(const struct store_diagnosis *diagnosis);
struct storage_task *storage_task_run(const char *key, const char *value);
struct storage_task *storage_task_step(int64_t training_id, const struct store_training_step *step);
/* All metrics of one suite for one net. */
struct storage_task *storage_task_evaluation(int64_t net_id, const Qzd__SuiteResult *result,
                                             int64_t at);

#endif
