/* For every processor: vectors of 4 floats, which are SSE2 on amd64 and NEON on arm64. */
#define KERNEL       lanes_plain
#define KERNEL_NAME  "plain"
#define VECTOR_LANES 4
#define ROWS         6

#include <stdbool.h>

static bool can_run(void)
{
    return true;
}

#include "trainer/lanes_template.h"
