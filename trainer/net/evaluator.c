#include "trainer/net/evaluator.h"

#include "mcts/numeric.h"
#include "trainer/net/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct evaluator {
    const struct game *game;
    const struct kernel *kernel;
    struct precision_report precision; /* positions 0: not checked */
    struct inference *inference;
    uint32_t max_batch;
    uint32_t n_values;
    size_t planes_size, policy_size;
    float *planes, *policy, *value;
    float *priors;          /* [max_batch][max_legal] */
    union game_state *seen; /* [max_batch]: the canonical images, */
    uint16_t *legal,
        *index; /* [max_batch][max_legal]: their legal actions, and where the logits stand */
    struct inference_wanted *wanted; /* [max_batch] */
    float *by_action;                /* [n_actions]: priors of the canonical image's actions */
};

static int check_game(const struct game *game, const struct net *net, struct error *err)
{
    struct net_arch wanted = net->arch;
    int r = net_arch_for_game(&wanted, game, err);
    if (r == 0 && !net_arch_equal(&wanted, &net->arch)) {
        r = error_set(
            err, ERROR_INVALID,
            "the net is made for %.31s with %u planes of %ux%u and %u policy planes, the game "
            "is %s with %u of %ux%u and %u",
            net->arch.game, net->arch.n_planes, net->arch.height, net->arch.width,
            net->arch.policy_planes, game->name, game->n_planes, game->height, game->width,
            game->policy_planes);
    }
    return r;
}

int evaluator_create_on(const struct kernel *kernel, const struct game *game, const struct net *net,
                        uint32_t max_batch, struct evaluator **ret, struct error *err)
{
    struct inference *inference = NULL;
    struct evaluator *evaluator = NULL;
    int r = check_game(game, net, err);
    if (r < 0) {
        return r;
    }
    r = inference_create_on(kernel, net, max_batch, &inference, err);
    if (r < 0) {
        return r;
    }
    evaluator = calloc(1, sizeof *evaluator);
    if (evaluator == NULL) {
        inference_destroy(inference);
        return error_set(err, ERROR_NO_MEMORY, "no memory for an evaluator");
    }
    evaluator->game = game;
    evaluator->kernel = kernel;
    evaluator->inference = inference;
    evaluator->max_batch = max_batch;
    evaluator->n_values = net_value_outputs(&net->arch);
    evaluator->planes_size = (size_t)game->n_planes * game->height * game->width;
    evaluator->policy_size = net_policy_size(&net->arch);
    evaluator->planes = calloc(max_batch, evaluator->planes_size * sizeof(float));
    evaluator->policy = calloc(max_batch, evaluator->policy_size * sizeof(float));
    evaluator->value = calloc(max_batch, evaluator->n_values * sizeof(float));
    evaluator->priors = calloc(max_batch, game->max_legal * sizeof(float));
    evaluator->seen = calloc(max_batch, sizeof *evaluator->seen);
    evaluator->legal = calloc(max_batch, game->max_legal * sizeof(uint16_t));
    evaluator->index = calloc(max_batch, game->max_legal * sizeof(uint16_t));
    evaluator->wanted = calloc(max_batch, sizeof *evaluator->wanted);
    evaluator->by_action = calloc(game->n_actions, sizeof(float));
    if (evaluator->planes == NULL || evaluator->policy == NULL || evaluator->value == NULL ||
        evaluator->priors == NULL || evaluator->seen == NULL || evaluator->by_action == NULL ||
        evaluator->legal == NULL || evaluator->index == NULL || evaluator->wanted == NULL) {
        evaluator_destroy(evaluator);
        return error_set(err, ERROR_NO_MEMORY, "no memory for an evaluator of %u positions",
                         max_batch);
    }
    *ret = evaluator;
    return 0;
}

/* The net on a kernel of bf16, with the check's figures in it. */
static int create_checked(const struct kernel *kernel, const struct game *game,
                          const struct net *net, uint32_t max_batch, struct evaluator **ret,
                          struct error *err)
{
    struct evaluator *exact = NULL;
    struct evaluator *coarse = NULL;
    uint32_t batch = max_batch < PRECISION_GAMES ? PRECISION_GAMES : max_batch;
    int r = evaluator_create_on(kernel, game, net, batch, &coarse, err);
    if (r == 0) {
        r = evaluator_create_on(kernel_in_fp32(kernel), game, net, PRECISION_GAMES, &exact, err);
    }
    if (r == 0) {
        r = precision_compare(game, exact, coarse, &coarse->precision, err);
    }
    evaluator_destroy(exact);
    if (r < 0) {
        evaluator_destroy(coarse);
        return r;
    }
    *ret = coarse;
    return 0;
}

int evaluator_create(const struct game *game, const struct net *net, uint32_t max_batch,
                     struct evaluator **ret, struct error *err)
{
    const struct kernel *kernel = NULL;
    struct evaluator *checked = NULL;
    struct evaluator *exact = NULL;
    int r = kernel_choose(&kernel, err);
    if (r < 0) {
        return r;
    }
    if (kernel->precision == KERNEL_FP32) {
        return evaluator_create_on(kernel, game, net, max_batch, ret, err);
    }
    r = create_checked(kernel, game, net, max_batch, &checked, err);
    if (checked != NULL && !checked->precision.passed) {
        r = evaluator_create_on(kernel_in_fp32(kernel), game, net, max_batch, &exact, err);
        if (exact != NULL) {
            exact->precision = checked->precision;
        }
        evaluator_destroy(checked);
        checked = exact;
    }
    if (r == 0) {
        *ret = checked;
    }
    return r;
}

