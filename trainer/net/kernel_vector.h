/* What the parts of kernel_template.h share: vectors as wide as the kernel's, and how many become one in bf16. */
#ifndef TRAINER_NET_KERNEL_VECTOR_H
#define TRAINER_NET_KERNEL_VECTOR_H

#include "trainer/net/kernel.h"
#include "trainer/net/vector.h"

enum { LANES = VECTOR_LANES };

/* A kernel of KERNEL_BF16 multiplies pairs of bf16; its .c defines functions behind the first and one of the others:
 *   KERNEL_JOIN(low, high)            32 bf16 in a vec, low's 16 first, rounded to nearest even
 *   KERNEL_PAIRS(sum, pair, weights)  sum + the products of one pair with each lane's pair of weights
 *   KERNEL_CELLS(cells, first, n)     of a kernel of cells (winograd.h): the products of n positions, 1 or 2, summed, of
 *                                     KERNEL_STEPS steps or a multiple; KERNEL_CELLS_BEGIN(cells) and KERNEL_CELLS_END()
 *                                     stand around those of a convolution
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

/* What becomes of a cell of a convolution; y[at] is what it was before. */
INLINE vec ended_cell(vec value, enum kernel_ending ending, const float *y, size_t at)
{
    if (ending == KERNEL_RESIDUAL) {
        value += load(y + at);
    }
    return ending == KERNEL_MEANS ? value : relu(value);
}

#endif
