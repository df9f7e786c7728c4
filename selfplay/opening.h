/* Where a self-play game begins. A net that has learnt one good opening plays little else (measured on
 * Connect Four with the shipped noise and temperature: after 12 generations half of the games shared
 * their first 8 plies), and then neither sees nor learns the rest of the game. So a share of the games
 * begins behind a few random legal moves, which stand in games.opening and are not recorded as played. */
#ifndef SELFPLAY_OPENING_H
#define SELFPLAY_OPENING_H

#include "mcts/game.h"

#include <stddef.h>
#include <stdint.h>

struct opening_params {
    float share;    /* of games that begin behind random moves, 0 .. 1 */
    uint32_t plies; /* of these: 1 .. plies moves, each number as likely; 0 = none */
};

/* A pure function of the game's seed. Writes the game's notation of the opening ("" = the usual start).
 * The game is never over behind it; if the random moves end it, others are drawn. */
void opening_draw(const struct game *game, const struct opening_params *params, uint64_t seed,
                  char ret_opening[GAME_MAX_OPENING_TEXT]);

/* Openings of matches: every position that OPENING_MATCH_PLIES legal moves lead to and that is not over, once,
 * of two mirror images one, as the first line of moves (in order of actions) that leads there. Their order
 * is drawn from `seed`. */
enum { OPENING_MATCH_PLIES = 4 };
struct opening_line {
    uint16_t actions[OPENING_MATCH_PLIES];
};
/* *ret is malloced. ERROR_NO_MEMORY. */
int opening_list(const struct game *game, uint64_t seed, struct opening_line **ret, size_t *ret_n);
/* The game's notation of a line from that list. */
void opening_text(const struct game *game, const struct opening_line *line,
                  char ret_opening[GAME_MAX_OPENING_TEXT]);
/* The key of a position or its mirror image, whichever the net is shown: equal for both. */
struct game_key opening_canonical_key(const struct game *game, const void *state);

#endif
