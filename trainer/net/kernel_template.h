/* The body of the three kernels; included by kernel_avx512.c, kernel_avx2.c and kernel_plain.c alone, which say for
 * what. Everything is written on GCC's vectors, so that one text serves all; inner functions are
 * inlined with constant sizes, so that each size becomes straight code on registers. */
#include "trainer/net/kernel.h"

enum { LANES = KERNEL_LANES };

typedef float vec __attribute__((vector_size(4 * KERNEL_LANES), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * KERNEL_LANES)));

#define INLINE static inline __attribute__((always_inline))
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNROLL /* see CMakeLists.txt */
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE vec load(const float *x)
{
    return *(const vec *)x;
}

INLINE void store(float *x, vec value)
{
    *(vec *)x = value;
}

INLINE vec zero(void)
{
    return (vec){0};
}

/* The larger of each pair; b where they cannot be compared. */
INLINE vec larger(vec a, vec b)
{
#ifdef KERNEL_MAX
    return (vec)KERNEL_MAX(a, b);
#else
    ivec mask = a > b;
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
#endif
}

INLINE vec relu(vec x)
{
    return larger(x, zero());
}

/* ---- Winograd in one direction ---- */

/* B^T d of F(4, 3): 6 inputs to 6 points. */
INLINE void points4(const vec *d, vec *ret)
{
    vec a = d[4] - 4.0F * d[2];
    vec b = d[3] - 4.0F * d[1];
    vec c = d[4] - d[2];
    vec e = 2.0F * (d[3] - d[1]);
    ret[0] = 4.0F * d[0] + (d[4] - 5.0F * d[2]);
    ret[1] = a + b;
    ret[2] = a - b;
    ret[3] = c + e;
    ret[4] = c - e;
    ret[5] = 4.0F * d[1] + (d[5] - 5.0F * d[3]);
}

/* B^T d of F(6, 3): 8 inputs to 8 points. */
INLINE void points6(const vec *d, vec *ret)
{
    vec a = d[2] - 4.25F * d[4] + d[6];
    vec b = d[1] - 4.25F * d[3] + d[5];
    vec c = 0.25F * d[2] - 1.25F * d[4] + d[6];
    vec e = 0.5F * d[1] - 2.5F * d[3] + 2.0F * d[5];
    vec f = 4.0F * d[2] - 5.0F * d[4] + d[6];
    vec g = 2.0F * d[1] - 2.5F * d[3] + 0.5F * d[5];
    ret[0] = d[0] - d[6] + 5.25F * (d[4] - d[2]);
    ret[1] = a + b;
    ret[2] = a - b;
    ret[3] = c + e;
    ret[4] = c - e;
    ret[5] = f + g;
    ret[6] = f - g;
    ret[7] = d[7] - d[1] + 5.25F * (d[3] - d[5]);
}

/* A^T m of F(4, 3): 6 points to 4 outputs. */
INLINE void outputs4(const vec *m, vec *ret)
{
    vec a = m[1] + m[2];
    vec b = m[1] - m[2];
    vec c = m[3] + m[4];
    vec d = m[3] - m[4];
    ret[0] = m[0] + a + c;
    ret[1] = b + 2.0F * d;
    ret[2] = a + 4.0F * c;
    ret[3] = b + 8.0F * d + m[5];
}

/* A^T m of F(6, 3): 8 points to 6 outputs. */
INLINE void outputs6(const vec *m, vec *ret)
{
    vec a = m[1] + m[2];
    vec b = m[1] - m[2];
    vec c = m[3] + m[4];
    vec d = m[3] - m[4];
    vec e = m[5] + m[6];
    vec f = m[5] - m[6];
    ret[0] = m[0] + a + c + e;
    ret[1] = b + 2.0F * d + 0.5F * f;
    ret[2] = a + 4.0F * c + 0.25F * e;
    ret[3] = b + 8.0F * d + 0.125F * f;
    ret[4] = a + 16.0F * c + 0.0625F * e;
    ret[5] = b + 32.0F * d + 0.03125F * f + m[7];
}

