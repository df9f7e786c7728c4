/* The check of a BLAS: products of odd shapes against plain C. The shapes stand on both sides of
 * the widths of vectors and register tiles, and of the size (about 100^3) at which OpenBLAS goes from its
 * small-matrix kernels to packed ones. Rows are padded with NaN, which a right product never reads
 * as a number, and results by a guard that it never writes. */
#include "trainer/net/blas.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

struct shape {
    int m, n, k;
};

static const struct shape shapes[] = {
    {1, 1, 1},     {1, 7, 3},     {2, 1, 5},     {3, 2, 1},    {4, 4, 4},      {5, 3, 17},
    {6, 16, 9},    {7, 7, 7},     {8, 8, 27},    {9, 33, 8},   {13, 5, 31},    {15, 16, 17},
    {16, 15, 64},  {17, 31, 16},  {24, 48, 12},  {31, 17, 33}, {32, 32, 32},   {33, 9, 65},
    {36, 4, 96},   {42, 32, 27},  {42, 8, 32},   {42, 1, 96},  {42, 5, 15},    {42, 32, 96},
    {42, 64, 192}, {47, 49, 51},  {48, 24, 100}, {63, 65, 3},  {64, 64, 64},   {64, 80, 192},
    {65, 2, 129},  {2, 200, 77},  {97, 3, 101},  {1, 64, 336}, {128, 16, 40},  {130, 66, 35},
    {71, 129, 40}, {100, 1, 257}, {3, 64, 300},  {64, 8, 576}, {127, 129, 65}, {200, 66, 131},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0], PADDING = 3 };

static const float guard = 12345.0F;

/* One shape's operands, plain and transposed, and what plain C makes of them. */
struct operands {
    const struct shape *shape;
    float *a[2], *b[2]; /* [0] as the product is written, [1] stored transposed */
    float *start;       /* C before the product */
    float *c;
    double *want;  /* A B */
    double *scale; /* |A| |B|: the size of which rounding is a share */
};

/* Numbers of [-1, 1) by a linear congruential generator: any will do, the same each time. */
static float next_number(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return (float)(int32_t)(*state & 0xFFFFFF00U) / 2147483648.0F;
}

/* rows x columns with padding, [0] and its transpose [1] */
static bool make_matrix(float *ret[2], int rows, int columns, uint32_t *state)
{
    size_t ld = (size_t)columns + PADDING;
    size_t ld_transposed = (size_t)rows + PADDING;
    ret[0] = malloc((size_t)rows * ld * sizeof(float));
    ret[1] = malloc((size_t)columns * ld_transposed * sizeof(float));
    if (ret[0] == NULL || ret[1] == NULL) {
        return false;
    }
    for (size_t i = 0; i < (size_t)rows * ld; i++) {
        ret[0][i] = NAN;
    }
    for (size_t i = 0; i < (size_t)columns * ld_transposed; i++) {
        ret[1][i] = NAN;
    }
    for (size_t r = 0; r < (size_t)rows; r++) {
        for (size_t c = 0; c < (size_t)columns; c++) {
            ret[0][r * ld + c] = ret[1][c * ld_transposed + r] = next_number(state);
        }
    }
    return true;
}

static void plain_product(const struct operands *o)
{
    size_t m = (size_t)o->shape->m;
    size_t n = (size_t)o->shape->n;
    size_t k = (size_t)o->shape->k;
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            o->want[i * n + j] = o->scale[i * n + j] = 0.0;
        }
        for (size_t l = 0; l < k; l++) {
            double a = (double)o->a[0][i * (k + PADDING) + l];
            for (size_t j = 0; j < n; j++) {
                double term = a * (double)o->b[0][l * (n + PADDING) + j];
                o->want[i * n + j] += term;
                o->scale[i * n + j] += fabs(term);
            }
        }
    }
}

static void operands_finish(struct operands *o)
{
    for (int i = 0; i < 2; i++) {
        free(o->a[i]);
        free(o->b[i]);
    }
    free(o->start);
    free(o->c);
    free(o->want);
    free(o->scale);
}

static bool operands_init(struct operands *o, const struct shape *shape, uint32_t seed)
{
    uint32_t state = seed;
    size_t cells = (size_t)shape->m * (size_t)shape->n;
    size_t padded = (size_t)shape->m * ((size_t)shape->n + PADDING);
    *o = (struct operands){.shape = shape};
    o->start = calloc(padded, sizeof(float));
    o->c = malloc(padded * sizeof(float));
    o->want = calloc(cells, sizeof(double));
    o->scale = calloc(cells, sizeof(double));
    if (!make_matrix(o->a, shape->m, shape->k, &state) ||
        !make_matrix(o->b, shape->k, shape->n, &state) || o->start == NULL || o->c == NULL ||
        o->want == NULL || o->scale == NULL) {
        operands_finish(o);
        return false;
    }
    for (size_t i = 0; i < padded; i++) {
        o->start[i] = next_number(&state);
    }
    plain_product(o);
    return true;
}

