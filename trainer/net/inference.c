/* Design. A batch goes through the net in chunks, layer by layer, so that the weights of a layer are read
 * once a chunk while a chunk's activations stay in the second cache. A 3x3 convolution transforms each
 * position's activation into points, makes one product a point over all tiles of the chunk, and
 * transforms back with shift, relu, residual or means on the way (kernel.h). Where nothing is transformed (cells), what ends a
 * convolution writes the rows of the next one at once. Batch norm is folded at
 * load: its scale into the weights, the rest into the shift. */
#include "trainer/net/inference.h"

#include "mcts/numeric.h"
#include "trainer/net/inference_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    CHUNK = 16,      /* positions: more would read weights less often, but leave the second cache */
    CHUNK_ROWS = 32, /* of a product: enough where the weights stay in the second cache as well */
    NEAR_WEIGHTS = 1 << 20, /* bytes of a convolution's weights that do */
    HUGE_PAGE = 2 << 20,
};

/* ---- creation ---- */

/* Zeroed; on huge pages if it is large. */
static float *allocate(size_t floats)
{
    size_t size = floats * sizeof(float);
    size_t align = size < HUGE_PAGE ? 64 : HUGE_PAGE;
    size = (size + align - 1) / align * align;
    float *memory = aligned_alloc(align, size);
    if (memory != NULL) {
        if (align == HUGE_PAGE) {
            (void)madvise(memory, size, MADV_HUGEPAGE); /* a wish: without it all works, slower */
        }
        memset(memory, 0, size);
    }
    return memory;
}

/* Positions that go through the net together. Measured on an Emerald Rapids, chess's shape with 64 filters: 8 for 16 make
 * AVX-512 a tenth faster and plain C a fifth; with 128 and 256 filters the weights would have to come twice as often. */
static uint32_t chunk_of(const struct inference *inf, uint32_t max_batch)
{
    const struct winograd *w = &inf->winograd;
    size_t weights = (size_t)w->points * inf->arch.filters * inf->arch.filters * sizeof(float);
    uint32_t chunk = CHUNK;
    if (!w->summed && weights <= NEAR_WEIGHTS) {
        chunk = (CHUNK_ROWS + w->tiles - 1) / w->tiles;
        chunk = chunk < CHUNK ? chunk : CHUNK;
    }
    return max_batch < chunk ? max_batch : chunk;
}

int inference_create_on(const struct kernel *kernel, const struct net *net, uint32_t max_batch,
                        struct inference **ret, struct error *err)
{
    if (max_batch == 0) {
        return error_set(err, ERROR_INVALID, "inference: a batch of 0 positions");
    }
    int r = net_arch_check(&net->arch, err);
    if (r < 0) {
        return r;
    }
    struct inference *inf = calloc(1, sizeof *inf);
    if (inf == NULL) {
        goto no_memory;
    }
    inf->arch = net->arch;
    inf->kernel = kernel;
    winograd_init(&inf->winograd, net->arch.height, net->arch.width, kernel->tile_size);
    inf->chunk = chunk_of(inf, max_batch);
    inf->cells = net->arch.height * net->arch.width;
    inf->channel_blocks = inference_vectors(inf, net->arch.filters);
    inf->point_blocks = (inf->channel_blocks + kernel->joined - 1) / kernel->joined;
    inf->activation = (size_t)inf->cells * inf->channel_blocks * kernel->lanes;
    inf->blocks = calloc(net->arch.blocks, sizeof *inf->blocks);
    if (inf->blocks == NULL) {
        goto no_memory;
    }
    inf->memory = allocate(inference_place(inf, NULL));
    if (inf->memory == NULL) {
        goto no_memory;
    }
    (void)inference_place(inf, inf->memory);
    inference_pack(inf, net);
    *ret = inf;
    return 0;
no_memory:
    inference_destroy(inf);
    return error_set(err, ERROR_NO_MEMORY,
                     "inference: no memory for a net of %u blocks of %u filters", net->arch.blocks,
                     net->arch.filters);
}

int inference_create(const struct net *net, uint32_t max_batch, struct inference **ret,
                     struct error *err)
{
    const struct kernel *kernel = NULL;
    int r = kernel_choose(&kernel, err);
    if (r < 0) {
        return r;
    }
    return inference_create_on(kernel, net, max_batch, ret, err);
}

void inference_destroy(struct inference *inf)
{
    if (inf != NULL) {
        free(inf->blocks);
        free(inf->memory);
        free(inf);
    }
}

/* ---- running ---- */

