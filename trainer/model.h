/* The net as a function that can be differentiated: forward over a whole batch with batch norm by
 * the batch's statistics (or by the stored ones), and back to a gradient that lies parallel to
 * net->params. Inputs and outputs lie as lanes.h says, [blocks][channels][cells][16]; lanes_at()
 * finds a number. */
#ifndef TRAINER_MODEL_H
#define TRAINER_MODEL_H

#include "trainer/crew.h"
#include "trainer/net/net.h"

#include <stddef.h>
#include <stdint.h>

struct model;

enum model_mode {
    MODEL_TRAIN, /* batch statistics; model_backward() may follow */
    MODEL_EVAL,  /* the net's own statistics: what the folded, fast form computes */
};

/* For nets of that architecture and batches of at most max_batch. The crew is borrowed. NULL: out of
 * memory. */
struct model *model_create(const struct net_arch *arch, uint32_t max_batch, struct crew *crew);
void model_destroy(struct model *model); /* NULL is allowed */

/* planes: the batch's input, from activation_create(n_planes, ...), unchanged until
 * model_backward() is done. */
void model_forward(struct model *model, const float *params, enum model_mode mode,
                   const float *planes, uint32_t n);
/* The outputs of the last forward: logits by policy plane, and the value head's [3 or
 * 1][lanes_size(n, 1)] before softmax or tanh. */
const float *model_policy(const struct model *model);
const float *model_value(const struct model *model);

/* Where the gradients of the outputs, laid out like them, are to be written before model_backward();
 * they are zero until written, and again after each backward. */
float *model_dpolicy(struct model *model);
float *model_dvalue(struct model *model);
/* After a MODEL_TRAIN forward of the same params: the whole gradient, [n_params]. Statistics have 0. */
void model_backward(struct model *model, const float *params, float *ret_gradient);

/* The batch means and biased variances of the last MODEL_TRAIN forward, at the places of the running
 * ones in a vector parallel to net->params; other places are 0. */
const float *model_statistics(const struct model *model);
/* Values behind each statistic of the last forward: n x cells. */
size_t model_statistics_count(const struct model *model);

#endif
