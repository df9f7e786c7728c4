/* How a search goes on (numbers are the design's rules).
 *
 *     search_next:   from the root down, at each node to the child of the highest score, until a node
 *                    without visits, or one whose value is certain.
 *                      certain:    back its value up, start again
 *                      game over:  it becomes certain, likewise
 *                      else:       stop, ask for its evaluation
 *     search_apply:  give that node children and back the evaluation up
 *
 * Proofs (rule 4). A node is proven won when a child is lost for the child's mover, lost when all
 * children are won for theirs, drawn when all are certain and the best is a draw. A visit that ends
 * in something newly certain looks for that at each node on its way up.
 *   - From the moment of its proof on, that visit included, a node backs up its exact value, 0 or 1
 *     as its draw probability, and is never descended below again.
 *   - A child that is won for its mover gets q = -infinity, so it is never chosen any more; an unproven
 *     node has a child that is not. A drawn child has q = 0 and is visited if that is the best to be
 *     had: its visits are the policy's.
 *   - Sums are not rewritten: w/n of a node above a proof is still the mean of its visits, and so is
 *     the root's q unless the root itself is proven, whereupon the search ends. */
#include "mcts/search.h"

#include "mcts/numeric.h"
#include "mcts/random.h"
#include "mcts/tree.h"

#include <assert.h>
#include <math.h> /* INFINITY only */
#include <stdlib.h>
#include <string.h>

enum { ROOT = 0, GREEDY_MIN_VISITS = 8 };

/* A net that gives a searched move no chance at all must not make kld infinite. */
static const double kld_min_prior = 1e-10;

const struct search_params search_params_default = {
    .nodes = 800,
    .cpuct = 1.5F,
    .fpu_reduction = 0.2F,
    .fpu_reduction_root = 0.0F,
    .noise_alpha = 10.0F,
    .noise_share = 0.25F,
    .solver = true,
};

const struct temperature_params temperature_params_default = {
    .start = 1.0F,
    .half_life = 10.0F,
    .floor = 0.2F,
};

struct search {
    const struct game *game;
    struct search_params params;
    uint64_t seed;
    uint32_t ply;

    struct tree tree;
    struct tree spare; /* where search_advance() copies the subtree to; empty until then */

    /* The way from the root to the node at hand; max_plies + 1 entries. */
    uint32_t *path;
    uint32_t depth;

    bool waiting; /* for the evaluation of the end of the path */
    uint32_t n_legal;
    uint16_t legal[GAME_MAX_LEGAL];
    float root_priors[GAME_MAX_LEGAL]; /* without noise */
    union game_state root_state;
    union game_state leaf_state;
};

struct search *search_create(const struct game *game)
{
    struct search *search = calloc(1, sizeof(*search));
    if (search == NULL) {
        return NULL;
    }
    search->game = game;
    tree_init(&search->tree);
    tree_init(&search->spare);
    search->path = calloc(game->max_plies + 1, sizeof(*search->path));
    if (search->path == NULL || !tree_reserve(&search->tree, 1)) {
        search_destroy(search);
        return NULL;
    }
    tree_reset(&search->tree);
    return search;
}

void search_destroy(struct search *search)
{
    if (search != NULL) {
        tree_finish(&search->tree);
        tree_finish(&search->spare);
        free(search->path);
        free(search);
    }
}

size_t search_bytes(const struct search *search)
{
    return sizeof(*search) + (search->game->max_plies + 1) * sizeof(*search->path) +
           tree_bytes(&search->tree) + tree_bytes(&search->spare);
}

static void set_circumstances(struct search *search, const struct search_params *params,
                              uint64_t seed, uint32_t ply)
{
    assert(params->nodes >= 2);
    search->params = *params;
    search->seed = seed;
    search->ply = ply;
    search->waiting = false;
}

void search_begin(struct search *search, const struct search_params *params, const void *state,
                  uint64_t seed, uint32_t ply)
{
    set_circumstances(search, params, seed, ply);
    memcpy(search->root_state.bytes, state, search->game->state_bytes);
    tree_reset(&search->tree);
}

/* The root's priors as the net gave them are put aside; the tree's get their noise. */
static void prepare_root(struct search *search)
{
    struct tree *tree = &search->tree;
    uint32_t first = tree->node[ROOT].first_child;
    uint32_t n = tree->node[ROOT].n_children;
    double noise[GAME_MAX_LEGAL];

    memcpy(search->root_priors, tree->prior + first, n * sizeof(*tree->prior));
    if (search->params.noise_share > 0.0F) {
        double share = (double)search->params.noise_share;
        random_dirichlet(search->seed, search->ply, (double)search->params.noise_alpha / n, n,
                         noise);
        for (uint32_t i = 0; i < n; i++) {
            double prior = (double)search->root_priors[i];
            tree->prior[first + i] = (float)((1.0 - share) * prior + share * noise[i]);
        }
    }
    tree_sum_visited_prior(tree, ROOT);
}

