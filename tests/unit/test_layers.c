/* Each layer: forward against the definition, backward against finite differences of the forward. The
 * loss is a fixed random combination of the outputs, summed in double; a central difference with step
 * 1e-2 of a float forward is then good to some 1e-4. */
#include "mcts/random.h"
#include "tests/unit/run_suite.h"
#include "trainer/batchnorm.h"
#include "trainer/buffer.h"
#include "trainer/dense.h"
#include "trainer/lanes.h"
#include "trainer/loss.h"
#include "trainer/net/net.h"
#include "trainer/squeeze.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 3, HEIGHT = 3, WIDTH = 4, CELLS = HEIGHT * WIDTH };

static float normal(uint64_t i)
{
    return (float)random_normal(SEED, 0, RANDOM_TEST, i);
}

static float *noise(size_t n, uint64_t from)
{
    float *buffer = buffer_create(n);
    ck_assert_ptr_nonnull(buffer);
    for (size_t i = 0; i < n; i++) {
        buffer[i] = normal(from + i);
    }
    return buffer;
}

/* What any layer looks like to the test: a forward from its variables into y. */
struct layer {
    void (*forward)(void *layer);
    float *y;
    const float *dy; /* weights of the loss */
    size_t n_y;
};

static double loss_of(struct layer *layer)
{
    double loss = 0.0;
    layer->forward(layer);
    for (size_t i = 0; i < layer->n_y; i++) {
        loss += (double)layer->dy[i] * (double)layer->y[i];
    }
    return loss;
}

static void check_variable(struct layer *layer, const char *name, float *variable, size_t n,
                           const float *gradient)
{
    for (size_t i = 0; i < n; i++) {
        const float saved = variable[i];
        double error = INFINITY;
        /* a relu's kink within one step size is outside another */
        for (int size = 0; size < 3 && error > 1e-2; size++) {
            const float h = (const float[]){1e-2F, 2e-3F, 3e-4F}[size];
            variable[i] = saved + h;
            double above = loss_of(layer);
            variable[i] = saved - h;
            double below = loss_of(layer);
            double numeric = (above - below) / (2.0 * (double)h);
            error = fabs(numeric - (double)gradient[i]) / fmax(0.3, fabs(numeric));
        }
        variable[i] = saved;
        ck_assert_msg(error <= 1e-2, "%s[%zu]: gradient %g is off by %g of itself (seed %d)", name,
                      i, (double)gradient[i], error, SEED);
    }
}

/* ---- the end of a block: batch norm, squeeze-excitation, skip, relu ---- */

enum { CHANNELS = 4, SQUEEZE = 3, N = 5, BY_POSITION = CHANNELS * LANES };
static const size_t n_w1 = (size_t)SQUEEZE * CHANNELS;
static const size_t n_w2 = (size_t)2 * CHANNELS * SQUEEZE;
static const size_t n_b2 = (size_t)2 * CHANNELS;
static const size_t n_t = (size_t)SQUEEZE * LANES;
static const size_t n_x = (size_t)BY_POSITION * CELLS;
static const struct batchnorm_count count = {N, CELLS};

struct ending {
    struct layer layer;
    struct crew *crew;
    const struct lanes_kernel *kernel;
    struct squeeze_shape shape;
    float *w1, *b1, *w2, *b2, *x, *skip, *gamma, *beta;
    float *means, *squares, *mean, *var, *scale, *shift;
    struct squeeze_state state;
};

static struct batchnorm norm_of(const struct ending *e)
{
    return (struct batchnorm){e->gamma, e->beta, e->mean, e->var, CHANNELS};
}

static struct squeeze_input input_of(const struct ending *e)
{
    return (struct squeeze_input){e->x, e->means, e->scale, e->shift, e->mean, e->beta};
}

static struct squeeze_weights weights_of(const struct ending *e)
{
    return (struct squeeze_weights){e->w1, e->b1, e->w2, e->b2};
}

static void ending_forward(void *context)
{
    struct ending *e = context;
    const struct squeeze_weights weights = weights_of(e);
    const struct squeeze_input input = input_of(e);
    const struct batchnorm bn = norm_of(e);

    for (size_t channel = 0; channel < CHANNELS; channel++) {
        e->kernel->moments(e->x + channel * CELLS * LANES, CELLS, e->means + channel * LANES,
                           e->squares + channel * LANES);
    }
    batchnorm_statistics(e->crew, &bn, e->means, e->squares, count, e->mean, e->var, e->scale,
                         e->shift);
    squeeze_forward(e->crew, e->kernel, &e->shape, &weights, &input, e->skip, &e->state,
                    e->layer.y);
}

