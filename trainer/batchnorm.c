/* With h = (x - mean) / s, s = sqrt(var + epsilon), over m values (Ioffe & Szegedy 2015):
 *     dbeta = sum dy,  dgamma = sum dy h,  dx = gamma / s (dy - dbeta / m - h dgamma / m) */
#include "trainer/batchnorm.h"
#include "trainer/lanes.h"
#include "trainer/net/net.h"

#include <math.h>
#include <string.h>

struct job {
    const struct batchnorm *bn;
    const float *means, *squares, *sums, *products;
    const struct batchnorm_gate *gate;
    struct batchnorm_count count;
    uint32_t channels;
    float *mean, *var, *dgamma, *dbeta, *a, *b, *c;
};

static void statistics_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const size_t positions = lanes_blocks(job->count.n) * LANES;
    size_t first;
    size_t end;

    crew_share(job->channels, worker, n_workers, &first, &end);
    for (size_t channel = first; channel < end; channel++) {
        const float *means = job->means + channel * positions;
        const float *squares = job->squares + channel * positions;
        double sum = 0.0;
        for (size_t i = 0; i < job->count.n; i++) {
            sum += (double)means[i];
        }
        const double mean = sum / job->count.n;
        double within = 0.0;
        double between = 0.0;
        for (size_t i = 0; i < job->count.n; i++) {
            const double d = (double)means[i] - mean;
            within += (double)squares[i];
            between += d * d;
        }
        job->mean[channel] = (float)mean;
        job->var[channel] = (float)((within / (double)job->count.cells + between) / job->count.n);
    }
}

void batchnorm_statistics(struct crew *crew, const float *means, const float *squares,
                          uint32_t channels, struct batchnorm_count count, float *ret_mean,
                          float *ret_var)
{
    struct job job = {.means = means, .squares = squares, .channels = channels, .count = count};
    job.mean = ret_mean;
    job.var = ret_var;
    crew_run(crew, statistics_task, &job);
}

void batchnorm_scale(const struct batchnorm *bn, float *ret_scale, float *ret_shift)
{
    for (uint32_t channel = 0; channel < bn->channels; channel++) {
        const float scale = bn->gamma[channel] / sqrtf(bn->var[channel] + NET_BN_EPSILON);
        ret_scale[channel] = scale;
        ret_shift[channel] = bn->beta[channel] - bn->mean[channel] * scale;
    }
}

/* A channel's a, b and c, the same for all its positions but for squeeze-excitation's part. */
static void spread(const struct job *job, size_t channel, float a, float b, float c)
{
    const size_t positions = lanes_blocks(job->count.n) * LANES;
    const size_t n = job->count.n;
    float *to_a = job->a + channel * positions;
    float *to_b = job->b + channel * positions;
    float *to_c = job->c + channel * positions;

    memset(to_a + n, 0, (positions - n) * sizeof(float));
    memset(to_b + n, 0, (positions - n) * sizeof(float));
    memset(to_c + n, 0, (positions - n) * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        to_b[i] = b;
    }
    if (job->gate == NULL) {
        for (size_t i = 0; i < n; i++) {
            to_a[i] = a;
            to_c[i] = c;
        }
        return;
    }
    const float *gate = job->gate->gate + channel * positions;
    const float *dpool = job->gate->dpool + channel * positions;
    const float share = a / (float)job->count.cells;
    for (size_t i = 0; i < n; i++) {
        to_a[i] = a * gate[i];
        to_c[i] = c + share * dpool[i];
    }
}

static void backward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct batchnorm *bn = job->bn;
    const size_t positions = lanes_blocks(job->count.n) * LANES;
    const double m = (double)job->count.n * (double)job->count.cells;
    size_t first;
    size_t end;

    crew_share(bn->channels, worker, n_workers, &first, &end);
    for (size_t channel = first; channel < end; channel++) {
        double sum = 0.0;
        double product = 0.0;
        for (size_t i = channel * positions; i < channel * positions + job->count.n; i++) {
            sum += (double)job->sums[i];
            product += (double)job->products[i];
        }
        const double inverse = 1.0 / sqrt((double)bn->var[channel] + (double)NET_BN_EPSILON);
        const double scale = (double)bn->gamma[channel] * inverse;
        const double slope = -scale * product * inverse * inverse / m;
        const double shift = -scale * sum / m - slope * (double)bn->mean[channel];
        job->dgamma[channel] = (float)(product * inverse);
        job->dbeta[channel] = (float)sum;
        spread(job, channel, (float)scale, (float)slope, (float)shift);
    }
}

void batchnorm_backward(struct crew *crew, const struct batchnorm *bn, const float *sums,
                        const float *products, const struct batchnorm_gate *gate,
                        struct batchnorm_count count, float *ret_dgamma, float *ret_dbeta,
                        float *ret_a, float *ret_b, float *ret_c)
{
    struct job job = {.bn = bn, .sums = sums, .products = products, .gate = gate, .count = count};
    job.dgamma = ret_dgamma;
    job.dbeta = ret_dbeta;
    job.a = ret_a;
    job.b = ret_b;
    job.c = ret_c;
    crew_run(crew, backward_task, &job);
}
