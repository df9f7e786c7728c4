/* Steps down a gradient: AdamW (Loshchilov & Hutter 2019) and SGD with Nesterov momentum, both with
 * decoupled weight decay, on weights but not on batch norm and biases. Batch norm's running statistics
 * are no one's to step. Also the learning rate, clipping, and the average of weights. Whatever the crew, the bits are
 * the same. */
#ifndef TRAINER_OPTIMIZER_H
#define TRAINER_OPTIMIZER_H

#include "trainer/crew.h"
#include "trainer/net/net.h"
#include "trainer/train.h"

#include <stddef.h>
#include <stdint.h>

/* Plain data that goes through checkpoints. Vectors are parallel to net->params. */
struct optimizer {
    size_t n;
    int64_t step;  /* steps taken */
    float *first;  /* AdamW: mean of gradients; SGD: momentum */
    float *second; /* AdamW: mean of their squares; SGD: unused */
};

int optimizer_init(struct optimizer *optimizer, size_t n_params); /* 0 or ERROR_NO_MEMORY */
void optimizer_finish(struct optimizer *optimizer);

/* One step of net->params. */
void optimizer_step(struct crew *crew, struct optimizer *optimizer,
                    const struct train_params *params, double rate, const float *gradient,
                    struct net *net);

/* Norm over all parameters; above `clip` (where that is not 0) the gradient is scaled down to it.
 * Returns the norm before. */
double optimizer_clip(struct crew *crew, float *gradient, size_t n, double clip);

/* The rate for the sample `line_sample` of the line, `training_sample` of its training: the schedule,
 * times a linear rise over the training's first warmup_samples. */
double optimizer_rate(const struct train_params *params, int64_t line_sample,
                      int64_t training_sample);

/* average += (1 - decay) (weights - average). Young averages forget faster: the decay at the line's
 * step t is at most (1 + t) / (10 + t). */
void optimizer_average(struct crew *crew, double decay, int64_t step, const float *weights,
                       size_t n, float *average);

#endif
