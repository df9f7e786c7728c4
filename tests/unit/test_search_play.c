/* What a search finds: tactics, exact values, the same from either side. And its signature. */
#include "mcts/games/connect4.h"
#include "mcts/games/tictactoe.h"
#include "tests/unit/made_up_net.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Tactics: an untrained net and 800 nodes must see these. --- */

static const struct {
    const char *moves;
    const char *good; /* the moves to be found */
    bool proven;
    int8_t value;
} tactics[] = {
    {"112233", "4", true, 1},             /* win in 1: across */
    {"121212", "1", true, 1},             /* up */
    {"1223343447", "4", true, 1},         /* rising */
    {"7665545441", "4", true, 1},         /* falling */
    {"71727", "7", false, 0},             /* must block: up */
    {"17273", "4", false, 0},             /* across */
    {"4455", "36", true, 1},              /* win in 3 plies: an open three */
    {"44455554221", "1234567", true, -1}, /* lost whatever is played */
};

START_TEST(untrained_net_and_800_nodes_find_tactics)
{
    /* With the shipped settings, noise too: 10 different draws of it. */
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct search_result result;
        union game_state state;
        state_at(&connect4, tactics[_i].moves, &state);
        search_run(&connect4, net_uniform, &search_params_default, &state, seed, &result);
        ck_assert_msg(strchr(tactics[_i].good, '1' + result.best_action) != NULL, "%s: played %d",
                      tactics[_i].moves, result.best_action + 1);
        ck_assert_int_eq(result.proven, tactics[_i].proven);
        if (result.proven) {
            ck_assert_int_eq(result.proven_value, tactics[_i].value);
            ck_assert_float_eq(result.q, tactics[_i].value);
        }
    }
}
END_TEST

START_TEST(tactics_are_found_without_proofs_too)
{
    struct search_result result;
    struct search_params params = search_quiet(800, false);
    search_run_moves(tactics[_i].moves, net_uniform, &params, &result);
    ck_assert_msg(strchr(tactics[_i].good, '1' + result.best_action) != NULL, "%s: played %d",
                  tactics[_i].moves, result.best_action + 1);
    ck_assert(!result.proven);
    ck_assert_uint_eq(result.nodes, 800);
    ck_assert(tactics[_i].value * result.q >= 0.0F);
}
END_TEST

/* --- Tic-tac-toe: exact values. --- */

static int minimax(const void *state, int8_t *memo)
{
    uint64_t key = tictactoe.key(state).lo;
    int value;
    if (memo[key] != 0) {
        return memo[key] - 2;
    }
    if (!tictactoe.over(state, &value)) {
        uint16_t legal[9];
        uint32_t n = tictactoe.legal(state, legal);
        value = -1;
        for (uint32_t i = 0; i < n; i++) {
            union game_state next;
            memcpy(&next, state, tictactoe.state_bytes);
            tictactoe.play(&next, legal[i]);
            int v = -minimax(&next, memo);
            value = v > value ? v : value;
        }
    }
    memo[key] = (int8_t)(value + 2);
    return value;
}

static void check_exact(struct search *search, const void *state, int8_t *memo)
{
    struct search_result result;
    union game_state next;
    int value;
    uint32_t plies = tictactoe.ply(state);
    /* Breadth first, as an untrained net has it, the first plies take more to see to the end. */
    struct search_params params = search_quiet(plies < 3 ? 20000 : 800, true);

    if (tictactoe.over(state, &value)) {
        return;
    }
    search_begin(search, &params, state, 0, plies);
    search_finish(search, &tictactoe, net_uniform, &result);
    memcpy(&next, state, tictactoe.state_bytes);
    tictactoe.play(&next, result.best_action);
    value = minimax(state, memo);
    ck_assert_int_eq(-minimax(&next, memo), value);
    if (result.proven) {
        ck_assert_int_eq(result.proven_value, value);
        ck_assert_float_eq(result.q, (float)value);
        ck_assert_float_eq(result.best_q, (float)value);
        ck_assert_float_eq(result.greedy_q, (float)value);
        ck_assert_float_eq(result.d, value == 0 ? 1.0F : 0.0F);
        ck_assert_float_eq(result.best_d, value == 0 ? 1.0F : 0.0F);
        ck_assert_float_eq(result.greedy_d, value == 0 ? 1.0F : 0.0F);
    }
    ck_assert(result.proven || plies < 4);
    for (uint32_t i = 0; i < result.n_moves; i++) {
        const struct search_move *move = &result.moves[i];
        memcpy(&next, state, tictactoe.state_bytes);
        tictactoe.play(&next, move->action);
        int exact = -minimax(&next, memo);
        bool wrong = move->proven && (move->q != (float)exact || (move->d == 1.0F) != (exact == 0));
        /* No policy target for a move that throws a proven value away. */
        bool wasteful = result.proven && move->visits > 0 && exact != value;
        if (wrong || wasteful) {
            ck_abort_msg("ply %u, move %u: %s", plies, i, wrong ? "wrong" : "wasteful");
        }
    }
}

