/* The definition of the net's function: every layer as its formula reads, in double, nothing folded,
 * packed or fused. All else that computes a net is tested against this. Maps are [channel][y][x]. */
#include "trainer/net/inference.h"
#include "trainer/net/net_layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct map {
    uint32_t channels, height, width;
    double *data;
};

static double at(const struct map *map, uint32_t channel, int64_t y, int64_t x)
{
    if (y < 0 || x < 0 || y >= map->height || x >= map->width) {
        return 0.0;
    }
    return map->data[((size_t)channel * map->height + (size_t)y) * map->width + (size_t)x];
}

/* out = convolution of in by weight [out][in][size][size], zeros around the board. */
static void conv(const struct net *net, uint32_t weight_index, const struct map *in,
                 struct map *out)
{
    const struct net_tensor *tensor = &net->tensors[weight_index];
    const float *weight = net_tensor_data(net, tensor);
    uint32_t size = tensor->dims[2];
    int64_t half = size / 2;

    out->channels = tensor->dims[0];
    double *to = out->data;
    for (uint32_t o = 0; o < tensor->dims[0]; o++) {
        for (uint32_t y = 0; y < in->height; y++) {
            for (uint32_t x = 0; x < in->width; x++) {
                double sum = 0.0;
                const float *w = weight + (size_t)o * tensor->dims[1] * size * size;
                for (uint32_t i = 0; i < tensor->dims[1]; i++) {
                    for (uint32_t k = 0; k < size * size; k++) {
                        sum += (double)*w++ * at(in, i, (int64_t)y + k / size - half,
                                                 (int64_t)x + k % size - half);
                    }
                }
                *to++ = sum;
            }
        }
    }
}

static void batch_norm(const struct net *net, const struct net_layout_bn *bn, struct map *map)
{
    size_t cells = (size_t)map->height * map->width;
    for (uint32_t c = 0; c < map->channels; c++) {
        double mean = (double)net_layout_data(net, bn->mean)[c];
        double var = (double)net_layout_data(net, bn->var)[c];
        double gamma = (double)net_layout_data(net, bn->gamma)[c];
        double beta = (double)net_layout_data(net, bn->beta)[c];
        for (size_t i = 0; i < cells; i++) {
            double *x = &map->data[c * cells + i];
            *x = gamma * (*x - mean) / sqrt(var + (double)NET_BN_EPSILON) + beta;
        }
    }
}

static void relu(double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = x[i] > 0.0 ? x[i] : 0.0;
    }
}

static size_t map_size(const struct map *map)
{
    return (size_t)map->channels * map->height * map->width;
}

/* out[o] = bias[o] + sum over in of weight[o][i] x[i] */
static void dense(const struct net *net, uint32_t weight_index, uint32_t bias_index,
                  const double *x, double *out)
{
    const struct net_tensor *tensor = &net->tensors[weight_index];
    const float *weight = net_tensor_data(net, tensor);
    for (uint32_t o = 0; o < tensor->dims[0]; o++) {
        double sum = (double)net_layout_data(net, bias_index)[o];
        for (uint32_t i = 0; i < tensor->dims[1]; i++) {
            sum += (double)weight[(size_t)o * tensor->dims[1] + i] * x[i];
        }
        out[o] = sum;
    }
}

static void squeeze_excite(const struct net *net, const struct net_layout_block *block,
                           struct map *map)
{
    double mean[1024] = {0};
    double squeezed[1024] = {0};
    double excited[2048] = {0};
    size_t cells = (size_t)map->height * map->width;
    uint32_t f = map->channels;

    for (uint32_t c = 0; c < f; c++) {
        double sum = 0.0;
        for (size_t i = 0; i < cells; i++) {
            sum += map->data[c * cells + i];
        }
        mean[c] = sum / (double)cells;
    }
    dense(net, block->se_fc1_weight, block->se_fc1_bias, mean, squeezed);
    relu(squeezed, net->arch.se_channels);
    dense(net, block->se_fc2_weight, block->se_fc2_bias, squeezed, excited);
    for (uint32_t c = 0; c < f; c++) {
        double gamma = 1.0 / (1.0 + exp(-excited[c]));
        for (size_t i = 0; i < cells; i++) {
            map->data[c * cells + i] = gamma * map->data[c * cells + i] + excited[f + c];
        }
    }
}

