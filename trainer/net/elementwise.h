/* The arithmetic between the products of inference.c. A product's result is [cells][channels]; an
 * activation is kept "widened" so that a 3x3 convolution is three plain products: a row of W cells,
 * each holding the channels of its left neighbour, of itself and of its right one,
 *     [height + 2][width][3][channels]        rows 0 and height + 1 and the outer neighbours are 0.
 * The rows of the board as seen by kernel row ky then begin at row ky and are contiguous, with 3 x
 * channels floats a cell.
 *
 * Each sum is taken in one fixed order without contraction, so that the bits are the same whether
 * the AVX-512, AVX2 or plain variant runs. */
#ifndef TRAINER_NET_ELEMENTWISE_H
#define TRAINER_NET_ELEMENTWISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elementwise_shape {
    uint32_t height, width, channels;
    float *unused; /* [channels]: neighbours off the board are written here */
};

/* Floats of a widened activation, and its first cell's own channels. */
size_t elementwise_wide_size(const struct elementwise_shape *shape);

/* planes [channels][height][width] -> wide */
void elementwise_widen_planes(const struct elementwise_shape *shape, const float *planes,
                              float *wide);
/* wide = relu(x + shift) */
void elementwise_shift_relu(const struct elementwise_shape *shape, const float *x,
                            const float *shift, float *wide);
/* wide = relu(scale x + shift + wide) */
void elementwise_residual_relu(const struct elementwise_shape *shape, const float *x,
                               const float *scale, const float *shift, float *wide);
/* x[n_rows][n] = relu(x + shift[n]) */
void elementwise_shift_relu_rows(float *x, size_t n_rows, size_t n, const float *shift);
/* ret[c] = mean over rows of x[row][c], + shift[c] */
void elementwise_means(const float *x, size_t n_rows, size_t n, const float *shift, float *ret);
/* ret[o] = bias[o] + sum over i of weight[i][o] x[i]; weight is [n_in][n_out], the reverse of a
 * net's layout, so that the outputs are the vector's lanes. */
void elementwise_dense(const float *weight, const float *bias, const float *x, size_t n_in,
                       size_t n_out, bool with_relu, float *ret);
/* From the outputs of a squeeze-excitation unit: scale = sigmoid(excited[0 .. n)),
 * ret_shift = scale shift + excited[n .. 2n). */
void elementwise_excite(const float *excited, const float *shift, size_t n, float *ret_scale,
                        float *ret_shift);

#endif
