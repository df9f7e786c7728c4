/* What the newest games say. Bounds were set on a healthy run of 80 generations (4 blocks of 32 filters, 800 nodes)
 * and on short runs of nets of 1x8 and 2x16 with 24 and 100 nodes; the figures of those stand beside them as "healthy". */
#include "daemon/doctor/doctor.h"

#include <math.h>

enum { FEW_GAMES = 50, FEW_POSITIONS = 500 };

/* ---- value sign: healthy corr(v, z) 0.07 (2x16, generation 2) to 0.75, corr(q, z) 0.37 to 0.84, corr(q, -q) 0.83 to 0.99
 * (0.43 with 24 nodes and an untrained net); a turned sign makes each negative */
static enum doctor_state judge_sign(double r, uint32_t n_games, double distinct)
{
    if (isnan(r) || n_games < FEW_GAMES) {
        return DOCTOR_UNKNOWN;
    }
    /* Positions of a game hang together, so it counts once, and a game that is played again does not. A net that
     * has learnt nothing yet is on either side of 0 by chance. */
    double error = 1 / sqrt(n_games * fmax(distinct, 0.01));
    return doctor_judge(r, -2 * error, -3 * error, false);
}

static void take_worse(struct diagnosis *ret, enum doctor_state state, double figure)
{
    ret->state = state > ret->state ? state : ret->state;
    if (state != DOCTOR_UNKNOWN && !(ret->figure <= figure)) {
        ret->figure = figure;
    }
}

/* Where search proves much, q and so z stay right whatever v says. The value suites know better: a net that has turned
 * round is right where it was wrong, far below the best of the nets before it (measured: 68 % -> 24 %; one that says the same
 * of all positions is right in 53 %). */
static enum doctor_state judge_truth(const struct doctor_learning *l, double *ret_newest,
                                     double *ret_best)
{
    *ret_newest = *ret_best = NAN;
    for (uint32_t i = 0; i < l->n_judged; i++) {
        const double accuracy = l->judged[i].value_accuracy;
        *ret_newest = isnan(*ret_newest) ? accuracy : *ret_newest;
        *ret_best = fmax(*ret_best, accuracy); /* the one that is a number */
    }
    if (!(*ret_best > 0.45)) { /* nobody has learnt values, or there is no such suite */
        return DOCTOR_UNKNOWN;
    }
    return doctor_judge(*ret_newest / *ret_best, 0.7, 0.55, false);
}

static void value_sign(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_games *g = &f->games;
    enum doctor_state next =
        g->n_next < FEW_POSITIONS ? DOCTOR_UNKNOWN : doctor_judge(g->corr_next, 0.25, 0, false);

    for (int side = 0; side < 2; side++) {
        take_worse(ret, judge_sign(g->corr_vz[side], g->n_vz[side], g->distinct), g->corr_vz[side]);
        take_worse(ret, judge_sign(g->corr_qz[side], g->n_qz[side], g->distinct), g->corr_qz[side]);
    }
    take_worse(ret, next, g->corr_next);
    double newest = NAN;
    double best = NAN;
    enum doctor_state truth = judge_truth(&f->learning, &newest, &best);
    take_worse(ret, truth, newest);
    if (truth == DOCTOR_YELLOW || truth == DOCTOR_RED) {
        doctor_text(ret, "value accuracy of the newest net %.1f %%, of the best before it %.1f %%",
                    100 * newest, 100 * best);
    } else {
        doctor_text(ret,
                    "first player corr(v,z) %.2f corr(q,z) %.2f, second player %.2f %.2f, "
                    "corr(q, -q of the next ply) %.2f",
                    g->corr_vz[0], g->corr_qz[0], g->corr_vz[1], g->corr_qz[1], g->corr_next);
    }
    doctor_bound(
        ret,
        "corr(v,z), corr(q,z): yellow < -2/sqrt(games), red < -3/sqrt(games); next: yellow < 0.25, "
        "red < 0; value accuracy over the best: yellow < 0.7, red < 0.55");
}

/* ---- a move that wins at once is seen by any search: healthy 1.00; a turned sign gives -1 */
static void won_moves(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_games *g = &f->games;

    ret->figure = g->won_q;
    ret->state = g->n_won < 20 ? DOCTOR_UNKNOWN : doctor_judge(g->won_q, 0.9, 0.5, false);
    doctor_text(ret, "mean q %.3f where the move that won was played (%u games)", g->won_q,
                g->n_won);
    doctor_bound(ret, "yellow < 0.9, red < 0.5");
}

/* ---- healthy 0.07 (2x16, generation 3) to 0.58; a value that has collapsed has none, and one that has not learnt yet */
#define LEARNT_SAMPLES 50e3

