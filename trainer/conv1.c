/* A 1x1 convolution of a training step. The activations of a block themselves are the points; a column is a
 * cell, and the weights are few. */
#include "trainer/conv_internal.h"

#include <string.h>

static void place_weights(const struct conv_job *job, bool turned)
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

static void forward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct conv_job *job = context;
    const struct conv_work *work = job->work;
    const struct conv_output *output = job->output;
    const size_t channel = conv_floats_of_block(job);
    size_t first;
    size_t end;

    crew_share(job->blocks, worker, n_workers, &first, &end);
    for (size_t block = first; block < end; block++) {
        float *y = output->y + conv_block_at(job, job->shape.out, 0, block);
        work->kernel->product(work->u, job->shape.out, job->shape.in,
                              job->input->x + conv_block_at(job, job->shape.in, 0, block), LANES,
                              channel, work->cells, y, LANES, channel, false);
        for (size_t f = 0; f < job->shape.out; f++) {
            const size_t at = conv_positions_at(job, f, block);
            work->kernel->moments(y + f * channel, work->cells, output->means + at,
                                  output->squares + at);
        }
    }
}

void conv1_forward(struct conv_job *job)
{
    place_weights(job, false);
    crew_run(job->work->crew, forward_task, job);
}

/* Block by block: the gradient of y into m, laid out like a block's activations. */
static void backward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct conv_job *job = context;
    const struct conv_work *work = job->work;
    const struct lanes_kernel *kernel = work->kernel;
    const struct conv_bench bench = conv_bench_of(job, worker);
    const size_t channel = conv_floats_of_block(job);
    struct conv_factors factors __attribute__((aligned(64)));
    size_t first;
    size_t end;

    conv_share_blocks(job, worker, n_workers, &first, &end);
    for (size_t block = first; block < end; block++) {
        const size_t at = conv_block_at(job, job->shape.in, 0, block);
        for (size_t f = 0; f < job->shape.out; f++) {
            const struct lanes_gradient gradient = conv_gradient_of(job, f, block, &factors);
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

void conv1_backward(struct conv_job *job)
{
    const struct conv_work *work = job->work;
    const size_t out = job->shape.out;
    const size_t in = job->shape.in;

    place_weights(job, true);
    crew_run(work->crew, backward_task, job);
    conv_add_sums(job, 1, 0, out);
    for (size_t f = 0; f < out; f++) {
        memcpy(job->dweight + f * in, work->du + f * job->du_row, in * sizeof(float));
    }
}
