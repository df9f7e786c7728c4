/* Connect Four, 7 columns by 6 rows. Actions are the columns 0 .. 6, in text 1 .. 7 from the left.
 * Planes, rows from the bottom: stones of the side to move, stones of its opponent, ones. */
#ifndef MCTS_GAMES_CONNECT4_H
#define MCTS_GAMES_CONNECT4_H

#include "mcts/game.h"

extern const struct game connect4;

/* The state, for tests and benchmarks that count: bit 7 column + row, row 0 at the bottom. */
struct connect4_state {
    uint64_t own;  /* stones of the side to move */
    uint64_t mask; /* all stones */
};

/* Lines of exactly `plies` moves from a state, ended by a four in a row or a full board no earlier;
 * the last ply is counted, not played. */
uint64_t connect4_perft(const struct connect4_state *state, uint32_t plies);

#endif