/* fp32 sums of k terms err by at most k 2^-24 of the sum of sizes, in practice by far less; kernels
 * that are wrong are wrong in the first digits. */
static bool near(float got, double want, double scale, int k)
{
    double limit = (2e-6 + 6e-8 * sqrt((double)k)) * (scale + 1.0);
    return fabs((double)got - want) <= limit; /* false for NaN */
}

/* Row i of C: alpha A B + beta C, and the guards behind it as they were. */
static bool row_is_right(const struct operands *o, size_t i, float alpha, float beta)
{
    size_t n = (size_t)o->shape->n;
    const float *got = o->c + i * (n + PADDING);
    const float *start = o->start + i * (n + PADDING);
    for (size_t j = 0; j < n; j++) {
        double want = (double)alpha * o->want[i * n + j];
        want += beta == 0.0F ? 0.0 : (double)(beta * start[j]);
        if (!near(got[j], want, o->scale[i * n + j], o->shape->k)) {
            return false;
        }
    }
    for (size_t j = n; j < n + PADDING; j++) {
        if (got[j] != guard) {
            return false;
        }
    }
    return true;
}

static bool gemm_is_right(const struct operands *o, const struct blas_products *products,
                          bool transpose_a, bool transpose_b, float alpha, float beta)
{
    int m = o->shape->m;
    int n = o->shape->n;
    int k = o->shape->k;
    size_t ldc = (size_t)n + PADDING;
    for (size_t i = 0; i < (size_t)m; i++) {
        for (size_t j = 0; j < ldc; j++) { /* beta 0 must overwrite, not multiply */
            o->c[i * ldc + j] = j >= (size_t)n ? guard : beta == 0.0F ? NAN : o->start[i * ldc + j];
        }
    }
    products->sgemm(transpose_a, transpose_b, m, n, k, alpha, o->a[transpose_a],
                    (transpose_a ? m : k) + PADDING, o->b[transpose_b],
                    (transpose_b ? k : n) + PADDING, beta, o->c, n + PADDING);
    for (size_t i = 0; i < (size_t)m; i++) {
        if (!row_is_right(o, i, alpha, beta)) {
            return false;
        }
    }
    return true;
}

/* y = alpha A x + beta y with x the first column of B: the first column of the product. */
static bool gemv_is_right(const struct operands *o, const struct blas_products *products,
                          bool transpose, float alpha, float beta)
{
    size_t m = (size_t)o->shape->m;
    size_t n = (size_t)o->shape->n;
    int k = o->shape->k;
    const float *x = o->b[1]; /* B's columns are rows of its transpose */
    float *y = o->c;
    for (size_t i = 0; i < m; i++) {
        y[i] = beta == 0.0F ? NAN : o->start[i];
    }
    y[m] = guard;
    products->sgemv(transpose, transpose ? k : (int)m, transpose ? (int)m : k, alpha,
                    o->a[transpose], (transpose ? (int)m : k) + PADDING, x, beta, y);
    for (size_t i = 0; i < m; i++) {
        double want = (double)alpha * o->want[i * n];
        want += beta == 0.0F ? 0.0 : (double)(beta * o->start[i]);
        if (!near(y[i], want, o->scale[i * n], k)) {
            return false;
        }
    }
    return y[m] == guard;
}

static int wrong(const char *product, const struct operands *o, const char *how, struct error *err)
{
    return error_set(err, ERROR_UNSUPPORTED,
                     "OpenBLAS kernel %s is wrong on this processor: %s %dx%dx%d %s",
                     blas_corename(), product, o->shape->m, o->shape->n, o->shape->k, how);
}

static int check_shape(const struct operands *o, const struct blas_products *products,
                       struct error *err)
{
    static const char *const names[2][2] = {{"NN", "NT"}, {"TN", "TT"}};
    static const float factors[][2] = {{1.0F, 0.0F}, {1.0F, 1.0F}, {-0.5F, 0.75F}};
    for (size_t f = 0; f < sizeof factors / sizeof factors[0]; f++) {
        float alpha = factors[f][0];
        float beta = factors[f][1];
        for (int t = 0; t < 4; t++) {
            if (!gemm_is_right(o, products, t / 2 == 1, t % 2 == 1, alpha, beta)) {
                return wrong("sgemm", o, names[t / 2][t % 2], err);
            }
        }
        for (int t = 0; t < 2; t++) {
            if (!gemv_is_right(o, products, t == 1, alpha, beta)) {
                return wrong("sgemv", o, t == 1 ? "T" : "N", err);
            }
        }
    }
    return 0;
}

int blas_check_products(const struct blas_products *products, struct error *err)
{
    for (uint32_t i = 0; i < N_SHAPES; i++) {
        struct operands operands;
        if (!operands_init(&operands, &shapes[i], i + 1)) {
            return error_set(err, ERROR_NO_MEMORY, "no memory for the check of OpenBLAS");
        }
        int r = check_shape(&operands, products, err);
        operands_finish(&operands);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