/* What comes of a convolution. */
enum outcome {
    ACTIVATION = 1, /* y; by Winograd it is always made */
    LEFT = 2,       /* the left side of the next convolution's product: it begins with that */
};

/* Floats from a block of channels of the left side to the next. */
static size_t left_block(const struct inference *inf, uint32_t n)
{
    return inference_left_rows(inf, n) * inf->kernel->lanes;
}

/* A position's first row. */
static float *left_rows(const struct inference *inf, float *v, uint32_t position)
{
    const struct winograd *w = &inf->winograd;
    return v + (w->edge + (size_t)position * w->left_rows) * inf->kernel->lanes;
}

static size_t left_point(const struct inference *inf, uint32_t n)
{
    return left_block(inf, n) * inf->point_blocks + INFERENCE_POINT_PADDING;
}

/* The left side out of the activations x. All positions at once: each behind what made its activation, while that is near, is no
 * faster, but for small nets a fiftieth slower. */
static void transform(const struct inference *inf, uint32_t n, const float *x)
{
    const struct winograd *w = &inf->winograd;
    for (uint32_t i = 0; i < n; i++) {
        inf->kernel->tiles[w->shape].transform(w, x + i * inf->activation, inf->channel_blocks,
                                               left_rows(inf, inf->v, i), left_point(inf, n),
                                               left_block(inf, n));
    }
}

/* `next_v` has been written: it is what the next convolution reads. */
static void turn_left(struct inference *inf)
{
    float *v = inf->v;
    inf->v = inf->next_v;
    inf->next_v = v;
}

static void run_cells(struct inference *inf, const struct weights *weights, uint32_t n,
                      enum kernel_ending ending, unsigned outcome, float *y)
{
    const struct kernel *kernel = inf->kernel;
    const struct winograd *w = &inf->winograd;
    size_t lanes = kernel->lanes;
    float *next = left_rows(inf, inf->next_v, 0);
    const float *u = weights->data;
    for (uint32_t k = 0; k < weights->vectors; k += kernel->vectors) {
        uint32_t vectors =
            weights->vectors - k < kernel->vectors ? weights->vectors - k : kernel->vectors;
        kernel->convolve_cells(&(struct kernel_cells){
            .winograd = w,
            .v = left_rows(inf, inf->v, 0),
            .u = u,
            .v_block = left_block(inf, n),
            .n = n,
            .n_in = weights->steps,
            .vectors = vectors,
            .m = inf->m,
            .shift = weights->shift + k * lanes,
            .ending = ending,
            .y = (outcome & ACTIVATION) == 0 ? NULL : y + (size_t)k * inf->cells * lanes,
            .y_position = inf->activation,
            .means = inf->means + (size_t)k * n * lanes,
            .means_block = n * lanes,
            .next = (outcome & LEFT) == 0 ? NULL : next + k / kernel->joined * left_block(inf, n),
        });
        u += (size_t)w->points * weights->steps * vectors * lanes;
    }
    if ((outcome & LEFT) != 0) {
        turn_left(inf);
    }
}

static void run_points(struct inference *inf, const struct weights *weights, uint32_t n,
                       enum kernel_ending ending, unsigned outcome, float *y)
{
    const struct kernel *kernel = inf->kernel;
    const struct winograd *w = &inf->winograd;
    size_t lanes = kernel->lanes;
    const float *u = weights->data;
    for (uint32_t k = 0; k < weights->vectors; k += kernel->vectors) {
        uint32_t vectors =
            weights->vectors - k < kernel->vectors ? weights->vectors - k : kernel->vectors;
        size_t m_point = (size_t)n * w->outcome_rows * vectors * lanes + INFERENCE_POINT_PADDING;
        kernel->product_points(&(struct kernel_points){.v = inf->v,
                                                       .u = u,
                                                       .m = inf->m,
                                                       .v_block = left_block(inf, n),
                                                       .v_point = left_point(inf, n),
                                                       .m_point = m_point,
                                                       .n_points = w->points,
                                                       .n_rows = n * w->outcome_rows,
                                                       .n_in = weights->steps,
                                                       .vectors = vectors});
        u += (size_t)w->points * weights->steps * vectors * lanes;
        for (uint32_t i = 0; i < n; i++) {
            kernel->tiles[w->shape].inverse(
                w, inf->m + (size_t)i * w->outcome_rows * vectors * lanes, m_point, vectors,
                weights->shift + k * lanes, ending,
                y + i * inf->activation + (size_t)k * inf->cells * lanes,
                inf->means + ((size_t)k * n + i) * lanes, n * lanes);
        }
    }
    if ((outcome & LEFT) != 0) {
        transform(inf, n, y);
    }
}

