/* A net's word on one position: the only thing that a search takes from outside. */
#ifndef MCTS_EVALUATION_H
#define MCTS_EVALUATION_H

#include <stdint.h>

/* v, d and m are from the view of the side to move. Priors are probabilities over the legal actions
 * in ascending order of action, as game->legal() lists them; they sum to 1. The array is borrowed:
 * whoever receives an evaluation copies what it keeps. */
struct evaluation {
    float v; /* expected result, -1 .. 1 */
    float d; /* probability of a draw, 0 .. 1 - |v|; 0 from a scalar head */
    float m; /* plies left to play; NaN where the net has no such head */
    uint32_t n_priors;
    const float *priors;
};

#endif
