#include "mcts/tree.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_CAPACITY = 1024 };

void tree_init(struct tree *tree)
{
    *tree = (struct tree){0};
}

void tree_finish(struct tree *tree)
{
    free(tree->q);
    free(tree->prior);
    free(tree->n);
    free(tree->action);
    free(tree->node);
    *tree = (struct tree){0};
}

/* Grow one array. Those that grew before a failure stay longer than `capacity` says, which is
 * harmless. */
static bool grow(void *array_pointer, uint32_t capacity, size_t element_bytes)
{
    void *array;
    memcpy(&array, array_pointer, sizeof(array));
    array = realloc(array, (size_t)capacity * element_bytes);
    if (array == NULL) {
        return false;
    }
    memcpy(array_pointer, &array, sizeof(array));
    return true;
}

bool tree_reserve(struct tree *tree, uint32_t n)
{
    if (n <= tree->capacity - tree->n_nodes) {
        return true;
    }
    if (tree->n_nodes > UINT32_MAX / 4 || n > UINT32_MAX / 4) {
        return false; /* doubling must not overflow */
    }
    uint32_t capacity = tree->capacity > 0 ? tree->capacity : MIN_CAPACITY;
    while (capacity < tree->n_nodes + n) {
        capacity *= 2;
    }
    if (!grow(&tree->q, capacity, sizeof(*tree->q)) ||
        !grow(&tree->prior, capacity, sizeof(*tree->prior)) ||
        !grow(&tree->n, capacity, sizeof(*tree->n)) ||
        !grow(&tree->action, capacity, sizeof(*tree->action)) ||
        !grow(&tree->node, capacity, sizeof(*tree->node))) {
        return false;
    }
    tree->capacity = capacity;
    return true;
}

size_t tree_bytes(const struct tree *tree)
{
    return tree->capacity * (sizeof(*tree->q) + sizeof(*tree->prior) + sizeof(*tree->n) +
                             sizeof(*tree->action) + sizeof(*tree->node));
}

void tree_reset(struct tree *tree)
{
    tree->n_nodes = 1;
    tree->q[0] = 0.0;
    tree->prior[0] = 1.0F;
    tree->n[0] = 0;
    tree->action[0] = 0;
}

void tree_expand(struct tree *tree, uint32_t node, const struct evaluation *evaluation,
                 const uint16_t *actions)
{
    uint32_t first = tree->n_nodes;
    uint32_t n = evaluation->n_priors;

    tree->node[node] = (struct tree_node){
        .own_v = evaluation->v,
        .own_d = evaluation->d,
        .own_m = evaluation->m,
        .first_child = first,
        .n_children = (uint16_t)n,
        .exact = TREE_OPEN,
    };
    for (uint32_t i = 0; i < n; i++) {
        tree->q[first + i] = 0.0;
        tree->prior[first + i] = evaluation->priors[i];
        tree->n[first + i] = 0;
        tree->action[first + i] = actions[i];
    }
    tree->n_nodes += n;
}

void tree_end(struct tree *tree, uint32_t node, int value)
{
    tree->node[node] = (struct tree_node){
        .own_v = (float)value,
        .own_d = value == 0 ? 1.0F : 0.0F,
        .exact = (uint8_t)(TREE_DRAW + value),
    };
}

static void copy_block(struct tree *to, const struct tree *from, uint32_t first, uint32_t n)
{
    uint32_t to_first = to->n_nodes;
    memcpy(to->q + to_first, from->q + first, n * sizeof(*to->q));
    memcpy(to->prior + to_first, from->prior + first, n * sizeof(*to->prior));
    memcpy(to->n + to_first, from->n + first, n * sizeof(*to->n));
    memcpy(to->action + to_first, from->action + first, n * sizeof(*to->action));
    for (uint32_t i = 0; i < n; i++) {
        if (from->n[first + i] > 0) {
            to->node[to_first + i] = from->node[first + i];
        }
    }
    to->n_nodes += n;
}

bool tree_copy_subtree(struct tree *to, const struct tree *from, uint32_t node)
{
    to->n_nodes = 0;
    if (!tree_reserve(to, from->n_nodes)) {
        return false;
    }
    /* Breadth first: the new arena is its own queue. first_child of a copied node still speaks of
     * *from until its turn comes. */
    copy_block(to, from, node, 1);
    for (uint32_t i = 0; i < to->n_nodes; i++) {
        if (to->n[i] > 0 && to->node[i].n_children > 0) {
            uint32_t first = to->n_nodes;
            copy_block(to, from, to->node[i].first_child, to->node[i].n_children);
            to->node[i].first_child = first;
        }
    }
    return true;
}

void tree_sum_visited_prior(struct tree *tree, uint32_t node)
{
    struct tree_node *s = &tree->node[node];
    s->visited_prior = 0.0;
    for (uint32_t child = s->first_child; child < s->first_child + s->n_children; child++) {
        if (tree->n[child] > 0) {
            s->visited_prior += (double)tree->prior[child];
        }
    }
}

enum tree_exact tree_prove(const struct tree *tree, uint32_t node, uint32_t child)
{
    const struct tree_node *s = &tree->node[node];
    enum tree_exact best = TREE_LOSS;

    if (tree->node[child].exact == TREE_LOSS) {
        return TREE_WIN;
    }
    for (uint32_t c = s->first_child; c < s->first_child + s->n_children; c++) {
        if (tree->n[c] == 0 || tree->node[c].exact == TREE_OPEN) {
            return TREE_OPEN;
        }
        if (tree->node[c].exact == TREE_DRAW) {
            best = TREE_DRAW;
        }
    }
    return best;
}
