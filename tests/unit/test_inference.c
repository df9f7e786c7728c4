/* Inference against its definition, and the rule that an evaluation's bits do not depend on its
 * batch. ctest runs this program once for each kernel and precision that the processor can. */
#include "trainer/net/inference.h"

#include "mcts/random.h"
#include "tests/unit/run_suite.h"
#include "trainer/net/kernel.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SKIPPED = 77 };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOW = 1 };
#else
enum { SLOW = 0 };
#endif

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

/* planes, height, width, policy planes, blocks, filters, SE, value filters, value hidden */
static const struct shape {
    uint32_t planes, height, width, policy, blocks, filters, se, value_filters, hidden;
} shapes[] = {
    {3, 6, 7, 1, 4, 32, 8, 8, 64},    {3, 6, 7, 1, 2, 32, 0, 8, 64},
    {2, 3, 3, 1, 1, 1, 0, 1, 1},      {2, 3, 3, 1, 1, 1, 1, 1, 1},
    {3, 6, 7, 1, 2, 5, 3, 3, 7},      {3, 6, 7, 2, 1, 17, 5, 2, 33},
    {112, 8, 8, 80, 1, 24, 6, 8, 40}, {7, 1, 9, 3, 2, 33, 9, 1, 31},
    {5, 9, 1, 1, 2, 31, 1, 4, 65},    {1, 1, 1, 1, 1, 3, 2, 1, 2},
    {13, 5, 4, 7, 3, 64, 16, 5, 32},  {3, 6, 7, 1, 1, 95, 0, 9, 96},
    {3, 6, 7, 1, 1, 72, 18, 17, 20},  {20, 8, 8, 3, 1, 130, 16, 33, 130},
    {2, 20, 30, 1, 1, 4, 1, 1, 3},    {4, 2, 19, 1, 1, 48, 6, 2, 16},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static struct net_arch arch_of(const struct shape *s, enum net_value_head value)
{
    return (struct net_arch){.game = "test",
                             .n_planes = s->planes,
                             .height = s->height,
                             .width = s->width,
                             .policy_planes = s->policy,
                             .blocks = s->blocks,
                             .filters = s->filters,
                             .se_channels = s->se,
                             .value_filters = s->value_filters,
                             .value_hidden = s->hidden,
                             .value = value};
}

/* A net in which nothing is 0 or 1 by chance: all weights, biases and statistics random. */
static struct net *random_net(const struct net_arch *arch, uint64_t seed)
{
    struct net *net = net_create(arch);
    ck_assert_ptr_nonnull(net);
    for (uint32_t i = 0; i < net->n_tensors; i++) {
        const struct net_tensor *tensor = &net->tensors[i];
        float *data = net_tensor_data(net, tensor);
        double fan_in = (double)tensor->count / tensor->dims[0];
        for (size_t k = 0; k < tensor->count; k++) {
            double x = random_normal(seed, 1000 + i, RANDOM_TEST, k);
            switch (tensor->kind) {
            case NET_CONV:
            case NET_DENSE:
                data[k] = (float)(x * sqrt(1.5 / fan_in));
                break;
            case NET_BN_GAMMA:
                data[k] = (float)(1.0 + 0.3 * x);
                break;
            case NET_BN_VAR:
                data[k] = (float)(0.05 + x * x);
                break;
            case NET_BIAS:
            case NET_BN_BETA:
            case NET_BN_MEAN:
                data[k] = (float)(0.3 * x);
                break;
            }
        }
    }
    return net;
}

static float *random_planes(const struct net_arch *arch, uint32_t n, uint64_t seed)
{
    size_t size = (size_t)n * arch->n_planes * arch->height * arch->width;
    float *planes = malloc(size * sizeof *planes);
    ck_assert_ptr_nonnull(planes);
    for (size_t i = 0; i < size; i++) {
        uint64_t bits = random_u64(seed, 0, RANDOM_TEST, i);
        planes[i] = bits % 4 == 0 ? 1.0F : bits % 16 == 1 ? (float)(bits % 97) / 97.0F : 0.0F;
    }
    return planes;
}

struct outputs {
    float *policy, *value;
};

static struct outputs outputs_create(const struct net_arch *arch, uint32_t n)
{
    struct outputs out = {calloc((size_t)n * net_policy_size(arch), sizeof(float)),
                          calloc((size_t)n * net_value_outputs(arch), sizeof(float))};
    ck_assert(out.policy != NULL && out.value != NULL);
    return out;
}

static void outputs_destroy(struct outputs *out)
{
    free(out->policy);
    free(out->value);
}

static bool in_bf16(void)
{
    const struct kernel *kernel = NULL;
    struct error err;
    ck_assert_int_eq(kernel_choose(&kernel, &err), 0);
    return kernel->precision == KERNEL_BF16;
}

/* fp32 rounds each of the net's some 10 layers to 6e-8 of its largest term, and sums of K terms err
 * by about sqrt(K) of that; K is below 1100 here, so 10 x 33 x 6e-8 = 2e-5 of the outputs' size; the short
 * convolution F(4x4) keeps that, F(6x7) on boards of 6x7 loses a digit (its points are up to 2 and its
 * weights 1/90). bf16 rounds both sides of a product to 2e-3 in the mean, and the points are sums of up to 36 cells
 * with factors up to 5, so that a convolution errs by about 1e-2 of its output, some single cell by ten times that.
 * A wrong index or a forgotten shift is wrong in the first digit, of every precision. */
static void assert_near(const float *got, const float *want, size_t n, const char *what,
                        const struct net_arch *arch, int shape)
{
    double tolerance = in_bf16() ? 2e-1 : arch->height == 6 && arch->width == 7 ? 3e-4 : 2e-5;
    double squares = 0.0;
    double size = 1.0;
    for (size_t i = 0; i < n; i++) {
        size = fmax(size, fabs((double)want[i]));
    }
    for (size_t i = 0; i < n; i++) {
        double difference = fabs((double)got[i] - (double)want[i]);
        ck_assert_msg(difference <= tolerance * size, "shape %d: %s %zu is %g, by definition %g",
                      shape, what, i, (double)got[i], (double)want[i]);
        squares += difference * difference;
    }
    ck_assert_msg(sqrt(squares / (double)n) <= 0.2 * tolerance * size, "shape %d: %s", shape, what);
}

START_TEST(inference_is_the_function_that_the_reference_defines)
{
    enum { N = 2 };
    struct error err;
    struct net_arch arch = arch_of(&shapes[_i / 2], (enum net_value_head)(_i % 2));
    struct net *net = random_net(&arch, 11 + (uint64_t)_i);
    float *planes = random_planes(&arch, N, 5);
    struct outputs fast = outputs_create(&arch, N);
    struct outputs slow = outputs_create(&arch, N);
    struct inference *inference = NULL;
    ck_assert_int_eq(reference_run(net, planes, N, slow.policy, slow.value, &err), 0);
    ck_assert_int_eq(inference_create(net, N, &inference, &err), 0);
    net_destroy(net); /* it has packed what it needs */
    inference_run(inference, planes, N, NULL, fast.policy, fast.value);
    assert_near(fast.policy, slow.policy, (size_t)N * net_policy_size(&arch), "logit", &arch, _i);
    assert_near(fast.value, slow.value, (size_t)N * net_value_outputs(&arch), "value", &arch, _i);
    inference_destroy(inference);
    outputs_destroy(&fast);
    outputs_destroy(&slow);
    free(planes);
}
END_TEST

/* A pair of outputs that differ for reasons of the net, or the test above could pass on zeros. */
START_TEST(reference_tells_positions_apart)
{
    struct error err;
    struct net_arch arch = arch_of(&shapes[0], NET_VALUE_WDL);
    struct net *net = random_net(&arch, 1);
    float *planes = random_planes(&arch, 2, 5);
    struct outputs out = outputs_create(&arch, 2);
    ck_assert_int_eq(reference_run(net, planes, 2, out.policy, out.value, &err), 0);
    double spread = 0.0;
    for (size_t i = 0; i < net_policy_size(&arch); i++) {
        spread =
            fmax(spread, fabs((double)(out.policy[i] - out.policy[net_policy_size(&arch) + i])));
    }
    ck_assert_double_gt(spread, 0.1);
    ck_assert_float_eq_tol(out.value[0] + out.value[1] + out.value[2], 1.0F, 1e-6F);
    ck_assert_double_gt(fabs((double)(out.value[0] - out.value[3])), 1e-3);
    outputs_destroy(&out);
    free(planes);
    net_destroy(net);
}
END_TEST

/* One convolution by hand: a 1-plane, 1-filter net in which all else is the identity, so that the
 * policy logit of a cell is the weight that looks from it to the single stone. */
START_TEST(kernel_is_not_flipped_or_transposed)
{
    struct error err;
    struct net_arch arch = arch_of(&(struct shape){1, 3, 3, 1, 1, 1, 0, 1, 1}, NET_VALUE_SCALAR);
    struct net *net = net_create(&arch);
    float *input = net_tensor_data(net, net_find(net, "input.conv.weight"));
    for (int k = 0; k < 9; k++) {
        input[k] = (float)(k + 1);
    }
    net_tensor_data(net, net_find(net, "policy.conv1.weight"))[4] = 1.0F;
    net_tensor_data(net, net_find(net, "policy.conv2.weight"))[4] = 1.0F;
    const float planes[9] = {0, 0, 0, 0, 1, 0, 0, 0, 0}; /* a stone in the middle */
    float policy[9];
    float value;
    /* The cell to the upper left of the stone sees it at its lower right: weight 9. */
    for (int way = 0; way < 2; way++) {
        struct inference *inference = NULL;
        if (way == 0) {
            ck_assert_int_eq(reference_run(net, planes, 1, policy, &value, &err), 0);
        } else {
            ck_assert_int_eq(inference_create(net, 1, &inference, &err), 0);
            inference_run(inference, planes, 1, NULL, policy, &value);
        }
        for (int cell = 0; cell < 9; cell++) { /* three batch norms divide by sqrt(1 + 1e-5) */
            ck_assert_float_eq_tol(policy[cell], (float)(9 - cell),
                                   in_bf16() && way == 1 ? 4e-2F : 2e-4F);
        }
        inference_destroy(inference);
    }
    net_destroy(net);
}
END_TEST

START_TEST(bits_do_not_depend_on_the_batch)
{
    /* Every size for a shape of each kind of board, telling ones for the others. */
    const bool all = _i == 0 || (!SLOW && (_i == 6 || _i == 10));
    const uint32_t max = all ? 130 : 33;
    struct error err;
    struct net_arch arch = arch_of(&shapes[_i], NET_VALUE_WDL);
    struct net *net = random_net(&arch, 3);
    size_t planes_size = (size_t)arch.n_planes * arch.height * arch.width;
    size_t policy_size = net_policy_size(&arch);
    float *planes = random_planes(&arch, max, 17);
    float *mixed = malloc(max * planes_size * sizeof(float));
    ck_assert_ptr_nonnull(mixed);
    struct outputs alone = outputs_create(&arch, max);
    struct outputs batch = outputs_create(&arch, max);
    struct inference *one = NULL;
    struct inference *many = NULL;
    ck_assert_int_eq(inference_create(net, 1, &one, &err), 0);
    ck_assert_int_eq(inference_create(net, max, &many, &err), 0);
    for (uint32_t i = 0; i < max; i++) {
        inference_run(one, planes + i * planes_size, 1, NULL, alone.policy + i * policy_size,
                      alone.value + (size_t)i * 3);
    }
    for (uint32_t n = 1; n <= max; n++) {
        if (!all && n != 2 && n != 3 && n != 16 && n != 31 && n < 33) {
            continue;
        }
        for (uint32_t i = 0; i < n; i++) { /* another place in the batch each time */
            memcpy(mixed + i * planes_size, planes + (i * 7 + n) % max * planes_size,
                   planes_size * sizeof(float));
        }
        inference_run(many, mixed, n, NULL, batch.policy, batch.value);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t from = (i * 7 + n) % max;
            ck_assert_msg(memcmp(batch.policy + i * policy_size, alone.policy + from * policy_size,
                                 policy_size * sizeof(float)) == 0 &&
                              memcmp(batch.value + (size_t)i * 3, alone.value + (size_t)from * 3,
                                     3 * sizeof(float)) == 0,
                          "%s: position %u of a batch of %u has other bits than alone",
                          inference_kernel(), i, n);
        }
    }
    inference_destroy(one);
    inference_destroy(many);
    outputs_destroy(&alone);
    outputs_destroy(&batch);
    free(planes);
    free(mixed);
    net_destroy(net);
}
END_TEST

