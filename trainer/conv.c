/* The order of work, in chunks of a few blocks of positions, so that their points stay in the near
 * cache. There: a worker takes a chunk from the input to the output. Back: all workers share a chunk,
 * because the weights' gradient is a sum over all of them; they first divide channels and blocks
 * (points of the gradient and of the input), then points (the products; each point's sums are one
 * worker's, so their order is always the same), then channels and blocks again. */
#include "trainer/conv.h"
#include "trainer/buffer.h"
#include "trainer/lanes.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_COLUMNS = 2, /* for each worker, at least; one is slower, and so are more */
    FILTER_TAPS = 9,
    GROUP_OF_LANES = 2 * LANES, /* of channels: see lanes.h, correlate */
};

struct conv_work {
    struct crew *crew;
    const struct lanes_kernel *kernel;
    struct winograd winograd;
    uint32_t cells;
    uint32_t there_blocks, back_blocks; /* of a chunk */
    size_t there_floats;                /* a worker's part of v and m on the way there */
    float *u, *du;                      /* weights and their gradient as points */
    float *v, *m, *dv;                  /* the points of x, y (or dy), dx */
};

/* Whatever goes over points takes a block's channels one after another, as they lie: a channel has
 * a line in each point, and the next channel the next line.
 *
 * Strides of points: [point][column][channel][16]. Odd numbers of cache lines, or the points of a
 * tile, which are written one after another, would fall on few sets of the cache. */
struct strides {
    size_t column, point;
};

static size_t odd_lines(size_t floats)
{
    return floats + (floats / LANES % 2 == 0 ? LANES : 0);
}

