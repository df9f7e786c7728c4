#include "selfplay/rating.h"

#include "mcts/random.h"
#include "storage/error.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define LN10 2.302585092994046

static double elo_of(double score)
{
    return -400 * log10(1 / score - 1);
}

static struct pentanomial counts(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    return (struct pentanomial){{a, b, c, d, e}};
}

static void fit(uint32_t n, uint32_t reference, const struct rating_match *matches, uint64_t m,
                struct rating *ret)
{
    ck_assert_int_eq(rating_fit(n, reference, matches, m, ret), 0);
}

START_TEST(score_of_pairs_counts_half_points)
{
    const struct pentanomial p = counts(1, 2, 3, 4, 5);
    ck_assert_uint_eq(pentanomial_n(&p), 15);
    ck_assert_double_eq_tol(pentanomial_score(&p), (2 * 1 + 3 * 2 + 4 * 3 + 5 * 4) / 60.0, 1e-12);
    const struct pentanomial none = counts(0, 0, 0, 0, 0);
    ck_assert(isnan(pentanomial_score(&none)));
}
END_TEST

START_TEST(nine_tenths_of_the_games_must_be_distinct)
{
    ck_assert(rating_counts(18, 20));
    ck_assert(!rating_counts(17, 20));
    ck_assert(!rating_counts(10, 20)); /* a net against itself: both games of each pair are one */
    ck_assert(rating_counts(0, 0));
}
END_TEST

START_TEST(two_players_differ_by_the_logarithm_of_their_odds)
{
    /* 10 pairs, 13 points of 20, and the virtual draw: 13.5 of 21. */
    const struct rating_match match = {1, 0, counts(0, 1, 4, 3, 2)};
    struct rating ratings[2];
    fit(2, 0, &match, 1, ratings);
    ck_assert_double_eq(ratings[0].elo, 0);
    ck_assert_double_eq(ratings[0].error, 0);
    ck_assert_double_eq_tol(ratings[1].elo, elo_of(13.0 / 20 * 20 / 21 + 0.5 / 21), 1e-6);
    ck_assert_uint_eq(ratings[1].games, 20);
    /* The error in closed form: sqrt(scale * sum of squared misses) / (n p (1 - p)). */
    double p = 13.5 / 21;
    double sum = pow(0.5 - p, 2) + 2 * p * (1 - p) + pow(0.5 - 2 * p, 2) + 4 * pow(1 - 2 * p, 2) +
                 3 * pow(1.5 - 2 * p, 2) + 2 * pow(2 - 2 * p, 2);
    double error = 400 / LN10 * sqrt(10.5 / 9.5 * sum) / (21 * p * (1 - p));
    ck_assert_double_eq_tol(ratings[1].error, error, 1e-6);
    struct rating alone = rating_of_match(&match.result);
    ck_assert_double_eq_tol(alone.elo, ratings[1].elo, 1e-6);
    ck_assert_double_eq_tol(alone.error, ratings[1].error, 1e-6);
}
END_TEST

START_TEST(who_is_named_first_does_not_matter)
{
    const struct rating_match matches[] = {{0, 1, counts(2, 3, 4, 1, 0)},
                                           {1, 2, counts(1, 2, 2, 3, 2)},
                                           {2, 0, counts(0, 1, 3, 4, 2)}};
    const struct rating_match turned[] = {{0, 2, counts(2, 4, 3, 1, 0)},
                                          {1, 0, counts(0, 1, 4, 3, 2)},
                                          {2, 1, counts(2, 3, 2, 2, 1)}};
    struct rating a[3];
    struct rating b[3];
    fit(3, 0, matches, 3, a);
    fit(3, 0, turned, 3, b);
    for (int i = 0; i < 3; i++) {
        ck_assert_double_eq_tol(a[i].elo, b[i].elo, 1e-7);
        ck_assert_double_eq_tol(a[i].error, b[i].error, 1e-7);
    }
}
END_TEST

