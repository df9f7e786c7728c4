/* Where a self-play game begins. A net that has learnt one good opening plays little else (measured on
 * Connect Four with the shipped noise and temperature: after 12 generations half of the games shared
 * their first 8 plies), and then neither sees nor learns the rest of the game. So a share of the games
 * begins behind a few random legal moves, which stand in games.opening and are not recorded as played. */
#ifndef SELFPLAY_OPENING_H
#define SELFPLAY_OPENING_H

#include "mcts/game.h"

#include <stdint.h>

struct opening_params {
    float share;    /* of games that begin behind random moves, 0 .. 1 */
    uint32_t plies; /* of these: 1 .. plies moves, each number as likely; 0 = none */
};

/* A pure function of the game's seed. Writes the game's notation of the opening ("" = the usual start).
 * The game is never over behind it; if the random moves end it, others are drawn. */
void opening_draw(const struct game *game, const struct opening_params *params, uint64_t seed,
                  char ret_opening[GAME_MAX_OPENING_TEXT]);

#endif
