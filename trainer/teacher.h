/* A teacher: another net whose word on a position is mixed into its targets. It is asked through the
 * evaluator, just as a search would ask it. softmax(logits / T) over the legal moves is its priors
 * raised to 1 / T, normalised: no need of the logits. */
#ifndef TRAINER_TEACHER_H
#define TRAINER_TEACHER_H

#include "trainer/batch.h"
#include "trainer/net/net.h"

struct teacher;

/* Shares of the teacher in policy and value, 0 .. 1; temperature > 0. The net may be destroyed
 * afterwards. */
int teacher_create(const struct game *game, const struct net *net, uint32_t max_batch, float policy,
                   float value, float temperature, struct teacher **ret, struct error *err);
void teacher_destroy(struct teacher *teacher); /* NULL is allowed */
/* Mix into the targets of the batch's samples. A sample without a policy of its own stays so. */
void teacher_apply(struct teacher *teacher, struct batch *batch);

#endif
