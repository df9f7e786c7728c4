/* The move that is played. */
#include "mcts/search.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void make_result(const uint32_t *visits, uint32_t n, uint16_t best,
                        struct search_result *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->n_moves = n;
    ret->best_action = best;
    for (uint32_t i = 0; i < n; i++) {
        ret->moves[i].action = (uint16_t)(2 * i);
        ret->moves[i].visits = visits[i];
    }
}

START_TEST(moves_are_chosen_in_proportion_to_visits_to_the_power_of_one_over_tau)
{
    static const uint32_t visits[] = {100, 0, 300, 50, 349};
    static const float taus[] = {1.0F, 0.5F, 2.0F};
    enum { DRAWS = 20000 };
    struct search_result result;
    double expected[5];
    double sum = 0.0;
    double chi2 = 0.0;
    int n[5] = {0};

    make_result(visits, 5, 8, &result);
    for (int i = 0; i < 5; i++) {
        expected[i] = pow(visits[i], 1.0 / (double)taus[_i]);
        sum += expected[i];
    }
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        n[search_choose(&result, taus[_i], seed, (uint32_t)seed % 42)]++;
    }
    ck_assert_int_eq(n[1], 0);
    for (int i = 0; i < 5; i++) {
        double e = DRAWS * expected[i] / sum;
        chi2 += i == 1 ? 0.0 : (n[i] - e) * (n[i] - e) / e;
    }
    ck_assert_double_lt(chi2, 16.27); /* 99.9 % of 3 degrees of freedom */
}
END_TEST

START_TEST(no_temperature_plays_the_best_move_and_little_nearly_always)
{
    static const uint32_t visits[] = {400, 399, 0};
    static const uint32_t even[] = {400, 300, 99};
    struct search_result result;
    make_result(visits, 3, 2, &result);
    for (uint64_t seed = 0; seed < 50; seed++) {
        ck_assert_uint_eq(search_choose(&result, 0.0F, seed, 0), 1); /* best_action 2 is index 1 */
    }
    make_result(even, 3, 0, &result);
    for (uint64_t seed = 0; seed < 50; seed++) {
        ck_assert_uint_eq(search_choose(&result, 1e-3F, seed, 0), 0);
    }
}
END_TEST

START_TEST(temperature_halves_every_half_life_down_to_its_floor)
{
    const struct temperature_params none = {0.0F, 10.0F, 0.0F};
    ck_assert_float_eq(temperature_at(&temperature_params_default, 0), 1.0F);
    ck_assert_float_eq(temperature_at(&temperature_params_default, 10), 0.5F);
    ck_assert_float_eq(temperature_at(&temperature_params_default, 20), 0.25F);
    ck_assert_float_eq_tol(temperature_at(&temperature_params_default, 5), 0.70710678F, 1e-7F);
    ck_assert_float_eq(temperature_at(&temperature_params_default, 24), 0.2F);
    ck_assert_float_eq(temperature_at(&temperature_params_default, 1000000), 0.2F);
    ck_assert_float_eq(temperature_at(&none, 0), 0.0F);
}
END_TEST

START_TEST(shipped_settings_are_those_of_the_design)
{
    const struct search_params *p = &search_params_default;
    ck_assert_uint_eq(p->nodes, 800);
    ck_assert_float_eq(p->cpuct, 1.5F);
    ck_assert_float_eq(p->fpu_reduction, 0.2F);
    ck_assert_float_eq(p->fpu_reduction_root, 0.0F);
    ck_assert_float_eq(p->noise_alpha, 10.0F);
    ck_assert_float_eq(p->noise_share, 0.25F);
    ck_assert(p->solver);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("search_choose");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(
        tcase, moves_are_chosen_in_proportion_to_visits_to_the_power_of_one_over_tau, 0, 3);
    tcase_add_test(tcase, no_temperature_plays_the_best_move_and_little_nearly_always);
    tcase_add_test(tcase, temperature_halves_every_half_life_down_to_its_floor);
    tcase_add_test(tcase, shipped_settings_are_those_of_the_design);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
