/* Laws that hold for any game behind game.h, on random games of each. */
#include "mcts/game.h"
#include "mcts/random.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { GAMES_EACH = 60 };

static uint16_t random_action(const struct game *game, const void *state, uint64_t seed)
{
    uint16_t legal[GAME_MAX_LEGAL];
    uint32_t n = game->legal(state, legal);
    ck_assert_uint_gt(n, 0);
    return legal[random_u64(seed, game->ply(state), RANDOM_TEST, 0) % n];
}

/* Call check() at every position of random games, the last included. */
static void walk(const struct game *game, void (*check)(const struct game *, const void *))
{
    const char *why;
    int value;
    for (uint64_t seed = 0; seed < GAMES_EACH; seed++) {
        union game_state state;
        ck_assert(game->init(&state, "", &why));
        check(game, &state);
        while (!game->over(&state, &value)) {
            game->play(&state, random_action(game, &state, seed));
            check(game, &state);
        }
    }
}

static void check_plain_laws(const struct game *game, const void *state)
{
    uint16_t legal[GAME_MAX_LEGAL];
    uint32_t n = game->legal(state, legal);
    int value = 99;
    bool over = game->over(state, &value);

    ck_assert_int_eq(over, n == 0);
    ck_assert(!over || (value >= -1 && value <= 1));
    ck_assert_uint_le(n, game->max_legal);
    ck_assert_uint_le(game->ply(state), game->max_plies);
    ck_assert_uint_eq(game->side_to_move(state), game->ply(state) % 2);
    uint32_t n_logits = game->policy_planes * game->height * game->width;
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_uint_lt(legal[i], game->n_actions);
        ck_assert(i == 0 || legal[i - 1] < legal[i]);
        ck_assert_uint_lt(game->policy_index(state, legal[i]), n_logits);
        for (uint32_t k = 0; k < i; k++) {
            if (game->policy_index(state, legal[i]) == game->policy_index(state, legal[k])) {
                ck_abort_msg("%s: two moves, one logit", game->name);
            }
        }
        char text[GAME_MAX_ACTION_TEXT];
        char line[GAME_MAX_ACTION_TEXT + 8];
        const char *rest = line;
        uint16_t action;
        game->action_format(state, legal[i], text);
        strcpy(line, text);
        strcat(line, " \tx");
        ck_assert(game->action_parse(state, &rest, &action));
        ck_assert_uint_eq(action, legal[i]);
        ck_assert_str_eq(rest, "x");
    }
    char drawing[GAME_MAX_DRAWING];
    game->draw(state, drawing);
    ck_assert(strlen(drawing) > 0 && drawing[strlen(drawing) - 1] == '\n');
}

START_TEST(legal_moves_results_and_text_fit_together)
{
    walk(game_at((size_t)_i), check_plain_laws);
}
END_TEST

static void check_mirrored_planes(const struct game *game, const void *state, const void *mirrored)
{
    float planes[8 * 64];
    float other[8 * 64];
    uint32_t n = game->n_planes * game->height * game->width;
    ck_assert_uint_le(n, sizeof(planes) / sizeof(planes[0]));
    game->planes(state, planes);
    game->planes(mirrored, other);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t x = i % game->width;
        if (planes[i] != other[i - x + game->width - 1 - x]) {
            ck_abort_msg("%s: input %u is not mirrored", game->name, i);
        }
    }
}

static bool contains(const uint16_t *actions, uint32_t n, uint16_t action)
{
    for (uint32_t i = 0; i < n; i++) {
        if (actions[i] == action) {
            return true;
        }
    }
    return false;
}

