/* Bitboards after Fhourstones (Tromp) and Pons: a column takes 7 bits, six cells and one above that
 * stays empty, so that shifts of a whole board never run from one column into the next.
 *
 *     6 13 20 27 34 41 48   always 0
 *     5 12 19 26 33 40 47
 *     .  .  .  .  .  .  .
 *     0  7 14 21 28 35 42
 *
 * A column's stones lie without gaps, so mask + bottom row has one bit in each column: its lowest
 * empty cell. own + mask + bottom is therefore unique for a position: the stones of the side to move
 * below that bit, and the bit itself for the height. */
#include "mcts/games/connect4.h"

#include <string.h>

enum { COLUMNS = 7, ROWS = 6, BITS = 7, CELLS = COLUMNS * ROWS };

static const uint64_t bottom_row =
    0x1 | 0x1ULL << 7 | 0x1ULL << 14 | 0x1ULL << 21 | 0x1ULL << 28 | 0x1ULL << 35 | 0x1ULL << 42;
static const uint64_t column_0 = 0x3f;

static bool has_four(uint64_t stones)
{
    static const int directions[] = {1, BITS - 1, BITS, BITS + 1}; /* up, \, across, / */
    for (size_t i = 0; i < 4; i++) {
        uint64_t pairs = stones & (stones >> directions[i]);
        if ((pairs & (pairs >> (2 * directions[i]))) != 0) {
            return true;
        }
    }
    return false;
}

static uint32_t count(uint64_t bits)
{
    return (uint32_t)__builtin_popcountll(bits);
}

static bool is_full(uint64_t mask)
{
    return mask == bottom_row * column_0;
}

/* One bit in each column that has room: where the next stone lands. */
static uint64_t landing_cells(uint64_t mask)
{
    return (mask + bottom_row) & (bottom_row * column_0);
}

static uint32_t connect4_ply(const void *state)
{
    return count(((const struct connect4_state *)state)->mask);
}

static uint32_t connect4_side_to_move(const void *state)
{
    return connect4_ply(state) & 1U;
}

static bool connect4_over(const void *state, int *ret_value)
{
    const struct connect4_state *s = state;
    if (has_four(s->own ^ s->mask)) {
        *ret_value = -1;
        return true;
    }
    if (is_full(s->mask)) {
        *ret_value = 0;
        return true;
    }
    return false;
}

static uint32_t connect4_legal(const void *state, uint16_t *ret_actions)
{
    const struct connect4_state *s = state;
    uint32_t n = 0;

    if (has_four(s->own ^ s->mask)) {
        return 0;
    }
    uint64_t cells = landing_cells(s->mask);
    for (int column = 0; column < COLUMNS; column++) {
        if ((cells & (column_0 << (BITS * column))) != 0) {
            ret_actions[n++] = (uint16_t)column;
        }
    }
    return n;
}

static void connect4_play(void *state, uint16_t action)
{
    struct connect4_state *s = state;
    s->own ^= s->mask;
    s->mask |= s->mask + (1ULL << (BITS * action));
}

static struct game_key connect4_key(const void *state)
{
    const struct connect4_state *s = state;
    return (struct game_key){.lo = s->own + s->mask + bottom_row, .hi = 0};
}

static uint64_t mirror_board(uint64_t board)
{
    uint64_t mirrored = 0;
    for (int column = 0; column < COLUMNS; column++) {
        mirrored = (mirrored << BITS) | (board & 0x7f);
        board >>= BITS;
    }
    return mirrored;
}

static void connect4_mirror(const void *state, void *ret_state)
{
    const struct connect4_state *s = state;
    struct connect4_state mirrored = {mirror_board(s->own), mirror_board(s->mask)};
    memcpy(ret_state, &mirrored, sizeof(mirrored));
}

static uint16_t connect4_mirror_action(uint16_t action)
{
    return (uint16_t)(COLUMNS - 1 - action);
}

static bool connect4_is_canonical(const void *state)
{
    uint64_t key = connect4_key(state).lo;
    return key <= mirror_board(key);
}

