/* The memory of convolutions, what their two kinds share, and the calls, there and back. */
#include "trainer/buffer.h"
#include "trainer/conv_internal.h"

#include <stdlib.h>

enum {
    CHUNK_COLUMNS = 2,          /* at least; one is slower, and so are more */
    GROUP_OF_LANES = 2 * LANES, /* of channels: see lanes.h, correlate */
};

static size_t odd_lines(size_t floats)
{
    return floats + (floats / LANES % 2 == 0 ? LANES : 0);
}

static struct conv_strides strides_of(uint32_t channels, size_t columns)
{
    struct conv_strides strides;
    strides.column = odd_lines((size_t)channels * LANES);
    strides.point = odd_lines(columns * strides.column);
    return strides;
}

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

float *activation_create(uint32_t channels, uint32_t n, size_t cells)
{
    return buffer_create(channels * lanes_size(n, cells));
}

/* ---- memory ---- */

static uint32_t chunk_blocks(const struct conv_work *work, uint32_t max_batch)
{
    const uint32_t most = (uint32_t)lanes_blocks(max_batch);
    const uint32_t wanted = (CHUNK_COLUMNS + work->winograd.tiles - 1) / work->winograd.tiles;
    return wanted < most ? wanted : most;
}

struct conv_work *conv_work_create(struct crew *crew, const struct lanes_kernel *kernel,
                                   uint32_t height, uint32_t width, uint32_t max_channels,
                                   uint32_t max_batch)
{
    const size_t n_workers = crew_size(crew);
    struct conv_work *work = calloc(1, sizeof(*work));
    if (work == NULL) {
        return NULL;
    }
    work->crew = crew;
    work->kernel = kernel;
    work->cells = height * width;
    winograd_init(&work->winograd, height, width, WINOGRAD_LARGE);
    work->chunk = chunk_blocks(work, max_batch);

    const size_t columns = (size_t)work->chunk * work->winograd.tiles;
    const size_t points = work->winograd.points;
    work->point_floats = points * strides_of(max_channels, columns).point;
    work->du_floats =
        round_up(points * max_channels * round_up(max_channels, GROUP_OF_LANES), LANES);
    work->memory =
        buffer_create(work->du_floats * (n_workers + 1) + 2 * work->point_floats * n_workers);
    if (work->memory == NULL) {
        conv_work_destroy(work);
        return NULL;
    }
    work->u = work->memory;
    work->du = work->u + work->du_floats;
    work->v = work->du + work->du_floats * n_workers;
    work->m = work->v + work->point_floats * n_workers;
    return work;
}

void conv_work_destroy(struct conv_work *work)
{
    if (work == NULL) {
        return;
    }
    buffer_destroy(work->memory);
    free(work);
}

/* ---- a call ---- */

static struct conv_job job_of(struct conv_work *work, const struct conv_shape *shape, uint32_t n)
{
    struct conv_job job = {.work = work, .shape = *shape, .n = n, .blocks = lanes_blocks(n)};
    const size_t columns = (size_t)work->chunk * work->winograd.tiles;
    job.in = strides_of(shape->in, columns);
    job.out = strides_of(shape->out, columns);
    job.du_row = round_up(shape->in, GROUP_OF_LANES);
    job.du_point = job.du_row * shape->out;
    return job;
}

void conv_share_blocks(const struct conv_job *job, uint32_t worker, uint32_t n_workers,
                       size_t *ret_first, size_t *ret_end)
{
    const size_t chunk = job->work->chunk;

    crew_share((job->blocks + chunk - 1) / chunk, worker, n_workers, ret_first, ret_end);
    *ret_first *= chunk;
    *ret_end = *ret_end * chunk < job->blocks ? *ret_end * chunk : job->blocks;
}

struct conv_bench conv_bench_of(const struct conv_job *job, uint32_t worker)
{
    const struct conv_work *work = job->work;
    return (struct conv_bench){
        work->v + worker * work->point_floats,
        work->m + worker * work->point_floats,
        work->du + worker * work->du_floats,
    };
}

static void factors_of(const struct conv_job *job, size_t channel, size_t block,
                       struct conv_factors *ret)
{
    const struct conv_gradient *from = job->gradient;
    const size_t left = job->n - block * LANES;
    const size_t positions = conv_positions_at(job, channel, block);
    const float share = from->a[channel] / (float)job->work->cells;

