#include "random_net.h"
#include "selfplay/pool.h"
#include "selfplay/suite.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 30 };

static const struct game *game;
static struct net *net;
static union game_state states[N];
static const void *pointers[N];
static struct search_result results[N];
static struct search_result others[N];

static void set_up(void)
{
    uint16_t legal[GAME_MAX_LEGAL];
    game = game_find("connect4");
    net = random_net(game, NET_VALUE_WDL, 21, 1.0);
    for (uint32_t i = 0; i < N; i++) { /* 0 .. 9 random moves; some end within a few more */
        ck_assert(game->init(&states[i], "", NULL));
        for (uint32_t ply = 0; ply < i % 10; ply++) {
            union game_state next = states[i];
            uint32_t n = game->legal(&next, legal);
            int value;
            game->play(&next, legal[random_u64(i, ply, RANDOM_TEST, 3) % n]);
            if (!game->over(&next, &value)) {
                states[i] = next;
            }
        }
        pointers[i] = &states[i];
    }
    memset(results, 0, sizeof results);
    memset(others, 0, sizeof others);
}

static void tear_down(void)
{
    net_destroy(net);
}

static struct player *player_of(uint32_t max_batch, size_t cache_entries)
{
    struct player *player = NULL;
    struct error err;
    ck_assert_msg(player_create(game, net, max_batch, cache_entries, &player, &err) == 0, "%s",
                  err.text);
    return player;
}

static void search_all(struct player *player, uint32_t nodes, struct search_result *ret)
{
    struct error err;
    ck_assert_msg(player_search(player, &search_params_default, nodes, pointers, N, ret, NULL, NULL,
                                &err) == 0,
                  "%s", err.text);
}

static void same_results(const struct search_result *a, const struct search_result *b)
{
    for (uint32_t i = 0; i < N; i++) {
        ck_assert_uint_eq(a[i].best_action, b[i].best_action);
        ck_assert_uint_eq(a[i].nodes, b[i].nodes);
        ck_assert_mem_eq(&a[i].q, &b[i].q, sizeof a[i].q);
        ck_assert_mem_eq(&a[i].d, &b[i].d, sizeof a[i].d);
        ck_assert_uint_eq(a[i].n_moves, b[i].n_moves);
        for (uint32_t k = 0; k < a[i].n_moves; k++) {
            ck_assert_uint_eq(a[i].moves[k].visits, b[i].moves[k].visits);
            ck_assert_mem_eq(&a[i].moves[k].prior, &b[i].moves[k].prior, sizeof(float));
        }
    }
}

START_TEST(nodes_0_is_the_nets_word_and_the_move_of_highest_prior)
{
    struct player *player = player_of(7, 100);
    struct evaluator *evaluator = NULL;
    struct error err;
    ck_assert_int_eq(evaluator_create(game, net, 1, &evaluator, &err), 0);
    search_all(player, 0, results);
    for (uint32_t i = 0; i < N; i++) {
        uint16_t legal[GAME_MAX_LEGAL];
        struct evaluator_request request = {&states[i], game->legal(&states[i], legal), legal};
        struct evaluation word;
        uint32_t best = 0;
        evaluator_run(evaluator, &request, 1, &word);
        ck_assert_float_eq(results[i].q, word.v);
        ck_assert_float_eq(results[i].v, word.v);
        ck_assert_float_eq(results[i].d, word.d);
        ck_assert_float_eq(results[i].v_d, word.d);
        ck_assert_uint_eq(results[i].nodes, 0);
        ck_assert_uint_eq(results[i].n_moves, request.n_legal);
        for (uint32_t k = 0; k < request.n_legal; k++) {
            ck_assert_uint_eq(results[i].moves[k].action, legal[k]);
            ck_assert_uint_eq(results[i].moves[k].visits, 0);
            ck_assert_float_eq(results[i].moves[k].prior, word.priors[k]);
            best = word.priors[k] > word.priors[best] ? k : best;
        }
        ck_assert_uint_eq(results[i].best_action, legal[best]);
    }
    evaluator_destroy(evaluator);
    player_destroy(player);
}
END_TEST

