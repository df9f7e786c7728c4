/* A self-play worker without its process: many games side by side, one leaf of each for a batch, records
 * handed out as they come. daemon/process/process_worker.c puts pipes around it; tests call it directly.
 *
 * A record is a pure function of (net, game so far, settings, seed, ply): it does not depend on how many
 * games a worker has, on the cache, or on when the game was interrupted. A new net or new settings
 * take effect in each game at its next move; they empty tree and cache. Not thread-safe. */
#ifndef SELFPLAY_WORKER_H
#define SELFPLAY_WORKER_H

#include "mcts/game.h"
#include "selfplay/settings.h"
#include "storage/record.h"
#include "trainer/net/net.h"
#include "trainer/net/precision.h"

#include <stdbool.h>
#include <stdint.h>

struct worker_params {
    const struct game *game;
    uint32_t games;       /* played side by side, >= 1 */
    size_t cache_entries; /* 0 = no cache */
    const char *host;     /* for the records; copied */
    uint32_t worker;      /* its number there */
    const char *build;    /* for the records; copied */
};

/* Called from worker_step(); everything is borrowed for the call. A game's calls come in order: start
 * (with its first position, never for a resumed game), position ..., end. `search` is given with every position. Then the worker
 * wants another game. now() is wall-clock Unix ms for the records' times. */
struct worker_sink {
    void (*start)(const struct record_start *start, void *context);
    void (*position)(const char *uid, const struct record_search *search,
                     const struct record_position *position, void *context);
    void (*end)(const char *uid, const struct record_end *end, void *context);
    int64_t (*now)(void *context);
    void *context;
};

struct worker_counters {
    uint64_t evaluations, lookups, cache_hits, shared, batches; /* since creation, as in pool.h */
    uint64_t positions, games;                                  /* finished */
    size_t bytes;                                               /* held in trees and cache */
};

struct worker;

int worker_create(const struct worker_params *params, const struct worker_sink *sink,
                  struct worker **ret, struct error *err);
void worker_destroy(
    struct worker *worker); /* NULL is allowed; unfinished games are just forgotten */

/* The net and settings that searches from now on begin with; a search under way (its move not yet
 * chosen) is begun again. ERROR_INVALID if the net is not for the game; then the old one stays. */
int worker_set_net(struct worker *worker, const struct net *net, const char *sha256,
                   struct error *err);
int worker_set_settings(struct worker *worker, const struct selfplay_settings *settings,
                        struct error *err);

/* How many more games it has room for. */
uint32_t worker_room(const struct worker *worker);
/* Begin a game, or go on with one whose first n_actions moves are known already (they are not recorded
 * again). One that is over behind its moves (its end was lost) just ends in the next step. ERROR_INVALID:
 * no room, a uid that is none or in play here, an opening that is none, an action that is illegal. */
struct worker_game {
    char uid[RECORD_UID_BYTES];
    int64_t seed;
    const char *opening;
    uint32_t n_actions;
    const uint16_t *actions;
    const float
        *q; /* [n_actions]: their recorded root q (NaN: not known), by which resignation goes on as
                       if never interrupted; NULL: not known, its count of moves begins anew */
};
int worker_add_game(struct worker *worker, const struct worker_game *game, struct error *err);
uint32_t worker_games(const struct worker *worker); /* in play */
/* The check of its net's precision (trainer/net/precision.h); NULL: none was asked for, or there is no net. */
const struct precision_report *worker_precision(const struct worker *worker);

/* Advance every game until it needs the net, then evaluate one batch; moves and ends reach the sink.
 * Returns positions evaluated (0: nothing to do: no net, no settings or no game), or an error. */
int worker_step(struct worker *worker, struct error *err);
const struct worker_counters *worker_counters(struct worker *worker);

#endif
