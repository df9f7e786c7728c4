#include "trainer/net/precision.h"

#include "mcts/random.h"
#include "trainer/net/evaluator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Any will do, as long as it is always the same. */
enum { SEED = 1 };

struct playing {
    const struct game *game;
    union game_state states[PRECISION_GAMES];
    uint16_t legal[PRECISION_GAMES][GAME_MAX_LEGAL];
    struct evaluator_request requests[PRECISION_GAMES];
};

/* The legal moves of each game's position; a game that is over begins again. */
static void look(struct playing *p)
{
    const char *why;
    for (uint32_t i = 0; i < PRECISION_GAMES; i++) {
        uint32_t n = p->game->legal(&p->states[i], p->legal[i]);
        if (n == 0) {
            (void)p->game->init(&p->states[i], "", &why);
            n = p->game->legal(&p->states[i], p->legal[i]);
        }
        p->requests[i] = (struct evaluator_request){&p->states[i], n, p->legal[i]};
    }
}

static uint32_t likeliest(const struct evaluation *e)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < e->n_priors; i++) {
        best = e->priors[i] > e->priors[best] ? i : best;
    }
    return best;
}

/* A prior of 0 has no logarithm; that of a float's smallest normal number stands for it. */
static double divergence(const struct evaluation *p, const struct evaluation *q)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < p->n_priors; i++) {
        double a = fmax((double)p->priors[i], 1e-38);
        double b = fmax((double)q->priors[i], 1e-38);
        sum += (double)p->priors[i] * log(a / b);
    }
    return isnan((double)q->priors[0]) ? (double)NAN : sum;
}

static void add(struct precision_report *report, const struct evaluation *exact,
                const struct evaluation *coarse)
{
    double v = fabs((double)exact->v - (double)coarse->v);
    double policy = divergence(exact, coarse);
    report->positions++;
    report->v_mean += v;
    report->policy_mean += policy;
    report->v_max = fmax(report->v_max, v);
    report->policy_max = fmax(report->policy_max, policy);
    report->same_best += likeliest(exact) == likeliest(coarse);
}

/* The move at a uniform draw's place in the priors. */
static uint16_t draw(const struct evaluation *e, const uint16_t *legal, double uniform)
{
    uint32_t i = 0;
    while (i + 1 < e->n_priors && uniform >= (double)e->priors[i]) {
        uniform -= (double)e->priors[i++];
    }
    return legal[i];
}

int precision_compare(const struct game *game, struct evaluator *exact, struct evaluator *coarse,
                      struct precision_report *ret, struct error *err)
{
    struct precision_report report = {0};
    struct evaluation e[PRECISION_GAMES];
    struct evaluation c[PRECISION_GAMES];
    const char *why;
    struct playing *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "no memory to compare precisions");
    }
    p->game = game;
    for (uint32_t i = 0; i < PRECISION_GAMES; i++) {
        (void)game->init(&p->states[i], "", &why);
    }
    for (uint32_t ply = 0; report.positions < PRECISION_POSITIONS; ply++) {
        look(p);
        evaluator_run(exact, p->requests, PRECISION_GAMES, e);
        evaluator_run(coarse, p->requests, PRECISION_GAMES, c);
        for (uint32_t i = 0; i < PRECISION_GAMES; i++) {
            add(&report, &e[i], &c[i]);
            game->play(&p->states[i],
                       draw(&e[i], p->legal[i], random_uniform(SEED, ply, RANDOM_PRECISION, i)));
        }
    }
    free(p);
    report.v_mean /= report.positions;
    report.policy_mean /= report.positions;
    report.same_best /= report.positions;
    report.passed = report.v_mean <= PRECISION_MAX_V && report.policy_mean <= PRECISION_MAX_POLICY;
    *ret = report;
    return 0;
}

void precision_say(const struct precision_report *report, char text[PRECISION_TEXT])
{
    (void)snprintf(
        text, PRECISION_TEXT,
        "bf16 against fp32 over %u positions: v %.4f in the mean (at most %.2f), %.3f at "
        "most; policy %.5f nats (at most %.3f), %.4f at most; best move the same in "
        "%.1f %%%s",
        report->positions, report->v_mean, PRECISION_MAX_V, report->v_max, report->policy_mean,
        PRECISION_MAX_POLICY, report->policy_max, 100 * report->same_best,
        report->passed ? "" : ": refused, the net is computed in fp32");
}