START_TEST(new_net_says_all_moves_alike_and_an_even_game)
{
    struct error err;
    struct net_arch arch = arch_of(&shapes[0], (enum net_value_head)_i);
    struct net *net = net_create(&arch);
    net_init(net, 99);
    float *planes = random_planes(&arch, 1, 5);
    struct outputs out = outputs_create(&arch, 1);
    struct inference *inference = NULL;
    ck_assert_int_eq(inference_create(net, 1, &inference, &err), 0);
    inference_run(inference, planes, 1, NULL, out.policy, out.value);
    for (size_t i = 0; i < net_policy_size(&arch); i++) {
        ck_assert_float_eq(out.policy[i], 0.0F);
    }
    for (size_t i = 0; i < net_value_outputs(&arch); i++) {
        ck_assert_float_eq(out.value[i], _i == NET_VALUE_WDL ? 1.0F / 3.0F : 0.0F);
    }
    inference_destroy(inference);
    outputs_destroy(&out);
    free(planes);
    net_destroy(net);
}
END_TEST

START_TEST(extreme_values_saturate_without_nan)
{
    struct error err;
    struct net_arch arch = arch_of(&shapes[0], (enum net_value_head)(_i % 2));
    struct net *net = random_net(&arch, 4);
    float sign = _i < 2 ? 1.0F : -1.0F;
    const struct net_tensor *bias = net_find(net, "value.fc2.bias");
    net_tensor_data(net, bias)[0] = sign * 1e30F;
    const struct net_tensor *se = net_find(net, "block0.se.fc2.bias");
    for (size_t i = 0; i < arch.filters; i++) {
        net_tensor_data(net, se)[i] = i % 2 == 0 ? 1e6F : -1e6F; /* sigmoid 1 and 0 */
    }
    float *planes = random_planes(&arch, 1, 5);
    struct outputs fast = outputs_create(&arch, 1);
    struct outputs slow = outputs_create(&arch, 1);
    struct inference *inference = NULL;
    ck_assert_int_eq(inference_create(net, 1, &inference, &err), 0);
    inference_run(inference, planes, 1, NULL, fast.policy, fast.value);
    ck_assert_int_eq(reference_run(net, planes, 1, slow.policy, slow.value, &err), 0);
    assert_near(fast.policy, slow.policy, net_policy_size(&arch), "logit", &arch, _i);
    assert_near(fast.value, slow.value, net_value_outputs(&arch), "value", &arch, _i);
    if (arch.value == NET_VALUE_SCALAR) {
        ck_assert_float_eq(fast.value[0], sign);
    } else {
        ck_assert_float_eq(fast.value[0], sign > 0.0F ? 1.0F : 0.0F);
    }
    inference_destroy(inference);
    outputs_destroy(&fast);
    outputs_destroy(&slow);
    free(planes);
    net_destroy(net);
}
END_TEST

