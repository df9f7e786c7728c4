/* Batch norm, by numbers alone: its passes over activations are the convolutions' (conv.h). In
 * training it normalises by the batch's own mean and variance (biased, as everybody does); else by
 * given statistics. Numbers by channel and position are [channels][positions of whole blocks];
 * those beyond the n of the batch are left out of sums. */
#ifndef TRAINER_BATCHNORM_H
#define TRAINER_BATCHNORM_H

#include "trainer/crew.h"

#include <stddef.h>
#include <stdint.h>

struct batchnorm {
    const float *gamma, *beta; /* [channels] */
    const float *mean, *var;   /* [channels]; var without epsilon, biased */
    uint32_t channels;
};

/* A batch: n positions of so many cells. */
struct batchnorm_count {
    uint32_t n;
    size_t cells;
};

/* Mean and biased variance of each channel from its positions' means and squares (conv_output). */
void batchnorm_statistics(struct crew *crew, const float *means, const float *squares,
                          uint32_t channels, struct batchnorm_count count, float *ret_mean,
                          float *ret_var);
/* Batch norm as y = scale x + shift, [channels] each. */
void batchnorm_scale(const struct batchnorm *bn, float *ret_scale, float *ret_shift);

/* The gradient of y is gate g + dpool / cells (squeeze-excitation's), or g where these are NULL;
 * [channels][positions]. */
struct batchnorm_gate {
    const float *gate, *dpool;
};
/* For mean and var being those of x itself: dgamma, dbeta and, by position, a, b and c such that x
 * has the gradient a g + b x + c. sums and products: sums over the cells of y's gradient, and of it
 * times (x - mean). */
void batchnorm_backward(struct crew *crew, const struct batchnorm *bn, const float *sums,
                        const float *products, const struct batchnorm_gate *gate,
                        struct batchnorm_count count, float *ret_dgamma, float *ret_dbeta,
                        float *ret_a, float *ret_b, float *ret_c);

#endif
