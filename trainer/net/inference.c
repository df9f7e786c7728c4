/* Design. Positions are computed one after the other through the whole net in the same few buffers,
 * so a batch cannot touch an evaluation's bits, activations stay in the first cache and the weights
 * of a small net in the second. A 3x3 convolution is three sgemms over the widened activation of
 * elementwise.h, [cells][3 in] x [3 in][out] for each kernel row, the second and third adding to the
 * first: no copy into columns, row-major without transposing (the form in which OpenBLAS's small
 * products are fastest). Batch norm is folded at load: its scale into the weights, the rest into
 * the shift that is added with the relu. */
#include "trainer/net/inference.h"

#include "mcts/numeric.h"
#include "trainer/net/blas.h"
#include "trainer/net/elementwise.h"
#include "trainer/net/net_layout.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct conv3x3 {
    uint32_t in, out;
    float *weight; /* [3][3][in][out] */
    float *shift;  /* [out] */
};

struct dense {
    uint32_t in, out;
    float *weight; /* [in][out] */
    float *bias;   /* [out] */
};

struct block {
    struct conv3x3 conv1, conv2;
    struct dense squeeze, excite; /* with SE only */
};

struct inference {
    struct net_arch arch;
    float *memory; /* all that follows points in here */
    struct conv3x3 input, policy1, policy2;
    struct block *blocks;
    float *value_weight; /* [filters][value_filters] */
    float *value_shift;
    struct dense value1, value2; /* value1's inputs are [cells][value_filters] */
    float *ones;                 /* [filters]: the residual's scale without SE */
    struct elementwise_shape planes_shape, shape;
    float *wide_planes, *wide_x, *wide_y; /* widened activations */
    float *product;                       /* [cells][widest] */
    float *mean, *squeezed, *excited, *scale, *shift, *hidden;
};

/* Hands out pieces of one block, each on its own cache line; without a base it only counts. */
struct arena {
    float *base;
    size_t used;
};

static float *take(struct arena *arena, size_t n)
{
    float *piece = arena->base == NULL ? NULL : arena->base + arena->used;
    arena->used += (n + 15) / 16 * 16;
    return piece;
}

static void place_conv(struct arena *arena, struct conv3x3 *conv, uint32_t in, uint32_t out)
{
    *conv = (struct conv3x3){in, out, take(arena, (size_t)9 * in * out), take(arena, out)};
}

