/* A 3x3 convolution as one product: the nine shifted copies of each plane are the rows of a matrix
 * (im2col). A shifted copy of a whole run of positions is one read of the plane at an offset; where the
 * neighbour lies off the board, the read has strayed into another row or position and is masked to
 * zero. The way back to the input is the same product with the weights turned: transposed, and each
 * kernel rotated by 180 degrees.
 *
 * Positions are taken a few at a time (a chunk), so that the nine copies stay in the cache. */
#include "trainer/conv.h"
#include "trainer/buffer.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

enum {
    TAPS = 9,
    CHUNK_COLUMNS = 336,        /* at least so many columns a product, */
    CHUNK_FLOATS = 1024 * 1024, /* unless the copies would then take more than this */
};

struct conv_work {
    struct crew *crew;
    uint32_t height, width, cells;
    uint32_t max_channels;
    uint32_t max_chunk; /* positions */
    uint32_t *masks; /* [TAPS][max_chunk * cells]: all ones where the neighbour is on the board */
    float **columns; /* [worker]: TAPS * max_channels * max_chunk * cells */
    float **partial; /* [worker]: a weight gradient of its own */
    float *turned;   /* weights for the way back */
};

/* What one call shares among the crew. */
struct job {
    struct conv_work *work;
    struct conv_shape shape;
    const float *weight, *bias, *x, *dy;
    uint32_t n;
    uint32_t chunk;
    float *y; /* forward: the output; backward: dx, may be NULL */
    bool add; /* to y */
    float *dweight, *dbias;
};

static uint32_t chunk_positions(const struct conv_work *work, uint32_t channels)
{
    size_t wanted = (CHUNK_COLUMNS + work->cells - 1) / work->cells;
    size_t room = CHUNK_FLOATS / ((size_t)TAPS * channels * work->cells);
    if (wanted > room) {
        wanted = room;
    }
    return wanted == 0 ? 1 : (uint32_t)wanted;
}

static void fill_masks(struct conv_work *work)
{
    const int height = (int)work->height;
    const int width = (int)work->width;
    uint32_t *mask = work->masks;

    for (int tap = 0; tap < TAPS; tap++) {
        for (uint32_t p = 0; p < work->max_chunk; p++) {
            for (int y = 0; y < height; y++) {
                for (int x = 0; x < width; x++) {
                    int ny = y + tap / 3 - 1;
                    int nx = x + tap % 3 - 1;
                    bool on = ny >= 0 && ny < height && nx >= 0 && nx < width;
                    *mask++ = on ? UINT32_MAX : 0;
                }
            }
        }
    }
}

struct conv_work *conv_work_create(struct crew *crew, uint32_t height, uint32_t width,
                                   uint32_t max_channels)
{
    struct conv_work *work = calloc(1, sizeof(*work));
    if (work == NULL) {
        return NULL;
    }
    const uint32_t n_workers = crew_size(crew);
    work->crew = crew;
    work->height = height;
    work->width = width;
    work->cells = height * width;
    work->max_channels = max_channels;
    work->max_chunk = chunk_positions(work, 1);
    work->masks = calloc((size_t)TAPS * work->max_chunk * work->cells, sizeof(*work->masks));
    work->columns = calloc(n_workers, sizeof(*work->columns));
    work->partial = calloc(n_workers, sizeof(*work->partial));
    work->turned = buffer_create((size_t)TAPS * max_channels * max_channels);
    if (work->masks == NULL || work->columns == NULL || work->partial == NULL ||
        work->turned == NULL) {
        conv_work_destroy(work);
        return NULL;
    }
    size_t columns = (size_t)TAPS * max_channels * work->cells;
    size_t most = columns > CHUNK_FLOATS ? columns : CHUNK_FLOATS;
    size_t wanted = columns * work->max_chunk;
    for (uint32_t i = 0; i < n_workers; i++) {
        work->columns[i] = buffer_create(wanted < most ? wanted : most);
        work->partial[i] = buffer_create((size_t)TAPS * max_channels * max_channels);
        if (work->columns[i] == NULL || work->partial[i] == NULL) {
            conv_work_destroy(work);
            return NULL;
        }
    }
    fill_masks(work);
    return work;
}