/* x = block(x); `a` and `b` are room for maps of the same size. */
static void residual_block(const struct net *net, const struct net_layout_block *block,
                           struct map *x, struct map *a, struct map *b)
{
    conv(net, block->conv1, x, a);
    batch_norm(net, &block->bn1, a);
    relu(a->data, map_size(a));
    conv(net, block->conv2, a, b);
    batch_norm(net, &block->bn2, b);
    if (net->arch.se_channels > 0) {
        squeeze_excite(net, block, b);
    }
    for (size_t i = 0; i < map_size(x); i++) {
        x->data[i] += b->data[i];
    }
    relu(x->data, map_size(x));
}

static void policy_head(const struct net *net, const struct net_layout *layout, const struct map *x,
                        struct map *a, struct map *b, float *ret)
{
    size_t cells = (size_t)x->height * x->width;
    conv(net, layout->policy_conv1, x, a);
    batch_norm(net, &layout->policy_bn, a);
    relu(a->data, map_size(a));
    conv(net, layout->policy_conv2, a, b);
    const float *bias = net_layout_data(net, layout->policy_conv2_bias);
    for (size_t i = 0; i < map_size(b); i++) {
        ret[i] = (float)(b->data[i] + (double)bias[i / cells]);
    }
}

static void value_head(const struct net *net, const struct net_layout *layout, const struct map *x,
                       struct map *a, float *ret)
{
    double hidden[1024] = {0};
    double out[3] = {0};
    conv(net, layout->value_conv, x, a);
    batch_norm(net, &layout->value_bn, a);
    relu(a->data, map_size(a));
    dense(net, layout->value_fc1_weight, layout->value_fc1_bias, a->data, hidden);
    relu(hidden, net->arch.value_hidden);
    dense(net, layout->value_fc2_weight, layout->value_fc2_bias, hidden, out);
    if (net->arch.value == NET_VALUE_SCALAR) {
        ret[0] = (float)tanh(out[0]);
        return;
    }
    double max = fmax(fmax(out[0], out[1]), out[2]);
    double sum = 0.0;
    for (int i = 0; i < 3; i++) {
        sum += out[i] = exp(out[i] - max);
    }
    for (int i = 0; i < 3; i++) {
        ret[i] = (float)(out[i] / sum);
    }
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

int reference_run(const struct net *net, const float *planes, uint32_t n, float *ret_policy,
                  float *ret_value, struct error *err)
{
    const struct net_arch *arch = &net->arch;
    size_t cells = (size_t)arch->height * arch->width;
    uint32_t channels = max_u32(max_u32(arch->n_planes, arch->filters),
                                max_u32(arch->policy_planes, arch->value_filters));
    struct net_layout layout;
    net_layout_get(arch, &layout);
    double *room = calloc((size_t)4 * channels * cells, sizeof *room);
    if (room == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "no memory for a reference evaluation");
    }
    struct map maps[4];
    for (size_t i = 0; i < 4; i++) {
        maps[i] = (struct map){0, arch->height, arch->width, room + i * channels * cells};
    }
    struct map *in = &maps[0];
    struct map *x = &maps[1];
    for (uint32_t p = 0; p < n; p++) {
        in->channels = arch->n_planes;
        for (size_t i = 0; i < map_size(in); i++) {
            in->data[i] = (double)planes[p * map_size(in) + i];
        }
        conv(net, layout.input_conv, in, x);
        batch_norm(net, &layout.input_bn, x);
        relu(x->data, map_size(x));
        for (uint32_t i = 0; i < arch->blocks; i++) {
            residual_block(net, &layout.blocks[i], x, &maps[2], &maps[3]);
        }
        policy_head(net, &layout, x, &maps[2], &maps[3],
                    ret_policy + (size_t)p * net_policy_size(arch));
        value_head(net, &layout, x, &maps[2], ret_value + (size_t)p * net_value_outputs(arch));
    }
    free(room);
    return 0;
}
