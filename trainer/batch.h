/* A batch: rows of the window made ready for the net. Draws are a pure function of (seed, generation,
 * index), so a training that goes on from a checkpoint draws what it would have drawn. */
#ifndef TRAINER_BATCH_H
#define TRAINER_BATCH_H

#include "trainer/window.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The index-th draw from n rows: every row once, in a random order, before any comes again; each time
 * round in another order. */
uint64_t batch_draw(uint64_t seed, uint32_t generation, uint64_t n, uint64_t index);

struct batch_sample {
    uint32_t n_legal;
    float policy_weight, value_weight;
    struct wdl value;
    /* Borrowed from the batch, [n_legal], in ascending order of action: */
    uint16_t *legal;
    size_t *offsets; /* where the moves' logits stand among a model's (model_policy) */
    float *policy;   /* target; zeros if policy_weight is 0 */
    void *state;
};

struct batch {
    const struct game *game;
    uint32_t max, n;
    struct batch_sample *samples;
    uint16_t *legal;
    size_t *offsets;
    float *policy;
    uint8_t *states;
};

/* 0, ERROR_NO_MEMORY, or ERROR_UNSUPPORTED for a game with too large an input. */
int batch_init(struct batch *batch, const struct game *game, uint32_t max);
void batch_finish(struct batch *batch);

/* Fill with rows[0 .. n). Where flips is not NULL, flips[i] says whether row i is shown mirrored; else
 * each is shown as its canonical image, which is how the evaluator shows positions in play. The input
 * goes to ret_planes, laid out as model_forward() wants it. */
void batch_fill(struct batch *batch, const struct window *window,
                const struct window_row *const *rows, const bool *flips, uint32_t n,
                float *ret_planes);

#endif
