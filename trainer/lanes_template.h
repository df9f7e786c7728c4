/* The body of the three kernels; included by lanes_avx512.c, lanes_avx2.c and lanes_plain.c alone,
 * which say for what. Everything is written on GCC's vectors, so that one text serves all. */
#include "trainer/lanes.h"
#include "trainer/net/vector.h"

enum { PARTS = LANES / VECTOR_LANES }; /* vectors a block of positions */

/* g where the relu of y let y through, else 0 */
INLINE vec pass(vec y, vec g)
{
    return (vec)((ivec)g & (y > zero()));
}

#include "trainer/lanes_transform.h"

#include "trainer/lanes_board.h"

TILE_FUNCTIONS(6x7, 6, 7, 6, 7)
TILE_FUNCTIONS(8x8, 8, 8, 4, 4)
TILE_FUNCTIONS(any, (int)w->height, (int)w->width, 4, 4)

/* ---- products ---- */

/* Rows whose factors never lie apart: ROWS are a multiple of it, and so are 16. */
enum { TOGETHER = ROWS % 4 == 0 ? 4 : 2 };

/* Some rows by 2 vectors of positions (`pair` apart in v and m) or 1: so many sums in registers. A line a step of
 * `ahead` is fetched meanwhile: the weights of the next product, which follow these. Few positions share the weights
 * of a chunk, so that these come from the third cache, and the processor's own fetching ends with each page. */
INLINE void product_rows(int rows, int vectors, const float *u, uint32_t row, uint32_t n_k,
                         const float *v, size_t v_pair, size_t v_k, float *m, size_t m_pair,
                         size_t m_row, bool add, const float *ahead)
{
    vec sums[ROWS][2];
    const float *factors[(ROWS + TOGETHER - 1) / TOGETHER];
    UNROLL for (int i = 0; i < (rows + TOGETHER - 1) / TOGETHER; i++)
    {
        factors[i] = u + lanes_factor_at(n_k, row + (uint32_t)(i * TOGETHER), 0);
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int j = 0; j < vectors; j++)
        {
            sums[r][j] = add ? load(m + (size_t)r * m_row + (size_t)j * m_pair) : zero();
        }
    }
    for (size_t at = 0; at < (size_t)n_k * LANES; at += LANES) {
        vec x[2];
        UNROLL for (int j = 0; j < vectors; j++)
        {
            x[j] = load(v + (size_t)j * v_pair);
        }
        UNROLL for (int r = 0; r < rows; r++)
        {
            const float factor = factors[r / TOGETHER][at + (size_t)(r % TOGETHER)];
            UNROLL for (int j = 0; j < vectors; j++)
            {
                sums[r][j] += factor * x[j];
            }
        }
        v += v_k;
        __builtin_prefetch(ahead + at, 0, 2);
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int j = 0; j < vectors; j++)
        {
            store(m + (size_t)r * m_row + (size_t)j * m_pair, sums[r][j]);
        }
    }
}

INLINE void product_vectors(int vectors, const float *u, uint32_t rows, uint32_t n_k,
                            const float *v, size_t v_pair, size_t v_k, float *m, size_t m_pair,
                            size_t m_row, bool add)
{
    uint32_t row = 0;
    const float *ahead = u + lanes_factors(n_k, rows);
#define ROWS_AT_A_TIME(count)                                                                     \
    for (; row + (count) <= rows; row += (count)) {                                               \
        product_rows(count, vectors, u, row, n_k, v, v_pair, v_k, m + row * m_row, m_pair, m_row, \
                     add, ahead);                                                                 \
        ahead += (size_t)n_k * LANES;                                                             \
    }
    ROWS_AT_A_TIME(ROWS)
#if ROWS > 8
    ROWS_AT_A_TIME(8)
#endif
    ROWS_AT_A_TIME(4)
    ROWS_AT_A_TIME(2)
    ROWS_AT_A_TIME(1)
}

static void product(const float *u, uint32_t rows, uint32_t n_k, const float *v, size_t v_column,
                    size_t v_k, uint32_t columns, float *m, size_t m_column, size_t m_row, bool add)
{
    for (uint32_t column = 0; column < columns; column++) {
        if (PARTS > 1) {
            for (size_t part = 0; part < PARTS; part += 2) {
                product_vectors(2, u, rows, n_k, v + part * VECTOR_LANES, VECTOR_LANES, v_k,
                                m + part * VECTOR_LANES, VECTOR_LANES, m_row, add);
            }
        } else if (column + 1 < columns) {
            product_vectors(2, u, rows, n_k, v, v_column, v_k, m, m_column, m_row, add);
            column++;
            v += v_column;
            m += m_column;
        } else {
            product_vectors(1, u, rows, n_k, v, v_column, v_k, m, m_column, m_row, add);
        }
        v += v_column;
        m += m_column;
    }
}

