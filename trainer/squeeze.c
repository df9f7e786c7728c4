#include "trainer/squeeze.h"
#include "trainer/buffer.h"
#include "trainer/dense.h"

#include <math.h>
#include <string.h>

struct job {
    const struct squeeze_shape *shape;
    const struct squeeze_state *state;
    const float *x, *skip, *y;
    uint32_t n;
    float *out, *dy;
};

BUFFER_CLONES
static void pool_rows(const float *restrict x, size_t rows, size_t cells, float *restrict ret)
{
    for (size_t r = 0; r < rows; r++) {
        float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
        for (size_t i = 0; i < cells; i++) {
            sum += x[r * cells + i];
        }
        ret[r] = sum / (float)cells;
    }
}

BUFFER_CLONES
static void gate_rows(const float *restrict x, const float *restrict skip,
                      const float *restrict gate, const float *restrict shift, size_t rows,
                      size_t cells, float *restrict y)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = r * cells; i < (r + 1) * cells; i++) {
            float value = gate[r] * x[i] + shift[r] + skip[i];
            y[i] = value > 0.0F ? value : 0.0F;
        }
    }
}

BUFFER_CLONES
static void add_relu(const float *restrict x, const float *restrict skip, size_t n,
                     float *restrict y)
{
    for (size_t i = 0; i < n; i++) {
        float value = x[i] + skip[i];
        y[i] = value > 0.0F ? value : 0.0F;
    }
}

/* Masks dy by the relu; dgate = sum dy x, dshift = sum dy of each row. */
BUFFER_CLONES
static void gate_sums(const float *restrict x, const float *restrict y, size_t rows, size_t cells,
                      float *restrict dy, float *restrict dgate, float *restrict dshift)
{
    for (size_t r = 0; r < rows; r++) {
        float product = 0.0F;
        float sum = 0.0F;
#pragma omp simd reduction(+ : product, sum)
        for (size_t i = r * cells; i < (r + 1) * cells; i++) {
            float g = y[i] > 0.0F ? dy[i] : 0.0F;
            dy[i] = g;
            product += g * x[i];
            sum += g;
        }
        dgate[r] = product;
        dshift[r] = sum;
    }
}

BUFFER_CLONES
static void mask_copy(const float *restrict y, size_t n, float *restrict dy, float *restrict dx)
{
    for (size_t i = 0; i < n; i++) {
        float g = y[i] > 0.0F ? dy[i] : 0.0F;
        dy[i] = g;
        dx[i] = g;
    }
}

BUFFER_CLONES
static void gate_back(const float *restrict dy, const float *restrict gate,
                      const float *restrict dpool, size_t rows, size_t cells, float *restrict dx)
{
    for (size_t r = 0; r < rows; r++) {
        float shift = dpool[r] / (float)cells;
        for (size_t i = r * cells; i < (r + 1) * cells; i++) {
            dx[i] = gate[r] * dy[i] + shift;
        }
    }
}

static void pool_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const size_t cells = job->shape->cells;
    size_t first;
    size_t end;
    crew_share((size_t)job->shape->channels * job->n, worker, n_workers, &first, &end);
    pool_rows(job->x + first * cells, end - first, cells, job->state->pool + first);
}

static void forward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const size_t cells = job->shape->cells;
    const size_t rows = (size_t)job->shape->channels * job->n;
    size_t first;
    size_t end;
    crew_share(rows, worker, n_workers, &first, &end);
    const size_t at = first * cells;
    if (job->shape->squeeze == 0) {
        add_relu(job->x + at, job->skip + at, (end - first) * cells, job->out + at);
    } else {
        gate_rows(job->x + at, job->skip + at, job->state->gates + first,
                  job->state->gates + rows + first, end - first, cells, job->out + at);
    }
}

static struct dense first_dense(const struct squeeze_shape *shape,
                                const struct squeeze_weights *weights)
{
    return (struct dense){.in = shape->channels,
                          .out = shape->squeeze,
                          .relu = true,
                          .weight = weights->w1,
                          .bias = weights->b1};
}

static struct dense second_dense(const struct squeeze_shape *shape,
                                 const struct squeeze_weights *weights)
{
    return (struct dense){.in = shape->squeeze,
                          .out = 2 * shape->channels,
                          .weight = weights->w2,
                          .bias = weights->b2};
}

void squeeze_forward(struct crew *crew, const struct squeeze_shape *shape,
                     const struct squeeze_weights *weights, const float *x, const float *skip,
                     uint32_t n, struct squeeze_state *state, float *ret_y)
{
    struct job job = {.shape = shape, .state = state, .x = x, .skip = skip, .n = n};
    job.out = ret_y;

    if (shape->squeeze != 0) {
        struct dense first = first_dense(shape, weights);
        struct dense second = second_dense(shape, weights);
        crew_run(crew, pool_task, &job);
        dense_forward(&first, state->pool, n, state->t);
        dense_forward(&second, state->t, n, state->gates);
        for (size_t i = 0; i < (size_t)shape->channels * n; i++) {
            state->gates[i] = 1.0F / (1.0F + expf(-state->gates[i]));
        }
    }
    crew_run(crew, forward_task, &job);
}

static void sums_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const size_t cells = job->shape->cells;
    const size_t rows = (size_t)job->shape->channels * job->n;
    size_t first;
    size_t end;
    crew_share(rows, worker, n_workers, &first, &end);
    const size_t at = first * cells;
    if (job->shape->squeeze == 0) {
        mask_copy(job->y + at, (end - first) * cells, job->dy + at, job->out + at);
    } else {
        gate_sums(job->x + at, job->y + at, end - first, cells, job->dy + at,
                  job->state->dgates + first, job->state->dgates + rows + first);
    }
}

static void backward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const size_t cells = job->shape->cells;
    size_t first;
    size_t end;
    crew_share((size_t)job->shape->channels * job->n, worker, n_workers, &first, &end);
    gate_back(job->dy + first * cells, job->state->gates + first, job->state->dpool + first,
              end - first, cells, job->out + first * cells);
}

void squeeze_backward(struct crew *crew, const struct squeeze_shape *shape,
                      const struct squeeze_weights *weights, const float *x, const float *y,
                      uint32_t n, struct squeeze_state *state, float *dy,
                      const struct squeeze_gradients *gradients, float *ret_dx)
{
    struct job job = {.shape = shape, .state = state, .x = x, .y = y, .n = n};
    job.out = ret_dx;
    job.dy = dy;

    crew_run(crew, sums_task, &job);
    if (shape->squeeze == 0) {
        return;
    }
    for (size_t i = 0; i < (size_t)shape->channels * n; i++) {
        state->dgates[i] *= state->gates[i] * (1.0F - state->gates[i]);
    }
    struct dense first = first_dense(shape, weights);
    struct dense second = second_dense(shape, weights);
    dense_backward(&second, state->t, NULL, n, state->dgates, gradients->w2, gradients->b2,
                   state->dt);
    dense_backward(&first, state->pool, state->t, n, state->dt, gradients->w1, gradients->b1,
                   state->dpool);
    crew_run(crew, backward_task, &job);
}
