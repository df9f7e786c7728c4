/* A net as a fast function: batch norm folded, weights packed, fp32 on OpenBLAS, one position a product
 * (a product that spans positions would make an evaluation's bits depend on its batch, on every
 * OpenBLAS kernel). Not thread-safe; one thread computes. */
#ifndef TRAINER_NET_INFERENCE_H
#define TRAINER_NET_INFERENCE_H

#include "trainer/net/net.h"

struct inference;

/* Prepare a net for batches of at most max_batch. The net may be destroyed afterwards. Sets OpenBLAS to
 * one thread: products this small only lose by more. */
int inference_create(const struct net *net, uint32_t max_batch, struct inference **ret,
                     struct error *err);
void inference_destroy(struct inference *inference); /* NULL is allowed */
/* planes: [n][n_planes][height][width]; ret_policy: [n][policy_planes][height][width] logits;
 * ret_value: [n][3] win, draw, loss probabilities, or [n][1] tanh output. 1 <= n <= max_batch. */
void inference_run(struct inference *inference, const float *planes, uint32_t n, float *ret_policy,
                   float *ret_value);
/* What computes, for searches.kernel: "openblas-fp32/Cooperlake/0.3.21". Static text. */
const char *inference_kernel(void);

/* The definition: the net's function in plain C and double, unfolded, for tests and checks. */
int reference_run(const struct net *net, const float *planes, uint32_t n, float *ret_policy,
                  float *ret_value, struct error *err);

#endif
