/* For processors with AVX-512 and AVX512-BF16: the transforms in fp32, their points rounded to bf16, the products of
 * pairs of bf16 summed in fp32. All that is not a 3x3 convolution stays fp32. */
#define KERNEL           kernel_avx512_bf16
#define KERNEL_NAME      "avx512"
#define KERNEL_ID        "winograd-bf16/avx512"
#define KERNEL_PRECISION KERNEL_BF16
#define VECTOR_LANES     16
#define KERNEL_VECTORS   4
/* As in kernel_avx512.c: rows x vectors sums, `vectors` weights and a pair in 32 registers. */
#define KERNEL_ROWS_1 16
#define KERNEL_ROWS_2 12
#define KERNEL_ROWS_3 8
#define KERNEL_ROWS_4 6

#define VECTOR_MAX        _mm512_max_ps
#define VECTOR_NONZERO(x) _mm512_test_epi32_mask((__m512i)(x), (__m512i)(x))
#define KERNEL_JOIN       join
#define KERNEL_PAIRS      multiply_pairs

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

typedef float sixteen __attribute__((vector_size(64), may_alias));
typedef int32_t pair_bits __attribute__((may_alias));

static bool can_run(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("fma");
}

static inline __attribute__((always_inline)) sixteen join(sixteen low, sixteen high)
{
    return (sixteen)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

static inline __attribute__((always_inline)) sixteen multiply_pairs(sixteen sum, const float *pair,
                                                                    sixteen weights)
{
    __m512i pairs = _mm512_set1_epi32(*(const pair_bits *)pair);
    return (sixteen)_mm512_dpbf16_ps((__m512)sum, (__m512bh)pairs, (__m512bh)weights);
}

#include "trainer/net/kernel_template.h"
