/* A 3x3 convolution of a training step, by Winograd's short products. The order of work, there and back: a
 * worker takes a few blocks of positions at a time (a chunk) from the first transform to the last, so
 * that their points stay in its own near cache: points that one core writes and another reads made two
 * threads slower than one. The weights' gradient is summed by each worker over its own chunks, and over
 * the workers at the end. */
#include "trainer/conv_internal.h"

enum { FILTER_TAPS = 9 };

/* Points of the weights as factors of products with so many rows: the outputs over the inputs, or turned. */
static void weight_points(const struct conv_job *job, bool turned, size_t first_k, size_t end_k)
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
static void weight_gradient(const struct conv_job *job, size_t first, size_t end)
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

static void input_points(const struct conv_job *job, size_t channel, size_t block, float *v,
                         size_t column)
{
    const struct conv_work *work = job->work;
    const struct conv_input *from = job->input;
    const struct lanes_input input = {
        .x = from->x + conv_block_at(job, job->shape.in, channel, block),
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
    const struct conv_job *job = context;
    size_t first;
    size_t end;

    crew_share(job->shape.in, worker, n_workers, &first, &end);
    weight_points(job, false, first, end);
}

/* Blocks [first, first + count): input, products, output. */
static void forward_chunk(const struct conv_job *job, size_t first, size_t count, float *v,
                          float *m)
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
            const size_t at = conv_positions_at(job, f, first + block);
            tile->outputs(&work->winograd, m + block * tiles * job->out.column + f * LANES,
                          job->out.point, job->out.column, job->bias == NULL ? 0.0F : job->bias[f],
                          output->y + conv_block_at(job, job->shape.out, f, first + block),
                          output->means + at, output->squares + at);
        }
    }
}

static void forward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct conv_job *job = context;
    const struct conv_work *work = job->work;
    size_t first;
    size_t end;

    conv_share_blocks(job, worker, n_workers, &first, &end);
    for (size_t block = first; block < end; block += work->chunk) {
        forward_chunk(job, block, end - block < work->chunk ? end - block : work->chunk,
                      work->v + worker * work->point_floats, work->m + worker * work->point_floats);
    }
}

void conv3_forward(struct conv_job *job)
{
    job->u_point = lanes_factors(job->shape.in, job->shape.out);
    crew_run_beside(job->work->crew, weights_task, job);
    crew_run(job->work->crew, forward_task, job);
}

/* ---- back ---- */

static void turned_weights_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct conv_job *job = context;
    size_t first;
    size_t end;

    crew_share(job->shape.out, worker, n_workers, &first, &end);
    weight_points(job, true, first, end);
}

/* Points of the gradient and of the input. */
static void backward_points(const struct conv_job *job, size_t first, size_t count,
                            const struct conv_bench *at)
{
    const struct conv_work *work = job->work;
    const size_t tiles = work->winograd.tiles;
    struct conv_factors factors __attribute__((aligned(64)));

    for (size_t block = 0; block < count; block++) {
        for (size_t f = 0; f < job->shape.out; f++) {
            const struct lanes_gradient gradient =
                conv_gradient_of(job, f, first + block, &factors);
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
static void backward_products(const struct conv_job *job, uint32_t columns, bool add,
                              const struct conv_bench *at)
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

static void input_gradient(const struct conv_job *job, size_t channel, size_t block, const float *v)
{
    const struct conv_work *work = job->work;
    const struct conv_sink *sink = job->sink;
    const size_t at = conv_block_at(job, job->shape.in, channel, block);
    struct lanes_sink to = {.dx = sink->dx + at, .add = sink->add};

    if (sink->x != NULL) {
        const size_t positions = conv_positions_at(job, channel, block);
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
    const struct conv_job *job = context;
    const struct conv_work *work = job->work;
    const size_t tiles = work->winograd.tiles;
    const struct conv_bench at = conv_bench_of(job, worker);
    size_t first;
    size_t end;

    conv_share_blocks(job, worker, n_workers, &first, &end);
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

static void weight_gradient_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct conv_job *job = context;
    size_t first;
    size_t end;

    crew_share(job->shape.out, worker, n_workers, &first, &end);
    conv_add_sums(job, job->work->winograd.points, first, end);
    weight_gradient(job, first, end);
}

void conv3_backward(struct conv_job *job)
{
    struct crew *crew = job->work->crew;

    job->u_point = lanes_factors(job->shape.out, job->shape.in);
    if (job->sink != NULL) {
        crew_run_beside(crew, turned_weights_task, job);
    }
    crew_run(crew, backward_task, job);
    crew_later(crew, weight_gradient_task, job, sizeof(*job));
}
