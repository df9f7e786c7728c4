#include "tests/unit/reference_puct.h"

#include "mcts/random.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct node {
    int visits;
    double value_sum; /* for the side to move here */
    double draw_sum;
    struct evaluation net; /* priors unused */
    bool over;
    bool certain; /* over, or proven */
    int certain_value;
    uint32_t n_actions;
    uint16_t actions[9];
    float priors[9]; /* of the net */
    float noisy[9];  /* what selection uses: with noise at the root, else the same */
    struct node *children[9];
};

struct reference {
    const struct game *game;
    struct search_params params;
    made_up_net net;
    union game_state state;
    uint64_t seed;
    uint32_t ply;
    struct node *root;
};

static struct node *node_create(void)
{
    struct node *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        abort();
    }
    return node;
}

static void node_destroy(struct node *node)
{
    for (uint32_t i = 0; i < node->n_actions; i++) {
        node_destroy(node->children[i]);
    }
    free(node);
}

static void set_noise(struct reference *reference)
{
    struct node *root = reference->root;
    double noise[9];
    memcpy(root->noisy, root->priors, sizeof(root->noisy));
    if (reference->params.noise_share > 0.0F) {
        double share = (double)reference->params.noise_share;
        random_dirichlet(reference->seed, reference->ply,
                         (double)reference->params.noise_alpha / root->n_actions, root->n_actions,
                         noise);
        for (uint32_t i = 0; i < root->n_actions; i++) {
            root->noisy[i] = (float)((1.0 - share) * (double)root->priors[i] + share * noise[i]);
        }
    }
}

/* First visit: the game's result or the net's word. */
static void open_node(struct reference *reference, struct node *node, const void *state)
{
    const struct game *game = reference->game;
    if (game->over(state, &node->certain_value)) {
        node->over = true;
        node->certain = true;
        return;
    }
    node->n_actions = game->legal(state, node->actions);
    struct search_leaf leaf = {state, node->n_actions, node->actions};
    reference->net(game, &leaf, node->priors, &node->net);
    memcpy(node->noisy, node->priors, sizeof(node->noisy));
    for (uint32_t i = 0; i < node->n_actions; i++) {
        node->children[i] = node_create();
    }
    if (node == reference->root) {
        set_noise(reference);
    }
}

/* Value of a visited child for its parent's mover. */
static double value_of(const struct node *child)
{
    return child->certain ? -child->certain_value : -child->value_sum / child->visits;
}

static uint32_t choose(const struct reference *reference, const struct node *node)
{
    const struct search_params *params = &reference->params;
    double visited = 0.0;
    double best_score = -HUGE_VAL;
    uint32_t best = 0;

    for (uint32_t i = 0; i < node->n_actions; i++) {
        if (node->children[i]->visits > 0) {
            visited += (double)node->noisy[i];
        }
    }
    double reduction =
        (double)(node == reference->root ? params->fpu_reduction_root : params->fpu_reduction);
    double unvisited = node->value_sum / node->visits - reduction * sqrt(visited);
    for (uint32_t i = 0; i < node->n_actions; i++) {
        const struct node *child = node->children[i];
        if (params->solver && child->certain && child->certain_value == 1) {
            continue; /* proven to lose */
        }
        double score = child->visits > 0 ? value_of(child) : unvisited;
        score += (double)params->cpuct * (double)node->noisy[i] * sqrt(node->visits) /
                 (1 + child->visits);
        if (score > best_score) {
            best_score = score;
            best = i;
        }
    }
    return best;
}

/* Rule 4: one lost child wins, all certain gives the best of them. */
static void look_for_proof(struct node *node)
{
    int best = -1;
    bool all = true;
    for (uint32_t i = 0; i < node->n_actions; i++) {
        const struct node *child = node->children[i];
        all = all && child->certain;
        if (child->certain && -child->certain_value > best) {
            best = -child->certain_value;
        }
    }
    if (best == 1 || all) {
        node->certain = true;
        node->certain_value = best;
    }
}

/* One visit; returns the value for the side to move at `node`, *ret_d its draw probability. */
static double visit(struct reference *reference, struct node *node, const void *state,
                    double *ret_d)
{
    double v;
    if (node->visits == 0) {
        open_node(reference, node, state);
        v = (double)node->net.v;
        *ret_d = (double)node->net.d;
    } else if (!node->certain) {
        union game_state next;
        uint32_t i = choose(reference, node);
        memcpy(&next, state, reference->game->state_bytes);
        reference->game->play(&next, node->actions[i]);
        v = -visit(reference, node->children[i], &next, ret_d);
        if (reference->params.solver) {
            look_for_proof(node);
        }
    }
    if (node->certain) {
        v = node->certain_value;
        *ret_d = node->certain_value == 0 ? 1.0 : 0.0;
    }
    node->visits++;
    node->value_sum += v;
    node->draw_sum += *ret_d;
    return v;
}

struct reference *reference_create(const struct game *game, const struct search_params *params,
                                   made_up_net net, const void *state, uint64_t seed, uint32_t ply)
{
    struct reference *reference = calloc(1, sizeof(*reference));
    ck_assert_ptr_nonnull(reference);
    *reference =
        (struct reference){.game = game, .params = *params, .net = net, .seed = seed, .ply = ply};
    memcpy(&reference->state, state, game->state_bytes);
    reference->root = node_create();
    return reference;
}