void conv_work_destroy(struct conv_work *work)
{
    if (work == NULL) {
        return;
    }
    for (uint32_t i = 0; i < crew_size(work->crew); i++) {
        if (work->columns != NULL) {
            buffer_destroy(work->columns[i]);
        }
        if (work->partial != NULL) {
            buffer_destroy(work->partial[i]);
        }
    }
    buffer_destroy(work->turned);
    free(work->partial);
    free(work->columns);
    free(work->masks);
    free(work);
}

BUFFER_CLONES
static void copy_masked(const uint32_t *restrict src, const uint32_t *restrict mask, size_t n,
                        uint32_t *restrict dst)
{
    for (size_t i = 0; i < n; i++) {
        dst[i] = src[i] & mask[i];
    }
}

/* x: a channel's first cell of the chunk, channels `stride` apart; ret: [channels * TAPS][columns]. */
static void gather_columns(const struct conv_work *work, const float *x, uint32_t channels,
                           size_t stride, size_t columns, float *ret)
{
    const size_t mask_row = (size_t)work->max_chunk * work->cells;

    for (uint32_t c = 0; c < channels; c++) {
        for (int tap = 0; tap < TAPS; tap++) {
            ptrdiff_t shift = (ptrdiff_t)(tap / 3 - 1) * (ptrdiff_t)work->width + (tap % 3 - 1);
            /* bits, not numbers: what lies off the board may be anything, even NaN */
            copy_masked((const uint32_t *)(const void *)(x + c * stride) + shift,
                        work->masks + (size_t)tap * mask_row, columns, (uint32_t *)(void *)ret);
            ret += columns;
        }
    }
}

/* y[rows][columns of this chunk] (+)= w[rows][k] * x-or-its-copies[k][columns]. */
static void product(const struct job *job, const float *w, uint32_t rows, uint32_t channels,
                    const float *x, size_t offset, size_t columns, float *scratch, bool add,
                    float *y)
{
    const size_t stride = (size_t)job->n * job->work->cells;
    const float *b = x + offset;
    size_t ldb = stride;
    uint32_t k = channels;

    if (job->shape.kernel == 3) {
        gather_columns(job->work, b, channels, stride, columns, scratch);
        b = scratch;
        ldb = columns;
        k = channels * TAPS;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)rows, (blasint)columns,
                (blasint)k, 1.0F, w, (blasint)k, b, (blasint)ldb, add ? 1.0F : 0.0F, y + offset,
                (blasint)stride);
}

static void forward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const uint32_t cells = job->work->cells;
    const size_t stride = (size_t)job->n * cells;
    size_t first;
    size_t end;

    crew_share((job->n + job->chunk - 1) / job->chunk, worker, n_workers, &first, &end);
    for (size_t i = first; i < end; i++) {
        size_t position = i * job->chunk;
        size_t left = job->n - position;
        size_t columns = (left < job->chunk ? left : job->chunk) * cells;
        size_t offset = position * cells;
        if (job->bias != NULL) {
            for (uint32_t f = 0; f < job->shape.out; f++) {
                float *row = job->y + f * stride + offset;
                for (size_t j = 0; j < columns; j++) {
                    row[j] = job->bias[f];
                }
            }
        }
        product(job, job->weight, job->shape.out, job->shape.in, job->x, offset, columns,
                job->work->columns[worker], job->bias != NULL, job->y);
    }
}

void conv_forward(struct conv_work *work, const struct conv_shape *shape, const float *weight,
                  const float *bias, const float *x, uint32_t n, float *ret_y)
{
    struct job job = {.work = work,
                      .shape = *shape,
                      .weight = weight,
                      .bias = bias,
                      .x = x,
                      .n = n,
                      .chunk = chunk_positions(work, shape->in)};
    job.y = ret_y;
    crew_run(work->crew, forward_task, &job);
}

