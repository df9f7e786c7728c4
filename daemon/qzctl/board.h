/* A game's drawing on a terminal. */
#ifndef DAEMON_BOARD_H
#define DAEMON_BOARD_H

#include "mcts/game.h"

#include <stdio.h>

enum { BOARD_NOTE_BYTES = 256 };

/* Print the position, and beside it n_notes lines of text. color: pieces that the game draws
 * as X and O in colours. */
void board_print(const struct game *game, const void *state, bool color,
                 char (*notes)[BOARD_NOTE_BYTES], uint32_t n_notes, FILE *out);

#endif
