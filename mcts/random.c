#include "mcts/random.h"

#include "mcts/numeric.h"

/* Index layout of random_dirichlet: each variate has 2^33 draws of its own, four an attempt. */
enum { DRAWS_PER_ATTEMPT = 4 };

/* SplitMix64: its increment, then its finaliser. Each input is added and mixed in turn, so inputs
 * that differ in one bit anywhere give unrelated outputs. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

uint64_t random_u64(uint64_t seed, uint32_t ply, enum random_purpose purpose, uint64_t index)
{
    uint64_t x = mix(seed);
    x = mix(x + (((uint64_t)ply << 32) | (uint32_t)purpose));
    return mix(x + index);
}

double random_uniform(uint64_t seed, uint32_t ply, enum random_purpose purpose, uint64_t index)
{
    return (double)(random_u64(seed, ply, purpose, index) >> 11) * 0x1p-53;
}

/* Uniform in (0, 1], for logarithms. */
static double uniform_above_zero(uint64_t seed, uint32_t ply, enum random_purpose purpose,
                                 uint64_t index)
{
    return 1.0 - random_uniform(seed, ply, purpose, index);
}

double random_normal(uint64_t seed, uint32_t ply, enum random_purpose purpose, uint64_t index)
{
    const double two_pi = 0x1.921fb54442d18p2;
    double radius2 = -2.0 * numeric_log(uniform_above_zero(seed, ply, purpose, 2 * index));
    double angle = two_pi * random_uniform(seed, ply, purpose, 2 * index + 1);
    return numeric_sqrt(radius2) * numeric_cos(angle);
}

/* The logarithm of a Gamma(alpha) variate (Marsaglia & Tsang 2000). For alpha < 1 by way of
 * Gamma(alpha + 1) U^(1/alpha); as chess has alpha near 0.05, whose variates underflow, all of it
 * stays in logarithms. */
static double log_gamma_variate(uint64_t seed, uint32_t ply, double alpha, uint64_t first_draw)
{
    double boost = 0.0;
    if (alpha < 1.0) {
        boost = numeric_log(uniform_above_zero(seed, ply, RANDOM_NOISE, first_draw + 3)) / alpha;
        alpha += 1.0;
    }
    double d = alpha - 1.0 / 3.0;
    double c = 1.0 / numeric_sqrt(9.0 * d);
    /* An attempt is refused in fewer than one case of twenty. */
    for (uint64_t draw = first_draw;; draw += DRAWS_PER_ATTEMPT) {
        double x = random_normal(seed, ply, RANDOM_NOISE, draw / 2);
        double v = 1.0 + c * x;
        if (v <= 0.0) {
            continue;
        }
        v = v * v * v;
        double u = uniform_above_zero(seed, ply, RANDOM_NOISE, draw + 2);
        if (numeric_log(u) < 0.5 * x * x + d * (1.0 - v + numeric_log(v))) {
            return numeric_log(d * v) + boost;
        }
    }
}

void random_dirichlet(uint64_t seed, uint32_t ply, double alpha, uint32_t n, double *ret)
{
    double largest = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        ret[i] = log_gamma_variate(seed, ply, alpha, (uint64_t)i << 33);
        if (i == 0 || ret[i] > largest) {
            largest = ret[i];
        }
    }
    double sum = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        ret[i] = numeric_exp(ret[i] - largest);
        sum += ret[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        ret[i] /= sum;
    }
}
