/* The order of work, there and back: a worker takes a few blocks of positions at a time (a chunk) from
 * the first transform to the last, so that their points stay in its own near cache: points that one
 * core writes and another reads made two threads slower than one. The weights' gradient is summed by
 * each worker over its own chunks, and over the workers at the end. */
#include "trainer/conv.h"
#include "trainer/buffer.h"
#include "trainer/lanes.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_COLUMNS = 2, /* at least; one is slower, and so are more */
    FILTER_TAPS = 9,
    GROUP_OF_LANES = 2 * LANES, /* of channels: see lanes.h, correlate */
};

struct conv_work {
    struct crew *crew;
    const struct lanes_kernel *kernel;
    struct winograd winograd;
    uint32_t cells;
    uint32_t chunk; /* blocks */
    float *memory;  /* of all that follows: in one piece it is large enough for huge pages */
    float *u;       /* weights as points */
    /* Each worker's own, so many floats apart: */
    size_t point_floats, du_floats;
    float *v, *m; /* the points of x, and in their place those of dx; of y or dy */
    float *du;    /* gradient of weights as points */
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
    size_t blocks;          /* of the batch */
    struct strides in, out; /* of points with so many channels */
    size_t u_point;         /* of u, turned or not */
    size_t du_row, du_point;
    float *dweight;
};
_Static_assert(sizeof(struct job) <= CREW_CONTEXT, "its last part is put off");

