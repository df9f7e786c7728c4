#include "trainer/lanes.h"

#include <stdlib.h>
#include <string.h>

static const struct lanes_kernel *const kernels[] = {/* the best first */
#if defined(__x86_64__)
                                                     &lanes_avx512, &lanes_avx2,
#endif
                                                     &lanes_plain};
enum { N_KERNELS = sizeof kernels / sizeof kernels[0] };

const struct lanes_kernel *lanes_nth(uint32_t i)
{
    return i < N_KERNELS ? kernels[i] : NULL;
}

const struct lanes_kernel *lanes_choose(void)
{
    const char *name = getenv("QZD_KERNEL");
    const struct lanes_kernel *best = NULL;

    for (size_t i = 0; i < N_KERNELS; i++) {
        if (!kernels[i]->can_run()) {
            continue;
        }
        if (best == NULL || (name != NULL && strcmp(name, kernels[i]->name) == 0)) {
            best = kernels[i];
        }
    }
    return best;
}
