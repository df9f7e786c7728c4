/* Nets for tests of what plays with them: net_init()'s heads say nothing, these have opinions. */
#ifndef TESTS_UNIT_RANDOM_NET_H
#define TESTS_UNIT_RANDOM_NET_H

#include "mcts/random.h"
#include "trainer/net/net.h"

#include <check.h>
#include <string.h>

/* One block of 8 filters; `size` scales the random last layers of both heads, 0: the uniform net. */
static inline struct net *random_net(const struct game *game, enum net_value_head value,
                                     uint64_t seed, double size)
{
    static const char *const last[] = {"policy.conv2.weight", "value.fc2.weight"};
    struct net_arch arch = {.blocks = 1,
                            .filters = 8,
                            .se_channels = 4,
                            .value_filters = 4,
                            .value_hidden = 16,
                            .value = value};
    struct error err;
    ck_assert_msg(net_arch_for_game(&arch, game, &err) == 0, "%s", err.text);
    struct net *net = net_create(&arch);
    ck_assert_ptr_nonnull(net);
    net_init(net, seed);
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++) {
        const struct net_tensor *tensor = net_find(net, last[i]);
        ck_assert_ptr_nonnull(tensor);
        float *data = net_tensor_data(net, tensor);
        for (size_t k = 0; k < tensor->count; k++) {
            data[k] = (float)(size * random_normal(seed, (uint32_t)i, RANDOM_TEST, k));
        }
    }
    return net;
}

#endif
