#include "trainer/net/net.h"

#include "tests/unit/run_suite.h"
#include "trainer/net/net_layout.h"

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Linked with --wrap=calloc,--wrap=aligned_alloc. Set to n, the n-th allocation from now fails. */
static int fail_allocation_in;
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return fail_allocation_in > 0 && --fail_allocation_in == 0 ? NULL : __real_calloc(n, size);
}
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fail_allocation_in > 0 && --fail_allocation_in == 0
               ? NULL
               : __real_aligned_alloc(alignment, size);
}

static struct net_arch connect4_arch(void)
{
    return (struct net_arch){.game = "connect4",
                             .n_planes = 3,
                             .height = 6,
                             .width = 7,
                             .policy_planes = 1,
                             .blocks = 2,
                             .filters = 5,
                             .se_channels = 2,
                             .value_filters = 3,
                             .value_hidden = 11,
                             .value = NET_VALUE_WDL};
}

START_TEST(tensors_stand_in_the_documented_order_without_gaps)
{
    static const char *const names[] = {
        "input.conv.weight",    "input.bn.gamma",      "input.bn.beta",
        "input.bn.mean",        "input.bn.var",        "block0.conv1.weight",
        "block0.bn1.gamma",     "block0.bn1.beta",     "block0.bn1.mean",
        "block0.bn1.var",       "block0.conv2.weight", "block0.bn2.gamma",
        "block0.bn2.beta",      "block0.bn2.mean",     "block0.bn2.var",
        "block0.se.fc1.weight", "block0.se.fc1.bias",  "block0.se.fc2.weight",
        "block0.se.fc2.bias",   "policy.conv1.weight", "policy.bn.gamma",
        "policy.bn.beta",       "policy.bn.mean",      "policy.bn.var",
        "policy.conv2.weight",  "policy.conv2.bias",   "value.conv.weight",
        "value.bn.gamma",       "value.bn.beta",       "value.bn.mean",
        "value.bn.var",         "value.fc1.weight",    "value.fc1.bias",
        "value.fc2.weight",     "value.fc2.bias"};
    struct net_arch arch = connect4_arch();
    arch.blocks = 1;
    struct net *net = net_create(&arch);
    ck_assert_ptr_nonnull(net);
    ck_assert_uint_eq(net->n_tensors, sizeof names / sizeof names[0]);
    size_t at = 0;
    for (uint32_t i = 0; i < net->n_tensors; i++) {
        const struct net_tensor *tensor = &net->tensors[i];
        ck_assert_str_eq(tensor->name, names[i]);
        ck_assert_ptr_eq(net_find(net, names[i]), tensor);
        ck_assert_uint_eq(tensor->offset, at);
        size_t count = 1;
        for (uint32_t k = 0; k < tensor->n_dims; k++) {
            count *= tensor->dims[k];
        }
        ck_assert_uint_eq(tensor->count, count);
        at += count;
    }
    ck_assert_uint_eq(net->n_params, at);
    ck_assert_uint_eq(net_arch_params(&arch), at);
    ck_assert_uint_eq((uintptr_t)net->params % 64, 0);
    ck_assert_ptr_null(net_find(net, "block1.conv1.weight"));
    net_destroy(net);
}
END_TEST

static void assert_dims(const struct net *net, const char *name, uint32_t n, const uint32_t *dims)
{
    const struct net_tensor *tensor = net_find(net, name);
    ck_assert_msg(tensor != NULL, "%s", name);
    ck_assert_uint_eq(tensor->n_dims, n);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_msg(tensor->dims[i] == dims[i], "%s: dimension %u is %u, not %u", name, i,
                      tensor->dims[i], dims[i]);
    }
}

