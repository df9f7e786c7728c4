/* The first convolution, over planes that are mostly empty; part of kernel_template.h. */
#include "trainer/net/kernel_vector.h"

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

/* The hits of one plane behind the n found before; returns how many there are now. */
static uint32_t find_in_plane(const struct kernel_input *in, const float *plane, uint32_t at,
                              uint32_t n)
{
    const float_bits *bits = (const float_bits *)plane;
    uint32_t cells = in->height * in->width;
    uint32_t cell = 0;
    for (; cell + LANES <= cells; cell += LANES) {
        for (uint32_t left = nonzero(load_unaligned(plane + cell)); left != 0; left &= left - 1) {
            uint32_t found = cell + (uint32_t)__builtin_ctz(left);
            in->found[n] = (struct kernel_hit){at, plane[found]};
            in->found_cell[n++] = found;
        }
    }
    for (; cell < cells; cell++) {
        if (bits[cell] != 0) {
            in->found[n] = (struct kernel_hit){at, plane[cell]};
            in->found_cell[n++] = cell;
        }
    }
    return n;
}

/* The cells of the planes that are neither empty nor of one value: hits[first[cell]] up to hits[first[cell + 1]], in
 * the planes' order. And the planes of one value: returns how many. */
static uint32_t find_hits(const struct kernel_input *in, const float *planes)
{
    uint32_t cells = in->height * in->width;
    uint32_t stride = in->vectors * LANES;
    uint32_t n = 0;
    uint32_t n_constant = 0;
    for (uint32_t plane = 0; plane < in->planes; plane++, planes += cells) {
        uint32_t now = find_in_plane(in, planes, plane * 9 * stride, n);
        if (now == n + cells && one_value(planes, cells)) {
            in->constants[n_constant++] = (struct kernel_hit){plane * 16 * stride, planes[0]};
        } else {
            n = now;
        }
    }
    for (uint32_t cell = 0; cell <= cells; cell++) {
        in->first[cell] = 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        in->first[in->found_cell[i] + 1]++;
    }
    for (uint32_t cell = 0; cell < cells; cell++) {
        in->first[cell + 1] += in->first[cell];
    }
    for (uint32_t i = 0; i < n;
         i++) { /* each cell's begin moves to its end, which is the next one's begin */
        uint32_t cell = in->found_cell[i];
        in->hits[in->first[cell]++] =
            (struct kernel_hit){in->found[i].at + in->columns[cell], in->found[i].value};
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
        const float *w = in->constant + hit->at + neighbours * stride + skipped;
        UNROLL for (int k = 0; k < vectors; k++)
        {
            sums[k] += hit->value * load(w + (size_t)k * LANES);
        }
    }
    int left = column > 0 ? column - 1 : 0;
    int right = column + 1 < width ? column + 1 : column;
    for (int tap = 0; tap < 3;
         tap++) { /* three cells' hits follow one another, and so do their taps */
        int y = row + tap - 1;
        if (y < 0 || y >= height) {
            continue;
        }
        const uint32_t *first = in->first + (ptrdiff_t)y * width;
        ptrdiff_t to_tap =
            (ptrdiff_t)(tap * 3 + 1 - column) * (ptrdiff_t)stride + (ptrdiff_t)skipped;
        for (uint32_t i = first[left]; i < first[right + 1]; i++) {
            const struct kernel_hit *hit = &in->hits[i];
            const float *w = in->weight + (ptrdiff_t)hit->at + to_tap;
            UNROLL for (int k = 0; k < vectors; k++)
            {
                sums[k] += hit->value * load(w + (size_t)k * LANES);
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
#endif
#if KERNEL_VECTORS > 3
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
