#include "daemon/writer/storage_tasks.h"

#include "storage/record_message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Texts of a small task; one type for all of them keeps each task to its apply function. */
struct small_task {
    struct storage_task task;
    char *text[5];
    int64_t number[3];
    double real;
    struct store_usage usage;
    struct store_training_step step;
};

static void small_destroy(struct storage_task *task)
{
    struct small_task *small = (struct small_task *)task;

    for (size_t i = 0; i < sizeof(small->text) / sizeof(small->text[0]); i++) {
        free(small->text[i]);
    }
    free(small);
}

/* texts: NULL stays NULL. */
static struct small_task *small_create(int (*apply)(struct storage_task *, struct store *,
                                                    struct error *),
                                       size_t n, const char *const *texts)
{
    struct small_task *small = calloc(1, sizeof(*small));

    if (small == NULL) {
        return NULL;
    }
    small->task.apply = apply;
    small->task.destroy = small_destroy;
    for (size_t i = 0; i < n; i++) {
        small->text[i] = texts[i] == NULL ? NULL : strdup(texts[i]);
        if (texts[i] != NULL && small->text[i] == NULL) {
            small_destroy(&small->task);
            return NULL;
        }
    }
    return small;
}

/* ---- records ---- */
const char *storage_record_uid(const Qzd__FromChild *message)
{
    switch (message->what_case) {
    case QZD__FROM_CHILD__WHAT_START:
        return message->start->uid;
    case QZD__FROM_CHILD__WHAT_POSITION:
        return message->position->uid;
    case QZD__FROM_CHILD__WHAT_END:
        return message->end->uid;
    default:
        return "";
    }
}

static int apply_start(const struct storage_record_task *record, struct store *store,
                       struct error *err)
{
    struct record_start start;
    char number[32];
    int r = record_start_from_message(record->message->start, &start, err);

    if (r == 0) {
        r = store_put_start(store, &start, record->held_out_one_in, err);
    }
    if (r >= 0 && record->next_game > 0) {
        (void)snprintf(number, sizeof(number), "%" PRIu64, record->next_game);
        int written = store_set_run(store, "next_game", number, err);
        r = written < 0 ? written : r;
    }
    return r;
}

static int apply_position(const struct storage_record_task *record, struct store *store,
                          struct error *err)
{
    const Qzd__Position *message = record->message->position;
    struct record_position position;
    struct record_search search;

    if (message->search == NULL) {
        return error_set(err, ERROR_INVALID, "game %s, ply %u: no search is given", message->uid,
                         message->ply);
    }
    int r = record_search_from_message(message->search, &search, err);
    if (r == 0) {
        r = record_position_from_message(message, &position, err);
    }
    return r < 0 ? r : store_put_position(store, message->uid, &search, &position, err);
}

static int apply_end(const struct storage_record_task *record, struct store *store,
                     struct error *err)
{
    struct record_end end;
    int r = record_end_from_message(record->message->end, &end, err);

    return r < 0 ? r : store_put_end(store, record->message->end->uid, &end, err);
}

static int apply_record(struct storage_task *task, struct store *store, struct error *err)
{
    const struct storage_record_task *record = (const struct storage_record_task *)task;

    switch (record->message->what_case) {
    case QZD__FROM_CHILD__WHAT_START:
        return apply_start(record, store, err);
    case QZD__FROM_CHILD__WHAT_POSITION:
        return apply_position(record, store, err);
    case QZD__FROM_CHILD__WHAT_END:
        return apply_end(record, store, err);
    default:
        return error_set(err, ERROR_INVALID, "a message that is no record");
    }
}

static void destroy_record(struct storage_task *task)
{
    struct storage_record_task *record = (struct storage_record_task *)task;

    qzd__from_child__free_unpacked(record->message, NULL);
    free(record);
}

struct storage_task *storage_task_record(Qzd__FromChild *message, uint32_t worker,
                                         uint32_t held_out_one_in, uint64_t next_game,
                                         storage_done *done, void *context)
{
    struct storage_record_task *record = calloc(1, sizeof(*record));

    if (record == NULL) {
        qzd__from_child__free_unpacked(message, NULL);
        return NULL;
    }
    record->task = (struct storage_task){
        .apply = apply_record, .destroy = destroy_record, .done = done, .context = context};
    record->message = message;
    record->worker = worker;
    record->held_out_one_in = held_out_one_in;
    record->next_game = next_game;
    return &record->task;
}

/* ---- small things ---- */
static int apply_abandon(struct storage_task *task, struct store *store, struct error *err)
{
    const struct small_task *small = (const struct small_task *)task;

    return store_abandon_game(store, small->text[0], err);
}

struct storage_task *storage_task_abandon(const char *uid)
{
    struct small_task *small = small_create(apply_abandon, 1, (const char *const[]){uid});

    return small == NULL ? NULL : &small->task;
}

static int apply_usage(struct storage_task *task, struct store *store, struct error *err)
{
    const struct small_task *small = (const struct small_task *)task;
    int r = store_add_usage(store, small->text[0], &small->usage, err);

    return r < 0 ? r : store_add_core_time(store, "selfplay", small->usage.busy_ms, err);
}

struct storage_task *storage_task_usage(const char *net_sha256, const struct store_usage *usage)
{
    struct small_task *small = small_create(apply_usage, 1, (const char *const[]){net_sha256});

    if (small == NULL) {
        return NULL;
    }
    small->usage = *usage;
    return &small->task;
}

