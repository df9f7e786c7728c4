/* Tic-tac-toe: small enough that its exact values check a search. Actions are the cells 0 .. 8 by
 * rows from the top left, in text 1 .. 9. Planes, rows from the top: stones of the side to move,
 * stones of its opponent, ones. */
#ifndef MCTS_GAMES_TICTACTOE_H
#define MCTS_GAMES_TICTACTOE_H

#include "mcts/game.h"

extern const struct game tictactoe;

#endif
