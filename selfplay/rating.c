/* Newton's method on the log-likelihood. With a difference x = theta_a - theta_b in natural units (Elo x
 * ln 10 / 400) and p = 1 / (1 + exp(-x)), n games of which a took s points give
 *     gradient to theta_a   s - n p        curvature   n p (1 - p)
 * so the curvature of all is a graph's Laplacian, less the row of the reference: symmetric, positive definite
 * on whatever hangs together with the reference. Nets of a line meet their neighbours in number, so the
 * matrix is kept and decomposed within its envelope (Jennings 1966): row i from its first non-zero column
 * on. Those who meet many (the net that plays at random) come last, where a full row costs nothing. */
#include "selfplay/rating.h"

#include "storage/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITERATIONS = 200, MANY_OPPONENTS = 40 };
#define ELO_PER_UNIT  (400.0 / 2.302585092994046) /* ln 10 */
#define VIRTUAL_GAMES 1.0                         /* drawn, of each two that met */
#define CONVERGED     1e-10                       /* largest step, in units */
#define LONGEST_STEP  2.0

uint64_t pentanomial_n(const struct pentanomial *p)
{
    uint64_t n = 0;
    for (int k = 0; k < PAIR_OUTCOMES; k++) {
        n += p->pairs[k];
    }
    return n;
}

double pentanomial_score(const struct pentanomial *p)
{
    double points = 0;
    for (int k = 0; k < PAIR_OUTCOMES; k++) {
        points += k / 4.0 * (double)p->pairs[k];
    }
    uint64_t n = pentanomial_n(p);
    return n == 0 ? (double)NAN : points / (double)n;
}

bool rating_counts(uint64_t distinct_games, uint64_t games)
{
    return 10 * distinct_games >= 9 * games;
}

/* ---- two players that met ---- */
struct edge {
    uint32_t a, b; /* a < b */
    struct pentanomial result;
    uint32_t i, j; /* their rows in the matrix; NONE = the reference, or not rated */
};
enum { NONE = UINT32_MAX };

static double edge_games(const struct edge *edge)
{
    return 2.0 * (double)pentanomial_n(&edge->result) + VIRTUAL_GAMES;
}

static double edge_points(const struct edge *edge) /* of a, the virtual draw with them */
{
    double points = VIRTUAL_GAMES / 2;
    for (int k = 0; k < PAIR_OUTCOMES; k++) {
        points += k / 2.0 * (double)edge->result.pairs[k];
    }
    return points;
}

/* Variance of the gradient: squares of what pairs took beyond what was expected of them, and the imagined ones. */
static double edge_variance(const struct edge *edge, double p)
{
    double virtual_miss = VIRTUAL_GAMES * (0.5 - p);
    double sum = virtual_miss * virtual_miss + 2 * p * (1 - p);
    for (int k = 0; k < PAIR_OUTCOMES; k++) {
        double miss = k / 2.0 - 2 * p;
        sum += (double)edge->result.pairs[k] * miss * miss;
    }
    return sum;
}

/* ---- the matrix ---- */
struct fit {
    uint32_t n_players, reference;
    uint64_t n_edges;
    struct edge *edges;
    uint32_t n;       /* rows: rated players but the reference */
    uint32_t *row;    /* [n_players], NONE = no row */
    uint32_t *degree; /* [n_players] */
    double *theta;    /* [n_players] */
    uint32_t *first;  /* [n]: first column of the row's envelope */
    uint64_t *at;     /* [n]: where column 0 of the row would stand in `cells` */
    double *cells;    /* lower triangle within the envelope */
    uint64_t n_cells;
    double *x, *y; /* [n] */
};

static double *cell(struct fit *fit, uint32_t i, uint32_t j)
{
    return &fit->cells[fit->at[i] + j];
}

static void fit_finish(struct fit *fit)
{
    free(fit->edges);
    free(fit->row);
    free(fit->degree);
    free(fit->theta);
    free(fit->first);
    free(fit->at);
    free(fit->cells);
    free(fit->x);
    free(fit->y);
}

static int compare_edges(const void *a, const void *b)
{
    const struct edge *x = a;
    const struct edge *y = b;
    if (x->a != y->a) {
        return x->a < y->a ? -1 : 1;
    }
    return x->b == y->b ? 0 : x->b < y->b ? -1 : 1;
}