/* ---- the weights' gradient ---- */

/* Lane i of the result is lane index[i] of a and b side by side. clang has no such builtin; of constants it makes the
 * same instruction. */
INLINE vec shuffle(vec a, vec b, ivec index)
{
#ifdef __clang__
    vec ret;
    UNROLL for (int lane = 0; lane < VECTOR_LANES; lane++)
    {
        ret[lane] = index[lane] < VECTOR_LANES ? a[index[lane]] : b[index[lane] - VECTOR_LANES];
    }
    return ret;
#else
    return __builtin_shuffle(a, b, index);
#endif
}

/* One round of a transposition: blocks of `distance` lanes change places between the vectors of
 * each pair. */
INLINE void swap_blocks(vec *x, int distance)
{
    ivec low = {0};
    ivec high = {0};
    UNROLL for (int lane = 0; lane < VECTOR_LANES; lane++)
    {
        low[lane] = (lane & distance) == 0 ? lane : (lane ^ distance) + VECTOR_LANES;
        high[lane] = (lane & distance) == 0 ? (lane ^ distance) : lane + VECTOR_LANES;
    }
    UNROLL for (int i = 0; i < VECTOR_LANES; i++)
    {
        if ((i & distance) == 0) {
            const vec a = x[i];
            const vec b = x[i + distance];
            x[i] = shuffle(a, b, low);
            x[i + distance] = shuffle(a, b, high);
        }
    }
}

INLINE void transpose(vec *x)
{
    swap_blocks(x, 1);
    swap_blocks(x, 2);
#if VECTOR_LANES > 4
    swap_blocks(x, 4);
#endif
#if VECTOR_LANES > 8
    swap_blocks(x, 8);
#endif
}

enum {
    GROUP = 2 * VECTOR_LANES, /* k's at a time */
    GROUP_COLUMNS = 8,        /* columns at a time */
};

/* turned[column * 16 + lane][k] = v[column][k][lane], for `count` k's of a group; zeros for the
 * others.
 * Its loops are straight code once sizes are constants: NOLINTNEXTLINE(readability-function-cognitive-complexity) */
INLINE void turn(const float *v, size_t v_column, size_t v_k, uint32_t count, uint32_t columns,
                 float (*turned)[GROUP])
{
    for (uint32_t column = 0; column < columns; column++) {
        for (size_t k = 0; k < GROUP; k += VECTOR_LANES) {
            for (size_t part = 0; part < PARTS; part++) {
                const float *from = v + column * v_column + k * v_k + part * VECTOR_LANES;
                float(*to)[GROUP] = turned + (size_t)column * LANES + part * VECTOR_LANES;
                vec x[VECTOR_LANES];
                if (k + VECTOR_LANES <= count) {
                    UNROLL for (size_t i = 0; i < VECTOR_LANES; i++)
                    {
                        x[i] = load(from + i * v_k);
                    }
                } else {
                    UNROLL for (size_t i = 0; i < VECTOR_LANES; i++)
                    {
                        x[i] = k + i < count ? load(from + i * v_k) : zero();
                    }
                }
                transpose(x);
                UNROLL for (size_t i = 0; i < VECTOR_LANES; i++)
                {
                    store(to[i] + k, x[i]);
                }
            }
        }
    }
}

/* Sums of some rows by two vectors of k's; the next point's sums are fetched ahead, as in product_rows. */
INLINE void correlate_rows(int rows, const float *m, size_t m_column, size_t m_row,
                           const float (*turned)[GROUP], uint32_t columns, float *du, size_t du_row,
                           bool add, const float *ahead)
{
    vec sums[ROWS][2];
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int j = 0; j < 2; j++)
        {
            sums[r][j] = add ? load(du + (size_t)r * du_row + (size_t)j * VECTOR_LANES) : zero();
        }
    }
    for (uint32_t column = 0; column < columns; column++) {
        for (size_t lane = 0; lane < LANES; lane++) {
            const vec x[2] = {load(*turned), load(*turned + VECTOR_LANES)};
            turned++;
            UNROLL for (int r = 0; r < rows; r++)
            {
                const float factor = m[(size_t)r * m_row + lane];
                sums[r][0] += factor * x[0];
                sums[r][1] += factor * x[1];
            }
            __builtin_prefetch(ahead, 1, 2);
            ahead += LANES;
        }
        m += m_column;
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int j = 0; j < 2; j++)
        {
            store(du + (size_t)r * du_row + (size_t)j * VECTOR_LANES, sums[r][j]);
        }
    }
}