    for (size_t i = 0; i < LANES; i++) {
        ret->a[i] =
            from->gate == NULL ? from->a[channel] : from->a[channel] * from->gate[positions + i];
        ret->b[i] = from->b[channel];
        ret->c[i] = from->gate == NULL ? from->c[channel]
                                       : from->c[channel] + share * from->dpool[positions + i];
    }
    for (size_t i = left; i < LANES; i++) {
        ret->a[i] = 0.0F;
        ret->b[i] = 0.0F;
        ret->c[i] = 0.0F;
    }
}

struct lanes_gradient conv_gradient_of(const struct conv_job *job, size_t channel, size_t block,
                                       struct conv_factors *factors)
{
    const struct conv_gradient *from = job->gradient;
    const size_t at = conv_block_at(job, job->shape.out, channel, block);

    if (from->y == NULL) {
        return (struct lanes_gradient){.g = from->g + at};
    }
    factors_of(job, channel, block, factors);
    return (struct lanes_gradient){
        .g = from->g + at,
        .x = from->y + at,
        .a = factors->a,
        .b = factors->b,
        .c = factors->c,
        .scale = from->scale == NULL ? 0.0F : from->scale[channel],
        .shift = from->scale == NULL ? 0.0F : from->shift[channel],
        .relu = from->scale != NULL,
    };
}

void conv_add_sums(const struct conv_job *job, size_t points, size_t first, size_t end)
{
    const struct conv_work *work = job->work;
    const uint32_t n_workers = crew_size(work->crew);

    for (uint32_t worker = 1; worker < n_workers; worker++) {
        size_t first_block;
        size_t end_block;
        conv_share_blocks(job, worker, n_workers, &first_block, &end_block);
        if (first_block >= end_block) {
            continue; /* it had nothing to do */
        }
        const float *from = work->du + worker * work->du_floats;
        for (size_t p = 0; p < points; p++) {
            for (size_t i = p * job->du_point + first * job->du_row;
                 i < p * job->du_point + end * job->du_row; i++) {
                work->du[i] += from[i];
            }
        }
    }
}

void conv_forward(struct conv_work *work, const struct conv_shape *shape, const float *weight,
                  const float *bias, const struct conv_input *input, uint32_t n,
                  const struct conv_output *output)
{
    struct conv_job job = job_of(work, shape, n);
    job.weight = weight;
    job.bias = bias;
    job.input = input;
    job.output = output;
    if (shape->kernel == 1) {
        conv1_forward(&job);
    } else {
        conv3_forward(&job);
    }
}

struct bias_job {
    const float *g;
    float *dbias;
    size_t out, blocks, floats; /* of a channel of a block */
};

static void bias_gradient_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct bias_job *job = context;
    size_t first;
    size_t end;

    crew_share(job->out, worker, n_workers, &first, &end);
    for (size_t f = first; f < end; f++) {
        double sum = 0.0;
        for (size_t block = 0; block < job->blocks; block++) {
            const float *g = job->g + (block * job->out + f) * job->floats;
            for (size_t i = 0; i < job->floats; i++) {
                sum += (double)g[i];
            }
        }
        job->dbias[f] = (float)sum;
    }
}

void conv_backward(struct conv_work *work, const struct conv_shape *shape, const float *weight,
                   const struct conv_input *input, const struct conv_gradient *gradient, uint32_t n,
                   float *ret_dweight, float *ret_dbias, const struct conv_sink *sink)
{
    struct conv_job job = job_of(work, shape, n);
    job.weight = weight;
    job.input = input;
    job.gradient = gradient;
    job.sink = sink;
    job.dweight = ret_dweight;
    if (shape->kernel == 1) {
        conv1_backward(&job);
    } else {
        conv3_backward(&job);
    }
    if (ret_dbias != NULL) {
        struct bias_job bias = {.g = gradient->g, .out = shape->out, .blocks = job.blocks};
        bias.floats = conv_floats_of_block(&job);
        bias.dbias = ret_dbias;
        crew_later(work->crew, bias_gradient_task, &bias, sizeof(bias));
    }
}
