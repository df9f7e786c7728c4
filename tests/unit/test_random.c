#include "mcts/numeric.h"
#include "mcts/random.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

START_TEST(outputs_are_these_numbers)
{
    double dirichlet[3];
    ck_assert_uint_eq(random_u64(0, 0, RANDOM_NOISE, 0), 0x94926c2e801cb6f9);
    ck_assert_uint_eq(random_u64(1, 2, RANDOM_MOVE, 3), 0x669ed11b62455210);
    ck_assert_uint_eq(random_u64(UINT64_MAX, UINT32_MAX, RANDOM_TEST, UINT64_MAX),
                      0x510d3637327727d4);
    ck_assert_double_eq(random_uniform(1, 2, RANDOM_MOVE, 3), 0x1.9a7b446d89154p-2);
    ck_assert_double_eq(random_normal(1, 2, RANDOM_INIT, 3), 0x1.48593818cb35bp-1);
    random_dirichlet(5, 6, 1.5, 3, dirichlet);
    ck_assert_double_eq(dirichlet[0], 0x1.d08f3c61fce87p-2);
    ck_assert_double_eq(dirichlet[1], 0x1.3a2913c2a6f9fp-3);
    ck_assert_double_eq(dirichlet[2], 0x1.925c39bcaf9a8p-2);
    random_dirichlet(5, 6, 0.05, 3, dirichlet);
    ck_assert_double_eq(dirichlet[0], 0x1.93b071e9565c1p-19);
}
END_TEST

START_TEST(every_input_changes_half_of_the_bits)
{
    const int rounds = 4000;
    int changed[4] = {0};
    for (int i = 0; i < rounds; i++) {
        uint64_t seed = random_u64(7, 0, RANDOM_TEST, (uint64_t)i);
        uint32_t ply = (uint32_t)i % 42;
        uint64_t x = random_u64(seed, ply, RANDOM_NOISE, 5);
        uint64_t bit = 1ULL << (i % 64);
        changed[0] += __builtin_popcountll(x ^ random_u64(seed ^ bit, ply, RANDOM_NOISE, 5));
        changed[1] +=
            __builtin_popcountll(x ^ random_u64(seed, ply ^ (1U << (i % 32)), RANDOM_NOISE, 5));
        changed[2] += __builtin_popcountll(x ^ random_u64(seed, ply, RANDOM_MOVE, 5));
        changed[3] += __builtin_popcountll(x ^ random_u64(seed, ply, RANDOM_NOISE, 5 ^ bit));
    }
    for (int input = 0; input < 4; input++) {
        /* Binomial of 64 rounds draws: sigma is 4 / sqrt(rounds) bits a draw. */
        ck_assert_double_eq_tol((double)changed[input] / rounds, 32.0, 5.0 * 4.0 / sqrt(rounds));
    }
}
END_TEST

START_TEST(uniform_fills_its_range_evenly)
{
    enum { DRAWS = 100000, CELLS = 100 };
    int n[CELLS] = {0};
    int n_outside = 0;
    double chi2 = 0.0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        double u = random_uniform(11, 3, RANDOM_TEST, i);
        n_outside += u >= 0.0 && u < 1.0 ? 0 : 1;
        n[(int)(u * CELLS)]++;
    }
    ck_assert_int_eq(n_outside, 0);
    for (int cell = 0; cell < CELLS; cell++) {
        double expected = (double)DRAWS / CELLS;
        chi2 += (n[cell] - expected) * (n[cell] - expected) / expected;
    }
    ck_assert_double_lt(chi2, 148.2); /* 99.9 % of 99 degrees of freedom */
}
END_TEST

START_TEST(normal_has_the_moments_of_a_normal)
{
    const int draws = 100000;
    double sum[5] = {0};
    for (int i = 0; i < draws; i++) {
        double x = random_normal(12, 4, RANDOM_TEST, (uint64_t)i);
        double power = 1.0;
        for (int k = 0; k < 5; k++) {
            sum[k] += power / draws;
            power *= x;
        }
    }
    /* Four standard errors of the sample moments: sqrt(1, 2, 15, 96 / draws). */
    ck_assert_double_eq_tol(sum[1], 0.0, 4.0 * sqrt(1.0 / draws));
    ck_assert_double_eq_tol(sum[2], 1.0, 4.0 * sqrt(2.0 / draws));
    ck_assert_double_eq_tol(sum[3], 0.0, 4.0 * sqrt(15.0 / draws));
    ck_assert_double_eq_tol(sum[4], 3.0, 4.0 * sqrt(96.0 / draws));
}
END_TEST

START_TEST(dirichlet_has_the_mean_and_variance_of_its_alpha)
{
    static const double alphas[] = {0.05, 0.5, 10.0 / 7.0, 5.0};
    enum { N = 7, DRAWS = 20000 };
    double x[N];
    bool outside = false;
    double mean[N] = {0};
    double square[N] = {0};
    double alpha = alphas[_i];
    double expected_variance = (1.0 / N) * (1.0 - 1.0 / N) / (N * alpha + 1.0);

    for (uint64_t i = 0; i < DRAWS; i++) {
        double sum = 0.0;
        random_dirichlet(i, (uint32_t)(i % 40), alpha, N, x);
        for (int k = 0; k < N; k++) {
            outside = outside || !(x[k] >= 0.0 && x[k] <= 1.0);
            sum += x[k];
            mean[k] += x[k] / DRAWS;
            square[k] += x[k] * x[k] / DRAWS;
        }
        outside = outside || fabs(sum - 1.0) > 1e-14;
    }
    ck_assert(!outside);
    for (int k = 0; k < N; k++) {
        ck_assert_double_eq_tol(mean[k], 1.0 / N, 4.5 * sqrt(expected_variance / DRAWS));
        ck_assert_double_eq_tol(square[k] - mean[k] * mean[k], expected_variance,
                                0.06 * expected_variance);
    }
}
END_TEST

START_TEST(dirichlet_over_one_action_is_all_of_it)
{
    double x;
    random_dirichlet(1, 1, 10.0, 1, &x);
    ck_assert_double_eq(x, 1.0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("random");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, outputs_are_these_numbers);
    tcase_add_test(tcase, every_input_changes_half_of_the_bits);
    tcase_add_test(tcase, uniform_fills_its_range_evenly);
    tcase_add_test(tcase, normal_has_the_moments_of_a_normal);
    tcase_add_loop_test(tcase, dirichlet_has_the_mean_and_variance_of_its_alpha, 0, 4);
    tcase_add_test(tcase, dirichlet_over_one_action_is_all_of_it);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
