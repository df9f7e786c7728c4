/* What a training step spends its time in, once for each kind of processor: AVX-512, AVX2 with FMA,
 * and plain C on vectors of 16 bytes (also arm64). The three are one source, lanes_template.h,
 * compiled three times; which of them runs is decided at run time.
 *
 * A lane is a position: sixteen positions are a block, and every activation lies as
 *     [blocks][channels][cells][16]
 * so that whatever is done to a board is done to sixteen at once without moving anything within a
 * vector, and what is done to some blocks reads on and on. A batch that is no multiple of sixteen
 * fills its last block with positions that hold any finite numbers; their gradients are zero, and
 * sums over positions leave them out.
 *
 * A 3x3 convolution is Winograd's (trainer/net/winograd.h). With V = B^T x B the points of the
 * input, U those of the weights, M = U V for each point over all channels, the output is y = A^T M
 * A. The way back is the same, transposed: from dy the points dM = A dy A^T; then dV = U^T dM and
 * dx = B dV B^T, where tiles overlap their sum; and dU = dM V^T over all positions, dW = G^T dU G.
 * Points lie as [point][column][channel][16], where a column is one tile of one block; the strides
 * are the caller's.
 *
 * Sums are taken in an order that depends on shapes and the kernel alone. Pointers to activations
 * and points are aligned to 64 bytes, strides are multiples of 16 floats. */
#ifndef TRAINER_LANES_H
#define TRAINER_LANES_H

#include "trainer/net/winograd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LANES = 16 };

static inline size_t lanes_blocks(uint32_t n)
{
    return (n + LANES - 1) / LANES;
}
/* Where a channel's cell of position i stands. */
static inline size_t lanes_at(size_t channels, size_t cells, uint32_t i, size_t channel,
                              size_t cell)
{
    return ((i / LANES * channels + channel) * cells + cell) * LANES + i % LANES;
}
/* The left side of a product, [rows / 16][n_k][16]: what one step over k needs of sixteen rows is a
 * cache line, and the next step's the next one. */
static inline size_t lanes_factor_at(size_t n_k, size_t row, size_t k)
{
    return (row / LANES * n_k + k) * LANES + row % LANES;
}
static inline size_t lanes_factors(size_t n_k, size_t rows) /* floats */
{
    return (rows + LANES - 1) / LANES * n_k * LANES;
}
/* Floats of one channel of n positions. */
static inline size_t lanes_size(uint32_t n, size_t cells)
{
    return lanes_blocks(n) * cells * LANES;
}

/* One channel of one block on its way into a convolution: x, or relu(scale x + shift). */
struct lanes_input {
    const float *x; /* [cells][16] */
    float scale, shift;
    bool norm;
};

/* One channel of one block on its way back: what x, which batch norm was given, has for a gradient,
 *     a g + b x + c,   with g taken as 0 where relu(scale x + shift) was cut off.
 * x NULL: there was no batch norm, g it is. */
struct lanes_gradient {
    const float *g, *x;     /* [cells][16] */
    const float *a, *b, *c; /* [16] */
    float scale, shift;
    bool relu;
};

/* What a convolution leaves on the way back to its input: the gradient dx, and where x is not NULL,
 * sums over the cells for the batch norm (and relu) that made the input of x:
 *     sums[16] = sum dx,  products[16] = sum dx (x - pivot),  dx taken as 0 where the relu was cut off.
 */
struct lanes_sink {
    float *dx; /* [cells][16] */
    bool add;  /* to what is there; the sums are of both */
    const float *x;
    float scale, shift, pivot;
    bool relu;
    float *sums, *products;
};

/* A board's convolution, for one channel of one block. v, m: the place of its first column. */
struct lanes_tile {
    void (*points)(const struct winograd *w, const struct lanes_input *input, float *v,
                   size_t v_point, size_t v_column);
    /* y[cells][16] = A^T m A + bias, and over the cells each position's mean and sum of squares
     * around it */
    void (*outputs)(const struct winograd *w, const float *m, size_t m_point, size_t m_column,
                    float bias, float *y, float *means, float *squares);
    void (*outputs_back)(const struct winograd *w, const struct lanes_gradient *gradient, float *m,
                         size_t m_point, size_t m_column);
    void (*points_back)(const struct winograd *w, const float *v, size_t v_point, size_t v_column,
                        const struct lanes_sink *sink);
    /* The points u[point][16] = G f G^T of sixteen filters f[9][16], and f = G^T u G back. */
    void (*filters)(const struct winograd *w, const float *f, float *u, size_t u_point);
    void (*filters_back)(const struct winograd *w, const float *u, size_t u_point, float *f);
};

struct lanes_kernel {
    const char *name;
    bool (*can_run)(void);
    struct lanes_tile tiles[WINOGRAD_SHAPES]; /* by winograd.shape */
    /* m[column][row][16] (+)= sum over k of u[row][k] v[column][k][16]; where u[row][k] stands says
     * lanes_factor_at(). */
    void (*product)(const float *u, uint32_t rows, uint32_t n_k, const float *v, size_t v_column,
                    size_t v_k, uint32_t columns, float *m, size_t m_column, size_t m_row,
                    bool add);
    /* du[row][k] (+)= sum over columns and lanes of m[column][row][16] v[column][k][16]; du has
     * room for multiples of 32 k's, what stands there does not matter. */
    void (*correlate)(const float *m, size_t m_column, size_t m_row, uint32_t rows, const float *v,
                      size_t v_column, size_t v_k, uint32_t n_k, uint32_t columns, float *du,
                      size_t du_row, bool add);
    /* For one channel of one block: */
    /* y = relu(a x + c + skip); a, c [16]; skip may be NULL */
    void (*finish)(const float *x, const float *skip, const float *a, const float *c,
                   uint32_t cells, float *y);
    /* dy is set to 0 where y is; sums and products as in a sink. */
    void (*finish_back)(const float *x, const float *y, float pivot, uint32_t cells, float *dy,
                        float *sums, float *products);
    void (*moments)(const float *x, uint32_t cells, float *means, float *squares);
    void (*gradient)(const struct lanes_gradient *gradient, uint32_t cells, float *ret);
};

extern const struct lanes_kernel lanes_plain;
#if defined(__x86_64__)
extern const struct lanes_kernel lanes_avx2, lanes_avx512;
#endif

/* The kernel that the environment names in QZD_KERNEL, if it is one of these and the processor can
 * run it; else the best that it can. */
const struct lanes_kernel *lanes_choose(void);
/* Those of this build, best first, for tests; NULL from the last on. */
const struct lanes_kernel *lanes_nth(uint32_t i);

#endif
