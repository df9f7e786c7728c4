/* One training, from the window to the net. Each step: draw rows, fill a batch, ask the teacher,
 * forward, losses, back, clip, step, average. What a step draws depends on (seed, generation, index)
 * alone, and all else that it depends on stands in the checkpoint; so stopping anywhere and going on
 * gives the same bits. */
#include "trainer/train.h"
#include "mcts/random.h"
#include "storage/clock.h"
#include "storage/store.h"
#include "trainer/batch.h"
#include "trainer/buffer.h"
#include "trainer/checkpoint.h"
#include "trainer/crew.h"
#include "trainer/feed.h"
#include "trainer/model.h"
#include "trainer/net/blas.h"
#include "trainer/optimizer.h"
#include "trainer/step.h"
#include "trainer/teacher.h"
#include "trainer/train_files.h"
#include "trainer/window.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of batch norm's running statistics, per step; the net that plays has its own (refresh_positions). */
#define RUNNING_MOMENTUM 0.9
enum { MAX_JUDGED = 16384 }; /* held-out positions that are judged, spread over all of them */

const struct train_params train_params_default = {
    .batch = 256,
    .samples_per_position = 4.0,
    .optimizer = OPTIMIZER_ADAMW,
    .learning_rate = {.n = 1, .samples = {0}, .rate = {2e-3}},
    .warmup_samples = 2000,
    .weight_decay = 0.01,
    .momentum = 0.9,
    .beta1 = 0.9,
    .beta2 = 0.999,
    .clip_norm = 1.0,
    .value_weight = 1.0,
    .fast_policy_weight = 0.0,
    .fast_value_weight = 0.0,
    .mirror = true,
    /* An average over about 50 steps: a training of 8,000 new positions has 125, so the net that plays
     * is smooth and yet of its own training. */
    .average_decay = 0.98,
    .refresh_positions = 4096,
    .threads = 1,
    .max_loss = 50.0,
    .report_every = 10,
    .checkpoint_seconds = 20,
};

struct training {
    const struct train_job *job;
    const struct train_callbacks *callbacks;
    struct train_files files;
    char identity[RECORD_SHA256_BYTES];
    const struct game *game;
    struct window window;
    struct crew *crew;
    struct model *model;
    struct feed *feed;
    struct teacher *teacher;
    struct checkpoint state; /* what a checkpoint holds */
    float *gradient;
    int64_t steps;
    enum train_start start;
    double began, reported, saved; /* seconds */
    int64_t began_step, reported_step;
};

/* ---- beginning ---- */

static int check_params(const struct train_job *job, struct error *err)
{
    const struct train_params *params = &job->params;
    const struct rate_schedule *schedule = &params->learning_rate;
    const char *wrong = NULL;

    if (params->batch < 1 || params->batch > 8192) {
        wrong = "batch must be 1 .. 8192";
    } else if (params->threads < 1) {
        wrong = "threads must be at least 1";
    } else if (!(params->samples_per_position > 0.0)) {
        wrong = "samples_per_position must be above 0";
    } else if (schedule->n < 1 || schedule->n > TRAIN_MAX_SCHEDULE) {
        wrong = "the learning rate needs 1 .. 16 points";
    } else if (job->new_positions < 1) {
        wrong = "there are no new positions";
    } else if (!(job->teacher_temperature > 0.0F) && job->teacher_file != NULL) {
        wrong = "the teacher's temperature must be above 0";
    }
    return wrong == NULL ? 0 : error_set(err, ERROR_INVALID, "training: %s", wrong);
}

static int read_window(struct training *training, struct error *err)
{
    const struct train_job *job = training->job;
    const struct window_params params = {
        .game = training->game,
        .targets = job->targets,
        .fast_policy_weight = (float)job->params.fast_policy_weight,
        .fast_value_weight = (float)job->params.fast_value_weight,
    };
    struct store *store = NULL;

    window_init(&training->window, &params);
    int r = store_open(training->files.store, STORE_READ, &store, err);
    if (r < 0) {
        return r;
    }
    r = window_read(&training->window, store, job->first_seq, job->last_seq, err);
    store_close(store);
    if (r == 0 && training->window.drawn.n == 0) {
        r = error_set(err, ERROR_INVALID,
                      "the games with seq %lld .. %lld hold no position to train on",
                      (long long)job->first_seq, (long long)job->last_seq);
    }
    return r;
}

static int open_teacher(struct training *training, char ret_sha256[RECORD_SHA256_BYTES],
                        struct error *err)
{
    const struct train_job *job = training->job;
    struct net *net = NULL;

