/* From positions to evaluations: planes of the canonical mirror image, the net, softmax over the legal
 * moves, the policy flipped back. The one path by which a net's word reaches a search, in workers,
 * suites, analysis and the trainer's check of its own net. Not thread-safe. */
#ifndef TRAINER_NET_EVALUATOR_H
#define TRAINER_NET_EVALUATOR_H

#include "mcts/evaluation.h"
#include "mcts/game.h"
#include "trainer/net/inference.h"
#include "trainer/net/precision.h"

struct evaluator_request {
    const void *state;
    uint32_t n_legal;
    const uint16_t *legal; /* ascending */
};

struct evaluator;
struct kernel;

/* On the kernel that the environment chooses (kernel_choose()). The net's arch must be made for `game` (ERROR_INVALID
 * else). The net may be destroyed afterwards. Where bf16 is chosen the net is checked first (precision.h), and computed
 * in fp32 if it is refused. */
int evaluator_create(const struct game *game, const struct net *net, uint32_t max_batch,
                     struct evaluator **ret, struct error *err);
/* The same on a kernel of the caller's choice, unchecked. */
int evaluator_create_on(const struct kernel *kernel, const struct game *game, const struct net *net,
                        uint32_t max_batch, struct evaluator **ret, struct error *err);
/* What computes it, for searches.kernel: "winograd-fp32/avx512". Static text. */
const char *evaluator_kernel(const struct evaluator *evaluator);
/* The check's figures; NULL where there was none. */
const struct precision_report *evaluator_precision(const struct evaluator *evaluator);
void evaluator_destroy(struct evaluator *evaluator); /* NULL is allowed */
/* Evaluate n <= max_batch positions. ret[i].priors point into the evaluator until the next run. The
 * bits of each do not depend on the others. */
void evaluator_run(struct evaluator *evaluator, const struct evaluator_request *requests,
                   uint32_t n, struct evaluation *ret);

/* The uniform evaluator: v 0, d 0, equal priors. For tests and baselines. priors: room for n_legal. */
void evaluation_uniform(uint32_t n_legal, float *priors, struct evaluation *ret);

#endif
