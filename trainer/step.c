#include "trainer/step.h"
#include "trainer/lanes.h"
#include "trainer/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void step_add(struct step_sums *sums, const struct step_sums *more)
{
    sums->policy += more->policy;
    sums->entropy += more->entropy;
    sums->policy_weight += more->policy_weight;
    sums->value += more->value;
    sums->value_weight += more->value_weight;
    sums->grad_norm += more->grad_norm;
    sums->steps += more->steps;
}

double step_policy_loss(const struct step_sums *sums)
{
    return sums->policy_weight > 0.0 ? sums->policy / sums->policy_weight : (double)NAN;
}
double step_policy_entropy(const struct step_sums *sums)
{
    return sums->policy_weight > 0.0 ? sums->entropy / sums->policy_weight : (double)NAN;
}
double step_value_loss(const struct step_sums *sums)
{
    return sums->value_weight > 0.0 ? sums->value / sums->value_weight : (double)NAN;
}

/* The sums of a batch; with the outputs' gradients, scaled for a mean over the batch, if `back`. */
static void batch_losses(struct model *model, const struct net *net, const struct batch *batch,
                         double value_weight, bool back, struct step_sums *ret)
{
    const uint32_t n = batch->n;
    const size_t stride = lanes_size(n, 1);
    float *dpolicy = back ? model_dpolicy(model) : NULL;
    struct step_sums sums = {0};

    for (uint32_t i = 0; i < n; i++) {
        const struct batch_sample *sample = &batch->samples[i];
        const double policy_weight = (double)sample->policy_weight;
        if (policy_weight > 0.0) {
            sums.policy +=
                policy_weight * loss_policy(model_policy(model), sample->n_legal, sample->offsets,
                                            sample->policy, (float)(policy_weight / n), dpolicy);
            sums.entropy += policy_weight * loss_entropy(sample->n_legal, sample->policy);
            sums.policy_weight += policy_weight;
        }
        /* a weight of 0 writes zeros: the value's gradients are not zero until written */
        const double weight = (double)sample->value_weight;
        const float scale = (float)(value_weight * weight / n);
        float *dvalue = back ? model_dvalue(model) + i : NULL;
        const float *value = model_value(model) + i;
        sums.value += weight * (net->arch.value == NET_VALUE_WDL
                                    ? loss_wdl(value, stride, sample->value, scale, dvalue)
                                    : loss_scalar(*value, sample->value, scale, dvalue));
        sums.value_weight += weight;
    }
    sums.steps = 1;
    *ret = sums;
}

void step_gradient(struct model *model, const struct net *net, const struct batch *batch,
                   const float *planes, double value_weight, float *ret_gradient,
                   struct step_sums *ret_sums, double *ret_loss)
{
    model_forward(model, net->params, MODEL_TRAIN, planes, batch->n);
    batch_losses(model, net, batch, value_weight, true, ret_sums);
    model_backward(model, net->params, ret_gradient);
    *ret_loss = (ret_sums->policy + value_weight * ret_sums->value) / batch->n;
}

/* Rows one batch after another, as their canonical images. */
struct listed {
    const struct window_row *const *rows;
    uint32_t n, max;
};

static uint32_t
listed_source(void *context, uint64_t index, const struct window_row **rows,
              bool *flips, /* NOLINT(readability-non-const-parameter): a feed_source */
              bool *ret_flips)
{
    const struct listed *listed = context;
    const uint32_t first = (uint32_t)index * listed->max;
    const uint32_t count = listed->n - first < listed->max ? listed->n - first : listed->max;

    (void)flips;
    *ret_flips = false;
    memcpy(rows, listed->rows + first, count * sizeof(const struct window_row *));
    return count;
}

static void feed_listed(struct feed *feed, struct listed *listed)
{
    feed_begin(feed, listed_source, listed, 0, (listed->n + listed->max - 1) / listed->max);
}

void step_judge(struct model *model, const struct net *net, struct feed *feed,
                const struct window_row *const *rows, uint32_t n, struct step_sums *ret_sums)
{
    struct listed listed = {rows, n, feed_max(feed)};
    struct step_sums total = {0};
    struct batch *batch;
    const float *planes;

    feed_listed(feed, &listed);
    while (feed_next(feed, &batch, &planes)) {
        struct step_sums sums;
        model_forward(model, net->params, MODEL_EVAL, planes, batch->n);
        batch_losses(model, net, batch, 1.0, false, &sums);
        step_add(&total, &sums);
    }
    *ret_sums = total;
}

/* What a batch adds, by its share of all rows: mean in place of mean, mean square in place of var. */
static void add_statistics(const struct model *model, const struct net *net, double share,
                           double *moments)
{
    const float *statistics = model_statistics(model);

    for (uint32_t t = 0; t + 1 < net->n_tensors; t++) {
        if (net->tensors[t].kind != NET_BN_MEAN) {
            continue;
        }
        const size_t mean_at = net->tensors[t].offset;
        const size_t var_at = net->tensors[t + 1].offset; /* .mean, then .var */
        for (size_t i = 0; i < net->tensors[t].count; i++) {
            double mean = (double)statistics[mean_at + i];
            moments[mean_at + i] += share * mean;
            moments[var_at + i] += share * ((double)statistics[var_at + i] + mean * mean);
        }
    }
}

int step_refresh(struct model *model, struct net *net, struct feed *feed,
                 const struct window_row *const *rows, uint32_t n)
{
    struct listed listed = {rows, n, feed_max(feed)};
    struct batch *batch;
    const float *planes;
    double *moments = calloc(net->n_params, sizeof(*moments));
    size_t seen = 0;

    if (moments == NULL) {
        return ERROR_NO_MEMORY;
    }
    feed_listed(feed, &listed);
    while (feed_next(feed, &batch, &planes)) {
        model_forward(model, net->params, MODEL_TRAIN, planes, batch->n);
        add_statistics(model, net, (double)batch->n / n, moments);
        seen += model_statistics_count(model);
    }
    const double unbias = seen > 1 ? (double)seen / (double)(seen - 1) : 1.0;
    for (uint32_t t = 0; t + 1 < net->n_tensors; t++) {
        if (net->tensors[t].kind != NET_BN_MEAN) {
            continue;
        }
        const size_t mean_at = net->tensors[t].offset;
        const size_t var_at = net->tensors[t + 1].offset;
        for (size_t i = 0; i < net->tensors[t].count; i++) {
            double mean = moments[mean_at + i];
            net->params[mean_at + i] = (float)mean;
            net->params[var_at + i] =
                (float)(fmax(0.0, moments[var_at + i] - mean * mean) * unbias);
        }
    }
    free(moments);
    return 0;
}

void step_running(const struct model *model, double momentum, struct net *net)
{
    const float *statistics = model_statistics(model);
    const double count = (double)model_statistics_count(model);
    const double unbias = count > 1.0 ? count / (count - 1.0) : 1.0;

    for (uint32_t t = 0; t < net->n_tensors; t++) {
        const struct net_tensor *tensor = &net->tensors[t];
        if (tensor->kind != NET_BN_MEAN && tensor->kind != NET_BN_VAR) {
            continue;
        }
        const double scale = tensor->kind == NET_BN_VAR ? unbias : 1.0;
        for (size_t i = tensor->offset; i < tensor->offset + tensor->count; i++) {
            net->params[i] = (float)(momentum * (double)net->params[i] +
                                     (1.0 - momentum) * scale * (double)statistics[i]);
        }
    }
}
