/* Steps against numbers worked out by hand, and a bowl to roll down. */
#include "tests/unit/run_suite.h"
#include "trainer/buffer.h"
#include "trainer/optimizer.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

/* A net of which only kinds and places matter. */
enum { PARTS = 4, WEIGHT = 0, BIAS = 2, GAMMA = 4, MEAN = 6, PARAMS = 8 };
struct fixture {
    struct net_tensor tensors[PARTS];
    float params[PARAMS];
    float gradient[PARAMS];
    struct net net;
    struct optimizer optimizer;
    struct train_params train;
};

static void begin(struct fixture *f, enum optimizer_kind kind)
{
    *f = (struct fixture){.tensors = {{.kind = NET_CONV, .offset = WEIGHT, .count = 2},
                                      {.kind = NET_BIAS, .offset = BIAS, .count = 2},
                                      {.kind = NET_BN_GAMMA, .offset = GAMMA, .count = 2},
                                      {.kind = NET_BN_MEAN, .offset = MEAN, .count = 2}},
                          .train = train_params_default};
    f->net = (struct net){
        .n_tensors = PARTS, .tensors = f->tensors, .n_params = PARAMS, .params = f->params};
    f->train.optimizer = kind;
    ck_assert_int_eq(optimizer_init(&f->optimizer, PARAMS), 0);
    for (int i = 0; i < PARAMS; i++) {
        f->params[i] = 1.0F;
        f->gradient[i] = 0.5F;
    }
}

START_TEST(adamw_steps_as_worked_out_by_hand)
{
    struct fixture f;
    begin(&f, OPTIMIZER_ADAMW);
    f.train.weight_decay = 0.1;
    /* step 1: both corrected moments are g and g^2, so the step is the rate (and the decay) */
    optimizer_step(&f.optimizer, &f.train, 0.01, f.gradient, &f.net);
    ck_assert_float_eq_tol(f.params[WEIGHT], 1.0F - 0.01F - 0.001F, 1e-6F);
    ck_assert_float_eq_tol(f.params[BIAS], 1.0F - 0.01F, 1e-6F);
    ck_assert_float_eq_tol(f.params[GAMMA], 1.0F - 0.01F, 1e-6F);
    ck_assert_float_eq(f.params[MEAN], 1.0F);
    /* step 2 with gradient -0.25: m = 0.9 x 0.05 - 0.025 = 0.02, / 0.19 = 0.105263;
     * v = 0.999 x 0.00025 + 0.0000625 = 0.00031225, / 0.001999 = 0.156203, root 0.395225;
     * step = 0.01 x 0.105263 / 0.395225 = 0.00266337 */
    f.gradient[BIAS] = -0.25F;
    optimizer_step(&f.optimizer, &f.train, 0.01, f.gradient, &f.net);
    ck_assert_float_eq_tol(f.params[BIAS], 0.99F - 0.00266337F, 1e-6F);
    ck_assert_int_eq(f.optimizer.step, 2);
    optimizer_finish(&f.optimizer);
}
END_TEST

START_TEST(nesterov_steps_as_worked_out_by_hand)
{
    struct fixture f;
    begin(&f, OPTIMIZER_SGD);
    f.train.weight_decay = 0.1;
    f.train.momentum = 0.9;
    /* step 1: momentum 0.5, step 0.5 + 0.45 = 0.95; step 2: momentum 0.95, step 0.5 + 0.855 */
    optimizer_step(&f.optimizer, &f.train, 0.1, f.gradient, &f.net);
    ck_assert_float_eq_tol(f.params[BIAS], 1.0F - 0.095F, 1e-6F);
    ck_assert_float_eq_tol(f.params[WEIGHT], 1.0F - 0.095F - 0.01F, 1e-6F);
    optimizer_step(&f.optimizer, &f.train, 0.1, f.gradient, &f.net);
    ck_assert_float_eq_tol(f.params[BIAS], 0.905F - 0.1355F, 1e-6F);
    ck_assert_float_eq(f.params[MEAN], 1.0F);
    optimizer_finish(&f.optimizer);
}
END_TEST