/* Noise for the positions of the batch; what fills the block is something else, and must not matter. */
static float *noise_of_batch(uint64_t from, float rest)
{
    float *buffer = noise(n_x, from);
    for (size_t i = 0; i < n_x; i++) {
        buffer[i] = i % LANES < N ? buffer[i] : rest;
    }
    return buffer;
}

static struct ending ending_begin(const struct lanes_kernel *kernel, uint32_t squeeze,
                                  bool with_skip, const float *dy)
{
    struct ending e = {.layer = {ending_forward, buffer_create(n_x), dy, n_x},
                       .crew = crew_create(2),
                       .kernel = kernel,
                       .shape = {CHANNELS, squeeze, count},
                       .w1 = noise(n_w1, 100),
                       .b1 = noise(SQUEEZE, 200),
                       .w2 = noise(n_w2, 300),
                       .b2 = noise(n_b2, 400),
                       .x = noise_of_batch(30000, 3.0F),
                       .skip = with_skip ? noise_of_batch(35000, 5.0F) : NULL,
                       .gamma = noise(CHANNELS, 40),
                       .beta = noise(CHANNELS, 50),
                       .means = buffer_create(BY_POSITION),
                       .squares = buffer_create(BY_POSITION),
                       .mean = buffer_create(CHANNELS),
                       .var = buffer_create(CHANNELS),
                       .scale = buffer_create(CHANNELS),
                       .shift = buffer_create(CHANNELS),
                       .state = {buffer_create(BY_POSITION), buffer_create(n_t),
                                 buffer_create(2 * (size_t)BY_POSITION),
                                 buffer_create(2 * (size_t)BY_POSITION), buffer_create(n_t),
                                 buffer_create(BY_POSITION), buffer_create(BY_POSITION),
                                 buffer_create(BY_POSITION)}};
    for (size_t i = 0; i < n_x; i++) {
        e.x[i] = 2.0F * e.x[i] + 5.0F; /* a mean far from 0 */
    }
    return e;
}

static void ending_end(struct ending *e)
{
    const struct squeeze_state *s = &e->state;
    float *const owned[] = {e->layer.y, e->w1,    e->b1,    e->w2,    e->b2,      e->x,
                            e->skip,    e->gamma, e->beta,  e->means, e->squares, e->mean,
                            e->var,     e->scale, e->shift, s->pool,  s->t,       s->gates,
                            s->dgates,  s->dt,    s->dpool, s->sums,  s->products};
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        buffer_destroy(owned[i]);
    }
    crew_destroy(e->crew);
}

static double x_at(const struct ending *e, size_t channel, size_t i, size_t cell)
{
    return (double)e->x[(channel * CELLS + cell) * LANES + i];
}

/* The definition of batch norm, relu and nothing else. */
static void check_batch_norm(struct ending *e)
{
    e->layer.forward(e);
    for (size_t c = 0; c < CHANNELS; c++) {
        const double m = (double)N * CELLS;
        double mean = 0.0;
        double var = 0.0;
        for (size_t k = 0; k < (size_t)N * CELLS; k++) {
            mean += x_at(e, c, k % N, k / N) / m;
        }
        for (size_t k = 0; k < (size_t)N * CELLS; k++) {
            var += pow(x_at(e, c, k % N, k / N) - mean, 2.0) / m;
        }
        ck_assert_double_eq_tol((double)e->mean[c], mean, 1e-5);
        ck_assert_double_eq_tol((double)e->var[c], var, 1e-4);
        for (size_t k = 0; k < (size_t)N * CELLS; k++) {
            const double h = (x_at(e, c, k % N, k / N) - mean) / sqrt(var + (double)NET_BN_EPSILON);
            const double wanted = fmax(0.0, (double)e->gamma[c] * h + (double)e->beta[c]);
            ck_assert_double_eq_tol((double)e->layer.y[(c * CELLS + k / N) * LANES + k % N], wanted,
                                    1e-4);
        }
    }
}