    ret_sha256[0] = '\0';
    if (job->teacher_file == NULL ||
        (job->teacher_policy <= 0.0F && job->targets.teacher_value <= 0.0F)) {
        return 0;
    }
    int r = net_load(training->files.teacher, &net, ret_sha256, err);
    if (r == 0) {
        r = teacher_create(training->game, net, job->params.batch, job->teacher_policy,
                           job->targets.teacher_value, job->teacher_temperature, &training->teacher,
                           err);
        net_destroy(net);
    }
    return r;
}

static int take_memory(struct training *training, struct error *err)
{
    const uint32_t batch = training->job->params.batch;
    const struct net *net = training->state.net;

    training->crew = crew_create(training->job->params.threads);
    if (training->crew != NULL) {
        training->model = model_create(&net->arch, batch, training->crew);
    }
    training->gradient = buffer_create(net->n_params);
    if (training->model == NULL || training->gradient == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "training: out of memory or threads");
    }
    int r = feed_create(&training->window, batch, &training->feed);
    return r < 0 ? error_set(err, r, "training: %s: %s", training->game->name, error_text(r)) : 0;
}

static const char *start_text(enum train_start start)
{
    switch (start) {
    case TRAIN_AFRESH:
        return "without the moments of the one before";
    case TRAIN_CONTINUED:
        return "from what the one before has left";
    case TRAIN_RESUMED:
        return "from its own checkpoint";
    }
    return "?";
}

static void warn_of_damage(const struct training *training, const struct error *damage)
{
    const struct train_callbacks *callbacks = training->callbacks;
    char text[sizeof(damage->text) + 96];

    if (damage->text[0] != '\0' && callbacks != NULL && callbacks->warn != NULL) {
        (void)snprintf(text, sizeof(text), "%s; the training begins %s", damage->text,
                       start_text(training->start));
        callbacks->warn(text, callbacks->context);
    }
}

/* Everything up to where the work begins. *ret_done: the job was finished before, *ret is its result. */
static int open_training(struct training *training, bool *ret_done, struct train_result *ret,
                         struct error *err)
{
    const struct train_job *job = training->job;
    char parent_sha256[RECORD_SHA256_BYTES];
    char teacher_sha256[RECORD_SHA256_BYTES];
    struct net *parent = NULL;

    int r = check_params(job, err);
    r = r < 0 ? r : train_files_init(&training->files, job, err);
    r = r < 0 ? r : net_load(training->files.parent, &parent, parent_sha256, err);
    if (r < 0) {
        return r;
    }
    training->game = game_find(parent->arch.game);
    r = training->game == NULL ? error_set(err, ERROR_UNSUPPORTED, "%s: made for a game \"%s\"",
                                           training->files.parent, parent->arch.game)
                               : net_arch_for_game(&parent->arch, training->game, err);
    if (r == 0 && checkpoint_init(&training->state, parent) < 0) {
        r = error_set(err, ERROR_NO_MEMORY, "training: out of memory");
    }
    net_destroy(parent);
    r = r < 0 ? r : open_teacher(training, teacher_sha256, err);
    if (r < 0) {
        return r;
    }
    train_job_identity(job, parent_sha256, teacher_sha256, training->identity);
    *ret_done = train_files_done(&training->files, training->identity, ret);
    if (*ret_done) {
        return 0;
    }
    r = read_window(training, err);
    r = r < 0 ? r : take_memory(training, err);
    if (r < 0) {
        return r;
    }
    struct error damage;
    training->start = train_files_begin(&training->files, training->identity, parent_sha256,
                                        &training->state, &damage);
    warn_of_damage(training, &damage);
    const double samples = (double)job->new_positions * job->params.samples_per_position;
    training->steps = (int64_t)ceil(samples / job->params.batch);
    return 0;
}

/* A job that does not go on from its own checkpoint counts from 0. */
static void begin_steps(struct training *training)
{
    struct checkpoint_head *head = &training->state.head;
    const enum optimizer_kind kind = training->job->params.optimizer;

    if (training->start != TRAIN_RESUMED) {
        const int64_t average_step = head->average_step;
        if (head->optimizer != kind) { /* moments of another kind say nothing */
            const size_t bytes = training->state.net->n_params * sizeof(float);
            memset(training->state.optimizer.first, 0, bytes);
            memset(training->state.optimizer.second, 0, bytes);
            training->state.optimizer.step = 0;
        }
        *head = (struct checkpoint_head){.optimizer = kind, .average_step = average_step};
        memcpy(head->job, training->identity, sizeof(head->job));
    }
    training->began = training->reported = training->saved = clock_seconds(CLOCK_MONOTONIC);
    training->began_step = training->reported_step = head->step;
}