/* One edge for each two players that met. */
static void merge_edges(struct fit *fit, uint64_t n)
{
    qsort(fit->edges, n, sizeof *fit->edges, compare_edges);
    for (uint64_t e = 0; e < n; e++) {
        struct edge *last = fit->n_edges > 0 ? &fit->edges[fit->n_edges - 1] : NULL;
        if (last != NULL && compare_edges(last, &fit->edges[e]) == 0) {
            for (int k = 0; k < PAIR_OUTCOMES; k++) {
                last->result.pairs[k] += fit->edges[e].result.pairs[k];
            }
        } else {
            fit->edges[fit->n_edges++] = fit->edges[e];
        }
    }
}

/* Whoever was named first. */
static int take_edges(struct fit *fit, const struct rating_match *matches, uint64_t n_matches)
{
    fit->edges = calloc(n_matches + 1, sizeof *fit->edges);
    if (fit->edges == NULL) {
        return ERROR_NO_MEMORY;
    }
    uint64_t n = 0;
    for (uint64_t m = 0; m < n_matches; m++) {
        const struct rating_match *match = &matches[m];
        if (match->a >= fit->n_players || match->b >= fit->n_players || match->a == match->b) {
            return ERROR_INVALID;
        }
        if (pentanomial_n(&match->result) == 0) {
            continue;
        }
        bool swap = match->a > match->b;
        struct edge *edge = &fit->edges[n++];
        edge->a = swap ? match->b : match->a;
        edge->b = swap ? match->a : match->b;
        for (int k = 0; k < PAIR_OUTCOMES; k++) {
            edge->result.pairs[k] = match->result.pairs[swap ? PAIR_OUTCOMES - 1 - k : k];
        }
    }
    merge_edges(fit, n);
    return 0;
}

/* Those that a chain of matches joins to the reference get row 0, to be numbered below; the others keep NONE. */
static void find_connected(struct fit *fit)
{
    for (uint32_t p = 0; p < fit->n_players; p++) {
        fit->row[p] = NONE;
    }
    fit->row[fit->reference] = 0;
    bool grown = true;
    while (grown) { /* forth and back, so that chains in either direction take few rounds */
        grown = false;
        for (uint64_t k = 0; k < 2 * fit->n_edges; k++) {
            const struct edge *edge = &fit->edges[k < fit->n_edges ? k : 2 * fit->n_edges - 1 - k];
            if ((fit->row[edge->a] == NONE) != (fit->row[edge->b] == NONE)) {
                fit->row[edge->a] = fit->row[edge->b] = 0;
                grown = true;
            }
        }
    }
}

static void number_rows(struct fit *fit)
{
    for (uint64_t e = 0; e < fit->n_edges; e++) {
        fit->degree[fit->edges[e].a]++;
        fit->degree[fit->edges[e].b]++;
    }
    for (int many = 0; many < 2; many++) {
        for (uint32_t p = 0; p < fit->n_players; p++) {
            bool is_row = fit->row[p] != NONE && p != fit->reference;
            if (is_row && (fit->degree[p] > MANY_OPPONENTS) == (many == 1)) {
                fit->row[p] = fit->n++;
            }
        }
    }
    fit->row[fit->reference] = NONE;
}

static int make_envelope(struct fit *fit)
{
    fit->first = calloc(fit->n + 1, sizeof *fit->first);
    fit->at = calloc(fit->n + 1, sizeof *fit->at);
    fit->x = calloc(fit->n + 1, sizeof *fit->x);
    fit->y = calloc(fit->n + 1, sizeof *fit->y);
    if (fit->first == NULL || fit->at == NULL || fit->x == NULL || fit->y == NULL) {
        return ERROR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < fit->n; i++) {
        fit->first[i] = i;
    }
    for (uint64_t e = 0; e < fit->n_edges; e++) {
        struct edge *edge = &fit->edges[e];
        edge->i = fit->row[edge->a];
        edge->j = fit->row[edge->b];
        if (edge->i != NONE && edge->j != NONE) {
            uint32_t low = edge->i < edge->j ? edge->i : edge->j;
            uint32_t high = edge->i < edge->j ? edge->j : edge->i;
            fit->first[high] = low < fit->first[high] ? low : fit->first[high];
        }
    }
    for (uint32_t i = 0; i < fit->n; i++) {
        fit->at[i] =
            fit->n_cells - fit->first[i]; /* wraps around where it must; adding j undoes it */
        fit->n_cells += i - fit->first[i] + 1;
    }
    fit->cells = calloc(fit->n_cells + 1, sizeof *fit->cells);
    return fit->cells == NULL ? ERROR_NO_MEMORY : 0;
}

