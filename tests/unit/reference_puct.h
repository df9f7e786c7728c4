/* A second PUCT, for tests only: recursive, with pointers, allocation per node and everything looked
 * up anew at each visit. It follows the design's text, not mcts/search.c, and the two must agree. */
#ifndef TESTS_UNIT_REFERENCE_PUCT_H
#define TESTS_UNIT_REFERENCE_PUCT_H

#include "tests/unit/made_up_net.h"

struct reference;

struct reference *reference_create(const struct game *game, const struct search_params *params,
                                   made_up_net net, const void *state, uint64_t seed, uint32_t ply);
/* Make the position after an action the root; its subtree must have been visited. */
void reference_advance(struct reference *reference, uint16_t action, uint64_t seed, uint32_t ply);
/* Search to the end and report. */
void reference_run(struct reference *reference, struct search_result *ret);
void reference_destroy(struct reference *reference);

#endif
