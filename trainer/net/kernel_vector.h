/* What the parts of kernel_template.h share: vectors as wide as the kernel's, and how many become one in bf16. */
#ifndef TRAINER_NET_KERNEL_VECTOR_H
#define TRAINER_NET_KERNEL_VECTOR_H

#include "trainer/net/kernel.h"
#include "trainer/net/vector.h"

enum { LANES = VECTOR_LANES };

/* A kernel of KERNEL_BF16 multiplies pairs of bf16, whose .c defines the two functions behind these names:
 *   KERNEL_JOIN(low, high)            32 bf16 in a vec, low's 16 first, rounded to nearest even
 *   KERNEL_PAIRS(sum, pair, weights)  sum + the products of one pair with each lane's pair of weights
 * JOINED vectors of channels become one vector of a product's rows. */
#ifdef KERNEL_PAIRS
enum { JOINED = 2 };
#else
enum { JOINED = 1 };
#endif

#endif
