#include "trainer/batch.h"
#include "mcts/random.h"
#include "trainer/lanes.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_INPUT = 256 * 64 }; /* floats of one position's planes, for a buffer on the stack */

/* A keyed permutation of 0 .. n - 1 without a table: a Feistel network over the next power of four,
 * walked until it lands below n (Black & Rogaway 2002, "cycle walking"). */
uint64_t batch_draw(uint64_t seed, uint32_t generation, uint64_t n, uint64_t index)
{
    enum { ROUNDS = 4 };
    const uint64_t epoch = index / n;
    uint64_t value = index % n;
    uint32_t half_bits = 1;

    while (half_bits < 31 && (UINT64_C(1) << (2 * half_bits)) < n) {
        half_bits++;
    }
    const uint64_t mask = (UINT64_C(1) << half_bits) - 1;
    do {
        uint64_t left = value >> half_bits;
        uint64_t right = value & mask;
        for (uint64_t round = 0; round < ROUNDS; round++) {
            uint64_t key = ((epoch * ROUNDS + round) << 32) + right;
            uint64_t mixed = left ^ (random_u64(seed, generation, RANDOM_SAMPLE, key) & mask);
            left = right;
            right = mixed;
        }
        value = (left << half_bits) | right;
    } while (value >= n);
    return value;
}

int batch_init(struct batch *batch, const struct game *game, uint32_t max)
{
    const size_t moves = (size_t)max * game->max_legal;
    /* so that states are aligned for any game */
    const size_t stride = (game->state_bytes + 7) / 8 * 8;

    *batch = (struct batch){.game = game, .max = max};
    if ((size_t)game->n_planes * game->height * game->width > MAX_INPUT) {
        return ERROR_UNSUPPORTED;
    }
    batch->samples = calloc(max, sizeof(*batch->samples));
    batch->legal = calloc(moves, sizeof(*batch->legal));
    batch->offsets = calloc(moves, sizeof(*batch->offsets));
    batch->policy = calloc(moves, sizeof(*batch->policy));
    batch->states = calloc(max, stride);
    if (batch->samples == NULL || batch->legal == NULL || batch->offsets == NULL ||
        batch->policy == NULL || batch->states == NULL) {
        batch_finish(batch);
        return ERROR_NO_MEMORY;
    }
    for (size_t i = 0; i < max; i++) {
        struct batch_sample *sample = &batch->samples[i];
        sample->legal = batch->legal + i * game->max_legal;
        sample->offsets = batch->offsets + i * game->max_legal;
        sample->policy = batch->policy + i * game->max_legal;
        sample->state = batch->states + i * stride;
    }
    return 0;
}

void batch_finish(struct batch *batch)
{
    free(batch->samples);
    free(batch->legal);
    free(batch->offsets);
    free(batch->policy);
    free(batch->states);
    *batch = (struct batch){0};
}

static void fill_policy(const struct batch *batch, const struct window *window,
                        const struct window_row *row, bool flip, struct batch_sample *sample)
{
    const struct game *game = batch->game;
    const uint16_t *actions = window->policy_actions + row->first_policy;
    const float *shares = window->policy_shares + row->first_policy;

    memset(sample->policy, 0, sample->n_legal * sizeof(float));
    for (uint32_t i = 0; i < row->n_policy; i++) {
        uint16_t action = flip ? game->mirror_action(actions[i]) : actions[i];
        uint32_t j = 0;
        while (j < sample->n_legal && sample->legal[j] != action) {
            j++;
        }
        if (j < sample->n_legal) { /* always: the window has checked it */
            sample->policy[j] = shares[i];
        }
    }
}

static void fill_sample(struct batch *batch, const struct window *window,
                        const struct window_row *row, const bool *flips, uint32_t i,
                        float *ret_planes)
{
    const struct game *game = batch->game;
    struct batch_sample *sample = &batch->samples[i];
    const size_t cells = (size_t)game->height * game->width;
    float planes[MAX_INPUT];
    union game_state state;

    window_state(window, row, &state);
    const bool flip = game->has_mirror && (flips != NULL ? flips[i] : !game->is_canonical(&state));
    if (flip) {
        game->mirror(&state, sample->state);
    } else {
        memcpy(sample->state, &state, game->state_bytes);
    }
    sample->n_legal = game->legal(sample->state, sample->legal);
    sample->policy_weight = row->policy_weight;
    sample->value_weight = row->value_weight;
    sample->value = row->value;
    for (uint32_t j = 0; j < sample->n_legal; j++) {
        const uint32_t index = game->policy_index(sample->state, sample->legal[j]);
        sample->offsets[j] = lanes_at(game->policy_planes, cells, i, index / cells, index % cells);
    }
    fill_policy(batch, window, row, flip, sample);
    game->planes(sample->state, planes);
    for (size_t p = 0; p < game->n_planes; p++) {
        float *to = ret_planes + lanes_at(game->n_planes, cells, i, p, 0);
        for (size_t cell = 0; cell < cells; cell++) {
            to[cell * LANES] = planes[p * cells + cell];
        }
    }
}

void batch_fill(struct batch *batch, const struct window *window,
                const struct window_row *const *rows, const bool *flips, uint32_t n,
                float *ret_planes)
{
    batch->n = n;
    for (uint32_t i = 0; i < n; i++) {
        fill_sample(batch, window, rows[i], flips, i, ret_planes);
    }
}
