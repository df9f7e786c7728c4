/* Each layer: forward against the definition, backward against finite differences of the forward. The
 * loss is a fixed random combination of the outputs, summed in double; a central difference with step
 * 1e-2 of a float forward is then good to some 1e-4. */
#include "mcts/random.h"
#include "trainer/batchnorm.h"
#include "trainer/buffer.h"
#include "trainer/conv.h"
#include "trainer/dense.h"
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

/* ---- convolution ---- */

struct conv_layer {
    struct layer layer;
    struct conv_work *work;
    struct conv_shape shape;
    float *w, *b, *x;
    uint32_t n;
};

static void conv_layer_forward(void *context)
{
    struct conv_layer *c = context;
    conv_forward(c->work, &c->shape, c->w, c->b, c->x, c->n, c->layer.y);
}

/* The definition, one output at a time. */
static double naive_conv(const struct conv_layer *c, uint32_t f, uint32_t i, int y, int x)
{
    const int k = (int)c->shape.kernel;
    double sum = (double)c->b[f];
    for (uint32_t in = 0; in < c->shape.in; in++) {
        for (int ky = 0; ky < k; ky++) {
            for (int kx = 0; kx < k; kx++) {
                int sy = y + ky - k / 2;
                int sx = x + kx - k / 2;
                if (sy < 0 || sy >= HEIGHT || sx < 0 || sx >= WIDTH) {
                    continue;
                }
                size_t at = ((size_t)in * c->n + i) * CELLS + (size_t)(sy * WIDTH + sx);
                size_t w = ((size_t)f * c->shape.in + in) * (size_t)(k * k) + (size_t)(ky * k + kx);
                sum += (double)c->w[w] * (double)c->x[at];
            }
        }
    }
    return sum;
}

static void check_forward(struct conv_layer *c)
{
    c->layer.forward(c);
    for (uint32_t f = 0; f < c->shape.out; f++) {
        for (uint32_t i = 0; i < c->n; i++) {
            for (int at = 0; at < CELLS; at++) {
                double wanted = naive_conv(c, f, i, at / WIDTH, at % WIDTH);
                double got = (double)c->layer.y[((size_t)f * c->n + i) * CELLS + (size_t)at];
                ck_assert_double_eq_tol(got, wanted, 1e-4);
            }
        }
    }
}

static void check_conv(struct conv_shape shape, uint32_t n, uint32_t threads, bool gradients)
{
    const size_t weights = (size_t)shape.in * shape.out * shape.kernel * shape.kernel;
    const size_t n_x = (size_t)shape.in * n * CELLS;
    const size_t n_y = (size_t)shape.out * n * CELLS;
    struct crew *crew = crew_create(threads);
    float *dy = noise(n_y, 50000);
    struct conv_layer c = {
        .layer = {conv_layer_forward, buffer_create(n_y), dy, n_y},
        .work = conv_work_create(crew, HEIGHT, WIDTH, shape.in > shape.out ? shape.in : shape.out),
        .shape = shape,
        .w = noise(weights, 0),
        .b = noise(shape.out, 40000),
        .x = noise(n_x, 10000),
        .n = n};
    ck_assert(crew != NULL && c.work != NULL && c.layer.y != NULL);
    c.x[-1] = c.x[n_x] = NAN; /* what lies beside is masked, whatever it is */
    check_forward(&c);
    if (gradients) {
        float *dw = buffer_create(weights);
        float *db = buffer_create(shape.out);
        float *dx = buffer_create(n_x);
        conv_backward(c.work, &shape, c.w, c.x, dy, n, dw, db, dx, false);
        check_variable(&c.layer, "weight", c.w, weights, dw);
        check_variable(&c.layer, "bias", c.b, shape.out, db);
        check_variable(&c.layer, "x", c.x, n_x, dx);
        float *twice = buffer_create(n_x);
        memcpy(twice, dx, n_x * sizeof(float));
        conv_backward(c.work, &shape, c.w, c.x, dy, n, dw, db, twice, true);
        for (size_t i = 0; i < n_x; i++) {
            ck_assert_float_eq_tol(twice[i], 2.0F * dx[i], 1e-4F);
        }
        buffer_destroy(twice);
        buffer_destroy(dx);
        buffer_destroy(db);
        buffer_destroy(dw);
    }
    buffer_destroy(c.layer.y);
    buffer_destroy(dy);
    buffer_destroy(c.w);
    buffer_destroy(c.b);
    buffer_destroy(c.x);
    conv_work_destroy(c.work);
    crew_destroy(crew);
}

START_TEST(convolution_is_its_definition_and_its_gradient_that_of_finite_differences)
{
    check_conv((struct conv_shape){2, 3, 3}, 4, 1, true);
    check_conv((struct conv_shape){3, 1, 3}, 3, 3, true);
    check_conv((struct conv_shape){4, 2, 1}, 3, 1, true);
    check_conv((struct conv_shape){1, 5, 3}, 90, 2, false); /* several chunks, the last one short */
}
END_TEST

