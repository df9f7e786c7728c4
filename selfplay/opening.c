#include "selfplay/opening.h"

#include "mcts/random.h"

#include <string.h>

enum {
    SHARE = 0, /* indices of the draws of a game; the moves' are above */
    LENGTH = 1,
    FIRST_MOVE = 2,
    MAX_TRIES = 64, /* random moves end few games so early; after these the usual start it is */
};

/* One try at `plies` random moves. False: the game is over behind them. */
static bool try_moves(const struct game *game, uint32_t plies, uint64_t seed, uint64_t first_index,
                      char ret_opening[GAME_MAX_OPENING_TEXT])
{
    union game_state state;
    uint16_t legal[GAME_MAX_LEGAL];
    const char *why = NULL;
    size_t length = 0;

    ret_opening[0] = '\0';
    if (!game->init(state.bytes, "", &why)) {
        return false;
    }
    for (uint32_t ply = 0; ply < plies; ply++) {
        uint32_t n = game->legal(state.bytes, legal);
        if (n == 0 || length + GAME_MAX_ACTION_TEXT >= GAME_MAX_OPENING_TEXT) {
            return false;
        }
        double u = random_uniform(seed, 0, RANDOM_OPENING, first_index + ply);
        uint16_t action = legal[(uint32_t)(u * n)];
        game->action_format(state.bytes, action, ret_opening + length);
        length += strlen(ret_opening + length);
        game->play(state.bytes, action);
    }
    return game->legal(state.bytes, legal) > 0;
}

void opening_draw(const struct game *game, const struct opening_params *params, uint64_t seed,
                  char ret_opening[GAME_MAX_OPENING_TEXT])
{
    ret_opening[0] = '\0';
    if (params->plies == 0 ||
        random_uniform(seed, 0, RANDOM_OPENING, SHARE) >= (double)params->share) {
        return;
    }
    double u = random_uniform(seed, 0, RANDOM_OPENING, LENGTH);
    uint32_t plies = 1 + (uint32_t)(u * params->plies);
    for (uint64_t attempt = 0; attempt < MAX_TRIES; attempt++) {
        if (try_moves(game, plies, seed, FIRST_MOVE + attempt * plies, ret_opening)) {
            return;
        }
    }
    ret_opening[0] = '\0';
}
