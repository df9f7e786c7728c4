/* Suites: positions with known truth, by which a net is judged from outside, and the analysis of single
 * positions. Move suites are ".mask" files, one position a line: MOVES SCORE MASK, where MASK has a
 * character an action in ascending order, '1' keeps the game value, '0' throws it away, '.' is illegal; a position is
 * decisive if it has a '0'. Value suites are ".csv" files with the header "moves,value", value W, D or L
 * for the side to move. Moves are in the game's notation from its usual start. */
#ifndef SELFPLAY_SUITE_H
#define SELFPLAY_SUITE_H

#include "mcts/search.h"
#include "storage/error.h"
#include "trainer/net/net.h"
#include "trainer/net/precision.h"

#include <stdbool.h>
#include <stdint.h>

enum suite_kind { SUITE_MOVES, SUITE_VALUES };
enum { SUITE_MAX_POSITIONS = 1000000, SUITE_MAX_ACTIONS = 64 };
#define SUITE_LEAST_PROBABILITY 1e-6

struct suite_position {
    char *moves;
    union game_state *state;       /* its first game->state_bytes bytes: copy no more */
    bool keeps[SUITE_MAX_ACTIONS]; /* SUITE_MOVES: by action; games with more actions are refused */
    bool decisive;
    int value; /* SUITE_VALUES, or the sign of SCORE: for the side to move */
};
struct suite {
    enum suite_kind kind;
    const struct game *game;
    char name[64]; /* file name without folder and ending */
    uint32_t n;
    struct suite_position *positions;
};
/* A bad line is refused with file:line. */
int suite_load(const char *path, const struct game *game, struct suite **ret, struct error *err);
void suite_destroy(struct suite *suite); /* NULL is allowed */

struct suite_result {
    uint32_t n, n_decisive;
    double mistakes,
        mistakes_decisive; /* SUITE_MOVES: shares 0 .. 1; decisive: NaN if there are none */
    double value_accuracy, value_brier,
        value_cross_entropy; /* SUITE_VALUES; Brier over the three classes, nats;
        a scalar head's or a search's (q, d) becomes ((1-d+q)/2, d, (1-d-q)/2); accuracy: the likeliest class (ties:
        win before draw before loss); cross-entropy counts no probability below SUITE_LEAST_PROBABILITY. Metrics
        of the other kind of suite are NaN */
    double seconds;          /* processor time */
    uint64_t evaluations;
};

struct player; /* a net ready to search: evaluator, cache, pool */
int player_create(const struct game *game, const struct net *net, uint32_t max_batch,
                  size_t cache_entries, struct player **ret, struct error *err);
void player_destroy(struct player *player); /* NULL is allowed */

/* Search (nodes >= 2, no noise, best move) or ask the net alone (nodes 0: the move of highest prior) for n
 * positions side by side; each is begun from an empty tree. Results in ret[n]; for nodes 0, q = v, d = v_d, visits 0,
 * best_action by prior. Positions must not be over. should_stop (may be NULL) is asked between batches: ERROR_CANCELLED. */
int player_search(struct player *player, const struct search_params *params, uint32_t nodes,
                  const void *const *states, uint32_t n, struct search_result *ret,
                  bool (*should_stop)(void *context), void *context, struct error *err);

/* The same with each result handed to `take` as it comes, in any order (lent for the call), for those who
 * keep less of it. */
typedef void player_take(uint32_t index, const struct search_result *result, void *context);
int player_search_each(struct player *player, const struct search_params *params, uint32_t nodes,
                       const void *const *states, uint32_t n, player_take *take, void *take_context,
                       bool (*should_stop)(void *context), void *context, struct error *err);
uint64_t player_evaluations(const struct player *player); /* positions that its net computed */
/* The check of its net's precision (trainer/net/precision.h); NULL: none was asked for. */
const struct precision_report *player_precision(const struct player *player);

/* Judge the player. ret_actions (may be NULL): the chosen move of each position [n]. */
int suite_run(const struct suite *suite, struct player *player, const struct search_params *params,
              uint32_t nodes, struct suite_result *ret, uint16_t *ret_actions,
              bool (*should_stop)(void *context), void *context, struct error *err);

#endif
