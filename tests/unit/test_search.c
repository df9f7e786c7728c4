/* What a result holds, and how a search is driven. */
#include "mcts/games/connect4.h"
#include "mcts/random.h"
#include "tests/unit/made_up_net.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t sum_of_visits(const struct search_result *result)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < result->n_moves; i++) {
        sum += result->moves[i].visits;
    }
    return sum;
}

/* --- What a result holds. --- */

static void check_record(const struct game *game, const void *state, const struct search_result *r,
                         uint32_t nodes)
{
    uint16_t legal[GAME_MAX_LEGAL];
    uint32_t n_legal = game->legal(state, legal);
    uint32_t n = 0;
    bool any_proven = false;

    ck_assert_uint_eq(r->n_moves, n_legal);
    for (uint32_t i = 0; i < n_legal; i++) {
        ck_assert_uint_eq(r->moves[i].action, legal[i]);
        ck_assert(fabsf(r->moves[i].q) <= 1.0F);
        n += r->moves[i].n;
        any_proven = any_proven || r->moves[i].proven;
    }
    ck_assert_uint_eq(n, r->nodes - 1);
    ck_assert_uint_gt(sum_of_visits(r), 0);
    ck_assert(r->proven || r->nodes == nodes);
    ck_assert(any_proven || sum_of_visits(r) == nodes - 1);
    /* wdl(q, d) is a distribution for each kind, up to the rounding of a mean. */
    ck_assert(r->d >= 0.0F && fabsf(r->q) + r->d <= 1.0F + 1e-6F);
    ck_assert(r->best_d >= 0.0F && fabsf(r->best_q) + r->best_d <= 1.0F + 1e-6F);
    ck_assert(r->greedy_d >= 0.0F && fabsf(r->greedy_q) + r->greedy_d <= 1.0F + 1e-6F);
    ck_assert(r->kld >= -1e-6F);
}

START_TEST(visits_stay_within_legal_moves_and_sum_to_nodes_less_one)
{
    struct search *search = search_create(&connect4);
    for (uint64_t seed = 0; seed < 150; seed++) {
        union game_state state;
        struct search_result result;
        struct search_params params = search_params_default;
        params.nodes = 2 + (uint32_t)(random_u64(seed, 0, RANDOM_TEST, 1) % 300);
        params.solver = seed % 2 == 0;
        state_random(&connect4, seed, (uint32_t)seed % 38, &state);
        search_begin(search, &params, &state, seed, (uint32_t)seed % 38);
        search_finish(search, &connect4, net_by_key, &result);
        check_record(&connect4, &state, &result, params.nodes);
    }
    search_destroy(search);
}
END_TEST

START_TEST(single_legal_move_still_gets_a_full_search)
{
    struct search_result result;
    struct search_params params = search_quiet(800, false);
    union game_state state;
    /* Columns 1 to 6 are full, no line on the board. */
    state_at(&connect4, "121212212121343434434343565656656565", &state);
    search_run(&connect4, net_by_key, &params, &state, 0, &result);
    ck_assert_uint_eq(result.n_moves, 1);
    ck_assert_uint_eq(result.nodes, 800);
    ck_assert_uint_eq(result.moves[0].visits, 799);
    ck_assert_float_eq(result.kld, 0.0F);
}
END_TEST

START_TEST(proven_winner_takes_the_move_and_all_of_the_target)
{
    struct search_result result;
    struct search_params params = search_quiet(800, true);
    search_run_moves("112233", net_by_key, &params, &result);
    ck_assert(result.proven);
    ck_assert_uint_lt(result.nodes, 800); /* it stopped */
    for (uint32_t i = 0; i < result.n_moves; i++) {
        ck_assert_int_eq(result.moves[i].visits > 0, i == 3);
    }
    ck_assert_float_eq(result.moves[3].q, 1.0F);
    ck_assert_float_eq(result.moves[3].d, 0.0F);
    ck_assert_float_eq(result.kld, -logf(result.moves[3].prior));
}
END_TEST

START_TEST(proven_losers_leave_the_target_unless_all_lose)
{
    struct search_result result;
    struct search_params params = search_quiet(800, true);
    search_run_moves("71727", net_uniform, &params, &result);
    for (uint32_t i = 0; i < 6; i++) {
        ck_assert(result.moves[i].proven);
        ck_assert_float_eq(result.moves[i].q, -1.0F);
        ck_assert_uint_gt(result.moves[i].n, 0);
        ck_assert_uint_eq(result.moves[i].visits, 0);
    }
    ck_assert(!result.proven);
    ck_assert_uint_eq(result.nodes, 800);
    ck_assert_uint_eq(result.moves[6].visits, result.moves[6].n);

    search_run_moves("44455554221", net_uniform, &params, &result);
    ck_assert(result.proven && result.proven_value == -1);
    ck_assert_float_eq(result.best_q, -1.0F);
    ck_assert_uint_eq(sum_of_visits(&result), result.nodes - 1);
}
END_TEST

