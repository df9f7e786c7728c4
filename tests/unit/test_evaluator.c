/* From positions to evaluations: mirror law, softmax, the right logits, independence of the batch. */
#include "trainer/net/evaluator.h"

#include "mcts/random.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BATCH = 48 };

/* A net with random everything, so that no output is flat. */
static struct net *random_net(const struct game *game, enum net_value_head value)
{
    struct error err;
    struct net_arch arch = {.blocks = 2,
                            .filters = 9,
                            .se_channels = 3,
                            .value_filters = 4,
                            .value_hidden = 16,
                            .value = value};
    ck_assert_int_eq(net_arch_for_game(&arch, game, &err), 0);
    struct net *net = net_create(&arch);
    ck_assert_ptr_nonnull(net);
    net_init(net, 21);
    for (uint32_t i = 0; i < net->n_tensors; i++) {
        const struct net_tensor *tensor = &net->tensors[i];
        for (size_t k = 0; k < tensor->count; k++) {
            float *x = &net_tensor_data(net, tensor)[k];
            double noise = random_normal(5, i, RANDOM_TEST, k);
            *x = tensor->kind == NET_BN_VAR ? (float)(0.1 + noise * noise)
                                            : *x + (float)(0.2 * noise);
        }
    }
    return net;
}

struct position {
    union game_state state;
    uint16_t legal[GAME_MAX_LEGAL];
    uint32_t n_legal;
};

/* Random play: up to max positions in which somebody is to move. Starts a new game after each end. */
static uint32_t random_positions(const struct game *game, uint32_t max, struct position *ret)
{
    const char *why = NULL;
    union game_state state;
    ck_assert(game->init(&state, "", &why));
    for (uint32_t n = 0; n < max; n++) {
        uint16_t legal[GAME_MAX_LEGAL];
        uint32_t n_legal = game->legal(&state, legal);
        if (n_legal == 0) {
            ck_assert(game->init(&state, "", &why));
            n_legal = game->legal(&state, legal);
        }
        memset(&ret[n], 0, sizeof ret[n]);
        memcpy(&ret[n].state, &state, game->state_bytes);
        memcpy(ret[n].legal, legal, sizeof legal);
        ret[n].n_legal = n_legal;
        game->play(&state, legal[random_u64(3, n, RANDOM_TEST, 0) % n_legal]);
    }
    return max;
}

static struct evaluator_request request_of(const struct position *position)
{
    return (struct evaluator_request){&position->state, position->n_legal, position->legal};
}

static struct evaluator *evaluator_of(const struct game *game, enum net_value_head value,
                                      uint32_t max_batch)
{
    struct error err;
    struct evaluator *evaluator = NULL;
    struct net *net = random_net(game, value);
    ck_assert_int_eq(evaluator_create(game, net, max_batch, &evaluator, &err), 0);
    net_destroy(net);
    return evaluator;
}

static const struct game *games[2]; /* all that there are: tic-tac-toe and Connect Four */

START_TEST(mirrored_position_has_the_mirrored_evaluation_bit_for_bit)
{
    const struct game *game = games[_i];
    struct evaluator *evaluator = evaluator_of(game, NET_VALUE_WDL, 2);
    static struct position positions[200];
    uint32_t n = random_positions(game, 200, positions);
    int n_asymmetric = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct position mirrored = {0};
        game->mirror(&positions[i].state, &mirrored.state);
        mirrored.n_legal = game->legal(&mirrored.state, mirrored.legal);
        struct evaluator_request requests[2] = {request_of(&positions[i]), request_of(&mirrored)};
        struct evaluation evaluations[2];
        evaluator_run(evaluator, requests, 2, evaluations);
        struct game_key a = game->key(&positions[i].state);
        struct game_key b = game->key(&mirrored.state);
        if (a.lo == b.lo && a.hi == b.hi) {
            continue; /* its own mirror image: nothing to compare with */
        }
        n_asymmetric++;
        ck_assert_mem_eq(&evaluations[0].v, &evaluations[1].v, sizeof(float));
        ck_assert_mem_eq(&evaluations[0].d, &evaluations[1].d, sizeof(float));
        for (uint32_t k = 0; k < positions[i].n_legal; k++) {
            uint16_t action = game->mirror_action(positions[i].legal[k]);
            uint32_t there = 0;
            while (mirrored.legal[there] != action) {
                there++;
            }
            ck_assert_msg(memcmp(&evaluations[0].priors[k], &evaluations[1].priors[there],
                                 sizeof(float)) == 0,
                          "position %u: move %u has %.9g, its image %.9g", i, positions[i].legal[k],
                          (double)evaluations[0].priors[k], (double)evaluations[1].priors[there]);
        }
    }
    ck_assert_int_gt(n_asymmetric, 100);
    evaluator_destroy(evaluator);
}
END_TEST

