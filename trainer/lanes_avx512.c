/* For processors with AVX-512 (F, DQ, BW, VL): 32 registers of 16 floats. */
#define KERNEL       lanes_avx512
#define KERNEL_NAME  "avx512"
#define VECTOR_LANES 16 /* floats */
#define ROWS         12 /* of a product at a time: 2 x ROWS sums, 2 columns and a factor in the registers */

#define VECTOR_MAX _mm512_max_ps

#include <immintrin.h>
#include <stdbool.h>

static bool can_run(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
}

#include "trainer/lanes_template.h"
