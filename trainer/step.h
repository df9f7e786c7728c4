/* What a net makes of a batch: its losses and, in training, the gradient. */
#ifndef TRAINER_STEP_H
#define TRAINER_STEP_H

#include "trainer/batch.h"
#include "trainer/feed.h"
#include "trainer/model.h"

#include <stdint.h>

/* Weighted sums over samples; plain numbers, so that they go through checkpoints. */
struct step_sums {
    double policy, entropy, policy_weight;
    double value, value_weight;
    double grad_norm;
    int64_t steps;
};
void step_add(struct step_sums *sums, const struct step_sums *more);
/* Means; NaN where nothing was summed. */
double step_policy_loss(const struct step_sums *sums);
double step_policy_entropy(const struct step_sums *sums);
double step_value_loss(const struct step_sums *sums);

/* Forward with batch statistics and back: the gradient of
 *     (sum of policy_weight CE + value_weight sum of value_weight loss) / n
 * over the batch and its planes. *ret_loss is that number. */
void step_gradient(struct model *model, const struct net *net, const struct batch *batch,
                   const float *planes, double value_weight, float *ret_gradient,
                   struct step_sums *ret_sums, double *ret_loss);

/* The finished net's losses on rows (their canonical images), by its own statistics. */
void step_judge(struct model *model, const struct net *net, struct feed *feed,
                const struct window_row *const *rows, uint32_t n, struct step_sums *ret_sums);

/* Replace net's batch-norm statistics by those of the rows' canonical images, taken in batches of
 * feed_max(): means of the batches, and the variance within and between them. n >= 1.
 * Returns 0 or ERROR_NO_MEMORY. */
int step_refresh(struct model *model, struct net *net, struct feed *feed,
                 const struct window_row *const *rows, uint32_t n);

/* After step_gradient(): running = momentum running + (1 - momentum) of the batch's, variance unbiased. */
void step_running(const struct model *model, double momentum, struct net *net);

#endif
