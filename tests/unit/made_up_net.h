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
/* The usual settings without noise. */
struct search_params search_quiet(uint32_t nodes, bool solver);
/* A search of its own, from its beginning to its end: of a state, or of Connect Four behind these moves with seed 1. */
void search_run(const struct game *game, made_up_net net, const struct search_params *params,
                const void *state, uint64_t seed, struct search_result *ret);
void search_run_moves(const char *moves, made_up_net net, const struct search_params *params,
                      struct search_result *ret);
/* The state after these moves. */
void state_at(const struct game *game, const char *moves, union game_state *ret);
/* The state of a random game of `plies` moves that is not over; the same for the same seed. */
void state_random(const struct game *game, uint64_t seed, uint32_t plies, union game_state *ret);

#endif