START_TEST(searches_do_not_depend_on_batch_cache_or_what_was_asked_before)
{
    struct player *one = player_of(1, 0);
    struct player *many = player_of(8, 500);
    search_all(one, 50, results);
    search_all(many, 50, others);
    same_results(results, others);
    ck_assert_uint_lt(player_evaluations(many), player_evaluations(one));
    uint64_t before = player_evaluations(many);
    search_all(many, 50, others); /* with what the cache knows by now */
    same_results(results, others);
    ck_assert_uint_lt(player_evaluations(many) - before, player_evaluations(one));
    player_destroy(one);
    player_destroy(many);
}
END_TEST

START_TEST(searches_are_without_noise)
{
    struct player *player = player_of(8, 0);
    struct search_params params = search_params_default;
    struct error err;
    params.noise_share = 0;
    params.nodes = 7; /* `nodes` counts, not this */
    search_all(player, 50, results);
    ck_assert_int_eq(player_search(player, &params, 50, pointers, N, others, NULL, NULL, &err), 0);
    same_results(results, others);
    for (uint32_t i = 0; i < N; i++) {
        ck_assert(results[i].nodes == 50 || results[i].proven);
    }
    player_destroy(player);
}
END_TEST

static bool stop_at(void *context)
{
    int *left = context;
    return --*left < 0;
}

START_TEST(stopped_between_batches_it_says_so_and_can_be_used_again)
{
    struct player *player = player_of(8, 0);
    struct error err = {""};
    uint64_t expected = 0;
    for (int batches = 0; batches < 4; batches++) {
        int left = batches;
        ck_assert_int_eq(player_search(player, &search_params_default, 50, pointers, N, others,
                                       stop_at, &left, &err),
                         ERROR_CANCELLED);
        ck_assert_ptr_nonnull(strstr(err.text, "stopped"));
        expected += 8 * (uint64_t)batches;
        ck_assert_uint_eq(player_evaluations(player), expected);
    }
    /* Other positions than those that it was stopped at: nothing of them may be left. */
    for (uint32_t i = 0; i < N / 2; i++) {
        const void *swap = pointers[i];
        pointers[i] = pointers[N - 1 - i];
        pointers[N - 1 - i] = swap;
    }
    search_all(player, 50, others);
    struct player *fresh = player_of(8, 0);
    search_all(fresh, 50, results);
    ck_assert_uint_eq(player_evaluations(player) - expected, player_evaluations(fresh));
    same_results(results, others);
    player_destroy(player);
    player_destroy(fresh);
}
END_TEST

START_TEST(impossible_requests_are_refused)
{
    struct player *player = player_of(8, 0);
    struct error err = {""};
    struct net *foreign = random_net(game_find("tictactoe"), NET_VALUE_WDL, 1, 1.0);
    struct player *none = NULL;
    ck_assert_int_eq(
        player_search(player, &search_params_default, 1, pointers, N, results, NULL, NULL, &err),
        ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "at least 2 nodes"));
    size_t bad;
    ck_assert(game->init(&states[3], "", NULL));
    ck_assert(game_play_text(game, &states[3], "1212121", &bad));
    ck_assert_int_eq(
        player_search(player, &search_params_default, 0, pointers, N, results, NULL, NULL, &err),
        ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "position 4 of 30"));
    ck_assert_int_eq(player_create(game, foreign, 8, 0, &none, &err), ERROR_INVALID);
    ck_assert_int_eq(player_create(game, net, 0, 0, &none, &err), ERROR_INVALID);
    ck_assert_ptr_null(none);
    ck_assert_int_eq(
        player_search(player, &search_params_default, 50, NULL, 0, results, NULL, NULL, &err),
        0); /* nothing to do */
    net_destroy(foreign);
    player_destroy(player);
    player_destroy(NULL);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("player");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, nodes_0_is_the_nets_word_and_the_move_of_highest_prior);
    tcase_add_test(cases, searches_do_not_depend_on_batch_cache_or_what_was_asked_before);
    tcase_add_test(cases, searches_are_without_noise);
    tcase_add_test(cases, stopped_between_batches_it_says_so_and_can_be_used_again);
    tcase_add_test(cases, impossible_requests_are_refused);
    Suite *suite = suite_create("player");
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
