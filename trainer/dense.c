/* There a worker takes some of the positions, back some of the outputs and then some of the inputs: no sum is
 * divided. */
#include "trainer/dense.h"

#include <cblas.h>
#include <stddef.h>

enum { LINE = 16 /* floats that workers do not share */ };

struct job {
    const struct dense *dense;
    uint32_t n;
    const float *x, *y;
    float *out, *dy, *dweight, *dbias, *dx;
};

static void forward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct dense *dense = job->dense;
    const size_t n = job->n;
    size_t first;
    size_t end;

    crew_share((n + LINE - 1) / LINE, worker, n_workers, &first, &end);
    first *= LINE;
    end = end * LINE < n ? end * LINE : n;
    if (first >= end) {
        return;
    }
    for (size_t f = 0; f < dense->out; f++) {
        for (size_t i = first; i < end; i++) {
            job->out[f * n + i] = dense->bias[f];
        }
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)dense->out,
                (blasint)(end - first), (blasint)dense->in, 1.0F, dense->weight, (blasint)dense->in,
                job->x + first, (blasint)n, 1.0F, job->out + first, (blasint)n);
    for (size_t f = 0; dense->relu && f < dense->out; f++) {
        for (size_t i = first; i < end; i++) {
            const float y = job->out[f * n + i];
            job->out[f * n + i] = y > 0.0F ? y : 0.0F;
        }
    }
}

void dense_forward(struct crew *crew, const struct dense *dense, const float *x, uint32_t n,
                   float *ret_y)
{
    struct job job = {.dense = dense, .n = n, .x = x};
    job.out = ret_y;
    crew_run(crew, forward_task, &job);
}

/* What is done output by output: the relu, and the bias' gradient. */
static void outputs_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const size_t n = job->n;
    size_t first;
    size_t end;

    crew_share(job->dense->out, worker, n_workers, &first, &end);
    for (size_t f = first; f < end; f++) {
        float *dy = job->dy + f * n;
        double sum = 0.0;
        for (size_t i = 0; i < n; i++) {
            if (job->dense->relu) {
                dy[i] = job->y[f * n + i] > 0.0F ? dy[i] : 0.0F;
            }
            sum += (double)dy[i];
        }
        job->dbias[f] = (float)sum;
    }
}

/* Input by input: the weights' gradient, and the input's. */
static void inputs_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const blasint out = (blasint)job->dense->out;
    const blasint in = (blasint)job->dense->in;
    const blasint n = (blasint)job->n;
    size_t first;
    size_t end;

    crew_share(job->dense->in, worker, n_workers, &first, &end);
    const blasint count = (blasint)(end - first);
    if (count == 0) {
        return;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, out, count, n, 1.0F, job->dy, n,
                job->x + first * job->n, n, 0.0F, job->dweight + first, in);
    if (job->dx != NULL) {
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, count, n, out, 1.0F,
                    job->dense->weight + first, in, job->dy, n, 0.0F, job->dx + first * job->n, n);
    }
}

void dense_backward(struct crew *crew, const struct dense *dense, const float *x, const float *y,
                    uint32_t n, float *dy, float *ret_dweight, float *ret_dbias, float *ret_dx)
{
    struct job job = {.dense = dense, .n = n, .x = x, .y = y};
    job.dy = dy;
    job.dweight = ret_dweight;
    job.dbias = ret_dbias;
    job.dx = ret_dx;
    crew_run(crew, outputs_task, &job);
    crew_run(crew, inputs_task, &job);
}
