#include "trainer/dense.h"

#include <cblas.h>
#include <stddef.h>

void dense_forward(const struct dense *dense, const float *x, uint32_t n, float *ret_y)
{
    for (uint32_t f = 0; f < dense->out; f++) {
        for (uint32_t i = 0; i < n; i++) {
            ret_y[(size_t)f * n + i] = dense->bias[f];
        }
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)dense->out, (blasint)n,
                (blasint)dense->in, 1.0F, dense->weight, (blasint)dense->in, x, (blasint)n, 1.0F,
                ret_y, (blasint)n);
    if (dense->relu) {
        for (size_t i = 0; i < (size_t)dense->out * n; i++) {
            ret_y[i] = ret_y[i] > 0.0F ? ret_y[i] : 0.0F;
        }
    }
}

void dense_backward(const struct dense *dense, const float *x, const float *y, uint32_t n,
                    float *dy, float *ret_dweight, float *ret_dbias, float *ret_dx)
{
    const blasint out = (blasint)dense->out;
    const blasint in = (blasint)dense->in;
    const blasint count = (blasint)n;

    if (dense->relu) {
        for (size_t i = 0; i < (size_t)dense->out * n; i++) {
            dy[i] = y[i] > 0.0F ? dy[i] : 0.0F;
        }
    }
    for (uint32_t f = 0; f < dense->out; f++) {
        double sum = 0.0;
        for (uint32_t i = 0; i < n; i++) {
            sum += (double)dy[(size_t)f * n + i];
        }
        ret_dbias[f] = (float)sum;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, out, in, count, 1.0F, dy, count, x, count,
                0.0F, ret_dweight, in);
    if (ret_dx == NULL) {
        return;
    }
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, in, count, out, 1.0F, dense->weight, in,
                dy, count, 0.0F, ret_dx, count);
}