START_TEST(tensors_have_the_shapes_of_the_architecture)
{
    struct net_arch arch = connect4_arch();
    struct net *net = net_create(&arch);
    assert_dims(net, "input.conv.weight", 4, (uint32_t[]){5, 3, 3, 3});
    assert_dims(net, "block1.conv2.weight", 4, (uint32_t[]){5, 5, 3, 3});
    assert_dims(net, "block1.se.fc1.weight", 2, (uint32_t[]){2, 5});
    assert_dims(net, "block1.se.fc2.weight", 2, (uint32_t[]){10, 2});
    assert_dims(net, "block1.se.fc2.bias", 1, (uint32_t[]){10});
    assert_dims(net, "policy.conv2.weight", 4, (uint32_t[]){1, 5, 3, 3});
    assert_dims(net, "value.conv.weight", 4, (uint32_t[]){3, 5, 1, 1});
    assert_dims(net, "value.fc1.weight", 2, (uint32_t[]){11, 3 * 42});
    assert_dims(net, "value.fc2.weight", 2, (uint32_t[]){3, 11});
    net_destroy(net);

    arch.value = NET_VALUE_SCALAR;
    arch.se_channels = 0;
    net = net_create(&arch);
    assert_dims(net, "value.fc2.weight", 2, (uint32_t[]){1, 11});
    ck_assert_ptr_null(net_find(net, "block0.se.fc1.weight"));
    net_destroy(net);
}
END_TEST

START_TEST(layout_points_at_the_tensors_that_it_names)
{
    struct net_arch arch = connect4_arch();
    struct net *net = net_create(&arch);
    struct net_layout layout;
    net_layout_get(&arch, &layout);
    ck_assert_uint_eq(layout.n_tensors, net->n_tensors);
    ck_assert_str_eq(net->tensors[layout.input_bn.var].name, "input.bn.var");
    ck_assert_str_eq(net->tensors[layout.blocks[1].conv2].name, "block1.conv2.weight");
    ck_assert_str_eq(net->tensors[layout.blocks[1].bn2.mean].name, "block1.bn2.mean");
    ck_assert_str_eq(net->tensors[layout.blocks[0].se_fc2_bias].name, "block0.se.fc2.bias");
    ck_assert_str_eq(net->tensors[layout.policy_conv2_bias].name, "policy.conv2.bias");
    ck_assert_str_eq(net->tensors[layout.value_fc1_weight].name, "value.fc1.weight");
    ck_assert_ptr_eq(net_layout_data(net, layout.value_fc2_bias),
                     net_tensor_data(net, net_find(net, "value.fc2.bias")));
    net_destroy(net);
}
END_TEST

START_TEST(new_net_is_zero_but_for_batch_norm)
{
    struct net_arch arch = connect4_arch();
    struct net *net = net_create(&arch);
    for (uint32_t i = 0; i < net->n_tensors; i++) {
        bool one = net->tensors[i].kind == NET_BN_GAMMA || net->tensors[i].kind == NET_BN_VAR;
        for (size_t k = 0; k < net->tensors[i].count; k++) {
            ck_assert_float_eq(net_layout_data(net, i)[k], one ? 1.0F : 0.0F);
        }
    }
    net_destroy(net);
}
END_TEST

START_TEST(init_is_a_function_of_the_seed)
{
    struct net_arch arch = connect4_arch();
    struct net *a = net_create(&arch);
    struct net *b = net_create(&arch);
    struct net *c = net_create(&arch);
    memset(b->params, 0x55, b->n_params * sizeof(float)); /* what was there does not matter */
    net_init(a, 7);
    net_init(b, 7);
    net_init(c, 8);
    ck_assert_mem_eq(a->params, b->params, a->n_params * sizeof(float));
    ck_assert_mem_ne(a->params, c->params, a->n_params * sizeof(float));
    net_destroy(a);
    net_destroy(b);
    net_destroy(c);
}
END_TEST