static void connect4_planes(const void *state, float *ret_planes)
{
    const struct connect4_state *s = state;
    uint64_t boards[3] = {s->own, s->own ^ s->mask, bottom_row * column_0};

    for (int plane = 0; plane < 3; plane++) {
        for (int row = 0; row < ROWS; row++) {
            for (int column = 0; column < COLUMNS; column++) {
                *ret_planes++ = (float)((boards[plane] >> (BITS * column + row)) & 1U);
            }
        }
    }
}

static uint32_t connect4_policy_index(const void *state, uint16_t action)
{
    const struct connect4_state *s = state;
    uint32_t row = count(s->mask & (column_0 << (BITS * action)));
    return row * COLUMNS + action;
}

static void connect4_action_format(const void *state, uint16_t action, char *ret_text)
{
    (void)state;
    ret_text[0] = (char)('1' + action);
    ret_text[1] = '\0';
}

static bool connect4_action_parse(const void *state, const char **text, uint16_t *ret_action)
{
    const char *t = *text;
    uint16_t legal[COLUMNS];
    uint32_t n = connect4_legal(state, legal);

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

static bool connect4_init(void *state, const char *opening, const char **ret_why)
{
    struct connect4_state start = {0, 0};
    size_t bad;
    int value;

    if (!game_play_text(&connect4, &start, opening, &bad)) {
        *ret_why = "not a line of legal moves (columns 1 to 7)";
        return false;
    }
    if (connect4_over(&start, &value)) {
        *ret_why = "the game is over after these moves";
        return false;
    }
    memcpy(state, &start, sizeof(start));
    return true;
}

static void connect4_draw(const void *state, char *ret_text)
{
    const struct connect4_state *s = state;
    uint64_t first = connect4_side_to_move(state) == 0 ? s->own : s->own ^ s->mask;
    char *t = ret_text;

    for (int row = ROWS - 1; row >= 0; row--) {
        for (int column = 0; column < COLUMNS; column++) {
            uint64_t cell = 1ULL << (BITS * column + row);
            char stone = (first & cell) != 0 ? 'X' : 'O';
            *t++ = (char)((s->mask & cell) == 0 ? '.' : stone);
            *t++ = (char)(column + 1 < COLUMNS ? ' ' : '\n');
        }
    }
    memcpy(t, "1 2 3 4 5 6 7\n", sizeof("1 2 3 4 5 6 7\n"));
}

uint64_t connect4_perft(const struct connect4_state *state, uint32_t plies)
{
    if (plies == 0) {
        return 1;
    }
    if (has_four(state->own ^ state->mask)) {
        return 0;
    }
    uint64_t cells = landing_cells(state->mask);
    if (plies == 1) {
        return count(cells);
    }
    uint64_t n = 0;
    for (; cells != 0; cells &= cells - 1) {
        struct connect4_state next = {state->own ^ state->mask, state->mask | (cells & -cells)};
        n += connect4_perft(&next, plies - 1);
    }
    return n;
}

const struct game connect4 = {
    .name = "connect4",
    .title = "Connect Four",
    .n_actions = COLUMNS,
    .max_legal = COLUMNS,
    .max_plies = CELLS,
    .state_bytes = sizeof(struct connect4_state),
    .has_mirror = true,
    .n_planes = 3,
    .height = ROWS,
    .width = COLUMNS,
    .policy_planes = 1,
    .init = connect4_init,
    .legal = connect4_legal,
    .over = connect4_over,
    .play = connect4_play,
    .side_to_move = connect4_side_to_move,
    .ply = connect4_ply,
    .key = connect4_key,
    .mirror = connect4_mirror,
    .mirror_action = connect4_mirror_action,
    .is_canonical = connect4_is_canonical,
    .planes = connect4_planes,
    .policy_index = connect4_policy_index,
    .action_format = connect4_action_format,
    .action_parse = connect4_action_parse,
    .draw = connect4_draw,
};