static void check_mirror_laws(const struct game *game, const void *state)
{
    union game_state mirrored;
    union game_state back;
    uint16_t legal[GAME_MAX_LEGAL];
    uint16_t other[GAME_MAX_LEGAL];
    int value = 99;
    int other_value = 99;

    game->mirror(state, &mirrored);
    game->mirror(&mirrored, &back);
    ck_assert_mem_eq(&back, state, game->state_bytes);
    ck_assert_int_eq(game->over(state, &value), game->over(&mirrored, &other_value));
    ck_assert_int_eq(value, other_value);
    ck_assert_uint_eq(game->ply(state), game->ply(&mirrored));
    ck_assert_uint_eq(game->side_to_move(state), game->side_to_move(&mirrored));

    struct game_key key = game->key(state);
    struct game_key other_key = game->key(&mirrored);
    bool symmetric = memcmp(state, &mirrored, game->state_bytes) == 0;
    ck_assert_int_eq(key.lo == other_key.lo && key.hi == other_key.hi, symmetric);
    int n_canonical = game->is_canonical(state) + game->is_canonical(&mirrored);
    ck_assert_int_eq(n_canonical, symmetric ? 2 : 1);
    check_mirrored_planes(game, state, &mirrored);

    uint32_t n = game->legal(state, legal);
    ck_assert_uint_eq(game->legal(&mirrored, other), n);
    for (uint32_t i = 0; i < n; i++) {
        uint16_t action = game->mirror_action(legal[i]);
        uint32_t index = game->policy_index(state, legal[i]);
        uint32_t x = index % game->width;
        ck_assert_uint_eq(game->mirror_action(action), legal[i]);
        ck_assert(contains(other, n, action));
        ck_assert_uint_eq(game->policy_index(&mirrored, action), index - x + game->width - 1 - x);

        union game_state next;
        union game_state next_of_mirrored;
        union game_state mirrored_next;
        memcpy(&next, state, game->state_bytes);
        memcpy(&next_of_mirrored, &mirrored, game->state_bytes);
        game->play(&next, legal[i]);
        game->play(&next_of_mirrored, action);
        game->mirror(&next, &mirrored_next);
        ck_assert_mem_eq(&next_of_mirrored, &mirrored_next, game->state_bytes);
    }
}

START_TEST(mirror_image_commutes_with_everything)
{
    ck_assert(game_at((size_t)_i)->has_mirror);
    walk(game_at((size_t)_i), check_mirror_laws);
}
END_TEST

START_TEST(lines_of_text_are_played_or_refused_where_they_go_wrong)
{
    const struct game *game = game_at((size_t)_i);
    const char *why = NULL;
    union game_state at;
    union game_state before;
    size_t bad = 99;

    ck_assert(game->init(&at, " 1 2\t3\n", &why));
    ck_assert_uint_eq(game->ply(&at), 3);
    memcpy(&before, &at, game->state_bytes);
    ck_assert(!game_play_text(game, &at, "45 x6", &bad));
    ck_assert_uint_eq(bad, 3);
    ck_assert_mem_eq(&before, &at, game->state_bytes);
    ck_assert(!game_play_text(game, &at, "0", &bad));
    ck_assert_uint_eq(bad, 0);
    ck_assert(game_play_text(game, &at, "", &bad));
    ck_assert(game_play_text(game, &at, "45", &bad));
    ck_assert_uint_eq(game->ply(&at), 5);

    union game_state untouched = before;
    ck_assert(!game->init(&untouched, "12x", &why));
    ck_assert_ptr_nonnull(why);
    ck_assert_mem_eq(&before, &untouched, game->state_bytes);
}
END_TEST

START_TEST(opening_in_which_the_game_ends_is_refused)
{
    const char *why = NULL;
    union game_state state;
    ck_assert(!game_find("connect4")->init(&state, "1122334", &why));
    ck_assert_ptr_nonnull(strstr(why, "over"));
    ck_assert(!game_find("tictactoe")->init(&state, "14253", &why));
    ck_assert_ptr_nonnull(strstr(why, "over"));
    ck_assert(!game_find("tictactoe")->init(&state, "142536", &why)); /* moves after the end */
}
END_TEST

START_TEST(games_are_found_by_name)
{
    ck_assert_str_eq(game_at(0)->name, "connect4");
    ck_assert_ptr_eq(game_find("tictactoe"), game_at(1));
    ck_assert_ptr_null(game_at(2));
    ck_assert_ptr_null(game_find("chess960"));
    ck_assert_ptr_null(game_find(""));
    for (size_t i = 0; game_at(i) != NULL; i++) {
        const struct game *game = game_at(i);
        ck_assert_ptr_eq(game_find(game->name), game);
        ck_assert_uint_le(game->n_actions, GAME_MAX_ACTIONS);
        ck_assert_uint_le(game->max_legal, GAME_MAX_LEGAL);
        ck_assert_uint_le(game->state_bytes, GAME_MAX_STATE_BYTES);
        uint32_t n_logits = game->policy_planes * game->height * game->width;
        ck_assert_uint_le(n_logits, GAME_MAX_POLICY);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("game");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, legal_moves_results_and_text_fit_together, 0, 2);
    tcase_add_loop_test(tcase, mirror_image_commutes_with_everything, 0, 2);
    tcase_add_loop_test(tcase, lines_of_text_are_played_or_refused_where_they_go_wrong, 0, 2);
    tcase_add_test(tcase, opening_in_which_the_game_ends_is_refused);
    tcase_add_test(tcase, games_are_found_by_name);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
