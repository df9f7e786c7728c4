/* For processors with AVX2 and FMA: 16 registers of 8 floats. */
#define KERNEL       lanes_avx2
#define KERNEL_NAME  "avx2"
#define VECTOR_LANES 8
#define ROWS         6

#define VECTOR_MAX _mm256_max_ps

#include <immintrin.h>
#include <stdbool.h>

static bool can_run(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#include "trainer/lanes_template.h"
