/* The nodes of one search tree, in one arena that grows; a node is an index, never a pointer, since
 * the arena may move. The root is node 0. All children of a node are made at once, when it is
 * evaluated, and stand side by side in ascending order of action, so that choosing among them runs
 * along three short arrays:
 *
 *     nodes    0 |  1  2  3  4  5  6  7 |  8  9 10 11 12 13 14 | 15 ...
 *     q        . |  children of the root|  children of node 3  |
 *     prior      |                      |                      |
 *     n          |                      |                      |
 *     rest     first_child, w, d, ...: only of nodes with n > 0; unset before
 *
 * Values are from the view of the side to move at the node, but for q, which is the node's value for
 * its parent's mover: what the parent compares. */
#ifndef MCTS_TREE_H
#define MCTS_TREE_H

#include "mcts/evaluation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known for certain of a node, for its side to move. */
enum tree_exact {
    TREE_OPEN = 0, /* nothing */
    TREE_LOSS,
    TREE_DRAW,
    TREE_WIN,
};

/* The part of a node that only its own visits touch. */
struct tree_node {
    double w;             /* sum of values, for the side to move */
    double d;             /* sum of draw probabilities */
    double visited_prior; /* sum of the priors of children with n > 0 */
    float own_v;          /* its own evaluation, or the result of a game that is over here */
    float own_d;
    float own_m;
    uint32_t first_child;
    uint16_t n_children; /* 0 where the game is over */
    uint8_t exact;       /* enum tree_exact */
};

struct tree {
    uint32_t n_nodes;
    uint32_t capacity;
    double *q;        /* value for the parent's mover: -w/n or exact; of no meaning while n == 0 */
    float *prior;     /* the net's; among the root's children with noise */
    uint32_t *n;      /* visits */
    uint16_t *action; /* that leads here */
    struct tree_node *node;
};

void tree_init(struct tree *tree);
void tree_finish(struct tree *tree);
/* Memory for n more nodes; false if there is none, the tree is then as before. */
bool tree_reserve(struct tree *tree, uint32_t n);
size_t tree_bytes(const struct tree *tree);

/* Only an unvisited root. There must be room for it. */
void tree_reset(struct tree *tree);
/* Give a node without visits its evaluation and its children. There must be room for them. */
void tree_expand(struct tree *tree, uint32_t node, const struct evaluation *evaluation,
                 const uint16_t *actions);
/* Give a node without visits the result of the game that is over there. */
void tree_end(struct tree *tree, uint32_t node, int value);
/* Make *to what stands below a visited node of *from, that node being the root. False without
 * memory; *to is then of no use, *from is untouched in any case. */
bool tree_copy_subtree(struct tree *to, const struct tree *from, uint32_t node);
/* After a change of its children's priors. */
void tree_sum_visited_prior(struct tree *tree, uint32_t node);

/* What a node is proven to be if its child now is what it is: TREE_WIN if that child has lost,
 * TREE_DRAW or TREE_LOSS if all children are certain, else TREE_OPEN. */
enum tree_exact tree_prove(const struct tree *tree, uint32_t node, uint32_t child);

/* The value of an exact node: -1, 0, 1. */
static inline int tree_exact_value(enum tree_exact exact)
{
    return (int)exact - TREE_DRAW;
}

#endif
