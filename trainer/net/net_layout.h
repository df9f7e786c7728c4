/* Where each layer's tensors stand in a net's table, for code that walks the layers instead of the
 * names. Indices into net->tensors; they follow from the architecture alone. */
#ifndef TRAINER_NET_NET_LAYOUT_H
#define TRAINER_NET_NET_LAYOUT_H

#include "trainer/net/net.h"

struct net_layout_bn { /* *.gamma, *.beta, *.mean, *.var */
    uint32_t gamma, beta, mean, var;
};

struct net_layout_block {
    uint32_t conv1; /* block%u.conv1.weight */
    struct net_layout_bn bn1;
    uint32_t conv2;
    struct net_layout_bn bn2;
    uint32_t se_fc1_weight, se_fc1_bias, se_fc2_weight,
        se_fc2_bias; /* only where se_channels > 0 */
};

struct net_layout {
    uint32_t input_conv;
    struct net_layout_bn input_bn;
    struct net_layout_block blocks[64]; /* arch.blocks of them */
    uint32_t policy_conv1;
    struct net_layout_bn policy_bn;
    uint32_t policy_conv2, policy_conv2_bias;
    uint32_t value_conv;
    struct net_layout_bn value_bn;
    uint32_t value_fc1_weight, value_fc1_bias, value_fc2_weight, value_fc2_bias;
    uint32_t n_tensors;
};

void net_layout_get(const struct net_arch *arch, struct net_layout *ret);

/* The floats of tensor i. */
static inline float *net_layout_data(const struct net *net, uint32_t i)
{
    return net->params + net->tensors[i].offset;
}

#endif
