/* Convolutions of a training step on each kernel that this processor can run: forward and all that
 * comes with the way back against the definition in double, one number at a time; and the gradient
 * against finite differences of the forward. Winograd's transforms lose digits: over all that is
 * compared here, the errors' root mean square is 2e-6 of the numbers' with F(4, 3) and 2e-5 with
 * F(7, 3), the largest error ten times that. */
#include "mcts/random.h"
#include "tests/unit/run_suite.h"
#include "trainer/buffer.h"
#include "trainer/conv.h"
#include "trainer/lanes.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 7 };

struct board {
    uint32_t height, width;
};

/* Twice the largest error, as a share of the numbers' root mean square. */
static double tolerance(struct board board)
{
    return board.height == 6 && board.width == 7 ? 4e-4 : 4e-5;
}

/* What stands before the layer and behind it: nothing; batch norm and relu; and, behind it, squeeze-excitation. */
enum company { PLAIN, NORM, GATED };

/* A layer and all that goes through it. */
struct conv {
    struct board board;
    struct conv_shape shape;
    uint32_t n;
    bool norm, gated;
    size_t cells, n_weights, n_x, n_y;
    struct crew *crew;
    struct conv_work *work;
    float *w, *bias, *x, *y, *means, *squares, *scale, *shift;      /* there */
    float *g, *a, *b, *c, *out_scale, *out_shift, *dw, *dbias, *dx; /* back */
    float *gate, *dpool;                                            /* where norm */
    float *pivot, *sums, *products;
};

static float *noise(size_t n, uint64_t from)
{
    float *buffer = buffer_create(n);
    ck_assert_ptr_nonnull(buffer);
    for (size_t i = 0; i < n; i++) {
        buffer[i] = (float)random_normal(SEED, 0, RANDOM_TEST, from + i);
    }
    return buffer;
}

/* Noise for the positions of the batch alone. */
static float *noise_by_position(uint32_t channels, uint32_t n, size_t cells, uint64_t from)
{
    float *buffer = activation_create(channels, n, cells);
    ck_assert_ptr_nonnull(buffer);
    for (size_t k = 0; k < channels; k++) {
        for (uint32_t i = 0; i < n; i++) {
            for (size_t cell = 0; cell < cells; cell++) {
                buffer[lanes_at(channels, cells, i, k, cell)] =
                    (float)random_normal(SEED, 1, RANDOM_TEST, from + (k * n + i) * cells + cell);
            }
        }
    }
    return buffer;
}

static struct conv begin(const struct lanes_kernel *kernel, struct board board,
                         struct conv_shape shape, uint32_t n, uint32_t threads,
                         enum company company)
{
    const size_t cells = (size_t)board.height * board.width;
    struct conv c = {.board = board, .shape = shape, .n = n, .cells = cells};
    c.norm = company != PLAIN;
    c.gated = company == GATED;
    c.n_weights = (size_t)shape.in * shape.out * shape.kernel * shape.kernel;
    c.n_x = shape.in * lanes_size(n, cells);
    c.n_y = shape.out * lanes_size(n, cells);
    c.crew = crew_create(threads);
    c.work = conv_work_create(c.crew, kernel, board.height, board.width,
                              shape.in > shape.out ? shape.in : shape.out, n);
    ck_assert(c.crew != NULL && c.work != NULL);
    c.w = noise(c.n_weights, 1000);
    c.bias = noise(shape.out, 1);
    c.x = noise_by_position(shape.in, n, cells, 0);
    c.y = activation_create(shape.out, n, cells);
    c.means = activation_create(shape.out, n, 1);
    c.squares = activation_create(shape.out, n, 1);
    c.scale = noise(shape.in, 300);
    c.shift = noise(shape.in, 400);
    c.g = noise_by_position(shape.out, n, cells, 500000);
    c.a = noise(shape.out, 600000);
    c.b = noise(shape.out, 610000);
    c.c = noise(shape.out, 620000);
    c.gate = noise(shape.out * lanes_size(n, 1), 630000);
    c.dpool = noise(shape.out * lanes_size(n, 1), 640000);
    c.out_scale = noise(shape.out, 500);
    c.out_shift = noise(shape.out, 600);
    c.dw = buffer_create(c.n_weights);
    c.dbias = buffer_create(shape.out);
    c.dx = noise_by_position(shape.in, n, cells, 700000);
    c.pivot = noise(shape.in, 700);
    c.sums = activation_create(shape.in, n, 1);
    c.products = activation_create(shape.in, n, 1);
    ck_assert(c.y != NULL && c.dw != NULL && c.dbias != NULL && c.sums != NULL &&
              c.products != NULL);
    return c;
}