static void place_dense(struct arena *arena, struct dense *dense, uint32_t in, uint32_t out)
{
    *dense = (struct dense){in, out, take(arena, (size_t)in * out), take(arena, out)};
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void place_weights(struct inference *inf, struct arena *arena)
{
    const struct net_arch *arch = &inf->arch;
    uint32_t f = arch->filters;
    place_conv(arena, &inf->input, arch->n_planes, f);
    for (uint32_t i = 0; i < arch->blocks; i++) {
        struct block *block = &inf->blocks[i];
        place_conv(arena, &block->conv1, f, f);
        place_conv(arena, &block->conv2, f, f);
        place_dense(arena, &block->squeeze, f, arch->se_channels);
        place_dense(arena, &block->excite, arch->se_channels, 2 * f);
    }
    place_conv(arena, &inf->policy1, f, f);
    place_conv(arena, &inf->policy2, f, arch->policy_planes);
    inf->value_weight = take(arena, (size_t)f * arch->value_filters);
    inf->value_shift = take(arena, arch->value_filters);
    uint32_t flat = arch->value_filters * arch->height * arch->width;
    place_dense(arena, &inf->value1, flat, arch->value_hidden);
    place_dense(arena, &inf->value2, arch->value_hidden, net_value_outputs(arch));
    inf->ones = take(arena, f);
}

static void place_buffers(struct inference *inf, struct arena *arena)
{
    const struct net_arch *arch = &inf->arch;
    uint32_t f = arch->filters;
    uint32_t widest = max_u32(f, max_u32(arch->policy_planes, arch->value_filters));
    size_t cells = (size_t)arch->height * arch->width;
    float *unused = take(arena, max_u32(f, arch->n_planes));
    inf->shape = (struct elementwise_shape){arch->height, arch->width, f, unused};
    inf->planes_shape = inf->shape;
    inf->planes_shape.channels = arch->n_planes;
    inf->wide_planes = take(arena, elementwise_wide_size(&inf->planes_shape));
    inf->wide_x = take(arena, elementwise_wide_size(&inf->shape));
    inf->wide_y = take(arena, elementwise_wide_size(&inf->shape));
    inf->product = take(arena, cells * widest);
    inf->mean = take(arena, f);
    inf->squeezed = take(arena, arch->se_channels);
    inf->excited = take(arena, (size_t)2 * f);
    inf->scale = take(arena, f);
    inf->shift = take(arena, f);
    inf->hidden = take(arena, arch->value_hidden);
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

/* [out][in][3][3] -> [3][3][in][out]; bn NULL: bias is the shift. */
static void pack_conv(const struct net *net, uint32_t weight_index, const struct net_layout_bn *bn,
                      const float *bias, struct conv3x3 *conv)
{
    const float *weight = net_layout_data(net, weight_index);
    for (uint32_t o = 0; o < conv->out; o++) {
        double scale = bn == NULL ? 1.0 : bn_scale(net, bn, o);
        conv->shift[o] = bn == NULL ? bias[o] : (float)bn_shift(net, bn, o);
        for (uint32_t i = 0; i < conv->in; i++) {
            for (uint32_t k = 0; k < 9; k++) {
                double w = (double)weight[((size_t)o * conv->in + i) * 9 + k];
                conv->weight[((size_t)k * conv->in + i) * conv->out + o] = (float)(w * scale);
            }
        }
    }
}

/* [out][channels][cells] -> [cells][channels][out]; without a board cells is 1. */
static void pack_dense(const struct net *net, uint32_t weight_index, uint32_t bias_index,
                       uint32_t cells, struct dense *dense)
{
    const float *weight = net_layout_data(net, weight_index);
    uint32_t channels = dense->in / cells;
    memcpy(dense->bias, net_layout_data(net, bias_index), dense->out * sizeof(float));
    for (uint32_t o = 0; o < dense->out; o++) {
        for (uint32_t c = 0; c < channels; c++) {
            for (uint32_t cell = 0; cell < cells; cell++) {
                dense->weight[((size_t)cell * channels + c) * dense->out + o] =
                    weight[((size_t)o * channels + c) * cells + cell];
            }
        }
    }
}

static void pack_value_conv(const struct net *net, const struct net_layout *layout,
                            struct inference *inf)
{
    const float *weight = net_layout_data(net, layout->value_conv);
    uint32_t n = net->arch.value_filters;
    for (uint32_t o = 0; o < n; o++) {
        double scale = bn_scale(net, &layout->value_bn, o);
        inf->value_shift[o] = (float)bn_shift(net, &layout->value_bn, o);
        for (uint32_t i = 0; i < net->arch.filters; i++) {
            double w = (double)weight[(size_t)o * net->arch.filters + i];
            inf->value_weight[(size_t)i * n + o] = (float)(w * scale);
        }
    }
}

static void pack_net(const struct net *net, struct inference *inf)
{
    struct net_layout layout;
    net_layout_get(&net->arch, &layout);
    pack_conv(net, layout.input_conv, &layout.input_bn, NULL, &inf->input);
    for (uint32_t i = 0; i < net->arch.blocks; i++) {
        const struct net_layout_block *from = &layout.blocks[i];
        struct block *to = &inf->blocks[i];
        pack_conv(net, from->conv1, &from->bn1, NULL, &to->conv1);
        pack_conv(net, from->conv2, &from->bn2, NULL, &to->conv2);
        if (net->arch.se_channels > 0) {
            pack_dense(net, from->se_fc1_weight, from->se_fc1_bias, 1, &to->squeeze);
            pack_dense(net, from->se_fc2_weight, from->se_fc2_bias, 1, &to->excite);
        }
    }
    pack_conv(net, layout.policy_conv1, &layout.policy_bn, NULL, &inf->policy1);
    pack_conv(net, layout.policy_conv2, NULL, net_layout_data(net, layout.policy_conv2_bias),
              &inf->policy2);
    pack_value_conv(net, &layout, inf);
    uint32_t cells = net->arch.height * net->arch.width;
    pack_dense(net, layout.value_fc1_weight, layout.value_fc1_bias, cells, &inf->value1);
    pack_dense(net, layout.value_fc2_weight, layout.value_fc2_bias, 1, &inf->value2);
    for (uint32_t i = 0; i < net->arch.filters; i++) {
        inf->ones[i] = 1.0F;
    }
}

static int check_arguments(const struct net *net, uint32_t max_batch, struct error *err)
{
    if (max_batch == 0) {
        return error_set(err, ERROR_INVALID, "inference: a batch of 0 positions");
    }
    return net_arch_check(&net->arch, err);
}

int inference_create(const struct net *net, uint32_t max_batch, struct inference **ret,
                     struct error *err)
{
    int r = check_arguments(net, max_batch, err);
    if (r < 0) {
        return r;
    }
    struct inference *inf = calloc(1, sizeof *inf);
    if (inf == NULL) {
        goto no_memory;
    }
    inf->arch = net->arch;
    inf->blocks = calloc(net->arch.blocks, sizeof *inf->blocks);
    if (inf->blocks == NULL) {
        goto no_memory;
    }
    struct arena arena = {0};
    place_weights(inf, &arena);
    place_buffers(inf, &arena);
    inf->memory = aligned_alloc(64, arena.used * sizeof(float));
    if (inf->memory == NULL) {
        goto no_memory;
    }
    memset(inf->memory, 0, arena.used * sizeof(float)); /* the rims of the board stay 0 */
    arena = (struct arena){.base = inf->memory};
    place_weights(inf, &arena);
    place_buffers(inf, &arena);
    pack_net(net, inf);
    blas_set_threads(1);
    *ret = inf;
    return 0;
no_memory:
    inference_destroy(inf);
    return error_set(err, ERROR_NO_MEMORY,
                     "inference: no memory for a net of %u blocks of %u filters", net->arch.blocks,
                     net->arch.filters);
}

void inference_destroy(struct inference *inf)
{
    if (inf != NULL) {
        free(inf->blocks);
        free(inf->memory);
        free(inf);
    }
}

/* product[cells][out] = convolution of `wide`, without its shift. */
static void run_conv(struct inference *inf, const struct conv3x3 *conv, const float *wide)
{
    int k = (int)(3 * conv->in);
    int n = (int)conv->out;
    int cells = (int)(inf->arch.height * inf->arch.width);
    size_t row = (size_t)inf->arch.width * 3 * conv->in;
    for (size_t ky = 0; ky < 3; ky++) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, cells, n, k, 1.0F, wide + ky * row,
                    k, conv->weight + ky * 3 * conv->in * conv->out, n, ky == 0 ? 0.0F : 1.0F,
                    inf->product, n);
    }
}

