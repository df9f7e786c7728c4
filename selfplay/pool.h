/* Evaluation for many searches at once: takes the leaves that searches wait for, answers from the cache
 * what it can, gathers the rest, at most one leaf of each search, into one batch for the net. Workers,
 * suites and matches all use it. Not thread-safe. */
#ifndef SELFPLAY_POOL_H
#define SELFPLAY_POOL_H

#include "mcts/search.h"
#include "selfplay/eval_cache.h"
#include "trainer/net/evaluator.h"

struct pool_counters {
    uint64_t lookups;     /* positions that searches asked for */
    uint64_t cache_hits;
    uint64_t evaluations; /* positions that the net computed */
    uint64_t batches;
};

struct pool;

/* Evaluator and cache are borrowed and must outlive the pool; cache may be NULL (none). */
struct pool *pool_create(const struct game *game, struct evaluator *evaluator,
                         struct eval_cache *cache, uint32_t max_batch);
void pool_destroy(struct pool *pool); /* NULL is allowed */
void pool_set_evaluator(struct pool *pool, struct evaluator *evaluator); /* clears the cache */

/* Drive search until it is done (returns SEARCH_DONE, SEARCH_NO_MEMORY) or its leaf has been put into the batch
 * (SEARCH_NEEDS_EVALUATION). Before the next pool_run() no search may be advanced twice unless it is done. */
enum search_status pool_advance(struct pool *pool, struct search *search);
/* Evaluate the gathered leaves and hand them to their searches. Returns how many there were. */
uint32_t pool_run(struct pool *pool);
const struct pool_counters *pool_counters(const struct pool *pool);

#endif