/* ---- steps ---- */

/* What step `index` draws; called by the feed's thread. */
static uint32_t draw(void *context, uint64_t index, const struct window_row **rows, bool *flips,
                     bool *ret_flips)
{
    const struct training *training = context;
    const struct train_job *job = training->job;
    const uint32_t n = job->params.batch;
    const struct window_set *set = &training->window.drawn;

    for (uint32_t i = 0; i < n; i++) {
        const uint64_t sample = index * n + i;
        rows[i] = &set->rows[batch_draw(job->seed, job->generation, set->n, sample)];
        flips[i] = random_u64(job->seed, job->generation, RANDOM_MIRROR, sample) >> 63 != 0;
    }
    *ret_flips = job->params.mirror;
    return n;
}

static int64_t samples_done(const struct training *training)
{
    return training->state.head.step * training->job->params.batch;
}

/* The rate of the step that ends with the sample `done` of this training. */
static double rate_at(const struct training *training, int64_t done)
{
    const struct train_job *job = training->job;
    return optimizer_rate(&job->params, job->samples_before + done - job->params.batch, done);
}

static int one_step(struct training *training, struct error *err)
{
    const struct train_params *params = &training->job->params;
    struct checkpoint *state = &training->state;
    struct checkpoint_head *head = &state->head;
    struct step_sums sums;
    struct batch *batch = NULL;
    const float *planes = NULL;
    double loss = 0.0;

    (void)feed_next(training->feed, &batch, &planes); /* there is one for each step */
    if (training->teacher != NULL) {
        teacher_apply(training->teacher, batch);
    }
    step_gradient(training->model, state->net, batch, planes, params->value_weight,
                  training->gradient, &sums, &loss);
    sums.grad_norm =
        optimizer_clip(training->crew, training->gradient, state->net->n_params, params->clip_norm);
    if (!(loss <= params->max_loss) || !isfinite(sums.grad_norm)) {
        return error_set(err, ERROR_DIVERGED,
                         "generation %u, step %lld of %lld: loss %g (at most %g), gradient %g",
                         training->job->generation, (long long)head->step + 1,
                         (long long)training->steps, loss, params->max_loss, sums.grad_norm);
    }
    optimizer_step(training->crew, &state->optimizer, params,
                   rate_at(training, samples_done(training) + params->batch), training->gradient,
                   state->net);
    step_running(training->model, RUNNING_MOMENTUM, state->net);
    optimizer_average(training->crew, params->average_decay, head->average_step++,
                      state->net->params, state->net->n_params, state->average->params);
    const int64_t tail = training->steps < 10 ? 1 : training->steps / 10;
    if (head->step >= training->steps - tail) {
        step_add(&head->tail, &sums);
    }
    step_add(&head->report, &sums);
    head->step++;
    return 0;
}

static void report(struct training *training)
{
    const struct train_params *params = &training->job->params;
    struct checkpoint_head *head = &training->state.head;
    const bool due = params->report_every > 0 && head->step % params->report_every == 0;

    if (!due && head->step < training->steps) {
        return;
    }
    const double now = clock_seconds(CLOCK_MONOTONIC);
    const int64_t samples = (head->step - training->reported_step) * params->batch;
    const struct train_progress progress = {
        .step = head->step,
        .steps = training->steps,
        .samples = samples_done(training),
        .policy_loss = step_policy_loss(&head->report),
        .policy_entropy = step_policy_entropy(&head->report),
        .value_loss = step_value_loss(&head->report),
        .grad_norm = head->report.grad_norm / (double)head->report.steps,
        .learning_rate = rate_at(training, samples_done(training)),
        .samples_per_s = (double)samples / fmax(1e-9, now - training->reported),
    };
    head->report = (struct step_sums){0};
    training->reported = now;
    training->reported_step = head->step;
    if (training->callbacks != NULL && training->callbacks->progress != NULL) {
        training->callbacks->progress(&progress, training->callbacks->context);
    }
}

static bool should_stop(const struct training *training)
{
    const struct train_callbacks *callbacks = training->callbacks;
    return callbacks != NULL && callbacks->should_stop != NULL &&
           callbacks->should_stop(callbacks->context);
}