bool search_advance(struct search *search, const struct search_params *params, uint16_t action,
                    uint64_t seed, uint32_t ply)
{
    struct tree *tree = &search->tree;
    uint32_t child;

    if (tree->n[ROOT] == 0 || params->solver != search->params.solver) {
        return false; /* proofs and masks of one solver setting mean nothing under the other */
    }
    uint32_t end = tree->node[ROOT].first_child + tree->node[ROOT].n_children;
    for (child = tree->node[ROOT].first_child; child < end; child++) {
        if (tree->action[child] == action) {
            break;
        }
    }
    if (child == end || tree->n[child] == 0 || tree->node[child].n_children == 0) {
        return false;
    }
    if (!tree_copy_subtree(&search->spare, tree, child)) {
        return false;
    }
    struct tree old = search->tree;
    search->tree = search->spare;
    search->spare = old;
    search->game->play(search->root_state.bytes, action);
    set_circumstances(search, params, seed, ply);
    prepare_root(search);
    return true;
}

/* What a child without visits counts as, to a node with some (first-play urgency). */
static double unvisited_value(const struct search *search, uint32_t node)
{
    const struct tree_node *s = &search->tree.node[node];
    float reduction =
        node == ROOT ? search->params.fpu_reduction_root : search->params.fpu_reduction;
    return s->w / search->tree.n[node] - (double)reduction * numeric_sqrt(s->visited_prior);
}

static uint32_t select_child(const struct search *search, uint32_t node)
{
    const struct tree *tree = &search->tree;
    const uint32_t first = tree->node[node].first_child;
    const uint32_t n_children = tree->node[node].n_children;
    const double *restrict q = tree->q + first;
    const float *restrict prior = tree->prior + first;
    const uint32_t *restrict n = tree->n + first;
    const double unvisited = unvisited_value(search, node);
    const double c = (double)search->params.cpuct * numeric_sqrt(tree->n[node]);
    double scores[GAME_MAX_LEGAL];

    for (uint32_t i = 0; i < n_children; i++) {
        double value = n[i] > 0 ? q[i] : unvisited;
        scores[i] = value + c * (double)prior[i] / (1.0 + (double)(int32_t)n[i]);
    }
    uint32_t best = 0;
    for (uint32_t i = 1; i < n_children; i++) {
        best = scores[i] > scores[best] ? i : best;
    }
    return first + best;
}

/* From the root to a node without visits or with a certain value; fills path and leaf_state. */
static uint32_t descend(struct search *search)
{
    const struct game *game = search->game;
    const struct tree *tree = &search->tree;
    uint32_t node = ROOT;

    memcpy(search->leaf_state.bytes, search->root_state.bytes, game->state_bytes);
    search->path[0] = node;
    search->depth = 1;
    while (tree->n[node] > 0 && tree->node[node].exact == TREE_OPEN) {
        node = select_child(search, node);
        game->play(search->leaf_state.bytes, tree->action[node]);
        search->path[search->depth++] = node;
    }
    return node;
}

/* Add v and d to all nodes of the path. `fresh`: the end of the path has just become certain. */
static void back_up(struct search *search, double v, double d, bool fresh)
{
    struct tree *tree = &search->tree;
    const bool solver = search->params.solver;

    for (uint32_t i = search->depth; i-- > 0;) {
        uint32_t node = search->path[i];
        struct tree_node *s = &tree->node[node];

        if (solver && fresh && i + 1 < search->depth) {
            s->exact = (uint8_t)tree_prove(tree, node, search->path[i + 1]);
            fresh = s->exact != TREE_OPEN;
            if (fresh) {
                v = tree_exact_value(s->exact);
                d = s->exact == TREE_DRAW ? 1.0 : 0.0;
            }
        }
        s->w += v;
        s->d += d;
        if (++tree->n[node] == 1 && i > 0) {
            tree->node[search->path[i - 1]].visited_prior += (double)tree->prior[node];
        }
        if (s->exact == TREE_OPEN) {
            tree->q[node] = -s->w / tree->n[node];
        } else if (solver && s->exact == TREE_WIN) {
            tree->q[node] = -INFINITY;
        } else {
            tree->q[node] = -tree_exact_value(s->exact);
        }
        v = -v;
    }
}

static bool is_finished(const struct search *search)
{
    const struct tree *tree = &search->tree;
    return tree->n[ROOT] > 0 &&
           (tree->n[ROOT] >= search->params.nodes || tree->node[ROOT].exact != TREE_OPEN);
}

enum search_status search_next(struct search *search, struct search_leaf *ret_leaf)
{
    const struct game *game = search->game;
    struct tree *tree = &search->tree;