START_TEST(only_wanted_logits_are_written_and_they_are_the_same)
{
    enum { N = 19 };
    struct error err;
    struct net_arch arch = arch_of(&shapes[_i], NET_VALUE_WDL);
    struct net *net = random_net(&arch, 8);
    size_t size = net_policy_size(&arch);
    float *planes = random_planes(&arch, N, 5);
    struct outputs all = outputs_create(&arch, N);
    struct outputs some = outputs_create(&arch, N);
    struct inference *inference = NULL;
    uint16_t index[N][3];
    struct inference_wanted wanted[N];
    for (uint32_t i = 0; i < N; i++) {
        wanted[i] = (struct inference_wanted){i % 4, index[i]};
        for (uint32_t k = 0; k < 3; k++) {
            index[i][k] = (uint16_t)((i * 31 + k * 7) % size);
        }
    }
    for (size_t i = 0; i < N * size; i++) {
        some.policy[i] = NAN;
    }
    ck_assert_int_eq(inference_create(net, N, &inference, &err), 0);
    inference_run(inference, planes, N, NULL, all.policy, all.value);
    inference_run(inference, planes, N, wanted, some.policy, some.value);
    ck_assert_mem_eq(some.value, all.value, (size_t)N * 3 * sizeof(float));
    for (uint32_t i = 0; i < N; i++) {
        for (size_t at = 0; at < size; at++) {
            bool asked = false;
            for (uint32_t k = 0; k < wanted[i].n; k++) {
                asked |= index[i][k] == at;
            }
            float got = some.policy[i * size + at];
            ck_assert_msg(asked ? got == all.policy[i * size + at] : isnan(got),
                          "position %u, logit %zu: %g", i, at, (double)got);
        }
    }
    inference_destroy(inference);
    outputs_destroy(&all);
    outputs_destroy(&some);
    free(planes);
    net_destroy(net);
}
END_TEST