INLINE void correlate_group(const float *m, size_t m_column, size_t m_row, uint32_t rows,
                            const float (*turned)[GROUP], uint32_t columns, float *du,
                            size_t du_row, bool add, const float *ahead)
{
    uint32_t row = 0;
#define CORRELATE_AT_A_TIME(count)                                               \
    for (; row + (count) <= rows; row += (count)) {                              \
        correlate_rows(count, m + row * m_row, m_column, m_row, turned, columns, \
                       du + row * du_row, du_row, add, ahead);                   \
        ahead += (size_t)columns * LANES * LANES;                                \
    }
    CORRELATE_AT_A_TIME(ROWS)
#if ROWS > 8
    CORRELATE_AT_A_TIME(8)
#endif
    CORRELATE_AT_A_TIME(4)
    CORRELATE_AT_A_TIME(2)
    CORRELATE_AT_A_TIME(1)
}

INLINE void correlate_all(const float *m, size_t m_column, size_t m_row, uint32_t rows,
                          const float *v, size_t v_column, size_t v_k, uint32_t n_k,
                          uint32_t columns, float *du, size_t du_row, bool add)
{
    float turned[GROUP_COLUMNS * LANES][GROUP] __attribute__((aligned(64)));

    for (uint32_t column = 0; column < columns; column += GROUP_COLUMNS) {
        const uint32_t now = columns - column < GROUP_COLUMNS ? columns - column : GROUP_COLUMNS;
        for (uint32_t k = 0; k < n_k; k += GROUP) {
            const uint32_t count = n_k - k < GROUP ? n_k - k : GROUP;
            turn(v + column * v_column + k * v_k, v_column, v_k, count, now, turned);
            correlate_group(m + column * m_column, m_column, m_row, rows,
                            (const float(*)[GROUP])turned, now, du + k, du_row, add || column > 0,
                            du + rows * du_row + (size_t)k * rows);
        }
    }
}

static void correlate(const float *m, size_t m_column, size_t m_row, uint32_t rows, const float *v,
                      size_t v_column, size_t v_k, uint32_t n_k, uint32_t columns, float *du,
                      size_t du_row, bool add)
{
    if (m_row == LANES) { /* points; a constant, so that a dozen rows have one address */
        correlate_all(m, m_column, LANES, rows, v, v_column, v_k, n_k, columns, du, du_row, add);
    } else {
        correlate_all(m, m_column, m_row, rows, v, v_column, v_k, n_k, columns, du, du_row, add);
    }
}

/* ---- cell by cell ---- */

static void finish(const float *x, const float *skip, const float *a, const float *c,
                   uint32_t cells, float *y)
{
    for (size_t part = 0; part < PARTS; part++) {
        const vec factor = load(a + part * VECTOR_LANES);
        const vec shift = load(c + part * VECTOR_LANES);
        for (size_t at = part * VECTOR_LANES; at < (size_t)cells * LANES; at += LANES) {
            vec value = factor * load(x + at) + shift;
            if (skip != NULL) {
                value += load(skip + at);
            }
            store(y + at, relu(value));
        }
    }
}

static void finish_back(const float *x, const float *y, float pivot, uint32_t cells, float *dy,
                        float *sums, float *products)
{
    for (size_t part = 0; part < PARTS; part++) {
        vec sum = zero();
        vec products_sum = zero();
        for (size_t at = part * VECTOR_LANES; at < (size_t)cells * LANES; at += LANES) {
            const vec g = pass(load(y + at), load(dy + at));
            store(dy + at, g);
            sum += g;
            products_sum += g * (load(x + at) - pivot);
        }
        store(sums + part * VECTOR_LANES, sum);
        store(products + part * VECTOR_LANES, products_sum);
    }
}

static void moments(const float *x, uint32_t cells, float *means, float *squares)
{
    for (size_t part = 0; part < PARTS; part++) {
        moments_part(x + part * VECTOR_LANES, (int)cells, means + part * VECTOR_LANES,
                     squares + part * VECTOR_LANES);
    }
}

static void gradient(const struct lanes_gradient *from, uint32_t cells, float *ret)
{
    for (size_t part = 0; part < PARTS; part++) {
        for (size_t cell = 0; cell < cells; cell++) {
            store(ret + cell * LANES + part * VECTOR_LANES, read_gradient(from, cell, part));
        }
    }
}

const struct lanes_kernel KERNEL = {
    .name = KERNEL_NAME,
    .can_run = can_run,
    .tiles = {[WINOGRAD_6X7] = TILE_ENTRY(6x7),
              [WINOGRAD_8X8] = TILE_ENTRY(8x8),
              [WINOGRAD_ANY] = TILE_ENTRY(any)},
    .product = product,
    .correlate = correlate,
    .finish = finish,
    .finish_back = finish_back,
    .moments = moments,
    .gradient = gradient,
};
