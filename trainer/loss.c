#include "trainer/loss.h"

#include <math.h>

/* log sum exp of the n logits, taken from the largest so that nothing overflows */
static double log_partition(const float *logits, uint32_t n, const size_t *offsets)
{
    float most = logits[offsets[0]];
    for (uint32_t i = 1; i < n; i++) {
        most = fmaxf(most, logits[offsets[i]]);
    }
    double sum = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        sum += exp((double)logits[offsets[i]] - (double)most);
    }
    return (double)most + log(sum);
}

double loss_policy(const float *logits, uint32_t n, const size_t *offsets, const float *target,
                   float scale, float *ret_dlogits)
{
    const double partition = log_partition(logits, n, offsets);
    double loss = 0.0;

    for (uint32_t i = 0; i < n; i++) {
        double log_p = (double)logits[offsets[i]] - partition;
        loss -= (double)target[i] * log_p;
        if (ret_dlogits != NULL) {
            ret_dlogits[offsets[i]] = scale * (float)(exp(log_p) - (double)target[i]);
        }
    }
    return loss;
}

double loss_entropy(uint32_t n, const float *target)
{
    double entropy = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        if (target[i] > 0.0F) {
            entropy -= (double)target[i] * log((double)target[i]);
        }
    }
    return entropy;
}

double loss_wdl(const float *outputs, size_t stride, struct wdl target, float scale,
                float *ret_doutputs)
{
    const size_t offsets[3] = {0, stride, 2 * stride};
    const float wanted[3] = {target.w, target.d, target.l};
    return loss_policy(outputs, 3, offsets, wanted, scale, ret_doutputs);
}

double loss_scalar(float output, struct wdl target, float scale, float *ret_doutput)
{
    const double y = tanh((double)output);
    const double difference = y - ((double)target.w - (double)target.l);

    if (ret_doutput != NULL) {
        *ret_doutput = scale * (float)(2.0 * difference * (1.0 - y * y));
    }
    return difference * difference;
}
