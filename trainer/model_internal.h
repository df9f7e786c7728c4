/* What model.c (the way there and back) and model_memory.c share. */
#ifndef TRAINER_MODEL_INTERNAL_H
#define TRAINER_MODEL_INTERNAL_H

#include "trainer/conv.h"
#include "trainer/model.h"
#include "trainer/net/net_layout.h"
#include "trainer/squeeze.h"

#include <stdbool.h>

/* A convolution with batch norm behind it. Numbers by position are [channels][positions]. */
struct unit {
    float *sum;             /* what the convolution gives, [blocks][channels][cells][16] */
    float *means, *squares; /* of its positions */
    float *scale, *shift;   /* batch norm, [channels] */
    float *sums, *products; /* of the gradient behind batch norm */
};

struct block_state {
    struct unit first, second;
    struct squeeze_state squeeze;
    float *out;
};

struct model {
    struct net_arch arch;
    struct crew *crew;
    const struct lanes_kernel *kernel;
    struct conv_work *work;
    struct net_layout layout;
    struct net *shape; /* for its table of tensors alone */
    uint32_t max_batch, cells;
    uint32_t n; /* of the last forward */
    enum model_mode mode;
    const float *planes; /* of the last forward */
    float *statistics;

    struct unit input, policy_unit, value_unit;
    struct squeeze_state input_end, value_end; /* batch norm and relu alone */
    float *input_out, *value_out;
    struct block_state *blocks;
    float *policy, *policy_means, *policy_squares, *dpolicy;
    float *features; /* [value_filters * cells][positions] */
    float *hidden;   /* [value_hidden][positions] */
    float *value, *dvalue;

    float *dfeatures, *dhidden, *dvalue_out;
    float *a, *b, *c;       /* of a unit's gradient, [channels]: see conv_gradient */
    float *dtrunk, *dinner; /* [blocks][filters][cells][16] */
    float **owned;          /* every buffer above */
    uint32_t n_owned, room_owned;
    bool no_memory;
};

#endif
