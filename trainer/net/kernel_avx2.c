/* For processors with AVX2 and FMA: 16 registers of 8 floats. */
#define KERNEL           kernel_avx2
#define KERNEL_NAME      "avx2"
#define KERNEL_ID        "winograd-fp32/avx2"
#define KERNEL_PRECISION KERNEL_FP32
#define VECTOR_LANES     8
#define KERNEL_VECTORS   3
#define KERNEL_ROWS_1    8
#define KERNEL_ROWS_2    6
#define KERNEL_ROWS_3    4

#define VECTOR_MAX        _mm256_max_ps
#define VECTOR_NONZERO(x) ((uint32_t)_mm256_movemask_ps((__m256)((ivec)(x) != 0)))

#include <immintrin.h>
#include <stdbool.h>

static bool can_run(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#include "trainer/net/kernel_template.h"