static double expectation(const struct fit *fit, const struct edge *edge)
{
    return 1 / (1 + exp(fit->theta[edge->b] - fit->theta[edge->a]));
}

/* Is the edge between two players who are being rated (or the reference)? */
static bool edge_is_in(const struct fit *fit, const struct edge *edge)
{
    return edge->i != NONE || edge->j != NONE || edge->a == fit->reference ||
           edge->b == fit->reference;
}

/* The curvature into the cells and the gradient into x, at theta. */
static void linearise(struct fit *fit)
{
    memset(fit->cells, 0, fit->n_cells * sizeof *fit->cells);
    memset(fit->x, 0, fit->n * sizeof *fit->x);
    for (uint64_t e = 0; e < fit->n_edges; e++) {
        const struct edge *edge = &fit->edges[e];
        double p = expectation(fit, edge);
        double games = edge_games(edge);
        double weight = games * p * (1 - p);
        double miss = edge_points(edge) - games * p;
        if (edge->i != NONE) {
            *cell(fit, edge->i, edge->i) += weight;
            fit->x[edge->i] += miss;
        }
        if (edge->j != NONE) {
            *cell(fit, edge->j, edge->j) += weight;
            fit->x[edge->j] -= miss;
        }
        if (edge->i != NONE && edge->j != NONE) {
            uint32_t high = edge->i > edge->j ? edge->i : edge->j;
            *cell(fit, high, edge->i + edge->j - high) -= weight;
        }
    }
}

/* The cells become the factor L of L L'. */
static int decompose(struct fit *fit)
{
    for (uint32_t i = 0; i < fit->n; i++) {
        for (uint32_t j = fit->first[i]; j <= i; j++) {
            double sum = *cell(fit, i, j);
            uint32_t from = fit->first[i] > fit->first[j] ? fit->first[i] : fit->first[j];
            for (uint32_t k = from; k < j; k++) {
                sum -= *cell(fit, i, k) * *cell(fit, j, k);
            }
            if (j < i) {
                *cell(fit, i, j) = sum / *cell(fit, j, j);
            } else if (sum > 0) {
                *cell(fit, i, i) = sqrt(sum);
            } else {
                return ERROR_DIVERGED;
            }
        }
    }
    return 0;
}

/* L L' x = x in place; x is zero above `from`. */
static void solve(struct fit *fit, double *x, uint32_t from)
{
    for (uint32_t i = from; i < fit->n; i++) {
        double sum = x[i];
        for (uint32_t k = fit->first[i] > from ? fit->first[i] : from; k < i; k++) {
            sum -= *cell(fit, i, k) * x[k];
        }
        x[i] = sum / *cell(fit, i, i);
    }
    for (uint32_t i = fit->n; i-- > 0;) {
        x[i] /= *cell(fit, i, i);
        for (uint32_t k = fit->first[i]; k < i; k++) {
            x[k] -= *cell(fit, i, k) * x[i];
        }
    }
}

static double log_likelihood(const struct fit *fit)
{
    double sum = 0;
    for (uint64_t e = 0; e < fit->n_edges; e++) {
        const struct edge *edge = &fit->edges[e];
        double x = fit->theta[edge->a] - fit->theta[edge->b];
        double points = edge_points(edge);
        /* log p = -log(1 + exp(-x)), log(1 - p) = log p - x, without overflow for large |x| */
        double log_p = x > 0 ? -log1p(exp(-x)) : x - log1p(exp(x));
        sum += edge_games(edge) * log_p - (edge_games(edge) - points) * x;
    }
    return sum;
}

/* Move by `share` of the step in x, back where share is negative. */
static void move(struct fit *fit, double share)
{
    for (uint32_t p = 0; p < fit->n_players; p++) {
        if (fit->row[p] != NONE) {
            fit->theta[p] += share * fit->x[fit->row[p]];
        }
    }
}

