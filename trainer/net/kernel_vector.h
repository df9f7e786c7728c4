/* What the parts of kernel_template.h share: vectors as wide as the kernel's, and how many become one in bf16. */
#ifndef TRAINER_NET_KERNEL_VECTOR_H
#define TRAINER_NET_KERNEL_VECTOR_H

#include "trainer/net/kernel.h"
#include "trainer/net/vector.h"

enum { LANES = VECTOR_LANES };

/* A kernel of KERNEL_BF16 multiplies pairs of bf16; its .c defines functions behind the first and one of the others:
 *   KERNEL_JOIN(low, high)            32 bf16 in a vec, low's 16 first, rounded to nearest even
 *   KERNEL_PAIRS(sum, pair, weights)  sum + the products of one pair with each lane's pair of weights
 *   KERNEL_POINTS(points)             all of kernel.product_points, of KERNEL_STEPS steps or a multiple; with
 *                                     KERNEL_CELLS it sums over cells (winograd.h)
 * JOINED vectors of channels become one vector of a product's rows. */
#ifndef KERNEL_STEPS
#define KERNEL_STEPS 1
#endif
#ifdef KERNEL_JOIN
enum { JOINED = 2 };
#else
enum { JOINED = 1 };
#endif

/* A point of JOINED vectors of channels, as the product wants it. */
INLINE void store_point(float *v, const vec *low, const vec *high)
{
#ifdef KERNEL_JOIN
    store(v, KERNEL_JOIN(*low, *high));
#else
    (void)high;
    store(v, *low);
#endif
}

/* A cell of a convolution into the activation; returns what it adds to the means. */
INLINE vec end_cell(vec value, enum kernel_ending ending, float *y)
{
    if (ending == KERNEL_RESIDUAL) {
        value += load(y);
    }
    store(y, ending == KERNEL_MEANS ? value : relu(value));
    return ending == KERNEL_MEANS ? value : zero();
}

#endif
