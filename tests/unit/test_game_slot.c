#include "mcts/random.h"
#include "selfplay/game_slot.h"
#include "storage/policy.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char uid[] = "00112233445566778899aabbccddeeff";

/* An evaluation that depends on the position and nothing else. */
static void evaluate(const struct game *game, const struct search_leaf *leaf, float *priors,
                     struct evaluation *ret)
{
    struct game_key key = game->key(leaf->state);
    uint64_t seed = key.lo ^ (key.hi * 0x9E3779B97F4A7C15U);
    float sum = 0;
    for (uint32_t i = 0; i < leaf->n_legal; i++) {
        priors[i] = 0.1F + (float)random_uniform(seed, i, RANDOM_TEST, 0);
        sum += priors[i];
    }
    for (uint32_t i = 0; i < leaf->n_legal; i++) {
        priors[i] /= sum;
    }
    float v = (float)random_uniform(seed, 0, RANDOM_TEST, 1) - 0.5F;
    *ret = (struct evaluation){v, 0.25F, NAN, leaf->n_legal, priors};
}

static void run_search(const struct game *game, struct search *search)
{
    struct search_leaf leaf;
    struct evaluation evaluation;
    float priors[GAME_MAX_LEGAL];
    enum search_status status;
    while ((status = search_next(search, &leaf)) == SEARCH_NEEDS_EVALUATION) {
        evaluate(game, &leaf, priors, &evaluation);
        search_apply(search, &evaluation);
    }
    ck_assert_int_eq(status, SEARCH_DONE);
}

static struct selfplay_settings quick_settings(void)
{
    struct selfplay_settings settings = selfplay_settings_default;
    settings.search.nodes = 60;
    return settings;
}

static void start(struct game_slot *slot, int64_t seed, const char *opening)
{
    struct error err;
    ck_assert_msg(game_slot_start(slot, uid, seed, opening, 0, NULL, NULL, 5, &err) == 0, "%s",
                  err.text);
}

static void move(struct game_slot *slot, const struct selfplay_settings *settings,
                 struct record_position *ret)
{
    struct error err;
    game_slot_begin_move(slot, settings);
    run_search(slot->game, slot->search);
    ck_assert_msg(game_slot_finish_move(slot, settings, ret, &err) == 0, "%s", err.text);
}

/* Quiet; a threat that must be met, so that other moves are proven losses; a win at once. */
static const char *const openings[] = {"4453", "12121", "121212"};

/* _i: opening */
START_TEST(record_is_what_a_search_of_that_seed_and_ply_says)
{
    const struct game *game = game_find("connect4");
    struct selfplay_settings settings = quick_settings();
    struct game_slot slot;
    struct record_position position;
    static struct search_result result;
    ck_assert_int_eq(game_slot_init(&slot, game), 0);
    struct search *search = search_create(game);
    start(&slot, 77, openings[_i]);
    uint32_t opening_plies = game->ply(&slot.state);
    struct record_end end;
    for (uint32_t ply = 0; ply < 6 && !game_slot_over(&slot, &settings, &end); ply++) {
        union game_state before = slot.state;
        move(&slot, &settings, &position);
        /* Noise and choice are numbered from the opening, the temperature counts all plies. */
        search_begin(search, &settings.search, &before, 77, ply);
        run_search(game, search);
        search_result(search, &result);
        const struct search_move *played = &result.moves[search_choose(
            &result, temperature_at(&settings.temperature, opening_plies + ply), 77, ply)];
        ck_assert_uint_eq(position.ply, ply);
        ck_assert_uint_eq(position.action, played->action);
        ck_assert_uint_eq(position.best_action, result.best_action);
        ck_assert_float_eq(position.q, result.q);
        ck_assert_float_eq(position.d, result.d);
        ck_assert_float_eq(position.best_q, result.best_q);
        ck_assert_float_eq(position.best_d, result.best_d);
        ck_assert_float_eq(position.greedy_q, result.greedy_q);
        ck_assert_float_eq(position.greedy_d, result.greedy_d);
        ck_assert_float_eq(position.played_q, played->q);
        ck_assert_float_eq(position.played_d, played->d);
        ck_assert_float_eq(position.v, result.v);
        ck_assert_float_eq(position.v_d, result.v_d);
        ck_assert(isnan(position.m));
        ck_assert_uint_eq(position.nodes, result.nodes);
        ck_assert_float_eq(position.kld, result.kld);
        ck_assert_int_eq(position.proven, result.proven ? result.proven_value : PROVEN_NONE);
        ck_assert_int_eq(position.kind, POSITION_FULL);
        struct policy_entry entries[GAME_MAX_LEGAL];
        int n = policy_decode(position.policy, position.policy_bytes, entries, GAME_MAX_LEGAL);
        ck_assert_int_gt(n, 0);
        int entry = 0;
        for (uint32_t i = 0; i < result.n_moves; i++) {
            if (result.moves[i].visits > 0) {
                ck_assert_uint_eq(entries[entry].action, result.moves[i].action);
                ck_assert_uint_eq(entries[entry].visits, result.moves[i].visits);
                entry++;
            }
        }
        ck_assert_int_eq(entry, n);
        ck_assert_float_eq(slot.q[ply], result.q);
        game->play(&before, played->action);
        ck_assert_mem_eq(&slot.state, &before, game->state_bytes);
    }
    search_destroy(search);
    game_slot_finish(&slot);
}
END_TEST