START_TEST(proof_does_not_touch_the_raw_output_of_the_net)
{
    struct search_result result;
    struct search_params params = search_quiet(800, true);
    union game_state state;
    struct search_leaf leaf = {0};
    struct evaluation raw;
    float priors[GAME_MAX_LEGAL];
    uint16_t legal[GAME_MAX_LEGAL];

    state_at(&connect4, "112233", &state);
    leaf.state = &state;
    leaf.legal = legal;
    leaf.n_legal = connect4.legal(&state, legal);
    net_by_key(&connect4, &leaf, priors, &raw);
    search_run(&connect4, net_by_key, &params, &state, 0, &result);
    ck_assert(result.proven);
    ck_assert_float_eq(result.v, raw.v);
    ck_assert_float_eq(result.v_d, raw.d);
    ck_assert_float_eq(result.m, raw.m);
    ck_assert_float_ne(result.v, result.q);
    for (uint32_t i = 0; i < raw.n_priors; i++) {
        ck_assert_float_eq(result.moves[i].prior, raw.priors[i]);
    }
}
END_TEST

/* A game where action 0 loses at once for whoever takes it; one step, then over. */
static bool trap_over(const void *state, int *ret_value)
{
    uint64_t stepped = *(const uint64_t *)state;
    *ret_value = stepped == 1 ? 1 : 0; /* for the side to move: its opponent took 0 */
    return stepped != 0;
}

static uint32_t trap_legal(const void *state, uint16_t *ret_actions)
{
    for (uint16_t i = 0; i < 3; i++) {
        ret_actions[i] = i;
    }
    return *(const uint64_t *)state != 0 ? 0 : 3;
}

static void trap_play(void *state, uint16_t action)
{
    *(uint64_t *)state = (uint64_t)action + 1;
}

START_TEST(when_only_losing_moves_were_visited_the_others_are_the_target)
{
    static const struct game trap = {
        .n_actions = 3,
        .max_legal = 3,
        .max_plies = 1,
        .state_bytes = sizeof(uint64_t),
        .legal = trap_legal,
        .over = trap_over,
        .play = trap_play,
    };
    struct search_result result;
    struct search_params params = search_quiet(2, true);
    uint64_t start = 0;
    struct search *search = search_create(&trap);
    search_begin(search, &params, &start, 0, 0);
    search_finish(search, &trap, net_uniform, &result);
    search_destroy(search);
    ck_assert_uint_eq(result.moves[0].n, 1);
    ck_assert(result.moves[0].proven && !result.proven);
    ck_assert_uint_eq(result.moves[0].visits, 0);
    ck_assert_uint_eq(result.moves[1].visits, 1);
    ck_assert_uint_eq(result.moves[2].visits, 1);
    ck_assert_uint_eq(result.best_action, 1);
}
END_TEST

START_TEST(kld_is_measured_against_the_prior_without_noise)
{
    struct search_result with;
    struct search_params params = search_quiet(200, false);
    union game_state state;
    state_at(&connect4, "4", &state);
    params.noise_share = 0.25F;
    search_run(&connect4, net_by_key, &params, &state, 3, &with);
    double kld = 0.0;
    double priors = 0.0;
    for (uint32_t i = 0; i < with.n_moves; i++) {
        double share = with.moves[i].visits / 199.0;
        priors += (double)with.moves[i].prior;
        kld += share > 0 ? share * log(share / (double)with.moves[i].prior) : 0.0;
    }
    ck_assert_double_eq_tol(priors, 1.0, 1e-6);
    ck_assert_double_eq_tol((double)with.kld, kld, 1e-6);
}
END_TEST

START_TEST(noise_depends_on_seed_and_ply_and_on_nothing_else)
{
    struct search_result results[4];
    struct search_params params = search_params_default;
    static const uint64_t seeds[4] = {1, 1, 2, 1};
    static const uint32_t plies[4] = {0, 0, 0, 1};
    struct search *search = search_create(&connect4);
    union game_state state;
    state_at(&connect4, "", &state);
    for (int i = 0; i < 4; i++) {
        search_begin(search, &params, &state, seeds[i], plies[i]);
        search_finish(search, &connect4, net_uniform, &results[i]);
    }
    search_destroy(search);
    ck_assert_float_eq(results[0].q, results[1].q);
    for (int other = 1; other < 4; other++) {
        bool same = true;
        for (uint32_t i = 0; i < results[0].n_moves; i++) {
            same = same && results[0].moves[i].n == results[other].moves[i].n;
            ck_assert_float_eq(results[other].moves[i].prior, 1.0F / 7.0F);
        }
        ck_assert_int_eq(same, other == 1);
    }
}
END_TEST

