/* Stand-ins for a net in tests of the search: evaluations that are a function of the position. */
#ifndef TESTS_UNIT_MADE_UP_NET_H
#define TESTS_UNIT_MADE_UP_NET_H

#include "mcts/search.h"

/* Writes priors[n_legal] and *ret, whose priors point there. */
typedef void (*made_up_net)(const struct game *game, const struct search_leaf *leaf, float *priors,
                            struct evaluation *ret);

/* Equal priors, v = 0, d = 0, m = 0: an untrained net. */
void net_uniform(const struct game *game, const struct search_leaf *leaf, float *priors,
                 struct evaluation *ret);
/* Skewed priors, any v, any d it allows, m, all from a hash of the position's key. */
void net_by_key(const struct game *game, const struct search_leaf *leaf, float *priors,
                struct evaluation *ret);

/* Go on to the end; fails the test without memory. */
void search_finish(struct search *search, const struct game *game, made_up_net net,
                   struct search_result *ret);
/* The state after these moves. */
void state_at(const struct game *game, const char *moves, union game_state *ret);
/* The state of a random game of `plies` moves that is not over; the same for the same seed. */
void state_random(const struct game *game, uint64_t seed, uint32_t plies, union game_state *ret);

#endif
