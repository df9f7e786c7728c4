/* Where a net's parts lie in memory, and its weights' way there: batch norm folded, filters transformed, in the order
 * in which the kernel reads them; in bf16 rounded, pair by pair. */
#include "trainer/net/inference_internal.h"

#include "mcts/numeric.h"
#include "trainer/net/net_layout.h"

#include <string.h>

enum { ALIGN_FLOATS = 16 };

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

uint32_t inference_vectors(const struct inference *inf, uint32_t channels)
{
    return (channels + inf->kernel->lanes - 1) / inf->kernel->lanes;
}

size_t inference_left_rows(const struct inference *inf, uint32_t n)
{
    const struct winograd *w = &inf->winograd;
    return (size_t)(w->summed ? inf->chunk : n) * w->left_rows + 2 * (size_t)w->edge;
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void place_weights(const struct inference *inf, struct arena *arena, uint32_t in,
                          uint32_t out, struct weights *ret)
{
    uint32_t vectors = inference_vectors(inf, out);
    size_t padded = (size_t)vectors * inf->kernel->lanes;
    *ret = (struct weights){.in = in, .vectors = vectors, .points = 1, .steps = in};
    ret->data = take(arena, in * padded);
    ret->shift = take(arena, padded);
}

static void place_conv(const struct inference *inf, struct arena *arena, struct weights *ret)
{
    size_t padded = (size_t)inf->channel_blocks * inf->kernel->lanes;
    bool pairs = inf->kernel->precision == KERNEL_BF16;
    uint32_t steps = pairs ? (inf->arch.filters + 1) / 2 : inf->arch.filters;
    *ret = (struct weights){.in = inf->arch.filters,
                            .vectors = inf->channel_blocks,
                            .points = inf->winograd.points,
                            .steps = (steps + inf->kernel->steps - 1) / inf->kernel->steps *
                                     inf->kernel->steps,
                            .pairs = pairs};
    ret->data = take(arena, (size_t)ret->points * ret->steps * padded);
    ret->shift = take(arena, padded);
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
        .columns = take_bytes(arena, inf->cells * sizeof(uint32_t)),
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
    size_t padded = (size_t)inf->channel_blocks * inf->kernel->lanes;
    place_input(inf, arena);
    for (uint32_t i = 0; i < arch->blocks; i++) {
        struct block *block = &inf->blocks[i];
        place_conv(inf, arena, &block->conv1);
        place_conv(inf, arena, &block->conv2);
        if (arch->se_channels > 0) {
            place_weights(inf, arena, f, arch->se_channels, &block->squeeze);
            /* The factors' vectors, then the summands': padded, so that each begins a vector. */
            place_weights(inf, arena, arch->se_channels, (uint32_t)(2 * padded), &block->excite);
        }
    }
    place_conv(inf, arena, &inf->policy1);
    inf->policy_weight = take(arena, (size_t)arch->policy_planes * 9 * padded);
    inf->policy_bias = take(arena, arch->policy_planes);
    place_weights(inf, arena, f, arch->value_filters, &inf->value_conv);
    place_weights(inf, arena, arch->value_filters * inf->cells, arch->value_hidden, &inf->value1);
    place_weights(inf, arena, arch->value_hidden, net_value_outputs(arch), &inf->value2);
}

static void place_buffers(struct inference *inf, struct arena *arena)
{
    const struct net_arch *arch = &inf->arch;
    size_t lanes = inf->kernel->lanes;
    size_t n = inf->chunk;
    size_t v_point =
        inference_left_rows(inf, inf->chunk) * inf->point_blocks * lanes + INFERENCE_POINT_PADDING;
    bool summed = inf->winograd.summed; /* the outcome of two positions at a time */
    size_t outcomes = summed ? 2 : n;
    size_t m_point = outcomes * inf->winograd.outcome_rows * inf->kernel->vectors * lanes +
                     INFERENCE_POINT_PADDING;
    size_t stored = summed ? 1 : inf->winograd.points;
    /* Products without points leave their outcome in m too, a group of vectors at a time. */
    size_t m = max_size(m_point * stored, max_size(inf->cells, n) * inf->kernel->vectors * lanes);
    inf->x = take(arena, n * inf->activation);
    inf->y = take(arena, n * inf->activation);
    inf->v = take(arena, v_point * stored);
    inf->next_v = summed ? take(arena, v_point) : inf->v;
    inf->m = take(arena, m);
    inf->means = take(arena, n * inf->channel_blocks * lanes);
    inf->squeezed = take(arena, n * (size_t)inference_vectors(inf, arch->se_channels) * lanes);
    inf->excited = take(arena, n * 2 * inf->channel_blocks * lanes);
    inf->flat =
        take(arena, n * (size_t)inference_vectors(inf, arch->value_filters * inf->cells) * lanes);
    inf->hidden = take(arena, n * (size_t)inference_vectors(inf, arch->value_hidden) * lanes);
    inf->value = take(arena, n * lanes);
}

size_t inference_place(struct inference *inf, float *memory)
{
    struct arena arena = {0};
    arena.base = memory;
    place_layers(inf, &arena);
    place_buffers(inf, &arena);
    return arena.used;
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
    size_t steps = weights->steps;
    size_t before = (size_t)group * lanes * weights->points * steps;
    uint32_t step = weights->pairs ? in / 2 : in;
    uint32_t grouped = weights->pairs ? inf->kernel->steps : 1;
    size_t in_group = step % grouped;
    size_t row = (point * steps + step - in_group) * vectors +
                 (size_t)(o / lanes - group) * grouped + in_group;
    return weights->data + before + row * lanes + o % lanes;
}

/* To bf16, which is a float's upper half; to the nearest, ties to even. A float beyond the largest bf16 becomes
 * infinite, as in the processor's own rounding. */
static uint16_t bf16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

static void set_weight(const struct inference *inf, const struct weights *weights, uint32_t point,
                       uint32_t in, uint32_t o, float value)
{
    float *at = weight_at(inf, weights, point, in, o);
    if (weights->pairs) {
        uint16_t half = bf16_of(value);
        memcpy((char *)at + in % 2 * sizeof half, &half, sizeof half);
    } else {
        *at = value;
    }
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
                set_weight(inf, ret, p, i, o, points[p]);
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
    for (uint32_t cell = 0; cell < inf->cells; cell++) {
        inf->input.columns[cell] = cell % net->arch.width * (uint32_t)f;
    }
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
                set_weight(inf, ret, 0, cell * channels + c, at, *weight++);
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
            set_weight(inf, &inf->value_conv, 0, i, o, (float)((double)*weight++ * scale));
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

void inference_pack(struct inference *inf, const struct net *net)
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
