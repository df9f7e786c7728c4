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

/* Mean and biased variance of each channel from its positions' means and squares (conv_output):
 * where bn finds them, and so not constant. With the scale and shift they make. Done later
 * (crew_later()). */
void batchnorm_statistics(struct crew *crew, const struct batchnorm *bn, const float *means,
                          const float *squares, struct batchnorm_count count, float *ret_mean,
                          float *ret_var, float *ret_scale, float *ret_shift);
/* Batch norm as y = scale x + shift, [channels] each. */
void batchnorm_scale(const struct batchnorm *bn, float *ret_scale, float *ret_shift);

/* For mean and var being those of x itself: dgamma, dbeta, and a, b and c, [channels], such that x
 * has the gradient a dy + b x + c. sums and products: sums over a position's cells of dy, and of dy
 * (x - mean). Done later (crew_later()). */
void batchnorm_backward(struct crew *crew, const struct batchnorm *bn, const float *sums,
                        const float *products, struct batchnorm_count count, float *ret_dgamma,
                        float *ret_dbeta, float *ret_a, float *ret_b, float *ret_c);

#endif