void reference_destroy(struct reference *reference)
{
    node_destroy(reference->root);
    free(reference);
}

void reference_advance(struct reference *reference, uint16_t action, uint64_t seed, uint32_t ply)
{
    struct node *old = reference->root;
    for (uint32_t i = 0; i < old->n_actions; i++) {
        if (old->actions[i] == action) {
            reference->root = old->children[i];
            old->children[i] = node_create();
        }
    }
    ck_assert_ptr_ne(reference->root, old);
    node_destroy(old);
    reference->game->play(&reference->state, action);
    reference->seed = seed;
    reference->ply = ply;
    set_noise(reference);
}

/* Policy target of rule 4. */
static void targets(const struct reference *reference, const struct node *node, int *ret)
{
    bool winner = false;
    bool all_lose = true;
    for (uint32_t i = 0; i < node->n_actions; i++) {
        const struct node *child = node->children[i];
        winner = winner || (child->certain && child->certain_value == -1);
        all_lose = all_lose && child->certain && child->certain_value == 1;
    }
    int sum = 0;
    for (uint32_t i = 0; i < node->n_actions; i++) {
        const struct node *child = node->children[i];
        bool wins = child->certain && child->certain_value == -1;
        bool loses = child->certain && child->certain_value == 1;
        ret[i] = child->visits;
        if (reference->params.solver && ((winner && !wins) || (loses && !all_lose))) {
            ret[i] = 0;
        }
        sum += ret[i];
    }
    if (sum == 0) { /* only losing moves were visited */
        for (uint32_t i = 0; i < node->n_actions; i++) {
            ret[i] = node->children[i]->visits == 0;
        }
    }
}

/* Rule 3. Unvisited children all count the same, below any that is visited: they only meet each
 * other here. */
static uint32_t best_of(const struct reference *reference, const struct node *node)
{
    int visits[9];
    uint32_t best = 0;
    targets(reference, node, visits);
    for (uint32_t i = 1; i < node->n_actions; i++) {
        const struct node *child = node->children[i];
        const struct node *leader = node->children[best];
        if (visits[i] > visits[best] ||
            (visits[i] == visits[best] && child->visits > 0 && leader->visits > 0 &&
             value_of(child) > value_of(leader))) {
            best = i;
        }
    }
    return best;
}

static double greedy(const struct reference *reference, const struct node *node, double *ret_d)
{
    if (node->certain) {
        *ret_d = node->certain_value == 0 ? 1.0 : 0.0;
        return node->certain_value;
    }
    const struct node *child = node->children[best_of(reference, node)];
    if (child->visits < 8) {
        *ret_d = (double)node->net.d;
        return (double)node->net.v;
    }
    return -greedy(reference, child, ret_d);
}

static void report(const struct reference *reference, struct search_result *ret)
{
    const struct node *root = reference->root;
    int visits[9];
    double sum = 0.0;
    double kld = 0.0;
    double greedy_d;

    targets(reference, root, visits);
    uint32_t best = best_of(reference, root);
    const struct node *chosen = root->children[best];
    double draw = root->certain_value == 0 ? 1.0 : 0.0;
    double chosen_draw = chosen->certain      ? (chosen->certain_value == 0 ? 1.0 : 0.0)
                         : chosen->visits > 0 ? chosen->draw_sum / chosen->visits
                                              : (double)NAN;
    ret->nodes = (uint32_t)root->visits;
    ret->proven = root->certain;
    ret->proven_value = (int8_t)(root->certain ? root->certain_value : 0);
    ret->q = (float)(root->certain ? root->certain_value : root->value_sum / root->visits);
    ret->d = (float)(root->certain ? draw : root->draw_sum / root->visits);
    ret->best_action = root->actions[best];
    ret->best_q = (float)(chosen->visits > 0 ? value_of(chosen) : (double)NAN);
    ret->best_d = (float)chosen_draw;
    ret->greedy_q = (float)greedy(reference, root, &greedy_d);
    ret->greedy_d = (float)greedy_d;
    ret->v = root->net.v;
    ret->v_d = root->net.d;
    ret->m = root->net.m;
    ret->n_moves = root->n_actions;
    for (uint32_t i = 0; i < root->n_actions; i++) {
        const struct node *child = root->children[i];
        ret->moves[i].action = root->actions[i];
        ret->moves[i].visits = (uint32_t)visits[i];
        ret->moves[i].n = (uint32_t)child->visits;
        ret->moves[i].prior = root->priors[i];
        ret->moves[i].proven = reference->params.solver && child->certain;
        sum += visits[i];
    }
    for (uint32_t i = 0; i < root->n_actions; i++) {
        double share = visits[i] / sum;
        kld += share > 0.0 ? share * log(share / (double)root->priors[i]) : 0.0;
    }
    ret->kld = (float)kld;
}

void reference_run(struct reference *reference, struct search_result *ret)
{
    struct node *root = reference->root;
    double d;
    while (root->visits < (int)reference->params.nodes && !root->certain) {
        (void)visit(reference, root, &reference->state, &d);
    }
    report(reference, ret);
}
