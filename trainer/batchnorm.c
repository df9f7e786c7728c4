/* With h = (x - mean) / s, s = sqrt(var + epsilon), over m values (Ioffe & Szegedy 2015):
 *     dbeta = sum dy,  dgamma = sum dy h,  dx = gamma / s (dy - dbeta / m - h dgamma / m) */
#include "trainer/batchnorm.h"
#include "trainer/buffer.h"
#include "trainer/lanes.h"
#include "trainer/net/net.h"

#include <math.h>

struct job {
    struct batchnorm bn;
    struct batchnorm_count count;
    const float *means, *squares, *sums, *products;
    float *mean, *var, *scale, *shift; /* there */
    float *dgamma, *dbeta, *a, *b, *c; /* back */
};
_Static_assert(sizeof(struct job) <= CREW_CONTEXT, "put off whole");

/* One sum after another would wait for each addition: as many sums as there are lanes, and then their sum. */
static double sum_lanes(const double lanes[LANES])
{
    double sum = 0.0;
    for (size_t lane = 0; lane < LANES; lane++) {
        sum += lanes[lane];
    }
    return sum;
}

BUFFER_CLONES
static double sum_of(const float *x, size_t n)
{
    double lanes[LANES] = {0.0};
    const size_t whole = n / LANES * LANES;

    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            lanes[lane] += (double)x[i + lane];
        }
    }
    for (size_t i = whole; i < n; i++) {
        lanes[i - whole] += (double)x[i];
    }
    return sum_lanes(lanes);
}

/* The sum of (x - mean)^2. */
BUFFER_CLONES
static double spread_of(const float *x, size_t n, double mean)
{
    double lanes[LANES] = {0.0};
    const size_t whole = n / LANES * LANES;

    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            const double d = (double)x[i + lane] - mean;
            lanes[lane] += d * d;
        }
    }
    for (size_t i = whole; i < n; i++) {
        const double d = (double)x[i] - mean;
        lanes[i - whole] += d * d;
    }
    return sum_lanes(lanes);
}

static void scale_channel(const struct batchnorm *bn, size_t channel, float *ret_scale,
                          float *ret_shift)
{
    const float scale = bn->gamma[channel] / sqrtf(bn->var[channel] + NET_BN_EPSILON);
    ret_scale[channel] = scale;
    ret_shift[channel] = bn->beta[channel] - bn->mean[channel] * scale;
}

void batchnorm_scale(const struct batchnorm *bn, float *ret_scale, float *ret_shift)
{
    for (uint32_t channel = 0; channel < bn->channels; channel++) {
        scale_channel(bn, channel, ret_scale, ret_shift);
    }
}

static void statistics_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const size_t positions = lanes_blocks(job->count.n) * LANES;
    const size_t n = job->count.n;
    size_t first;
    size_t end;

    crew_share(job->bn.channels, worker, n_workers, &first, &end);
    for (size_t channel = first; channel < end; channel++) {
        const float *means = job->means + channel * positions;
        const double mean = sum_of(means, n) / (double)n;
        const double within = sum_of(job->squares + channel * positions, n);
        const double between = spread_of(means, n, mean);
        job->mean[channel] = (float)mean;
        job->var[channel] = (float)((within / (double)job->count.cells + between) / (double)n);
        scale_channel(&job->bn, channel, job->scale, job->shift);
    }
}

void batchnorm_statistics(struct crew *crew, const struct batchnorm *bn, const float *means,
                          const float *squares, struct batchnorm_count count, float *ret_mean,
                          float *ret_var, float *ret_scale, float *ret_shift)
{
    struct job job = {.bn = *bn, .count = count, .means = means, .squares = squares};
    job.mean = ret_mean;
    job.var = ret_var;
    job.scale = ret_scale;
    job.shift = ret_shift;
    crew_later(crew, statistics_task, &job, sizeof(job));
}

static void backward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct batchnorm *bn = &job->bn;
    const size_t positions = lanes_blocks(job->count.n) * LANES;
    const double m = (double)job->count.n * (double)job->count.cells;
    size_t first;
    size_t end;

    crew_share(bn->channels, worker, n_workers, &first, &end);
    for (size_t channel = first; channel < end; channel++) {
        const double sum = sum_of(job->sums + channel * positions, job->count.n);
        const double product = sum_of(job->products + channel * positions, job->count.n);
        const double inverse = 1.0 / sqrt((double)bn->var[channel] + (double)NET_BN_EPSILON);
        const double scale = (double)bn->gamma[channel] * inverse;
        const double slope = -scale * product * inverse * inverse / m;
        job->dgamma[channel] = (float)(product * inverse);
        job->dbeta[channel] = (float)sum;
        job->a[channel] = (float)scale;
        job->b[channel] = (float)slope;
        job->c[channel] = (float)(-scale * sum / m - slope * (double)bn->mean[channel]);
    }
}

void batchnorm_backward(struct crew *crew, const struct batchnorm *bn, const float *sums,
                        const float *products, struct batchnorm_count count, float *ret_dgamma,
                        float *ret_dbeta, float *ret_a, float *ret_b, float *ret_c)
{
    struct job job = {.bn = *bn, .count = count, .sums = sums, .products = products};
    job.dgamma = ret_dgamma;
    job.dbeta = ret_dbeta;
    job.a = ret_a;
    job.b = ret_b;
    job.c = ret_c;
    crew_later(crew, backward_task, &job, sizeof(job));
}