/* Full and empty planes go another way than those with stones. */
START_TEST(planes_of_one_value_are_what_the_reference_says)
{
    struct error err;
    struct net_arch arch = arch_of(&shapes[_i], NET_VALUE_WDL);
    struct net *net = random_net(&arch, 9);
    size_t cells = (size_t)arch.height * arch.width;
    float *planes = random_planes(&arch, 2, 5);
    struct outputs fast = outputs_create(&arch, 2);
    struct outputs slow = outputs_create(&arch, 2);
    struct inference *inference = NULL;
    for (size_t plane = 0; plane < (size_t)2 * arch.n_planes; plane += 2) {
        for (size_t cell = 0; cell < cells; cell++) {
            planes[plane * cells + cell] = plane % 4 == 0 ? 0.75F : 0.0F;
        }
    }
    ck_assert_int_eq(reference_run(net, planes, 2, slow.policy, slow.value, &err), 0);
    ck_assert_int_eq(inference_create(net, 2, &inference, &err), 0);
    inference_run(inference, planes, 2, NULL, fast.policy, fast.value);
    assert_near(fast.policy, slow.policy, 2UL * net_policy_size(&arch), "logit", &arch, _i);
    assert_near(fast.value, slow.value, 2UL * net_value_outputs(&arch), "value", &arch, _i);
    inference_destroy(inference);
    outputs_destroy(&fast);
    outputs_destroy(&slow);
    free(planes);
    net_destroy(net);
}
END_TEST

