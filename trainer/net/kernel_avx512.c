/* For processors with AVX-512 (F, DQ, BW, VL): 32 registers of 16 floats. */
#define KERNEL           kernel_avx512
#define KERNEL_NAME      "avx512"
#define KERNEL_ID        "winograd-fp32/avx512"
#define KERNEL_PRECISION KERNEL_FP32
#define VECTOR_LANES     16
#define KERNEL_VECTORS   4
/* Rows of a product at a time, by vectors: rows x vectors sums, `vectors` weights and a factor in 32 registers. */
#define KERNEL_ROWS_1 16
#define KERNEL_ROWS_2 12
#define KERNEL_ROWS_3 8
#define KERNEL_ROWS_4 6

#define VECTOR_MAX        _mm512_max_ps
#define VECTOR_NONZERO(x) _mm512_test_epi32_mask((__m512i)(x), (__m512i)(x))

#include <immintrin.h>
#include <stdbool.h>

static bool can_run(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
}

#include "trainer/net/kernel_template.h"
