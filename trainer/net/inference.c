/* Design. A batch goes through the net in chunks, layer by layer, so that the weights of a layer are read
 * once a chunk while a chunk's activations stay in the second cache. A 3x3 convolution transforms each
 * position's activation into points, makes one product a point over all tiles of the chunk, and
 * transforms back with shift, relu, residual or means on the way (kernel.h). Batch norm is folded at
 * load: its scale into the weights, the rest into the shift. */
#include "trainer/net/inference.h"

#include "mcts/numeric.h"
#include "trainer/net/kernel.h"
#include "trainer/net/net_layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    ALIGN_FLOATS = 16,
    /* Between the points of a chunk: their strides would else be powers of two, and all points of a tile
     * fall into the same few lines of the cache. */
    POINT_PADDING = 48,
    CHUNK = 16,       /* positions */
    LARGE_CHUNK = 32, /* where weights come from memory: read them less often */
    LARGE_FILTERS = 256,
    HUGE_PAGE = 2 << 20,
};

/* A right side of products: [group][point][in][vectors][lanes], groups of kernel->vectors or fewer. */
struct weights {
    uint32_t in, vectors, points;
    float *data;
    float *shift; /* [vectors][lanes]: bias, or what is left of the batch norm */
};

struct block {
    struct weights conv1, conv2;
    struct weights squeeze, excite; /* with SE only */
};

struct inference {
    struct net_arch arch;
    const struct kernel *kernel;
    struct winograd winograd;
    uint32_t chunk;
    uint32_t cells;
    uint32_t channel_blocks; /* vectors of the filters */
    size_t activation;       /* floats of one position */

    float *memory; /* all that follows points in here */
    struct kernel_input input;
    float *input_weight, *input_constant, *input_shift;
    struct block *blocks;
    struct weights policy1;
    float *policy_weight; /* [policy_planes][9][channel_blocks][lanes] */
    float *policy_bias;
    struct weights value_conv, value1, value2;

    float *x, *y;                      /* [chunk] activations */
    float *v, *m;                      /* points of a convolution's two sides */
    float *means, *squeezed, *excited; /* rows, as kernel.h has them */
    float *flat, *hidden, *value;
};

/* Hands out pieces of one block, each on its own cache line; without a base it only counts. */
struct arena {
    float *base;
    size_t used;
};