/* Both of F(7, 3): its points are those of F(6, 3) and a = 3/4. For all but a, B^T d is that of F(6, 3) over the
 * differences d[i + 1] - a d[i]. */
#define EXTRA_POINT 0.75F

INLINE void points7(const vec *d, vec *ret)
{
    vec e[8];
    UNROLL for (int i = 0; i < 8; i++)
    {
        e[i] = d[i + 1] - EXTRA_POINT * d[i];
    }
    points6(e, ret);
    ret[8] = d[7] - d[1] + 5.25F * (d[3] - d[5]);
}

INLINE void outputs7(const vec *m, vec *ret)
{
    vec a = m[1] + m[2];
    vec b = m[1] - m[2];
    vec c = m[3] + m[4];
    vec d = m[3] - m[4];
    vec e = m[5] + m[6];
    vec f = m[5] - m[6];
    vec g = m[8];
    ret[0] = m[0] + a + c + e + g;
    g *= EXTRA_POINT;
    ret[1] = b + 2.0F * d + 0.5F * f + g;
    g *= EXTRA_POINT;
    ret[2] = a + 4.0F * c + 0.25F * e + g;
    g *= EXTRA_POINT;
    ret[3] = b + 8.0F * d + 0.125F * f + g;
    g *= EXTRA_POINT;
    ret[4] = a + 16.0F * c + 0.0625F * e + g;
    g *= EXTRA_POINT;
    ret[5] = b + 32.0F * d + 0.03125F * f + g;
    g *= EXTRA_POINT;
    ret[6] = a + 64.0F * c + 0.015625F * e + g + m[7];
}

INLINE void points(int tile, const vec *d, vec *ret)
{
    if (tile == 7) {
        points7(d, ret);
    } else if (tile == 6) {
        points6(d, ret);
    } else {
        points4(d, ret);
    }
}

INLINE void outputs(int tile, const vec *m, vec *ret)
{
    if (tile == 7) {
        outputs7(m, ret);
    } else if (tile == 6) {
        outputs6(m, ret);
    } else {
        outputs4(m, ret);
    }
}

/* ---- Winograd on a board ---- */

enum { SPAN = WINOGRAD_MAX_TILE + 2, MAX_WIDTH = 64 };

/* One row of tiles, one vector of channels. The columns are transformed once each; neighbouring tiles
 * share them. What is off the board is 0. */
INLINE void transform_row(const float *x, int top, int height, int width, int tiles_across,
                          int tile_height, int tile_width, float *v, size_t v_point)
{
    vec columns[SPAN][MAX_WIDTH]; /* [point down][column]; tile after tile, so that few are live */
    for (int column = 0; column < width; column++) {
        vec d[SPAN];
        vec p[SPAN];
        UNROLL for (int i = 0; i < tile_height + 2; i++)
        {
            int row = top - 1 + i;
            d[i] = row >= 0 && row < height
                       ? load(x + ((size_t)row * (size_t)width + (size_t)column) * LANES)
                       : zero();
        }
        points(tile_height, d, p);
        UNROLL for (int i = 0; i < tile_height + 2; i++)
        {
            columns[i][column] = p[i];
        }
    }
    for (int t = 0; t < tiles_across; t++) {
        float *to = v + (size_t)t * LANES;
        UNROLL for (int i = 0; i < tile_height + 2; i++)
        {
            vec d[SPAN];
            vec p[SPAN];
            UNROLL for (int j = 0; j < tile_width + 2; j++)
            {
                int column = t * tile_width - 1 + j;
                d[j] = column >= 0 && column < width ? columns[i][column] : zero();
            }
            points(tile_width, d, p);
            UNROLL for (int j = 0; j < tile_width + 2; j++)
            {
                store(to + (size_t)(i * (tile_width + 2) + j) * v_point, p[j]);
            }
        }
    }
}

INLINE void transform(const float *x, uint32_t blocks, int height, int width, int tile_height,
                      int tile_width, float *v, size_t v_point, size_t v_block)
{
    int down = (height + tile_height - 1) / tile_height;
    int across = (width + tile_width - 1) / tile_width;
    for (uint32_t b = 0; b < blocks; b++) {
        for (int t = 0; t < down; t++) {
            transform_row(x, t * tile_height, height, width, across, tile_height, tile_width,
                          v + (size_t)(t * across) * LANES, v_point);
        }
        x += (size_t)(height * width) * LANES;
        v += v_block;
    }
}

