/* The body of the kernels; included by kernel_*.c alone, which say for what processor (and precision). */
#include "trainer/net/kernel_input.h"
#include "trainer/net/kernel_product.h"
#ifdef KERNEL_CELLS
#include "trainer/net/kernel_cells.h"
#else
#include "trainer/net/kernel_winograd.h"
#endif

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

/* Vectors of channels that go into the rows of a next convolution together. */
#ifdef KERNEL_CELLS
enum { EXCITED = JOINED };
#else
enum { EXCITED = 1 };
#endif

/* Vectors b to b + n of the channels. */
INLINE void excite_vectors(const struct winograd *w, const float *excited, size_t excited_block,
                           const float *y, uint32_t blocks, int n, float *x, float *next)
{
    size_t vector = (size_t)w->height * w->width * LANES;
    vec scale[EXCITED];
    vec shift[EXCITED];
    UNROLL for (int k = 0; k < n; k++)
    {
        const float *at = excited + (size_t)k * excited_block;
        scale[k] = 1.0F / (1.0F + exponential(-load(at)));
        shift[k] = load(at + blocks * excited_block);
    }
    for (uint32_t row = 0; row < w->height; row++) {
        for (uint32_t column = 0; column < w->width; column++) {
            vec cell[2] = {zero(), zero()};
            UNROLL for (int k = 0; k < n; k++)
            {
                float *to = x + (size_t)k * vector;
                cell[k] = relu(scale[k] * load(y + (size_t)k * vector) + shift[k] + load(to));
                store(to, cell[k]);
            }
            if (next != NULL) {
                store_point(next, &cell[0], &cell[1]);
                next += LANES;
            }
            x += LANES;
            y += LANES;
        }
        next = next == NULL ? NULL : next + LANES; /* over the column of zeros */
    }
}

static void excite(const struct winograd *w, const float *excited, size_t excited_block,
                   const float *y, uint32_t blocks, float *x, float *next, size_t next_block)
{
    size_t vector = (size_t)w->height * w->width * LANES;
    for (uint32_t b = 0; b < blocks; b += EXCITED) {
        const float *from = excited + b * excited_block;
        if (EXCITED == 1 || blocks - b == 1) {
            excite_vectors(w, from, excited_block, y, blocks, 1, x, next);
        } else {
            excite_vectors(w, from, excited_block, y, blocks, EXCITED, x, next);
        }
        x += EXCITED * vector;
        y += EXCITED * vector;
        next = next == NULL ? NULL : next + next_block;
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
    .id = KERNEL_ID,
    .precision = KERNEL_PRECISION,
    .lanes = LANES,
    .vectors = KERNEL_VECTORS,
    .joined = JOINED,
    .steps = KERNEL_STEPS,
    .can_run = can_run,
    .tile_size = KERNEL_TILES,
    .tiles = KERNEL_TRANSFORMS,
    .product = product,
#ifdef KERNEL_CELLS
    .convolve_cells = convolve_cells,
#else
    .product_points = product_points,
#endif
    .input = input,
    .bias = add_bias,
    .excite = excite,
    .dot = dot,
};
