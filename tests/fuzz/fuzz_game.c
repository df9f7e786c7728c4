/* Text of moves and openings. The first byte chooses the game; a NUL ends the text. What is taken plays on by legal
 * moves chosen by the bytes behind it until the game is over, every move through its text and back. */
#include "tests/fuzz/fuzz.h"

#include "mcts/game.h"

#include <string.h>

static void play_on(const struct game *game, union game_state *state, const uint8_t *data,
                    size_t size)
{
    static float planes[GAME_MAX_POLICY * 4];
    char drawing[GAME_MAX_DRAWING];
    uint16_t legal[GAME_MAX_LEGAL];
    uint32_t n;
    int value = 0;

    for (size_t i = 0; (n = game->legal(state, legal)) > 0; i++) {
        char text[GAME_MAX_ACTION_TEXT];
        const char *at = text;
        uint16_t parsed = 0;
        uint16_t action = legal[(i < size ? data[i] : i) % n];
        FUZZ_CHECK(i < game->max_plies && n <= game->max_legal && !game->over(state, &value));
        game->action_format(state, action, text);
        FUZZ_CHECK(game->action_parse(state, &at, &parsed) && parsed == action && *at == '\0');
        FUZZ_CHECK(game->policy_index(state, action) <
                   game->policy_planes * game->height * game->width);
        game->draw(state, drawing);
        FUZZ_CHECK(strlen(drawing) < sizeof(drawing));
        game->planes(state, planes);
        game->play(state, action);
    }
    FUZZ_CHECK(game->over(state, &value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[2048];
    union game_state state;
    union game_state before;
    const char *why = NULL;
    size_t bad = 0;

    if (size == 0) {
        return 0;
    }
    const struct game *game = game_at(data[0] & 1);
    const uint8_t *end = memchr(data + 1, '\0', size - 1);
    size_t length = end == NULL ? size - 1 : (size_t)(end - data) - 1;
    if (length >= sizeof(text)) {
        return 0;
    }
    memcpy(text, data + 1, length);
    text[length] = '\0';
    const uint8_t *rest = data + 1 + length;
    if (game->init(&state, text, &why)) {
        play_on(game, &state, rest, size - 1 - length);
    } else {
        FUZZ_CHECK(why != NULL && why[0] != '\0');
    }
    FUZZ_CHECK(game->init(&state, "", &why));
    before = state;
    if (game_play_text(game, &state, text, &bad)) {
        play_on(game, &state, rest, size - 1 - length);
    } else { /* nothing was played, and what is before the bad move is good */
        FUZZ_CHECK(bad <= length && memcmp(&before, &state, game->state_bytes) == 0);
        text[bad] = '\0';
        FUZZ_CHECK(game_play_text(game, &state, text, &bad));
    }
    return 0;
}
