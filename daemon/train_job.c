#include "daemon/train_job.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double max_temperature = 100; /* of a teacher, as in the configuration */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static double number_or_nan(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Fifteen digits give back every number that was written with no more, as those of a configuration are,
 * and people read 0.3 rather than 0.29999999999999999. */
static char *dump_and_free(json_t *root)
{
    size_t flags = JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(15);
    char *text = root == NULL ? NULL : json_dumps(root, flags);

    json_decref(root);
    return text;
}

/* floats go through their shortest decimal text, or 0.9f would stand there as 0.89999997615814209 */
static json_t *short_float(float value)
{
    char text[32];

    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) {
            break;
        }
    }
    return json_real(strtod(text, NULL));
}

static const char *optimizer_text(enum optimizer_kind kind)
{
    return kind == OPTIMIZER_SGD ? "sgd" : "adamw";
}

static json_t *rate_json(const struct rate_schedule *schedule)
{
    json_t *list = json_array();

    for (uint32_t i = 0; list != NULL && i < schedule->n; i++) {
        (void)json_array_append_new(list, json_pack("{s:I, s:o}", "samples",
                                                    (json_int_t)schedule->samples[i], "rate",
                                                    number(schedule->rate[i])));
    }
    return list;
}

static json_t *params_json(const struct train_params *p)
{
    return json_pack(
        "{s:I, s:o, s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:I, s:I, "
        "s:o, s:I, s:I}",
        "batch", (json_int_t)p->batch, "samples_per_position", number(p->samples_per_position),
        "optimizer", optimizer_text(p->optimizer), "learning_rate", rate_json(&p->learning_rate),
        "warmup_samples", (json_int_t)p->warmup_samples, "weight_decay", number(p->weight_decay),
        "momentum", number(p->momentum), "beta1", number(p->beta1), "beta2", number(p->beta2),
        "clip_norm", number(p->clip_norm), "value_weight", number(p->value_weight),
        "fast_policy_weight", number(p->fast_policy_weight), "fast_value_weight",
        number(p->fast_value_weight), "mirror", (int)p->mirror, "average_decay",
        number(p->average_decay), "refresh_positions", (json_int_t)p->refresh_positions, "threads",
        (json_int_t)p->threads, "max_loss", number(p->max_loss), "report_every",
        (json_int_t)p->report_every, "checkpoint_seconds", (json_int_t)p->checkpoint_seconds);
}

char *train_job_json(const struct train_job *job)
{
    char seed[32];

    /* 64 bits do not fit JSON's signed integers. */
    (void)snprintf(seed, sizeof(seed), "%llu", (unsigned long long)job->seed);
    return dump_and_free(json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:{s:o, s:o, s:s, s:o}, s:{s:o, s:o, s:s?}, s:o}",
        "line", job->line, "parent_file", job->parent_file, "generation",
        (json_int_t)job->generation, "first_seq", (json_int_t)job->first_seq, "last_seq",
        (json_int_t)job->last_seq, "new_positions", (json_int_t)job->new_positions,
        "samples_before", (json_int_t)job->samples_before, "seed", seed, "targets", "q_ratio",
        short_float(job->targets.q_ratio), "lambda", short_float(job->targets.lambda), "q",
        q_kind_text(job->targets.q), "teacher_value", short_float(job->targets.teacher_value),
        "teacher", "policy", short_float(job->teacher_policy), "temperature",
        short_float(job->teacher_temperature), "file", job->teacher_file, "params",
        params_json(&job->params)));
}

static bool parse_rate(json_t *list, struct rate_schedule *ret)
{
    size_t n = json_array_size(list);

    if (n == 0 || n > TRAIN_MAX_SCHEDULE) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        json_int_t samples = 0;
        if (json_unpack(json_array_get(list, i), "{s:I, s:F}", "samples", &samples, "rate",
                        &ret->rate[i]) < 0) {
            return false;
        }
        ret->samples[i] = samples;
    }
    ret->n = (uint32_t)n;
    return true;
}