static void check_all_below(struct search *search, const void *state, int8_t *memo, bool *seen)
{
    uint16_t legal[9];
    uint64_t key = tictactoe.key(state).lo;
    if (seen[key]) {
        return;
    }
    seen[key] = true;
    check_exact(search, state, memo);
    uint32_t n = tictactoe.legal(state, legal);
    for (uint32_t i = 0; i < n; i++) {
        union game_state next;
        memcpy(&next, state, tictactoe.state_bytes);
        tictactoe.play(&next, legal[i]);
        check_all_below(search, &next, memo, seen);
    }
}

START_TEST(every_tictactoe_position_gets_its_exact_value)
{
    static int8_t memo[1 << 18];
    static bool seen[1 << 18];
    struct search *search = search_create(&tictactoe);
    union game_state start;
    state_at(&tictactoe, "", &start);
    check_all_below(search, &start, memo, seen);
    search_destroy(search);
}
END_TEST

/* --- Signs (the design's first mistake). Tic-tac-toe whose stones have colours and where either may
 * begin, so that swapping the colours gives another state of the same game. --- */

struct coloured {
    uint16_t stones[2]; /* white, black */
    uint16_t mover;
};

static bool has_line(uint16_t stones)
{
    static const uint16_t lines[] = {0007, 0070, 0700, 0111, 0222, 0444, 0421, 0124};
    for (size_t i = 0; i < 8; i++) {
        if ((stones & lines[i]) == lines[i]) {
            return true;
        }
    }
    return false;
}

static bool coloured_over(const void *state, int *ret_value)
{
    const struct coloured *s = state;
    bool lost = has_line(s->stones[1 - s->mover]);
    *ret_value = lost ? -1 : 0;
    return lost || (s->stones[0] | s->stones[1]) == 0777;
}

static uint32_t coloured_legal(const void *state, uint16_t *ret_actions)
{
    const struct coloured *s = state;
    int value;
    uint32_t n = 0;
    for (uint16_t cell = 0; cell < 9 && !coloured_over(state, &value); cell++) {
        if (((s->stones[0] | s->stones[1]) >> cell & 1) == 0) {
            ret_actions[n++] = cell;
        }
    }
    return n;
}

static void coloured_play(void *state, uint16_t action)
{
    struct coloured *s = state;
    s->stones[s->mover] = (uint16_t)(s->stones[s->mover] | 1U << action);
    s->mover = 1 - s->mover;
}

static uint32_t coloured_side_to_move(const void *state)
{
    return ((const struct coloured *)state)->mover;
}

static const struct game coloured_game = {
    .name = "coloured",
    .n_actions = 9,
    .max_legal = 9,
    .max_plies = 9,
    .state_bytes = sizeof(struct coloured),
    .legal = coloured_legal,
    .over = coloured_over,
    .play = coloured_play,
    .side_to_move = coloured_side_to_move,
};

/* White's advantage: a weight for each of its cells less black's; then from the mover's view. */
static void net_of_white(const struct game *game, const struct search_leaf *leaf, float *priors,
                         struct evaluation *ret)
{
    static const float weights[9] = {3, 2, 3.5F, 2.25F, 4, 1.75F, 3.25F, 2.5F, 2.875F};
    const struct coloured *s = leaf->state;
    float white = 0.0F;
    net_uniform(game, leaf, priors, ret);
    for (int cell = 0; cell < 9; cell++) {
        white += (float)(s->stones[0] >> cell & 1) * weights[cell];
        white -= (float)(s->stones[1] >> cell & 1) * weights[cell];
    }
    ret->v = (s->mover == 0 ? white : -white) / 16.0F;
}

