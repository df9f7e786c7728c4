/* PUCT search of one position (Rosin 2011; Silver et al. 2017), in one arena of nodes. A search never
 * calls a net: search_next() says what it needs, the caller brings it, when and in what batch it
 * likes. Same game so far, seed, settings and evaluations: same result, bit for bit.
 *
 * The rules are those of the design, numbered there; in short, for node s with N visits and value
 * sum W from the view of the side to move at s:
 *     U(child) = -W/N of the child + cpuct P sqrt(N_parent) / (1 + N_child)
 * where N_parent is the visits of the parent and an unvisited child counts as
 *     v_parent_mean - fpu_reduction * sqrt(sum of priors of visited children)    (at the root: fpu_reduction_root)
 *
 * With params.solver proofs propagate (rule 4). A node is proven won when a child is lost for the
 * child's mover, lost when all children are won for theirs, drawn when all are certain and the best is
 * a draw. From the visit that proves it on, a node counts for its parent and backs up exactly -1, 0 or
 * 1 (d = 1 for a draw, else 0) and is not searched below any more. Moves that lose for certain get no
 * further visits; a drawn one is a move of value 0 like others. Earlier visits stay in the sums: as
 * long as the root itself is not proven, its q and d are plain means over all visits. A proven root
 * ends the search. Without solver only the end of a game is certain, and nothing is avoided.
 * Not thread-safe; different searches are independent. */
#ifndef MCTS_SEARCH_H
#define MCTS_SEARCH_H

#include "mcts/evaluation.h"
#include "mcts/game.h"

#include <stdbool.h>
#include <stdint.h>

struct search_params {
    uint32_t nodes;      /* the root's N when the search ends, its own evaluation included; >= 2 */
    float cpuct;         /* > 0 */
    float fpu_reduction; /* >= 0 */
    float fpu_reduction_root; /* >= 0 */
    float noise_alpha;        /* Dirichlet alpha = noise_alpha / number of legal moves; > 0 */
    float noise_share;        /* share of noise in the root priors; 0 = none */
    bool solver;              /* proofs propagate (rule 4) */
};

/* tau(ply) = max(floor, start * 2^(-ply / half_life)); 0 of both start and floor = best move. */
struct temperature_params {
    float start;
    float half_life; /* plies, > 0 */
    float floor;
};

/* The shipped values: 800 nodes, 1.5, 0.2, 0, 10, 0.25, on; 1, 10, 0.2. */
extern const struct search_params search_params_default;
extern const struct temperature_params temperature_params_default;

struct search_move {
    uint16_t action;
    /* The policy target: child visits after rule 4's changes for proofs. Not all zero: if only losing
     * moves were visited (a handful of nodes), each of the others counts 1. */
    uint32_t visits;
    uint32_t n;  /* the child's true N; these sum to the root's N less one */
    float prior; /* the net's, without noise */
    float q; /* the child's value for the root's mover: -W/N, proven value, or (no visit) v's fpu */
    float d;
    bool proven;
};

struct search_result {
    uint32_t nodes;       /* root N: params.nodes, or fewer where a proof stopped the search */
    float q, d;           /* root mean: W/N, D/N; proven value where proven */
    float best_q, best_d; /* of the best child (rule 3) */
    float greedy_q, greedy_d;
    float v, v_d, m; /* raw net output at the root; never overwritten by a proof */
    float kld;       /* KL(visits || prior), nats, over legal moves */
    bool proven;
    int8_t proven_value;  /* -1, 0, 1 where proven */
    uint16_t best_action; /* most visits; ties: higher value, then lower action */
    uint32_t n_moves;     /* legal moves, ascending */
    struct search_move moves[GAME_MAX_LEGAL];
};

enum search_status {
    SEARCH_NEEDS_EVALUATION,
    SEARCH_DONE,
    SEARCH_NO_MEMORY,
};

/* The position that a search waits for. Pointers are valid until search_apply(). */
struct search_leaf {
    const void *state;
    uint32_t n_legal;
    const uint16_t *legal; /* ascending */
};

struct search;

/* A search for positions of that game. The arena grows as needed. NULL: out of memory. */
struct search *search_create(const struct game *game);
void search_destroy(struct search *search); /* NULL is allowed */

/* Begin from an empty tree. The game must not be over at `state` (copied). `seed` and `ply` address
 * the random numbers (noise). */
void search_begin(struct search *search, const struct search_params *params, const void *state,
                  uint64_t seed, uint32_t ply);

/* Begin at the position after `action` of the last root, keeping that subtree's visits and proofs
 * (analysis, matches, play). The root's N counts kept visits, and noise, if any, is drawn anew.
 * Returns false, with the search unchanged, if that position was never reached or is over, if
 * params->solver is not what it was (proofs and masks would mean nothing), or without memory for the
 * copy. Then search_begin() it is. */
bool search_advance(struct search *search, const struct search_params *params, uint16_t action,
                    uint64_t seed, uint32_t ply);

/* Go on until a position must be evaluated or the search is finished. Asking again before
 * search_apply() gives the same leaf. After SEARCH_NO_MEMORY nothing is lost: asking again, once there
 * is memory, goes on. */
enum search_status search_next(struct search *search, struct search_leaf *ret_leaf);
/* Bring the evaluation of the leaf that search_next() named. n_priors must equal n_legal. */
void search_apply(struct search *search, const struct evaluation *evaluation);

/* The outcome; only after SEARCH_DONE. */
void search_result(const struct search *search, struct search_result *ret);

/* The line of best moves from the root, at most max; returns its length. */
uint32_t search_principal_variation(const struct search *search, uint16_t *ret_actions,
                                    uint32_t max);

/* The move to play: drawn with probability proportional to visits^(1/tau), counter-based on
 * (seed, ply); tau 0: best_action. Returns an index into result->moves. */
uint32_t search_choose(const struct search_result *result, float tau, uint64_t seed, uint32_t ply);
float temperature_at(const struct temperature_params *params, uint32_t ply);

/* Memory now held, for counters. */
size_t search_bytes(const struct search *search);

#endif
