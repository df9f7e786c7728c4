#include "selfplay/sprt.h"

#include "mcts/random.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static struct pentanomial counts(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    return (struct pentanomial){{a, b, c, d, e}};
}

START_TEST(bounds_are_those_of_wald)
{
    ck_assert_double_eq_tol(sprt_upper(&sprt_default), log(19), 1e-12);
    ck_assert_double_eq_tol(sprt_lower(&sprt_default), -log(19), 1e-12);
    ck_assert_int_eq(sprt_verdict(&sprt_default, 2.9), SPRT_OPEN);
    ck_assert_int_eq(sprt_verdict(&sprt_default, 2.95), SPRT_ACCEPTS_H1);
    ck_assert_int_eq(sprt_verdict(&sprt_default, -2.95), SPRT_ACCEPTS_H0);
}
END_TEST

START_TEST(ratio_is_the_normal_approximation_for_many_pairs)
{
    /* For large n and small differences: n (s1 - s0) (2 s - s0 - s1) / (2 var). */
    const struct pentanomial p = counts(500, 2000, 5200, 2200, 600);
    double n = (double)pentanomial_n(&p);
    double s = pentanomial_score(&p);
    double var = 0;
    for (int k = 0; k < PAIR_OUTCOMES; k++) {
        var += (double)p.pairs[k] / n * pow(k / 4.0 - s, 2);
    }
    double s1 = 1 / (1 + pow(10, -20 / 400.0));
    double expected = n * (s1 - 0.5) * (2 * s - 0.5 - s1) / (2 * var);
    ck_assert_double_eq_tol(sprt_llr(&sprt_default, &p), expected, 0.02 * fabs(expected));
}
END_TEST

START_TEST(ratio_of_a_few_pairs_is_that_of_a_second_reckoning)
{
    /* The formula in another program, counts of zero taken as 0.001. */
    const struct pentanomial p = counts(0, 0, 8, 2, 1);
    ck_assert_double_eq_tol(sprt_llr(&sprt_default, &p), 0.6143880926, 1e-8);
}
END_TEST

START_TEST(ratio_without_pairs_is_nothing_and_a_few_pairs_decide_nothing)
{
    const struct pentanomial none = counts(0, 0, 0, 0, 0);
    const struct pentanomial one = counts(0, 0, 0, 0, 1);
    const struct pentanomial bad = counts(1, 0, 0, 0, 0);
    ck_assert_double_eq(sprt_llr(&sprt_default, &none), 0);
    ck_assert_int_eq(sprt_verdict(&sprt_default, sprt_llr(&sprt_default, &one)), SPRT_OPEN);
    ck_assert_double_gt(sprt_llr(&sprt_default, &one), 0);
    ck_assert_double_lt(sprt_llr(&sprt_default, &bad), 0);
}
END_TEST

START_TEST(the_other_side_sees_the_mirrored_test)
{
    const struct sprt forth = {.elo0 = -10, .elo1 = 10, .alpha = 0.05, .beta = 0.05};
    const struct pentanomial p = counts(3, 9, 20, 12, 6);
    const struct pentanomial turned = counts(6, 12, 20, 9, 3);
    ck_assert_double_eq_tol(sprt_llr(&forth, &p), -sprt_llr(&forth, &turned), 1e-9);
}
END_TEST

/* One test to its end: pairs whose score is that of `elo`, with openings that favour a colour. */
static enum sprt_verdict run(double elo, uint64_t seed, uint64_t *ret_pairs)
{
    struct pentanomial result = {{0}};
    double p = 1 / (1 + pow(10, -elo / 400));
    enum sprt_verdict verdict = SPRT_OPEN;
    uint64_t pair = 0;
    for (; verdict == SPRT_OPEN && pair < 100000; pair++) {
        double bias = 0.4 * (random_uniform(seed, 0, RANDOM_TEST, 3 * pair) - 0.5);
        int points = 0;
        for (uint64_t game = 0; game < 2; game++) {
            double q = game == 0 ? p + bias : p - bias;
            double u = random_uniform(seed, 0, RANDOM_TEST, 3 * pair + 1 + game);
            points += u < q - 0.15 ? 2 : u < q + 0.15 ? 1 : 0; /* 30 % draws */
        }
        result.pairs[points]++;
        verdict = sprt_verdict(&sprt_default, sprt_llr(&sprt_default, &result));
    }
    *ret_pairs += pair;
    return verdict;
}

START_TEST(false_verdicts_are_about_one_in_twenty)
{
    enum { RUNS = 250 };
    int false_h1 = 0;
    int false_h0 = 0;
    uint64_t pairs = 0;
    for (uint64_t i = 0; i < RUNS; i++) {
        false_h1 += run(0, 1000 + i, &pairs) == SPRT_ACCEPTS_H1 ? 1 : 0;
        false_h0 += run(20, 5000 + i, &pairs) == SPRT_ACCEPTS_H0 ? 1 : 0;
    }
    /* 12.5 of 250 expected, standard deviation 3.4 */
    ck_assert_msg(false_h1 >= 3 && false_h1 <= 24, "%d of %d", false_h1, RUNS);
    ck_assert_msg(false_h0 >= 3 && false_h0 <= 24, "%d of %d", false_h0, RUNS);
    ck_assert_msg(pairs / (2UL * RUNS) < 3000, "%lu pairs a test",
                  (unsigned long)(pairs / (2UL * RUNS)));
}
END_TEST

START_TEST(clear_cases_are_settled_early)
{
    uint64_t strong = 0;
    uint64_t weak = 0;
    for (uint64_t i = 0; i < 20; i++) {
        ck_assert_int_eq(run(150, 100 + i, &strong), SPRT_ACCEPTS_H1);
        ck_assert_int_eq(run(-100, 200 + i, &weak), SPRT_ACCEPTS_H0);
    }
    ck_assert_uint_lt(strong / 20, 250);
    ck_assert_uint_lt(weak / 20, 250);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sprt");
    TCase *tests = tcase_create("sprt");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, bounds_are_those_of_wald);
    tcase_add_test(tests, ratio_is_the_normal_approximation_for_many_pairs);
    tcase_add_test(tests, ratio_of_a_few_pairs_is_that_of_a_second_reckoning);
    tcase_add_test(tests, ratio_without_pairs_is_nothing_and_a_few_pairs_decide_nothing);
    tcase_add_test(tests, the_other_side_sees_the_mirrored_test);
    tcase_add_test(tests, false_verdicts_are_about_one_in_twenty);
    tcase_add_test(tests, clear_cases_are_settled_early);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
