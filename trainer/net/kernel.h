/* What inference.c is made of, once for each kind of processor: AVX-512, AVX2 with FMA, and plain C on vectors
 * of 16 bytes (also arm64); and for AVX-512 again in bf16, by its own instructions and by AMX's tiles. They are one
 * source, kernel_template.h, compiled once for each; which of them runs is decided at run time.
 *
 * Layouts, with L = lanes floats a vector and channels padded to whole vectors with zeros:
 *   activation   [channels / L][cells][L]            of one position
 *   rows         [channels / L][n_rows][L]           the left side of a product: n_rows vectors of channels
 *   weights      [n_in][vectors][L]                  its right side, `vectors` of the output channels at a time
 *   outcome      [n_rows][vectors][L]
 * In bf16 the points of a convolution (rows and weights of product_points) have pairs of channels in place of
 * floats, an even channel in the lower half: a vector of 2 L channels takes the place of one of L, and n_in counts
 * pairs; they and the weights are padded with zeros to whole vectors or, of the weights, to a multiple of `steps`.
 * A 3x3 convolution is Winograd's: the activation is cut into tiles of (tile_height + 2) x (tile_width + 2)
 * cells that overlap by 2, each is transformed into as many points, and for each point one product of
 * [tiles of all positions] by [in][out] is made; the outcome is transformed back. (A. Lavin, S. Gray: Fast
 * Algorithms for Convolutional Neural Networks, 2015; winograd.c has the transforms' points.) Where products cost little
 * beside the transforms (AMX) nothing is transformed: the points are a cell's neighbours, and the product adds them up.
 *
 * Every sum is taken in an order that depends on the net alone. So an evaluation's bits do not depend on
 * its batch; between kernels they differ. All pointers are aligned to 64 bytes. */
#ifndef TRAINER_NET_KERNEL_H
#define TRAINER_NET_KERNEL_H

#include "storage/error.h"
#include "trainer/net/winograd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is multiplied in the 3x3 convolutions behind the first: all else is fp32 in each kernel. */
enum kernel_precision {
    KERNEL_FP32,
    KERNEL_BF16, /* both sides rounded to bf16 (8 bits of significand), their products summed in fp32 */
};

enum {
    KERNEL_MAX_LANES = 16,
    KERNEL_MAX_VECTORS = 4, /* of output channels in one product */
};

/* What happens to a convolution's sums on their way into the activation. */
enum kernel_ending {
    KERNEL_RELU,     /* y = relu(sum + shift) */
    KERNEL_RESIDUAL, /* y = relu(sum + shift + y) */
    KERNEL_MEANS,    /* y = sum + shift, and the means of y over the cells for squeeze-excitation */
};

struct kernel_tile {
    /* Points of one position's tiles from its activation x: v[point][in / joined / L][left_rows][L], points v_point
     * and blocks of channels v_block floats apart; v is the place of its first tile. */
    void (*transform)(const struct winograd *w, const float *x, uint32_t blocks, float *v,
                      size_t v_point, size_t v_block);
    /* The activation y[vectors][cells][L] of one position from the outcome m[point][outcome_rows][vectors][L], points
     * m_point floats apart; m is the place of its first tile. shift[vectors][L]. means (KERNEL_MEANS): vectors
     * means_block floats apart. NULL of cells. */
    void (*inverse)(const struct winograd *w, const float *m, size_t m_point, uint32_t vectors,
                    const float *shift, enum kernel_ending ending, float *y, float *means,
                    size_t means_block);
};

/* A convolution over input planes, most of whose cells are 0: weight[planes][9][vectors][L] is added for each cell
 * that is not; a plane that holds one value everywhere adds constant[planes][16][vectors][L], by which
 * neighbours the cell has: 1 above, 2 below, 4 left, 8 right. The rest is room to work in. */
struct kernel_hit {
    uint32_t
        at; /* floats to its plane's weights, of a cell with its column's (kernel_input.columns) */
    float value;
};
struct kernel_input {
    uint32_t planes, height, width, vectors;
    const float *weight, *constant, *shift;
    uint32_t *columns;               /* [cells]: where the weights of a cell's column begin */
    struct kernel_hit *constants;    /* [planes] */
    struct kernel_hit *found, *hits; /* [planes * cells] */
    uint32_t *found_cell;            /* [planes * cells] */
    uint32_t *first;                 /* [cells + 1] */
};

/* A convolution's products, one a point: m[n_rows][vectors][L] = rows v (blocks of channels v_block floats apart) times
 * u[n_in][vectors][L]. From point to point v_point, m_point and n_in * vectors * L floats. */
