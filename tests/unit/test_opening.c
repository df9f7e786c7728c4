#include "mcts/random.h"
#include "selfplay/opening.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { N_SEEDS = 4000 };

static const struct opening_params half_of_eight = {.share = 0.5F, .plies = 8};

START_TEST(openings_are_legal_and_the_game_goes_on_behind_them)
{
    for (size_t i = 0; game_at(i) != NULL; i++) {
        const struct game *game = game_at(i);
        for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
            char opening[GAME_MAX_OPENING_TEXT];
            union game_state state;
            uint16_t legal[GAME_MAX_LEGAL];
            const char *why = NULL;
            opening_draw(game, &half_of_eight, seed, opening);
            ck_assert_msg(game->init(state.bytes, opening, &why), "%s, seed %llu: \"%s\": %s",
                          game->name, (unsigned long long)seed, opening, why);
            ck_assert_uint_eq(game->ply(state.bytes), strlen(opening));
            ck_assert_uint_gt(game->legal(state.bytes, legal), 0);
        }
    }
}
END_TEST

START_TEST(half_of_the_games_have_one_and_each_length_is_as_likely)
{
    const struct game *game = game_find("connect4");
    uint32_t of_length[9] = {0};

    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        char opening[GAME_MAX_OPENING_TEXT];
        opening_draw(game, &half_of_eight, random_u64(7, 0, RANDOM_TEST, seed), opening);
        ck_assert_uint_le(strlen(opening), 8);
        of_length[strlen(opening)]++;
    }
    ck_assert_uint_ge(of_length[0], N_SEEDS / 2 - 130); /* four standard errors */
    ck_assert_uint_le(of_length[0], N_SEEDS / 2 + 130);
    for (int length = 1; length <= 8; length++) {
        ck_assert_uint_ge(of_length[length], N_SEEDS / 16 - 65);
        ck_assert_uint_le(of_length[length], N_SEEDS / 16 + 65);
    }
}
END_TEST

START_TEST(an_opening_is_a_function_of_the_seed)
{
    const struct game *game = game_find("connect4");
    const struct opening_params always = {.share = 1.0F, .plies = 8};
    char a[GAME_MAX_OPENING_TEXT];
    char b[GAME_MAX_OPENING_TEXT];
    uint32_t differ = 0;

    for (uint64_t seed = 0; seed < 100; seed++) {
        opening_draw(game, &always, seed, a);
        opening_draw(game, &always, seed, b);
        ck_assert_str_eq(a, b);
        ck_assert_uint_gt(strlen(a), 0);
        opening_draw(game, &always, seed + 1, b);
        differ += strcmp(a, b) != 0 ? 1 : 0;
    }
    ck_assert_uint_gt(differ, 80); /* one-move openings may well be alike */
}
END_TEST

START_TEST(without_share_or_plies_every_game_begins_at_the_start)
{
    const struct opening_params none[] = {{.share = 0.0F, .plies = 8}, {.share = 1.0F, .plies = 0}};
    for (uint64_t seed = 0; seed < 200; seed++) {
        char opening[GAME_MAX_OPENING_TEXT];
        opening_draw(game_find("connect4"), &none[seed % 2], seed, opening);
        ck_assert_str_eq(opening, "");
    }
}
END_TEST

static void list(const struct game *game, uint64_t seed, struct opening_line **ret, size_t *ret_n)
{
    ck_assert_int_eq(opening_list(game, seed, ret, ret_n), 0);
}

START_TEST(openings_of_matches_are_all_positions_after_four_plies_but_for_mirror_images)
{
    /* Tic-tac-toe: 9! / (2! 2! 5!) = 756 positions of two stones each, none of them over. */
    static const char *const games[] = {"tictactoe", "connect4"};
    for (int g = 0; g < 2; g++) {
        const struct game *game = game_find(games[g]);
        struct opening_line *lines = NULL;
        size_t n = 0;
        list(game, 7, &lines, &n);
        ck_assert_uint_gt(n, 300);
        if (g == 0) {
            uint32_t symmetric = 0;
            for (size_t i = 0; i < n; i++) {
                union game_state state;
                union game_state image;
                ck_assert(game->init(&state, "", NULL));
                for (int ply = 0; ply < OPENING_MATCH_PLIES; ply++) {
                    game->play(&state, lines[i].actions[ply]);
                }
                game->mirror(&state, &image);
                struct game_key a = game->key(&state);
                struct game_key b = game->key(&image);
                symmetric += a.lo == b.lo && a.hi == b.hi ? 1 : 0;
            }
            ck_assert_uint_eq(2 * n - symmetric, 756);
        }
        for (size_t i = 0; i < n; i++) {
            union game_state state;
            union game_state again;
            char text[GAME_MAX_OPENING_TEXT];
            int value;
            ck_assert(game->init(&state, "", NULL));
            for (int ply = 0; ply < OPENING_MATCH_PLIES; ply++) {
                game->play(&state, lines[i].actions[ply]);
            }
            ck_assert(!game->over(&state, &value));
            opening_text(game, &lines[i], text);
            ck_assert(game->init(&again, text, NULL));
            struct game_key key = opening_canonical_key(game, &state);
            struct game_key other = opening_canonical_key(game, &again);
            ck_assert(key.lo == other.lo && key.hi == other.hi);
            for (size_t k = 0; g == 0 && k < i; k++) {
                ck_assert(game->init(&again, "", NULL));
                for (int ply = 0; ply < OPENING_MATCH_PLIES; ply++) {
                    game->play(&again, lines[k].actions[ply]);
                }
                other = opening_canonical_key(game, &again);
                ck_assert(key.lo != other.lo || key.hi != other.hi);
            }
        }
        free(lines);
    }
}
END_TEST

START_TEST(order_of_match_openings_is_drawn_from_the_seed)
{
    const struct game *game = game_find("connect4");
    struct opening_line *a = NULL;
    struct opening_line *b = NULL;
    size_t n = 0;
    size_t m = 0;
    list(game, 1, &a, &n);
    list(game, 1, &b, &m);
    ck_assert_uint_eq(n, m);
    ck_assert_int_eq(memcmp(a, b, n * sizeof *a), 0);
    free(b);
    list(game, 2, &b, &m);
    ck_assert_uint_eq(n, m);
    size_t alike = 0;
    for (size_t i = 0; i < n; i++) {
        alike += memcmp(&a[i], &b[i], sizeof a[i]) == 0 ? 1 : 0;
    }
    ck_assert_uint_lt(alike, 10);
    free(a);
    free(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("opening");
    TCase *tcase = tcase_create("opening");
    tcase_add_test(tcase, openings_are_legal_and_the_game_goes_on_behind_them);
    tcase_add_test(tcase, half_of_the_games_have_one_and_each_length_is_as_likely);
    tcase_add_test(tcase, an_opening_is_a_function_of_the_seed);
    tcase_add_test(tcase, without_share_or_plies_every_game_begins_at_the_start);
    tcase_add_test(tcase,
                   openings_of_matches_are_all_positions_after_four_plies_but_for_mirror_images);
    tcase_add_test(tcase, order_of_match_openings_is_drawn_from_the_seed);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
