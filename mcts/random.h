/* Counter-based random numbers: f(seed, ply, purpose, index), no stream and no state, so that a game
 * that goes on after a crash draws what it would have drawn (rule 6 of the search). Built on
 * SplitMix64's finaliser (Steele, Lea, Flood 2014) over the four inputs. */
#ifndef MCTS_RANDOM_H
#define MCTS_RANDOM_H

#include <stdint.h>

enum random_purpose {
    RANDOM_NOISE = 1,  /* Dirichlet noise at the root */
    RANDOM_MOVE = 2,   /* temperature's choice of move */
    RANDOM_FAST = 3,   /* full or fast search (playout caps) */
    RANDOM_RESIGN = 4, /* whether a game is played out in spite of resigning */
    RANDOM_OPENING = 5,
    RANDOM_INIT = 6,       /* weights of a new net */
    RANDOM_SAMPLE = 7,     /* which positions a training step draws */
    RANDOM_MIRROR = 8,     /* which of them it mirrors */
    RANDOM_GAME = 9,       /* game seeds from a run's seed */
    RANDOM_MATCH = 10,     /* a match: order of its openings, seeds of its games */
    RANDOM_PRECISION = 11, /* moves of the games over which precisions are compared */
    RANDOM_TEST = 100,
};

/* 64 random bits. */
uint64_t random_u64(uint64_t seed, uint32_t ply, enum random_purpose purpose, uint64_t index);
/* Uniform in [0, 1), 53 bits. */
double random_uniform(uint64_t seed, uint32_t ply, enum random_purpose purpose, uint64_t index);
/* Standard normal (Box-Muller over draws 2 index and 2 index + 1). */
double random_normal(uint64_t seed, uint32_t ply, enum random_purpose purpose, uint64_t index);
/* Fill ret[n] with a Dirichlet(alpha, ..., alpha) draw: Gamma variates by Marsaglia & Tsang 2000,
 * normalised. alpha > 0. Sums to 1. */
void random_dirichlet(uint64_t seed, uint32_t ply, double alpha, uint32_t n, double *ret);

#endif
