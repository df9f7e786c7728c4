/* A batch is a list of canonical positions (entries) and a list of those who wait for them (waiters),
 * several for one entry where searches met. Waiters keep the order in which they came, entries too, so
 * nothing here depends on addresses or hashing. */
#include "selfplay/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct game_key key;
    uint32_t n_legal;
};

struct waiter {
    struct search *search; /* NULL: ask is told instead */
    pool_take *take;
    void *context;
    uint32_t index;
    uint32_t entry;
    bool mirrored; /* its position is the mirror image of the entry's */
};

struct pool {
    const struct game *game;
    struct evaluator *evaluator;
    struct eval_cache *cache;
    uint32_t max_batch;
    size_t stride; /* bytes from a state to the next, kept aligned */
    uint32_t n_entries;
    uint32_t n_waiters;
    struct entry *entries;
    struct waiter *waiters;
    uint8_t *states; /* [max_batch][stride] */
    uint16_t *legal; /* [max_batch][max_legal] */
    uint16_t *ranks; /* [max_batch][max_legal], by waiter: see flip() */
    struct evaluator_request *requests;
    struct evaluation *evaluations;
    struct pool_counters counters;
    float priors[GAME_MAX_LEGAL]; /* an answer flipped back */
};

/* One position on its way in: the canonical image, its moves, and, if that is the mirror image, where
 * the prior of the i-th move of the position itself stands among the image's (`ranks`). */
struct canonical {
    const void *state;
    const uint16_t *legal;
    struct game_key key;
    bool mirrored;
};

struct pool *pool_create(const struct game *game, struct evaluator *evaluator,
                         struct eval_cache *cache, uint32_t max_batch)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    pool->game = game;
    pool->evaluator = evaluator;
    pool->cache = cache;
    pool->max_batch = max_batch;
    pool->stride = (game->state_bytes + 15) / 16 * 16;
    pool->entries = calloc(max_batch, sizeof *pool->entries);
    pool->waiters = calloc(max_batch, sizeof *pool->waiters);
    pool->states = calloc(max_batch, pool->stride);
    pool->legal = calloc(max_batch, game->max_legal * sizeof *pool->legal);
    pool->ranks = calloc(max_batch, game->max_legal * sizeof *pool->ranks);
    pool->requests = calloc(max_batch, sizeof *pool->requests);
    pool->evaluations = calloc(max_batch, sizeof *pool->evaluations);
    if (pool->entries == NULL || pool->waiters == NULL || pool->states == NULL ||
        pool->legal == NULL || pool->ranks == NULL || pool->requests == NULL ||
        pool->evaluations == NULL) {
        pool_destroy(pool);
        return NULL;
    }
    return pool;
}

void pool_destroy(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    free(pool->evaluations);
    free(pool->requests);
    free(pool->ranks);
    free(pool->legal);
    free(pool->states);
    free(pool->waiters);
    free(pool->entries);
    free(pool);
}

void pool_drop(struct pool *pool)
{
    pool->n_entries = 0;
    pool->n_waiters = 0;
}

void pool_set_evaluator(struct pool *pool, struct evaluator *evaluator)
{
    pool_drop(pool);
    pool->evaluator = evaluator;
    if (pool->cache != NULL) {
        eval_cache_clear(pool->cache);
    }
}

/* The image's moves in ascending order into ret_legal[n], and the place of each move's image into
 * ret_ranks[n]. Insertion from the back: where mirroring turns the order round, as with columns, each
 * move is in its place at once. */
static void mirror_moves(const struct game *game, const uint16_t *legal, uint32_t n,
                         uint16_t *ret_legal, uint16_t *ret_ranks)
{
    uint16_t origin[GAME_MAX_LEGAL]; /* which move's image stands there */
    uint32_t first = n;              /* ret_legal[first .. n - 1] is filled and sorted */
    for (uint32_t i = 0; i < n; i++) {
        uint16_t image = game->mirror_action(legal[i]);
        uint32_t at = --first;
        while (at + 1 < n && ret_legal[at + 1] < image) {
            ret_legal[at] = ret_legal[at + 1];
            origin[at] = origin[at + 1];
            at++;
        }
        ret_legal[at] = image;
        origin[at] = (uint16_t)i;
    }
    for (uint32_t at = 0; at < n; at++) {
        ret_ranks[origin[at]] = (uint16_t)at;
    }
}

/* An image is made in the place of the next entry, its ranks in that of the next waiter, which become
 * theirs if the position has to wait. */
static struct canonical canonical_of(struct pool *pool, const struct search_leaf *leaf)
{
    const struct game *game = pool->game;
    struct canonical canonical = {leaf->state, leaf->legal, {0, 0}, false};

