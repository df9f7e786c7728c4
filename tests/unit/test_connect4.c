#include "mcts/games/connect4.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { PERFT_PLIES = 8 };
#else
enum { PERFT_PLIES = 10 };
#endif

static struct connect4_state at(const char *moves)
{
    struct connect4_state state = {0, 0};
    size_t bad;
    ck_assert_msg(game_play_text(&connect4, &state, moves, &bad), "%s", moves);
    return state;
}

START_TEST(perft_gives_the_published_counts)
{
    static const uint64_t counts[] = {1,      7,      49,      343,      2401,     16807,
                                      117649, 823536, 5673234, 39394572, 268031646};
    struct connect4_state start = {0, 0};
    for (uint32_t plies = 0; plies <= PERFT_PLIES; plies++) {
        ck_assert_uint_eq(connect4_perft(&start, plies), counts[plies]);
    }
}
END_TEST

/* The same through the game's own functions, as a search plays. */
static uint64_t perft_by_game(const struct connect4_state *state, uint32_t plies)
{
    uint16_t legal[7];
    uint64_t n = 0;
    if (plies == 0) {
        return 1;
    }
    uint32_t n_legal = connect4.legal(state, legal);
    for (uint32_t i = 0; i < n_legal; i++) {
        struct connect4_state next = *state;
        connect4.play(&next, legal[i]);
        n += perft_by_game(&next, plies - 1);
    }
    return n;
}

START_TEST(fast_perft_counts_what_the_game_plays)
{
    static const char *const lines[] = {"", "4444", "112233", "12132435", "444444333333"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct connect4_state state = at(lines[i]);
        for (uint32_t plies = 0; plies <= 6; plies++) {
            ck_assert_uint_eq(connect4_perft(&state, plies), perft_by_game(&state, plies));
        }
    }
}
END_TEST

static int compare_states(const void *a, const void *b)
{
    uint64_t x = connect4.key(a).lo;
    uint64_t y = connect4.key(b).lo;
    return (x > y) - (x < y);
}

/* OEIS A212693: a position counts once however it is reached; ended games are not played on. Fails
 * if two positions share a key, too. */
START_TEST(distinct_positions_per_ply_are_those_of_the_encyclopedia)
{
    static const size_t counts[] = {1, 7, 49, 238, 1120, 4263, 16422, 54859, 184275};
    struct connect4_state *now = calloc(184275, sizeof(*now));
    struct connect4_state *next = calloc((size_t)7 * 54859, sizeof(*next));
    size_t n = 1;

    ck_assert(now != NULL && next != NULL);
    for (size_t ply = 1; ply < sizeof(counts) / sizeof(counts[0]); ply++) {
        size_t n_next = 0;
        for (size_t i = 0; i < n; i++) {
            uint16_t legal[7];
            uint32_t n_legal = connect4.legal(&now[i], legal);
            for (uint32_t k = 0; k < n_legal; k++) {
                next[n_next] = now[i];
                connect4.play(&next[n_next++], legal[k]);
            }
        }
        qsort(next, n_next, sizeof(*next), compare_states);
        n = 0;
        for (size_t i = 0; i < n_next; i++) {
            if (i == 0 || compare_states(&next[i], &next[i - 1]) != 0) {
                now[n++] = next[i];
            } else {
                ck_assert_mem_eq(&next[i], &next[i - 1], sizeof(*next));
            }
        }
        ck_assert_uint_eq(n, counts[ply]);
    }
    free(now);
    free(next);
}
END_TEST

START_TEST(four_in_a_row_ends_the_game_in_every_direction)
{
    static const char *const lines[] = {
        "1122334",     /* across */
        "7766554",     /* across, at the right edge */
        "1212121",     /* up */
        "7172737",     /* up, at the edge */
        "12233434464", /* rising */
        "76655454424", /* falling */
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct connect4_state state = at(lines[i]);
        uint16_t legal[7];
        int value = 99;
        ck_assert_msg(connect4.over(&state, &value), "%s", lines[i]);
        ck_assert_int_eq(value, -1); /* the side to move has just lost */
        ck_assert_uint_eq(connect4.legal(&state, legal), 0);
    }
}
END_TEST

START_TEST(lines_do_not_run_round_the_edge_of_the_board)
{
    static const char *const lines[] = {
        "1122737",    /* columns 7, 1, 2 are not neighbours */
        "1111112727", /* the top of one column and the foot of the next */
        "11111123232",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct connect4_state state = at(lines[i]);
        int value;
        ck_assert_msg(!connect4.over(&state, &value), "%s", lines[i]);
    }
}
END_TEST

START_TEST(full_board_without_a_line_is_a_draw)
{
    struct connect4_state state = at("121212212121343434434343565656656565777777");
    int value = 99;
    ck_assert_uint_eq(connect4.ply(&state), 42);
    ck_assert(connect4.over(&state, &value));
    ck_assert_int_eq(value, 0);
}
END_TEST

START_TEST(planes_and_policy_stand_on_the_cells)
{
    struct connect4_state state = at("4452"); /* X d1, O d2, X e1, O b1: X to move */
    float planes[3][6][7];
    connect4.planes(&state, &planes[0][0][0]);
    for (int row = 0; row < 6; row++) {
        for (int column = 0; column < 7; column++) {
            bool x = row == 0 && (column == 3 || column == 4);
            bool o = (row == 1 && column == 3) || (row == 0 && column == 1);
            ck_assert_float_eq(planes[0][row][column], x ? 1.0F : 0.0F);
            ck_assert_float_eq(planes[1][row][column], o ? 1.0F : 0.0F);
            ck_assert_float_eq(planes[2][row][column], 1.0F);
        }
    }
    ck_assert_uint_eq(connect4.policy_index(&state, 0), 0);
    ck_assert_uint_eq(connect4.policy_index(&state, 1), 1 * 7 + 1);
    ck_assert_uint_eq(connect4.policy_index(&state, 3), 2 * 7 + 3);
    ck_assert_uint_eq(connect4.policy_index(&state, 6), 6);
}
END_TEST

START_TEST(board_is_drawn_with_the_first_player_as_x)
{
    struct connect4_state state = at("44521");
    char text[GAME_MAX_DRAWING];
    connect4.draw(&state, text);
    ck_assert_str_eq(text, ". . . . . . .\n"
                           ". . . . . . .\n"
                           ". . . . . . .\n"
                           ". . . . . . .\n"
                           ". . . O . . .\n"
                           "X O . X X . .\n"
                           "1 2 3 4 5 6 7\n");
}
END_TEST

START_TEST(full_column_is_no_move)
{
    struct connect4_state state = at("444444");
    uint16_t legal[7];
    const char *text = "4";
    uint16_t action;
    ck_assert_uint_eq(connect4.legal(&state, legal), 6);
    ck_assert_uint_eq(legal[3], 4);
    ck_assert(!connect4.action_parse(&state, &text, &action));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connect4");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, perft_gives_the_published_counts);
    tcase_add_test(tcase, fast_perft_counts_what_the_game_plays);
    tcase_add_test(tcase, distinct_positions_per_ply_are_those_of_the_encyclopedia);
    tcase_add_test(tcase, four_in_a_row_ends_the_game_in_every_direction);
    tcase_add_test(tcase, lines_do_not_run_round_the_edge_of_the_board);
    tcase_add_test(tcase, full_board_without_a_line_is_a_draw);
    tcase_add_test(tcase, planes_and_policy_stand_on_the_cells);
    tcase_add_test(tcase, board_is_drawn_with_the_first_player_as_x);
    tcase_add_test(tcase, full_column_is_no_move);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
