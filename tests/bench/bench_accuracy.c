/* How far a kernel is from the definition of the net's function, on a net's own positions: random play from the start,
 * n positions, evaluated by reference.c in double and by the kernel.
 *     bench_accuracy NET.safetensors [POSITIONS]
 * Prints mean and greatest difference of v and of the draw probability, mean and greatest KL divergence of the policy
 * over legal moves in nats, and how often the best move is the same. QZD_KERNEL and QZD_PRECISION choose the kernel. */
#include "mcts/random.h"
#include "trainer/net/evaluator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct sums {
    double v, v_max, d, d_max, kl, kl_max;
    long same, n;
};

static void softmax(const float *logits, const uint16_t *index, uint32_t n, double *ret)
{
    double max = -INFINITY;
    double sum = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        max = fmax(max, (double)logits[index[i]]);
    }
    for (uint32_t i = 0; i < n; i++) {
        ret[i] = exp((double)logits[index[i]] - max);
        sum += ret[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        ret[i] /= sum;
    }
}

static uint32_t best(const double *p, uint32_t n)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < n; i++) {
        at = p[i] > p[at] ? i : at;
    }
    return at;
}

static void add(struct sums *sums, const double *p, const double *q, uint32_t n, double v, double d)
{
    double kl = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        kl += p[i] > 0.0 ? p[i] * log(p[i] / fmax(q[i], 1e-300)) : 0.0;
    }
    sums->v += v;
    sums->d += d;
    sums->kl += kl;
    sums->v_max = fmax(sums->v_max, v);
    sums->d_max = fmax(sums->d_max, d);
    sums->kl_max = fmax(sums->kl_max, kl);
    sums->same += best(p, n) == best(q, n);
    sums->n++;
}

static double value(const float *out, uint32_t n)
{
    return n == 1 ? (double)out[0] : (double)out[0] - (double)out[2];
}

/* One position through both. */
static int compare(const struct game *game, const struct net *net, struct inference *inference,
                   const void *state, const uint16_t *legal, uint32_t n, struct sums *sums)
{
    static float planes[1024 * 64];
    static float slow[GAME_MAX_POLICY];
    static float fast[GAME_MAX_POLICY];
    float slow_value[3];
    float fast_value[3];
    uint16_t index[GAME_MAX_LEGAL];
    double p[GAME_MAX_LEGAL];
    double q[GAME_MAX_LEGAL];
    struct error err;
    uint32_t outputs = net_value_outputs(&net->arch);
    for (uint32_t i = 0; i < n; i++) {
        index[i] = (uint16_t)game->policy_index(state, legal[i]);
    }
    struct inference_wanted wanted = {n, index};
    game->planes(state, planes);
    if (reference_run(net, planes, 1, slow, slow_value, &err) < 0) {
        return -1;
    }
    inference_run(inference, planes, 1, &wanted, fast, fast_value);
    softmax(slow, index, n, p);
    softmax(fast, index, n, q);
    add(sums, p, q, n, fabs(value(slow_value, outputs) - value(fast_value, outputs)),
        outputs == 1 ? 0.0 : fabs((double)slow_value[1] - (double)fast_value[1]));
    return 0;
}

int main(int argc, char **argv)
{
    struct error err;
    struct net *net = NULL;
    struct inference *inference = NULL;
    struct sums sums = {0};
    union game_state state;
    const char *why;
    long n = argc > 2 ? strtol(argv[2], NULL, 10) : 1000;
    if (argc < 2 || net_load(argv[1], &net, NULL, &err) < 0 ||
        inference_create(net, 1, &inference, &err) < 0) {
        fprintf(stderr, "%s\n", argc < 2 ? "which net?" : err.text);
        return 1;
    }
    const struct game *game = game_find(net->arch.game);
    if (game == NULL || !game->init(&state, "", &why)) {
        return 1;
    }
    for (uint64_t i = 0; sums.n < n; i++) {
        uint16_t legal[GAME_MAX_LEGAL];
        uint32_t n_legal = game->legal(&state, legal);
        if (n_legal == 0) {
            (void)game->init(&state, "", &why);
            continue;
        }
        if (compare(game, net, inference, &state, legal, n_legal, &sums) < 0) {
            return 1;
        }
        game->play(&state, legal[random_u64(1, 0, RANDOM_TEST, i) % n_legal]);
    }
    printf("{\"bench\": \"accuracy\", \"kernel\": \"%s\", \"positions\": %ld, \"v_mean\": %.3g, "
           "\"v_max\": %.3g, "
           "\"d_mean\": %.3g, \"d_max\": %.3g, \"policy_kl_mean\": %.3g, \"policy_kl_max\": %.3g, "
           "\"same_best_move\": %.5f}\n",
           inference_kernel(), sums.n, sums.v / (double)sums.n, sums.v_max, sums.d / (double)sums.n,
           sums.d_max, sums.kl / (double)sums.n, sums.kl_max, (double)sums.same / (double)sums.n);
    inference_destroy(inference);
    net_destroy(net);
    return 0;
}
