/* Is a player stronger than another? A sequential test: play pairs of games until the answer is known.
 *
 * H0: the player is elo0 stronger, H1: elo1 stronger. The generalised sequential probability ratio test for
 * pairs of games (pentanomial; M. Van den Bergh, "A practical introduction to the GSPRT" and
 * "Normalized Elo", 2020; as in fishtest's LLRcalc.py): the log of the largest likelihood of the counts
 * with the score that elo1 means, over the same with elo0. The test ends when it leaves
 *     log(beta / (1 - alpha)) ... log((1 - beta) / alpha)      (Wald 1945)
 * Pairs count in the order in which they began, all of them: those that end first are not a fair sample.
 * Elo is logistic: a score of s means -400 log10(1 / s - 1). */
#ifndef SELFPLAY_SPRT_H
#define SELFPLAY_SPRT_H

#include "selfplay/rating.h"

struct sprt {
    double elo0, elo1;  /* elo0 < elo1 */
    double alpha, beta; /* chance to accept H1 where H0 holds, and the reverse */
};
extern const struct sprt sprt_default; /* 0, 20, 0.05, 0.05 */

enum sprt_verdict { SPRT_OPEN, SPRT_ACCEPTS_H0, SPRT_ACCEPTS_H1 };
const char *sprt_verdict_text(enum sprt_verdict verdict); /* "open", "H0", "H1" */

/* The log-likelihood ratio of the counts; 0 without a pair. */
double sprt_llr(const struct sprt *sprt, const struct pentanomial *result);
/* The bounds, and where the ratio lies. */
double sprt_lower(const struct sprt *sprt);
double sprt_upper(const struct sprt *sprt);
enum sprt_verdict sprt_verdict(const struct sprt *sprt, double llr);

#endif