static struct strides strides_of(uint32_t channels, size_t columns)
{
    struct strides strides;
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

static uint32_t chunk_blocks(const struct conv_work *work, uint32_t columns, uint32_t max_batch)
{
    const uint32_t most = (uint32_t)lanes_blocks(max_batch);
    const uint32_t wanted = (columns + work->winograd.tiles - 1) / work->winograd.tiles;
    return wanted < most ? wanted : most;
}

/* Floats for the points of so many blocks. */
static size_t point_floats(const struct conv_work *work, uint32_t channels, uint32_t blocks)
{
    const size_t columns = (size_t)blocks * work->winograd.tiles;
    return work->winograd.points * strides_of(channels, columns).point;
}

struct conv_work *conv_work_create(struct crew *crew, const struct lanes_kernel *kernel,
                                   uint32_t height, uint32_t width, uint32_t max_channels,
                                   uint32_t max_batch)
{
    struct conv_work *work = calloc(1, sizeof(*work));
    if (work == NULL) {
        return NULL;
    }
    work->crew = crew;
    work->kernel = kernel;
    work->cells = height * width;
    winograd_init(&work->winograd, height, width, false);
    work->there_blocks = chunk_blocks(work, CHUNK_COLUMNS, max_batch);
    work->back_blocks = chunk_blocks(work, CHUNK_COLUMNS * crew_size(crew), max_batch);
    work->there_floats = round_up(point_floats(work, max_channels, work->there_blocks), LANES);

    const size_t there = work->there_floats * crew_size(crew);
    const size_t back = point_floats(work, max_channels, work->back_blocks);
    const size_t most = there > back ? there : back;
    const size_t weights =
        (size_t)work->winograd.points * max_channels * round_up(max_channels, GROUP_OF_LANES);
    work->u = buffer_create(weights);
    work->du = buffer_create(weights);
    work->v = buffer_create(most);
    work->m = buffer_create(most);
    work->dv = buffer_create(back);
    if (work->u == NULL || work->du == NULL || work->v == NULL || work->m == NULL ||
        work->dv == NULL) {
        conv_work_destroy(work);
        return NULL;
    }
    return work;
}

void conv_work_destroy(struct conv_work *work)
{
    if (work == NULL) {
        return;
    }
    buffer_destroy(work->u);
    buffer_destroy(work->du);
    buffer_destroy(work->v);
    buffer_destroy(work->m);
    buffer_destroy(work->dv);
    free(work);
}

/* ---- what a call shares among the crew ---- */

struct job {
    struct conv_work *work;
    struct conv_shape shape;
    const float *weight, *bias;
    const struct conv_input *input;
    const struct conv_output *output;
    const struct conv_gradient *gradient;
    const struct conv_sink *sink; /* NULL: not wanted */
    uint32_t n;
    size_t blocks;              /* of the batch */
    size_t first_block, n_here; /* of the chunk, on the way back */
    struct strides in, out;     /* of points with so many channels */
    size_t u_row, u_point;      /* of u, turned or not */
    size_t du_row, du_point;
    float *dweight;
};

static struct job job_of(struct conv_work *work, const struct conv_shape *shape, uint32_t n,
                         uint32_t chunk)
{
    struct job job = {.work = work, .shape = *shape, .n = n, .blocks = lanes_blocks(n)};
    const size_t columns = (size_t)chunk * work->winograd.tiles;
    job.in = strides_of(shape->in, columns);
    job.out = strides_of(shape->out, columns);
    job.du_row = round_up(shape->in, GROUP_OF_LANES);
    job.du_point = job.du_row * shape->out;
    return job;
}

static size_t floats_of_block(const struct job *job)
{
    return (size_t)job->work->cells * LANES;
}
/* A channel's block among activations of so many channels, and among numbers by position. */
static size_t block_at(const struct job *job, size_t channels, size_t channel, size_t block)
{
    return (block * channels + channel) * floats_of_block(job);
}
static size_t positions_at(const struct job *job, size_t channel, size_t block)
{
    return (channel * job->blocks + block) * LANES;
}

/* Points of the weights: u[point][row][lane], rows being out and lanes in, or turned. */
static void weight_points(const struct job *job, bool turned, size_t first, size_t end)
{
    const struct conv_work *work = job->work;
    const struct lanes_tile *tile = &work->kernel->tiles[work->winograd.shape];
    const size_t in = job->shape.in;
    const size_t n_lanes = turned ? job->shape.out : in;
    float filters[FILTER_TAPS][LANES] __attribute__((aligned(64))) = {{0}};

    for (size_t row = first; row < end; row++) {
        for (size_t lane = 0; lane < n_lanes; lane += LANES) {
            const size_t count = n_lanes - lane < LANES ? n_lanes - lane : LANES;
            for (size_t i = 0; i < count; i++) {
                const size_t filter = turned ? (lane + i) * in + row : row * in + lane + i;
                for (size_t k = 0; k < FILTER_TAPS; k++) {
                    filters[k][i] = job->weight[filter * FILTER_TAPS + k];
                }
            }
            tile->filters(&work->winograd, filters[0], work->u + row * job->u_row + lane,
                          job->u_point);
        }
    }
}

/* The weights' gradient out of its points. */
static void weight_gradient(const struct job *job, size_t first, size_t end)
{
    const struct conv_work *work = job->work;
    const struct lanes_tile *tile = &work->kernel->tiles[work->winograd.shape];
    const size_t in = job->shape.in;
    float filters[FILTER_TAPS][LANES] __attribute__((aligned(64)));

    for (size_t row = first; row < end; row++) {
        for (size_t lane = 0; lane < in; lane += LANES) {
            const size_t count = in - lane < LANES ? in - lane : LANES;
            tile->filters_back(&work->winograd, work->du + row * job->du_row + lane, job->du_point,
                               filters[0]);
            for (size_t i = 0; i < count; i++) {
                for (size_t k = 0; k < FILTER_TAPS; k++) {
                    job->dweight[(row * in + lane + i) * FILTER_TAPS + k] = filters[k][i];
                }
            }
        }
    }
}

static void input_points(const struct job *job, size_t channel, size_t block, float *v,
                         size_t column)
{
    const struct conv_work *work = job->work;
    const struct conv_input *from = job->input;
    const struct lanes_input input = {
        .x = from->x + block_at(job, job->shape.in, channel, block),
        .scale = from->scale == NULL ? 0.0F : from->scale[channel],
        .shift = from->scale == NULL ? 0.0F : from->shift[channel],
        .norm = from->scale != NULL,
    };
    work->kernel->tiles[work->winograd.shape].points(&work->winograd, &input,
                                                     v + column * job->in.column + channel * LANES,
                                                     job->in.point, job->in.column);
}

/* ---- there ---- */

static void weights_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    size_t first;
    size_t end;