/* One tile of one vector of channels into y; returns the sum of what it wrote. */
INLINE vec inverse_tile(const float *m, size_t m_point, vec shift, enum kernel_ending ending,
                        int top, int left, int height, int width, int tile_height, int tile_width,
                        float *y)
{
    vec rows[WINOGRAD_MAX_TILE][SPAN];
    vec total = zero();
    UNROLL for (int j = 0; j < tile_width + 2; j++)
    {
        vec p[SPAN];
        vec o[SPAN];
        UNROLL for (int i = 0; i < tile_height + 2; i++)
        {
            p[i] = load(m + (size_t)(i * (tile_width + 2) + j) * m_point);
        }
        outputs(tile_height, p, o);
        UNROLL for (int i = 0; i < tile_height; i++)
        {
            rows[i][j] = o[i];
        }
    }
    UNROLL for (int i = 0; i < tile_height; i++)
    {
        vec o[SPAN];
        outputs(tile_width, rows[i], o);
        UNROLL for (int j = 0; j < tile_width; j++)
        {
            if (top + i < height && left + j < width) {
                float *to = y + (size_t)((top + i) * width + left + j) * LANES;
                vec value = o[j] + shift;
                if (ending == KERNEL_RESIDUAL) {
                    value += load(to);
                }
                if (ending == KERNEL_MEANS) {
                    total += value;
                } else {
                    value = relu(value);
                }
                store(to, value);
            }
        }
    }
    return total;
}

INLINE void inverse(const float *m, size_t m_point, uint32_t vectors, const float *shift,
                    enum kernel_ending ending, int height, int width, int tile_height,
                    int tile_width, float *y, float *means, size_t means_block)
{
    int down = (height + tile_height - 1) / tile_height;
    int across = (width + tile_width - 1) / tile_width;
    for (uint32_t k = 0; k < vectors; k++) {
        vec total = zero();
        for (int t = 0; t < down * across; t++) {
            total +=
                inverse_tile(m + ((size_t)t * vectors + k) * LANES, m_point,
                             load(shift + (size_t)k * LANES), ending, t / across * tile_height,
                             t % across * tile_width, height, width, tile_height, tile_width, y);
        }
        if (ending == KERNEL_MEANS) {
            store(means + k * means_block, total * (1.0F / (float)(height * width)));
        }
        y += (size_t)(height * width) * LANES;
    }
}

/* The two for one board, the ending a constant. */
#define TILE_FUNCTIONS(name, height, width, tile_height, tile_width)                            \
    static void transform_##name(const struct winograd *w, const float *x, uint32_t blocks,     \
                                 float *v, size_t v_point, size_t v_block)                      \
    {                                                                                           \
        (void)w;                                                                                \
        transform(x, blocks, height, width, tile_height, tile_width, v, v_point, v_block);      \
    }                                                                                           \
    static void inverse_##name(const struct winograd *w, const float *m, size_t m_point,        \
                               uint32_t vectors, const float *shift, enum kernel_ending ending, \
                               float *y, float *means, size_t means_block)                      \
    {                                                                                           \
        (void)w;                                                                                \
        switch (ending) {                                                                       \
        case KERNEL_RELU:                                                                       \
            inverse(m, m_point, vectors, shift, KERNEL_RELU, height, width, tile_height,        \
                    tile_width, y, means, means_block);                                         \
            break;                                                                              \
        case KERNEL_RESIDUAL:                                                                   \
            inverse(m, m_point, vectors, shift, KERNEL_RESIDUAL, height, width, tile_height,    \
                    tile_width, y, means, means_block);                                         \
            break;                                                                              \
        case KERNEL_MEANS:                                                                      \
            inverse(m, m_point, vectors, shift, KERNEL_MEANS, height, width, tile_height,       \
                    tile_width, y, means, means_block);                                         \
            break;                                                                              \
        }                                                                                       \
    }

