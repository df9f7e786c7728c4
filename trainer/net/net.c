/* The table of tensors. In this order, which is also the order in params and in the file:
 *     input.conv.weight  input.bn.{gamma,beta,mean,var}
 *     block%u.conv1.weight  block%u.bn1.*  block%u.conv2.weight  block%u.bn2.*
 *     block%u.se.fc1.{weight,bias}  block%u.se.fc2.{weight,bias}              (with SE only)
 *     policy.conv1.weight  policy.bn.*  policy.conv2.{weight,bias}
 *     value.conv.weight  value.bn.*  value.fc1.{weight,bias}  value.fc2.{weight,bias}
 * The table is made by one walk over the architecture (walk_net); without a table to fill, the same
 * walk gives the layout, so that names and indices cannot drift apart. */
#include "trainer/net/net.h"

#include "mcts/numeric.h"
#include "mcts/random.h"
#include "trainer/net/net_layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, MAX_BLOCKS = 64 };

struct walk {
    struct net_tensor *tensors; /* NULL: only count */
    uint32_t n;
    size_t n_params;
};

static uint32_t add(struct walk *walk, const char *layer, const char *part,
                    enum net_tensor_kind kind, uint32_t n_dims, const uint32_t dims[4])
{
    size_t count = 1;
    for (uint32_t i = 0; i < n_dims; i++) {
        count *= dims[i];
    }
    if (walk->tensors != NULL) {
        struct net_tensor *tensor = &walk->tensors[walk->n];
        memset(tensor, 0, sizeof *tensor);
        snprintf(tensor->name, sizeof tensor->name, "%s.%s", layer, part);
        tensor->kind = kind;
        tensor->n_dims = n_dims;
        memcpy(tensor->dims, dims, n_dims * sizeof dims[0]);
        tensor->offset = walk->n_params;
        tensor->count = count;
    }
    walk->n_params += count;
    return walk->n++;
}

static uint32_t add_conv(struct walk *walk, const char *layer, uint32_t out, uint32_t in,
                         uint32_t size)
{
    return add(walk, layer, "weight", NET_CONV, 4, (uint32_t[4]){out, in, size, size});
}

static uint32_t add_dense(struct walk *walk, const char *layer, uint32_t out, uint32_t in)
{
    return add(walk, layer, "weight", NET_DENSE, 2, (uint32_t[4]){out, in});
}

static uint32_t add_bias(struct walk *walk, const char *layer, uint32_t out)
{
    return add(walk, layer, "bias", NET_BIAS, 1, (uint32_t[4]){out});
}

static void add_bn(struct walk *walk, const char *layer, uint32_t n, struct net_layout_bn *ret)
{
    const uint32_t dims[4] = {n};
    ret->gamma = add(walk, layer, "gamma", NET_BN_GAMMA, 1, dims);
    ret->beta = add(walk, layer, "beta", NET_BN_BETA, 1, dims);
    ret->mean = add(walk, layer, "mean", NET_BN_MEAN, 1, dims);
    ret->var = add(walk, layer, "var", NET_BN_VAR, 1, dims);
}

static void walk_block(struct walk *walk, const struct net_arch *arch, uint32_t index,
                       struct net_layout_block *ret)
{
    uint32_t f = arch->filters;
    uint32_t s = arch->se_channels;
    char name[32];
#define PART(part) (snprintf(name, sizeof name, "block%" PRIu32 "." part, index), name)
    ret->conv1 = add_conv(walk, PART("conv1"), f, f, 3);
    add_bn(walk, PART("bn1"), f, &ret->bn1);
    ret->conv2 = add_conv(walk, PART("conv2"), f, f, 3);
    add_bn(walk, PART("bn2"), f, &ret->bn2);
    if (s > 0) {
        ret->se_fc1_weight = add_dense(walk, PART("se.fc1"), s, f);
        ret->se_fc1_bias = add_bias(walk, PART("se.fc1"), s);
        ret->se_fc2_weight = add_dense(walk, PART("se.fc2"), 2 * f, s);
        ret->se_fc2_bias = add_bias(walk, PART("se.fc2"), 2 * f);
    }
#undef PART
}