START_TEST(swapping_colours_gives_the_same_search)
{
    static const struct coloured positions[] = {
        {{0, 0}, 0},       {{0001, 0}, 1},    {{0020, 0400}, 0},
        {{0101, 0020}, 1}, {{0003, 0060}, 0}, {{0050, 0203}, 1},
    };
    for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
        for (int solver = 0; solver < 2; solver++) {
            const struct coloured *s = &positions[i];
            struct coloured swapped = {{s->stones[1], s->stones[0]}, 1 - s->mover};
            struct search_params params = search_quiet(200, solver == 1);
            struct search_result a;
            struct search_result b;
            struct search *search = search_create(&coloured_game);
            search_begin(search, &params, s, 0, 0);
            search_finish(search, &coloured_game, net_of_white, &a);
            search_begin(search, &params, &swapped, 0, 0);
            search_finish(search, &coloured_game, net_of_white, &b);
            search_destroy(search);
            ck_assert_mem_eq(&a.q, &b.q, sizeof(a.q));
            ck_assert_uint_eq(a.nodes, b.nodes);
            ck_assert_uint_eq(a.best_action, b.best_action);
            for (uint32_t k = 0; k < a.n_moves; k++) {
                ck_assert_uint_eq(a.moves[k].n, b.moves[k].n);
            }
        }
    }
}
END_TEST

START_TEST(value_turns_its_sign_from_ply_to_ply)
{
    /* Two searches in a row see the game alike, each from its own side. With a net that knows
     * nothing the sign comes from the ends of games alone. */
    static const struct coloured white_wins = {{0003, 0060}, 0}; /* c3 wins at once */
    struct coloured black_loses = {{0003, 0020}, 1}; /* two threats less one stone: must block */
    struct search_params params = search_quiet(400, false);
    struct search_result result;
    struct search *search = search_create(&coloured_game);

    search_begin(search, &params, &white_wins, 0, 0);
    search_finish(search, &coloured_game, net_uniform, &result);
    ck_assert_float_gt(result.q, 0.5F);
    ck_assert_uint_eq(result.best_action, 2);
    ck_assert_float_eq(result.moves[0].q, 1.0F);
    ck_assert_float_eq(result.greedy_q, 1.0F);
    black_loses.stones[0] = 0105; /* three corners' worth of threats */
    search_begin(search, &params, &black_loses, 0, 0);
    search_finish(search, &coloured_game, net_uniform, &result);
    ck_assert_float_lt(result.q, -0.5F);
    ck_assert_float_lt(result.best_q, -0.5F);
    search_destroy(search);
}
END_TEST

/* --- Signature: a change of play cannot hide. Whoever means to change it puts the new one here and
 * both into the commit. --- */

static uint64_t fnv(uint64_t hash, const void *bytes, size_t n)
{
    const uint8_t *b = bytes;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ b[i]) * 0x100000001b3U;
    }
    return hash;
}

START_TEST(signature_over_fixed_positions_is_unchanged)
{
    static const char *const lines[] = {"",       "4",         "4444",        "112233", "71727",
                                        "445526", "123456712", "44455554221", "1213243"};
    uint64_t hash = 0xcbf29ce484222325U;
    struct search *search = search_create(&connect4);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct search_result result;
        union game_state state;
        state_at(&connect4, lines[i], &state);
        search_begin(search, &search_params_default, &state, i, connect4.ply(&state));
        search_finish(search, &connect4, net_by_key, &result);
        for (uint32_t k = 0; k < result.n_moves; k++) {
            hash = fnv(hash, &result.moves[k].visits, sizeof(result.moves[k].visits));
        }
        hash = fnv(hash, &result.q, sizeof(result.q));
        hash = fnv(hash, &result.greedy_q, sizeof(result.greedy_q));
        hash = fnv(hash, &result.kld, sizeof(result.kld));
    }
    search_destroy(search);
    printf("search signature: %016llx\n", (unsigned long long)hash);
    ck_assert_uint_eq(hash, 0x0b3ca64c67c50967);
}
END_TEST

int main(void)
{
    const int n_tactics = (int)(sizeof(tactics) / sizeof(tactics[0]));
    Suite *suite = suite_create("search_play");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, untrained_net_and_800_nodes_find_tactics, 0, n_tactics);
    tcase_add_loop_test(tcase, tactics_are_found_without_proofs_too, 0, n_tactics);
    tcase_add_test(tcase, every_tictactoe_position_gets_its_exact_value);
    tcase_add_test(tcase, swapping_colours_gives_the_same_search);
    tcase_add_test(tcase, value_turns_its_sign_from_ply_to_ply);
    tcase_add_test(tcase, signature_over_fixed_positions_is_unchanged);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