TILE_FUNCTIONS(6x7, 6, 7, 6, 7)
TILE_FUNCTIONS(8x8, 8, 8, 4, 4)
TILE_FUNCTIONS(any, (int)w->height, (int)w->width, 4, 4)

/* ---- products ---- */

INLINE void product_rows(const float *v, size_t v_block, const float *u, uint32_t n_in, float *m,
                         int rows, int vectors)
{
    vec sums[16][KERNEL_VECTORS];
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int k = 0; k < vectors; k++)
        {
            sums[i][k] = zero();
        }
    }
    while (n_in > 0) {
        uint32_t n = n_in < LANES ? n_in : LANES;
        for (uint32_t c = 0; c < n; c++) {
            vec weight[KERNEL_VECTORS];
            UNROLL for (int k = 0; k < vectors; k++)
            {
                weight[k] = load(u + k * LANES);
            }
            UNROLL for (int i = 0; i < rows; i++)
            {
                UNROLL for (int k = 0; k < vectors; k++)
                {
                    sums[i][k] += v[(uint32_t)(i * LANES) + c] * weight[k];
                }
            }
            u += vectors * LANES;
        }
        v += v_block;
        n_in -= n;
    }
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int k = 0; k < vectors; k++)
        {
            store(m + (size_t)(i * vectors + k) * LANES, sums[i][k]);
        }
    }
}

/* A function for each number of rows, so that the last ones of a product are fast too: with few
 * positions they are all there is. */
#define ROWS_CASE(n)                                                          \
    case n:                                                                   \
        if (n <= most) {                                                      \
            product_rows(v, v_block, u, n_in, m, n <= most ? n : 1, vectors); \
        }                                                                     \
        break;

INLINE void product_all(const float *v, size_t v_block, uint32_t n_rows, const float *u,
                        uint32_t n_in, float *m, int most, int vectors)
{
    uint32_t panels = (n_rows + (uint32_t)most - 1) / (uint32_t)most;
    for (; panels > 0;
         panels--) { /* of even size: a last one of few rows would wait for its weights */
        uint32_t n = (n_rows + panels - 1) / panels;
        switch (n) {
            ROWS_CASE(1)
            ROWS_CASE(2)
            ROWS_CASE(3)
            ROWS_CASE(4)
            ROWS_CASE(5)
            ROWS_CASE(6)
            ROWS_CASE(7)
            ROWS_CASE(8)
            ROWS_CASE(9)
            ROWS_CASE(10)
            ROWS_CASE(11)
            ROWS_CASE(12)
            ROWS_CASE(13)
            ROWS_CASE(14)
            ROWS_CASE(15)
            ROWS_CASE(16)
        }
        v += (size_t)n * LANES;
        m += (size_t)n * (size_t)vectors * LANES;
        n_rows -= n;
    }
}

static void product(const float *v, size_t v_block, uint32_t n_rows, const float *u, uint32_t n_in,
                    uint32_t vectors, float *m)
{
    switch (vectors) {
    case 1:
        product_all(v, v_block, n_rows, u, n_in, m, KERNEL_ROWS_1, 1);
        break;
    case 2:
        product_all(v, v_block, n_rows, u, n_in, m, KERNEL_ROWS_2, 2);
        break;
#if KERNEL_VECTORS > 2
    case 3:
        product_all(v, v_block, n_rows, u, n_in, m, KERNEL_ROWS_3, 3);
        break;
    case 4:
        product_all(v, v_block, n_rows, u, n_in, m, KERNEL_ROWS_4, 4);
        break;
#endif
    }
}

/* ---- the rest ---- */

/* A float's bits: compared many at a time, and as integers. */
typedef uint32_t float_bits __attribute__((may_alias));

static bool one_value(const float *plane, uint32_t cells)
{
    const float_bits *bits = (const float_bits *)plane;
    uint32_t differing = 0;
    for (uint32_t i = 0; i < cells; i++) {
        differing |= bits[i] ^ bits[0];
    }
    return differing == 0;
}