/* By hand from the reference: the canonical image's planes, the logits of its legal moves. */
START_TEST(priors_are_the_softmax_of_the_legal_logits)
{
    const struct game *game = games[_i];
    struct error err;
    struct net *net = random_net(game, NET_VALUE_WDL);
    struct evaluator *evaluator = evaluator_of(game, NET_VALUE_WDL, 1);
    /* As in test_inference.c: the short convolution of 6x7 boards is exact to 3e-4 on random nets. */
    const double near = game->height == 6 ? 3e-4 : 2e-5;
    static struct position positions[60];
    uint32_t n = random_positions(game, 60, positions);
    for (uint32_t i = 0; i < n; i++) {
        union game_state seen = positions[i].state;
        bool mirrored = !game->is_canonical(&positions[i].state);
        if (mirrored) {
            game->mirror(&positions[i].state, &seen);
        }
        float planes[8 * 64];
        float policy[GAME_MAX_POLICY];
        float value[3];
        game->planes(&seen, planes);
        ck_assert_int_eq(reference_run(net, planes, 1, policy, value, &err), 0);
        struct evaluator_request request = request_of(&positions[i]);
        struct evaluation evaluation;
        evaluator_run(evaluator, &request, 1, &evaluation);
        ck_assert_uint_eq(evaluation.n_priors, positions[i].n_legal);
        double sum = 0.0;
        for (uint32_t k = 0; k < positions[i].n_legal; k++) {
            uint16_t action = positions[i].legal[k];
            action = mirrored ? game->mirror_action(action) : action;
            sum += exp((double)policy[game->policy_index(&seen, action)]);
        }
        double mass = 0.0;
        for (uint32_t k = 0; k < positions[i].n_legal; k++) {
            uint16_t action = positions[i].legal[k];
            action = mirrored ? game->mirror_action(action) : action;
            double want = exp((double)policy[game->policy_index(&seen, action)]) / sum;
            ck_assert_double_eq_tol((double)evaluation.priors[k], want, near);
            mass += (double)evaluation.priors[k];
        }
        ck_assert_double_eq_tol(mass, 1.0, 1e-6);
        ck_assert_double_eq_tol((double)evaluation.v, (double)(value[0] - value[2]), near);
        ck_assert_double_eq_tol((double)evaluation.d, (double)value[1], near);
        ck_assert(evaluation.d >= 0.0F && evaluation.d <= 1.0F - fabsf(evaluation.v));
        ck_assert_float_nan(evaluation.m);
    }
    evaluator_destroy(evaluator);
    net_destroy(net);
}
END_TEST

/* Logits a thousand apart, also on cells that are no legal move. */
START_TEST(illegal_moves_get_no_mass_and_huge_logits_no_nan)
{
    const struct game *game = games[_i];
    struct error err;
    struct net *net = random_net(game, NET_VALUE_WDL);
    const struct net_tensor *weight = net_find(net, "policy.conv2.weight");
    for (size_t k = 0; k < weight->count; k++) {
        net_tensor_data(net, weight)[k] *= 1e6F;
    }
    struct evaluator *evaluator = NULL;
    ck_assert_int_eq(evaluator_create(game, net, MAX_BATCH, &evaluator, &err), 0);
    static struct position positions[MAX_BATCH];
    struct evaluator_request requests[MAX_BATCH];
    struct evaluation evaluations[MAX_BATCH];
    uint32_t n = random_positions(game, MAX_BATCH, positions);
    for (uint32_t i = 0; i < n; i++) {
        requests[i] = request_of(&positions[i]);
    }
    evaluator_run(evaluator, requests, n, evaluations);
    for (uint32_t i = 0; i < n; i++) {
        double sum = 0.0;
        for (uint32_t k = 0; k < positions[i].n_legal; k++) {
            ck_assert(evaluations[i].priors[k] >= 0.0F);
            sum += (double)evaluations[i].priors[k];
        }
        ck_assert_double_eq_tol(sum, 1.0, 1e-6);
    }
    evaluator_destroy(evaluator);
    net_destroy(net);
}
END_TEST

