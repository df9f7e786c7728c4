/* Convolutions of cells: what stands around the products where they add up a cell's neighbours; part of kernel_template.h. */
#include "trainer/net/kernel_vector.h"

static void transform_cells(const struct winograd *w, const float *x, uint32_t blocks, float *v,
                            size_t v_point, size_t v_block)
{
    size_t cells = (size_t)w->height * w->width;
    (void)v_point;
    for (uint32_t b = 0; b < blocks; b += JOINED) {
        bool second = b + JOINED <= blocks;
        const float *from = x;
        float *to = v;
        for (uint32_t row = 0; row < w->height; row++) {
            for (uint32_t column = 0; column < w->width; column++) {
                vec low = load(from);
                vec high = second ? load(from + cells * LANES) : zero();
                store_point(to, &low, &high);
                from += LANES;
                to += LANES;
            }
            to += LANES; /* over the column of zeros */
        }
        x += JOINED * cells * LANES;
        v += v_block;
    }
}

/* One position's outcome into what comes of it; `stored`: the activation, `joined`: the rows of the next convolution. */
INLINE void end_cells(const struct kernel_cells *c, const float *m, int vectors,
                      enum kernel_ending ending, bool stored, bool joined, float *y, float *means,
                      float *next)
{
    const struct winograd *w = c->winograd;
    const size_t cells = (size_t)w->height * w->width;
    vec shift[KERNEL_VECTORS];
    vec total[KERNEL_VECTORS];
    UNROLL for (int k = 0; k < vectors; k++)
    {
        shift[k] = load(c->shift + (size_t)k * LANES);
        total[k] = zero();
    }
    for (uint32_t row = 0; row < w->height; row++) {
        for (uint32_t column = 0; column < w->width; column++) {
            vec cell[KERNEL_VECTORS] = {zero(), zero()};
            UNROLL for (int k = 0; k < vectors; k++)
            {
                const size_t at = (size_t)k * cells * LANES;
                cell[k] = ended_cell(load(m + (size_t)k * LANES) + shift[k], ending, y, at);
                total[k] += cell[k];
                if (stored) {
                    store(y + at, cell[k]);
                }
            }
            if (joined) {
                store_point(next, &cell[0], &cell[1]);
                next += LANES;
            }
            m += (size_t)vectors * LANES;
            y = stored ? y + LANES : y;
        }
        m += (size_t)vectors * LANES; /* over the column of zeros */
        next = joined ? next + LANES : next;
    }
    if (ending == KERNEL_MEANS) {
        UNROLL for (int k = 0; k < vectors; k++)
        {
            store(means + (size_t)k * c->means_block, total[k] * (1.0F / (float)cells));
        }
    }
}

INLINE void end_position(const struct kernel_cells *c, uint32_t position, const float *m,
                         int vectors)
{
    float *y = c->y == NULL ? NULL : c->y + position * c->y_position;
    float *next =
        c->next == NULL ? NULL : c->next + (size_t)position * c->winograd->left_rows * LANES;
    float *means = c->means + (size_t)position * LANES;
    switch (c->ending) {
    case KERNEL_RELU:
        if (next == NULL) {
            end_cells(c, m, vectors, KERNEL_RELU, true, false, y, means, next);
        } else {
            end_cells(c, m, vectors, KERNEL_RELU, false, true, y, means, next);
        }
        break;
    case KERNEL_RESIDUAL:
        end_cells(c, m, vectors, KERNEL_RESIDUAL, true, true, y, means, next);
        break;
    case KERNEL_MEANS:
        end_cells(c, m, vectors, KERNEL_MEANS, true, false, y, means, next);
        break;
    }
}

/* Two positions at a time, whose outcome stays in the first cache until its end. */
static void convolve_cells(const struct kernel_cells *c)
{
    const size_t outcome = (size_t)c->winograd->outcome_rows * c->vectors * LANES;
    KERNEL_CELLS_BEGIN(c);
    for (uint32_t position = 0; position < c->n; position += 2) {
        uint32_t n = c->n - position < 2 ? 1 : 2;
        KERNEL_CELLS(c, position, n);
        for (uint32_t i = 0; i < n; i++) {
            if (c->vectors == 1) {
                end_position(c, position + i, c->m + i * outcome, 1);
            } else {
                end_position(c, position + i, c->m + i * outcome, KERNEL_VECTORS);
            }
        }
    }
    KERNEL_CELLS_END();
}

#define KERNEL_TILES WINOGRAD_CELLS
#define KERNEL_TRANSFORMS                             \
    {                                                 \
        [WINOGRAD_SINGLE] = { transform_cells, NULL } \
    }