static bool parse_params(json_t *root, struct train_params *p, json_error_t *why)
{
    json_int_t batch = 0;
    json_int_t warmup = 0;
    json_int_t refresh = 0;
    json_int_t threads = 0;
    json_int_t report = 0;
    json_int_t checkpoint = 0;
    const char *optimizer = "";
    json_t *rate = NULL;
    int mirror = 0;

    if (json_unpack_ex(root, why, 0,
                       "{s:I, s:F, s:s, s:o, s:I, s:F, s:F, s:F, s:F, s:F, s:F, s:F, s:F, s:b, "
                       "s:F, s:I, s:I, s:F, s:I, s:I}",
                       "batch", &batch, "samples_per_position", &p->samples_per_position,
                       "optimizer", &optimizer, "learning_rate", &rate, "warmup_samples", &warmup,
                       "weight_decay", &p->weight_decay, "momentum", &p->momentum, "beta1",
                       &p->beta1, "beta2", &p->beta2, "clip_norm", &p->clip_norm, "value_weight",
                       &p->value_weight, "fast_policy_weight", &p->fast_policy_weight,
                       "fast_value_weight", &p->fast_value_weight, "mirror", &mirror,
                       "average_decay", &p->average_decay, "refresh_positions", &refresh, "threads",
                       &threads, "max_loss", &p->max_loss, "report_every", &report,
                       "checkpoint_seconds", &checkpoint) < 0) {
        return false;
    }
    bool sgd = strcmp(optimizer, "sgd") == 0;
    if ((!sgd && strcmp(optimizer, "adamw") != 0) || batch < 1 || batch > 8192 || threads < 1 ||
        threads > 4096 || report < 1 || report > UINT32_MAX || refresh < 0 ||
        refresh > UINT32_MAX || !parse_rate(rate, &p->learning_rate)) {
        (void)snprintf(why->text, sizeof(why->text), "a parameter is out of range");
        return false;
    }
    p->optimizer = sgd ? OPTIMIZER_SGD : OPTIMIZER_ADAMW;
    p->batch = (uint32_t)batch;
    p->threads = (uint32_t)threads;
    p->report_every = (uint32_t)report;
    p->refresh_positions = (uint32_t)refresh;
    p->warmup_samples = warmup;
    p->checkpoint_seconds = checkpoint;
    p->mirror = mirror != 0;
    return true;
}

static bool copy_text(char *ret, size_t size, const char *text)
{
    int n = snprintf(ret, size, "%s", text);

    return n >= 0 && (size_t)n < size;
}

static bool is_share(double value)
{
    return value >= 0 && value <= 1;
}

static int parse_root(json_t *root, struct train_job_file *file, json_error_t *why)
{
    struct train_job *job = &file->job;
    const char *line = "";
    const char *parent = "";
    const char *seed = "";
    const char *q = "";
    const char *teacher = NULL;
    json_int_t generation = 0;
    json_int_t first_seq = 0;
    json_int_t last_seq = 0;
    json_int_t new_positions = 0;
    json_int_t samples_before = 0;
    double q_ratio = 0;
    double lambda = 0;
    double teacher_value = 0;
    double teacher_policy = 0;
    double temperature = 0;
    json_t *params = NULL;

    if (json_unpack_ex(root, why, 0,
                       "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:{s:F, s:F, s:s, s:F}, "
                       "s:{s:F, s:F}, s:o}",
                       "line", &line, "parent_file", &parent, "generation", &generation,
                       "first_seq", &first_seq, "last_seq", &last_seq, "new_positions",
                       &new_positions, "samples_before", &samples_before, "seed", &seed, "targets",
                       "q_ratio", &q_ratio, "lambda", &lambda, "q", &q, "teacher_value",
                       &teacher_value, "teacher", "policy", &teacher_policy, "temperature",
                       &temperature, "params", &params) < 0 ||
        !parse_params(params, &job->params, why)) {
        return ERROR_INVALID;
    }
    teacher = json_string_value(json_object_get(json_object_get(root, "teacher"), "file"));
    int kind = q_kind_parse(q);
    if (kind < 0 || generation < 0 || generation > UINT32_MAX || !is_share(q_ratio) ||
        !is_share(lambda) || !is_share(teacher_value) || !is_share(teacher_policy) ||
        !(temperature > 0 && temperature <= max_temperature) ||
        !copy_text(file->line, sizeof(file->line), line) ||
        !copy_text(file->parent_file, sizeof(file->parent_file), parent) ||
        !copy_text(file->teacher_file, sizeof(file->teacher_file), teacher ? teacher : "")) {
        (void)snprintf(why->text, sizeof(why->text), "a value is out of range");
        return ERROR_INVALID;
    }
    job->line = file->line;
    job->parent_file = file->parent_file;
    job->teacher_file = teacher == NULL ? NULL : file->teacher_file;
    job->generation = (uint32_t)generation;
    job->first_seq = first_seq;
    job->last_seq = last_seq;
    job->new_positions = new_positions;
    job->samples_before = samples_before;
    job->seed = strtoull(seed, NULL, 10);
    job->targets = (struct target_params){.q_ratio = (float)q_ratio,
                                          .lambda = (float)lambda,
                                          .q = (enum q_kind)kind,
                                          .teacher_value = (float)teacher_value};
    job->teacher_policy = (float)teacher_policy;
    job->teacher_temperature = (float)temperature;
    return 0;
}