static void end(struct conv *c)
{
    float *const owned[] = {c->w,         c->bias,      c->x,    c->y,     c->means, c->squares,
                            c->scale,     c->shift,     c->g,    c->a,     c->b,     c->c,
                            c->out_scale, c->out_shift, c->dw,   c->dbias, c->dx,    c->pivot,
                            c->sums,      c->products,  c->gate, c->dpool};
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        buffer_destroy(owned[i]);
    }
    conv_work_destroy(c->work);
    crew_destroy(c->crew);
}

static void forward(struct conv *c)
{
    const struct conv_input input = {c->x, c->norm ? c->scale : NULL, c->norm ? c->shift : NULL};
    const struct conv_output output = {c->y, c->means, c->squares};
    conv_forward(c->work, &c->shape, c->w, c->shape.kernel == 3 ? c->bias : NULL, &input, c->n,
                 &output);
}

/* add: to the dx that is there */
static void backward(struct conv *c, bool add)
{
    const struct conv_input input = {c->x, c->norm ? c->scale : NULL, c->norm ? c->shift : NULL};
    struct conv_gradient gradient = {.g = c->g};
    struct conv_sink sink = {.dx = c->dx, .add = add};
    if (c->norm) {
        gradient = (struct conv_gradient){.g = c->g,
                                          .y = c->y,
                                          .a = c->a,
                                          .b = c->b,
                                          .c = c->c,
                                          .gate = c->gated ? c->gate : NULL,
                                          .dpool = c->gated ? c->dpool : NULL,
                                          .scale = c->out_scale,
                                          .shift = c->out_shift};
        sink = (struct conv_sink){c->dx,    add,      c->x,    c->scale,
                                  c->shift, c->pivot, c->sums, c->products};
    }
    conv_backward(c->work, &c->shape, c->w, &input, &gradient, c->n, c->dw,
                  c->norm ? NULL : c->dbias, &sink);
    crew_finish(c->crew);
}

/* ---- the definition ---- */

static size_t in_at(const struct conv *c, size_t channel, uint32_t i, size_t cell)
{
    return lanes_at(c->shape.in, c->cells, i, channel, cell);
}
static size_t out_at(const struct conv *c, size_t channel, uint32_t i, size_t cell)
{
    return lanes_at(c->shape.out, c->cells, i, channel, cell);
}

static double input_at(const struct conv *c, size_t channel, uint32_t i, size_t cell)
{
    const double x = (double)c->x[in_at(c, channel, i, cell)];
    return c->norm ? fmax(0.0, (double)c->scale[channel] * x + (double)c->shift[channel]) : x;
}

static double gradient_at(const struct conv *c, size_t channel, uint32_t i, size_t cell)
{
    const size_t place = out_at(c, channel, i, cell);
    const size_t position = channel * lanes_size(c->n, 1) + i;
    const double g = (double)c->g[place];
    const double y = (double)c->y[place];
    if (!c->norm) {
        return g;
    }
    const bool through = (double)c->out_scale[channel] * y + (double)c->out_shift[channel] > 0.0;
    const double gate = c->gated ? (double)c->gate[position] : 1.0;
    const double pool = c->gated ? (double)c->dpool[position] / (double)c->cells : 0.0;
    return (double)c->a[channel] * ((through ? gate * g : 0.0) + pool) + (double)c->b[channel] * y +
           (double)c->c[channel];
}

/* The cell that tap k of the kernel sees from `cell`; -1: off the board. */
static int seen(const struct conv *c, size_t cell, size_t k)
{
    const int size = (int)c->shape.kernel;
    const int row = (int)cell / (int)c->board.width + (int)k / size - size / 2;
    const int column = (int)cell % (int)c->board.width + (int)k % size - size / 2;
    const bool on =
        row >= 0 && row < (int)c->board.height && column >= 0 && column < (int)c->board.width;
    return on ? row * (int)c->board.width + column : -1;
}