static int apply_core_time(struct storage_task *task, struct store *store, struct error *err)
{
    const struct small_task *small = (const struct small_task *)task;
    char account[48];

    (void)snprintf(account, sizeof(account), "%.0f", small->real);
    int r = store_add_core_time(store, small->text[0], small->number[0], err);
    return r < 0 ? r : store_set_run(store, "evaluation_account_ms", account, err);
}

struct storage_task *storage_task_core_time(const char *what, int64_t ms, double account_ms)
{
    struct small_task *small = small_create(apply_core_time, 1, (const char *const[]){what});

    if (small == NULL) {
        return NULL;
    }
    small->number[0] = ms;
    small->real = account_ms;
    return &small->task;
}

static int apply_event(struct storage_task *task, struct store *store, struct error *err)
{
    const struct small_task *small = (const struct small_task *)task;

    return store_put_event(store, small->number[0], small->text[0], small->text[1], small->text[2],
                           err);
}

struct storage_task *storage_task_event(int64_t at, const char *severity, const char *what,
                                        const char *detail)
{
    struct small_task *small =
        small_create(apply_event, 3, (const char *const[]){severity, what, detail});

    if (small == NULL) {
        return NULL;
    }
    small->number[0] = at;
    return &small->task;
}

static int apply_setting(struct storage_task *task, struct store *store, struct error *err)
{
    const struct small_task *small = (const struct small_task *)task;

    return store_put_setting(store, small->number[0], small->text[0], small->text[1],
                             small->text[2], small->text[3], err);
}

struct storage_task *storage_task_setting(int64_t at, const char *key, const char *old_value,
                                          const char *new_value, const char *by)
{
    struct small_task *small =
        small_create(apply_setting, 4, (const char *const[]){key, old_value, new_value, by});

    if (small == NULL) {
        return NULL;
    }
    small->number[0] = at;
    return &small->task;
}

static int apply_diagnosis(struct storage_task *task, struct store *store, struct error *err)
{
    const struct small_task *small = (const struct small_task *)task;
    const struct store_diagnosis diagnosis = {.at = small->number[0],
                                              .generation = (uint32_t)small->number[1],
                                              .name = small->text[0],
                                              .state = small->text[1],
                                              .figure = small->real,
                                              .detail = small->text[2],
                                              .bound = small->text[3]};

    return store_put_diagnosis(store, &diagnosis, err);
}

struct storage_task *storage_task_diagnosis(const struct store_diagnosis *diagnosis)
{
    struct small_task *small =
        small_create(apply_diagnosis, 4,
                     (const char *const[]){diagnosis->name, diagnosis->state, diagnosis->detail,
                                           diagnosis->bound});

    if (small == NULL) {
        return NULL;
    }
    small->number[0] = diagnosis->at;
    small->number[1] = diagnosis->generation;
    small->real = diagnosis->figure;
    return &small->task;
}

static int apply_run(struct storage_task *task, struct store *store, struct error *err)
{
    const struct small_task *small = (const struct small_task *)task;

    return store_set_run(store, small->text[0], small->text[1], err);
}

struct storage_task *storage_task_run(const char *key, const char *value)
{
    struct small_task *small = small_create(apply_run, 2, (const char *const[]){key, value});

    return small == NULL ? NULL : &small->task;
}

static int apply_step(struct storage_task *task, struct store *store, struct error *err)
{
    const struct small_task *small = (const struct small_task *)task;

    return store_put_training_step(store, small->number[0], &small->step, err);
}

struct storage_task *storage_task_step(int64_t training_id, const struct store_training_step *step)
{
    struct small_task *small = small_create(apply_step, 0, NULL);

    if (small == NULL) {
        return NULL;
    }
    small->number[0] = training_id;
    small->step = *step;
    return &small->task;
}

/* ---- evaluations ---- */
struct evaluation_task {
    struct storage_task task;
    int64_t net_id, at;
    uint8_t *packed; /* a SuiteResult: the message itself goes back to its sender */
    size_t size;
};

static int apply_evaluation(struct storage_task *task, struct store *store, struct error *err)
{
    const struct evaluation_task *evaluation = (const struct evaluation_task *)task;
    Qzd__SuiteResult *result =
        qzd__suite_result__unpack(NULL, evaluation->size, evaluation->packed);
    int r = 0;

    if (result == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "suite result: out of memory");
    }
    for (size_t i = 0; r >= 0 && i < result->n_metrics; i++) {
        const Qzd__SuiteResult__Metric *metric = result->metrics[i];
        r = store_put_evaluation(store, evaluation->net_id, result->suite, result->nodes,
                                 metric->name, metric->value, metric->n, evaluation->at,
                                 result->seconds, err);
    }
    qzd__suite_result__free_unpacked(result, NULL);
    return r;
}

static void destroy_evaluation(struct storage_task *task)
{
    struct evaluation_task *evaluation = (struct evaluation_task *)task;

    free(evaluation->packed);
    free(evaluation);
}

struct storage_task *storage_task_evaluation(int64_t net_id, const Qzd__SuiteResult *result,
                                             int64_t at)
{
    struct evaluation_task *evaluation = calloc(1, sizeof(*evaluation));
    size_t size = qzd__suite_result__get_packed_size(result);

    if (evaluation == NULL) {
        return NULL;
    }
    evaluation->packed = malloc(size);
    if (evaluation->packed == NULL) {
        free(evaluation);
        return NULL;
    }
    evaluation->size = qzd__suite_result__pack(result, evaluation->packed);
    evaluation->task.apply = apply_evaluation;
    evaluation->task.destroy = destroy_evaluation;
    evaluation->net_id = net_id;
    evaluation->at = at;
    return &evaluation->task;
}
