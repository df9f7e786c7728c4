/* Elementary functions by range reduction and power series. Each is a fixed sequence of IEEE 754
 * additions, multiplications and divisions, so its bits are the same on every processor; that is
 * worth more here than the last ulp. The constants split as hi + lo have zeros at the end of hi, so
 * that k * hi is exact for the small k that occur. */
#include "mcts/numeric.h"

#include <math.h> /* INFINITY and NAN only: nothing here links to libm */
#include <stdint.h>
#include <string.h>

static const double ln2_hi = 0x1.62e42feep-1; /* 32 bits */
static const double ln2_lo = 0x1.a39ef35793c76p-33;
static const double pi_half_hi = 0x1.921fb544p+0; /* 33 bits */
static const double pi_half_lo = 0x1.0b4611a626331p-34;

/* To the nearest integer, for |x| < 2^51: adding 1.5 * 2^52 leaves no bits behind the point. */
static double round_to_integer(double x)
{
    const double shifter = 0x1.8p52;
    return (x + shifter) - shifter;
}

/* 2^k for -1022 <= k <= 1023. */
static double power_of_two(int k)
{
    uint64_t bits = (uint64_t)(k + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof(power));
    return power;
}

/* x 2^k where the result may be subnormal or infinite: in two steps that are each in range. */
static double scale(double x, int k)
{
    int half = k / 2;
    return x * power_of_two(half) * power_of_two(k - half);
}

/* e^r for |r| <= ln 2 / 2: Taylor; the first term left out is below 2^-57. */
static double exp_reduced(double r)
{
    static const double coefficients[] = {
        1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
        1.0 / 362880.0,     1.0 / 40320.0,     1.0 / 5040.0,     1.0 / 720.0,
        1.0 / 120.0,        1.0 / 24.0,        1.0 / 6.0,        0.5,
    };
    double sum = 0.0;
    for (size_t i = 0; i < sizeof(coefficients) / sizeof(coefficients[0]); i++) {
        sum = sum * r + coefficients[i];
    }
    return 1.0 + (r + r * r * sum);
}

double numeric_exp(double x)
{
    const double inverse_ln2 = 0x1.71547652b82fep0;

    if (x != x) {
        return x;
    }
    if (x > 709.782712893384) {
        return INFINITY;
    }
    if (x < -745.2) {
        return 0.0;
    }
    double k = round_to_integer(x * inverse_ln2);
    double r = (x - k * ln2_hi) - k * ln2_lo;
    return scale(exp_reduced(r), (int)k);
}

double numeric_exp2(double x)
{
    if (x != x) {
        return x;
    }
    if (x >= 1024.0) {
        return INFINITY;
    }
    if (x < -1076.0) {
        return 0.0;
    }
    double k = round_to_integer(x);
    return scale(exp_reduced((x - k) * (ln2_hi + ln2_lo)), (int)k);
}

/* x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)). With s = f / (2 + f):
 * log(1 + f) = 2 atanh(s) = f - s (f - R), R = 2 s^2 (1/3 + s^2/5 + s^4/7 + ...). As f keeps its
 * bits, values near 1 keep theirs. */
double numeric_log(double x)
{
    if (x != x || x == INFINITY) {
        return x;
    }
    if (x <= 0.0) {
        return x == 0.0 ? -INFINITY : (double)NAN;
    }
    int k = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        k = -54;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    k += (int)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffU) | ((uint64_t)1023 << 52);
    double mantissa;
    memcpy(&mantissa, &bits, sizeof(mantissa));
    if (mantissa > 0x1.6a09e667f3bcdp0) {
        mantissa *= 0.5;
        k++;
    }
    double f = mantissa - 1.0;
    double s = f / (2.0 + f);
    double s2 = s * s;
    double sum = 0.0;
    for (int n = 23; n >= 3; n -= 2) {
        sum = sum * s2 + 1.0 / n;
    }
    double remainder = 2.0 * s2 * sum;
    return k * ln2_hi + ((f - s * (f - remainder)) + k * ln2_lo);
}

double numeric_sqrt(double x)
{
    /* Correctly rounded by IEEE 754, so this is one instruction and the same bits anywhere (the
     * library is compiled with -fno-math-errno, which keeps the call of libm out). */
    return __builtin_sqrt(x);
}

/* sin and cos for |r| <= pi / 4: Taylor, first term left out below 2^-56. */
static double sin_reduced(double r)
{
    double r2 = r * r;
    double sum = 0.0;
    for (int n = 17; n >= 3; n -= 2) {
        sum = (1.0 - sum) * r2 / (double)(n * (n - 1));
    }
    return r - r * sum;
}

static double cos_reduced(double r)
{
    double r2 = r * r;
    double sum = 0.0;
    for (int n = 18; n >= 2; n -= 2) {
        sum = (1.0 - sum) * r2 / (double)(n * (n - 1));
    }
    return 1.0 - sum;
}

/* sin(x + quarter_turns pi / 2) */
static double sine(double x, int quarter_turns)
{
    const double inverse_pi_half = 0x1.45f306dc9c883p-1;
    double k = round_to_integer(x * inverse_pi_half);
    double r = (x - k * pi_half_hi) - k * pi_half_lo;

    switch (((int)k + quarter_turns) & 3) {
    case 0:
        return sin_reduced(r);
    case 1:
        return cos_reduced(r);
    case 2:
        return -sin_reduced(r);
    default:
        return -cos_reduced(r);
    }
}

double numeric_sin(double x)
{
    return sine(x, 0);
}

double numeric_cos(double x)
{
    return sine(x, 1);
}