/* turned[in][out][2 - ky][2 - kx] = weight[out][in][ky][kx] */
static void turn_weights(const struct conv_shape *shape, const float *weight, float *ret)
{
    const uint32_t taps = shape->kernel * shape->kernel;

    for (uint32_t f = 0; f < shape->out; f++) {
        for (uint32_t c = 0; c < shape->in; c++) {
            const float *from = weight + ((size_t)f * shape->in + c) * taps;
            float *to = ret + ((size_t)c * shape->out + f) * taps;
            for (uint32_t k = 0; k < taps; k++) {
                to[taps - 1 - k] = from[k];
            }
        }
    }
}

/* dweight (+)= dy[out][columns] * x-or-its-copies[k][columns]^T */
static void weight_product(const struct job *job, size_t offset, size_t columns, float *scratch,
                           bool add, float *dweight)
{
    const size_t stride = (size_t)job->n * job->work->cells;
    const float *b = job->x + offset;
    size_t ldb = stride;
    uint32_t k = job->shape.in;

    if (job->shape.kernel == 3) {
        gather_columns(job->work, b, job->shape.in, stride, columns, scratch);
        b = scratch;
        ldb = columns;
        k *= TAPS;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)job->shape.out, (blasint)k,
                (blasint)columns, 1.0F, job->dy + offset, (blasint)stride, b, (blasint)ldb,
                add ? 1.0F : 0.0F, dweight, (blasint)k);
}

static void backward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const uint32_t cells = job->work->cells;
    float *scratch = job->work->columns[worker];
    float *dweight = worker == 0 ? job->dweight : job->work->partial[worker];
    size_t first;
    size_t end;

    crew_share((job->n + job->chunk - 1) / job->chunk, worker, n_workers, &first, &end);
    if (first == end) { /* a small batch has less chunks than workers */
        size_t taps = (size_t)job->shape.kernel * job->shape.kernel;
        memset(dweight, 0, taps * job->shape.in * job->shape.out * sizeof(float));
    }
    for (size_t i = first; i < end; i++) {
        size_t position = i * job->chunk;
        size_t left = job->n - position;
        size_t columns = (left < job->chunk ? left : job->chunk) * cells;
        weight_product(job, position * cells, columns, scratch, i > first, dweight);
        if (job->y != NULL) {
            product(job, job->work->turned, job->shape.in, job->shape.out, job->dy,
                    position * cells, columns, scratch, job->add, job->y);
        }
    }
}

static void bias_gradient(const struct job *job)
{
    const size_t stride = (size_t)job->n * job->work->cells;

    for (uint32_t f = 0; f < job->shape.out; f++) {
        double sum = 0.0;
        for (size_t i = 0; i < stride; i++) {
            sum += (double)job->dy[f * stride + i];
        }
        job->dbias[f] = (float)sum;
    }
}

void conv_backward(struct conv_work *work, const struct conv_shape *shape, const float *weight,
                   const float *x, const float *dy, uint32_t n, float *ret_dweight,
                   float *ret_dbias, float *ret_dx, bool add)
{
    const uint32_t most = shape->in > shape->out ? shape->in : shape->out;
    struct job job = {.work = work,
                      .shape = *shape,
                      .weight = weight,
                      .x = x,
                      .dy = dy,
                      .n = n,
                      .chunk = chunk_positions(work, most),
                      .add = add};
    job.y = ret_dx;
    job.dweight = ret_dweight;
    job.dbias = ret_dbias;

    if (ret_dx != NULL) {
        turn_weights(shape, weight, work->turned);
    }
    crew_run(work->crew, backward_task, &job);
    const size_t count = (size_t)shape->kernel * shape->kernel * shape->in * shape->out;
    for (uint32_t i = 1; i < crew_size(work->crew); i++) {
        for (size_t j = 0; j < count; j++) {
            ret_dweight[j] += work->partial[i][j];
        }
    }
    if (ret_dbias != NULL) {
        bias_gradient(&job);
    }
}
