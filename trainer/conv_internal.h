/* What conv.c, which has the memory and the calls, shares with conv3.c and conv1.c, which do the work of
 * a 3x3 and of a 1x1 convolution. */
#ifndef TRAINER_CONV_INTERNAL_H
#define TRAINER_CONV_INTERNAL_H

#include "trainer/conv.h"

struct conv_work {
    struct crew *crew;
    const struct lanes_kernel *kernel;
    struct winograd winograd;
    uint32_t cells;
    uint32_t chunk; /* blocks */
    float *memory;  /* of all that follows: in one piece it is large enough for huge pages */
    float *u;       /* weights as points */
    /* Each worker's own, so many floats apart: */
    size_t point_floats, du_floats;
    float *v, *m; /* the points of x, and in their place those of dx; of y or dy */
    float *du;    /* gradient of weights as points */
};

/* Whatever goes over points takes a block's channels one after another, as they lie: a channel has
 * a line in each point, and the next channel the next line.
 *
 * Strides of points: [point][column][channel][16]. Odd numbers of cache lines, or the points of a
 * tile, which are written one after another, would fall on few sets of the cache. */
struct conv_strides {
    size_t column, point;
};

/* What a call shares among the crew. */
struct conv_job {
    struct conv_work *work;
    struct conv_shape shape;
    const float *weight, *bias;
    const struct conv_input *input;
    const struct conv_output *output;
    const struct conv_gradient *gradient;
    const struct conv_sink *sink; /* NULL: not wanted */
    uint32_t n;
    size_t blocks;               /* of the batch */
    struct conv_strides in, out; /* of points with so many channels */
    size_t u_point;              /* of u, turned or not */
    size_t du_row, du_point;
    float *dweight;
};
_Static_assert(sizeof(struct conv_job) <= CREW_CONTEXT, "its last part is put off");

static inline size_t conv_floats_of_block(const struct conv_job *job)
{
    return (size_t)job->work->cells * LANES;
}

/* A channel's block among activations of so many channels, and among numbers by position. */
static inline size_t conv_block_at(const struct conv_job *job, size_t channels, size_t channel,
                                   size_t block)
{
    return (block * channels + channel) * conv_floats_of_block(job);
}

static inline size_t conv_positions_at(const struct conv_job *job, size_t channel, size_t block)
{
    return (channel * job->blocks + block) * LANES;
}

/* A worker's blocks [*ret_first, *ret_end), whole chunks but for the last. */
void conv_share_blocks(const struct conv_job *job, uint32_t worker, uint32_t n_workers,
                       size_t *ret_first, size_t *ret_end);

/* A worker's place of work: its own points and sums. */
struct conv_bench {
    float *v, *m, *du;
};
struct conv_bench conv_bench_of(const struct conv_job *job, uint32_t worker);

/* Batch norm's factors for a block's positions. */
struct conv_factors {
    float a[LANES], b[LANES], c[LANES];
};
/* The gradient of y over a channel of a block; *factors, aligned to a vector, is what it points to. */
struct lanes_gradient conv_gradient_of(const struct conv_job *job, size_t channel, size_t block,
                                       struct conv_factors *factors);

/* Add the other workers' sums (du) to the first's: rows [first, end) of so many points. */
void conv_add_sums(const struct conv_job *job, size_t points, size_t first, size_t end);

/* The whole of either way. Of backward, dweight may be put off (crew_later()). */
void conv3_forward(struct conv_job *job);
void conv3_backward(struct conv_job *job);
void conv1_forward(struct conv_job *job);
void conv1_backward(struct conv_job *job);

#endif
