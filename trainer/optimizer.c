#include "trainer/optimizer.h"
#include "trainer/buffer.h"

#include <math.h>
#include <string.h>

#define ADAM_EPSILON 1e-8F

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

void optimizer_step(struct optimizer *optimizer, const struct train_params *params, double rate,
                    const float *gradient, struct net *net)
{
    const double t = (double)++optimizer->step;

    for (uint32_t i = 0; i < net->n_tensors; i++) {
        const struct net_tensor *tensor = &net->tensors[i];
        const size_t at = tensor->offset;
        const double decay = is_decayed(tensor->kind) ? rate * params->weight_decay : 0.0;
        if (!is_stepped(tensor->kind)) {
            continue;
        }
        if (params->optimizer == OPTIMIZER_SGD) {
            sgd_step((float)params->momentum, (float)rate, (float)decay, gradient + at,
                     tensor->count, optimizer->first + at, net->params + at);
            continue;
        }
        const struct adam adam = {
            .beta1 = (float)params->beta1,
            .beta2 = (float)params->beta2,
            .rate = (float)(rate / (1.0 - pow(params->beta1, t))),
            .correction2 = (float)(1.0 / (1.0 - pow(params->beta2, t))),
            .decay = (float)decay,
        };
        adam_step(&adam, gradient + at, tensor->count, optimizer->first + at,
                  optimizer->second + at, net->params + at);
    }
}

double optimizer_clip(float *gradient, size_t n, double clip)
{
    double squares = 0.0;
    for (size_t i = 0; i < n; i++) {
        squares += (double)gradient[i] * (double)gradient[i];
    }
    const double norm = sqrt(squares);
    if (clip > 0.0 && norm > clip) {
        const float scale = (float)(clip / norm);
        for (size_t i = 0; i < n; i++) {
            gradient[i] *= scale;
        }
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

void optimizer_average(double decay, int64_t step, const float *weights, size_t n, float *average)
{
    if (decay <= 0.0) { /* no average: exactly the weights */
        memcpy(average, weights, n * sizeof(*average));
        return;
    }
    const double young = (1.0 + (double)step) / (10.0 + (double)step);
    const float share = (float)(1.0 - fmin(decay, young));

    for (size_t i = 0; i < n; i++) {
        average[i] += share * (weights[i] - average[i]);
    }
}