/* --- How a search is driven. --- */

START_TEST(asking_twice_gives_the_same_leaf)
{
    struct search *search = search_create(&connect4);
    struct search_params params = search_quiet(50, true);
    struct search_leaf a;
    struct search_leaf b;
    struct evaluation evaluation;
    float priors[GAME_MAX_LEGAL];
    union game_state state;
    state_at(&connect4, "44", &state);
    search_begin(search, &params, &state, 0, 0);
    while (search_next(search, &a) == SEARCH_NEEDS_EVALUATION) {
        union game_state copy;
        memcpy(&copy, a.state, connect4.state_bytes);
        ck_assert_int_eq(search_next(search, &b), SEARCH_NEEDS_EVALUATION);
        ck_assert_mem_eq(&copy, b.state, connect4.state_bytes);
        ck_assert_uint_eq(a.n_legal, b.n_legal);
        net_by_key(&connect4, &b, priors, &evaluation);
        search_apply(search, &evaluation);
    }
    ck_assert_int_eq(search_next(search, &b), SEARCH_DONE); /* and done stays done */
    search_destroy(search);
}
END_TEST

START_TEST(used_and_fresh_searches_give_the_same_bits)
{
    struct search *used = search_create(&connect4);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct search_result a;
        struct search_result b;
        union game_state state;
        state_random(&connect4, seed, (uint32_t)seed, &state);
        search_begin(used, &search_params_default, &state, seed, (uint32_t)seed);
        search_finish(used, &connect4, net_by_key, &a);
        search_run(&connect4, net_by_key, &search_params_default, &state, seed, &b);
        ck_assert_uint_eq(a.n_moves, b.n_moves);
        ck_assert_mem_eq(&a.q, &b.q, sizeof(a.q));
        for (uint32_t i = 0; i < a.n_moves; i++) {
            ck_assert_uint_eq(a.moves[i].visits, b.moves[i].visits);
            ck_assert_mem_eq(&a.moves[i].q, &b.moves[i].q, sizeof(a.moves[i].q));
        }
    }
    search_destroy(used);
}
END_TEST

START_TEST(advance_keeps_the_subtree)
{
    struct search *search = search_create(&connect4);
    struct search_params params = search_quiet(400, true);
    struct search_params shorter = search_quiet(2, true);
    struct search_result before;
    struct search_result kept;
    struct search_result after;
    union game_state state;
    uint16_t line[8];

    state_at(&connect4, "44", &state);
    search_begin(search, &params, &state, 0, 2);
    search_finish(search, &connect4, net_by_key, &before);
    ck_assert_uint_ge(search_principal_variation(search, line, 8), 2);
    ck_assert_uint_eq(line[0], before.best_action);

    const struct search_move *best = &before.moves[before.best_action];
    ck_assert(search_advance(search, &shorter, before.best_action, 0, 3));
    search_finish(search, &connect4, net_by_key, &kept); /* has its nodes already */
    ck_assert_uint_eq(kept.nodes, best->n);
    ck_assert_float_eq(kept.q, -best->q);
    ck_assert_float_eq(kept.d, best->d);
    ck_assert_uint_eq(kept.best_action, line[1]);

    connect4.play(&state, before.best_action);
    search_run(&connect4, net_by_key, &shorter, &state, 0, &after);
    ck_assert_float_eq(kept.v, after.v); /* the new root's own evaluation */
    ck_assert_float_eq(kept.v_d, after.v_d);
    ck_assert_float_eq(kept.m, after.m);
    for (uint32_t i = 0; i < kept.n_moves; i++) {
        ck_assert_float_eq(kept.moves[i].prior, after.moves[i].prior);
    }
    search_destroy(search);
}
END_TEST