START_TEST(without_temperature_the_best_move_is_played_and_with_it_not_always)
{
    struct game_slot slot;
    struct record_position position;
    struct selfplay_settings settings = quick_settings();
    int others[2] = {0, 0};
    ck_assert_int_eq(game_slot_init(&slot, game_find("connect4")), 0);
    for (int hot = 0; hot <= 1; hot++) {
        settings.temperature.start = settings.temperature.floor = (float)hot;
        for (int64_t seed = 0; seed < 30; seed++) {
            start(&slot, seed, "");
            move(&slot, &settings, &position);
            others[hot] += position.action != position.best_action;
            game_slot_clear(&slot);
        }
    }
    ck_assert_int_eq(others[0], 0);
    ck_assert_int_gt(others[1], 5);
    game_slot_finish(&slot);
}
END_TEST

START_TEST(fast_searches_have_their_share_their_nodes_and_no_noise)
{
    enum { GAMES = 400 };
    const struct game *game = game_find("connect4");
    struct selfplay_settings settings = quick_settings();
    struct game_slot slot;
    struct record_position position;
    static struct search_result result;
    int n_fast = 0;
    settings.fast_share = 0.75F;
    settings.fast_nodes = 10;
    struct search_params quiet = settings.search;
    quiet.nodes = 10;
    quiet.noise_share = 0;
    ck_assert_int_eq(game_slot_init(&slot, game), 0);
    struct search *search = search_create(game);
    for (int64_t seed = 0; seed < GAMES; seed++) {
        start(&slot, seed, "");
        union game_state before = slot.state;
        move(&slot, &settings, &position);
        ck_assert_uint_eq(position.nodes, position.kind == POSITION_FAST ? 10 : 60);
        if (position.kind == POSITION_FAST) {
            n_fast++;
            search_begin(search, &quiet, &before, 123456, 99); /* no noise: no matter which seed */
            run_search(game, search);
            search_result(search, &result);
            ck_assert_float_eq(position.q, result.q);
            ck_assert_float_eq(position.best_q, result.best_q);
        }
        game_slot_clear(&slot);
    }
    /* binomial: 300 +- 8.7 */
    ck_assert_int_gt(n_fast, 300 - 35);
    ck_assert_int_lt(n_fast, 300 + 35);
    search_destroy(search);
    game_slot_finish(&slot);
}
END_TEST

/* A game behind the moves of `line` (Connect Four) with those q. */
static void behind(struct game_slot *slot, const char *line, const float *q, int64_t seed)
{
    uint16_t actions[42];
    uint32_t n = (uint32_t)strlen(line);
    struct error err;
    for (uint32_t i = 0; i < n; i++) {
        actions[i] = (uint16_t)(line[i] - '1');
    }
    ck_assert_msg(game_slot_start(slot, uid, seed, "", n, actions, q, 0, &err) == 0, "%s",
                  err.text);
}

struct resignation {
    float q[8];
    uint32_t plies; /* of the game so far */
    bool over;
    int32_t would_ply, would_side;
    int outcome; /* first player's, if over */
};

