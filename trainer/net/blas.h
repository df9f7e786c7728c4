/* OpenBLAS, proven before it is believed: Debian 12's is older than some processors. A process that
 * computes calls blas_prove() first thing in main. */
#ifndef TRAINER_NET_BLAS_H
#define TRAINER_NET_BLAS_H

#include "storage/error.h"

#include <stdbool.h>

/* Run the check (some forty odd shapes of sgemm and sgemv against plain C, every transposition, beta 0
 * over NaN) in a child, so that a crash or a hang (10 s) counts as failing. If it fails and
 * OPENBLAS_CORETYPE can still be chosen, the process is executed again from argv with the first
 * kernel of a list that passes; a user's own choice is tested too and, if it fails, refused. Once a
 * parent has proven it, children inherit the verdict by the environment (QZD_BLAS_PROVEN =
 * "<corename> <library config>") and skip the check if it names what they run. Sets one thread.
 * Returns 0, or ERROR_UNSUPPORTED with kernel and first wrong shape. */
int blas_prove(char *const argv[], struct error *err);
/* The check alone, in this process: 0 or ERROR_UNSUPPORTED. */
int blas_check(struct error *err);
const char *blas_corename(void); /* "Cooperlake" */
void blas_set_threads(int n);

/* The same with products of the caller's, by which tests see that wrong, crashing and hanging ones
 * are caught. Row-major, meaning of the arguments as in cblas_sgemm and cblas_sgemv. */
struct blas_products {
    void (*sgemm)(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha,
                  const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);
    void (*sgemv)(bool transpose, int m, int n, float alpha, const float *a, int lda,
                  const float *x, float beta, float *y);
};
int blas_check_products(const struct blas_products *products, struct error *err);
int blas_check_in_child(const struct blas_products *products, unsigned seconds, struct error *err);
int blas_prove_products(const struct blas_products *products, char *const argv[],
                        struct error *err);

#endif