    crew_share(job->shape.out, worker, n_workers, &first, &end);
    weight_points(job, false, first, end);
}

/* Blocks [first, first + count): input, products, output. */
static void forward_chunk(const struct job *job, size_t first, size_t count, float *v, float *m)
{
    const struct conv_work *work = job->work;
    const struct lanes_tile *tile = &work->kernel->tiles[work->winograd.shape];
    const struct conv_output *output = job->output;
    const size_t tiles = work->winograd.tiles;

    for (size_t block = 0; block < count; block++) {
        for (size_t c = 0; c < job->shape.in; c++) {
            input_points(job, c, first + block, v, block * tiles);
        }
    }
    for (size_t p = 0; p < work->winograd.points; p++) {
        work->kernel->product(work->u + p * job->u_point, job->u_row, job->shape.out, job->shape.in,
                              v + p * job->in.point, job->in.column, LANES,
                              (uint32_t)(count * tiles), m + p * job->out.point, job->out.column,
                              LANES, false);
    }
    for (size_t block = 0; block < count; block++) {
        for (size_t f = 0; f < job->shape.out; f++) {
            const size_t at = positions_at(job, f, first + block);
            tile->outputs(&work->winograd, m + block * tiles * job->out.column + f * LANES,
                          job->out.point, job->out.column, job->bias == NULL ? 0.0F : job->bias[f],
                          output->y + block_at(job, job->shape.out, f, first + block),
                          output->means + at, output->squares + at);
        }
    }
}

static void forward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct conv_work *work = job->work;
    const size_t chunk = work->there_blocks;
    float *v = work->v + worker * work->there_floats;
    float *m = work->m + worker * work->there_floats;
    size_t first;
    size_t end;

    crew_share((job->blocks + chunk - 1) / chunk, worker, n_workers, &first, &end);
    for (size_t i = first; i < end; i++) {
        const size_t left = job->blocks - i * chunk;
        forward_chunk(job, i * chunk, left < chunk ? left : chunk, v, m);
    }
}

/* 1x1: the activations of a block themselves are the points; a column is a cell. */
static void forward1_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct conv_work *work = job->work;
    const struct conv_output *output = job->output;
    const size_t channel = floats_of_block(job);
    size_t first;
    size_t end;

    crew_share(job->blocks, worker, n_workers, &first, &end);
    for (size_t block = first; block < end; block++) {
        float *y = output->y + block_at(job, job->shape.out, 0, block);
        work->kernel->product(job->weight, job->shape.in, job->shape.out, job->shape.in,
                              job->input->x + block_at(job, job->shape.in, 0, block), LANES,
                              channel, work->cells, y, LANES, channel, false);
        for (size_t f = 0; f < job->shape.out; f++) {
            const size_t at = positions_at(job, f, block);
            work->kernel->moments(y + f * channel, work->cells, output->means + at,
                                  output->squares + at);
        }
    }
}

