/* Whether a net may be computed in bf16: how far its evaluations then are from those in fp32, on positions of its
 * own play as it is now. It plays PRECISION_GAMES games side by side against itself from the game's start, each move
 * drawn from its own fp32 policy (a game that ends is begun again), and every position on the way is
 * evaluated in both precisions, PRECISION_POSITIONS in all. Draws are counter-based, so that the verdict depends on
 * the net (and in its last bits on the kernel) alone: workers, matches, suites and qzctl come to the same one,
 * a new net or an imported one needs no recorded games, and a replay does what the recording did.
 *
 * What it costs: as many evaluations in each precision, once for each net and evaluator; 0.03 s for 4 blocks of 32
 * filters on 6x7, 8 s for 20 blocks of 256 on 8x8 (one core of a Zen 4). */
#ifndef TRAINER_NET_PRECISION_H
#define TRAINER_NET_PRECISION_H

#include "mcts/game.h"
#include "storage/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PRECISION_GAMES = 8, PRECISION_POSITIONS = 512 };

/* Above either a net is refused bf16. v: mean |v in bf16 - v in fp32|; policy: mean KL(fp32 || bf16) over legal moves in
 * nats. See trainer/net/README.md for what trained nets show, and what it costs in strength. */
#define PRECISION_MAX_V      0.02
#define PRECISION_MAX_POLICY 0.002

struct precision_report {
    uint32_t positions;
    double v_mean, v_max;           /* of |v - v'| */
    double policy_mean, policy_max; /* of KL, nats */
    double same_best; /* share of positions whose likeliest move is the same, 0 .. 1 */
    bool passed;      /* both means are within the bounds; a NaN is not */
};

enum { PRECISION_TEXT = 256 };

struct evaluator;

/* Compare two evaluators of one net. ERROR_NO_MEMORY. */
int precision_compare(const struct game *game, struct evaluator *exact, struct evaluator *coarse,
                      struct precision_report *ret, struct error *err);
/* One sentence with the figures, the bounds, and what follows. */
void precision_say(const struct precision_report *report, char text[PRECISION_TEXT]);

#endif
