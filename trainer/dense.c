#include "trainer/dense.h"
#include "trainer/crew.h"

#include <cblas.h>

void dense_forward(const struct dense *dense, const float *x, size_t n, size_t first, size_t end,
                   float *ret_y)
{
    const blasint out = (blasint)dense->out;
    const blasint in = (blasint)dense->in;

    for (size_t f = 0; f < dense->out; f++) {
        for (size_t i = first; i < end; i++) {
            ret_y[f * n + i] = dense->bias[f];
        }
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, out, (blasint)(end - first), in, 1.0F,
                dense->weight, in, x + first, (blasint)n, 1.0F, ret_y + first, (blasint)n);
    for (size_t f = 0; dense->relu && f < dense->out; f++) {
        for (size_t i = first; i < end; i++) {
            const float y = ret_y[f * n + i];
            ret_y[f * n + i] = y > 0.0F ? y : 0.0F;
        }
    }
}

void dense_backward(const struct dense *dense, const float *y, size_t n, size_t first, size_t end,
                    float *dy, float *ret_dx)
{
    const blasint out = (blasint)dense->out;
    const blasint in = (blasint)dense->in;

    for (size_t f = 0; dense->relu && f < dense->out; f++) {
        for (size_t i = first; i < end; i++) {
            dy[f * n + i] = y[f * n + i] > 0.0F ? dy[f * n + i] : 0.0F;
        }
    }
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, in, (blasint)(end - first), out, 1.0F,
                dense->weight, in, dy + first, (blasint)n, 0.0F, ret_dx + first, (blasint)n);
}

void dense_gradient(const struct dense *dense, const float *x, const float *dy, size_t n,
                    uint32_t worker, uint32_t n_workers, float *ret_dweight, float *ret_dbias)
{
    size_t first;
    size_t end;

    crew_share(dense->out, worker, n_workers, &first, &end);
    for (size_t f = first; f < end; f++) {
        double sum = 0.0;
        for (size_t i = 0; i < n; i++) {
            sum += (double)dy[f * n + i];
        }
        ret_dbias[f] = (float)sum;
    }
    if (first < end) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)(end - first),
                    (blasint)dense->in, (blasint)n, 1.0F, dy + first * n, (blasint)n, x, (blasint)n,
                    0.0F, ret_dweight + first * dense->in, (blasint)dense->in);
    }
}
