/* Evaluation for many searches at once: takes the leaves that searches wait for, answers from the cache
 * what it can, gathers the rest, at most one leaf of each search, into one batch for the net. Workers,
 * suites and matches all use it. Not thread-safe.
 *
 * Cache and net only ever see the canonical one of two mirror images; the pool flips priors back, from
 * the cache or from the net alike, so that an answer's bits do not depend on where it came from.
 * Positions that are asked for twice in a batch are evaluated once. */
#ifndef SELFPLAY_POOL_H
#define SELFPLAY_POOL_H

#include "mcts/search.h"
#include "selfplay/eval_cache.h"
#include "trainer/net/evaluator.h"

struct pool_counters {
    uint64_t lookups; /* positions asked for: cache_hits + shared + evaluations, after pool_run() */
    uint64_t cache_hits;
    uint64_t shared;      /* found in the batch already */
    uint64_t evaluations; /* positions that the net computed */
    uint64_t batches;
};

struct pool;

/* Evaluator and cache are borrowed and must outlive the pool; cache may be NULL (none). evaluator may be
 * NULL until pool_set_evaluator(). At most max_batch positions wait at a time. NULL: out of memory. */
struct pool *pool_create(const struct game *game, struct evaluator *evaluator,
                         struct eval_cache *cache, uint32_t max_batch);
void pool_destroy(struct pool *pool); /* NULL is allowed */
/* Clears the cache and drops what waits. */
void pool_set_evaluator(struct pool *pool, struct evaluator *evaluator);
/* Forget the gathered leaves: their searches are about to begin again. */
void pool_drop(struct pool *pool);

/* Drive search until it is done (returns SEARCH_DONE, SEARCH_NO_MEMORY) or its leaf has been put into the batch
 * (SEARCH_NEEDS_EVALUATION). Before the next pool_run() no search may be advanced twice unless it is done. */
enum search_status pool_advance(struct pool *pool, struct search *search);
/* The net's word on one position, without a search: `take` is called with it now or in pool_run();
 * the evaluation and its priors are lent for the call. The leaf is copied. */
typedef void pool_take(const struct evaluation *evaluation, uint32_t index, void *context);
void pool_ask(struct pool *pool, const struct search_leaf *leaf, pool_take *take, uint32_t index,
              void *context);
uint32_t pool_waiting(const struct pool *pool); /* leaves gathered, shared ones included */
/* Evaluate the gathered leaves and hand them to their searches. Returns how many the net computed. */
uint32_t pool_run(struct pool *pool);
const struct pool_counters *pool_counters(const struct pool *pool);

#endif