START_TEST(split_matches_are_one_match)
{
    const struct rating_match whole = {0, 1, counts(1, 2, 5, 3, 1)};
    const struct rating_match parts[] = {{0, 1, counts(1, 0, 2, 3, 0)},
                                         {1, 0, counts(1, 0, 3, 2, 0)}};
    struct rating a[2];
    struct rating b[2];
    fit(2, 0, &whole, 1, a);
    fit(2, 0, parts, 2, b);
    ck_assert_double_eq_tol(a[1].elo, b[1].elo, 1e-7); /* one virtual draw, not two */
    ck_assert_double_eq_tol(a[1].error, b[1].error, 1e-7);
}
END_TEST

START_TEST(chain_of_clean_sweeps_stays_finite_and_adds_up)
{
    struct rating_match matches[9];
    struct rating ratings[10];
    for (uint32_t i = 0; i < 9; i++) {
        matches[i] = (struct rating_match){i + 1, i, counts(0, 0, 0, 0, 10)};
    }
    fit(10, 0, matches, 9, ratings);
    double step = elo_of(20.5 / 21);
    for (int i = 1; i < 10; i++) {
        ck_assert_double_eq_tol(ratings[i].elo, i * step, 1e-4);
        ck_assert(ratings[i].error > ratings[i - 1].error);
    }
    /* A sweep says "at least": its error is that of one game lost in about twenty, not 0. */
    ck_assert_double_gt(ratings[1].error, 100);
}
END_TEST

START_TEST(players_without_a_chain_to_the_reference_are_not_rated)
{
    const struct rating_match matches[] = {{0, 1, counts(0, 1, 2, 1, 0)},
                                           {2, 3, counts(0, 0, 1, 2, 1)}};
    struct rating ratings[5];
    fit(5, 0, matches, 2, ratings);
    ck_assert(!isnan(ratings[1].elo));
    for (int i = 2; i < 5; i++) {
        ck_assert(isnan(ratings[i].elo) && isnan(ratings[i].error));
    }
    ck_assert_uint_eq(ratings[2].games, 8);
    ck_assert_uint_eq(ratings[4].games, 0);
}
END_TEST

START_TEST(matches_that_make_no_sense_are_refused)
{
    const struct rating_match itself = {1, 1, counts(0, 0, 1, 0, 0)};
    const struct rating_match unknown = {0, 2, counts(0, 0, 1, 0, 0)};
    struct rating ratings[2];
    ck_assert_int_eq(rating_fit(2, 0, &itself, 1, ratings), ERROR_INVALID);
    ck_assert_int_eq(rating_fit(2, 0, &unknown, 1, ratings), ERROR_INVALID);
    ck_assert_int_eq(rating_fit(2, 2, NULL, 0, ratings), ERROR_INVALID);
    fit(2, 1, NULL, 0, ratings);
    ck_assert(isnan(ratings[0].elo));
}
END_TEST

/* ---- simulation: openings favour a colour, so the games of a pair are not independent ---- */
struct world {
    uint64_t seed, draws;
};

static double uniform(struct world *w)
{
    return random_uniform(w->seed, 0, RANDOM_TEST, w->draws++);
}

/* Half points of one game whose expectation is p, with draws where they fit. */
static int play(struct world *w, double p)
{
    double draw = 0.3 * fmin(2 * p, 2 * (1 - p));
    double u = uniform(w);
    return u < p - draw / 2 ? 2 : u < p + draw / 2 ? 1 : 0;
}

static struct pentanomial play_match(struct world *w, double difference, int n)
{
    struct pentanomial result = {{0}};
    double p = 1 / (1 + pow(10, -difference / 400));
    for (int i = 0; i < n; i++) {
        double bias = (uniform(w) - 0.5) * 1.2 * fmin(p, 1 - p);
        result.pairs[play(w, p + bias) + play(w, p - bias)]++;
    }
    return result;
}