/* ---- batch norm ---- */

struct norm_layer {
    struct layer layer;
    struct crew *crew;
    float *gamma, *beta, *mean, *var, *x;
    uint32_t channels;
    size_t count;
    bool relu;
};

static struct batchnorm norm_of(const struct norm_layer *b)
{
    return (struct batchnorm){.gamma = b->gamma,
                              .beta = b->beta,
                              .mean = b->mean,
                              .var = b->var,
                              .channels = b->channels,
                              .relu = b->relu};
}

static void norm_layer_forward(void *context)
{
    struct norm_layer *b = context;
    struct batchnorm bn = norm_of(b);
    batchnorm_statistics(b->crew, b->x, b->channels, b->count, b->mean, b->var);
    batchnorm_forward(b->crew, &bn, b->x, b->count, b->layer.y);
}

static void check_norm(bool relu, size_t count, bool gradients)
{
    enum { CHANNELS = 3 };
    const size_t n = CHANNELS * count;
    float *dy = noise(n, 60000);
    struct norm_layer b = {.layer = {norm_layer_forward, buffer_create(n), dy, n},
                           .crew = crew_create(2),
                           .gamma = noise(CHANNELS, 1),
                           .beta = noise(CHANNELS, 10),
                           .mean = buffer_create(CHANNELS),
                           .var = buffer_create(CHANNELS),
                           .x = noise(n, 20000),
                           .channels = CHANNELS,
                           .count = count,
                           .relu = relu};
    for (size_t i = 0; i < n; i++) {
        b.x[i] = 2.0F * b.x[i] + 5.0F; /* a mean far from 0 */
    }
    norm_layer_forward(&b);
    for (size_t c = 0; c < CHANNELS; c++) {
        double mean = 0.0;
        double var = 0.0;
        for (size_t i = 0; i < count; i++) {
            mean += (double)b.x[c * count + i] / (double)count;
        }
        for (size_t i = 0; i < count; i++) {
            var += pow((double)b.x[c * count + i] - mean, 2.0) / (double)count;
        }
        ck_assert_double_eq_tol((double)b.mean[c], mean, 1e-5);
        ck_assert_double_eq_tol((double)b.var[c], var, 1e-4);
        for (size_t i = 0; i < count; i++) {
            double h = ((double)b.x[c * count + i] - mean) / sqrt(var + (double)NET_BN_EPSILON);
            double wanted = (double)b.gamma[c] * h + (double)b.beta[c];
            wanted = relu ? fmax(0.0, wanted) : wanted;
            ck_assert_double_eq_tol((double)b.layer.y[c * count + i], wanted, 1e-4);
        }
    }
    if (gradients) {
        float dgamma[CHANNELS];
        float dbeta[CHANNELS];
        float *dx = noise(n, 60000);
        struct batchnorm bn = norm_of(&b);
        batchnorm_backward(b.crew, &bn, b.x, b.layer.y, count, dx, dgamma, dbeta);
        check_variable(&b.layer, "gamma", b.gamma, CHANNELS, dgamma);
        check_variable(&b.layer, "beta", b.beta, CHANNELS, dbeta);
        check_variable(&b.layer, "x", b.x, n, dx);
        buffer_destroy(dx);
    }
    buffer_destroy(b.layer.y);
    buffer_destroy(dy);
    buffer_destroy(b.gamma);
    buffer_destroy(b.beta);
    buffer_destroy(b.mean);
    buffer_destroy(b.var);
    buffer_destroy(b.x);
    crew_destroy(b.crew);
}

START_TEST(batch_norm_is_its_definition_and_its_gradient_that_of_finite_differences)
{
    check_norm(false, 20, true);
    check_norm(true, 20, true);
    check_norm(true, 5000, false); /* more than one block of a sum */
}
END_TEST

/* ---- squeeze-excitation and skip ---- */

enum { SQUEEZE_CHANNELS = 4, SQUEEZE = 3, SQUEEZE_N = 3 };
static const size_t n_w1 = (size_t)SQUEEZE * SQUEEZE_CHANNELS;
static const size_t n_w2 = (size_t)2 * SQUEEZE_CHANNELS * SQUEEZE;
static const size_t n_b2 = (size_t)2 * SQUEEZE_CHANNELS;
static const size_t n_t = (size_t)SQUEEZE * SQUEEZE_N;

struct squeeze_layer {
    struct layer layer;
    struct crew *crew;
    struct squeeze_shape shape;
    float *w1, *b1, *w2, *b2, *x, *skip;
    struct squeeze_state state;
};

static struct squeeze_weights weights_of(const struct squeeze_layer *s)
{
    return (struct squeeze_weights){s->w1, s->b1, s->w2, s->b2};
}

static void squeeze_layer_forward(void *context)
{
    struct squeeze_layer *s = context;
    struct squeeze_weights weights = weights_of(s);
    squeeze_forward(s->crew, &s->shape, &weights, s->x, s->skip, SQUEEZE_N, &s->state, s->layer.y);
}

