#include "trainer/squeeze.h"
#include "trainer/dense.h"

#include <math.h>
#include <string.h>

struct job {
    const struct lanes_kernel *kernel;
    const struct squeeze_shape *shape;
    const struct squeeze_state *state;
    const struct squeeze_input *input;
    struct dense first, second; /* with excitation only */
    const float *skip, *y;
    float *out, *dy;
};

/* The last part, which is put off. */
struct weights_job {
    struct dense first, second;
    struct squeeze_state state;
    struct squeeze_gradients gradients;
    size_t positions;
};
_Static_assert(sizeof(struct weights_job) <= CREW_CONTEXT, "put off whole");

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

/* A worker has the same blocks there and back, and goes through them from end to end: all but the sums over positions
 * is a position's own. */
static void share_blocks(const struct job *job, uint32_t worker, uint32_t n_workers,
                         size_t *ret_first, size_t *ret_end)
{
    crew_share(lanes_blocks(job->shape->count.n), worker, n_workers, ret_first, ret_end);
}

/* ---- there ---- */

/* The gates of positions [first, end). */
static void make_gates(const struct job *job, size_t first, size_t end)
{
    const struct squeeze_input *input = job->input;
    const struct squeeze_state *state = job->state;
    const size_t positions = positions_of(job->shape);

    for (size_t c = 0; c < job->shape->channels; c++) {
        for (size_t i = c * positions + first; i < c * positions + end; i++) {
            state->pool[i] = input->scale[c] * input->means[i] + input->shift[c];
        }
    }
    dense_forward(&job->first, state->pool, positions, first, end, state->t);
    dense_forward(&job->second, state->t, positions, first, end, state->gates);
    for (size_t c = 0; c < job->shape->channels; c++) {
        for (size_t i = c * positions + first; i < c * positions + end; i++) {
            state->gates[i] = 1.0F / (1.0F + expf(-state->gates[i]));
        }
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

    share_blocks(job, worker, n_workers, &first, &end);
    if (job->shape->squeeze != 0 && first < end) {
        make_gates(job, first * LANES, end * LANES);
    }
    for (size_t i = first * channels; i < end * channels; i++) { /* as the blocks' channels lie */
        const size_t channel = i % channels;
        const size_t at = i * cells * LANES;
        factors(job, channel, (channel * blocks + i / channels) * LANES, a, c);
        job->kernel->finish(job->input->x + at, job->skip == NULL ? NULL : job->skip + at, a, c,
                            (uint32_t)cells, job->out + at);
    }
}

static struct job job_of(const struct lanes_kernel *kernel, const struct squeeze_shape *shape,
                         const struct squeeze_weights *weights, const struct squeeze_input *input,
                         const struct squeeze_state *state)
{
    struct job job = {.kernel = kernel, .shape = shape, .state = state, .input = input};
    if (shape->squeeze != 0) {
        job.first = first_dense(shape, weights);
        job.second = second_dense(shape, weights);
    }
    return job;
}

void squeeze_forward(struct crew *crew, const struct lanes_kernel *kernel,
                     const struct squeeze_shape *shape, const struct squeeze_weights *weights,
                     const struct squeeze_input *input, const float *skip,
                     const struct squeeze_state *state, float *ret_y)
{
    struct job job = job_of(kernel, shape, weights, input, state);
    job.skip = skip;
    job.out = ret_y;
    crew_run(crew, forward_task, &job);
}

/* ---- back ---- */

/* sums and products come in as those of dy and dy (x - mean): the gradient of g's sum is dy z, that
 * of b is dy. */
static void gate_gradients(const struct job *job, size_t first, size_t end)
{
    const struct squeeze_shape *shape = job->shape;
    const struct squeeze_state *state = job->state;
    const size_t positions = positions_of(shape);
    const size_t half = shape->channels * positions;

    for (size_t c = 0; c < shape->channels; c++) {
        for (size_t i = c * positions + first; i < c * positions + end; i++) {
            const float gate = state->gates[i];
            const float dgate =
                job->input->scale[c] * state->products[i] + job->input->beta[c] * state->sums[i];
            state->dgates[i] = dgate * gate * (1.0F - gate);
            state->dgates[half + i] = state->sums[i];
        }
    }
}

/* From sums of dy to sums of z's gradient. */
static void gate_sums(const struct job *job, size_t first, size_t end)
{
    const struct squeeze_state *state = job->state;
    const size_t positions = positions_of(job->shape);

    for (size_t c = 0; c < job->shape->channels; c++) {
        const float mean = job->input->mean[c];
        for (size_t i = c * positions + first; i < c * positions + end; i++) {
            const float gate = state->gates[i];
            state->sums[i] = gate * state->sums[i] + state->dpool[i];
            state->products[i] =
                gate * state->products[i] + state->dpool[i] * (job->input->means[i] - mean);
        }
    }
}

static void backward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct job *job = context;
    const struct squeeze_state *state = job->state;
    const size_t channels = job->shape->channels;
    const size_t cells = job->shape->count.cells;
    const size_t blocks = lanes_blocks(job->shape->count.n);
    size_t first;
    size_t end;

    share_blocks(job, worker, n_workers, &first, &end);
    for (size_t i = first * channels; i < end * channels; i++) {
        const size_t channel = i % channels;
        const size_t at = i * cells * LANES;
        const size_t position = (channel * blocks + i / channels) * LANES;
        job->kernel->finish_back(job->input->x + at, job->y + at, job->input->mean[channel],
                                 (uint32_t)cells, job->dy + at, state->sums + position,
                                 state->products + position);
    }
    if (job->shape->squeeze == 0 || first == end) {
        return;
    }
    const size_t positions = positions_of(job->shape);
    gate_gradients(job, first * LANES, end * LANES);
    dense_backward(&job->second, NULL, positions, first * LANES, end * LANES, state->dgates,
                   state->dt);
    dense_backward(&job->first, state->t, positions, first * LANES, end * LANES, state->dt,
                   state->dpool);
    gate_sums(job, first * LANES, end * LANES);
}

static void weights_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct weights_job *job = context;
    const struct squeeze_state *state = &job->state;

    dense_gradient(&job->second, state->t, state->dgates, job->positions, worker, n_workers,
                   job->gradients.w2, job->gradients.b2);
    dense_gradient(&job->first, state->pool, state->dt, job->positions, worker, n_workers,
                   job->gradients.w1, job->gradients.b1);
}

void squeeze_backward(struct crew *crew, const struct lanes_kernel *kernel,
                      const struct squeeze_shape *shape, const struct squeeze_weights *weights,
                      const struct squeeze_input *input, const float *y,
                      const struct squeeze_state *state, float *dy,
                      const struct squeeze_gradients *gradients)
{
    struct job job = job_of(kernel, shape, weights, input, state);
    job.y = y;
    job.dy = dy;
    crew_run(crew, backward_task, &job);
    if (shape->squeeze != 0) {
        const struct weights_job rest = {job.first, job.second, *state, *gradients,
                                         positions_of(shape)};
        crew_later(crew, weights_task, &rest, sizeof(rest));
    }
}