START_TEST(known_ratings_come_back_and_errors_are_about_right)
{
    enum { PLAYERS = 10, RUNS = 400, PAIRS = 20 };
    const uint32_t back[] = {1, 3, 6};
    double within_one = 0;
    double within_two = 0;
    double bias = 0;
    double n = 0;
    for (uint64_t run = 0; run < RUNS; run++) {
        struct world w = {.seed = 77 + run};
        struct rating_match matches[4 * PLAYERS];
        struct rating ratings[PLAYERS];
        uint64_t m = 0;
        for (uint32_t i = 1; i < PLAYERS; i++) {
            for (int k = 0; k < 3; k++) {
                if (back[k] <= i) {
                    uint32_t other = i - back[k];
                    matches[m++] =
                        (struct rating_match){i, other, play_match(&w, 40.0 * (i - other), PAIRS)};
                }
            }
        }
        fit(PLAYERS, 0, matches, m, ratings);
        for (int i = 1; i < PLAYERS; i++) {
            double miss = ratings[i].elo - 40.0 * i;
            within_one += fabs(miss) < ratings[i].error ? 1 : 0;
            within_two += fabs(miss) < 2 * ratings[i].error ? 1 : 0;
            bias += miss;
            n++;
        }
    }
    /* 400 runs, whose players' misses go together: about three standard deviations of a share of 400. */
    ck_assert_double_eq_tol(within_one / n, 0.683, 0.07);
    ck_assert_double_eq_tol(within_two / n, 0.954, 0.03);
    ck_assert_double_eq_tol(bias / n, 0, 10); /* the virtual draws pull together a little */
}
END_TEST

START_TEST(errors_shrink_with_pairs_that_agree)
{
    /* The same score; but in one match each pair is split, in the other each opening decides. */
    const struct pentanomial calm = counts(0, 0, 20, 0, 0);
    const struct pentanomial wild = counts(10, 0, 0, 0, 10);
    ck_assert_double_lt(rating_of_match(&calm).error, 20);
    ck_assert_double_gt(rating_of_match(&calm).error, 5); /* not certain for all that */
    ck_assert_double_gt(rating_of_match(&wild).error, 70);
}
END_TEST

START_TEST(line_of_two_thousand_nets_is_fitted_in_a_moment)
{
    enum { PLAYERS = 2000 };
    struct rating_match *matches = calloc(4UL * PLAYERS, sizeof *matches);
    struct rating *ratings = calloc(PLAYERS + 1, sizeof *ratings);
    const uint32_t back[] = {1, 5, 10};
    struct world w = {.seed = 5};
    uint64_t m = 0;
    for (uint32_t i = 1; i < PLAYERS; i++) {
        for (int k = 0; k < 3; k++) {
            if (back[k] <= i) {
                matches[m++] = (struct rating_match){i, i - back[k], play_match(&w, back[k], 4)};
            }
        }
        matches[m++] = (struct rating_match){PLAYERS, i, counts(3, 1, 0, 0, 0)}; /* who meets all */
    }
    fit(PLAYERS + 1, 0, matches, m, ratings);
    ck_assert(!isnan(ratings[PLAYERS - 1].elo) && ratings[PLAYERS - 1].error > 0);
    ck_assert(ratings[PLAYERS].elo < ratings[1].elo);
    free(matches);
    free(ratings);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rating");
    TCase *tests = tcase_create("rating");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, score_of_pairs_counts_half_points);
    tcase_add_test(tests, nine_tenths_of_the_games_must_be_distinct);
    tcase_add_test(tests, two_players_differ_by_the_logarithm_of_their_odds);
    tcase_add_test(tests, who_is_named_first_does_not_matter);
    tcase_add_test(tests, split_matches_are_one_match);
    tcase_add_test(tests, chain_of_clean_sweeps_stays_finite_and_adds_up);
    tcase_add_test(tests, players_without_a_chain_to_the_reference_are_not_rated);
    tcase_add_test(tests, matches_that_make_no_sense_are_refused);
    tcase_add_test(tests, known_ratings_come_back_and_errors_are_about_right);
    tcase_add_test(tests, errors_shrink_with_pairs_that_agree);
    tcase_add_test(tests, line_of_two_thousand_nets_is_fitted_in_a_moment);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
