/* What a position teaches: the blend of result, search and teacher. The formulas are the design's:
 *     wdl(q, d) = ((1 - d + q)/2, d, (1 - d - q)/2)      never one kind's q with another kind's d
 *     G_t       = (1 - lambda) wdl(q*_t) + lambda flip(G_{t+1}),  G_end = wdl(z)
 *                 a position without q: G_t = flip(G_{t+1})
 *     value     = (1 - t_v) ((1 - r) wdl(z) + r G) + t_v teacher
 *     policy    = (1 - t_p) visits + t_p softmax(teacher logits over legal moves / T)
 * flip swaps win and loss; r is q_ratio. A term of weight 0 is not evaluated, so NaN never leaks. A
 * position without q trains on z alone, whatever r is. Pure functions. */
#ifndef TRAINER_TARGETS_H
#define TRAINER_TARGETS_H

#include "storage/store.h"

#include <stdbool.h>
#include <stdint.h>

enum q_kind { Q_ROOT, Q_BEST, Q_GREEDY };
const char *q_kind_text(enum q_kind kind);
int q_kind_parse(const char *text); /* -1: none of them */

struct wdl {
    float w, d, l;
};
struct wdl wdl_from_qd(float q, float d); /* clamped to the simplex */
struct wdl wdl_from_z(int z);
struct wdl wdl_flip(struct wdl x);

struct target_params {
    float q_ratio; /* r: 0 .. 1 */
    float lambda;  /* 0 .. 1 */
    enum q_kind q;
    float teacher_value; /* t_v */
};

/* Value targets, without the teacher's part, for every position of a finished game, in WDL. z of
 * position i follows from first_player_outcome, the opening's side to move and i: callers give
 * side_to_move of position 0 (0 = first player). Returns how many positions had no q. */
uint32_t targets_value(const struct store_game *game, uint32_t first_side,
                       const struct target_params *params, struct wdl *ret);
/* Whether the position has that kind's q and d, both. */
bool targets_has_q(const struct record_position *position, enum q_kind kind);
/* Add a teacher's part: (1 - t) target + t teacher; t = 0 leaves target alone. */
struct wdl targets_mix(struct wdl target, float t, struct wdl teacher);

#endif