    while (!search->waiting) {
        if (is_finished(search)) {
            return SEARCH_DONE;
        }
        uint32_t node = descend(search);
        bool fresh = tree->n[node] == 0;
        if (fresh) {
            int value = 0;
            search->n_legal = game->legal(search->leaf_state.bytes, search->legal);
            if (search->n_legal > 0) {
                /* Room for the children now: search_apply() must not fail. */
                if (!tree_reserve(tree, search->n_legal)) {
                    return SEARCH_NO_MEMORY;
                }
                search->waiting = true;
                break;
            }
            bool over = game->over(search->leaf_state.bytes, &value);
            assert(over && node != ROOT);
            (void)over;
            tree_end(tree, node, value);
        }
        enum tree_exact exact = tree->node[node].exact;
        back_up(search, tree_exact_value(exact), exact == TREE_DRAW ? 1.0 : 0.0, fresh);
    }
    *ret_leaf = (struct search_leaf){search->leaf_state.bytes, search->n_legal, search->legal};
    return SEARCH_NEEDS_EVALUATION;
}

void search_apply(struct search *search, const struct evaluation *evaluation)
{
    uint32_t node = search->path[search->depth - 1];

    assert(search->waiting && evaluation->n_priors == search->n_legal);
    search->waiting = false;
    tree_expand(&search->tree, node, evaluation, search->legal);
    if (node == ROOT) {
        prepare_root(search);
    }
    back_up(search, (double)evaluation->v, (double)evaluation->d, false);
}

/* A child's value for its parent's mover. */
static double child_q(const struct search *search, uint32_t parent, uint32_t child)
{
    const struct tree *tree = &search->tree;
    if (tree->n[child] == 0) {
        double value = unvisited_value(search, parent);
        return value < -1.0 ? -1.0 : value;
    }
    const struct tree_node *s = &tree->node[child];
    return s->exact != TREE_OPEN ? -tree_exact_value(s->exact) : -s->w / tree->n[child];
}

static double child_d(const struct search *search, uint32_t parent, uint32_t child)
{
    const struct tree *tree = &search->tree;
    if (tree->n[child] == 0) {
        return tree->node[parent].d / tree->n[parent];
    }
    const struct tree_node *s = &tree->node[child];
    return s->exact != TREE_OPEN ? (s->exact == TREE_DRAW ? 1.0 : 0.0) : s->d / tree->n[child];
}

/* The policy target at a visited node (rule 4): visits, but if a child wins for certain, of such
 * children only, and else not of those that lose for certain, unless all do. If only losing moves
 * have been visited, each that is not known to lose counts as visited once. */
static void target_visits(const struct search *search, uint32_t node, uint32_t *ret_visits)
{
    const struct tree *tree = &search->tree;
    const struct tree_node *s = &tree->node[node];
    bool solver = search->params.solver;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < s->n_children; i++) {
        uint32_t child = s->first_child + i;
        uint32_t n = tree->n[child];
        enum tree_exact exact = n > 0 ? tree->node[child].exact : TREE_OPEN;
        bool counts = !solver || (s->exact == TREE_WIN    ? exact == TREE_LOSS
                                  : s->exact == TREE_LOSS ? true
                                                          : exact != TREE_WIN);
        ret_visits[i] = counts ? n : 0;
        sum += ret_visits[i];
    }
    for (uint32_t i = 0; sum == 0 && i < s->n_children; i++) {
        ret_visits[i] = tree->n[s->first_child + i] == 0 ? 1 : 0;
    }
}

/* Rule 3 at any visited node with children: most visits, then higher value, then lower action. */
static uint32_t best_child(const struct search *search, uint32_t node)
{
    const struct tree_node *s = &search->tree.node[node];
    uint32_t visits[GAME_MAX_LEGAL];
    uint32_t best = 0;

    target_visits(search, node, visits);
    for (uint32_t i = 1; i < s->n_children; i++) {
        if (visits[i] > visits[best] ||
            (visits[i] == visits[best] && child_q(search, node, s->first_child + i) >
                                              child_q(search, node, s->first_child + best))) {
            best = i;
        }
    }
    return s->first_child + best;
}

/* Rule 3: the end of the line of best moves that is backed by enough visits. own_v of a node where
 * the game is over is its result. */
static void find_greedy(const struct search *search, float *ret_q, float *ret_d)
{
    const struct tree *tree = &search->tree;
    uint32_t node = ROOT;
    float sign = 1.0F;

    while (tree->node[node].exact == TREE_OPEN) {
        uint32_t child = best_child(search, node);
        if (tree->n[child] < GREEDY_MIN_VISITS) {
            *ret_q = sign * tree->node[node].own_v;
            *ret_d = tree->node[node].own_d;
            return;
        }
        node = child;
        sign = -sign;
    }
    *ret_q = sign * (float)tree_exact_value(tree->node[node].exact);
    *ret_d = tree->node[node].exact == TREE_DRAW ? 1.0F : 0.0F;
}

