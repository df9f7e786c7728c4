/* Dense layers of a training step: y = W x + b, with a relu behind it if wanted. x is [in][n], y [out][n], n a number of
 * positions, of which each call looks at [first, end) alone: a worker's share (crew.h). No two workers write to the
 * same place, and no sum is divided among them. */
#ifndef TRAINER_DENSE_H
#define TRAINER_DENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dense {
    uint32_t in, out;
    bool relu;
    const float *weight; /* [out][in] */
    const float *bias;   /* [out] */
};

void dense_forward(const struct dense *dense, const float *x, size_t n, size_t first, size_t end,
                   float *ret_y);
/* The gradient of x. dy is masked by the relu in passing (y is not looked at where there is none). */
void dense_backward(const struct dense *dense, const float *y, size_t n, size_t first, size_t end,
                    float *dy, float *ret_dx);
/* The gradients of W and b over all positions, out of dy as dense_backward() leaves it: a worker's share of them. */
void dense_gradient(const struct dense *dense, const float *x, const float *dy, size_t n,
                    uint32_t worker, uint32_t n_workers, float *ret_dweight, float *ret_dbias);

#endif
