#include "mcts/game.h"

#include "mcts/games/connect4.h"
#include "mcts/games/tictactoe.h"

#include <string.h>

static const struct game *const games[] = {&connect4, &tictactoe};

const struct game *game_at(size_t i)
{
    return i < sizeof(games) / sizeof(games[0]) ? games[i] : NULL;
}

const struct game *game_find(const char *name)
{
    for (size_t i = 0; game_at(i) != NULL; i++) {
        if (strcmp(game_at(i)->name, name) == 0) {
            return game_at(i);
        }
    }
    return NULL;
}

bool game_play_text(const struct game *game, void *state, const char *text, size_t *ret_bad)
{
    const char *rest = text + strspn(text, " \t\r\n");
    union game_state before;

    memcpy(&before, state, game->state_bytes);
    while (*rest != '\0') {
        uint16_t action;
        if (!game->action_parse(state, &rest, &action)) {
            memcpy(state, &before, game->state_bytes);
            *ret_bad = (size_t)(rest - text);
            return false;
        }
        game->play(state, action);
    }
    return true;
}
