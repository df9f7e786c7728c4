/* Vectors of VECTOR_LANES floats, for the texts that are compiled once for each kind of processor: the kernels of
 * inference (kernel_template.h) and those of training (trainer/lanes_template.h). The including .c defines
 * VECTOR_LANES and, where its processor has an instruction for it, VECTOR_MAX and VECTOR_NONZERO. All is written on GCC's vectors, so that one text
 * serves all processors; inner functions are inlined with constant sizes, so that each size becomes straight
 * code on registers. */
#ifndef TRAINER_NET_VECTOR_H
#define TRAINER_NET_VECTOR_H

#include <stdint.h>

typedef float vec __attribute__((vector_size(4 * VECTOR_LANES), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * VECTOR_LANES)));

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

/* From anywhere. */
INLINE vec load_unaligned(const float *x)
{
    typedef float unaligned __attribute__((vector_size(4 * VECTOR_LANES), may_alias, aligned(4)));
    return *(const unaligned *)x;
}

INLINE void store(float *x, vec value)
{
    *(vec *)x = value;
}

INLINE vec zero(void)
{
    return (vec){0};
}

/* A bit for each lane that holds anything but +0. */
INLINE uint32_t nonzero(vec x)
{
#ifdef VECTOR_NONZERO
    return VECTOR_NONZERO(x);
#else
    uint32_t bits = 0;
    UNROLL for (int i = 0; i < VECTOR_LANES; i++)
    {
        bits |= (uint32_t)(((ivec)x)[i] != 0) << i;
    }
    return bits;
#endif
}

/* The larger of each pair; b where they cannot be compared. */
INLINE vec larger(vec a, vec b)
{
#ifdef VECTOR_MAX
    return (vec)VECTOR_MAX(a, b);
#else
    ivec mask = a > b;
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
#endif
}

INLINE vec relu(vec x)
{
    return larger(x, zero());
}

#endif
