#include "trainer/net/elementwise.h"

#include <string.h>

/* One variant a processor generation, chosen by the loader. ThreadSanitizer breaks such choosing
 * (it instruments the chooser, which runs before it is ready). */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define FOR_EACH_PROCESSOR \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

size_t elementwise_wide_size(const struct elementwise_shape *shape)
{
    return (size_t)(shape->height + 2) * shape->width * 3 * shape->channels;
}

/* Where the value of cell (y, x) stands: in itself, as left neighbour of x + 1, as right neighbour
 * of x - 1. */
struct places {
    float *self, *left_of_next, *right_of_last;
};

static inline struct places places_of(const struct elementwise_shape *shape, float *wide,
                                      uint32_t y, uint32_t x)
{
    size_t n = shape->channels;
    float *cell = wide + ((size_t)(y + 1) * shape->width + x) * 3 * n;
    return (struct places){
        .self = cell + n,
        .left_of_next = x + 1 < shape->width ? cell + 3 * n : shape->unused,
        .right_of_last = x > 0 ? cell - n : shape->unused,
    };
}

void elementwise_widen_planes(const struct elementwise_shape *shape, const float *planes,
                              float *wide)
{
    size_t cells = (size_t)shape->height * shape->width;
    for (uint32_t y = 0; y < shape->height; y++) {
        for (uint32_t x = 0; x < shape->width; x++) {
            struct places to = places_of(shape, wide, y, x);
            const float *from = planes + (size_t)y * shape->width + x;
            for (size_t c = 0; c < shape->channels; c++) {
                to.self[c] = to.left_of_next[c] = to.right_of_last[c] = from[c * cells];
            }
        }
    }
}

FOR_EACH_PROCESSOR
void elementwise_shift_relu(const struct elementwise_shape *shape, const float *restrict x,
                            const float *restrict shift, float *wide)
{
    size_t n = shape->channels;
    for (uint32_t row = 0; row < shape->height; row++) {
        for (uint32_t column = 0; column < shape->width; column++, x += n) {
            struct places to = places_of(shape, wide, row, column);
            float *restrict self = to.self;
            float *restrict left = to.left_of_next;
            float *restrict right = to.right_of_last;
            for (size_t c = 0; c < n; c++) {
                float value = x[c] + shift[c];
                value = value > 0.0F ? value : 0.0F;
                self[c] = value;
                left[c] = value;
                right[c] = value;
            }
        }
    }
}

FOR_EACH_PROCESSOR
void elementwise_residual_relu(const struct elementwise_shape *shape, const float *restrict x,
                               const float *restrict scale, const float *restrict shift,
                               float *wide)
{
    size_t n = shape->channels;
    for (uint32_t row = 0; row < shape->height; row++) {
        for (uint32_t column = 0; column < shape->width; column++, x += n) {
            struct places to = places_of(shape, wide, row, column);
            float *restrict self = to.self;
            float *restrict left = to.left_of_next;
            float *restrict right = to.right_of_last;
            for (size_t c = 0; c < n; c++) {
                float value = scale[c] * x[c] + shift[c] + self[c];
                value = value > 0.0F ? value : 0.0F;
                self[c] = value;
                left[c] = value;
                right[c] = value;
            }
        }
    }
}

FOR_EACH_PROCESSOR
void elementwise_shift_relu_rows(float *restrict x, size_t n_rows, size_t n,
                                 const float *restrict shift)
{
    for (size_t row = 0; row < n_rows; row++, x += n) {
        for (size_t c = 0; c < n; c++) {
            float value = x[c] + shift[c];
            x[c] = value > 0.0F ? value : 0.0F;
        }
    }
}

/* Accumulators of a block of lanes stay in registers over all rows; the tail goes lane by lane, in
 * the same order of rows. */
enum { LANES = 32 };

FOR_EACH_PROCESSOR
void elementwise_means(const float *x, size_t n_rows, size_t n, const float *shift, float *ret)
{
    float count = (float)n_rows;
    size_t c = 0;
    for (; c + LANES <= n; c += LANES) {
        float sums[LANES] = {0};
        for (size_t row = 0; row < n_rows; row++) {
            for (size_t i = 0; i < LANES; i++) {
                sums[i] += x[row * n + c + i];
            }
        }
        for (size_t i = 0; i < LANES; i++) {
            ret[c + i] = sums[i] / count + shift[c + i];
        }
    }
    for (; c < n; c++) {
        float sum = 0.0F;
        for (size_t row = 0; row < n_rows; row++) {
            sum += x[row * n + c];
        }
        ret[c] = sum / count + shift[c];
    }
}

FOR_EACH_PROCESSOR
void elementwise_dense(const float *weight, const float *bias, const float *x, size_t n_in,
                       size_t n_out, bool with_relu, float *ret)
{
    float floor = with_relu ? 0.0F : -__builtin_inff();
    size_t o = 0;
    for (; o + LANES <= n_out; o += LANES) {
        float sums[LANES] = {0};
        for (size_t i = 0; i < n_in; i++) {
            for (size_t k = 0; k < LANES; k++) {
                sums[k] += weight[i * n_out + o + k] * x[i];
            }
        }
        for (size_t k = 0; k < LANES; k++) {
            float value = sums[k] + bias[o + k];
            ret[o + k] = value > floor ? value : floor;
        }
    }
    for (; o < n_out; o++) {
        float sum = 0.0F;
        for (size_t i = 0; i < n_in; i++) {
            sum += weight[i * n_out + o] * x[i];
        }
        sum += bias[o];
        ret[o] = sum > floor ? sum : floor;
    }
}

/* exp(x) = 2^n exp(r), |r| <= ln 2 / 2; the polynomial is Cephes' expf (Moshier), good to 2 ulp.
 * The clamp keeps 2^n a normal number; a sigmoid is 0 or 1 to fp32 long before. */
static inline float exp_clamped(float x)
{
    const float round_to_integer = 12582912.0F; /* 1.5 x 2^23 */
    x = x < 87.0F ? x : 87.0F;
    x = x > -87.0F ? x : -87.0F;
    float n = (x * 1.44269504F + round_to_integer) - round_to_integer;
    float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + r + 1.0F;
    int32_t bits = ((int32_t)n + 127) * (1 << 23);
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

FOR_EACH_PROCESSOR
void elementwise_excite(const float *excited, const float *shift, size_t n, float *ret_scale,
                        float *ret_shift)
{
    for (size_t c = 0; c < n; c++) {
        float scale = 1.0F / (1.0F + exp_clamped(-excited[c]));
        ret_scale[c] = scale;
        ret_shift[c] = scale * shift[c] + excited[n + c];
    }
}