static void run_dense(const struct dense *dense, const float *x, bool with_relu, float *ret)
{
    elementwise_dense(dense->weight, dense->bias, x, dense->in, dense->out, with_relu, ret);
}

static void run_block(struct inference *inf, const struct block *block)
{
    size_t cells = (size_t)inf->arch.height * inf->arch.width;
    size_t f = inf->arch.filters;
    run_conv(inf, &block->conv1, inf->wide_x);
    elementwise_shift_relu(&inf->shape, inf->product, block->conv1.shift, inf->wide_y);
    run_conv(inf, &block->conv2, inf->wide_y);
    if (inf->arch.se_channels == 0) {
        elementwise_residual_relu(&inf->shape, inf->product, inf->ones, block->conv2.shift,
                                  inf->wide_x);
        return;
    }
    elementwise_means(inf->product, cells, f, block->conv2.shift, inf->mean);
    run_dense(&block->squeeze, inf->mean, true, inf->squeezed);
    run_dense(&block->excite, inf->squeezed, false, inf->excited);
    elementwise_excite(inf->excited, block->conv2.shift, f, inf->scale, inf->shift);
    elementwise_residual_relu(&inf->shape, inf->product, inf->scale, inf->shift, inf->wide_x);
}

static void run_policy(struct inference *inf, float *ret)
{
    size_t cells = (size_t)inf->arch.height * inf->arch.width;
    size_t planes = inf->arch.policy_planes;
    run_conv(inf, &inf->policy1, inf->wide_x);
    elementwise_shift_relu(&inf->shape, inf->product, inf->policy1.shift, inf->wide_y);
    run_conv(inf, &inf->policy2, inf->wide_y);
    for (size_t plane = 0; plane < planes; plane++) {
        for (size_t cell = 0; cell < cells; cell++) {
            ret[plane * cells + cell] =
                inf->product[cell * planes + plane] + inf->policy2.shift[plane];
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

static void run_value(struct inference *inf, float *ret)
{
    const struct net_arch *arch = &inf->arch;
    size_t cells = (size_t)arch->height * arch->width;
    int f = (int)arch->filters;
    int n = (int)arch->value_filters;
    float out[3];
    /* The cells' own channels are a matrix with rows 3 f apart. */
    const float *x = inf->wide_x + (size_t)arch->width * 3 * arch->filters + arch->filters;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)cells, n, f, 1.0F, x, 3 * f,
                inf->value_weight, n, 0.0F, inf->product, n);
    elementwise_shift_relu_rows(inf->product, cells, arch->value_filters, inf->value_shift);
    run_dense(&inf->value1, inf->product, true, inf->hidden);
    run_dense(&inf->value2, inf->hidden, false, out);
    if (arch->value == NET_VALUE_WDL) {
        softmax3(out, ret);
    } else { /* tanh; an infinite exp gives 1 */
        ret[0] = (float)(1.0 - 2.0 / (numeric_exp(2.0 * (double)out[0]) + 1.0));
    }
}

void inference_run(struct inference *inf, const float *planes, uint32_t n, float *ret_policy,
                   float *ret_value)
{
    size_t planes_size = (size_t)inf->arch.n_planes * inf->arch.height * inf->arch.width;
    size_t policy_size = net_policy_size(&inf->arch);
    size_t value_size = net_value_outputs(&inf->arch);
    for (uint32_t i = 0; i < n; i++) {
        elementwise_widen_planes(&inf->planes_shape, planes + i * planes_size, inf->wide_planes);
        run_conv(inf, &inf->input, inf->wide_planes);
        elementwise_shift_relu(&inf->shape, inf->product, inf->input.shift, inf->wide_x);
        for (uint32_t b = 0; b < inf->arch.blocks; b++) {
            run_block(inf, &inf->blocks[b]);
        }
        run_policy(inf, ret_policy + i * policy_size);
        run_value(inf, ret_value + i * value_size);
    }
}

/* "OpenBLAS 0.3.21 DYNAMIC_ARCH ..." -> "0.3.21" */
static void find_version(const char *config, char *ret, size_t size)
{
    const char *from = strchr(config, ' ');
    from = from == NULL ? config : from + 1;
    snprintf(ret, size, "%.*s", (int)strcspn(from, " "), from);
}

const char *inference_kernel(void)
{
    static _Thread_local char text[96];
    char version[32];
    find_version(openblas_get_config(), version, sizeof version);
    snprintf(text, sizeof text, "openblas-fp32/%s/%s", blas_corename(), version);
    return text;
}