START_TEST(kernel_is_named_and_one_that_cannot_run_is_refused)
{
    struct error err;
    struct inference *inference = NULL;
    struct net_arch arch = arch_of(&shapes[3], NET_VALUE_WDL);
    struct net *net = random_net(&arch, 4);
    const char *why = NULL;
    char expected[64];
    const char *name = getenv("QZD_KERNEL");
    name = name != NULL && name[0] != '\0'
               ? name
               : kernel_best(in_bf16() ? KERNEL_BF16 : KERNEL_FP32, &why)->name;
    snprintf(expected, sizeof expected, "%s-%s/%s",
             strcmp(name, "amx") == 0 ? "direct" : "winograd", in_bf16() ? "bf16" : "fp32", name);
    ck_assert_str_eq(inference_kernel(), expected);
    ck_assert_ptr_null(kernel_find("avx513", KERNEL_FP32, &why));
    ck_assert_ptr_nonnull(why);
    ck_assert_int_eq(setenv("QZD_KERNEL", "avx513", 1), 0);
    ck_assert_int_eq(inference_create(net, 1, &inference, &err), ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "avx513"));
    ck_assert_str_eq(inference_kernel(), "none");
    ck_assert_int_eq(setenv("QZD_KERNEL", "", 1), 0); /* as unset */
    ck_assert_int_eq(inference_create(net, 1, &inference, &err), 0);
    inference_destroy(inference);
    net_destroy(net);
}
END_TEST

START_TEST(precision_is_refused_by_name_where_there_is_none)
{
    struct error err;
    const struct kernel *kernel = NULL;
    const char *why = NULL;
    ck_assert_int_eq(setenv("QZD_PRECISION", "fp16", 1), 0);
    ck_assert_int_eq(kernel_choose(&kernel, &err), ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "fp16"));
    ck_assert_int_eq(setenv("QZD_PRECISION", "bf16", 1), 0);
    ck_assert_int_eq(setenv("QZD_KERNEL", "plain", 1), 0);
    ck_assert_int_eq(kernel_choose(&kernel, &err), ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "bf16"));
    ck_assert_int_eq(unsetenv("QZD_KERNEL"), 0);
    if (kernel_best(KERNEL_BF16, &why) == NULL) { /* this processor cannot */
        ck_assert_int_eq(kernel_choose(&kernel, &err), ERROR_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(err.text, "AVX512-BF16"));
    } else {
        ck_assert_int_eq(kernel_choose(&kernel, &err), 0);
        ck_assert_int_eq(kernel->precision, KERNEL_BF16);
        ck_assert_str_eq(kernel_in_fp32(kernel)->id, "winograd-fp32/avx512");
    }
    ck_assert_int_eq(setenv("QZD_PRECISION", "fp32", 1), 0);
    ck_assert_int_eq(kernel_choose(&kernel, &err), 0);
    ck_assert_int_eq(kernel->precision, KERNEL_FP32);
}
END_TEST

