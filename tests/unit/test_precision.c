/* The check of a net's precision: its figures, its verdict, and what computes the net behind it. Where the processor has no
 * bf16, the figures alone. */
#include "trainer/net/precision.h"

#include "mcts/random.h"
#include "tests/unit/run_suite.h"
#include "trainer/net/evaluator.h"
#include "trainer/net/kernel.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct game *game;

static struct net *blank_net(void)
{
    struct error err;
    struct net_arch arch = {.blocks = 2,
                            .filters = 32,
                            .se_channels = 8,
                            .value_filters = 4,
                            .value_hidden = 16,
                            .value = NET_VALUE_SCALAR};
    ck_assert_int_eq(net_arch_for_game(&arch, game, &err), 0);
    struct net *net = net_create(&arch);
    ck_assert_ptr_nonnull(net);
    net_init(net, 21); /* the last layers of both heads are 0 */
    return net;
}

static void fill(struct net *net, const char *name, double size)
{
    const struct net_tensor *tensor = net_find(net, name);
    ck_assert_ptr_nonnull(tensor);
    for (size_t i = 0; i < tensor->count; i++) {
        net_tensor_data(net, tensor)[i] = (float)(size * random_normal(3, 0, RANDOM_TEST, i));
    }
}

/* A net that says something: a value and a policy of ordinary size. */
static struct net *speaking_net(double policy_size)
{
    struct net *net = blank_net();
    fill(net, "policy.conv2.weight", policy_size);
    fill(net, "value.fc2.weight", 0.3);
    return net;
}

static struct net *constant_net(double v)
{
    struct net *net = blank_net();
    net_tensor_data(net, net_find(net, "value.fc2.bias"))[0] = (float)atanh(v);
    return net;
}

static struct evaluator *exactly(const struct net *net, uint32_t max_batch)
{
    struct error err;
    const char *why;
    struct evaluator *evaluator = NULL;
    ck_assert_int_eq(
        evaluator_create_on(kernel_best(KERNEL_FP32, &why), game, net, max_batch, &evaluator, &err),
        0);
    return evaluator;
}

static struct precision_report compare(const struct net *a, const struct net *b)
{
    struct error err;
    struct precision_report report;
    struct evaluator *first = exactly(a, PRECISION_GAMES);
    struct evaluator *second = exactly(b, PRECISION_GAMES);
    ck_assert_int_eq(precision_compare(game, first, second, &report, &err), 0);
    evaluator_destroy(first);
    evaluator_destroy(second);
    return report;
}

START_TEST(figures_are_the_differences_of_the_two)
{
    struct net *a = constant_net(0.25);
    struct net *b = constant_net(0.75);
    struct net *c = constant_net(0.26);
    struct precision_report report = compare(a, b);
    ck_assert_uint_eq(report.positions, PRECISION_POSITIONS);
    ck_assert_double_eq_tol(report.v_mean, 0.5, 1e-6);
    ck_assert_double_eq_tol(report.v_max, 0.5, 1e-6);
    ck_assert_double_eq(report.policy_mean, 0.0);
    ck_assert_double_eq(report.same_best, 1.0);
    ck_assert(!report.passed);
    report = compare(a, c);
    ck_assert_double_eq_tol(report.v_mean, 0.01, 1e-6);
    ck_assert(report.passed);
    net_destroy(a);
    net_destroy(b);
    net_destroy(c);
}
END_TEST

START_TEST(policies_that_differ_are_refused)
{
    struct net *a = blank_net();
    struct net *b = blank_net();
    fill(b, "policy.conv2.weight", 0.3);
    struct precision_report report = compare(a, b);
    ck_assert_double_eq(report.v_mean, 0.0);
    ck_assert_double_gt(report.policy_mean, PRECISION_MAX_POLICY);
    ck_assert_double_ge(report.policy_max, report.policy_mean);
    ck_assert_double_lt(report.same_best, 0.9);
    ck_assert(!report.passed);
    net_destroy(a);
    net_destroy(b);
}
END_TEST

START_TEST(a_net_equals_itself_and_what_is_no_number_does_not_pass)
{
    struct net *a = speaking_net(0.03);
    struct net *b = constant_net(0.0);
    struct precision_report report = compare(a, a);
    ck_assert_double_eq(report.v_max, 0.0);
    ck_assert_double_eq(report.policy_max, 0.0);
    ck_assert_double_eq(report.same_best, 1.0);
    ck_assert(report.passed);
    net_tensor_data(b, net_find(b, "value.fc2.bias"))[0] = NAN;
    report = compare(a, b);
    ck_assert(!report.passed);
    net_destroy(a);
    net_destroy(b);
}
END_TEST

