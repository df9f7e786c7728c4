/* Batch norm over [channels][count], count = positions x cells, with a relu behind it if wanted. In
 * training it normalises by the batch's own mean and variance (biased, as everybody does); else by
 * given statistics. */
#ifndef TRAINER_BATCHNORM_H
#define TRAINER_BATCHNORM_H

#include "trainer/crew.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batchnorm {
    const float *gamma, *beta; /* [channels] */
    const float *mean, *var;   /* [channels]; var without epsilon, biased */
    uint32_t channels;
    bool relu;
};

/* Mean and biased variance of each channel of x. */
void batchnorm_statistics(struct crew *crew, const float *x, uint32_t channels, size_t count,
                          float *ret_mean, float *ret_var);
/* y = relu?(gamma (x - mean) / sqrt(var + epsilon) + beta) */
void batchnorm_forward(struct crew *crew, const struct batchnorm *bn, const float *x, size_t count,
                       float *ret_y);
/* From dy (overwritten by dx), for mean and var being those of x itself. y is the output of
 * batchnorm_forward, read only if there is a relu. */
void batchnorm_backward(struct crew *crew, const struct batchnorm *bn, const float *x,
                        const float *y, size_t count, float *dy, float *ret_dgamma,
                        float *ret_dbeta);

#endif