void conv_forward(struct conv_work *work, const struct conv_shape *shape, const float *weight,
                  const float *bias, const struct conv_input *input, uint32_t n,
                  const struct conv_output *output)
{
    struct job job = job_of(work, shape, n, work->there_blocks);
    job.weight = weight;
    job.bias = bias;
    job.input = input;
    job.output = output;
    job.u_row = round_up(shape->in, LANES);
    job.u_point = job.u_row * shape->out;
    if (shape->kernel == 1) {
        crew_run(work->crew, forward1_task, &job);
    } else {
        crew_run(work->crew, weights_task, &job);
        crew_run(work->crew, forward_task, &job);
    }
}

/* ---- back ---- */

static struct lanes_gradient gradient_of(const struct job *job, size_t channel, size_t block)
{
    const struct conv_gradient *from = job->gradient;
    const size_t at = block_at(job, job->shape.out, channel, block);
    const size_t positions = positions_at(job, channel, block);

    if (from->y == NULL) {
        return (struct lanes_gradient){.g = from->g + at};
    }
    return (struct lanes_gradient){
        .g = from->g + at,
        .x = from->y + at,
        .a = from->a + positions,
        .b = from->b + positions,
        .c = from->c + positions,
        .scale = from->scale == NULL ? 0.0F : from->scale[channel],
        .shift = from->scale == NULL ? 0.0F : from->shift[channel],
        .relu = from->scale != NULL,
    };
}

/* The points of the weights (with the first chunk), of the gradient and of the input. */
static void points_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct conv_work *work = job->work;
    const struct lanes_tile *tile = &work->kernel->tiles[work->winograd.shape];
    const size_t tiles = work->winograd.tiles;
    size_t first;
    size_t end;

    if (job->sink != NULL && job->first_block == 0) {
        crew_share(job->shape.in, worker, n_workers, &first, &end);
        weight_points(job, true, first, end);
    }
    crew_share(job->shape.out * job->n_here, worker, n_workers, &first, &end);
    for (size_t i = first; i < end; i++) {
        const size_t channel = i % job->shape.out;
        const size_t block = i / job->shape.out;
        const struct lanes_gradient gradient = gradient_of(job, channel, job->first_block + block);
        tile->outputs_back(&work->winograd, &gradient,
                           work->m + block * tiles * job->out.column + channel * LANES,
                           job->out.point, job->out.column);
    }
    crew_share(job->shape.in * job->n_here, worker, n_workers, &first, &end);
    for (size_t i = first; i < end; i++) {
        const size_t block = i / job->shape.in;
        input_points(job, i % job->shape.in, job->first_block + block, work->v, block * tiles);
    }
}

static void products_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct conv_work *work = job->work;
    const uint32_t columns = (uint32_t)(job->n_here * work->winograd.tiles);
    size_t first;
    size_t end;

    crew_share(work->winograd.points, worker, n_workers, &first, &end);
    for (size_t p = first; p < end; p++) {
        const float *m = work->m + p * job->out.point;
        work->kernel->correlate(m, job->out.column, LANES, job->shape.out,
                                work->v + p * job->in.point, job->in.column, LANES, job->shape.in,
                                columns, work->du + p * job->du_point, job->du_row,
                                job->first_block > 0);
        if (job->sink != NULL) {
            work->kernel->product(work->u + p * job->u_point, job->u_row, job->shape.in,
                                  job->shape.out, m, job->out.column, LANES, columns,
                                  work->dv + p * job->in.point, job->in.column, LANES, false);
        }
    }
}

static void input_gradient_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct conv_work *work = job->work;
    const struct conv_sink *sink = job->sink;
    const size_t tiles = work->winograd.tiles;
    size_t first;
    size_t end;

    crew_share(job->shape.in * job->n_here, worker, n_workers, &first, &end);
    for (size_t i = first; i < end; i++) {
        const size_t channel = i % job->shape.in;
        const size_t block = i / job->shape.in;
        const size_t at = block_at(job, job->shape.in, channel, job->first_block + block);
        struct lanes_sink to = {.dx = sink->dx + at, .add = sink->add};
        if (sink->x != NULL) {
            const size_t positions = positions_at(job, channel, job->first_block + block);
            to.x = sink->x + at;
            to.relu = true;
            to.scale = sink->scale[channel];
            to.shift = sink->shift[channel];
            to.pivot = sink->pivot[channel];
            to.sums = sink->sums + positions;
            to.products = sink->products + positions;
        }
        work->kernel->tiles[work->winograd.shape].points_back(
            &work->winograd, work->dv + block * tiles * job->in.column + channel * LANES,
            job->in.point, job->in.column, &to);
    }
}