static float *take(struct arena *arena, size_t n)
{
    float *piece = arena->base == NULL ? NULL : arena->base + arena->used;
    arena->used += (n + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    return piece;
}

static void *take_bytes(struct arena *arena, size_t n)
{
    return take(arena, (n + sizeof(float) - 1) / sizeof(float));
}

static uint32_t vectors_of(const struct inference *inf, uint32_t channels)
{
    return (channels + inf->kernel->lanes - 1) / inf->kernel->lanes;
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void place_weights(const struct inference *inf, struct arena *arena, uint32_t in,
                          uint32_t out, uint32_t points, struct weights *ret)
{
    uint32_t vectors = vectors_of(inf, out);
    size_t padded = (size_t)vectors * inf->kernel->lanes;
    *ret = (struct weights){in, vectors, points, take(arena, (size_t)points * in * padded),
                            take(arena, padded)};
}

static void place_input(struct inference *inf, struct arena *arena)
{
    const struct net_arch *arch = &inf->arch;
    size_t f = (size_t)inf->channel_blocks * inf->kernel->lanes;
    inf->input_weight = take(arena, (size_t)arch->n_planes * 9 * f);
    inf->input_constant = take(arena, (size_t)arch->n_planes * 16 * f);
    inf->input_shift = take(arena, f);
    size_t hits = (size_t)arch->n_planes * inf->cells;
    inf->input = (struct kernel_input){
        .planes = arch->n_planes,
        .height = arch->height,
        .width = arch->width,
        .vectors = inf->channel_blocks,
        .weight = inf->input_weight,
        .constant = inf->input_constant,
        .shift = inf->input_shift,
        .constants = take_bytes(arena, arch->n_planes * sizeof(struct kernel_hit)),
        .found = take_bytes(arena, hits * sizeof(struct kernel_hit)),
        .hits = take_bytes(arena, hits * sizeof(struct kernel_hit)),
        .found_cell = take_bytes(arena, hits * sizeof(uint32_t)),
        .first = take_bytes(arena, (inf->cells + 1) * sizeof(uint32_t)),
    };
}

static void place_layers(struct inference *inf, struct arena *arena)
{
    const struct net_arch *arch = &inf->arch;
    uint32_t f = arch->filters;
    uint32_t points = inf->winograd.points;
    size_t padded = (size_t)inf->channel_blocks * inf->kernel->lanes;
    place_input(inf, arena);
    for (uint32_t i = 0; i < arch->blocks; i++) {
        struct block *block = &inf->blocks[i];
        place_weights(inf, arena, f, f, points, &block->conv1);
        place_weights(inf, arena, f, f, points, &block->conv2);
        if (arch->se_channels > 0) {
            place_weights(inf, arena, f, arch->se_channels, 1, &block->squeeze);
            /* The factors' vectors, then the summands': padded, so that each begins a vector. */
            place_weights(inf, arena, arch->se_channels, (uint32_t)(2 * padded), 1, &block->excite);
        }
    }
    place_weights(inf, arena, f, f, points, &inf->policy1);
    inf->policy_weight = take(arena, (size_t)arch->policy_planes * 9 * padded);
    inf->policy_bias = take(arena, arch->policy_planes);
    place_weights(inf, arena, f, arch->value_filters, 1, &inf->value_conv);
    place_weights(inf, arena, arch->value_filters * inf->cells, arch->value_hidden, 1,
                  &inf->value1);
    place_weights(inf, arena, arch->value_hidden, net_value_outputs(arch), 1, &inf->value2);
}

static void place_buffers(struct inference *inf, struct arena *arena)
{
    const struct net_arch *arch = &inf->arch;
    size_t lanes = inf->kernel->lanes;
    size_t n = inf->chunk;
    size_t rows = n * inf->winograd.tiles;
    size_t v_point = rows * inf->channel_blocks * lanes + POINT_PADDING;
    size_t m_point = rows * inf->kernel->vectors * lanes + POINT_PADDING;
    /* Products without points leave their outcome in m too, a group of vectors at a time. */
    size_t m = max_size(m_point * inf->winograd.points,
                        max_size(inf->cells, n) * inf->kernel->vectors * lanes);
    inf->x = take(arena, n * inf->activation);
    inf->y = take(arena, n * inf->activation);
    inf->v = take(arena, v_point * inf->winograd.points);
    inf->m = take(arena, m);
    inf->means = take(arena, n * inf->channel_blocks * lanes);
    inf->squeezed = take(arena, n * (size_t)vectors_of(inf, arch->se_channels) * lanes);
    inf->excited = take(arena, n * 2 * inf->channel_blocks * lanes);
    inf->flat = take(arena, n * (size_t)vectors_of(inf, arch->value_filters * inf->cells) * lanes);
    inf->hidden = take(arena, n * (size_t)vectors_of(inf, arch->value_hidden) * lanes);
    inf->value = take(arena, n * lanes);
}

/* ---- packing ---- */

/* Where output channel o of weights stands for a point and an input channel. */
static float *weight_at(const struct inference *inf, const struct weights *weights, uint32_t point,
                        uint32_t in, uint32_t o)
{
    uint32_t lanes = inf->kernel->lanes;
    uint32_t group = o / lanes / inf->kernel->vectors * inf->kernel->vectors; /* its first vector */
    uint32_t vectors = weights->vectors - group < inf->kernel->vectors ? weights->vectors - group
                                                                       : inf->kernel->vectors;
    size_t before = (size_t)group * lanes * weights->points * weights->in;
    return weights->data + before + ((size_t)point * weights->in + in) * vectors * lanes +
           (o - group * lanes);
}

/* Batch norm as y = scale x + shift, in double. */
static double bn_scale(const struct net *net, const struct net_layout_bn *bn, uint32_t c)
{
    double var = (double)net_layout_data(net, bn->var)[c];
    return (double)net_layout_data(net, bn->gamma)[c] / numeric_sqrt(var + (double)NET_BN_EPSILON);
}

static double bn_shift(const struct net *net, const struct net_layout_bn *bn, uint32_t c)
{
    return (double)net_layout_data(net, bn->beta)[c] -
           (double)net_layout_data(net, bn->mean)[c] * bn_scale(net, bn, c);
}

static void pack_conv(const struct inference *inf, const struct net *net, uint32_t weight_index,
                      const struct net_layout_bn *bn, struct weights *ret)
{
    const float *weight = net_layout_data(net, weight_index);
    float points[WINOGRAD_MAX_POINTS];
    for (uint32_t o = 0; o < net->arch.filters; o++) {
        ret->shift[o] = (float)bn_shift(net, bn, o);
        for (uint32_t i = 0; i < ret->in; i++, weight += 9) {
            winograd_filter(&inf->winograd, weight, bn_scale(net, bn, o), points);
            for (uint32_t p = 0; p < ret->points; p++) {
                *weight_at(inf, ret, p, i, o) = points[p];
            }
        }
    }
}

/* The taps that see a neighbour: those of a cell that has neighbours as in kernel_input.constant. */
static bool sees(uint32_t neighbours, uint32_t tap)
{
    return (tap / 3 != 0 || (neighbours & 1U) != 0) && (tap / 3 != 2 || (neighbours & 2U) != 0) &&
           (tap % 3 != 0 || (neighbours & 4U) != 0) && (tap % 3 != 2 || (neighbours & 8U) != 0);
}

static void pack_input(struct inference *inf, const struct net *net, uint32_t weight_index,
                       const struct net_layout_bn *bn)
{
    const float *weight = net_layout_data(net, weight_index);
    size_t f = (size_t)inf->channel_blocks * inf->kernel->lanes;
    for (uint32_t o = 0; o < net->arch.filters; o++) {
        double scale = bn_scale(net, bn, o);
        inf->input_shift[o] = (float)bn_shift(net, bn, o);
        for (uint32_t i = 0; i < net->arch.n_planes; i++, weight += 9) {
            for (uint32_t tap = 0; tap < 9; tap++) {
                inf->input_weight[((size_t)i * 9 + tap) * f + o] =
                    (float)((double)weight[tap] * scale);
            }
            for (uint32_t neighbours = 0; neighbours < 16; neighbours++) {
                double sum = 0.0;
                for (uint32_t tap = 0; tap < 9; tap++) {
                    sum += sees(neighbours, tap) ? (double)weight[tap] : 0.0;
                }
                inf->input_constant[((size_t)i * 16 + neighbours) * f + o] = (float)(sum * scale);
            }
        }
    }
}

/* [out][channels][cells] -> inputs in the order [cells][channels]; without a board cells is 1. Output o goes to
 * place(o) = o, but from `second` on to o - second + second_at. */
static void pack_dense(const struct inference *inf, const struct net *net, uint32_t weight_index,
                       uint32_t bias_index, uint32_t cells, uint32_t n_out, uint32_t second,
                       uint32_t second_at, struct weights *ret)
{
    const float *weight = net_layout_data(net, weight_index);
    const float *bias = net_layout_data(net, bias_index);
    uint32_t channels = ret->in / cells;
    for (uint32_t o = 0; o < n_out; o++) {
        uint32_t at = o < second ? o : o - second + second_at;
        ret->shift[at] = bias[o];
        for (uint32_t c = 0; c < channels; c++) {
            for (uint32_t cell = 0; cell < cells; cell++) {
                *weight_at(inf, ret, 0, cell * channels + c, at) = *weight++;
            }
        }
    }
}

static void pack_value_conv(struct inference *inf, const struct net *net,
                            const struct net_layout *layout)
{
    const float *weight = net_layout_data(net, layout->value_conv);
    for (uint32_t o = 0; o < net->arch.value_filters; o++) {
        double scale = bn_scale(net, &layout->value_bn, o);
        inf->value_conv.shift[o] = (float)bn_shift(net, &layout->value_bn, o);
        for (uint32_t i = 0; i < net->arch.filters; i++) {
            *weight_at(inf, &inf->value_conv, 0, i, o) = (float)((double)*weight++ * scale);
        }
    }
}

static void pack_policy(struct inference *inf, const struct net *net,
                        const struct net_layout *layout)
{
    const float *weight = net_layout_data(net, layout->policy_conv2);
    size_t f = (size_t)inf->channel_blocks * inf->kernel->lanes;
    for (uint32_t plane = 0; plane < net->arch.policy_planes; plane++) {
        inf->policy_bias[plane] = net_layout_data(net, layout->policy_conv2_bias)[plane];
        for (uint32_t i = 0; i < net->arch.filters; i++) {
            for (uint32_t tap = 0; tap < 9; tap++) {
                inf->policy_weight[((size_t)plane * 9 + tap) * f + i] = *weight++;
            }
        }
    }
}

static void pack_net(struct inference *inf, const struct net *net)
{
    const struct net_arch *arch = &net->arch;
    struct net_layout layout;
    net_layout_get(arch, &layout);
    pack_input(inf, net, layout.input_conv, &layout.input_bn);
    for (uint32_t i = 0; i < arch->blocks; i++) {
        const struct net_layout_block *from = &layout.blocks[i];
        struct block *to = &inf->blocks[i];
        pack_conv(inf, net, from->conv1, &from->bn1, &to->conv1);
        pack_conv(inf, net, from->conv2, &from->bn2, &to->conv2);
        if (arch->se_channels > 0) {
            pack_dense(inf, net, from->se_fc1_weight, from->se_fc1_bias, 1, arch->se_channels,
                       arch->se_channels, 0, &to->squeeze);
            pack_dense(inf, net, from->se_fc2_weight, from->se_fc2_bias, 1, 2 * arch->filters,
                       arch->filters, inf->channel_blocks * inf->kernel->lanes, &to->excite);
        }
    }
    pack_conv(inf, net, layout.policy_conv1, &layout.policy_bn, &inf->policy1);
    pack_policy(inf, net, &layout);
    pack_value_conv(inf, net, &layout);
    uint32_t outputs = net_value_outputs(arch);
    pack_dense(inf, net, layout.value_fc1_weight, layout.value_fc1_bias, inf->cells,
               arch->value_hidden, arch->value_hidden, 0, &inf->value1);
    pack_dense(inf, net, layout.value_fc2_weight, layout.value_fc2_bias, 1, outputs, outputs, 0,
               &inf->value2);
}

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
    uint32_t chunk = net->arch.filters < LARGE_FILTERS ? CHUNK : LARGE_CHUNK;
    inf->arch = net->arch;
    inf->kernel = kernel;
    winograd_init(&inf->winograd, net->arch.height, net->arch.width);
    inf->chunk = max_batch < chunk ? max_batch : chunk;
    inf->cells = net->arch.height * net->arch.width;
    inf->channel_blocks = vectors_of(inf, net->arch.filters);
    inf->activation = (size_t)inf->cells * inf->channel_blocks * kernel->lanes;
    inf->blocks = calloc(net->arch.blocks, sizeof *inf->blocks);
    if (inf->blocks == NULL) {
        goto no_memory;
    }
    struct arena arena = {0};
    place_layers(inf, &arena);
    place_buffers(inf, &arena);
    inf->memory = allocate(arena.used);
    if (inf->memory == NULL) {
        goto no_memory;
    }
    arena = (struct arena){.base = inf->memory};
    place_layers(inf, &arena);
    place_buffers(inf, &arena);
    pack_net(inf, net);
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
    const char *name = getenv("QZD_KERNEL");
    const char *why = "";
    const struct kernel *kernel =
        name == NULL || name[0] == '\0' ? kernel_best() : kernel_find(name, &why);
    if (kernel == NULL) {
        return error_set(err, ERROR_UNSUPPORTED, "the inference kernel %s: %s", name, why);
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

/* y of n positions = 3x3 convolution of x; means with KERNEL_MEANS only. */
static void run_conv(struct inference *inf, const struct weights *weights, const float *x,
                     uint32_t n, enum kernel_ending ending, float *y)
{
    const struct kernel *kernel = inf->kernel;
    const struct winograd *w = &inf->winograd;
    const struct kernel_tile *tile = &kernel->tiles[w->shape];
    size_t lanes = kernel->lanes;
    uint32_t rows = n * w->tiles;
    size_t v_block = rows * lanes;
    size_t v_point = v_block * inf->channel_blocks + POINT_PADDING;
    for (uint32_t i = 0; i < n; i++) {
        tile->transform(w, x + i * inf->activation, inf->channel_blocks,
                        inf->v + i * w->tiles * lanes, v_point, v_block);
    }
    const float *u = weights->data;
    for (uint32_t k = 0; k < weights->vectors; k += kernel->vectors) {
        uint32_t vectors =
            weights->vectors - k < kernel->vectors ? weights->vectors - k : kernel->vectors;
        size_t m_point = v_block * vectors + POINT_PADDING;
        for (uint32_t point = 0; point < w->points; point++) {
            kernel->product(inf->v + point * v_point, v_block, rows, u, weights->in, vectors,
                            inf->m + point * m_point);
            u += (size_t)weights->in * vectors * lanes;
        }
        for (uint32_t i = 0; i < n; i++) {
            tile->inverse(w, inf->m + i * w->tiles * vectors * lanes, m_point, vectors,
                          weights->shift + k * lanes, ending,
                          y + i * inf->activation + k * inf->cells * lanes,
                          inf->means + (k * n + i) * lanes, n * lanes);
        }
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

static void run_block(struct inference *inf, const struct block *block, uint32_t n)
{
    run_conv(inf, &block->conv1, inf->x, n, KERNEL_RELU, inf->y);
    if (inf->arch.se_channels == 0) {
        run_conv(inf, &block->conv2, inf->y, n, KERNEL_RESIDUAL, inf->x);
        return;
    }
    run_conv(inf, &block->conv2, inf->y, n, KERNEL_MEANS, inf->y);
    run_dense(inf, &block->squeeze, inf->means, n, true, inf->squeezed);
    run_dense(inf, &block->excite, inf->squeezed, n, false, inf->excited);
    for (uint32_t i = 0; i < n; i++) {
        inf->kernel->excite(inf->excited + i * inf->kernel->lanes, n * inf->kernel->lanes,
                            inf->y + i * inf->activation, inf->channel_blocks, inf->cells,
                            inf->x + i * inf->activation);
    }
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
    run_conv(inf, &inf->policy1, inf->x, n, KERNEL_RELU, inf->y);
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
                const float *m = inf->m + (size_t)cell * vectors * lanes;
                uint32_t at = cell * filters + first;
                for (uint32_t c = 0;
                     c < channels;) { /* up to the end of a vector of the row at a time */
                    float *to = inf->flat + ((size_t)(at / lanes) * n + i) * lanes + at % lanes;
                    uint32_t length = lanes - at % lanes;
                    length = length < channels - c ? length : channels - c;
                    add_relu(m + c, weights->shift + first + c, length, to);
                    c += length;
                    at += length;
                }
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
    static const char *const names[][2] = {{"avx512", "winograd-fp32/avx512"},
                                           {"avx2", "winograd-fp32/avx2"},
                                           {"plain", "winograd-fp32/plain"}};
    const char *name = getenv("QZD_KERNEL");
    const char *why;
    const struct kernel *kernel =
        name == NULL || name[0] == '\0' ? kernel_best() : kernel_find(name, &why);
    for (size_t i = 0; kernel != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i][0], kernel->name) == 0) {
            return names[i][1];
        }
    }
    return "none";
}
