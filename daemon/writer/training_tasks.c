#include "daemon/writer/training_tasks.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void training_row_finish(struct training_row *row)
{
    free((char *)row->training.settings);
    *row = (struct training_row){0};
}

/* ---- begin ---- */
static bool is_word_of(const char *text, int (*belongs)(int))
{
    for (; *text != '\0'; text++) {
        if (belongs((unsigned char)*text) == 0) {
            return false;
        }
    }
    return true;
}

/* config.teacher.net: an id, a sha256 prefix or a file. */
static int find_teacher(const struct training_begin_task *begin, struct store *store,
                        char *ret_file, size_t size, int64_t *ret_id, struct error *err)
{
    const char *name = begin->config.teacher.net;
    struct store_net net = {0};
    int r = ERROR_NOT_FOUND;

    if (strlen(name) < 8 && is_word_of(name, isdigit)) {
        r = store_get_net(store, strtoll(name, NULL, 10), &net, err);
    } else if (strlen(name) >= 8 && is_word_of(name, isxdigit)) {
        r = store_find_net(store, name, &net, err);
    } else {
        (void)snprintf(ret_file, size, "%s", name);
        *ret_id = 0;
        return 0;
    }
    if (r < 0) {
        return error_prefix(err, r, "teacher.net: %s", name);
    }
    int n = snprintf(ret_file, size, "%s/%s", begin->state_dir, net.file);
    *ret_id = net.id;
    store_net_finish(&net);
    if (n < 0 || (size_t)n >= size) {
        return error_set(err, ERROR_INVALID, "teacher.net: %s: its path is too long", name);
    }
    return 0;
}

static int choose_window(const struct training_begin_task *begin, struct store *store,
                         const struct store_counts *counts, struct store_training *ret,
                         struct error *err)
{
    int64_t fresh = counts->positions - counts->positions_at_training;
    int64_t window = scheduler_window(&begin->settings, counts->positions);

    if (fresh <= 0) {
        return error_set(err, ERROR_INVALID, "no game has finished since the last training");
    }
    ret->last_seq = counts->last_seq;
    ret->new_positions = fresh;
    ret->all_positions = counts->positions;
    /* What is new is always in the window: else samples_per_position would not be what was drawn. */
    return store_window(store, counts->last_seq, window > fresh ? window : fresh, &ret->first_seq,
                        &ret->positions, err);
}

/* Samples are drawn for the new positions, up to a bound: where play outruns trainings each would otherwise take longer
 * than the one before it, find more new positions for that, and so on without end. */
static int64_t counted_positions(const struct config *config, int64_t fresh)
{
    const double per_position = config->training.params.samples_per_position;
    const double bound = config->training.max_samples == CONFIG_AUTO
                             ? 2.0 * (double)config->training.every_max
                             : (double)config->training.max_samples / per_position;

    return (double)fresh <= bound ? fresh : bound < 1 ? 1 : (int64_t)bound;
}

static int apply_begin(struct storage_task *task, struct store *store, struct error *err)
{
    struct training_begin_task *begin = (struct training_begin_task *)task;
    const struct config *config = &begin->config;
    struct store_training *row = &begin->row.training;
    struct store_counts counts = {0};
    char teacher_file[PATH_MAX] = "";
    char *settings = NULL;

    training_row_finish(&begin->row); /* of an attempt that was rolled back */
    double policy = config_schedule_at(&config->teacher.policy_ratio, begin->generation);
    double value = config_schedule_at(&config->teacher.value_ratio, begin->generation);
    bool taught = strcmp(config->teacher.net, "none") != 0 && (policy > 0 || value > 0);
    int r = store_read_counts(store, &counts, err);
    if (r >= 0) {
        r = choose_window(begin, store, &counts, row, err);
    }
    if (r >= 0 && taught) {
        r = find_teacher(begin, store, teacher_file, sizeof(teacher_file), &row->teacher_id, err);
    }
    if (r < 0) {
        return r;
    }
    row->parent_id = begin->parent_id;
    row->generation = begin->generation;
    row->started_at = begin->started_at;
    row->q_ratio = config_schedule_at(&config->targets.q_ratio, begin->generation);
    row->lambda = config->targets.lambda;
    row->q_kind = q_kind_text(config->targets.q);
    row->teacher_policy = taught ? policy : 0;
    row->teacher_value = taught ? value : 0;
    const int64_t counted = counted_positions(config, row->new_positions);
    row->samples = (int64_t)(config->training.params.samples_per_position * (double)counted);
    row->steps = (row->samples + config->training.params.batch - 1) / config->training.params.batch;
    row->policy_loss = row->policy_entropy = row->value_loss = NAN;
    row->held_out_policy_loss = row->held_out_policy_entropy = row->held_out_value_loss = NAN;
    row->grad_norm = row->learning_rate = row->samples_per_s = NAN;
    struct train_job job = {
        .state_dir = begin->state_dir,
        .line = "main",
        .parent_file = begin->parent_file,
        .generation = begin->generation,
        .first_seq = row->first_seq,
        .last_seq = row->last_seq,
        .new_positions = counted,
        .samples_before = counts.samples,
        .seed = begin->seed,
        .targets = {.q_ratio = (float)row->q_ratio,
                    .lambda = (float)row->lambda,
                    .q = config->targets.q,
                    .teacher_value = (float)row->teacher_value},
        .teacher_policy = (float)row->teacher_policy,
        .teacher_temperature = (float)config->teacher.temperature,
        .teacher_file = taught ? teacher_file : NULL,
        .params = config->training.params,
    };
    job.params.threads = begin->threads;
    settings = train_job_json(&job);
    if (settings == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "training job: out of memory");
    }
    row->settings = settings; /* freed with the row */
    return store_begin_training(store, row, &begin->row.id, err);
}

