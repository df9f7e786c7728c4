/* Vectors for the kernels' one text: kernel_template.h and what it includes. The including .c says how wide
 * they are. Everything is written on GCC's vectors, so that one text serves all processors; inner functions are
 * inlined with constant sizes, so that each size becomes straight code on registers. */
#ifndef TRAINER_NET_KERNEL_VECTOR_H
#define TRAINER_NET_KERNEL_VECTOR_H

#include "trainer/net/kernel.h"

enum { LANES = KERNEL_LANES };

typedef float vec __attribute__((vector_size(4 * KERNEL_LANES), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * KERNEL_LANES)));

#define INLINE static inline __attribute__((always_inline))
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
#define UNROLL /* see CMakeLists.txt; clang, which fuzzes, would compile for minutes */
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE vec load(const float *x)
{
    return *(const vec *)x;
}

INLINE void store(float *x, vec value)
{
    *(vec *)x = value;
}

INLINE vec zero(void)
{
    return (vec){0};
}

/* The larger of each pair; b where they cannot be compared. */
INLINE vec larger(vec a, vec b)
{
#ifdef KERNEL_MAX
    return (vec)KERNEL_MAX(a, b);
#else
    ivec mask = a > b;
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
#endif
}

INLINE vec relu(vec x)
{
    return larger(x, zero());
}

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
