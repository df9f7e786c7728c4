#include "mcts/games/tictactoe.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct tally {
    uint32_t games;
    uint32_t results[3]; /* first player lost, drew, won */
    uint32_t positions;
    bool seen[1 << 18];
};

/* Play all games; returns the value with best play for the side to move. */
static int explore(const void *state, struct tally *tally)
{
    uint64_t key = tictactoe.key(state).lo;
    int value;
    int best = -1;

    if (key >= 1 << 18) {
        ck_abort_msg("key %llu", (unsigned long long)key);
    }
    tally->positions += tally->seen[key] ? 0 : 1;
    tally->seen[key] = true;
    if (tictactoe.over(state, &value)) {
        int first = tictactoe.side_to_move(state) == 0 ? value : -value;
        tally->games++;
        tally->results[first + 1]++;
        return value;
    }
    uint16_t legal[9];
    uint32_t n = tictactoe.legal(state, legal);
    for (uint32_t i = 0; i < n; i++) {
        union game_state next;
        memcpy(&next, state, tictactoe.state_bytes);
        tictactoe.play(&next, legal[i]);
        int v = -explore(&next, tally);
        best = v > best ? v : best;
    }
    return best;
}

START_TEST(all_games_are_those_that_everyone_counts)
{
    static struct tally tally;
    union game_state start;
    const char *why;
    ck_assert(tictactoe.init(&start, "", &why));
    ck_assert_int_eq(explore(&start, &tally), 0);
    ck_assert_uint_eq(tally.games, 255168);
    ck_assert_uint_eq(tally.results[2], 131184);
    ck_assert_uint_eq(tally.results[0], 77904);
    ck_assert_uint_eq(tally.results[1], 46080);
    ck_assert_uint_eq(tally.positions, 5478);
}
END_TEST

START_TEST(board_and_planes_are_by_rows_from_the_top)
{
    union game_state state;
    const char *why;
    char text[GAME_MAX_DRAWING];
    float planes[3][9];
    ck_assert(tictactoe.init(&state, "1 5 9", &why));
    tictactoe.draw(&state, text);
    ck_assert_str_eq(text, "X . .\n. O .\n. . X\n");
    tictactoe.planes(&state, &planes[0][0]);
    for (int cell = 0; cell < 9; cell++) {
        ck_assert_float_eq(planes[0][cell], cell == 4 ? 1.0F : 0.0F);
        ck_assert_float_eq(planes[1][cell], cell == 0 || cell == 8 ? 1.0F : 0.0F);
        ck_assert_float_eq(planes[2][cell], 1.0F);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tictactoe");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, all_games_are_those_that_everyone_counts);
    tcase_add_test(tcase, board_and_planes_are_by_rows_from_the_top);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
