#include "trainer/squeeze.h"
#include "trainer/dense.h"

#include <math.h>
#include <string.h>

struct job {
    const struct lanes_kernel *kernel;
    const struct squeeze_shape *shape;
    const struct squeeze_state *state;
    const struct squeeze_input *input;
    const float *skip, *y;
    float *out, *dy;
};

static size_t positions_of(const struct squeeze_shape *shape)
{
    return lanes_blocks(shape->count.n) * LANES;
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

/* ---- there ---- */

static void pool_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct squeeze_input *input = job->input;
    const size_t positions = positions_of(job->shape);
    size_t first;
    size_t end;

    crew_share(job->shape->channels, worker, n_workers, &first, &end);
    for (size_t c = first; c < end; c++) {
        for (size_t i = c * positions; i < (c + 1) * positions; i++) {
            job->state->pool[i] = input->scale[c] * input->means[i] + input->shift[c];
        }
    }
}

static void sigmoid_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    float *gates = job->state->gates;
    size_t first;
    size_t end;

    crew_share(job->shape->channels * lanes_blocks(job->shape->count.n), worker, n_workers, &first,
               &end);
    for (size_t i = first * LANES; i < end * LANES; i++) {
        gates[i] = 1.0F / (1.0F + expf(-gates[i]));
    }
}

/* y = relu(a x + c + skip): a and c of a channel's block, whose numbers by position begin at `at`. */
static void factors(const struct job *job, size_t channel, size_t at, float a[LANES],
                    float c[LANES])
{
    const struct squeeze_shape *shape = job->shape;
    const float scale = job->input->scale[channel];
    const float shift = job->input->shift[channel];

    if (shape->squeeze == 0) {
        for (size_t i = 0; i < LANES; i++) {
            a[i] = scale;
            c[i] = shift;
        }
        return;
    }
    const float *gate = job->state->gates + at;
    const float *add = gate + shape->channels * positions_of(shape);
    for (size_t i = 0; i < LANES; i++) {
        a[i] = scale * gate[i];
        c[i] = shift * gate[i] + add[i];
    }
}

static void forward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const size_t channels = job->shape->channels;
    const size_t cells = job->shape->count.cells;
    const size_t blocks = lanes_blocks(job->shape->count.n);
    float a[LANES] __attribute__((aligned(64)));
    float c[LANES] __attribute__((aligned(64)));
    size_t first;
    size_t end;

    crew_share(blocks * channels, worker, n_workers, &first, &end);
    for (size_t i = first; i < end; i++) { /* as the blocks' channels lie */
        const size_t channel = i % channels;
        const size_t at = i * cells * LANES;
        factors(job, channel, (channel * blocks + i / channels) * LANES, a, c);
        job->kernel->finish(job->input->x + at, job->skip == NULL ? NULL : job->skip + at, a, c,
                            (uint32_t)cells, job->out + at);
    }
}

void squeeze_forward(struct crew *crew, const struct lanes_kernel *kernel,
                     const struct squeeze_shape *shape, const struct squeeze_weights *weights,
                     const struct squeeze_input *input, const float *skip,
                     const struct squeeze_state *state, float *ret_y)
{
    struct job job = {
        .kernel = kernel, .shape = shape, .state = state, .input = input, .skip = skip};
    const uint32_t positions = (uint32_t)positions_of(shape);
    job.out = ret_y;

    if (shape->squeeze != 0) {
        const struct dense first = first_dense(shape, weights);
        const struct dense second = second_dense(shape, weights);
        crew_run(crew, pool_task, &job);
        dense_forward(crew, &first, state->pool, positions, state->t);
        dense_forward(crew, &second, state->t, positions, state->gates);
        crew_run(crew, sigmoid_task, &job);
    }
    crew_run(crew, forward_task, &job);
}

/* ---- back ---- */

static void sums_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const size_t channels = job->shape->channels;
    const size_t cells = job->shape->count.cells;
    const size_t blocks = lanes_blocks(job->shape->count.n);
    size_t first;
    size_t end;

    crew_share(blocks * channels, worker, n_workers, &first, &end);
    for (size_t i = first; i < end; i++) {
        const size_t channel = i % channels;
        const size_t at = i * cells * LANES;
        const size_t position = (channel * blocks + i / channels) * LANES;
        job->kernel->finish_back(job->input->x + at, job->y + at, job->input->mean[channel],
                                 (uint32_t)cells, job->dy + at, job->state->sums + position,
                                 job->state->products + position);
    }
}

/* sums and products come in as those of dy and dy (x - mean): the gradient of g's sum is dy z, that
 * of b is dy. */
static void gate_gradients_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct squeeze_shape *shape = job->shape;
    const struct squeeze_state *state = job->state;
    const size_t positions = positions_of(shape);
    const size_t half = shape->channels * positions;
    size_t first;
    size_t end;

    crew_share(shape->channels, worker, n_workers, &first, &end);
    for (size_t c = first; c < end; c++) {
        for (size_t i = c * positions; i < (c + 1) * positions; i++) {
            const float gate = state->gates[i];
            const float dgate =
                job->input->scale[c] * state->products[i] + job->input->beta[c] * state->sums[i];
            state->dgates[i] = dgate * gate * (1.0F - gate);
            state->dgates[half + i] = state->sums[i];
        }
    }
}

/* From sums of dy to sums of z's gradient. */
static void gate_sums_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct squeeze_state *state = job->state;
    const size_t positions = positions_of(job->shape);
    size_t first;
    size_t end;

    crew_share(job->shape->channels, worker, n_workers, &first, &end);
    for (size_t c = first; c < end; c++) {
        const float mean = job->input->mean[c];
        for (size_t i = c * positions; i < (c + 1) * positions; i++) {
            const float gate = state->gates[i];
            state->sums[i] = gate * state->sums[i] + state->dpool[i];
            state->products[i] =
                gate * state->products[i] + state->dpool[i] * (job->input->means[i] - mean);
        }
    }
}

void squeeze_backward(struct crew *crew, const struct lanes_kernel *kernel,
                      const struct squeeze_shape *shape, const struct squeeze_weights *weights,
                      const struct squeeze_input *input, const float *y,
                      const struct squeeze_state *state, float *dy,
                      const struct squeeze_gradients *gradients, struct batchnorm_gate *ret_gate)
{
    struct job job = {.kernel = kernel, .shape = shape, .state = state, .input = input, .y = y};
    const uint32_t positions = (uint32_t)positions_of(shape);
    job.dy = dy;

    *ret_gate = (struct batchnorm_gate){0};
    crew_run(crew, sums_task, &job);
    if (shape->squeeze == 0) {
        return;
    }
    const struct dense first = first_dense(shape, weights);
    const struct dense second = second_dense(shape, weights);
    crew_run(crew, gate_gradients_task, &job);
    dense_backward(crew, &second, state->t, NULL, positions, state->dgates, gradients->w2,
                   gradients->b2, state->dt);
    dense_backward(crew, &first, state->pool, state->t, positions, state->dt, gradients->w1,
                   gradients->b1, state->dpool);
    crew_run(crew, gate_sums_task, &job);
    ret_gate->gate = state->gates;
    ret_gate->dpool = state->dpool;
}
