/* Convolutions of a training step. Activations are [channels][n][cells] over the whole batch: a
 * channel's cells lie together, which is what batch norm wants, and a run of positions is a run of
 * columns of one matrix, which is what sgemm wants. Weights are [out][in][kernel][kernel], kernel 1 or
 * 3; 3 is padded with zeros. Activation buffers come from buffer_create(). */
#ifndef TRAINER_CONV_H
#define TRAINER_CONV_H

#include "trainer/crew.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Boards of height x width and scratch for any layer up to `max_channels` in and out. One for a model,
 * shared by its layers. */
struct conv_work;
struct conv_work *conv_work_create(struct crew *crew, uint32_t height, uint32_t width,
                                   uint32_t max_channels); /* NULL: out of memory */
void conv_work_destroy(struct conv_work *work);            /* NULL is allowed */

struct conv_shape {
    uint32_t in, out, kernel;
};

/* y = W * x (+ bias, where it is not NULL). */
void conv_forward(struct conv_work *work, const struct conv_shape *shape, const float *weight,
                  const float *bias, const float *x, uint32_t n, float *ret_y);
/* From dy: ret_dweight and, where not NULL, ret_dbias are written; ret_dx (NULL: not wanted) is
 * written, or added to if `add`. */
void conv_backward(struct conv_work *work, const struct conv_shape *shape, const float *weight,
                   const float *x, const float *dy, uint32_t n, float *ret_dweight,
                   float *ret_dbias, float *ret_dx, bool add);

#endif