const char *evaluator_kernel(const struct evaluator *evaluator)
{
    return evaluator->kernel->id;
}

const struct precision_report *evaluator_precision(const struct evaluator *evaluator)
{
    return evaluator->precision.positions == 0 ? NULL : &evaluator->precision;
}

void evaluator_destroy(struct evaluator *evaluator)
{
    if (evaluator != NULL) {
        inference_destroy(evaluator->inference);
        free(evaluator->planes);
        free(evaluator->policy);
        free(evaluator->value);
        free(evaluator->priors);
        free(evaluator->seen);
        free(evaluator->legal);
        free(evaluator->index);
        free(evaluator->wanted);
        free(evaluator->by_action);
        free(evaluator);
    }
}

/* The logits of the canonical image's legal moves become probabilities, in place. In double and in
 * the image's own order of moves, so that a position and its mirror image get the same bits. */
static void softmax(float *x, uint32_t n)
{
    double max = -INFINITY;
    double sum = 0.0;
    double e[GAME_MAX_LEGAL];
    for (uint32_t i = 0; i < n; i++) {
        max = fmax(max, (double)x[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        e[i] = numeric_exp((double)x[i] - max);
        sum += e[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        x[i] = (float)(e[i] / sum);
    }
}

/* The legal actions of position i's canonical image, and where their logits stand. */
static void want(struct evaluator *evaluator, uint32_t i, const struct evaluator_request *request,
                 bool mirrored)
{
    const struct game *game = evaluator->game;
    uint16_t *legal = evaluator->legal + (size_t)i * game->max_legal;
    uint16_t *index = evaluator->index + (size_t)i * game->max_legal;
    if (mirrored) {
        (void)game->legal(&evaluator->seen[i], legal);
    } else {
        memcpy(legal, request->legal, request->n_legal * sizeof *legal);
    }
    for (uint32_t k = 0; k < request->n_legal; k++) {
        index[k] = (uint16_t)game->policy_index(&evaluator->seen[i], legal[k]);
    }
    evaluator->wanted[i] = (struct inference_wanted){request->n_legal, index};
}

/* Priors of the request's moves from the policy output for its canonical image. */
static void write_priors(struct evaluator *evaluator, uint32_t i,
                         const struct evaluator_request *request, bool mirrored, float *priors)
{
    const struct game *game = evaluator->game;
    const struct inference_wanted *wanted = &evaluator->wanted[i];
    const float *policy = evaluator->policy + i * evaluator->policy_size;
    const uint16_t *legal = evaluator->legal + (size_t)i * game->max_legal;
    for (uint32_t k = 0; k < wanted->n; k++) {
        priors[k] = policy[wanted->index[k]];
    }
    softmax(priors, wanted->n);
    if (mirrored) {
        for (uint32_t k = 0; k < wanted->n; k++) {
            evaluator->by_action[legal[k]] = priors[k];
        }
        for (uint32_t k = 0; k < wanted->n; k++) {
            priors[k] = evaluator->by_action[game->mirror_action(request->legal[k])];
        }
    }
}

static void write_value(const float *value, uint32_t n_values, struct evaluation *ret)
{
    if (n_values == 1) {
        ret->v = value[0];
        ret->d = 0.0F;
    } else {
        ret->v = value[0] - value[2];
        ret->d = fminf(value[1], 1.0F - fabsf(ret->v)); /* in spite of rounding */
    }
    ret->m = NAN;
}

void evaluator_run(struct evaluator *evaluator, const struct evaluator_request *requests,
                   uint32_t n, struct evaluation *ret)
{
    const struct game *game = evaluator->game;
    for (uint32_t i = 0; i < n; i++) {
        const void *state = requests[i].state;
        bool mirrored = !game->is_canonical(state);
        if (mirrored) {
            game->mirror(state, &evaluator->seen[i]);
        } else {
            memcpy(&evaluator->seen[i], state, game->state_bytes);
        }
        want(evaluator, i, &requests[i], mirrored);
        game->planes(&evaluator->seen[i], evaluator->planes + i * evaluator->planes_size);
    }
    inference_run(evaluator->inference, evaluator->planes, n, evaluator->wanted, evaluator->policy,
                  evaluator->value);
    for (uint32_t i = 0; i < n; i++) {
        float *priors = evaluator->priors + (size_t)i * game->max_legal;
        write_priors(evaluator, i, &requests[i], !game->is_canonical(requests[i].state), priors);
        write_value(evaluator->value + (size_t)i * evaluator->n_values, evaluator->n_values,
                    &ret[i]);
        ret[i].n_priors = requests[i].n_legal;
        ret[i].priors = priors;
    }
}

void evaluation_uniform(uint32_t n_legal, float *priors, struct evaluation *ret)
{
    for (uint32_t i = 0; i < n_legal; i++) {
        priors[i] = 1.0F / (float)n_legal;
    }
    *ret =
        (struct evaluation){.v = 0.0F, .d = 0.0F, .m = NAN, .n_priors = n_legal, .priors = priors};
}
