/* Winograd's transforms, on one vector of channels at a time; part of kernel_template.h. */
#include "trainer/net/kernel_vector.h"
#include "trainer/net/winograd_lines.h"

/* ---- Winograd on a board ---- */

enum { SPAN = WINOGRAD_MAX_TILE + 2, MAX_WIDTH = 64 };

/* One row of tiles, JOINED vectors of channels, of which the first n are there and the others 0. The columns are
 * transformed once each; neighbouring tiles share them. What is off the board is 0.
 * Its loops are straight code once sizes are constants: NOLINTNEXTLINE(readability-function-cognitive-complexity) */
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
                const size_t at = (size_t)((top + i) * width + left + j) * LANES;
                const vec cell = ended_cell(o[j] + shift, ending, y, at);
                store(y + at, cell);
                total += cell;
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

#ifdef KERNEL_JOIN
#define KERNEL_TILES WINOGRAD_SMALL
TILE_FUNCTIONS(6x7, 6, 7, 3, 4)
#else
#define KERNEL_TILES WINOGRAD_LARGE
TILE_FUNCTIONS(6x7, 6, 7, 6, 7)
#endif
TILE_FUNCTIONS(8x8, 8, 8, 4, 4)
TILE_FUNCTIONS(any, (int)w->height, (int)w->width, 4, 4)

#define KERNEL_TRANSFORMS                              \
    {                                                  \
        [WINOGRAD_6X7] = {transform_6x7, inverse_6x7}, \
        [WINOGRAD_8X8] = {transform_8x8, inverse_8x8}, \
        [WINOGRAD_ANY] = {transform_any, inverse_any}, \
    }