static void weight_gradient_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    size_t first;
    size_t end;

    crew_share(job->shape.out, worker, n_workers, &first, &end);
    weight_gradient(job, first, end);
}

static void backward3(struct job *job)
{
    struct conv_work *work = job->work;

    for (size_t block = 0; block < job->blocks; block += work->back_blocks) {
        const size_t left = job->blocks - block;
        job->first_block = block;
        job->n_here = left < work->back_blocks ? left : work->back_blocks;
        crew_run(work->crew, points_task, job);
        crew_run(work->crew, products_task, job);
        if (job->sink != NULL) {
            crew_run(work->crew, input_gradient_task, job);
        }
    }
    crew_run(work->crew, weight_gradient_task, job);
}

/* 1x1, block by block: the gradient of y into m, laid out like a block's activations. */
static void backward1(struct job *job)
{
    const struct conv_work *work = job->work;
    const struct lanes_kernel *kernel = work->kernel;
    const size_t out = job->shape.out;
    const size_t in = job->shape.in;
    const size_t channel = floats_of_block(job);

    for (size_t f = 0; f < out; f++) {
        for (size_t c = 0; c < in; c++) {
            work->u[c * out + f] = job->weight[f * in + c];
        }
    }
    for (size_t block = 0; block < job->blocks; block++) {
        const size_t at = block_at(job, in, 0, block);
        for (size_t f = 0; f < out; f++) {
            const struct lanes_gradient gradient = gradient_of(job, f, block);
            kernel->gradient(&gradient, work->cells, work->m + f * channel);
        }
        kernel->correlate(work->m, LANES, channel, job->shape.out, job->input->x + at, LANES,
                          channel, job->shape.in, work->cells, work->du, job->du_row, block > 0);
        if (job->sink != NULL) {
            kernel->product(work->u, out, job->shape.in, job->shape.out, work->m, LANES, channel,
                            work->cells, job->sink->dx + at, LANES, channel, job->sink->add);
        }
    }
    for (size_t f = 0; f < out; f++) {
        memcpy(job->dweight + f * in, work->du + f * job->du_row, in * sizeof(float));
    }
}

static void bias_gradient(const struct job *job, float *ret)
{
    for (size_t f = 0; f < job->shape.out; f++) {
        double sum = 0.0;
        for (size_t block = 0; block < job->blocks; block++) {
            const float *g = job->gradient->g + block_at(job, job->shape.out, f, block);
            for (size_t i = 0; i < floats_of_block(job); i++) {
                sum += (double)g[i];
            }
        }
        ret[f] = (float)sum;
    }
}

void conv_backward(struct conv_work *work, const struct conv_shape *shape, const float *weight,
                   const struct conv_input *input, const struct conv_gradient *gradient, uint32_t n,
                   float *ret_dweight, float *ret_dbias, const struct conv_sink *sink)
{
    struct job job = job_of(work, shape, n, work->back_blocks);
    job.weight = weight;
    job.input = input;
    job.gradient = gradient;
    job.sink = sink;
    job.dweight = ret_dweight;
    job.u_row = round_up(shape->out, LANES);
    job.u_point = job.u_row * shape->in;
    if (shape->kernel == 1) {
        backward1(&job);
    } else {
        backward3(&job);
    }
    if (ret_dbias != NULL) {
        bias_gradient(&job, ret_dbias);
    }
}
