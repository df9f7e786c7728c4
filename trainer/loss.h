/* The losses of one position and their gradients. Cross-entropies are in nats; they are linear in the
 * target, and lowest, at the target's entropy, where the prediction equals it. */
#ifndef TRAINER_LOSS_H
#define TRAINER_LOSS_H

#include "trainer/targets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Cross-entropy of the softmax over the legal moves alone: the i-th's logit stands at
 * logits[offsets[i]]. Where ret_dlogits is not NULL, scale times the gradient goes to the same places
 * of it; other places are left alone. n >= 1; target sums to 1. */
double loss_policy(const float *logits, uint32_t n, const size_t *offsets, const float *target,
                   float scale, float *ret_dlogits);
double loss_entropy(uint32_t n, const float *target);

/* Cross-entropy over win, draw, loss; the three outputs stand `stride` apart. */
double loss_wdl(const float *outputs, size_t stride, struct wdl target, float scale,
                float *ret_doutputs);
/* (tanh(output) - (w - l))^2 */
double loss_scalar(float output, struct wdl target, float scale, float *ret_doutput);

#endif
