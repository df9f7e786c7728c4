#include "trainer/net/kernel.h"

#include <string.h>

static const struct kernel *const kernels[] = {/* the best first */
#if defined(__x86_64__)
                                               &kernel_avx512, &kernel_avx2,
#endif
                                               &kernel_plain};
enum { N_KERNELS = sizeof kernels / sizeof kernels[0] };

const struct kernel *kernel_best(void)
{
    for (size_t i = 0; i < N_KERNELS; i++) {
        if (kernels[i]->can_run()) {
            return kernels[i];
        }
    }
    return &kernel_plain;
}

const struct kernel *kernel_find(const char *name, const char **ret_why)
{
    for (size_t i = 0; i < N_KERNELS; i++) {
        if (strcmp(kernels[i]->name, name) == 0) {
            *ret_why = "this processor cannot run it";
            return kernels[i]->can_run() ? kernels[i] : NULL;
        }
    }
    *ret_why = "there are avx512, avx2 and plain";
    return NULL;
}