static int run_steps(struct training *training, struct error *err)
{
    struct checkpoint_head *head = &training->state.head;

    feed_begin(training->feed, draw, training, (uint64_t)head->step, (uint64_t)training->steps);
    while (head->step < training->steps) {
        if (should_stop(training)) {
            int r = checkpoint_save(&training->state, training->files.running, err);
            return r < 0 ? r
                         : error_set(err, ERROR_CANCELLED, "training stopped at step %lld of %lld",
                                     (long long)head->step, (long long)training->steps);
        }
        int r = one_step(training, err);
        if (r < 0) {
            unlink(training->files.running); /* it would only lead here again */
            return r;
        }
        report(training);
        if (clock_seconds(CLOCK_MONOTONIC) - training->saved >=
            (double)training->job->params.checkpoint_seconds) {
            r = checkpoint_save(&training->state, training->files.running, err);
            if (r < 0) {
                return r;
            }
            training->saved = clock_seconds(CLOCK_MONOTONIC);
        }
    }
    return 0;
}

/* ---- the end ---- */

/* At most `most` rows, spread evenly over the set. NULL: out of memory. */
static const struct window_row **spread(const struct window_set *set, uint32_t most,
                                        uint32_t *ret_n)
{
    const uint32_t n = set->n < most ? set->n : most;
    const struct window_row **rows = calloc(n == 0 ? 1 : n, sizeof(const struct window_row *));

    for (uint32_t i = 0; rows != NULL && i < n; i++) {
        rows[i] = &set->rows[(uint64_t)i * set->n / n];
    }
    *ret_n = n;
    return rows;
}

static int refresh(struct training *training, struct net *net)
{
    uint32_t n = 0;

    if (training->job->params.refresh_positions == 0) {
        return 0;
    }
    const struct window_row **rows =
        spread(&training->window.drawn, training->job->params.refresh_positions, &n);
    if (rows == NULL) {
        return ERROR_NO_MEMORY;
    }
    int r = step_refresh(training->model, net, training->feed, rows, n);
    free(rows);
    return r;
}

static int judge(struct training *training, const struct net *net, struct train_result *ret)
{
    struct step_sums sums = {0};
    uint32_t n = 0;
    const struct window_row **rows = spread(&training->window.held_out, MAX_JUDGED, &n);

    if (rows == NULL) {
        return ERROR_NO_MEMORY;
    }
    step_judge(training->model, net, training->feed, rows, n, &sums);
    free(rows);
    ret->held_out_positions = n;
    ret->held_out_policy_loss = step_policy_loss(&sums);
    ret->held_out_policy_entropy = step_policy_entropy(&sums);
    ret->held_out_value_loss = step_value_loss(&sums);
    return 0;
}

static int finish_net(struct training *training, struct train_result *ret, struct error *err)
{
    struct checkpoint_head *head = &training->state.head;
    const int64_t own_steps = head->step - training->began_step;
    struct train_result result = {
        .start = training->start,
        .steps = head->step,
        .samples = samples_done(training),
        .positions = training->window.drawn.n + training->window.held_out.n,
        .rows_without_q = training->window.rows_without_q,
        .policy_loss = step_policy_loss(&head->tail),
        .policy_entropy = step_policy_entropy(&head->tail),
        .value_loss = step_value_loss(&head->tail),
        .grad_norm = head->tail.grad_norm / (double)head->tail.steps,
        .learning_rate = rate_at(training, samples_done(training)),
        .samples_per_s = (double)(own_steps * training->job->params.batch) /
                         fmax(1e-9, clock_seconds(CLOCK_MONOTONIC) - training->began),
    };
    struct net *net = net_copy(training->state.average);

    if (net == NULL || refresh(training, net) < 0 || judge(training, net, &result) < 0) {
        net_destroy(net);
        return error_set(err, ERROR_NO_MEMORY, "training: out of memory");
    }
    int r = net_save_by_hash(net, training->files.nets, result.net_sha256, err);
    net_destroy(net);
    if (r < 0) {
        return r;
    }
    head->finished = true;
    head->result = result;
    r = train_files_end(&training->files, &training->state, err);
    if (r == 0) {
        *ret = result;
    }
    return r;
}

int train_run(const struct train_job *job, const struct train_callbacks *callbacks,
              struct train_result *ret, struct error *err)
{
    struct training training = {.job = job, .callbacks = callbacks};
    bool done = false;

    blas_set_threads(1); /* the crew divides the work; products are small */
    int r = open_training(&training, &done, ret, err);
    if (r == 0 && !done) {
        begin_steps(&training);
        r = run_steps(&training, err);
        r = r < 0 ? r : finish_net(&training, ret, err);
    }
    feed_destroy(training.feed); /* first: its thread reads the window */
    model_destroy(training.model);
    crew_destroy(training.crew);
    teacher_destroy(training.teacher);
    window_finish(&training.window);
    checkpoint_finish(&training.state);
    buffer_destroy(training.gradient);
    return r;
}