static size_t weight_at(const struct conv *c, size_t f, size_t in, size_t k)
{
    return (f * c->shape.in + in) * c->shape.kernel * c->shape.kernel + k;
}

struct reference {
    double *y, *dw, *dx;
};

/* All three by one look at every product of the convolution. */
static struct reference define(const struct conv *c, bool back)
{
    struct reference ref = {calloc(c->n_y, sizeof(double)), calloc(c->n_weights, sizeof(double)),
                            calloc(c->n_x, sizeof(double))};
    ck_assert(ref.y != NULL && ref.dw != NULL && ref.dx != NULL);
    for (size_t f = 0; f < c->shape.out; f++) {
        for (uint32_t i = 0; i < c->n; i++) {
            for (size_t cell = 0; cell < c->cells; cell++) {
                double sum = c->shape.kernel == 3 ? (double)c->bias[f] : 0.0;
                const double gradient = back ? gradient_at(c, f, i, cell) : 0.0;
                for (size_t in = 0; in < c->shape.in; in++) {
                    for (size_t k = 0; k < (size_t)c->shape.kernel * c->shape.kernel; k++) {
                        const int from = seen(c, cell, k);
                        if (from >= 0) {
                            const size_t w = weight_at(c, f, in, k);
                            const double x = input_at(c, in, i, (size_t)from);
                            sum += (double)c->w[w] * x;
                            ref.dw[w] += gradient * x;
                            ref.dx[in_at(c, in, i, (size_t)from)] += gradient * (double)c->w[w];
                        }
                    }
                }
                ref.y[out_at(c, f, i, cell)] = sum;
            }
        }
    }
    return ref;
}

static void reference_free(struct reference *ref)
{
    free(ref->y);
    free(ref->dw);
    free(ref->dx);
}

static void describe(const struct conv *c, const char *kernel, const char *what, char ret[160])
{
    snprintf(ret, 160, "%s: %s of %ux%u, %u to %u, kernel %u, n %u, %s", kernel, what,
             c->board.height, c->board.width, c->shape.in, c->shape.out, c->shape.kernel, c->n,
             c->gated  ? "norm and gates"
             : c->norm ? "norm"
                       : "plain");
}

/* Numbers of the batch's positions: everywhere where wanted is not 0 (beyond them it is). */
static void compare(const struct conv *c, const char *what, const float *got, const double *wanted,
                    size_t n)
{
    double squares = 0.0;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        squares += wanted[i] * wanted[i];
        count += wanted[i] != 0.0;
    }
    const double scale = sqrt(squares / (double)(count == 0 ? 1 : count));
    for (size_t i = 0; i < n; i++) {
        if (wanted[i] != 0.0) {
            ck_assert_msg(fabs((double)got[i] - wanted[i]) <=
                              tolerance(c->board) * fmax(scale, 1e-3),
                          "%s [%zu]: %.9g for %.9g, root mean square %g", what, i, (double)got[i],
                          wanted[i], scale);
        }
    }
}

static void check_moments(const struct conv *c, const char *what)
{
    for (size_t f = 0; f < c->shape.out; f++) {
        for (uint32_t i = 0; i < c->n; i++) {
            const size_t position = f * lanes_size(c->n, 1) + i;
            double mean = 0.0;
            double squares = 0.0;
            for (size_t cell = 0; cell < c->cells; cell++) {
                mean += (double)c->y[out_at(c, f, i, cell)] / (double)c->cells;
            }
            for (size_t cell = 0; cell < c->cells; cell++) {
                squares += pow((double)c->y[out_at(c, f, i, cell)] - mean, 2.0);
            }
            ck_assert_msg(fabs((double)c->means[position] - mean) <= 1e-5 * fmax(1.0, fabs(mean)),
                          "%s: mean", what);
            ck_assert_msg(fabs((double)c->squares[position] - squares) <= 1e-4 * fmax(1.0, squares),
                          "%s: squares", what);
        }
    }
}

