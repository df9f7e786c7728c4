#include "trainer/optimizer.h"
#include "trainer/buffer.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define ADAM_EPSILON 1e-8F

enum {
    LINE = 16, /* floats that workers do not share */
    NORM_PIECES =
        256, /* sums of a norm: as many whatever the crew, so that its bits are the same */
};

int optimizer_init(struct optimizer *optimizer, size_t n_params)
{
    *optimizer = (struct optimizer){.n = n_params};
    optimizer->first = buffer_create(n_params);
    optimizer->second = buffer_create(n_params);
    if (optimizer->first == NULL || optimizer->second == NULL) {
        optimizer_finish(optimizer);
        return ERROR_NO_MEMORY;
    }
    return 0;
}

void optimizer_finish(struct optimizer *optimizer)
{
    buffer_destroy(optimizer->first);
    buffer_destroy(optimizer->second);
    *optimizer = (struct optimizer){0};
}

struct adam {
    float beta1, beta2;
    float rate;        /* rate / (1 - beta1^t) */
    float correction2; /* 1 / (1 - beta2^t) */
    float decay;       /* rate x weight decay, of this tensor */
};

BUFFER_CLONES
static void adam_step(const struct adam *adam, const float *restrict gradient, size_t n,
                      float *restrict first, float *restrict second, float *restrict weights)
{
    const struct adam a = *adam;

    for (size_t i = 0; i < n; i++) {
        const float g = gradient[i];
        first[i] = a.beta1 * first[i] + (1.0F - a.beta1) * g;
        second[i] = a.beta2 * second[i] + (1.0F - a.beta2) * g * g;
        weights[i] -= a.rate * first[i] / (sqrtf(second[i] * a.correction2) + ADAM_EPSILON) +
                      a.decay * weights[i];
    }
}

BUFFER_CLONES
static void sgd_step(float momentum, float rate, float decay, const float *restrict gradient,
                     size_t n, float *restrict first, float *restrict weights)
{
    for (size_t i = 0; i < n; i++) {
        first[i] = momentum * first[i] + gradient[i];
        weights[i] -= rate * (gradient[i] + momentum * first[i]) + decay * weights[i];
    }
}

static bool is_stepped(enum net_tensor_kind kind)
{
    return kind != NET_BN_MEAN && kind != NET_BN_VAR;
}

static bool is_decayed(enum net_tensor_kind kind)
{
    return kind == NET_CONV || kind == NET_DENSE;
}

/* A worker's parameters of n, whole lines. */
static void share_params(size_t n, uint32_t worker, uint32_t n_workers, size_t *ret_first,
                         size_t *ret_end)
{
    crew_share((n + LINE - 1) / LINE, worker, n_workers, ret_first, ret_end);
    *ret_first *= LINE;
    *ret_end = *ret_end * LINE < n ? *ret_end * LINE : n;
}

struct step_job {
    struct net *net;
    const struct optimizer *optimizer;
    const float *gradient;
    enum optimizer_kind kind;
    struct adam adam; /* its decay is that of decayed tensors */
    float momentum, rate;
};

/* The part of one tensor. */
static void step_part(const struct step_job *job, bool decayed, size_t at, size_t count)
{
    struct adam adam = job->adam;
    float *first = job->optimizer->first + at;

    adam.decay = decayed ? adam.decay : 0.0F;
    if (job->kind == OPTIMIZER_SGD) {
        sgd_step(job->momentum, job->rate, adam.decay, job->gradient + at, count, first,
                 job->net->params + at);
    } else {
        adam_step(&adam, job->gradient + at, count, first, job->optimizer->second + at,
                  job->net->params + at);
    }
}

static void step_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct step_job *job = context;
    size_t first;
    size_t end;

    share_params(job->net->n_params, worker, n_workers, &first, &end);
    for (uint32_t i = 0; i < job->net->n_tensors; i++) {
        const struct net_tensor *tensor = &job->net->tensors[i];
        const size_t from = tensor->offset > first ? tensor->offset : first;
        const size_t tensor_end = tensor->offset + tensor->count;
        const size_t to = tensor_end < end ? tensor_end : end;
        if (is_stepped(tensor->kind) && from < to) {
            step_part(job, is_decayed(tensor->kind), from, to - from);
        }
    }
}

