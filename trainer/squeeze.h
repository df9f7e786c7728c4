/* The end of a block: batch norm, squeeze-excitation and the skip connection (Hu et al. 2018, in
 * lc0's form). With z = scale x + shift, which batch norm makes of the block's last convolution x,
 *     pool = mean of z over the cells,  t = relu(W1 pool + b1),  (g, b) = W2 t + b2
 *     y = relu(sigmoid(g) z + b + skip)
 * squeeze 0: no excitation, y = relu(z + skip); skip may be NULL then. Activations as in lanes.h;
 * numbers by channel and position are [channels][positions of whole blocks]. */
#ifndef TRAINER_SQUEEZE_H
#define TRAINER_SQUEEZE_H

#include "trainer/batchnorm.h"
#include "trainer/crew.h"
#include "trainer/lanes.h"

#include <stdint.h>

struct squeeze_shape {
    uint32_t channels, squeeze;
    struct batchnorm_count count;
};

struct squeeze_weights {
    const float *w1, *b1; /* [squeeze][channels] */
    const float *w2, *b2; /* [2 channels][squeeze] */
};
struct squeeze_gradients {
    float *w1, *b1, *w2, *b2;
};

/* x and what is known of it. */
struct squeeze_input {
    const float *x;
    const float *means;         /* [channels][positions]: over the cells */
    const float *scale, *shift; /* [channels] */
    const float *mean;          /* [channels]: batch norm's */
    const float *beta;          /* [channels]: batch norm's, = scale mean + shift */
};

/* What the way back needs of the way there; and its scratch. Without excitation only sums and
 * products. */
struct squeeze_state {
    float *pool;            /* [channels][positions] */
    float *t;               /* [squeeze][positions] */
    float *gates;           /* [2 channels][positions]: sigmoid(g), b */
    float *dgates;          /* [2 channels][positions] */
    float *dt;              /* [squeeze][positions] */
    float *dpool;           /* [channels][positions] */
    float *sums, *products; /* [channels][positions]: of z's gradient, for batchnorm_backward */
};

void squeeze_forward(struct crew *crew, const struct lanes_kernel *kernel,
                     const struct squeeze_shape *shape, const struct squeeze_weights *weights,
                     const struct squeeze_input *input, const float *skip,
                     const struct squeeze_state *state, float *ret_y);
/* dy comes in as the gradient of y and goes out as that of skip. z has the gradient dy, or with
 * excitation gates dy + dpool / cells; state->sums and products are of that. The weights' gradients
 * are written later (crew_later()). */
void squeeze_backward(struct crew *crew, const struct lanes_kernel *kernel,
                      const struct squeeze_shape *shape, const struct squeeze_weights *weights,
                      const struct squeeze_input *input, const float *y,
                      const struct squeeze_state *state, float *dy,
                      const struct squeeze_gradients *gradients);

#endif
