/* Design. A table of sets of four slots; a key may sit in any slot of its set, and the least
 * recently used one makes room. Four ways lose little against a full LRU and need no lists. A set is
 * one piece of memory, its keys first, so that a lookup waits for memory once and not once for the key
 * and again for the priors; the table asks for huge pages, because a lookup goes anywhere in it. Keys may
 * be plain bitboards, whose bits are far from random, so the set comes from a mix of both halves.
 * Invariant: last_used == 0 exactly in the empty slots. */
#include "selfplay/eval_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { WAYS = 4, LINE = 64 };

struct tag {
    struct game_key key;
    uint32_t last_used;
    uint32_t n_priors;
};

/* What a slot holds behind its tag. */
struct row {
    float v, d, m;
    float priors[]; /* [max_priors] */
};

struct eval_cache {
    size_t n_sets;
    size_t set_bytes; /* tags[WAYS], rows[WAYS]; whole cache lines */
    size_t row_bytes;
    uint32_t max_priors;
    uint32_t clock;
    uint8_t *sets; /* [n_sets][set_bytes] */
};

/* SplitMix64's finaliser (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

static struct tag *set_of(const struct eval_cache *cache, struct game_key key)
{
    uint64_t bits = mix(key.lo + 0x9E3779B97F4A7C15U * key.hi + mix(key.hi));
    /* The high half, scaled to 0 .. n_sets - 1 (Lemire 2019): no division, any number of sets. */
    size_t set = (size_t)(((bits >> 32) * cache->n_sets) >> 32);
    return (struct tag *)(void *)(cache->sets + set * cache->set_bytes);
}

static struct row *row_of(const struct eval_cache *cache, struct tag *set, size_t way)
{
    return (struct row *)(void *)((uint8_t *)(set + WAYS) + way * cache->row_bytes);
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
    cache->row_bytes = sizeof(struct row) + max_priors * sizeof(float);
    cache->set_bytes = WAYS * (sizeof(struct tag) + cache->row_bytes);
    cache->set_bytes = (cache->set_bytes + LINE - 1) / LINE * LINE;
    void *sets = MAP_FAILED;
    if (n_sets <= SIZE_MAX / cache->set_bytes) { /* zeroed, and there when they are first touched */
        sets = mmap(NULL, n_sets * cache->set_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    if (sets == MAP_FAILED) {
        free(cache);
        return NULL;
    }
    (void)madvise(sets, n_sets * cache->set_bytes, MADV_HUGEPAGE); /* a wish: slower without */
    cache->sets = sets;
    return cache;
}

void eval_cache_destroy(struct eval_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    (void)munmap(cache->sets, cache->n_sets * cache->set_bytes);
    free(cache);
}

bool eval_cache_get(struct eval_cache *cache, struct game_key key, uint32_t n_priors,
                    struct evaluation *ret)
{
    struct tag *set = set_of(cache, key);

    for (size_t way = 0; way < WAYS; way++) {
        struct tag *tag = &set[way];
        /* Where keys are hashes two positions can share one. Asking for the same number of moves
         * makes most such pairs miss, and never gives a search priors for moves that do not exist. */
        if (same_key(tag->key, key) && tag->last_used != 0 && tag->n_priors == n_priors) {
            struct row *row = row_of(cache, set, way);
            tag->last_used = ++cache->clock;
            *ret = (struct evaluation){row->v, row->d, row->m, n_priors, row->priors};
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
    if (cache->clock >= UINT32_MAX / 2) { /* far from running out between two puts, too */
        eval_cache_clear(cache);
    }
    struct tag *set = set_of(cache, key);
    size_t place = 0;
    for (size_t way = 0; way < WAYS; way++) {
        if (set[way].last_used != 0 && same_key(set[way].key, key)) {
            place = way;
            break;
        }
        if (set[way].last_used < set[place].last_used) { /* an empty slot is older than any */
            place = way;
        }
    }
    struct row *row = row_of(cache, set, place);
    set[place] = (struct tag){key, ++cache->clock, eval->n_priors};
    row->v = eval->v;
    row->d = eval->d;
    row->m = eval->m;
    /* memmove: an evaluation that get() lent out may be put back. */
    memmove(row->priors, eval->priors, eval->n_priors * sizeof *eval->priors);
}

void eval_cache_clear(struct eval_cache *cache)
{
    if (cache->clock == 0) {
        return; /* nothing was ever put: do not touch the pages */
    }
    memset(cache->sets, 0, cache->n_sets * cache->set_bytes);
    cache->clock = 0;
}

size_t eval_cache_bytes(const struct eval_cache *cache)
{
    return sizeof *cache + cache->n_sets * cache->set_bytes;
}