static struct job job_of(struct conv_work *work, const struct conv_shape *shape, uint32_t n)
{
    struct job job = {.work = work, .shape = *shape, .n = n, .blocks = lanes_blocks(n)};
    const size_t columns = (size_t)work->chunk * work->winograd.tiles;
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

/* A worker's blocks [*ret_first, *ret_end), whole chunks but for the last. */
static void share_blocks(const struct job *job, uint32_t worker, uint32_t n_workers,
                         size_t *ret_first, size_t *ret_end)
{
    const size_t chunk = job->work->chunk;

    crew_share((job->blocks + chunk - 1) / chunk, worker, n_workers, ret_first, ret_end);
    *ret_first *= chunk;
    *ret_end = *ret_end * chunk < job->blocks ? *ret_end * chunk : job->blocks;
}

/* Points of the weights as factors of products with so many rows: the outputs over the inputs, or turned. */
static void weight_points(const struct job *job, bool turned, size_t first_k, size_t end_k)
{
    const struct conv_work *work = job->work;
    const struct lanes_tile *tile = &work->kernel->tiles[work->winograd.shape];
    const size_t in = job->shape.in;
    const size_t n_rows = turned ? in : job->shape.out;
    const size_t n_k = turned ? job->shape.out : in;
    float filters[FILTER_TAPS][LANES] __attribute__((aligned(64))) = {{0}};

    for (size_t row = 0; row < n_rows; row += LANES) {
        const size_t count = n_rows - row < LANES ? n_rows - row : LANES;
        for (size_t k = first_k; k < end_k; k++) {
            for (size_t i = 0; i < count; i++) {
                const size_t filter = turned ? k * in + row + i : (row + i) * in + k;
                for (size_t tap = 0; tap < FILTER_TAPS; tap++) {
                    filters[tap][i] = job->weight[filter * FILTER_TAPS + tap];
                }
            }
            tile->filters(&work->winograd, filters[0], work->u + lanes_factor_at(n_k, row, k),
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

    crew_share(job->shape.in, worker, n_workers, &first, &end);
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
        work->kernel->product(work->u + p * job->u_point, job->shape.out, job->shape.in,
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
    size_t first;
    size_t end;

    share_blocks(job, worker, n_workers, &first, &end);
    for (size_t block = first; block < end; block += work->chunk) {
        forward_chunk(job, block, end - block < work->chunk ? end - block : work->chunk,
                      work->v + worker * work->point_floats, work->m + worker * work->point_floats);
    }
}

/* 1x1: the weights are few, and no points. */
static void place_weights1(const struct job *job, bool turned)
{
    const size_t out = job->shape.out;
    const size_t in = job->shape.in;

    for (size_t f = 0; f < out; f++) {
        for (size_t c = 0; c < in; c++) {
            job->work->u[turned ? lanes_factor_at(out, c, f) : lanes_factor_at(in, f, c)] =
                job->weight[f * in + c];
        }
    }
}

/* The activations of a block themselves are the points; a column is a cell. */
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
        work->kernel->product(work->u, job->shape.out, job->shape.in,
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
    struct job job = job_of(work, shape, n);
    job.weight = weight;
    job.bias = bias;
    job.input = input;
    job.output = output;
    job.u_point = lanes_factors(shape->in, shape->out);
    if (shape->kernel == 1) {
        place_weights1(&job, false);
        crew_run(work->crew, forward1_task, &job);
    } else {
        crew_run_beside(work->crew, weights_task, &job);
        crew_run(work->crew, forward_task, &job);
    }
}

/* ---- back ---- */

/* Batch norm's factors for a block's positions. */
struct factors {
    float a[LANES], b[LANES], c[LANES];
};

static void factors_of(const struct job *job, size_t channel, size_t block, struct factors *ret)
{
    const struct conv_gradient *from = job->gradient;
    const size_t left = job->n - block * LANES;
    const size_t positions = positions_at(job, channel, block);
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

static struct lanes_gradient gradient_of(const struct job *job, size_t channel, size_t block,
                                         struct factors *factors)
{
    const struct conv_gradient *from = job->gradient;
    const size_t at = block_at(job, job->shape.out, channel, block);

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

static void turned_weights_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    size_t first;
    size_t end;

    crew_share(job->shape.out, worker, n_workers, &first, &end);
    weight_points(job, true, first, end);
}

/* A worker's place of work: its own points and sums. */
struct bench {
    float *v, *m, *du;
};

static struct bench bench_of(const struct job *job, uint32_t worker)
{
    const struct conv_work *work = job->work;
    return (struct bench){
        work->v + worker * work->point_floats,
        work->m + worker * work->point_floats,
        work->du + worker * work->du_floats,
    };
}

/* Points of the gradient and of the input. */
static void backward_points(const struct job *job, size_t first, size_t count,
                            const struct bench *at)
{
    const struct conv_work *work = job->work;
    const size_t tiles = work->winograd.tiles;
    struct factors factors __attribute__((aligned(64)));

    for (size_t block = 0; block < count; block++) {
        for (size_t f = 0; f < job->shape.out; f++) {
            const struct lanes_gradient gradient = gradient_of(job, f, first + block, &factors);
            work->kernel->tiles[work->winograd.shape].outputs_back(
                &work->winograd, &gradient, at->m + block * tiles * job->out.column + f * LANES,
                job->out.point, job->out.column);
        }
        for (size_t c = 0; c < job->shape.in; c++) {
            input_points(job, c, first + block, at->v, block * tiles);
        }
    }
}

/* Point by point, so that dx's points may take the place of x's. */
static void backward_products(const struct job *job, uint32_t columns, bool add,
                              const struct bench *at)
{
    const struct conv_work *work = job->work;

    for (size_t p = 0; p < work->winograd.points; p++) {
        const float *m = at->m + p * job->out.point;
        float *v = at->v + p * job->in.point;
        work->kernel->correlate(m, job->out.column, LANES, job->shape.out, v, job->in.column, LANES,
                                job->shape.in, columns, at->du + p * job->du_point, job->du_row,
                                add);
        if (job->sink != NULL) {
            work->kernel->product(work->u + p * job->u_point, job->shape.in, job->shape.out, m,
                                  job->out.column, LANES, columns, v, job->in.column, LANES, false);
        }
    }
}

static void input_gradient(const struct job *job, size_t channel, size_t block, const float *v)
{
    const struct conv_work *work = job->work;
    const struct conv_sink *sink = job->sink;
    const size_t at = block_at(job, job->shape.in, channel, block);
    struct lanes_sink to = {.dx = sink->dx + at, .add = sink->add};

    if (sink->x != NULL) {
        const size_t positions = positions_at(job, channel, block);
        to.x = sink->x + at;
        to.relu = true;
        to.scale = sink->scale[channel];
        to.shift = sink->shift[channel];
        to.pivot = sink->pivot[channel];
        to.sums = sink->sums + positions;
        to.products = sink->products + positions;
    }
    work->kernel->tiles[work->winograd.shape].points_back(&work->winograd, v, job->in.point,
                                                          job->in.column, &to);
}

static void backward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct conv_work *work = job->work;
    const size_t tiles = work->winograd.tiles;
    const struct bench at = bench_of(job, worker);
    size_t first;
    size_t end;

    share_blocks(job, worker, n_workers, &first, &end);
    for (size_t chunk = first; chunk < end; chunk += work->chunk) {
        const size_t count = end - chunk < work->chunk ? end - chunk : work->chunk;
        backward_points(job, chunk, count, &at);
        backward_products(job, (uint32_t)(count * tiles), chunk > first, &at);
        for (size_t i = 0; job->sink != NULL && i < count * job->shape.in; i++) {
            const size_t block = i / job->shape.in;
            const size_t c = i % job->shape.in;
            input_gradient(job, c, chunk + block,
                           at.v + block * tiles * job->in.column + c * LANES);
        }
    }
}

/* Add the other workers' sums to the first's: rows [first, end) of so many points. */
static void add_sums(const struct job *job, size_t points, size_t first, size_t end)
{
    const struct conv_work *work = job->work;
    const uint32_t n_workers = crew_size(work->crew);

    for (uint32_t worker = 1; worker < n_workers; worker++) {
        size_t first_block;
        size_t end_block;
        share_blocks(job, worker, n_workers, &first_block, &end_block);
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

static void weight_gradient_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    size_t first;
    size_t end;

    crew_share(job->shape.out, worker, n_workers, &first, &end);
    add_sums(job, job->work->winograd.points, first, end);
    weight_gradient(job, first, end);
}

/* 1x1, block by block: the gradient of y into m, laid out like a block's activations. */
static void backward1_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct conv_work *work = job->work;
    const struct lanes_kernel *kernel = work->kernel;
    const struct bench bench = bench_of(job, worker);
    const size_t channel = floats_of_block(job);
    struct factors factors __attribute__((aligned(64)));
    size_t first;
    size_t end;

    share_blocks(job, worker, n_workers, &first, &end);
    for (size_t block = first; block < end; block++) {
        const size_t at = block_at(job, job->shape.in, 0, block);
        for (size_t f = 0; f < job->shape.out; f++) {
            const struct lanes_gradient gradient = gradient_of(job, f, block, &factors);
            kernel->gradient(&gradient, work->cells, bench.m + f * channel);
        }
        kernel->correlate(bench.m, LANES, channel, job->shape.out, job->input->x + at, LANES,
                          channel, job->shape.in, work->cells, bench.du, job->du_row,
                          block > first);
        if (job->sink != NULL) {
            kernel->product(work->u, job->shape.in, job->shape.out, bench.m, LANES, channel,
                            work->cells, job->sink->dx + at, LANES, channel, job->sink->add);
        }
    }
}

static void backward1(struct job *job)
{
    const struct conv_work *work = job->work;
    const size_t out = job->shape.out;
    const size_t in = job->shape.in;

    place_weights1(job, true);
    crew_run(work->crew, backward1_task, job);
    add_sums(job, 1, 0, out);
    for (size_t f = 0; f < out; f++) {
        memcpy(job->dweight + f * in, work->du + f * job->du_row, in * sizeof(float));
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
    struct job job = job_of(work, shape, n);
    job.weight = weight;
    job.input = input;
    job.gradient = gradient;
    job.sink = sink;
    job.dweight = ret_dweight;
    job.u_point = lanes_factors(shape->out, shape->in);
    if (shape->kernel == 1) {
        backward1(&job);
    } else {
        if (sink != NULL) {
            crew_run_beside(work->crew, turned_weights_task, &job);
        }
        crew_run(work->crew, backward_task, &job);
        crew_later(work->crew, weight_gradient_task, &job, sizeof(job));
    }
    if (ret_dbias != NULL) {
        struct bias_job bias = {.g = gradient->g, .out = shape->out, .blocks = job.blocks};
        bias.floats = floats_of_block(&job);
        bias.dbias = ret_dbias;
        crew_later(work->crew, bias_gradient_task, &bias, sizeof(bias));
    }
}
