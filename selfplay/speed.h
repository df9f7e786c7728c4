/* How fast this processor is at what self-play needs: for selfplay.games_per_worker: auto and `qzctl bench`. Rates are
 * per second of this thread's processor time, so that what else runs on the machine counts as little as it can. */
#ifndef SELFPLAY_SPEED_H
#define SELFPLAY_SPEED_H

#include "mcts/game.h"
#include "selfplay/opening.h"
#include "selfplay/settings.h"
#include "storage/error.h"
#include "trainer/net/net.h"

#include <stdint.h>

enum { SPEED_MAX_BATCHES = 16, SPEED_ROUNDS = 5 };

/* Evaluations by the evaluator (planes, net, softmax) of positions of random games, n at a time. */
struct speed_batches {
    uint32_t n;                        /* <= SPEED_MAX_BATCHES */
    uint32_t batch[SPEED_MAX_BATCHES]; /* ascending */
    double rate[SPEED_MAX_BATCHES];    /* evaluations a second: the median of up to SPEED_ROUNDS */
};
/* The batches among which games_per_worker: auto chooses. */
extern const struct speed_batches speed_batches_usual;

/* Fill in the rates of *batches, in about `seconds`, for a large net some more: the batches take turns, since a shared machine's clock wanders.
 * ERROR_INVALID: the net is not the game's; ERROR_UNSUPPORTED: its kernel cannot run here. */
int speed_evaluations(const struct game *game, const struct net *net, double seconds,
                      struct speed_batches *batches, struct error *err);
/* The smallest batch that is within 3 % of the fastest: more games than that only wait for each other. */
uint32_t speed_choose(const struct speed_batches *batches);

/* Self-play of one worker from nothing, for about `seconds`: whole games, so that its cache is as full as in a run. */
struct speed_selfplay {
    double positions, evaluations; /* a second */
    double evaluations_per_position;
    double cache_hits; /* share of the lookups */
    uint64_t bytes;    /* held in trees and cache */
};
int speed_selfplay(const struct game *game, const struct net *net,
                   const struct selfplay_settings *settings, const struct opening_params *openings,
                   uint32_t games, size_t cache_entries, double seconds, struct speed_selfplay *ret,
                   struct error *err);

#endif
