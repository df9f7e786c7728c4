/* A net as a fast function: batch norm folded, weights packed, convolutions by Winograd's short products
 * (kernel.h), in fp32 or with bf16 products. Each evaluation's sums are taken in an order of their own, so its bits do not depend on
 * its batch. Not thread-safe; one thread computes. */
#ifndef TRAINER_NET_INFERENCE_H
#define TRAINER_NET_INFERENCE_H

#include "trainer/net/net.h"

struct inference;
struct kernel;

/* Prepare a net for batches of at most max_batch. The net may be destroyed afterwards. The kernel is the one that
 * the environment names in QZD_KERNEL and QZD_PRECISION (kernel_choose()), else the best in fp32 that the
 * processor can run. ERROR_UNSUPPORTED: there is none of that name and precision, or the processor cannot run it. */
int inference_create(const struct net *net, uint32_t max_batch, struct inference **ret,
                     struct error *err);
/* The same with a kernel of the caller's choice. */
int inference_create_on(const struct kernel *kernel, const struct net *net, uint32_t max_batch,
                        struct inference **ret, struct error *err);
void inference_destroy(struct inference *inference); /* NULL is allowed */

/* Which logits are wanted of a position: indices into [policy_planes][height][width]. */
struct inference_wanted {
    uint32_t n;
    const uint16_t *index;
};
/* planes: [n][n_planes][height][width]; ret_policy: [n][policy_planes][height][width] logits, of which those wanted
 * (wanted[n]; NULL: all) are written; ret_value: [n][3] win, draw, loss probabilities, or [n][1] tanh output.
 * 1 <= n <= max_batch. */
void inference_run(struct inference *inference, const float *planes, uint32_t n,
                   const struct inference_wanted *wanted, float *ret_policy, float *ret_value);
/* What the environment chooses, as kernel.id names it; "none" where that is refused. Static text. Where a net was checked
 * and computes in fp32 instead, evaluator_kernel() knows. */
const char *inference_kernel(void);

/* The definition: the net's function in plain C and double, unfolded, for tests and checks. */
int reference_run(const struct net *net, const float *planes, uint32_t n, float *ret_policy,
                  float *ret_value, struct error *err);

#endif
