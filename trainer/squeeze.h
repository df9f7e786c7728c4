/* Squeeze-excitation with the skip connection behind it (Hu et al. 2018, in lc0's form):
 *     pool = mean of x over the cells,  t = relu(W1 pool + b1),  (g, b) = W2 t + b2
 *     y = relu(sigmoid(g) x + b + skip)
 * squeeze 0: no excitation, y = relu(x + skip). Activations are [channels][n][cells]. */
#ifndef TRAINER_SQUEEZE_H
#define TRAINER_SQUEEZE_H

#include "trainer/crew.h"

#include <stdint.h>

struct squeeze_shape {
    uint32_t channels, squeeze, cells;
};

struct squeeze_weights {
    const float *w1, *b1; /* [squeeze][channels] */
    const float *w2, *b2; /* [2 channels][squeeze] */
};
struct squeeze_gradients {
    float *w1, *b1, *w2, *b2;
};

/* What the way back needs of the way there; and its scratch. */
struct squeeze_state {
    float *pool;   /* [channels][n] */
    float *t;      /* [squeeze][n] */
    float *gates;  /* [2 channels][n]: sigmoid(g), b */
    float *dgates; /* [2 channels][n] */
    float *dt;     /* [squeeze][n] */
    float *dpool;  /* [channels][n] */
};

void squeeze_forward(struct crew *crew, const struct squeeze_shape *shape,
                     const struct squeeze_weights *weights, const float *x, const float *skip,
                     uint32_t n, struct squeeze_state *state, float *ret_y);
/* dy comes in as the gradient of y and goes out as that of skip; ret_dx is written. */
void squeeze_backward(struct crew *crew, const struct squeeze_shape *shape,
                      const struct squeeze_weights *weights, const float *x, const float *y,
                      uint32_t n, struct squeeze_state *state, float *dy,
                      const struct squeeze_gradients *gradients, float *ret_dx);

#endif