/* The cells of the planes that are neither empty nor of one value: hits[first[cell]] up to hits[first[cell + 1]], in
 * the planes' order. And the planes of one value: returns how many. */
static uint32_t find_hits(const struct kernel_input *in, const float *planes)
{
    uint32_t cells = in->height * in->width;
    uint32_t n = 0;
    uint32_t n_constant = 0;
    for (uint32_t cell = 0; cell <= cells; cell++) {
        in->first[cell] = 0;
    }
    for (uint32_t plane = 0; plane < in->planes; plane++, planes += cells) {
        if (one_value(planes, cells)) {
            if (planes[0] != 0.0F) {
                in->constants[n_constant++] = (struct kernel_hit){plane, planes[0]};
            }
            continue;
        }
        const float_bits *bits = (const float_bits *)planes;
        for (uint32_t cell = 0; cell < cells; cell++) {
            if (bits[cell] != 0) {
                in->found[n] = (struct kernel_hit){plane, planes[cell]};
                in->found_cell[n++] = cell;
                in->first[cell + 1]++;
            }
        }
    }
    for (uint32_t cell = 0; cell < cells; cell++) {
        in->first[cell + 1] += in->first[cell];
    }
    for (uint32_t i = 0; i < n;
         i++) { /* each cell's begin moves to its end, which is the next one's begin */
        in->hits[in->first[in->found_cell[i]]++] = in->found[i];
    }
    for (uint32_t cell = cells; cell > 0; cell--) {
        in->first[cell] = in->first[cell - 1];
    }
    in->first[0] = 0;
    return n_constant;
}

/* One cell, `vectors` vectors from the first on: in registers, as few of its neighbours' planes hold anything. */
INLINE void input_cell(const struct kernel_input *in, uint32_t n_constant, int row, int column,
                       uint32_t first_vector, int vectors, float *x)
{
    int height = (int)in->height;
    int width = (int)in->width;
    size_t cells = (size_t)in->height * in->width;
    size_t stride = (size_t)in->vectors * LANES;
    size_t skipped = (size_t)first_vector * LANES;
    uint32_t neighbours = (row > 0 ? 1U : 0U) | (row + 1 < height ? 2U : 0U) |
                          (column > 0 ? 4U : 0U) | (column + 1 < width ? 8U : 0U);
    vec sums[KERNEL_VECTORS];
    UNROLL for (int k = 0; k < vectors; k++)
    {
        sums[k] = load(in->shift + skipped + (size_t)k * LANES);
    }
    for (uint32_t i = 0; i < n_constant; i++) {
        const struct kernel_hit *hit = &in->constants[i];
        const float *w = in->constant + ((size_t)hit->plane * 16 + neighbours) * stride + skipped;
        UNROLL for (int k = 0; k < vectors; k++)
        {
            sums[k] += hit->value * load(w + k * LANES);
        }
    }
    for (int tap = 0; tap < 9; tap++) {
        int y = row + tap / 3 - 1;
        int z = column + tap % 3 - 1;
        if (y < 0 || y >= height || z < 0 || z >= width) {
            continue;
        }
        const uint32_t *range = &in->first[y * width + z];
        for (uint32_t i = range[0]; i < range[1]; i++) {
            const struct kernel_hit *hit = &in->hits[i];
            const float *w = in->weight + ((size_t)hit->plane * 9 + (size_t)tap) * stride + skipped;
            UNROLL for (int k = 0; k < vectors; k++)
            {
                sums[k] += hit->value * load(w + k * LANES);
            }
        }
    }
    float *to = x + ((size_t)first_vector * cells + (size_t)(row * width + column)) * LANES;
    UNROLL for (int k = 0; k < vectors; k++)
    {
        store(to + (size_t)k * cells * LANES, relu(sums[k]));
    }
}

INLINE void input_vectors(const struct kernel_input *in, uint32_t n_constant, uint32_t first_vector,
                          int vectors, float *x)
{
    for (int row = 0; row < (int)in->height; row++) {
        for (int column = 0; column < (int)in->width; column++) {
            input_cell(in, n_constant, row, column, first_vector, vectors, x);
        }
    }
}

