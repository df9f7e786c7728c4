/* With h = (x - mean) / s, s = sqrt(var + epsilon), over m values (Ioffe & Szegedy 2015):
 *     dbeta = sum dy,  dgamma = sum dy h,  dx = gamma / s (dy - dbeta / m - h dgamma / m) */
#include "trainer/batchnorm.h"
#include "trainer/buffer.h"
#include "trainer/net/net.h"

#include <math.h>

/* Sums are of floats within a block and of doubles beyond it: as quick as floats and as exact as
 * needed over the half million values of a channel. */
enum { BLOCK = 2048 };

struct job {
    const struct batchnorm *bn;
    const float *x, *y;
    size_t count;
    uint32_t channels;
    float *out, *a, *b;
};

BUFFER_CLONES
static float block_sum(const float *x, size_t n)
{
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
    }
    return sum;
}

BUFFER_CLONES
static float block_squares(const float *x, float mean, size_t n)
{
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        sum += (x[i] - mean) * (x[i] - mean);
    }
    return sum;
}

/* Masks dy by the relu in passing; sums of dy and of dy (x - mean). y NULL: no relu. */
BUFFER_CLONES
static void block_backward_sums(const float *restrict x, const float *restrict y, float mean,
                                size_t n, float *restrict dy, float *ret_sum, float *ret_product)
{
    float sum = 0.0F;
    float product = 0.0F;
    if (y != NULL) {
#pragma omp simd reduction(+ : sum, product)
        for (size_t i = 0; i < n; i++) {
            float g = y[i] > 0.0F ? dy[i] : 0.0F;
            dy[i] = g;
            sum += g;
            product += g * (x[i] - mean);
        }
    } else {
#pragma omp simd reduction(+ : sum, product)
        for (size_t i = 0; i < n; i++) {
            sum += dy[i];
            product += dy[i] * (x[i] - mean);
        }
    }
    *ret_sum = sum;
    *ret_product = product;
}

BUFFER_CLONES
static void scale_shift(const float *restrict x, float scale, float shift, bool relu, size_t n,
                        float *restrict y)
{
    if (relu) {
        for (size_t i = 0; i < n; i++) {
            float value = x[i] * scale + shift;
            y[i] = value > 0.0F ? value : 0.0F;
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            y[i] = x[i] * scale + shift;
        }
    }
}

/* dy = a dy + b x + c */
BUFFER_CLONES
static void combine(const float *restrict x, float a, float b, float c, size_t n,
                    float *restrict dy)
{
    for (size_t i = 0; i < n; i++) {
        dy[i] = a * dy[i] + (b * x[i] + c);
    }
}

static size_t block_at(size_t i, size_t count)
{
    return count - i < BLOCK ? count - i : BLOCK;
}

static void statistics_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    size_t first;
    size_t end;

    crew_share(job->channels, worker, n_workers, &first, &end);
    for (size_t c = first; c < end; c++) {
        const float *x = job->x + c * job->count;
        double sum = 0.0;
        for (size_t i = 0; i < job->count; i += BLOCK) {
            sum += (double)block_sum(x + i, block_at(i, job->count));
        }
        float mean = (float)(sum / (double)job->count);
        sum = 0.0;
        for (size_t i = 0; i < job->count; i += BLOCK) {
            sum += (double)block_squares(x + i, mean, block_at(i, job->count));
        }
        job->a[c] = mean;
        job->b[c] = (float)(sum / (double)job->count);
    }
}

void batchnorm_statistics(struct crew *crew, const float *x, uint32_t channels, size_t count,
                          float *ret_mean, float *ret_var)
{
    struct job job = {.x = x, .count = count, .channels = channels};
    job.a = ret_mean;
    job.b = ret_var;
    crew_run(crew, statistics_task, &job);
}

static void forward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct batchnorm *bn = job->bn;
    size_t first;
    size_t end;

    crew_share(job->channels, worker, n_workers, &first, &end);
    for (size_t c = first; c < end; c++) {
        float scale = bn->gamma[c] / sqrtf(bn->var[c] + NET_BN_EPSILON);
        scale_shift(job->x + c * job->count, scale, bn->beta[c] - bn->mean[c] * scale, bn->relu,
                    job->count, job->out + c * job->count);
    }
}

void batchnorm_forward(struct crew *crew, const struct batchnorm *bn, const float *x, size_t count,
                       float *ret_y)
{
    struct job job = {.bn = bn, .x = x, .count = count, .channels = bn->channels};
    job.out = ret_y;
    crew_run(crew, forward_task, &job);
}

static void backward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct batchnorm *bn = job->bn;
    const double m = (double)job->count;
    size_t first;
    size_t end;

    crew_share(job->channels, worker, n_workers, &first, &end);
    for (size_t c = first; c < end; c++) {
        const float *x = job->x + c * job->count;
        const float *y = bn->relu ? job->y + c * job->count : NULL;
        float *dy = job->out + c * job->count;
        double sum = 0.0;
        double product = 0.0;
        for (size_t i = 0; i < job->count; i += BLOCK) {
            float s;
            float p;
            block_backward_sums(x + i, y == NULL ? NULL : y + i, bn->mean[c],
                                block_at(i, job->count), dy + i, &s, &p);
            sum += (double)s;
            product += (double)p;
        }
        double inverse = 1.0 / sqrt((double)bn->var[c] + (double)NET_BN_EPSILON);
        job->a[c] = (float)(product * inverse);
        job->b[c] = (float)sum;
        double scale = (double)bn->gamma[c] * inverse;
        double slope = -scale * product * inverse * inverse / m;
        double shift = -scale * sum / m - slope * (double)bn->mean[c];
        combine(x, (float)scale, (float)slope, (float)shift, job->count, dy);
    }
}

void batchnorm_backward(struct crew *crew, const struct batchnorm *bn, const float *x,
                        const float *y, size_t count, float *dy, float *ret_dgamma,
                        float *ret_dbeta)
{
    struct job job = {.bn = bn, .x = x, .y = y, .count = count, .channels = bn->channels};
    job.out = dy;
    job.a = ret_dgamma;
    job.b = ret_dbeta;
    crew_run(crew, backward_task, &job);
}