/* A 3x3 convolution of n positions, whose left side is there. Means with KERNEL_MEANS only. */
static void run_conv(struct inference *inf, const struct weights *weights, uint32_t n,
                     enum kernel_ending ending, unsigned outcome, float *y)
{
    if (inf->winograd.summed) {
        run_cells(inf, weights, n, ending, outcome, y);
    } else {
        run_points(inf, weights, n, ending, outcome, y);
    }
}

/* Rows of n vectors through a dense layer: ret[vectors][n][lanes]. */
static void run_dense(struct inference *inf, const struct weights *weights, const float *rows,
                      uint32_t n, bool with_relu, float *ret)
{
    const struct kernel *kernel = inf->kernel;
    size_t lanes = kernel->lanes;
    const float *u = weights->data;
    for (uint32_t k = 0; k < weights->vectors; k += kernel->vectors) {
        uint32_t vectors =
            weights->vectors - k < kernel->vectors ? weights->vectors - k : kernel->vectors;
        kernel->product(rows, n * lanes, n, u, weights->in, vectors, inf->m);
        kernel->bias(inf->m, n, vectors, weights->shift + k * lanes, with_relu,
                     ret + (size_t)k * n * lanes, n * lanes);
        u += (size_t)weights->in * vectors * lanes;
    }
}

/* x += the excited y, and the left side of the next convolution. */
static void run_excite(struct inference *inf, uint32_t n)
{
    const bool summed = inf->winograd.summed;
    size_t lanes = inf->kernel->lanes;
    for (uint32_t i = 0; i < n; i++) {
        inf->kernel->excite(&inf->winograd, inf->excited + i * lanes, n * lanes,
                            inf->y + i * inf->activation, inf->channel_blocks,
                            inf->x + i * inf->activation,
                            summed ? left_rows(inf, inf->next_v, i) : NULL, left_block(inf, n));
    }
    if (summed) {
        turn_left(inf);
    } else {
        transform(inf, n, inf->x);
    }
}

static void run_block(struct inference *inf, const struct block *block, uint32_t n)
{
    run_conv(inf, &block->conv1, n, KERNEL_RELU, LEFT, inf->y);
    if (inf->arch.se_channels == 0) {
        run_conv(inf, &block->conv2, n, KERNEL_RESIDUAL, ACTIVATION | LEFT, inf->x);
        return;
    }
    run_conv(inf, &block->conv2, n, KERNEL_MEANS, ACTIVATION, inf->y);
    run_dense(inf, &block->squeeze, inf->means, n, true, inf->squeezed);
    run_dense(inf, &block->excite, inf->squeezed, n, false, inf->excited);
    run_excite(inf, n);
}

static float logit(struct inference *inf, const float *y, uint32_t index)
{
    uint32_t plane = index / inf->cells;
    uint32_t cell = index % inf->cells;
    size_t weights = (size_t)9 * inf->channel_blocks * inf->kernel->lanes;
    return inf->kernel->dot(inf->policy_weight + plane * weights, y, inf->channel_blocks,
                            inf->arch.height, inf->arch.width, cell / inf->arch.width,
                            cell % inf->arch.width) +
           inf->policy_bias[plane];
}

static void run_policy(struct inference *inf, uint32_t n, const struct inference_wanted *wanted,
                       float *ret)
{
    uint32_t size = net_policy_size(&inf->arch);
    run_conv(inf, &inf->policy1, n, KERNEL_RELU, ACTIVATION, inf->y);
    for (uint32_t i = 0; i < n; i++, ret += size) {
        const float *y = inf->y + i * inf->activation;
        if (wanted == NULL) {
            for (uint32_t index = 0; index < size; index++) {
                ret[index] = logit(inf, y, index);
            }
        } else {
            for (uint32_t k = 0; k < wanted[i].n; k++) {
                ret[wanted[i].index[k]] = logit(inf, y, wanted[i].index[k]);
            }
        }
    }
}

static void softmax3(const float *logits, float *ret)
{
    double max = (double)fmaxf(fmaxf(logits[0], logits[1]), logits[2]);
    double e[3];
    for (int i = 0; i < 3; i++) {
        e[i] = numeric_exp((double)logits[i] - max);
    }
    for (int i = 0; i < 3; i++) {
        ret[i] = (float)(e[i] / (e[0] + e[1] + e[2]));
    }
}

