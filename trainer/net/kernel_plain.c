/* For every processor: vectors of 4 floats, which are SSE2 on amd64 and NEON on arm64. */
#define KERNEL           kernel_plain
#define KERNEL_NAME      "plain"
#define KERNEL_ID        "winograd-fp32/plain"
#define KERNEL_PRECISION KERNEL_FP32
#define VECTOR_LANES     4
#define KERNEL_VECTORS   2
#define KERNEL_ROWS_1    8
#define KERNEL_ROWS_2    6

#include <stdbool.h>

static bool can_run(void)
{
    return true;
}

#include "trainer/net/kernel_template.h"