static void value_collapsed(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_games *g = &f->games;

    ret->figure = g->variance_share;
    if (g->n_variance >= FEW_POSITIONS && f->learning.samples >= LEARNT_SAMPLES) {
        ret->state = doctor_judge(g->variance_share, 0.02, 0.005, false);
    }
    doctor_text(ret, "variance of v is %.3f of that of z (%u positions)", g->variance_share,
                g->n_variance);
    doctor_bound(ret, "from generation 3 and 50,000 samples on: yellow < 0.02, red < 0.005");
}

/* ---- healthy entropy 0.38 to 1.9 nats */
static void exploration(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_games *g = &f->games;
    enum doctor_state entropy =
        g->n_entropy < FEW_POSITIONS ? DOCTOR_UNKNOWN : doctor_judge(g->entropy, 0.15, 0.05, false);
    enum doctor_state noise = DOCTOR_UNKNOWN;

    if (!isnan(g->noise_share)) {
        noise = g->noise_share <= 0 ? DOCTOR_RED : DOCTOR_GREEN;
    }
    if (noise == DOCTOR_GREEN && g->temperature <= 0) {
        noise = DOCTOR_YELLOW;
    }
    ret->figure = g->entropy;
    ret->state = entropy > noise ? entropy : noise;
    doctor_text(ret, "median entropy of the visits %.2f nats, noise share %.2f, temperature %.2f%s",
                g->entropy, g->noise_share, g->temperature,
                noise == DOCTOR_RED ? ": there is no noise" : "");
    doctor_bound(ret, "entropy: yellow < 0.15, red < 0.05; noise: red 0; temperature: yellow 0");
}

/* ---- healthy 0.39 to 1.00 from the usual start (with noise and temperature as shipped) */
static void distinct_games(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_games *g = &f->games;

    if (g->from_start >= FEW_GAMES) {
        ret->figure = g->distinct_from_start;
        ret->state = doctor_judge(ret->figure, 0.25, 0.1, false);
        doctor_text(ret, "%.0f %% of %u games from the usual start are different ones",
                    100 * ret->figure, g->from_start);
        doctor_bound(ret, "yellow < 25 %%, red < 10 %%");
        return;
    }
    ret->figure = g->distinct;
    ret->state = g->games < FEW_GAMES ? DOCTOR_UNKNOWN : doctor_judge(ret->figure, 0.7, 0.5, false);
    doctor_text(ret, "%.0f %% of %u games are different ones", 100 * ret->figure, g->games);
    doctor_bound(ret, "yellow < 70 %%, red < 50 %%");
}

/* ---- healthy: 0.46 to 1 of the first games' variety, the most frequent beginning 1 to 28 % */
static void opening_collapse(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_games *g = &f->games;
    double share = g->prefixes / (g->first_prefixes > 0 ? g->first_prefixes : 1);
    enum doctor_state variety = doctor_judge(share, 0.35, 0.25, false);
    enum doctor_state common = doctor_judge(g->common_prefix, 0.45, 0.6, true);

    ret->figure = share;
    ret->state = variety > common ? variety : common;
    if (g->games < 2 * FEW_GAMES) {
        ret->state = DOCTOR_UNKNOWN;
    }
    doctor_text(ret,
                "%.0f different first %d plies in 1000 games, %.0f %% of the first games' variety; "
                "the most frequent begins %.0f %%",
                1000 * g->prefixes, DOCTOR_PREFIX_PLIES, 100 * share, 100 * g->common_prefix);
    doctor_bound(ret, "variety: yellow < 35 %%, red < 25 %%; most frequent: yellow > 45 %%, red > "
                      "60 %%");
}

/* ---- healthy 0.13 to 0.6 nats; 0: the search repeats the net */
static void search_adds(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_games *g = &f->games;
    const struct doctor_learning *l = &f->learning;
    enum doctor_state kld =
        g->n_entropy < FEW_POSITIONS ? DOCTOR_UNKNOWN : doctor_judge(g->kld, 0.02, 0.005, false);
    enum doctor_state worse = DOCTOR_UNKNOWN;

    ret->figure = g->kld;
    doctor_text(ret, "KL(visits || priors) %.3f nats", g->kld);
    for (uint32_t i = 0; i < l->n_judged && worse == DOCTOR_UNKNOWN; i++) {
        const struct doctor_judged *j = &l->judged[i];
        if (isnan(j->mistakes_net) || isnan(j->mistakes_search) || j->n_search <= 0) {
            continue;
        }
        double error = sqrt(2 * 0.25 / (double)j->n_search); /* of a difference, at most */
        worse = doctor_judge(j->mistakes_search - j->mistakes_net, error, 2 * error, true);
        doctor_text(ret,
                    "KL(visits || priors) %.3f nats; generation %u: mistakes %.1f %% alone, "
                    "%.1f %% with search",
                    g->kld, j->generation, 100 * j->mistakes_net, 100 * j->mistakes_search);
    }
    ret->state = kld > worse ? kld : worse;
    doctor_bound(ret, "KL: yellow < 0.02, red < 0.005; mistakes with search: red if 2 standard "
                      "errors more than without");
}