static float divergence(const struct search_result *result)
{
    double sum = 0.0;
    double kld = 0.0;

    for (uint32_t i = 0; i < result->n_moves; i++) {
        sum += result->moves[i].visits;
    }
    for (uint32_t i = 0; i < result->n_moves; i++) {
        if (result->moves[i].visits > 0) {
            double share = result->moves[i].visits / sum;
            double prior = (double)result->moves[i].prior;
            prior = prior > kld_min_prior ? prior : kld_min_prior;
            kld += share * (numeric_log(share) - numeric_log(prior));
        }
    }
    return (float)kld;
}

static void list_moves(const struct search *search, struct search_result *ret)
{
    const struct tree *tree = &search->tree;
    uint32_t visits[GAME_MAX_LEGAL];

    ret->n_moves = tree->node[ROOT].n_children;
    target_visits(search, ROOT, visits);
    for (uint32_t i = 0; i < ret->n_moves; i++) {
        uint32_t child = tree->node[ROOT].first_child + i;
        bool visited = tree->n[child] > 0;
        ret->moves[i] = (struct search_move){
            .action = tree->action[child],
            .visits = visits[i],
            .n = tree->n[child],
            .prior = search->root_priors[i],
            .q = (float)child_q(search, ROOT, child),
            .d = (float)child_d(search, ROOT, child),
            .proven = search->params.solver && visited && tree->node[child].exact != TREE_OPEN,
        };
    }
}

void search_result(const struct search *search, struct search_result *ret)
{
    const struct tree *tree = &search->tree;
    const struct tree_node *root = &tree->node[ROOT];

    assert(is_finished(search));
    ret->nodes = tree->n[ROOT];
    ret->proven = root->exact != TREE_OPEN;
    ret->proven_value = 0;
    ret->q = (float)(root->w / ret->nodes);
    ret->d = (float)(root->d / ret->nodes);
    if (ret->proven) {
        ret->proven_value = (int8_t)tree_exact_value(root->exact);
        ret->q = ret->proven_value;
        ret->d = ret->proven_value == 0 ? 1.0F : 0.0F;
    }
    uint32_t best = best_child(search, ROOT);
    ret->best_action = tree->action[best];
    ret->best_q = (float)child_q(search, ROOT, best);
    ret->best_d = (float)child_d(search, ROOT, best);
    find_greedy(search, &ret->greedy_q, &ret->greedy_d);
    ret->v = root->own_v;
    ret->v_d = root->own_d;
    ret->m = root->own_m;
    list_moves(search, ret);
    ret->kld = divergence(ret);
}

uint32_t search_principal_variation(const struct search *search, uint16_t *ret_actions,
                                    uint32_t max)
{
    const struct tree *tree = &search->tree;
    uint32_t node = ROOT;
    uint32_t length = 0;

    while (length < max && tree->n[node] > 0 && tree->node[node].n_children > 0) {
        node = best_child(search, node);
        if (tree->n[node] == 0) {
            break;
        }
        ret_actions[length++] = tree->action[node];
    }
    return length;
}

uint32_t search_choose(const struct search_result *result, float tau, uint64_t seed, uint32_t ply)
{
    double weights[GAME_MAX_LEGAL];
    uint32_t most = 1;
    double sum = 0.0;
    uint32_t chosen = 0;

    for (uint32_t i = 0; i < result->n_moves; i++) {
        if (result->moves[i].action == result->best_action) {
            chosen = i;
        }
        most = result->moves[i].visits > most ? result->moves[i].visits : most;
    }
    if (tau <= 0.0F) {
        return chosen;
    }
    for (uint32_t i = 0; i < result->n_moves; i++) {
        uint32_t visits = result->moves[i].visits;
        double share = (double)visits / most; /* at most 1, so its power is too */
        weights[i] = visits > 0 ? numeric_exp(numeric_log(share) / (double)tau) : 0.0;
        sum += weights[i];
    }
    double left = sum * random_uniform(seed, ply, RANDOM_MOVE, 0);
    for (uint32_t i = 0; i < result->n_moves; i++) {
        if (weights[i] > 0.0) {
            chosen = i; /* the last one, should rounding leave anything over */
            if (left < weights[i]) {
                break;
            }
            left -= weights[i];
        }
    }
    return chosen;
}

float temperature_at(const struct temperature_params *params, uint32_t ply)
{
    double tau = (double)params->start * numeric_exp2(-(double)ply / (double)params->half_life);
    return tau > (double)params->floor ? (float)tau : params->floor;
}
