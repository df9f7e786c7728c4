/* Convolutions of cells: what is left of the transforms where the product adds up a cell's neighbours; part of
 * kernel_template.h. */
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

INLINE vec cells_of_vector(const struct winograd *w, const float *m, size_t m_row, vec shift,
                           enum kernel_ending ending, float *y)
{
    vec total = zero();
    for (uint32_t row = 0; row < w->height; row++) {
        for (uint32_t column = 0; column < w->width; column++) {
            total += end_cell(load(m) + shift, ending, y);
            m += m_row;
            y += LANES;
        }
        m += m_row;
    }
    return total;
}

static void inverse_cells(const struct winograd *w, const float *m, size_t m_point,
                          uint32_t vectors, const float *shift, enum kernel_ending ending, float *y,
                          float *means, size_t means_block)
{
    size_t cells = (size_t)w->height * w->width;
    size_t m_row = (size_t)vectors * LANES;
    (void)m_point;
    for (uint32_t k = 0; k < vectors; k++, m += LANES, shift += LANES, y += cells * LANES) {
        switch (ending) {
        case KERNEL_RELU:
            cells_of_vector(w, m, m_row, load(shift), KERNEL_RELU, y);
            break;
        case KERNEL_RESIDUAL:
            cells_of_vector(w, m, m_row, load(shift), KERNEL_RESIDUAL, y);
            break;
        case KERNEL_MEANS:
            store(means + k * means_block,
                  cells_of_vector(w, m, m_row, load(shift), KERNEL_MEANS, y) *
                      (1.0F / (float)cells));
            break;
        }
    }
}

#define KERNEL_TILES WINOGRAD_CELLS
#define KERNEL_TRANSFORMS                                      \
    {                                                          \
        [WINOGRAD_SINGLE] = { transform_cells, inverse_cells } \
    }