/* What the batch norm before the layer is told: sums over the cells of the input's gradient. */
static void check_sums(const struct conv *c, const char *what)
{
    for (size_t in = 0; in < c->shape.in; in++) {
        for (uint32_t i = 0; i < c->n; i++) {
            const size_t position = in * lanes_size(c->n, 1) + i;
            double sum = 0.0;
            double product = 0.0;
            double most = 1.0;
            for (size_t cell = 0; cell < c->cells; cell++) {
                const double x = (double)c->x[in_at(c, in, i, cell)];
                if ((double)c->scale[in] * x + (double)c->shift[in] > 0.0) {
                    const double g = (double)c->dx[in_at(c, in, i, cell)];
                    sum += g;
                    product += g * (x - (double)c->pivot[in]);
                    most += fabs(g) * (1.0 + fabs(x - (double)c->pivot[in]));
                }
            }
            ck_assert_msg(fabs((double)c->sums[position] - sum) <= 1e-6 * most, "%s: sums", what);
            ck_assert_msg(fabs((double)c->products[position] - product) <= 1e-6 * most,
                          "%s: products", what);
        }
    }
}

static void check_backward(struct conv *c, const char *kernel)
{
    char what[160];
    struct reference ref = define(c, true);
    double *twice = calloc(c->n_x, sizeof(double));
    double *dbias = calloc(c->shape.out, sizeof(double));
    ck_assert(twice != NULL && dbias != NULL);

    describe(c, kernel, "gradient", what);
    backward(c, false);
    compare(c, what, c->dx, ref.dx, c->n_x);
    compare(c, what, c->dw, ref.dw, c->n_weights);
    for (size_t i = 0; i < c->n_x; i++) {
        twice[i] = 2.0 * ref.dx[i];
    }
    for (size_t k = 0; k < c->shape.in;
         k++) { /* nothing may reach the positions that fill the last block */
        for (uint32_t i = c->n; i < lanes_size(c->n, 1); i++) {
            for (size_t cell = 0; cell < c->cells; cell++) {
                ck_assert_float_eq(c->dx[in_at(c, k, i, cell)], 0.0F);
            }
        }
    }
    backward(c, true);
    compare(c, what, c->dx, twice, c->n_x);
    compare(c, what, c->dw, ref.dw, c->n_weights); /* whatever scratch held before */
    if (c->norm) {
        check_sums(c, what);
    } else {
        for (size_t f = 0; f < c->shape.out; f++) {
            for (uint32_t i = 0; i < c->n; i++) {
                for (size_t cell = 0; cell < c->cells; cell++) {
                    dbias[f] += (double)c->g[out_at(c, f, i, cell)];
                }
            }
        }
        compare(c, what, c->dbias, dbias, c->shape.out);
    }
    free(dbias);
    free(twice);
    reference_free(&ref);
}

static void check_conv(struct board board, struct conv_shape shape, uint32_t n, uint32_t threads,
                       enum company company)
{
    const struct lanes_kernel *kernel;
    for (uint32_t k = 0; (kernel = lanes_nth(k)) != NULL; k++) {
        char what[160];
        if (!kernel->can_run()) {
            continue;
        }
        struct conv c = begin(kernel, board, shape, n, threads, company);
        describe(&c, kernel->name, "output", what);
        forward(&c);
        struct reference ref = define(&c, false);
        compare(&c, what, c.y, ref.y, c.n_y);
        reference_free(&ref);
        check_moments(&c, what);
        check_backward(&c, kernel->name);
        end(&c);
    }
}

static const struct board boards[] = {{6, 7}, {8, 8}, {3, 3}, {3, 4}, {5, 9},
                                      {6, 6}, {9, 9}, {1, 2}, {11, 4}};
enum { N_BOARDS = sizeof boards / sizeof boards[0] };

START_TEST(convolution_and_gradient_are_their_definitions_on_every_board)
{
    const struct board board = boards[_i];
    check_conv(board, (struct conv_shape){2, 3, 3}, 3, 1, PLAIN);
    check_conv(board, (struct conv_shape){5, 1, 3}, 16, 4, NORM); /* more workers than work */
    check_conv(board, (struct conv_shape){1, 6, 3}, 17, 2, NORM);
    check_conv(board, (struct conv_shape){18, 13, 3}, 3, 3, GATED);
    check_conv(board, (struct conv_shape){4, 2, 1}, 19, 1, PLAIN);
    check_conv(board, (struct conv_shape){7, 5, 1}, 40, 2, PLAIN);
    check_conv(board, (struct conv_shape){3, 1, 1}, 2, 1, PLAIN);
}
END_TEST