static void walk_net(struct walk *walk, const struct net_arch *arch, struct net_layout *ret)
{
    uint32_t f = arch->filters;
    ret->input_conv = add_conv(walk, "input.conv", f, arch->n_planes, 3);
    add_bn(walk, "input.bn", f, &ret->input_bn);
    for (uint32_t i = 0; i < arch->blocks && i < MAX_BLOCKS; i++) {
        walk_block(walk, arch, i, &ret->blocks[i]);
    }
    ret->policy_conv1 = add_conv(walk, "policy.conv1", f, f, 3);
    add_bn(walk, "policy.bn", f, &ret->policy_bn);
    ret->policy_conv2 = add_conv(walk, "policy.conv2", arch->policy_planes, f, 3);
    ret->policy_conv2_bias = add_bias(walk, "policy.conv2", arch->policy_planes);
    ret->value_conv = add_conv(walk, "value.conv", arch->value_filters, f, 1);
    add_bn(walk, "value.bn", arch->value_filters, &ret->value_bn);
    uint32_t flat = arch->value_filters * arch->height * arch->width;
    ret->value_fc1_weight = add_dense(walk, "value.fc1", arch->value_hidden, flat);
    ret->value_fc1_bias = add_bias(walk, "value.fc1", arch->value_hidden);
    ret->value_fc2_weight =
        add_dense(walk, "value.fc2", net_value_outputs(arch), arch->value_hidden);
    ret->value_fc2_bias = add_bias(walk, "value.fc2", net_value_outputs(arch));
    ret->n_tensors = walk->n;
}

void net_layout_get(const struct net_arch *arch, struct net_layout *ret)
{
    memset(ret, 0, sizeof *ret);
    walk_net(&(struct walk){0}, arch, ret);
}

size_t net_arch_params(const struct net_arch *arch)
{
    struct net_layout layout;
    struct walk walk = {0};
    walk_net(&walk, arch, &layout);
    return walk.n_params;
}

static float *params_create(size_t n)
{
    size_t bytes = (n * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    float *params = aligned_alloc(ALIGNMENT, bytes);
    if (params != NULL) {
        memset(params, 0, bytes);
    }
    return params;
}

static void fill(const struct net *net, const struct net_tensor *tensor, float value)
{
    float *data = net_tensor_data(net, tensor);
    for (size_t i = 0; i < tensor->count; i++) {
        data[i] = value;
    }
}

struct net *net_create(const struct net_arch *arch)
{
    struct net_layout layout;
    struct walk count = {0};
    struct net *net = calloc(1, sizeof *net);
    if (net == NULL || net_arch_check(arch, NULL) < 0) {
        free(net);
        return NULL;
    }
    walk_net(&count, arch, &layout);
    net->arch = *arch;
    net->n_tensors = count.n;
    net->n_params = count.n_params;
    net->tensors = calloc(count.n, sizeof *net->tensors);
    net->params = params_create(count.n_params);
    if (net->tensors == NULL || net->params == NULL) {
        net_destroy(net);
        return NULL;
    }
    walk_net(&(struct walk){.tensors = net->tensors}, arch, &layout);
    for (uint32_t i = 0; i < net->n_tensors; i++) {
        if (net->tensors[i].kind == NET_BN_GAMMA || net->tensors[i].kind == NET_BN_VAR) {
            fill(net, &net->tensors[i], 1.0F);
        }
    }
    return net;
}

struct net *net_copy(const struct net *net)
{
    struct net *copy = net_create(&net->arch);
    if (copy != NULL) {
        memcpy(copy->params, net->params, net->n_params * sizeof *net->params);
    }
    return copy;
}

void net_destroy(struct net *net)
{
    if (net != NULL) {
        free(net->tensors);
        free(net->params);
        free(net);
    }
}

/* He et al. 2015: variance 2 / fan-in keeps the size of activations through relu layers. */
static void init_weights(const struct net *net, uint32_t index, uint64_t seed)
{
    const struct net_tensor *tensor = &net->tensors[index];
    float *data = net_tensor_data(net, tensor);
    size_t fan_in = tensor->count / tensor->dims[0];
    double scale = numeric_sqrt(2.0 / (double)fan_in);
    for (size_t i = 0; i < tensor->count; i++) {
        data[i] = (float)(scale * random_normal(seed, index, RANDOM_INIT, i));
    }
}

void net_init(struct net *net, uint64_t seed)
{
    struct net_layout layout;
    net_layout_get(&net->arch, &layout);
    for (uint32_t i = 0; i < net->n_tensors; i++) {
        const struct net_tensor *tensor = &net->tensors[i];
        switch (tensor->kind) {
        case NET_CONV:
        case NET_DENSE:
            if (i == layout.policy_conv2 || i == layout.value_fc2_weight) {
                fill(net, tensor, 0.0F);
            } else {
                init_weights(net, i, seed);
            }
            break;
        case NET_BN_GAMMA:
        case NET_BN_VAR:
            fill(net, tensor, 1.0F);
            break;
        case NET_BIAS:
        case NET_BN_BETA:
        case NET_BN_MEAN:
            fill(net, tensor, 0.0F);
            break;
        }
    }
}

const struct net_tensor *net_find(const struct net *net, const char *name)
{
    for (uint32_t i = 0; i < net->n_tensors; i++) {
        if (strcmp(net->tensors[i].name, name) == 0) {
            return &net->tensors[i];
        }
    }
    return NULL;
}