/* f(w) = sum c (w - target)^2 / 2 with curvatures from 0.1 to 10. */
START_TEST(both_roll_to_the_bottom_of_a_bowl)
{
    for (int kind = OPTIMIZER_ADAMW; kind <= OPTIMIZER_SGD; kind++) {
        struct fixture f;
        begin(&f, (enum optimizer_kind)kind);
        f.train.weight_decay = 0.0;
        for (int step = 0; step < 1500; step++) {
            for (int i = 0; i < GAMMA; i++) {
                const float curvature = (const float[]){0.1F, 1.0F, 3.0F, 10.0F}[i];
                f.gradient[i] = curvature * (f.params[i] - (float)i);
            }
            double rate = 0.03 * pow(0.998, step);
            optimizer_step(&f.optimizer, &f.train, rate, f.gradient, &f.net);
        }
        for (int i = 0; i < GAMMA; i++) {
            ck_assert_float_eq_tol(f.params[i], (float)i, 0.01F);
        }
        optimizer_finish(&f.optimizer);
    }
}
END_TEST

START_TEST(rate_follows_the_schedule_and_warms_up_in_each_training)
{
    struct train_params params = train_params_default;
    params.learning_rate =
        (struct rate_schedule){.n = 3, .samples = {0, 1000, 5000}, .rate = {0.1, 0.01, 0.001}};
    params.warmup_samples = 100;
    ck_assert_double_eq_tol(optimizer_rate(&params, 0, 50), 0.05, 1e-12);
    ck_assert_double_eq_tol(optimizer_rate(&params, 999, 999), 0.1, 1e-12);
    ck_assert_double_eq_tol(optimizer_rate(&params, 1000, 1000), 0.01, 1e-12);
    ck_assert_double_eq_tol(optimizer_rate(&params, 4999, 25), 0.0025, 1e-12);
    ck_assert_double_eq_tol(optimizer_rate(&params, 1000000, 100), 0.001, 1e-12);
    params.warmup_samples = 0;
    ck_assert_double_eq_tol(optimizer_rate(&params, 0, 0), 0.1, 1e-12);
}
END_TEST

START_TEST(clipping_keeps_the_direction)
{
    float gradient[3] = {3.0F, 0.0F, -4.0F};
    ck_assert_double_eq_tol(optimizer_clip(gradient, 3, 10.0), 5.0, 1e-9);
    ck_assert_float_eq(gradient[2], -4.0F);
    ck_assert_double_eq_tol(optimizer_clip(gradient, 3, 0.0), 5.0, 1e-9);
    ck_assert_float_eq(gradient[2], -4.0F);
    ck_assert_double_eq_tol(optimizer_clip(gradient, 3, 1.0), 5.0, 1e-9);
    ck_assert_float_eq_tol(gradient[0], 0.6F, 1e-6F);
    ck_assert_float_eq_tol(gradient[2], -0.8F, 1e-6F);
}
END_TEST

START_TEST(average_is_exponential_once_it_is_old_and_forgets_when_young)
{
    float average = 1.0F;
    const float weight = 2.0F;
    optimizer_average(0.9, 1000000, &weight, 1, &average);
    ck_assert_float_eq_tol(average, 1.1F, 1e-6F);
    average = 1.0F;
    optimizer_average(0.9, 0, &weight, 1, &average); /* decay 1/10 */
    ck_assert_float_eq_tol(average, 1.9F, 1e-6F);
    average = 1e9F;
    optimizer_average(0.0, 5, &weight, 1, &average);
    ck_assert_float_eq(average, 2.0F);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("optimizer");
    TCase *tc = tcase_create("optimizer");
    tcase_add_test(tc, adamw_steps_as_worked_out_by_hand);
    tcase_add_test(tc, nesterov_steps_as_worked_out_by_hand);
    tcase_add_test(tc, both_roll_to_the_bottom_of_a_bowl);
    tcase_add_test(tc, rate_follows_the_schedule_and_warms_up_in_each_training);
    tcase_add_test(tc, clipping_keeps_the_direction);
    tcase_add_test(tc, average_is_exponential_once_it_is_old_and_forgets_when_young);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