START_TEST(init_gives_he_variance_and_zero_last_layers)
{
    struct net_arch arch = connect4_arch();
    arch.filters = 32;
    struct net *net = net_create(&arch);
    net_init(net, 3);
    for (uint32_t i = 0; i < net->n_tensors; i++) {
        const struct net_tensor *tensor = &net->tensors[i];
        const float *data = net_tensor_data(net, tensor);
        double sum = 0.0;
        double squares = 0.0;
        for (size_t k = 0; k < tensor->count; k++) {
            sum += (double)data[k];
            squares += (double)data[k] * (double)data[k];
        }
        if (strcmp(tensor->name, "policy.conv2.weight") == 0 ||
            strcmp(tensor->name, "value.fc2.weight") == 0) {
            ck_assert_double_eq(squares, 0.0);
        } else if (tensor->kind == NET_CONV || tensor->kind == NET_DENSE) {
            /* Five standard errors of the mean and of the variance of `count` normals. */
            double n = (double)tensor->count;
            double variance = 2.0 * tensor->dims[0] / n;
            ck_assert_msg(fabs(sum / n) < 5.0 * sqrt(variance / n), "%s: mean %g", tensor->name,
                          sum / n);
            ck_assert_msg(fabs(squares / n / variance - 1.0) < 5.0 * sqrt(2.0 / n),
                          "%s: variance %g, not %g", tensor->name, squares / n, variance);
        }
    }
    net_destroy(net);
}
END_TEST

START_TEST(copy_has_its_own_parameters)
{
    struct net_arch arch = connect4_arch();
    struct net *net = net_create(&arch);
    net_init(net, 3);
    struct net *copy = net_copy(net);
    ck_assert(net_arch_equal(&copy->arch, &net->arch));
    ck_assert_mem_eq(copy->params, net->params, net->n_params * sizeof(float));
    copy->params[0] += 1.0F;
    ck_assert_float_ne(copy->params[0], net->params[0]);
    net_destroy(copy);
    net_destroy(net);
}
END_TEST

START_TEST(architecture_goes_through_json_unchanged)
{
    struct net_arch arch = connect4_arch();
    struct net_arch back;
    struct error err;
    for (int value = 0; value < 2; value++) {
        arch.value = (enum net_value_head)value;
        char *text = net_arch_json(&arch);
        ck_assert_ptr_nonnull(strstr(text, "\"filters\":5"));
        ck_assert_int_eq(net_arch_parse(text, &back, &err), 0);
        ck_assert(net_arch_equal(&arch, &back));
        free(text);
    }
    back.filters++;
    ck_assert(!net_arch_equal(&arch, &back));
    back.filters--;
    back.value = NET_VALUE_WDL;
    ck_assert(!net_arch_equal(&arch, &back));
}
END_TEST

static const struct {
    const char *json, *says;
} bad_json[] = {
    {"", "not a JSON object"},
    {"[]", "not a JSON object"},
    {"{\"game\":3}", "game must be a name"},
    {"{\"game\":\"abcdefghijklmnopqrstuvwxyzabcdefg\"}", "game must be a name"},
    {"{\"blocks\":1,\"blocks\":1}", "duplicate"},
    {"{\"blocks\":0}", "blocks must be an integer from 1 to 64"},
    {"{\"blocks\":65}", "blocks must be an integer from 1 to 64"},
    {"{\"blocks\":1.5}", "blocks must be an integer"},
    {"{\"filters\":-1}", "filters must be an integer from 1 to 1024"},
    {"{\"filters\":4294967297}", "filters must be an integer"},
    {"{\"value\":\"best\"}", "value must be"},
    {"{\"value\":1}", "value must be"},
    {"{\"depth\":1}", "unknown key depth"},
    {"{\"blocks\":1}", "1 keys where 11 are needed"},
};

START_TEST(bad_architecture_json_is_refused_by_name)
{
    struct net_arch arch = {.blocks = 77};
    struct error err = {{0}};
    ck_assert_int_eq(net_arch_parse(bad_json[_i].json, &arch, &err), ERROR_INVALID);
    ck_assert_msg(strstr(err.text, bad_json[_i].says) != NULL, "%s: %s", bad_json[_i].json,
                  err.text);
    ck_assert_uint_eq(arch.blocks, 77); /* left alone */
}
END_TEST

