/* Convolutions of a training step, there and back: 3x3, padded with zeros, by Winograd's short
 * products, and 1x1. Activations lie as lanes.h says, [blocks][channels][cells][16]
 * (activation_create()); numbers by channel and position as [channels][positions of whole blocks].
 * Weights are [out][in][kernel][kernel].
 *
 * Batch norm has no pass of its own. On the way there its scale, shift and relu are applied as the
 * next convolution reads, and the sums for its statistics are taken as the convolution before it
 * writes; on the way back it is the same with its gradient. The same number of threads gives the
 * same bits. */
#ifndef TRAINER_CONV_H
#define TRAINER_CONV_H

#include "trainer/crew.h"
#include "trainer/lanes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory for activations of n positions; NULL: out of memory. Given back by buffer_destroy(). */
float *activation_create(uint32_t channels, uint32_t n, size_t cells);

/* For boards of height x width (at most 62 wide), layers of at most `max_channels` in and out,
 * batches of at most max_batch. One for a model, shared by its layers. */
struct conv_work;
struct conv_work *conv_work_create(struct crew *crew, const struct lanes_kernel *kernel,
                                   uint32_t height, uint32_t width, uint32_t max_channels,
                                   uint32_t max_batch); /* NULL: out of memory */
void conv_work_destroy(struct conv_work *work);         /* NULL is allowed */

struct conv_shape {
    uint32_t in, out, kernel;
};

/* The input: x, or relu(scale x + shift) where scale is not NULL (3x3 alone). */
struct conv_input {
    const float *x;
    const float *scale, *shift; /* [in] */
};
/* y, and over its cells each position's mean and sum of squares around that mean. */
struct conv_output {
    float *y;
    float *means, *squares; /* [out][positions] */
};
void conv_forward(struct conv_work *work, const struct conv_shape *shape, const float *weight,
                  const float *bias, /* [out], NULL: none */
                  const struct conv_input *input, uint32_t n, const struct conv_output *output);

/* The gradient of y: g; or, where y goes through batch norm, a dz + b y + c (batchnorm_backward())
 * with dz = g, or what squeeze-excitation makes of it, dz = gate g + dpool / cells. g is taken as 0
 * where relu(scale y + shift) was cut off (scale NULL: no relu). Beyond the batch it is 0 with batch
 * norm; without, g must be. */
struct conv_gradient {
    const float *g;
    const float *y;             /* NULL: no batch norm */
    const float *a, *b, *c;     /* [out] */
    const float *gate, *dpool;  /* [out][positions]; NULL: none */
    const float *scale, *shift; /* [out] */
};
/* Where the input's gradient goes, and what the batch norm that made the input needs (3x3 alone; x
 * NULL: nothing): by position, sums over the cells of dx and of dx (x - pivot), dx taken as 0 where
 * relu(scale x + shift) was cut off. */
struct conv_sink {
    float *dx;
    bool add; /* to what is there */
    const float *x;
    const float *scale, *shift, *pivot; /* [in] */
    float *sums, *products;             /* [in][positions] */
};
/* ret_dweight and, where not NULL, ret_dbias are written later (crew_later()), out of the gradient's g;
 * sink NULL: the input's gradient is not wanted. What the gradient points to may be put off until
 * now (crew_run_beside()). */
void conv_backward(struct conv_work *work, const struct conv_shape *shape, const float *weight,
                   const struct conv_input *input, const struct conv_gradient *gradient, uint32_t n,
                   float *ret_dweight, float *ret_dbias, const struct conv_sink *sink);

#endif
