#include "mcts/games/tictactoe.h"

#include <string.h>

enum { SIDE = 3, CELLS = SIDE * SIDE, FULL = (1 << CELLS) - 1 };

/* Bit 3 row + column, row 0 at the top. */
struct tictactoe_state {
    uint16_t own; /* stones of the side to move */
    uint16_t opponent;
};

static bool has_three(uint16_t stones)
{
    static const uint16_t lines[] = {0007, 0070, 0700, 0111, 0222, 0444, 0421, 0124};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if ((stones & lines[i]) == lines[i]) {
            return true;
        }
    }
    return false;
}

static uint32_t occupied(const struct tictactoe_state *s)
{
    return (uint32_t)(s->own | s->opponent);
}

static uint32_t tictactoe_ply(const void *state)
{
    return (uint32_t)__builtin_popcount(occupied(state));
}

static uint32_t tictactoe_side_to_move(const void *state)
{
    return tictactoe_ply(state) & 1U;
}

static bool tictactoe_over(const void *state, int *ret_value)
{
    const struct tictactoe_state *s = state;
    if (has_three(s->opponent)) {
        *ret_value = -1;
        return true;
    }
    if (occupied(s) == FULL) {
        *ret_value = 0;
        return true;
    }
    return false;
}

static uint32_t tictactoe_legal(const void *state, uint16_t *ret_actions)
{
    const struct tictactoe_state *s = state;
    uint32_t n = 0;

    if (has_three(s->opponent)) {
        return 0;
    }
    for (int cell = 0; cell < CELLS; cell++) {
        if ((occupied(s) & (1U << cell)) == 0) {
            ret_actions[n++] = (uint16_t)cell;
        }
    }
    return n;
}

static void tictactoe_play(void *state, uint16_t action)
{
    struct tictactoe_state *s = state;
    uint16_t mover = (uint16_t)(s->own | (1U << action));
    s->own = s->opponent;
    s->opponent = mover;
}

static struct game_key tictactoe_key(const void *state)
{
    const struct tictactoe_state *s = state;
    return (struct game_key){.lo = (uint64_t)s->own | (uint64_t)s->opponent << CELLS, .hi = 0};
}

static uint16_t mirror_board(uint16_t board)
{
    return (uint16_t)((board & 0222) | (board & 0111) << 2 | (board & 0444) >> 2);
}

static void tictactoe_mirror(const void *state, void *ret_state)
{
    const struct tictactoe_state *s = state;
    struct tictactoe_state mirrored = {mirror_board(s->own), mirror_board(s->opponent)};
    memcpy(ret_state, &mirrored, sizeof(mirrored));
}

static uint16_t tictactoe_mirror_action(uint16_t action)
{
    return (uint16_t)(action + SIDE - 1 - 2 * (action % SIDE));
}

static bool tictactoe_is_canonical(const void *state)
{
    struct tictactoe_state mirrored;
    tictactoe_mirror(state, &mirrored);
    return tictactoe_key(state).lo <= tictactoe_key(&mirrored).lo;
}

static void tictactoe_planes(const void *state, float *ret_planes)
{
    const struct tictactoe_state *s = state;
    uint32_t boards[3] = {s->own, s->opponent, FULL};

    for (int plane = 0; plane < 3; plane++) {
        for (int cell = 0; cell < CELLS; cell++) {
            *ret_planes++ = (float)((boards[plane] >> cell) & 1U);
        }
    }
}

static uint32_t tictactoe_policy_index(const void *state, uint16_t action)
{
    (void)state;
    return action;
}

static void tictactoe_action_format(const void *state, uint16_t action, char *ret_text)
{
    (void)state;
    ret_text[0] = (char)('1' + action);
    ret_text[1] = '\0';
}

static bool tictactoe_action_parse(const void *state, const char **text, uint16_t *ret_action)
{
    const char *t = *text;
    uint16_t legal[CELLS];
    uint32_t n = tictactoe_legal(state, legal);

    for (uint32_t i = 0; i < n; i++) {
        if (*t == '1' + legal[i]) {
            *ret_action = legal[i];
            t++;
            *text = t + strspn(t, " \t\r\n");
            return true;
        }
    }
    return false;
}

static bool tictactoe_init(void *state, const char *opening, const char **ret_why)
{
    struct tictactoe_state start = {0, 0};
    size_t bad;
    int value;

    if (!game_play_text(&tictactoe, &start, opening, &bad)) {
        *ret_why = "not a line of legal moves (cells 1 to 9)";
        return false;
    }
    if (tictactoe_over(&start, &value)) {
        *ret_why = "the game is over after these moves";
        return false;
    }
    memcpy(state, &start, sizeof(start));
    return true;
}

static void tictactoe_draw(const void *state, char *ret_text)
{
    const struct tictactoe_state *s = state;
    uint32_t first = tictactoe_side_to_move(state) == 0 ? s->own : s->opponent;
    char *t = ret_text;

    for (int cell = 0; cell < CELLS; cell++) {
        uint32_t bit = 1U << cell;
        char stone = (first & bit) != 0 ? 'X' : 'O';
        *t++ = (char)((occupied(s) & bit) == 0 ? '.' : stone);
        *t++ = (char)(cell % SIDE + 1 < SIDE ? ' ' : '\n');
    }
    *t = '\0';
}

const struct game tictactoe = {
    .name = "tictactoe",
    .title = "Tic-tac-toe",
    .n_actions = CELLS,
    .max_legal = CELLS,
    .max_plies = CELLS,
    .state_bytes = sizeof(struct tictactoe_state),
    .has_mirror = true,
    .n_planes = 3,
    .height = SIDE,
    .width = SIDE,
    .policy_planes = 1,
    .init = tictactoe_init,
    .legal = tictactoe_legal,
    .over = tictactoe_over,
    .play = tictactoe_play,
    .side_to_move = tictactoe_side_to_move,
    .ply = tictactoe_ply,
    .key = tictactoe_key,
    .mirror = tictactoe_mirror,
    .mirror_action = tictactoe_mirror_action,
    .is_canonical = tictactoe_is_canonical,
    .planes = tictactoe_planes,
    .policy_index = tictactoe_policy_index,
    .action_format = tictactoe_action_format,
    .action_parse = tictactoe_action_parse,
    .draw = tictactoe_draw,
};