    if (!game->is_canonical(leaf->state)) {
        uint8_t *image = pool->states + pool->n_entries * pool->stride;
        uint16_t *legal = pool->legal + (size_t)pool->n_entries * game->max_legal;
        game->mirror(leaf->state, image);
        mirror_moves(game, leaf->legal, leaf->n_legal, legal,
                     pool->ranks + (size_t)pool->n_waiters * game->max_legal);
        canonical.state = image;
        canonical.legal = legal;
        canonical.mirrored = true;
    }
    canonical.key = game->key(canonical.state);
    return canonical;
}

/* The evaluation of the waiter's own position: of its image with the priors put back in place. */
static struct evaluation flip(struct pool *pool, const struct evaluation *image, uint32_t waiter)
{
    const uint16_t *ranks = pool->ranks + (size_t)waiter * pool->game->max_legal;
    struct evaluation own = *image;
    for (uint32_t i = 0; i < own.n_priors; i++) {
        pool->priors[i] = image->priors[ranks[i]];
    }
    own.priors = pool->priors;
    return own;
}

/* Index of the entry of that position, made if there is none. A scan: batches are small. */
static uint32_t entry_for(struct pool *pool, const struct canonical *canonical, uint32_t n_legal)
{
    for (uint32_t i = 0; i < pool->n_entries; i++) {
        const struct entry *entry = &pool->entries[i];
        if (entry->key.lo == canonical->key.lo && entry->key.hi == canonical->key.hi &&
            entry->n_legal == n_legal) {
            pool->counters.shared++;
            return i;
        }
    }
    uint32_t i = pool->n_entries;
    uint8_t *state = pool->states + i * pool->stride;
    uint16_t *legal = pool->legal + (size_t)i * pool->game->max_legal;
    if (!canonical->mirrored) { /* an image stands there already */
        memcpy(state, canonical->state, pool->game->state_bytes);
        memcpy(legal, canonical->legal, n_legal * sizeof *legal);
    }
    pool->entries[i] = (struct entry){canonical->key, n_legal};
    pool->requests[i] = (struct evaluator_request){state, n_legal, legal};
    pool->n_entries++;
    return i;
}

/* True: *ret is the answer, lent until the next call. False: the waiter stands in the batch. */
static bool answer_or_wait(struct pool *pool, const struct search_leaf *leaf,
                           const struct waiter *waiter, struct evaluation *ret)
{
    assert(pool->evaluator != NULL && pool->n_waiters < pool->max_batch);
    struct canonical canonical = canonical_of(pool, leaf);
    struct evaluation cached;

    pool->counters.lookups++;
    if (pool->cache != NULL && eval_cache_get(pool->cache, canonical.key, leaf->n_legal, &cached)) {
        pool->counters.cache_hits++;
        *ret = canonical.mirrored ? flip(pool, &cached, pool->n_waiters) : cached;
        return true;
    }
    struct waiter *place = &pool->waiters[pool->n_waiters];
    *place = *waiter;
    place->entry = entry_for(pool, &canonical, leaf->n_legal);
    place->mirrored = canonical.mirrored;
    pool->n_waiters++;
    return false;
}

enum search_status pool_advance(struct pool *pool, struct search *search)
{
    const struct waiter waiter = {.search = search};
    struct search_leaf leaf;
    struct evaluation evaluation;

    for (;;) {
        enum search_status status = search_next(search, &leaf);
        if (status != SEARCH_NEEDS_EVALUATION ||
            !answer_or_wait(pool, &leaf, &waiter, &evaluation)) {
            return status;
        }
        search_apply(search, &evaluation);
    }
}

void pool_ask(struct pool *pool, const struct search_leaf *leaf, pool_take *take, uint32_t index,
              void *context)
{
    const struct waiter waiter = {.take = take, .context = context, .index = index};
    struct evaluation evaluation;

    if (answer_or_wait(pool, leaf, &waiter, &evaluation)) {
        take(&evaluation, index, context);
    }
}

uint32_t pool_waiting(const struct pool *pool)
{
    return pool->n_waiters;
}

uint32_t pool_run(struct pool *pool)
{
    uint32_t n = pool->n_entries;
    if (n == 0) {
        return 0;
    }
    evaluator_run(pool->evaluator, pool->requests, n, pool->evaluations);
    pool->counters.evaluations += n;
    pool->counters.batches++;
    for (uint32_t i = 0; pool->cache != NULL && i < n; i++) {
        eval_cache_put(pool->cache, pool->entries[i].key, &pool->evaluations[i]);
    }
    for (uint32_t i = 0; i < pool->n_waiters; i++) {
        const struct waiter *waiter = &pool->waiters[i];
        struct evaluation evaluation = pool->evaluations[waiter->entry];
        if (waiter->mirrored) {
            evaluation = flip(pool, &evaluation, i);
        }
        if (waiter->search != NULL) {
            search_apply(waiter->search, &evaluation);
        } else {
            waiter->take(&evaluation, waiter->index, waiter->context);
        }
    }
    pool_drop(pool);
    return n;
}

const struct pool_counters *pool_counters(const struct pool *pool)
{
    return &pool->counters;
}