/* Threshold 0.9, three own moves in a row. */
static const struct resignation resignations[] = {
    {{-0.95F, 0.9F, -0.95F, 0.9F, -0.95F}, 5, true, 4, 0, -1},
    {{0, -0.95F, 0.9F, -0.9F, 0.9F, -0.95F}, 6, true, 5, 1, 1},      /* -threshold itself counts */
    {{-0.95F, 0.9F, -0.95F, 0.9F}, 4, false, -1, -1, 0},             /* two are not three */
    {{-0.95F, 0, -0.8F, 0, -0.95F, 0, -0.95F}, 7, false, -1, -1, 0}, /* not in a row */
    {{-0.95F, -0.95F, -0.95F}, 3, false, -1, -1, 0},          /* not three of one side's own */
    {{-0.95F, 0, NAN, 0, -0.95F}, 5, false, -1, -1, 0},       /* not known is not lost */
    {{0.95F, 0.9F, 0.95F, 0.9F, 0.95F}, 5, false, -1, -1, 0}, /* winning is not losing */
};

START_TEST(side_resigns_after_three_lost_moves_of_its_own)
{
    const struct resignation *wanted = &resignations[_i];
    struct selfplay_settings settings = quick_settings();
    struct game_slot slot;
    struct record_end end = {.first_player_outcome = 9};
    char line[9] = "12312312"; /* over nowhere */
    line[wanted->plies] = '\0';
    settings.resign_threshold = 0.9F;
    settings.resign_plies = 3;
    settings.resign_playout = 0;
    ck_assert_int_eq(game_slot_init(&slot, game_find("connect4")), 0);
    behind(&slot, line, wanted->q, 1);
    ck_assert(game_slot_over(&slot, &settings, &end) == wanted->over);
    if (wanted->over) {
        ck_assert_str_eq(end.reason, "resign");
        ck_assert_int_eq(end.first_player_outcome, wanted->outcome);
        ck_assert_uint_eq(end.plies, wanted->plies);
        ck_assert_int_eq(end.would_resign_ply, wanted->would_ply);
        ck_assert_int_eq(end.would_resign_side, wanted->would_side);
    }
    settings.resign_threshold = 0; /* off */
    ck_assert(!game_slot_over(&slot, &settings, &end));
    game_slot_finish(&slot);
}
END_TEST

START_TEST(played_out_games_are_the_stated_share_and_say_who_would_have_resigned)
{
    static const float lost[] = {-0.95F, 0.5F, -0.95F, 0.5F, -0.95F};
    static const float lost_then_won[] = {0.5F, -0.95F, 0.5F, -0.95F, 0.5F, -0.95F, 0.9F};
    struct selfplay_settings settings = quick_settings();
    struct game_slot slot;
    struct record_end end;
    int played_out = 0;
    settings.resign_threshold = 0.9F;
    settings.resign_plies = 3;
    settings.resign_playout = 0.25F;
    ck_assert_int_eq(game_slot_init(&slot, game_find("connect4")), 0);
    for (int64_t seed = 0; seed < 1000; seed++) {
        behind(&slot, "12312", lost, seed);
        played_out += !game_slot_over(&slot, &settings, &end);
        game_slot_clear(&slot);
    }
    ck_assert_int_gt(played_out, 250 - 55); /* binomial: 250 +- 13.7 */
    ck_assert_int_lt(played_out, 250 + 55);

    settings.resign_playout =
        1; /* the first player wins a game in which the second would have ... */
    behind(&slot, "1212121", lost_then_won, 1);
    ck_assert(game_slot_over(&slot, &settings, &end));
    ck_assert_str_eq(end.reason, "rules");
    ck_assert_int_eq(end.first_player_outcome, 1);
    ck_assert_int_eq(end.would_resign_ply, 5);
    ck_assert_int_eq(end.would_resign_side, 1);
    game_slot_finish(&slot);
}
END_TEST