void optimizer_step(struct crew *crew, struct optimizer *optimizer,
                    const struct train_params *params, double rate, const float *gradient,
                    struct net *net)
{
    const double t = (double)++optimizer->step;
    struct step_job job = {
        .net = net,
        .optimizer = optimizer,
        .gradient = gradient,
        .kind = params->optimizer,
        .adam = {.beta1 = (float)params->beta1,
                 .beta2 = (float)params->beta2,
                 .rate = (float)(rate / (1.0 - pow(params->beta1, t))),
                 .correction2 = (float)(1.0 / (1.0 - pow(params->beta2, t))),
                 .decay = (float)(rate * params->weight_decay)},
        .momentum = (float)params->momentum,
        .rate = (float)rate,
    };
    crew_run(crew, step_task, &job);
}

struct clip_job {
    float *gradient;
    size_t n;
    float scale;
    double squares[NORM_PIECES];
};

BUFFER_CLONES
static double sum_of_squares(const float *x, size_t n)
{
    double sums[LINE] = {0};
    double sum = 0.0;

    while (n >= LINE) {
        for (size_t i = 0; i < LINE; i++) {
            sums[i] += (double)x[i] * (double)x[i];
        }
        x += LINE;
        n -= LINE;
    }
    for (size_t i = 0; i < n; i++) {
        sums[i] += (double)x[i] * (double)x[i];
    }
    for (size_t i = 0; i < LINE; i++) {
        sum += sums[i];
    }
    return sum;
}

static void squares_task(void *context, uint32_t worker, uint32_t n_workers)
{
    struct clip_job *job = context;
    size_t first;
    size_t end;

    crew_share(NORM_PIECES, worker, n_workers, &first, &end);
    for (size_t piece = first; piece < end; piece++) {
        size_t from;
        size_t to;
        crew_share(job->n, (uint32_t)piece, NORM_PIECES, &from, &to);
        job->squares[piece] = sum_of_squares(job->gradient + from, to - from);
    }
}

static void scale_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct clip_job *job = context;
    size_t first;
    size_t end;

    share_params(job->n, worker, n_workers, &first, &end);
    for (size_t i = first; i < end; i++) {
        job->gradient[i] *= job->scale;
    }
}

double optimizer_clip(struct crew *crew, float *gradient, size_t n, double clip)
{
    struct clip_job job = {.n = n};
    double squares = 0.0;

    job.gradient = gradient;
    crew_run(crew, squares_task, &job);
    for (size_t i = 0; i < NORM_PIECES; i++) {
        squares += job.squares[i];
    }
    const double norm = sqrt(squares);
    if (clip > 0.0 && norm > clip) {
        job.scale = (float)(clip / norm);
        crew_run(crew, scale_task, &job);
    }
    return norm;
}

double optimizer_rate(const struct train_params *params, int64_t line_sample,
                      int64_t training_sample)
{
    const struct rate_schedule *schedule = &params->learning_rate;
    double rate = schedule->rate[0];

    for (uint32_t i = 1; i < schedule->n && line_sample >= schedule->samples[i]; i++) {
        rate = schedule->rate[i];
    }
    if (training_sample < params->warmup_samples) {
        rate *= (double)training_sample / (double)params->warmup_samples;
    }
    return rate;
}

struct average_job {
    const float *weights;
    float *average;
    size_t n;
    float share; /* of the weights */
};

static void average_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct average_job *job = context;
    size_t first;
    size_t end;

    share_params(job->n, worker, n_workers, &first, &end);
    for (size_t i = first; i < end; i++) {
        job->average[i] += job->share * (job->weights[i] - job->average[i]);
    }
}

void optimizer_average(struct crew *crew, double decay, int64_t step, const float *weights,
                       size_t n, float *average)
{
    if (decay <= 0.0) { /* no average: exactly the weights */
        memcpy(average, weights, n * sizeof(*average));
        return;
    }
    const double young = (1.0 + (double)step) / (10.0 + (double)step);
    struct average_job job = {
        .weights = weights, .average = average, .n = n, .share = (float)(1.0 - fmin(decay, young))};
    crew_run(crew, average_task, &job);
}