START_TEST(squeeze_excitation_has_the_gradient_of_finite_differences)
{
    const size_t n = (size_t)SQUEEZE_CHANNELS * SQUEEZE_N * CELLS;
    const size_t rows = (size_t)SQUEEZE_CHANNELS * SQUEEZE_N;
    for (uint32_t squeeze = 0; squeeze <= SQUEEZE; squeeze += SQUEEZE) {
        float *dy = noise(n, 70000);
        struct squeeze_layer s = {.layer = {squeeze_layer_forward, buffer_create(n), dy, n},
                                  .crew = crew_create(2),
                                  .shape = {SQUEEZE_CHANNELS, squeeze, CELLS},
                                  .w1 = noise(n_w1, 100),
                                  .b1 = noise(SQUEEZE, 200),
                                  .w2 = noise(n_w2, 300),
                                  .b2 = noise(n_b2, 400),
                                  .x = noise(n, 30000),
                                  .skip = noise(n, 35000),
                                  .state = {buffer_create(rows), buffer_create(n_t),
                                            buffer_create(2 * rows), buffer_create(2 * rows),
                                            buffer_create(n_t), buffer_create(rows)}};
        float *dskip = noise(n, 70000);
        float *dx = buffer_create(n);
        float *d[4] = {buffer_create(n_w1), buffer_create(SQUEEZE), buffer_create(n_w2),
                       buffer_create(n_b2)};
        struct squeeze_weights weights = weights_of(&s);
        struct squeeze_gradients gradients = {d[0], d[1], d[2], d[3]};
        squeeze_layer_forward(&s);
        squeeze_backward(s.crew, &s.shape, &weights, s.x, s.layer.y, SQUEEZE_N, &s.state, dskip,
                         &gradients, dx);
        check_variable(&s.layer, "x", s.x, n, dx);
        check_variable(&s.layer, "skip", s.skip, n, dskip);
        if (squeeze > 0) {
            check_variable(&s.layer, "w1", s.w1, n_w1, d[0]);
            check_variable(&s.layer, "b1", s.b1, SQUEEZE, d[1]);
            check_variable(&s.layer, "w2", s.w2, n_w2, d[2]);
            check_variable(&s.layer, "b2", s.b2, n_b2, d[3]);
        }
        float *const owned[] = {
            dskip,      dx,           d[0],         d[1],      d[2],          d[3],
            dy,         s.layer.y,    s.w1,         s.b1,      s.w2,          s.b2,
            s.x,        s.skip,       s.state.pool, s.state.t, s.state.gates, s.state.dgates,
            s.state.dt, s.state.dpool};
        for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
            buffer_destroy(owned[i]);
        }
        crew_destroy(s.crew);
    }
}
END_TEST

/* ---- dense ---- */

struct dense_layer {
    struct layer layer;
    struct dense dense;
    float *x;
    uint32_t n;
};

static void dense_layer_forward(void *context)
{
    struct dense_layer *d = context;
    dense_forward(&d->dense, d->x, d->n, d->layer.y);
}

START_TEST(dense_layer_has_the_gradient_of_finite_differences)
{
    enum { IN = 5, OUT = 4, N = 3, IN_OUT = IN * OUT, OUT_N = OUT * N, IN_N = IN * N };
    for (int kind = 0; kind < 4; kind++) {
        float *w = noise(IN_OUT, 500);
        float *b = noise(OUT, 600);
        float *dy = noise(OUT_N, 80000);
        float *masked = noise(OUT_N, 80000);
        float dw[IN_OUT];
        float db[OUT];
        float dx[IN_N];
        struct dense_layer d = {.layer = {dense_layer_forward, buffer_create(OUT_N), dy, OUT_N},
                                .dense = {IN, OUT, kind % 2 == 1, kind / 2 == 1, w, b},
                                .x = noise(IN_N, 700),
                                .n = N};
        dense_layer_forward(&d);
        for (size_t f = 0; f < OUT; f++) {
            for (size_t i = 0; i < N; i++) {
                double sum = (double)b[f];
                for (size_t j = 0; j < IN; j++) {
                    sum += (double)w[f * IN + j] *
                           (double)d.x[d.dense.by_position ? i * IN + j : j * N + i];
                }
                sum = d.dense.relu ? fmax(0.0, sum) : sum;
                ck_assert_double_eq_tol((double)d.layer.y[f * N + i], sum, 1e-5);
            }
        }
        dense_backward(&d.dense, d.x, d.layer.y, N, masked, dw, db, dx);
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
    tcase_add_test(tc, convolution_is_its_definition_and_its_gradient_that_of_finite_differences);
    tcase_add_test(tc, batch_norm_is_its_definition_and_its_gradient_that_of_finite_differences);
    tcase_add_test(tc, squeeze_excitation_has_the_gradient_of_finite_differences);
    tcase_add_test(tc, dense_layer_has_the_gradient_of_finite_differences);
    tcase_add_test(tc, losses_have_the_gradients_of_finite_differences);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
