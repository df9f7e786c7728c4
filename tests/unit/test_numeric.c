#include "mcts/numeric.h"
#include "mcts/random.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bits of a double, so that a known answer is compared exactly. */
static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

/* Distance in units of the last place of `right`. */
static double ulps(double x, double right)
{
    if (x == right) {
        return 0.0; /* infinities, too */
    }
    double unit = fmax(nextafter(fabs(right), INFINITY) - fabs(right), 0x1p-1074);
    return fabs(x - right) / unit;
}

START_TEST(functions_agree_with_libm_within_two_ulp)
{
    double worst[6] = {0};
    for (uint64_t i = 0; i < 200000; i++) {
        double u = random_uniform(1, 0, RANDOM_TEST, i);
        double x = (u - 0.5) * 1480.0;
        double y = exp((u - 0.5) * 1400.0);
        double z = 0.5 + u;
        double angle = (u - 0.5) * 4.0 * M_PI;
        worst[0] = fmax(worst[0], ulps(numeric_exp(x), exp(x)));
        worst[1] = fmax(worst[1], ulps(numeric_exp2(x * 1.4), exp2(x * 1.4)));
        worst[2] = fmax(worst[2], ulps(numeric_log(y), log(y)));
        worst[2] = fmax(worst[2], ulps(numeric_log(z), log(z))); /* where log is near 0 */
        worst[3] += bits_of(numeric_sqrt(y)) != bits_of(sqrt(y)) ? 1.0 : 0.0;
        worst[4] = fmax(worst[4], fabs(numeric_sin(angle) - sin(angle)));
        worst[5] = fmax(worst[5], fabs(numeric_cos(angle) - cos(angle)));
    }
    ck_assert_double_le(worst[0], 2.0);
    ck_assert_double_le(worst[1], 2.0);
    ck_assert_double_le(worst[2], 2.0);
    ck_assert_double_eq(worst[3], 0.0);
    /* Near a zero of the sine the error is that of the angle: 2^-53 or so, absolute. */
    ck_assert_double_le(worst[4], 0x1p-52);
    ck_assert_double_le(worst[5], 0x1p-52);
}
END_TEST

START_TEST(ends_of_the_ranges_are_right)
{
    ck_assert_double_eq(numeric_exp(0.0), 1.0);
    ck_assert_double_eq(numeric_exp(-746.0), 0.0);
    ck_assert_double_eq(numeric_exp(-745.0), 0x1p-1074);
    ck_assert_double_eq(numeric_exp(-1e300), 0.0);
    ck_assert(isinf(numeric_exp(709.79)) && isinf(numeric_exp(1e300)));
    ck_assert(isfinite(numeric_exp(709.78)));
    ck_assert_double_eq(numeric_exp2(10.0), 1024.0);
    ck_assert_double_eq(numeric_exp2(-1074.0), 0x1p-1074);
    ck_assert_double_eq(numeric_exp2(-5000.0), 0.0);
    ck_assert(isinf(numeric_exp2(1024.0)));
    ck_assert_double_eq(numeric_log(1.0), 0.0);
    ck_assert(isinf(numeric_log(0.0)) && numeric_log(0.0) < 0.0);
    ck_assert(isnan(numeric_log(-1.0)));
    ck_assert(isinf(numeric_log(INFINITY)));
    ck_assert_double_le(ulps(numeric_log(0x1p-1074), log(0x1p-1074)), 1.0);
    ck_assert(isnan(numeric_exp((double)NAN)) && isnan(numeric_exp2((double)NAN)));
    ck_assert_double_eq(numeric_sqrt(0.0), 0.0);
}
END_TEST

/* Another compiler or processor must give these very bits, or recorded games do not replay. */
START_TEST(outputs_are_these_bits)
{
    ck_assert_uint_eq(bits_of(numeric_exp(1.0)), 0x4005bf0a8b14576a);
    ck_assert_uint_eq(bits_of(numeric_exp(-12.345)), 0x3ed240572f47cb82);
    ck_assert_uint_eq(bits_of(numeric_exp2(-0.3)), 0x3fe9fdf8bcce533e);
    ck_assert_uint_eq(bits_of(numeric_log(10.0)), 0x40026bb1bbb55516);
    ck_assert_uint_eq(bits_of(numeric_log(0.0123)), 0xc01197b635f81342);
    ck_assert_uint_eq(bits_of(numeric_sin(1.0)), 0x3feaed548f090cee);
    ck_assert_uint_eq(bits_of(numeric_cos(4.0)), 0xbfe4eaa606db24c1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("numeric");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, functions_agree_with_libm_within_two_ulp);
    tcase_add_test(tcase, ends_of_the_ranges_are_right);
    tcase_add_test(tcase, outputs_are_these_bits);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