struct kernel_points {
    const float *v, *u;
    float *m;
    size_t v_block, v_point, m_point;
    uint32_t n_points, n_rows, n_in, vectors;
};

/* A convolution of cells (winograd.summed), whole: the products of n positions, added up over each cell's neighbours, and their
 * ending. What it leaves is the activation y (KERNEL_MEANS), or the rows `next` of the next convolution, so that no pass is
 * needed between two of them (KERNEL_RELU: one of the two), or both (KERNEL_RESIDUAL). */
struct kernel_cells {
    const struct winograd *winograd;
    const float
        *v; /* the row of the first position's first cell; blocks of channels v_block apart */
    const float *u;
    size_t v_block;
    uint32_t n, n_in, vectors;
    float *m;           /* room for the outcome of two positions, [outcome_rows][vectors][L] each */
    const float *shift; /* [vectors][L] */
    enum kernel_ending ending;
    float *
        y; /* of the first position, from these vectors on; positions y_position apart. NULL: none */
    size_t y_position;
    float *means; /* of the first position; vectors means_block floats apart */
    size_t means_block;
    float *next; /* the block of these vectors, laid out as v. NULL: none */
};

struct kernel {
    const char *name; /* as inference.kernel names it: "avx512" */
    const char *id;   /* with its precision, for searches.kernel: "winograd-fp32/avx512" */
    enum kernel_precision precision;
    uint32_t lanes;
    uint32_t vectors; /* the most in one product */
    uint32_t joined;  /* vectors of channels in one of a convolution's points: 1, in bf16 2 */
    enum winograd_size tile_size;
    /* kernel_points.n_in is a multiple of it, and u is [n_in / steps][vectors][steps][L] */
    uint32_t steps;
    bool (*can_run)(void);
    struct kernel_tile tiles[WINOGRAD_SHAPES]; /* by winograd.shape */
    /* m[n_rows][vectors][L] = rows v (blocks of channels v_block floats apart) times u[n_in][vectors][L]. */
    void (*product)(const float *v, size_t v_block, uint32_t n_rows, const float *u, uint32_t n_in,
                    uint32_t vectors, float *m);
    void (*product_points)(const struct kernel_points *points); /* NULL: it has convolve_cells */
    void (*convolve_cells)(const struct kernel_cells *cells);   /* NULL: it has product_points */
    /* x[vectors][cells][L] = relu(convolution + shift) */
    void (*input)(const struct kernel_input *input, const float *planes, float *x);
    /* rows ret[vectors][n_rows][L] (vectors ret_block floats apart) = m[n_rows][vectors][L] + bias, relu or not */
    void (*bias)(const float *m, uint32_t n_rows, uint32_t vectors, const float *bias, bool relu,
                 float *ret, size_t ret_block);
    /* x = relu(sigmoid(excited) y + x + excited behind it): excited has 2 * blocks vectors, excited_block apart. next: the
     * rows of the next convolution, of cells, blocks next_block floats apart; NULL: none. */
    void (*excite)(const struct winograd *w, const float *excited, size_t excited_block,
                   const float *y, uint32_t blocks, float *x, float *next, size_t next_block);
    /* The dot product of weight[9][blocks][L] with the 3x3 cells around (row, column) of the activation x. */
    float (*dot)(const float *weight, const float *x, uint32_t blocks, uint32_t height,
                 uint32_t width, uint32_t row, uint32_t column);
};

extern const struct kernel kernel_plain;
#if defined(__x86_64__)
extern const struct kernel kernel_avx2, kernel_avx512, kernel_avx512_bf16, kernel_amx;
#endif

/* The best of a precision that this processor can run, NULL if there is none (which cannot be for fp32); or the one
 * of that name. Where NULL is returned *ret_why, a static sentence, says why. */
const struct kernel *kernel_best(enum kernel_precision precision, const char **ret_why);
const struct kernel *kernel_find(const char *name, enum kernel_precision precision,
                                 const char **ret_why);

/* The one of that id; NULL: there is none in this build, or this processor cannot run it. */
const struct kernel *kernel_by_id(const char *id);

/* Which one the environment asks for: QZD_KERNEL (a name; unset or empty: the best) and QZD_PRECISION ("fp32", "bf16",
 * "auto": bf16 by AMX, which is faster by half and more and costs no strength (README.md), else fp32; unset or empty:
 * fp32), as the daemon sets them for its children from inference.kernel and inference.precision. ERROR_UNSUPPORTED names
 * what is wrong with either. */
int kernel_choose(const struct kernel **ret, struct error *err);
/* The same choice in fp32 (of amx, which has none, the best), what a net is computed by whose values bf16 would change
 * too much. */
const struct kernel *kernel_in_fp32(const struct kernel *kernel);

#endif