static void check_ending_gradient(struct ending *e)
{
    float *dskip = noise_of_batch(70000, 0.0F);
    float *dx = buffer_create(n_x);
    float *d[4] = {buffer_create(n_w1), buffer_create(SQUEEZE), buffer_create(n_w2),
                   buffer_create(n_b2)};
    float a[CHANNELS];
    float b[CHANNELS];
    float c[CHANNELS];
    float dgamma[CHANNELS];
    float dbeta[CHANNELS];
    const struct squeeze_weights weights = weights_of(e);
    const struct squeeze_gradients gradients = {d[0], d[1], d[2], d[3]};
    const struct squeeze_input input = input_of(e);
    const struct batchnorm bn = norm_of(e);

    e->layer.forward(e);
    squeeze_backward(e->crew, e->kernel, &e->shape, &weights, &input, e->layer.y, &e->state, dskip,
                     &gradients);
    batchnorm_backward(e->crew, &bn, e->state.sums, e->state.products, count, dgamma, dbeta, a, b,
                       c);
    crew_finish(e->crew);
    for (size_t k = 0; k < n_x;
         k++) { /* of what is beyond the batch, dskip is 0 and the rest is left out */
        const size_t channel = k / LANES / CELLS;
        const size_t position = channel * LANES + k % LANES;
        const bool gated = e->shape.squeeze > 0;
        const float gate = gated ? e->state.gates[position] : 1.0F;
        const float pool = gated ? e->state.dpool[position] / CELLS : 0.0F;
        dx[k] = k % LANES < N
                    ? a[channel] * (gate * dskip[k] + pool) + b[channel] * e->x[k] + c[channel]
                    : 0.0F;
    }
    check_variable(&e->layer, "x", e->x, n_x, dx);
    check_variable(&e->layer, "gamma", e->gamma, CHANNELS, dgamma);
    check_variable(&e->layer, "beta", e->beta, CHANNELS, dbeta);
    if (e->skip != NULL) {
        check_variable(&e->layer, "skip", e->skip, n_x, dskip);
    }
    if (e->shape.squeeze > 0) {
        check_variable(&e->layer, "w1", e->w1, n_w1, d[0]);
        check_variable(&e->layer, "b1", e->b1, SQUEEZE, d[1]);
        check_variable(&e->layer, "w2", e->w2, n_w2, d[2]);
        check_variable(&e->layer, "b2", e->b2, n_b2, d[3]);
    }
    float *const owned[] = {dskip, dx, d[0], d[1], d[2], d[3]};
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        buffer_destroy(owned[i]);
    }
}

static void on_every_kernel(uint32_t squeeze, bool with_skip, void (*check)(struct ending *e))
{
    const struct lanes_kernel *kernel;
    for (uint32_t i = 0; (kernel = lanes_nth(i)) != NULL; i++) {
        if (kernel->can_run()) {
            float *dy = noise_of_batch(70000, 0.0F);
            struct ending e = ending_begin(kernel, squeeze, with_skip, dy);
            check(&e);
            ending_end(&e);
            buffer_destroy(dy);
        }
    }
}

START_TEST(batch_norm_is_its_definition)
{
    on_every_kernel(0, false, check_batch_norm);
}
END_TEST

START_TEST(end_of_a_block_has_the_gradient_of_finite_differences)
{
    on_every_kernel(0, false, check_ending_gradient);
    on_every_kernel(0, true, check_ending_gradient);
    on_every_kernel(SQUEEZE, true, check_ending_gradient);
}
END_TEST

/* ---- dense ---- */

struct dense_layer {
    struct layer layer;
    struct dense dense;
    float *x;
    uint32_t n;
};

/* By two workers. */
enum { SPLIT = 2 };
static void dense_layer_forward(void *context)
{
    struct dense_layer *d = context;
    dense_forward(&d->dense, d->x, d->n, 0, SPLIT, d->layer.y);
    dense_forward(&d->dense, d->x, d->n, SPLIT, d->n, d->layer.y);
}