static void add_relu(const float *restrict a, const float *restrict b, uint32_t n,
                     float *restrict ret)
{
    for (uint32_t i = 0; i < n; i++) {
        float value = a[i] + b[i];
        ret[i] = value > 0.0F ? value : 0.0F;
    }
}

/* The channels [first, first + n) of a cell into the row flat[vectors][n_rows][lanes] of their position, whose order is
 * [cells][value_filters]: up to the end of a vector of the row at a time. */
static void place_cell(const struct inference *inf, const float *m, const float *shift,
                       uint32_t cell, uint32_t first, uint32_t n, uint32_t n_rows, float *flat)
{
    size_t lanes = inf->kernel->lanes;
    size_t at = (size_t)cell * inf->arch.value_filters + first;
    size_t in_vector = at % lanes;
    float *to = flat + at / lanes * n_rows * lanes + in_vector;
    while (n > 0) {
        uint32_t now = lanes - in_vector < n ? (uint32_t)(lanes - in_vector) : n;
        add_relu(m, shift, now, to);
        m += now;
        shift += now;
        to += n_rows * lanes - in_vector;
        in_vector = 0;
        n -= now;
    }
}

/* The value head's 1x1 convolution: a product over the cells of each position, whose outcome becomes the
 * row's [cells][value_filters]. */
static void run_value_conv(struct inference *inf, uint32_t n)
{
    const struct kernel *kernel = inf->kernel;
    const struct weights *weights = &inf->value_conv;
    uint32_t lanes = kernel->lanes;
    uint32_t filters = inf->arch.value_filters;
    for (uint32_t i = 0; i < n; i++) {
        const float *u = weights->data;
        for (uint32_t k = 0; k < weights->vectors; k += kernel->vectors) {
            uint32_t vectors =
                weights->vectors - k < kernel->vectors ? weights->vectors - k : kernel->vectors;
            uint32_t first = k * lanes;
            uint32_t channels =
                filters - first < vectors * lanes ? filters - first : vectors * lanes;
            kernel->product(inf->x + i * inf->activation, (size_t)inf->cells * lanes, inf->cells, u,
                            weights->in, vectors, inf->m);
            for (uint32_t cell = 0; cell < inf->cells; cell++) {
                place_cell(inf, inf->m + (size_t)cell * vectors * lanes, weights->shift + first,
                           cell, first, channels, n, inf->flat + (size_t)i * lanes);
            }
            u += (size_t)weights->in * vectors * lanes;
        }
    }
}

static void run_value(struct inference *inf, uint32_t n, float *ret)
{
    size_t outputs = net_value_outputs(&inf->arch);
    run_value_conv(inf, n);
    run_dense(inf, &inf->value1, inf->flat, n, true, inf->hidden);
    run_dense(inf, &inf->value2, inf->hidden, n, false, inf->value);
    for (uint32_t i = 0; i < n; i++, ret += outputs) {
        const float *out = inf->value + (size_t)i * inf->kernel->lanes;
        if (inf->arch.value == NET_VALUE_WDL) {
            softmax3(out, ret);
        } else { /* tanh; an infinite exp gives 1 */
            ret[0] = (float)(1.0 - 2.0 / (numeric_exp(2.0 * (double)out[0]) + 1.0));
        }
    }
}

void inference_run(struct inference *inf, const float *planes, uint32_t n,
                   const struct inference_wanted *wanted, float *ret_policy, float *ret_value)
{
    size_t planes_size = (size_t)inf->arch.n_planes * inf->cells;
    while (n > 0) {
        uint32_t now = n < inf->chunk ? n : inf->chunk;
        for (uint32_t i = 0; i < now; i++) {
            inf->kernel->input(&inf->input, planes + i * planes_size, inf->x + i * inf->activation);
        }
        transform(inf, now, inf->x);
        for (uint32_t b = 0; b < inf->arch.blocks; b++) {
            run_block(inf, &inf->blocks[b], now);
        }
        run_policy(inf, now, wanted, ret_policy);
        run_value(inf, now, ret_value);
        planes += now * planes_size;
        wanted = wanted == NULL ? NULL : wanted + now;
        ret_policy += (size_t)now * net_policy_size(&inf->arch);
        ret_value += (size_t)now * net_value_outputs(&inf->arch);
        n -= now;
    }
}

const char *inference_kernel(void)
{
    const struct kernel *kernel = NULL;
    struct error err;
    return kernel_choose(&kernel, &err) < 0 ? "none" : kernel->id;
}