int train_job_parse(const char *json, const char *state_dir, struct train_job_file **ret,
                    struct error *err)
{
    json_error_t why = {0};
    struct train_job_file *file = calloc(1, sizeof(*file));
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    int r = 0;

    if (file == NULL) {
        r = error_set(err, ERROR_NO_MEMORY, "training job: out of memory");
    } else if (root == NULL || parse_root(root, file, &why) < 0 ||
               !copy_text(file->state_dir, sizeof(file->state_dir), state_dir)) {
        r = error_set(err, ERROR_INVALID, "training job: %s", why.text);
    }
    json_decref(root);
    if (r < 0) {
        free(file);
        return r;
    }
    file->job.state_dir = file->state_dir;
    *ret = file;
    return 0;
}

char *train_result_json(const struct train_result *r)
{
    return dump_and_free(json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "net_sha256",
        r->net_sha256, "steps", (json_int_t)r->steps, "samples", (json_int_t)r->samples,
        "positions", (json_int_t)r->positions, "rows_without_q", (json_int_t)r->rows_without_q,
        "policy_loss", number(r->policy_loss), "policy_entropy", number(r->policy_entropy),
        "value_loss", number(r->value_loss), "held_out_positions",
        (json_int_t)r->held_out_positions, "held_out_policy_loss", number(r->held_out_policy_loss),
        "held_out_policy_entropy", number(r->held_out_policy_entropy), "held_out_value_loss",
        number(r->held_out_value_loss), "grad_norm", number(r->grad_norm), "learning_rate",
        number(r->learning_rate), "samples_per_s", number(r->samples_per_s)));
}

int train_result_parse(const char *json, struct train_result *ret, struct error *err)
{
    json_error_t why = {0};
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    const char *sha256 = "";
    json_int_t steps = 0;
    json_int_t samples = 0;
    json_int_t positions = 0;
    json_int_t without_q = 0;
    json_int_t held_out = 0;
    int r = 0;

    if (root == NULL ||
        json_unpack_ex(root, &why, 0, "{s:s, s:I, s:I, s:I, s:I, s:I}", "net_sha256", &sha256,
                       "steps", &steps, "samples", &samples, "positions", &positions,
                       "rows_without_q", &without_q, "held_out_positions", &held_out) < 0 ||
        strlen(sha256) != RECORD_SHA256_BYTES - 1) {
        r = error_set(err, ERROR_INVALID, "training result: %s", why.text);
        goto out;
    }
    *ret = (struct train_result){
        .steps = steps,
        .samples = samples,
        .positions = positions,
        .rows_without_q = without_q,
        .held_out_positions = held_out,
        .policy_loss = number_or_nan(json_object_get(root, "policy_loss")),
        .policy_entropy = number_or_nan(json_object_get(root, "policy_entropy")),
        .value_loss = number_or_nan(json_object_get(root, "value_loss")),
        .held_out_policy_loss = number_or_nan(json_object_get(root, "held_out_policy_loss")),
        .held_out_policy_entropy = number_or_nan(json_object_get(root, "held_out_policy_entropy")),
        .held_out_value_loss = number_or_nan(json_object_get(root, "held_out_value_loss")),
        .grad_norm = number_or_nan(json_object_get(root, "grad_norm")),
        .learning_rate = number_or_nan(json_object_get(root, "learning_rate")),
        .samples_per_s = number_or_nan(json_object_get(root, "samples_per_s")),
    };
    memcpy(ret->net_sha256, sha256, RECORD_SHA256_BYTES);
out:
    json_decref(root);
    return r;
}
