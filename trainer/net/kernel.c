#include "trainer/net/kernel.h"

#include <stdlib.h>
#include <string.h>

static const struct kernel *const kernels[] = {/* the best of each precision first */
#if defined(__x86_64__)
                                               &kernel_avx512, &kernel_amx, &kernel_avx512_bf16,
                                               &kernel_avx2,
#endif
                                               &kernel_plain};
enum { N_KERNELS = sizeof kernels / sizeof kernels[0] };

static const char no_bf16[] = "bf16 needs a processor with AVX512-BF16, which this is not";

const struct kernel *kernel_best(enum kernel_precision precision, const char **ret_why)
{
    for (size_t i = 0; i < N_KERNELS; i++) {
        if (kernels[i]->precision == precision && kernels[i]->can_run()) {
            return kernels[i];
        }
    }
    *ret_why = no_bf16;
    return NULL;
}

const struct kernel *kernel_find(const char *name, enum kernel_precision precision,
                                 const char **ret_why)
{
    *ret_why = "there are amx, avx512, avx2 and plain";
    for (size_t i = 0; i < N_KERNELS; i++) {
        if (strcmp(kernels[i]->name, name) != 0) {
            continue;
        }
        if (kernels[i]->precision == precision) {
            *ret_why = precision == KERNEL_BF16 ? "this processor cannot run it in bf16"
                                                : "this processor cannot run it";
            return kernels[i]->can_run() ? kernels[i] : NULL;
        }
        *ret_why = precision == KERNEL_BF16
                       ? "it computes in fp32 only; bf16 is that of amx and avx512"
                       : "it computes in bf16 only";
    }
    return NULL;
}

static enum kernel_precision preferred_precision(const char *name)
{
    static const char tiles[] = "amx"; /* bf16 alone, also where this processor cannot run it */
    const char *why;
    if (name == NULL || name[0] == '\0') {
        return kernel_find(tiles, KERNEL_BF16, &why) != NULL ? KERNEL_BF16 : KERNEL_FP32;
    }
    return strcmp(name, tiles) == 0 ? KERNEL_BF16 : KERNEL_FP32;
}

const struct kernel *kernel_by_id(const char *id)
{
    for (size_t i = 0; i < N_KERNELS; i++) {
        if (strcmp(kernels[i]->id, id) == 0) {
            return kernels[i]->can_run() ? kernels[i] : NULL;
        }
    }
    return NULL;
}

int kernel_choose(const struct kernel **ret, struct error *err)
{
    const char *name = getenv("QZD_KERNEL");
    const char *precision = getenv("QZD_PRECISION");
    enum kernel_precision wanted = KERNEL_FP32;
    const char *why = "";
    if (precision != NULL && strcmp(precision, "bf16") == 0) {
        wanted = KERNEL_BF16;
    } else if (precision != NULL && strcmp(precision, "auto") == 0) {
        wanted = preferred_precision(name);
    } else if (precision != NULL && precision[0] != '\0' && strcmp(precision, "fp32") != 0) {
        return error_set(err, ERROR_UNSUPPORTED,
                         "the inference precision %s: there are fp32, bf16 and auto", precision);
    }
    bool named = name != NULL && name[0] != '\0';
    const struct kernel *kernel =
        named ? kernel_find(name, wanted, &why) : kernel_best(wanted, &why);
    if (kernel == NULL) {
        return named ? error_set(err, ERROR_UNSUPPORTED, "the inference kernel %s: %s", name, why)
                     : error_set(err, ERROR_UNSUPPORTED, "the inference precision %s: %s",
                                 precision, why);
    }
    *ret = kernel;
    return 0;
}

const struct kernel *kernel_in_fp32(const struct kernel *kernel)
{
    const char *why;
    for (size_t i = 0; i < N_KERNELS; i++) {
        if (kernels[i]->precision == KERNEL_FP32 && strcmp(kernels[i]->name, kernel->name) == 0 &&
            kernels[i]->can_run()) {
            return kernels[i];
        }
    }
    return kernel_best(KERNEL_FP32, &why);
}