START_TEST(long_batches_go_in_several_chunks_and_the_last_may_be_short)
{
    check_conv(boards[0], (struct conv_shape){3, 4, 3}, 270, 2, NORM);
    check_conv(boards[1], (struct conv_shape){4, 3, 3}, 90, 1, GATED);
    check_conv(boards[3], (struct conv_shape){2, 5, 3}, 260, 3, NORM);
}
END_TEST

START_TEST(many_filters_in_all_the_kernels_row_counts)
{
    check_conv(boards[0], (struct conv_shape){32, 32, 3}, 16, 1, NORM);
    check_conv(boards[1], (struct conv_shape){33, 47, 3}, 16, 1, NORM);
}
END_TEST

/* ---- finite differences ---- */

static double loss_of(struct conv *c)
{
    double loss = 0.0;
    forward(c);
    for (size_t i = 0; i < c->n_y; i++) { /* g is 0 beyond the batch */
        loss += (double)c->g[i] * (double)c->y[i];
    }
    return loss;
}

/* The loss is a fixed random combination of the outputs, summed in double. It is linear in each
 * variable, so the step may be as large as to stand out from F(7, 3)'s errors. */
static void check_variable(struct conv *c, const char *name, float *variable, size_t n,
                           const float *gradient)
{
    for (size_t i = 0; i < n; i++) {
        const float saved = variable[i];
        variable[i] = saved + 0.5F;
        const double above = loss_of(c);
        variable[i] = saved - 0.5F;
        const double below = loss_of(c);
        variable[i] = saved;
        const double numeric = above - below;
        ck_assert_msg(fabs(numeric - (double)gradient[i]) <= 1e-2 * fmax(0.3, fabs(numeric)),
                      "%s[%zu]: gradient %g for %g (seed %d)", name, i, (double)gradient[i],
                      numeric, SEED);
    }
}

START_TEST(gradient_is_that_of_finite_differences)
{
    static const struct conv_shape shapes[] = {{2, 3, 3}, {3, 1, 3}, {4, 2, 1}};
    for (size_t b = 0; b < 4; b++) {
        for (size_t s = 0; s < 3; s++) {
            struct conv c = begin(lanes_choose(), boards[b], shapes[s], 4, 1 + (uint32_t)s, PLAIN);
            backward(&c, false);
            check_variable(&c, "weight", c.w, c.n_weights, c.dw);
            if (shapes[s].kernel == 3) {
                check_variable(&c, "bias", c.bias, c.shape.out, c.dbias);
            }
            check_variable(&c, "x", c.x, c.n_x, c.dx);
            end(&c);
        }
    }
}
END_TEST

START_TEST(a_number_of_threads_always_gives_the_same_bits)
{
    for (size_t k = 0; k < 2; k++) {
        const struct conv_shape shape = {9, 10, 3};
        struct conv one = begin(lanes_choose(), boards[k], shape, 100, 3, GATED);
        struct conv again = begin(lanes_choose(), boards[k], shape, 100, 3, GATED);
        forward(&one);
        forward(&again);
        backward(&one, false);
        backward(&again, false);
        ck_assert_mem_eq(one.y, again.y, one.n_y * sizeof(float));
        ck_assert_mem_eq(one.dw, again.dw, one.n_weights * sizeof(float));
        ck_assert_mem_eq(one.dx, again.dx, one.n_x * sizeof(float));
        end(&again);
        end(&one);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conv");
    TCase *tc = tcase_create("conv");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, convolution_and_gradient_are_their_definitions_on_every_board, 0,
                        N_BOARDS);
    tcase_add_test(tc, long_batches_go_in_several_chunks_and_the_last_may_be_short);
    tcase_add_test(tc, many_filters_in_all_the_kernels_row_counts);
    tcase_add_test(tc, gradient_is_that_of_finite_differences);
    tcase_add_test(tc, a_number_of_threads_always_gives_the_same_bits);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
