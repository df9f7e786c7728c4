/* Design. A table of sets of four slots; a key may sit in any slot of its set, and the least
 * recently used one makes room. Four ways lose little against a full LRU and need no lists: a
 * lookup touches one set and, on a hit, one row of priors. Keys may be plain bitboards, whose bits
 * are far from random, so the set comes from a mix of both halves. Invariant: last_used == 0
 * exactly in the empty slots. */
#include "selfplay/eval_cache.h"

#include <stdlib.h>
#include <string.h>

enum { WAYS = 4 };

struct slot {
    struct game_key key;
    uint64_t last_used;
    uint32_t n_priors;
    float v, d, m;
};

struct eval_cache {
    size_t n_sets;
    uint32_t max_priors;
    uint64_t clock;
    struct slot *slots; /* [n_sets][WAYS] */
    float *priors;      /* [n_sets][WAYS][max_priors] */
};

/* SplitMix64's finaliser (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

static struct slot *set_of(const struct eval_cache *cache, struct game_key key)
{
    uint64_t bits = mix(key.lo + 0x9E3779B97F4A7C15U * key.hi + mix(key.hi));
    /* The high half, scaled to 0 .. n_sets - 1 (Lemire 2019): no division, any number of sets. */
    return cache->slots + (size_t)(((bits >> 32) * cache->n_sets) >> 32) * WAYS;
}

static float *priors_of(const struct eval_cache *cache, const struct slot *slot)
{
    return cache->priors + (size_t)(slot - cache->slots) * cache->max_priors;
}

static bool same_key(struct game_key a, struct game_key b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

struct eval_cache *eval_cache_create(size_t n_entries, uint32_t max_priors)
{
    size_t n_sets = n_entries / WAYS + (n_entries % WAYS != 0);
    if (n_sets > UINT32_MAX) { /* 16 billion entries: set_of() could not address them */
        return NULL;
    }
    struct eval_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        return NULL;
    }
    cache->n_sets = n_sets;
    cache->max_priors = max_priors;
    cache->slots = calloc(n_sets * WAYS, sizeof *cache->slots);
    cache->priors = calloc(n_sets * WAYS, max_priors * sizeof *cache->priors);
    if (cache->slots == NULL || cache->priors == NULL) {
        eval_cache_destroy(cache);
        return NULL;
    }
    return cache;
}

void eval_cache_destroy(struct eval_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    free(cache->priors);
    free(cache->slots);
    free(cache);
}

bool eval_cache_get(struct eval_cache *cache, struct game_key key, uint32_t n_priors,
                    struct evaluation *ret)
{
    struct slot *set = set_of(cache, key);

    for (struct slot *slot = set; slot < set + WAYS; slot++) {
        /* Where keys are hashes two positions can share one. Asking for the same number of moves
         * makes most such pairs miss, and never gives a search priors for moves that do not exist. */
        if (slot->last_used != 0 && same_key(slot->key, key) && slot->n_priors == n_priors) {
            slot->last_used = ++cache->clock;
            *ret = (struct evaluation){slot->v, slot->d, slot->m, n_priors, priors_of(cache, slot)};
            return true;
        }
    }
    return false;
}

void eval_cache_put(struct eval_cache *cache, struct game_key key, const struct evaluation *eval)
{
    if (eval->n_priors > cache->max_priors) {
        return;
    }
    struct slot *set = set_of(cache, key);
    struct slot *place = set;
    for (struct slot *slot = set; slot < set + WAYS; slot++) {
        if (slot->last_used != 0 && same_key(slot->key, key)) {
            place = slot;
            break;
        }
        if (slot->last_used < place->last_used) { /* an empty slot is older than any */
            place = slot;
        }
    }
    *place = (struct slot){key, ++cache->clock, eval->n_priors, eval->v, eval->d, eval->m};
    /* memmove: an evaluation that get() lent out may be put back. */
    memmove(priors_of(cache, place), eval->priors, eval->n_priors * sizeof *eval->priors);
}

void eval_cache_clear(struct eval_cache *cache)
{
    if (cache->clock == 0) {
        return; /* nothing was ever put: do not touch the pages */
    }
    memset(cache->slots, 0, cache->n_sets * WAYS * sizeof *cache->slots);
    cache->clock = 0;
}

size_t eval_cache_bytes(const struct eval_cache *cache)
{
    return sizeof *cache + cache->n_sets * WAYS *
                               (sizeof *cache->slots + cache->max_priors * sizeof *cache->priors);
}