/* ---- an evaluation has the same bits wherever its kernel runs; two kernels differ by 2e-4 at most (bench_accuracy), but
 * one of bf16 by 0.03 (AMX) or 0.2 (trainer/net/README.md) */
static void playing_net(const struct doctor_figures *f, struct diagnosis *ret)
{
    static const double yellows[] = {
        [DOCTOR_FP32] = 5e-4, [DOCTOR_BF16_CELLS] = 0.1, [DOCTOR_BF16_POINTS] = 0.3};
    static const double reds[] = {
        [DOCTOR_FP32] = 5e-3, [DOCTOR_BF16_CELLS] = 0.3, [DOCTOR_BF16_POINTS] = 0.8};
    const struct doctor_net *net = &f->net;
    const double yellow = yellows[net->rounding];
    const double red = reds[net->rounding];

    doctor_bound(ret, "yellow > %g, red > %g; red where the file cannot be read", yellow, red);
    if (net->trouble[0] != '\0') {
        ret->state = DOCTOR_RED;
        doctor_text(ret, "generation %u: %.150s", net->generation, net->trouble);
        return;
    }
    ret->figure = net->positions == 0 ? NAN : net->difference;
    ret->state = doctor_judge(ret->figure, yellow, red, true);
    doctor_text(ret, "largest difference of v %.1e over %u positions of generation %u",
                net->difference, net->positions, net->generation);
}

/* Two nets that are much alike play the same game with colours changed, now and then; such a match is refused by
 * itself. The median tells whether matches do so as a rule: below 60 % hardly more than one game a pair. */
static void matches(const struct doctor_figures *f, struct diagnosis *ret)
{
    doctor_bound(ret, "median: yellow < 90 %%, red < 60 %%");
    if (f->matches.n < 3) {
        doctor_text(ret, "%u matches yet", f->matches.n);
        return;
    }
    ret->figure = f->matches.distinct;
    ret->state = doctor_judge(ret->figure, 0.9, 0.6, false);
    doctor_text(ret, "%.0f %% of a match's games are different ones (median of the %u newest)",
                100 * ret->figure, f->matches.n);
}

/* lc0 and leela-zero calibrate their resignation to 5 % mistaken ones. */
static void false_resigns(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_resigns *r = &f->resigns;
    double n = r->played;

    doctor_bound(ret, "yellow > 5 %%, red where it is so for certain (2 standard errors)");
    if (!r->on) {
        ret->state = DOCTOR_GREEN;
        doctor_text(ret, "resignation is off");
        return;
    }
    if (r->played < 20) {
        doctor_text(ret, "%u games played out in spite of a resignation: too few", r->played);
        return;
    }
    ret->figure = r->mistook / n;
    ret->state = doctor_judge(ret->figure, 0.05, 0.05 + 2 * sqrt(0.05 * 0.95 / n), true);
    doctor_text(ret,
                "%.1f %% of %u games played out were not lost by the side that would have "
                "resigned",
                100 * ret->figure, r->played);
}

const struct doctor_check doctor_play_checks[] = {
    {"value sign", value_sign,
     "v or q is of the wrong sign for a side: look at what changed (game rules, an imported net, a "
     "teacher, a build) and go back to the last good net; games played meanwhile teach the error",
     false},
    {"won moves", won_moves,
     "searches do not see a win in one move: their values have the wrong sign or they have too few "
     "nodes (search.nodes)",
     false},
    {"value collapsed", value_collapsed,
     "v says nearly the same everywhere: raise training.value_weight, look at z (draws only?) and "
     "at targets.q_ratio",
     false},
    {"exploration", exploration,
     "searches look at one move only: set search.noise.share (0.25) and search.temperature", false},
    {"distinct games", distinct_games,
     "the same games are played again and again: set search.noise, search.temperature and "
     "selfplay.openings",
     false},
    {"opening collapse", opening_collapse,
     "games begin alike: raise selfplay.openings.share, search.noise.share or "
     "search.temperature.half_life",
     false},
    {"search adds", search_adds,
     "the search finds nothing that the net did not know: raise search.nodes; if they are many, "
     "the "
     "net is at the end of what it can learn: a larger one is due",
     false},
    {"playing net", playing_net,
     "recorded values are not those of the net's file: the file is damaged, or the inference "
     "kernel "
     "is wrong on this processor (OPENBLAS_CORETYPE); do not trust games since",
     false},
    {"match games", matches,
     "games of a match repeat each other, so its result says less than it seems: more openings",
     false},
    {"false resigns", false_resigns,
     "sides give up games that they would not lose: raise selfplay.resign.threshold "
     "towards 1 or selfplay.resign.plies",
     false},
    {.name = NULL},
};
