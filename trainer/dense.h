/* Dense layers of a training step: y = W x + b, with a relu behind it if wanted. x is [in][n], y [out][n]. */
#ifndef TRAINER_DENSE_H
#define TRAINER_DENSE_H

#include "trainer/crew.h"

#include <stdbool.h>
#include <stdint.h>

struct dense {
    uint32_t in, out;
    bool relu;
    const float *weight; /* [out][in] */
    const float *bias;   /* [out] */
};

void dense_forward(struct crew *crew, const struct dense *dense, const float *x, uint32_t n,
                   float *ret_y);
/* dy is masked by the relu in passing (y is not looked at where there is none). ret_dx NULL: not wanted. */
void dense_backward(struct crew *crew, const struct dense *dense, const float *x, const float *y,
                    uint32_t n, float *dy, float *ret_dweight, float *ret_dbias, float *ret_dx);

#endif