START_TEST(dense_layer_has_the_gradient_of_finite_differences)
{
    enum { IN = 5, OUT = 4, IN_OUT = IN * OUT, OUT_N = OUT * N, IN_N = IN * N, WORKERS = 3 };
    for (int kind = 0; kind < 2; kind++) {
        float *w = noise(IN_OUT, 500);
        float *b = noise(OUT, 600);
        float *dy = noise(OUT_N, 80000);
        float *masked = noise(OUT_N, 80000);
        float dw[IN_OUT];
        float db[OUT];
        float dx[IN_N];
        struct dense_layer d = {.layer = {dense_layer_forward, buffer_create(OUT_N), dy, OUT_N},
                                .dense = {IN, OUT, kind == 1, w, b},
                                .x = noise(IN_N, 700),
                                .n = N};
        dense_layer_forward(&d);
        for (size_t f = 0; f < OUT; f++) {
            for (size_t i = 0; i < N; i++) {
                double sum = (double)b[f];
                for (size_t j = 0; j < IN; j++) {
                    sum += (double)w[f * IN + j] * (double)d.x[j * N + i];
                }
                sum = d.dense.relu ? fmax(0.0, sum) : sum;
                ck_assert_double_eq_tol((double)d.layer.y[f * N + i], sum, 1e-5);
            }
        }
        dense_backward(&d.dense, d.layer.y, N, 0, SPLIT, masked, dx);
        dense_backward(&d.dense, d.layer.y, N, SPLIT, N, masked, dx);
        for (uint32_t worker = 0; worker < WORKERS; worker++) {
            dense_gradient(&d.dense, d.x, masked, N, worker, WORKERS, dw, db);
        }
        check_variable(&d.layer, "weight", w, IN_OUT, dw);
        check_variable(&d.layer, "bias", b, OUT, db);
        check_variable(&d.layer, "x", d.x, IN_N, dx);
        buffer_destroy(w);
        buffer_destroy(b);
        buffer_destroy(dy);
        buffer_destroy(masked);
        buffer_destroy(d.layer.y);
        buffer_destroy(d.x);
    }
}
END_TEST

/* ---- losses ---- */

START_TEST(losses_have_the_gradients_of_finite_differences)
{
    const size_t offsets[4] = {1, 3, 4, 8};
    const float target[4] = {0.5F, 0.0F, 0.2F, 0.3F};
    const struct wdl value = {0.2F, 0.5F, 0.3F};
    const float h = 1e-3F;
    for (uint64_t round = 0; round < 20; round++) {
        float x[9];
        float d[9] = {0};
        for (uint64_t i = 0; i < 9; i++) {
            x[i] = 2.0F * normal(90000 + 9 * round + i);
        }
        float all[3][9] = {{0}};
        loss_policy(x, 4, offsets, target, 1.0F, all[0]);
        loss_wdl(x, 3, value, 1.0F, all[1]);
        loss_scalar(x[0], value, 1.0F, all[2]);
        for (int kind = 0; kind < 3; kind++) {
            for (int i = 0; i < 9; i++) {
                double loss[2];
                for (int side = 0; side < 2; side++) {
                    const float saved = x[i];
                    x[i] += side == 0 ? h : -h;
                    loss[side] = kind == 0   ? loss_policy(x, 4, offsets, target, 1.0F, NULL)
                                 : kind == 1 ? loss_wdl(x, 3, value, 1.0F, NULL)
                                             : loss_scalar(x[0], value, 1.0F, NULL);
                    x[i] = saved;
                }
                ck_assert_double_eq_tol((loss[0] - loss[1]) / (2.0 * (double)h),
                                        (double)all[kind][i], 1e-3);
            }
        }
        /* only legal moves count, and scale scales */
        loss_policy(x, 4, offsets, target, 0.5F, d);
        for (int i = 0; i < 9; i++) {
            ck_assert_float_eq_tol(d[i], 0.5F * all[0][i], 1e-7F);
        }
        ck_assert_double_ge(loss_policy(x, 4, offsets, target, 1.0F, NULL),
                            loss_entropy(4, target));
    }
    const float certain[3] = {1000.0F, 0.0F, -1000.0F};
    ck_assert(isfinite(loss_wdl(certain, 1, value, 1.0F, NULL)));
    /* a prediction that equals the target costs the target's entropy */
    const float x[4] = {logf(0.5F), -100.0F, logf(0.2F), logf(0.3F)};
    const size_t straight[4] = {0, 1, 2, 3};
    ck_assert_double_eq_tol(loss_policy(x, 4, straight, target, 1.0F, NULL),
                            loss_entropy(4, target), 1e-6);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("layers");
    TCase *tc = tcase_create("layers");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, batch_norm_is_its_definition);
    tcase_add_test(tc, end_of_a_block_has_the_gradient_of_finite_differences);
    tcase_add_test(tc, dense_layer_has_the_gradient_of_finite_differences);
    tcase_add_test(tc, losses_have_the_gradients_of_finite_differences);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
