/* What inference.c (which runs a net) and inference_pack.c (which lays it out and packs its weights) share.
 * For these two alone. */
#ifndef TRAINER_NET_INFERENCE_INTERNAL_H
#define TRAINER_NET_INFERENCE_INTERNAL_H

#include "trainer/net/inference.h"
#include "trainer/net/kernel.h"

enum {
    /* Between the points of a chunk: their strides would else be powers of two, and all points of a tile
     * fall into the same few lines of the cache. */
    INFERENCE_POINT_PADDING = 48,
};

/* A right side of products: [group][point][in][vectors][lanes], groups of kernel->vectors or fewer. Where `pairs` is
 * set, [in] is [steps] and each float two bf16, an even input in the lower half; and of [steps][vectors] the steps are taken in
 * groups of kernel->steps: [steps / group][vectors][group]. */
struct weights {
    uint32_t in, vectors, points;
    uint32_t
        steps; /* of a product over the inputs: as many, of pairs half as many, and the kernel's padding */
    bool pairs;
    float *data;
    float *shift; /* [vectors][lanes]: bias, or what is left of the batch norm */
};

struct block {
    struct weights conv1, conv2;
    struct weights squeeze, excite; /* with SE only */
};

struct inference {
    struct net_arch arch;
    const struct kernel *kernel;
    struct winograd winograd;
    uint32_t chunk;
    uint32_t cells;
    uint32_t channel_blocks; /* vectors of the filters */
    uint32_t point_blocks;   /* vectors of a tile's point: fewer in bf16 */
    size_t activation;       /* floats of one position */

    float *memory; /* all that follows points in here */
    struct kernel_input input;
    float *input_weight, *input_constant, *input_shift;
    struct block *blocks;
    struct weights policy1;
    float *policy_weight; /* [policy_planes][9][channel_blocks][lanes] */
    float *policy_bias;
    struct weights value_conv, value1, value2;

    float *x, *y; /* [chunk] activations */
    float *v, *m; /* points of a convolution's two sides */
    float *
        next_v; /* the left side of the one behind it, where that is of cells; it and v take turns */
    float *means, *squeezed, *excited; /* rows, as kernel.h has them */
    float *flat, *hidden, *value;
};

/* Vectors of so many channels. */
uint32_t inference_vectors(const struct inference *inf, uint32_t channels);
/* Rows of a convolution's left side for n positions. Those of cells stand at the same places whatever n is, so that the
 * zeros between them are never written. */
size_t inference_left_rows(const struct inference *inf, uint32_t n);

/* Floats that a net takes, and its parts' places in memory of that size; without memory they are only counted. */
size_t inference_place(struct inference *inf, float *memory);
/* Weights into their places, which hold zeros. */
void inference_pack(struct inference *inf, const struct net *net);

#endif