START_TEST(sides_are_counted_from_the_opening_on)
{
    static const float q[] = {-1, 0, -1};
    struct selfplay_settings settings = quick_settings();
    struct game_slot slot;
    struct record_end end;
    struct error err;
    settings.resign_threshold = 0.9F;
    settings.resign_plies = 2;
    settings.resign_playout = 0;
    ck_assert_int_eq(game_slot_init(&slot, game_find("connect4")), 0);
    /* One move in the opening: the second player moves at ply 0 of the game. */
    ck_assert_int_eq(game_slot_start(&slot, uid, 1, "4", 3, (uint16_t[]){0, 1, 2}, q, 0, &err), 0);
    ck_assert_uint_eq(slot.first_side, 1);
    ck_assert(game_slot_over(&slot, &settings, &end));
    ck_assert_int_eq(end.first_player_outcome, 1);
    ck_assert_int_eq(end.would_resign_side, 1);
    ck_assert_int_eq(end.would_resign_ply, 2);
    game_slot_finish(&slot);
}
END_TEST

START_TEST(rules_and_length_end_a_game)
{
    struct selfplay_settings settings = quick_settings();
    struct game short_game = *game_find("connect4");
    struct game_slot slot;
    struct record_end end;
    short_game.max_plies = 7;
    ck_assert_int_eq(game_slot_init(&slot, &short_game), 0);
    behind(&slot, "121212", NULL, 1);
    ck_assert(!game_slot_over(&slot, &settings, &end));
    game_slot_clear(&slot);
    behind(&slot, "1212121", NULL, 1); /* four in column 1 */
    ck_assert(game_slot_over(&slot, &settings, &end));
    ck_assert_str_eq(end.reason, "rules");
    ck_assert_int_eq(end.first_player_outcome, 1);
    ck_assert_int_eq(end.would_resign_ply, -1);
    ck_assert_int_eq(end.would_resign_side, -1);
    game_slot_clear(&slot);
    behind(&slot, "1212123", NULL, 1);
    ck_assert(game_slot_over(&slot, &settings, &end));
    ck_assert_str_eq(end.reason, "plies");
    ck_assert_int_eq(end.first_player_outcome, 0);
    ck_assert_uint_eq(end.plies, 7);
    game_slot_finish(&slot);
}
END_TEST

static void not_started(struct game_slot *slot, const char *opening, uint32_t n,
                        const uint16_t *actions, const char *because)
{
    struct error err = {""};
    ck_assert_int_eq(game_slot_start(slot, uid, 1, opening, n, actions, NULL, 0, &err),
                     ERROR_INVALID);
    ck_assert_msg(strstr(err.text, because) != NULL, "\"%s\" lacks \"%s\"", err.text, because);
    ck_assert_ptr_nonnull(strstr(err.text, uid));
    ck_assert(game_slot_empty(slot));
}

START_TEST(impossible_games_are_refused_with_game_and_ply)
{
    static const uint16_t full[7] = {0, 0, 0, 0, 0, 0, 0};
    static const uint16_t too_long[43];
    static const uint16_t won[8] = {0, 1, 0, 1, 0, 1, 0, 1};
    static const uint16_t no_action[2] = {3, 7};
    struct game_slot slot;
    ck_assert_int_eq(game_slot_init(&slot, game_find("connect4")), 0);
    not_started(&slot, "4x", 0, NULL, "\"4x\"");
    not_started(&slot, "1212121", 0, NULL, "\"1212121\""); /* over */
    not_started(&slot, "", 7, full, "ply 6");
    not_started(&slot, "", 43, too_long, "43 moves");
    not_started(&slot, "", 8, won, "ply 7");
    not_started(&slot, "", 2, no_action, "ply 1: action 7");
    game_slot_finish(&slot);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("game_slot");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, record_is_what_a_search_of_that_seed_and_ply_says, 0, 3);
    tcase_add_test(cases, without_temperature_the_best_move_is_played_and_with_it_not_always);
    tcase_add_test(cases, fast_searches_have_their_share_their_nodes_and_no_noise);
    tcase_add_loop_test(cases, side_resigns_after_three_lost_moves_of_its_own, 0,
                        sizeof resignations / sizeof resignations[0]);
    tcase_add_test(cases, played_out_games_are_the_stated_share_and_say_who_would_have_resigned);
    tcase_add_test(cases, sides_are_counted_from_the_opening_on);
    tcase_add_test(cases, rules_and_length_end_a_game);
    tcase_add_test(cases, impossible_games_are_refused_with_game_and_ply);
    Suite *suite = suite_create("game_slot");
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