START_TEST(evaluation_does_not_depend_on_the_batch)
{
    const struct game *game = games[_i];
    struct evaluator *one = evaluator_of(game, NET_VALUE_WDL, 1);
    struct evaluator *many = evaluator_of(game, NET_VALUE_WDL, MAX_BATCH);
    static struct position positions[MAX_BATCH];
    struct evaluator_request requests[MAX_BATCH];
    struct evaluation evaluations[MAX_BATCH];
    uint32_t n = random_positions(game, MAX_BATCH, positions);
    for (uint32_t i = 0; i < n; i++) {
        requests[i] = request_of(&positions[n - 1 - i]);
    }
    evaluator_run(many, requests, n, evaluations);
    for (uint32_t i = 0; i < n; i++) {
        struct evaluation alone;
        evaluator_run(one, &requests[i], 1, &alone);
        ck_assert_mem_eq(&alone.v, &evaluations[i].v, sizeof(float));
        ck_assert_mem_eq(&alone.d, &evaluations[i].d, sizeof(float));
        ck_assert_mem_eq(alone.priors, evaluations[i].priors, alone.n_priors * sizeof(float));
    }
    evaluator_destroy(one);
    evaluator_destroy(many);
}
END_TEST

START_TEST(scalar_head_gives_v_and_no_draws)
{
    const struct game *game = games[_i];
    struct error err;
    struct net *net = random_net(game, NET_VALUE_SCALAR);
    struct evaluator *evaluator = evaluator_of(game, NET_VALUE_SCALAR, 1);
    struct position position;
    random_positions(game, 1, &position); /* the start, which is canonical */
    float planes[8 * 64];
    float policy[GAME_MAX_POLICY];
    float value;
    game->planes(&position.state, planes);
    ck_assert_int_eq(reference_run(net, planes, 1, policy, &value, &err), 0);
    struct evaluator_request request = request_of(&position);
    struct evaluation evaluation;
    evaluator_run(evaluator, &request, 1, &evaluation);
    ck_assert_float_eq_tol(evaluation.v, value, 2e-5F);
    ck_assert_float_ne(evaluation.v, 0.0F);
    ck_assert_float_eq(evaluation.d, 0.0F);
    evaluator_destroy(evaluator);
    net_destroy(net);
}
END_TEST

START_TEST(net_of_another_game_is_refused)
{
    struct error err;
    struct evaluator *evaluator = NULL;
    struct net *net = random_net(games[0], NET_VALUE_WDL);
    ck_assert_int_eq(evaluator_create(games[1], net, 1, &evaluator, &err), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, games[0]->name));
    ck_assert_ptr_nonnull(strstr(err.text, games[1]->name));
    ck_assert_int_eq(evaluator_create(games[0], net, 0, &evaluator, &err), ERROR_INVALID);
    net->arch.height++; /* the right name on the wrong board */
    ck_assert_int_eq(evaluator_create(games[0], net, 1, &evaluator, &err), ERROR_INVALID);
    ck_assert_ptr_null(evaluator);
    net_destroy(net);
}
END_TEST

START_TEST(uniform_evaluation_is_even)
{
    float priors[7];
    struct evaluation evaluation;
    evaluation_uniform(7, priors, &evaluation);
    ck_assert_float_eq(evaluation.v, 0.0F);
    ck_assert_float_eq(evaluation.d, 0.0F);
    ck_assert_float_nan(evaluation.m);
    ck_assert_uint_eq(evaluation.n_priors, 7);
    ck_assert_ptr_eq(evaluation.priors, priors);
    for (int i = 0; i < 7; i++) {
        ck_assert_float_eq(priors[i], 1.0F / 7.0F);
    }
}
END_TEST

int main(void)
{
    games[0] = game_find("tictactoe");
    games[1] = game_find("connect4");
    if (games[0] == NULL || games[1] == NULL) {
        return 1;
    }
    Suite *suite = suite_create("evaluator");
    TCase *tests = tcase_create("evaluator");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, mirrored_position_has_the_mirrored_evaluation_bit_for_bit, 0, 2);
    tcase_add_loop_test(tests, priors_are_the_softmax_of_the_legal_logits, 0, 2);
    tcase_add_loop_test(tests, illegal_moves_get_no_mass_and_huge_logits_no_nan, 0, 2);
    tcase_add_loop_test(tests, evaluation_does_not_depend_on_the_batch, 0, 2);
    tcase_add_loop_test(tests, scalar_head_gives_v_and_no_draws, 0, 2);
    tcase_add_test(tests, net_of_another_game_is_refused);
    tcase_add_test(tests, uniform_evaluation_is_even);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
