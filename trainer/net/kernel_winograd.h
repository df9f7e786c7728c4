/* Winograd's transforms, on one vector of channels at a time; part of kernel_template.h. */
#include "trainer/net/kernel_vector.h"

/* ---- Winograd in one direction ---- */

/* B^T d of F(3, 3): 5 inputs to 5 points. */
INLINE void points3(const vec *d, vec *ret)
{
    ret[0] = 2.0F * (d[0] - d[2]) + (d[3] - d[1]);
    ret[1] = d[3] - d[2] - 2.0F * d[1];
    ret[2] = d[3] - 3.0F * d[2] + 2.0F * d[1];
    ret[3] = d[3] - d[1];
    ret[4] = 2.0F * (d[1] - d[3]) + (d[4] - d[2]);
}

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

/* A^T m of F(3, 3): 5 points to 3 outputs. */
INLINE void outputs3(const vec *m, vec *ret)
{
    vec a = m[1] + m[2];
    ret[0] = m[0] + a + m[3];
    ret[1] = m[1] - m[2] + 2.0F * m[3];
    ret[2] = a + 4.0F * m[3] + m[4];
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
    } else if (tile == 3) {
        points3(d, ret);
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
    } else if (tile == 3) {
        outputs3(m, ret);
    } else {
        outputs4(m, ret);
    }
}

/* ---- Winograd on a board ---- */

enum { SPAN = WINOGRAD_MAX_TILE + 2, MAX_WIDTH = 64 };

/* A point of JOINED vectors of channels, as the product wants it. */
INLINE void store_point(float *v, const vec *low, const vec *high)
{
#ifdef KERNEL_PAIRS
    store(v, KERNEL_JOIN(*low, *high));
#else
    (void)high;
    store(v, *low);
#endif
}

/* One row of tiles, JOINED vectors of channels, of which the first n are there and the others 0. The columns are
 * transformed once each; neighbouring tiles share them. What is off the board is 0. */
INLINE void transform_row(const float *x, uint32_t n, int top, int height, int width,
                          int tiles_across, int tile_height, int tile_width, float *v,
                          size_t v_point)
{
    vec columns[JOINED][SPAN]
               [MAX_WIDTH]; /* [..][point down][column]; tile after tile, so that few are live */
    for (uint32_t half = 0; half < JOINED; half++, x += (size_t)(height * width) * LANES) {
        for (int column = 0; column < width; column++) {
            vec d[SPAN];
            vec p[SPAN];
            UNROLL for (int i = 0; i < tile_height + 2; i++)
            {
                int row = top - 1 + i;
                d[i] = row >= 0 && row < height && (JOINED == 1 || half < n)
                           ? load(x + ((size_t)row * (size_t)width + (size_t)column) * LANES)
                           : zero();
            }
            points(tile_height, d, p);
            UNROLL for (int i = 0; i < tile_height + 2; i++)
            {
                columns[half][i][column] = p[i];
            }
        }
    }
    for (int t = 0; t < tiles_across; t++) {
        float *to = v + (size_t)t * LANES;
        UNROLL for (int i = 0; i < tile_height + 2; i++)
        {
            vec p[JOINED][SPAN];
            UNROLL for (int half = 0; half < JOINED; half++)
            {
                vec d[SPAN];
                UNROLL for (int j = 0; j < tile_width + 2; j++)
                {
                    int column = t * tile_width - 1 + j;
                    d[j] = column >= 0 && column < width ? columns[half][i][column] : zero();
                }
                points(tile_width, d, p[half]);
            }
            UNROLL for (int j = 0; j < tile_width + 2; j++)
            {
                store_point(to + (size_t)(i * (tile_width + 2) + j) * v_point, &p[0][j],
                            &p[JOINED - 1][j]);
            }
        }
    }
}

INLINE void transform(const float *x, uint32_t blocks, int height, int width, int tile_height,
                      int tile_width, float *v, size_t v_point, size_t v_block)
{
    int down = (height + tile_height - 1) / tile_height;
    int across = (width + tile_width - 1) / tile_width;
    for (uint32_t b = 0; b < blocks; b += JOINED) {
        for (int t = 0; t < down; t++) {
            transform_row(x, blocks - b, t * tile_height, height, width, across, tile_height,
                          tile_width, v + (size_t)(t * across) * LANES, v_point);
        }
        x += (size_t)(JOINED * height * width) * LANES;
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

#ifdef KERNEL_PAIRS
TILE_FUNCTIONS(6x7, 6, 7, 3, 4)
#else
TILE_FUNCTIONS(6x7, 6, 7, 6, 7)
#endif
TILE_FUNCTIONS(8x8, 8, 8, 4, 4)
TILE_FUNCTIONS(any, (int)w->height, (int)w->width, 4, 4)