static int maximise(struct fit *fit)
{
    double likelihood = log_likelihood(fit);
    for (int iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
        double longest = 0;
        linearise(fit);
        int r = decompose(fit);
        if (r < 0) {
            return r;
        }
        solve(fit, fit->x, 0);
        for (uint32_t i = 0; i < fit->n; i++) {
            longest = fmax(longest, fabs(fit->x[i]));
        }
        double share = longest > LONGEST_STEP ? LONGEST_STEP / longest : 1;
        move(fit, share);
        double next = log_likelihood(fit);
        /* Far from the top a whole step may overshoot; the logarithm is concave, so some part of it climbs. */
        while (next < likelihood - 1e-9 * fabs(likelihood) && share > 1e-6) {
            move(fit, -share / 2);
            share /= 2;
            next = log_likelihood(fit);
        }
        likelihood = next;
        if (!(longest * share > CONVERGED)) {
            return isfinite(longest) ? 0 : ERROR_DIVERGED;
        }
    }
    return ERROR_DIVERGED;
}

/* var(theta_i) = h' M h with h the i-th column of the inverse curvature. */
static int find_errors(struct fit *fit, struct rating *ret)
{
    double pairs = 0;
    linearise(fit);
    int r = decompose(fit);
    for (uint64_t e = 0; e < fit->n_edges; e++) {
        pairs += edge_is_in(fit, &fit->edges[e]) ? edge_games(&fit->edges[e]) / 2 : 0;
    }
    double scale = pairs > fit->n ? pairs / (pairs - fit->n) : pairs;
    for (uint32_t p = 0; r == 0 && p < fit->n_players; p++) {
        if (fit->row[p] == NONE) {
            continue;
        }
        memset(fit->y, 0, fit->n * sizeof *fit->y);
        fit->y[fit->row[p]] = 1;
        solve(fit, fit->y, fit->row[p]);
        double variance = 0;
        for (uint64_t e = 0; e < fit->n_edges; e++) {
            const struct edge *edge = &fit->edges[e];
            if (!edge_is_in(fit, edge)) {
                continue;
            }
            double h =
                (edge->i != NONE ? fit->y[edge->i] : 0) - (edge->j != NONE ? fit->y[edge->j] : 0);
            variance += h * h * edge_variance(edge, expectation(fit, edge));
        }
        ret[p].error = ELO_PER_UNIT * sqrt(scale * variance);
    }
    return r;
}

static int fit_all(struct fit *fit, const struct rating_match *matches, uint64_t n_matches)
{
    fit->row = calloc(fit->n_players, sizeof *fit->row);
    fit->degree = calloc(fit->n_players, sizeof *fit->degree);
    fit->theta = calloc(fit->n_players, sizeof *fit->theta);
    if (fit->row == NULL || fit->degree == NULL || fit->theta == NULL) {
        return ERROR_NO_MEMORY;
    }
    int r = take_edges(fit, matches, n_matches);
    if (r < 0) {
        return r;
    }
    find_connected(fit);
    number_rows(fit);
    r = make_envelope(fit);
    return r < 0 ? r : maximise(fit);
}

int rating_fit(uint32_t n_players, uint32_t reference, const struct rating_match *matches,
               uint64_t n_matches, struct rating *ret)
{
    if (reference >= n_players) {
        return ERROR_INVALID;
    }
    struct fit fit = {.n_players = n_players, .reference = reference};
    int r = fit_all(&fit, matches, n_matches);
    if (r == 0) {
        for (uint32_t p = 0; p < n_players; p++) {
            bool rated = fit.row[p] != NONE || p == reference;
            ret[p] = (struct rating){
                .elo = rated ? ELO_PER_UNIT * fit.theta[p] : (double)NAN,
                .error = p == reference ? 0 : (double)NAN,
            };
        }
        for (uint64_t e = 0; e < fit.n_edges; e++) {
            uint64_t games = 2 * pentanomial_n(&fit.edges[e].result);
            ret[fit.edges[e].a].games += games;
            ret[fit.edges[e].b].games += games;
        }
        r = find_errors(&fit, ret);
    }
    fit_finish(&fit);
    return r;
}

struct rating rating_of_match(const struct pentanomial *result)
{
    const struct edge edge = {.b = 1, .result = *result};
    double p = edge_points(&edge) / edge_games(&edge);
    double pairs = edge_games(&edge) / 2;
    double scale = pairs > 1 ? pairs / (pairs - 1) : pairs;
    double curvature = edge_games(&edge) * p * (1 - p);
    return (struct rating){.elo = ELO_PER_UNIT * log(p / (1 - p)),
                           .error =
                               ELO_PER_UNIT * sqrt(scale * edge_variance(&edge, p)) / curvature,
                           .games = 2 * pentanomial_n(result)};
}