static void destroy_begin(struct storage_task *task)
{
    struct training_begin_task *begin = (struct training_begin_task *)task;

    training_row_finish(&begin->row);
    free(begin);
}

struct training_begin_task *training_begin_create(const struct config *config,
                                                  const struct scheduler_settings *settings,
                                                  storage_done *done, void *context)
{
    struct training_begin_task *begin = calloc(1, sizeof(*begin));

    if (begin != NULL) {
        begin->task = (struct storage_task){.apply = apply_begin,
                                            .destroy = destroy_begin,
                                            .done = done,
                                            .context = context,
                                            .urgent = true};
        begin->config = *config;
        begin->settings = *settings;
    }
    return begin;
}

/* ---- finish ---- */
static int apply_finish(struct storage_task *task, struct store *store, struct error *err)
{
    struct training_finish_task *finish = (struct training_finish_task *)task;
    int64_t net_id = 0;
    int r = 0;

    if (finish->failure == NULL) {
        r = store_add_net(store, &finish->net, &net_id, err);
    }
    if (r >= 0) {
        r = store_finish_training(store, finish->training_id, &finish->training, net_id,
                                  finish->failure, err);
    }
    if (r >= 0) {
        finish->net.id = net_id;
    }
    return r;
}

static void destroy_finish(struct storage_task *task)
{
    struct training_finish_task *finish = (struct training_finish_task *)task;

    store_net_finish(&finish->net);
    free(finish->settings_text);
    free(finish->failure);
    free(finish);
}

static void take_result(struct store_training *training, const struct train_result *result)
{
    training->samples = result->samples;
    training->steps = result->steps;
    training->rows_without_q = result->rows_without_q;
    training->policy_loss = result->policy_loss;
    training->policy_entropy = result->policy_entropy;
    training->value_loss = result->value_loss;
    training->held_out_positions = result->held_out_positions;
    training->held_out_policy_loss = result->held_out_policy_loss;
    training->held_out_policy_entropy = result->held_out_policy_entropy;
    training->held_out_value_loss = result->held_out_value_loss;
    training->grad_norm = result->grad_norm;
    training->learning_rate = result->learning_rate;
    training->samples_per_s = result->samples_per_s;
}

struct training_finish_task *training_finish_create(const struct training_row *row,
                                                    const struct store_net *parent,
                                                    const struct train_result *result,
                                                    const char *failure, int64_t finished_at,
                                                    storage_done *done, void *context)
{
    struct training_finish_task *finish = calloc(1, sizeof(*finish));

    if (finish == NULL) {
        return NULL;
    }
    finish->task = (struct storage_task){.apply = apply_finish,
                                         .destroy = destroy_finish,
                                         .done = done,
                                         .context = context,
                                         .urgent = true};
    finish->training_id = row->id;
    finish->training = row->training;
    finish->training.finished_at = finished_at;
    finish->settings_text = strdup(row->training.settings ? row->training.settings : "{}");
    finish->training.settings = finish->settings_text;
    bool complete = finish->settings_text != NULL;
    if (result != NULL) {
        take_result(&finish->training, result);
        finish->net = *parent;
        finish->net.id = 0;
        finish->net.parent_id = parent->id;
        finish->net.generation = row->training.generation;
        finish->net.created_at = finished_at;
        finish->net.arch = strdup(parent->arch);
        complete = complete && finish->net.arch != NULL;
        (void)snprintf(finish->net.origin, sizeof(finish->net.origin), "training");
        (void)snprintf(finish->net.state, sizeof(finish->net.state), "current");
        memcpy(finish->net.sha256, result->net_sha256, sizeof(finish->net.sha256));
        (void)snprintf(finish->net.file, sizeof(finish->net.file), "nets/%s.safetensors",
                       result->net_sha256);
    } else {
        finish->failure = strdup(failure);
        complete = complete && finish->failure != NULL;
    }
    if (!complete) {
        destroy_finish(&finish->task);
        return NULL;
    }
    return finish;
}