static void input(const struct kernel_input *in, const float *planes, float *x)
{
    uint32_t n_constant = find_hits(in, planes);
    for (uint32_t k = 0; k < in->vectors; k += KERNEL_VECTORS) {
        switch (in->vectors - k) {
        case 1:
            input_vectors(in, n_constant, k, 1, x);
            break;
#if KERNEL_VECTORS > 2
        case 2:
            input_vectors(in, n_constant, k, 2, x);
            break;
        case 3:
            input_vectors(in, n_constant, k, 3, x);
            break;
#endif
        default:
            input_vectors(in, n_constant, k, KERNEL_VECTORS, x);
            break;
        }
    }
}

static void add_bias(const float *m, uint32_t n_rows, uint32_t vectors, const float *bias,
                     bool with_relu, float *ret, size_t ret_block)
{
    for (uint32_t row = 0; row < n_rows; row++) {
        for (uint32_t k = 0; k < vectors; k++) {
            vec x = load(m + ((size_t)row * vectors + k) * LANES) + load(bias + (size_t)k * LANES);
            store(ret + k * ret_block + (size_t)row * LANES, with_relu ? relu(x) : x);
        }
    }
}

/* e^x within 2 units in the last place for |x| <= 87; beyond it is clamped. x = n ln 2 + r, |r| <= ln 2 / 2; e^r by
 * its Taylor series; 2^n through the exponent's bits. Adding 1.5 2^23 rounds n into the low bits. */
INLINE vec exponential(vec x)
{
    const vec magic = zero() + 12582912.0F;
    x = larger(x, zero() - 87.0F);
    x = -larger(-x, zero() - 87.0F);
    vec shifted = x * 1.44269504F + magic;
    vec n = shifted - magic;
    vec r = x - n * 0.693359375F;
    r = r - n * -2.12194440e-4F;
    vec p = zero() + 1.0F / 5040.0F;
    p = p * r + 1.0F / 720.0F;
    p = p * r + 1.0F / 120.0F;
    p = p * r + 1.0F / 24.0F;
    p = p * r + 1.0F / 6.0F;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    return (vec)((ivec)p + ((ivec)shifted << 23));
}

static void excite(const float *excited, size_t excited_block, const float *y, uint32_t blocks,
                   uint32_t cells, float *x)
{
    for (uint32_t b = 0; b < blocks; b++) {
        vec scale = 1.0F / (1.0F + exponential(-load(excited + b * excited_block)));
        vec shift = load(excited + (blocks + b) * excited_block);
        for (uint32_t cell = 0; cell < cells; cell++) {
            store(x, relu(scale * load(y) + shift + load(x)));
            x += LANES;
            y += LANES;
        }
    }
}

static float dot(const float *weight, const float *x, uint32_t blocks, uint32_t height,
                 uint32_t width, uint32_t row, uint32_t column)
{
    vec sums = zero();
    for (int k = 0; k < 9; k++) {
        int y = (int)row + k / 3 - 1;
        int z = (int)column + k % 3 - 1;
        if (y < 0 || z < 0 || y >= (int)height || z >= (int)width) {
            continue;
        }
        const float *from = x + ((size_t)y * width + (size_t)z) * LANES;
        const float *w = weight + (size_t)k * blocks * LANES;
        for (uint32_t b = 0; b < blocks; b++) {
            sums += load(from + (size_t)b * height * width * LANES) * load(w + (size_t)b * LANES);
        }
    }
    float total = 0.0F;
    for (int i = 0; i < LANES; i++) {
        total += sums[i];
    }
    return total;
}

const struct kernel KERNEL = {
    .name = KERNEL_NAME,
    .lanes = LANES,
    .vectors = KERNEL_VECTORS,
    .can_run = can_run,
    .tiles = {[WINOGRAD_6X7] = {transform_6x7, inverse_6x7},
              [WINOGRAD_8X8] = {transform_8x8, inverse_8x8},
              [WINOGRAD_ANY] = {transform_any, inverse_any}},
    .product = product,
    .input = input,
    .bias = add_bias,
    .excite = excite,
    .dot = dot,
};
