#include "selfplay/sprt.h"

#include <math.h>

const struct sprt sprt_default = {.elo0 = 0, .elo1 = 20, .alpha = 0.05, .beta = 0.05};

/* Stands for a count of zero, so that a likelihood exists before every outcome has been seen (fishtest takes
 * the same). */
#define LEAST_COUNT 1e-3

const char *sprt_verdict_text(enum sprt_verdict verdict)
{
    switch (verdict) {
    case SPRT_OPEN:
        return "open";
    case SPRT_ACCEPTS_H0:
        return "H0";
    case SPRT_ACCEPTS_H1:
        return "H1";
    }
    return "?";
}

static double score_of(double elo)
{
    return 1 / (1 + pow(10, -elo / 400));
}

/* The likeliest distribution with mean s for observed shares p[k] of the scores k / 4 is
 *     p[k] / (1 + x (k / 4 - s))     where x solves     sum p[k] (k / 4 - s) / (1 + x (k / 4 - s)) = 0
 * (Van den Bergh). The sum falls with x between the poles at which a denominator is 0: bisection. */
static void tilt(const double p[PAIR_OUTCOMES], double s, double ret[PAIR_OUTCOMES])
{
    double low = -1 / (1 - s);
    double high = 1 / s;

    for (int step = 0; step < 100; step++) {
        double x = (low + high) / 2;
        double sum = 0;
        for (int k = 0; k < PAIR_OUTCOMES; k++) {
            double above = k / 4.0 - s;
            sum += p[k] * above / (1 + x * above);
        }
        if (sum > 0) {
            low = x;
        } else {
            high = x;
        }
    }
    for (int k = 0; k < PAIR_OUTCOMES; k++) {
        ret[k] = p[k] / (1 + (low + high) / 2 * (k / 4.0 - s));
    }
}

double sprt_llr(const struct sprt *sprt, const struct pentanomial *result)
{
    double p[PAIR_OUTCOMES];
    double under_h0[PAIR_OUTCOMES];
    double under_h1[PAIR_OUTCOMES];
    double n = 0;
    double llr = 0;

    if (pentanomial_n(result) == 0) {
        return 0;
    }
    for (int k = 0; k < PAIR_OUTCOMES; k++) {
        p[k] = fmax((double)result->pairs[k], LEAST_COUNT);
        n += p[k];
    }
    for (int k = 0; k < PAIR_OUTCOMES; k++) {
        p[k] /= n;
    }
    tilt(p, score_of(sprt->elo0), under_h0);
    tilt(p, score_of(sprt->elo1), under_h1);
    for (int k = 0; k < PAIR_OUTCOMES; k++) {
        llr += n * p[k] * log(under_h1[k] / under_h0[k]);
    }
    return llr;
}

double sprt_lower(const struct sprt *sprt)
{
    return log(sprt->beta / (1 - sprt->alpha));
}

double sprt_upper(const struct sprt *sprt)
{
    return log((1 - sprt->beta) / sprt->alpha);
}

enum sprt_verdict sprt_verdict(const struct sprt *sprt, double llr)
{
    if (llr >= sprt_upper(sprt)) {
        return SPRT_ACCEPTS_H1;
    }
    return llr <= sprt_lower(sprt) ? SPRT_ACCEPTS_H0 : SPRT_OPEN;
}