START_TEST(sentence_has_figures_and_bounds)
{
    char text[PRECISION_TEXT];
    struct precision_report report = {.positions = 512,
                                      .v_mean = 0.0123,
                                      .v_max = 0.234,
                                      .policy_mean = 0.00345,
                                      .policy_max = 0.0456,
                                      .same_best = 0.987};
    precision_say(&report, text);
    ck_assert_ptr_nonnull(strstr(text, "512 positions"));
    ck_assert_ptr_nonnull(strstr(text, "0.0123"));
    ck_assert_ptr_nonnull(strstr(text, "0.00345"));
    ck_assert_ptr_nonnull(strstr(text, "98.7 %"));
    ck_assert_ptr_nonnull(strstr(text, "refused"));
    report.passed = true;
    precision_say(&report, text);
    ck_assert_ptr_null(strstr(text, "refused"));
}
END_TEST

/* ---- with bf16 ---- */
static struct evaluator *in_bf16(const struct net *net, uint32_t max_batch)
{
    struct error err;
    struct evaluator *evaluator = NULL;
    ck_assert_int_eq(setenv("QZD_PRECISION", "bf16", 1), 0);
    ck_assert_int_eq(unsetenv("QZD_KERNEL"), 0);
    ck_assert_int_eq(evaluator_create(game, net, max_batch, &evaluator, &err), 0);
    return evaluator;
}

static struct evaluation evaluate(struct evaluator *evaluator)
{
    static uint16_t legal[GAME_MAX_LEGAL];
    static union game_state state;
    const char *why;
    struct evaluation ret;
    ck_assert(game->init(&state, "", &why));
    const struct evaluator_request request = {&state, game->legal(&state, legal), legal};
    evaluator_run(evaluator, &request, 1, &ret);
    return ret;
}

START_TEST(net_that_bf16_changes_little_is_computed_in_it)
{
    struct net *net = speaking_net(0.03);
    struct evaluator *evaluator = in_bf16(net, 1);
    struct evaluator *larger = in_bf16(net, 48);
    struct evaluator *exact = exactly(net, 1);
    const struct precision_report *report = evaluator_precision(evaluator);
    const char *why;
    ck_assert_ptr_nonnull(report);
    ck_assert(report->passed);
    ck_assert_double_gt(report->v_mean, 0.0);
    ck_assert_double_gt(report->policy_mean, 0.0);
    ck_assert_double_ge(report->v_max, report->v_mean);
    ck_assert_str_eq(evaluator_kernel(evaluator), kernel_best(KERNEL_BF16, &why)->id);
    ck_assert_float_ne(evaluate(evaluator).v, evaluate(exact).v);
    ck_assert_ptr_null(evaluator_precision(exact));
    /* Whoever asks: the same verdict, to the bit. */
    ck_assert_mem_eq(evaluator_precision(larger), report, sizeof *report);
    evaluator_destroy(evaluator);
    evaluator_destroy(larger);
    evaluator_destroy(exact);
    net_destroy(net);
}
END_TEST

/* The value is made of little differences of large sums: they are 2000 at the start of the game, less 2000 by the bias. */
static struct net *sensitive_net(void)
{
    struct net *net = speaking_net(0.03);
    struct evaluator *exact = exactly(net, 1);
    double before = atanh((double)evaluate(exact).v);
    const struct net_tensor *weight = net_find(net, "value.fc2.weight");
    ck_assert_double_gt(fabs(before), 1e-3);
    for (size_t i = 0; i < weight->count; i++) {
        net_tensor_data(net, weight)[i] *= (float)(2000.0 / before);
    }
    net_tensor_data(net, net_find(net, "value.fc2.bias"))[0] = -2000.0F;
    evaluator_destroy(exact);
    return net;
}

START_TEST(net_that_bf16_changes_too_much_is_computed_in_fp32)
{
    struct net *net = sensitive_net();
    struct evaluator *evaluator = in_bf16(net, 4);
    struct evaluator *exact = exactly(net, 4);
    const struct precision_report *report = evaluator_precision(evaluator);
    ck_assert_ptr_nonnull(report);
    ck_assert(!report->passed);
    ck_assert_double_gt(report->v_mean, 2 * PRECISION_MAX_V);
    ck_assert_str_eq(evaluator_kernel(evaluator), "winograd-fp32/avx512");
    struct evaluation got = evaluate(evaluator);
    struct evaluation want = evaluate(exact);
    ck_assert_float_eq(got.v, want.v);
    ck_assert_mem_eq(got.priors, want.priors, want.n_priors * sizeof *want.priors);
    evaluator_destroy(evaluator);
    evaluator_destroy(exact);
    net_destroy(net);
}
END_TEST

int main(void)
{
    const char *why;
    game = game_find("connect4");
    Suite *suite = suite_create("precision");
    TCase *tests = tcase_create("precision");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, figures_are_the_differences_of_the_two);
    tcase_add_test(tests, policies_that_differ_are_refused);
    tcase_add_test(tests, a_net_equals_itself_and_what_is_no_number_does_not_pass);
    tcase_add_test(tests, sentence_has_figures_and_bounds);
    if (kernel_best(KERNEL_BF16, &why) != NULL) {
        tcase_add_test(tests, net_that_bf16_changes_little_is_computed_in_it);
        tcase_add_test(tests, net_that_bf16_changes_too_much_is_computed_in_fp32);
    }
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
