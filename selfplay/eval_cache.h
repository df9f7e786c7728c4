/* Evaluation cache: what the net said of a position, so that no position is evaluated twice. Keys are
 * canonical (a position and its mirror image share an entry: the caller looks up the canonical one and
 * flips priors) and, for games whose key is exact, so is the cache. Entries keep full bits; only net
 * outputs are kept, never proofs. One cache serves one worker and one net; not thread-safe. It may
 * forget an entry at any time, so callers must be right without it. */
#ifndef SELFPLAY_EVAL_CACHE_H
#define SELFPLAY_EVAL_CACHE_H

#include "mcts/evaluation.h"
#include "mcts/game.h"

#include <stdbool.h>
#include <stddef.h>

struct eval_cache;

/* For at least n_entries positions of at most max_priors legal moves each (both above 0). Takes all its
 * memory now. The caller owns it. NULL: out of memory. */
struct eval_cache *eval_cache_create(size_t n_entries, uint32_t max_priors);
void eval_cache_destroy(struct eval_cache *cache); /* NULL is allowed */
/* On a hit fill *ret and return true; ret->priors points into the cache until the next put, clear or
 * destroy. On a miss leave *ret alone. */
bool eval_cache_get(struct eval_cache *cache, struct game_key key, uint32_t n_priors,
                    struct evaluation *ret);
/* Copy *eval in, replacing the entry of the same key. More than max_priors moves: not kept. */
void eval_cache_put(struct eval_cache *cache, struct game_key key, const struct evaluation *eval);
void eval_cache_clear(struct eval_cache *cache); /* call it when the net changes */
size_t eval_cache_bytes(const struct eval_cache *cache);

#endif