START_TEST(advance_counts_kept_visits_and_draws_noise_anew)
{
    struct search_result results[2];
    for (int i = 0; i < 2; i++) {
        struct search *search = search_create(&connect4);
        struct search_params params = search_params_default;
        struct search_leaf leaf;
        struct evaluation evaluation;
        float priors[GAME_MAX_LEGAL];
        uint32_t n_evaluations = 0;
        union game_state state;
        state_at(&connect4, "", &state);
        params.solver = false;
        search_begin(search, &params, &state, 5, 0);
        search_finish(search, &connect4, net_by_key, &results[i]);
        uint32_t n_kept = results[i].moves[results[i].best_action].n;
        ck_assert(search_advance(search, &params, results[i].best_action, i == 0 ? 5 : 6, 1));
        while (search_next(search, &leaf) == SEARCH_NEEDS_EVALUATION) {
            net_by_key(&connect4, &leaf, priors, &evaluation);
            search_apply(search, &evaluation);
            n_evaluations++;
        }
        search_result(search, &results[i]);
        ck_assert_uint_eq(results[i].nodes, 800);
        ck_assert_uint_le(n_evaluations, 800 - n_kept);
        search_destroy(search);
    }
    bool same = true;
    for (uint32_t k = 0; k < results[0].n_moves; k++) {
        same = same && results[0].moves[k].n == results[1].moves[k].n;
        ck_assert_float_eq(results[0].moves[k].prior, results[1].moves[k].prior);
    }
    ck_assert(!same);
}
END_TEST

START_TEST(advance_refuses_what_was_never_reached_and_what_is_over)
{
    struct search *search = search_create(&connect4);
    struct search_params params = search_quiet(100, true);
    struct search_params unlike = search_quiet(100, false);
    struct search_result before;
    struct search_result after;
    union game_state state;

    state_at(&connect4, "112233", &state);
    search_begin(search, &params, &state, 0, 6);
    ck_assert(!search_advance(search, &params, 0, 0, 7)); /* nothing was searched yet */
    search_finish(search, &connect4, net_by_key, &before);
    ck_assert(!search_advance(search, &params, 3, 0, 7)); /* wins: over */
    ck_assert(!search_advance(search, &params, 7, 0, 7)); /* no such move */
    ck_assert(!search_advance(search, &unlike, 0, 0, 7));
    for (uint16_t i = 0; i < 7; i++) {
        if (before.moves[i].n == 0) {
            ck_assert(!search_advance(search, &params, i, 0, 7));
        }
    }
    memset(&after, 0xa5, sizeof(after));
    search_result(search, &after);
    ck_assert_mem_eq(&after, &before, sizeof(before)); /* unchanged */
    search_destroy(search);
}
END_TEST

START_TEST(principal_variation_is_a_legal_line_to_the_end)
{
    struct search *search = search_create(&connect4);
    struct search_params params = search_quiet(800, true);
    struct search_result result;
    union game_state state;
    uint16_t line[42];
    int value;

    state_at(&connect4, "4455", &state); /* won in three plies */
    search_begin(search, &params, &state, 0, 4);
    search_finish(search, &connect4, net_uniform, &result);
    uint32_t n = search_principal_variation(search, line, 42);
    ck_assert_uint_ge(n, 3);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert(!connect4.over(&state, &value));
        connect4.play(&state, line[i]);
    }
    ck_assert(connect4.over(&state, &value));
    ck_assert_int_eq(value, -1);
    ck_assert_uint_eq(connect4.side_to_move(&state), 1); /* the first player's stone won */
    ck_assert_uint_eq(search_principal_variation(search, line, 1), 1);
    ck_assert_uint_eq(search_principal_variation(search, line, 0), 0);
    search_destroy(search);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("search");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, visits_stay_within_legal_moves_and_sum_to_nodes_less_one);
    tcase_add_test(tcase, single_legal_move_still_gets_a_full_search);
    tcase_add_test(tcase, proven_winner_takes_the_move_and_all_of_the_target);
    tcase_add_test(tcase, proven_losers_leave_the_target_unless_all_lose);
    tcase_add_test(tcase, proof_does_not_touch_the_raw_output_of_the_net);
    tcase_add_test(tcase, when_only_losing_moves_were_visited_the_others_are_the_target);
    tcase_add_test(tcase, kld_is_measured_against_the_prior_without_noise);
    tcase_add_test(tcase, noise_depends_on_seed_and_ply_and_on_nothing_else);
    tcase_add_test(tcase, asking_twice_gives_the_same_leaf);
    tcase_add_test(tcase, used_and_fresh_searches_give_the_same_bits);
    tcase_add_test(tcase, advance_keeps_the_subtree);
    tcase_add_test(tcase, advance_counts_kept_visits_and_draws_noise_anew);
    tcase_add_test(tcase, advance_refuses_what_was_never_reached_and_what_is_over);
    tcase_add_test(tcase, principal_variation_is_a_legal_line_to_the_end);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