START_TEST(precision_auto_is_bf16_by_amx_alone)
{
    struct error err;
    const struct kernel *kernel = NULL;
    const char *why = NULL;
    const struct kernel *tiles = kernel_find("amx", KERNEL_BF16, &why);
    ck_assert_int_eq(setenv("QZD_PRECISION", "auto", 1), 0);
    for (int i = 0; i < 2; i++) { /* no kernel named, in both ways */
        ck_assert_int_eq(i == 0 ? unsetenv("QZD_KERNEL") : setenv("QZD_KERNEL", "", 1), 0);
        ck_assert_int_eq(kernel_choose(&kernel, &err), 0);
        ck_assert_ptr_eq(kernel, tiles != NULL ? tiles : kernel_best(KERNEL_FP32, &why));
    }
    ck_assert_int_eq(setenv("QZD_KERNEL", "plain", 1), 0);
    ck_assert_int_eq(kernel_choose(&kernel, &err), 0);
    ck_assert_int_eq(kernel->precision, KERNEL_FP32);
    ck_assert_int_eq(setenv("QZD_KERNEL", "amx", 1), 0);
    if (tiles != NULL) {
        ck_assert_int_eq(kernel_choose(&kernel, &err), 0);
        ck_assert_ptr_eq(kernel, tiles);
    } else { /* refused, not another one in fp32 */
        ck_assert_int_eq(kernel_choose(&kernel, &err), ERROR_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(err.text, "this processor cannot run it"));
    }
}
END_TEST

START_TEST(create_refuses_a_batch_of_nothing_and_survives_failing_allocations)
{
    struct error err;
    struct inference *inference = NULL;
    struct net_arch arch = arch_of(&shapes[3], NET_VALUE_WDL);
    struct net *net = random_net(&arch, 4);
    ck_assert_int_eq(inference_create(net, 0, &inference, &err), ERROR_INVALID);
    for (int n = 1; n <= 3; n++) { /* under ASan a leak fails the test */
        fail_allocation_in = n;
        ck_assert_int_eq(inference_create(net, 1, &inference, &err), ERROR_NO_MEMORY);
        ck_assert_int_eq(fail_allocation_in, 0);
        ck_assert_ptr_null(inference);
    }
    fail_allocation_in = 1;
    ck_assert_int_eq(reference_run(net, NULL, 0, NULL, NULL, &err), ERROR_NO_MEMORY);
    net_destroy(net);
}
END_TEST

int main(void)
{
    const struct kernel *kernel = NULL;
    struct error err;
    if (kernel_choose(&kernel, &err) < 0) {
        printf("%s\n", err.text);
        return SKIPPED;
    }
    Suite *suite = suite_create("inference");
    TCase *tests = tcase_create("inference");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, inference_is_the_function_that_the_reference_defines, 0,
                        2 * N_SHAPES);
    tcase_add_test(tests, reference_tells_positions_apart);
    tcase_add_test(tests, kernel_is_not_flipped_or_transposed);
    tcase_add_loop_test(tests, bits_do_not_depend_on_the_batch, 0, N_SHAPES);
    tcase_add_loop_test(tests, new_net_says_all_moves_alike_and_an_even_game, 0, 2);
    tcase_add_loop_test(tests, extreme_values_saturate_without_nan, 0, 4);
    tcase_add_loop_test(tests, only_wanted_logits_are_written_and_they_are_the_same, 0, N_SHAPES);
    tcase_add_loop_test(tests, planes_of_one_value_are_what_the_reference_says, 0, N_SHAPES);
    tcase_add_test(tests, kernel_is_named_and_one_that_cannot_run_is_refused);
    tcase_add_test(tests, precision_is_refused_by_name_where_there_is_none);
    tcase_add_test(tests, precision_auto_is_bf16_by_amx_alone);
    tcase_add_test(tests, create_refuses_a_batch_of_nothing_and_survives_failing_allocations);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