START_TEST(impossible_numbers_are_refused_by_name)
{
    struct error err;
    struct net_arch arch = connect4_arch();
    ck_assert_int_eq(net_arch_check(&arch, &err), 0);
    arch.filters = 1025;
    ck_assert_int_eq(net_arch_check(&arch, &err), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "filters is 1025"));
    ck_assert_ptr_null(net_create(&arch));
    arch = connect4_arch();
    arch.height = 64;
    arch.width = 64;
    arch.policy_planes = 80;
    ck_assert_int_eq(net_arch_check(&arch, &err), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "policy_planes * height * width"));
    arch = connect4_arch();
    arch.value = (enum net_value_head)2;
    ck_assert_int_eq(net_arch_check(&arch, &err), ERROR_INVALID);
    arch = connect4_arch();
    memset(arch.game, 'x', sizeof arch.game); /* no NUL */
    ck_assert_int_eq(net_arch_check(&arch, &err), ERROR_INVALID);
}
END_TEST

START_TEST(architecture_takes_its_numbers_from_the_game)
{
    struct error err;
    for (size_t i = 0; game_at(i) != NULL; i++) {
        const struct game *game = game_at(i);
        struct net_arch arch = connect4_arch();
        ck_assert_int_eq(net_arch_for_game(&arch, game, &err), 0);
        ck_assert_str_eq(arch.game, game->name);
        ck_assert_uint_eq(arch.n_planes, game->n_planes);
        ck_assert_uint_eq(arch.height, game->height);
        ck_assert_uint_eq(arch.width, game->width);
        ck_assert_uint_eq(arch.policy_planes, game->policy_planes);
        ck_assert_uint_eq(arch.filters, 5);
        arch.blocks = 0;
        ck_assert_int_eq(net_arch_for_game(&arch, game, &err), ERROR_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, "blocks is 0"));
    }
}
END_TEST

START_TEST(multiply_adds_are_those_of_direct_convolution)
{
    struct net_arch arch = connect4_arch();
    arch.blocks = 1;
    /* 42 cells: input 3x5, two 5x5, SE 3 x 5 x 2, policy 5x5 and 5x1, value 5x3, 126x11, 11x3 */
    double macs = 42.0 * 9 * (15 + 25 + 25 + 25 + 5) + 30 + 42.0 * 15 + 126.0 * 11 + 33;
    ck_assert_double_eq(net_arch_macs(&arch), macs);
}
END_TEST

START_TEST(create_cleans_up_after_each_failing_allocation)
{
    struct net_arch arch = connect4_arch();
    for (int n = 1; n <= 3; n++) { /* under ASan a leak fails the test */
        fail_allocation_in = n;
        ck_assert_ptr_null(net_create(&arch));
        ck_assert_int_eq(fail_allocation_in, 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net");
    TCase *tests = tcase_create("net");
    tcase_add_test(tests, tensors_stand_in_the_documented_order_without_gaps);
    tcase_add_test(tests, tensors_have_the_shapes_of_the_architecture);
    tcase_add_test(tests, layout_points_at_the_tensors_that_it_names);
    tcase_add_test(tests, new_net_is_zero_but_for_batch_norm);
    tcase_add_test(tests, init_is_a_function_of_the_seed);
    tcase_add_test(tests, init_gives_he_variance_and_zero_last_layers);
    tcase_add_test(tests, copy_has_its_own_parameters);
    tcase_add_test(tests, architecture_goes_through_json_unchanged);
    tcase_add_loop_test(tests, bad_architecture_json_is_refused_by_name, 0,
                        sizeof bad_json / sizeof bad_json[0]);
    tcase_add_test(tests, impossible_numbers_are_refused_by_name);
    tcase_add_test(tests, architecture_takes_its_numbers_from_the_game);
    tcase_add_test(tests, multiply_adds_are_those_of_direct_convolution);
    tcase_add_test(tests, create_cleans_up_after_each_failing_allocation);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
