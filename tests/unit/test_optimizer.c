/* Steps against numbers worked out by hand, and a bowl to roll down. */
#include "tests/unit/run_suite.h"
#include "trainer/buffer.h"
#include "trainer/optimizer.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A net of which only kinds and places matter. */
enum { PARTS = 4, WEIGHT = 0, BIAS = 2, GAMMA = 4, MEAN = 6, PARAMS = 8 };
struct fixture {
    struct net_tensor tensors[PARTS];
    float params[PARAMS];
    float gradient[PARAMS];
    struct net net;
    struct optimizer optimizer;
    struct train_params train;
    struct crew *crew;
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
    f->crew = crew_create(1);
    ck_assert_ptr_nonnull(f->crew);
    for (int i = 0; i < PARAMS; i++) {
        f->params[i] = 1.0F;
        f->gradient[i] = 0.5F;
    }
}

static void end(struct fixture *f)
{
    optimizer_finish(&f->optimizer);
    crew_destroy(f->crew);
}

START_TEST(adamw_steps_as_worked_out_by_hand)
{
    struct fixture f;
    begin(&f, OPTIMIZER_ADAMW);
    f.train.weight_decay = 0.1;
    /* step 1: both corrected moments are g and g^2, so the step is the rate (and the decay) */
    optimizer_step(f.crew, &f.optimizer, &f.train, 0.01, f.gradient, &f.net);
    ck_assert_float_eq_tol(f.params[WEIGHT], 1.0F - 0.01F - 0.001F, 1e-6F);
    ck_assert_float_eq_tol(f.params[BIAS], 1.0F - 0.01F, 1e-6F);
    ck_assert_float_eq_tol(f.params[GAMMA], 1.0F - 0.01F, 1e-6F);
    ck_assert_float_eq(f.params[MEAN], 1.0F);
    /* step 2 with gradient -0.25: m = 0.9 x 0.05 - 0.025 = 0.02, / 0.19 = 0.105263;
     * v = 0.999 x 0.00025 + 0.0000625 = 0.00031225, / 0.001999 = 0.156203, root 0.395225;
     * step = 0.01 x 0.105263 / 0.395225 = 0.00266337 */
    f.gradient[BIAS] = -0.25F;
    optimizer_step(f.crew, &f.optimizer, &f.train, 0.01, f.gradient, &f.net);
    ck_assert_float_eq_tol(f.params[BIAS], 0.99F - 0.00266337F, 1e-6F);
    ck_assert_int_eq(f.optimizer.step, 2);
    end(&f);
}
END_TEST

START_TEST(nesterov_steps_as_worked_out_by_hand)
{
    struct fixture f;
    begin(&f, OPTIMIZER_SGD);
    f.train.weight_decay = 0.1;
    f.train.momentum = 0.9;
    /* step 1: momentum 0.5, step 0.5 + 0.45 = 0.95; step 2: momentum 0.95, step 0.5 + 0.855 */
    optimizer_step(f.crew, &f.optimizer, &f.train, 0.1, f.gradient, &f.net);
    ck_assert_float_eq_tol(f.params[BIAS], 1.0F - 0.095F, 1e-6F);
    ck_assert_float_eq_tol(f.params[WEIGHT], 1.0F - 0.095F - 0.01F, 1e-6F);
    optimizer_step(f.crew, &f.optimizer, &f.train, 0.1, f.gradient, &f.net);
    ck_assert_float_eq_tol(f.params[BIAS], 0.905F - 0.1355F, 1e-6F);
    ck_assert_float_eq(f.params[MEAN], 1.0F);
    end(&f);
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
            optimizer_step(f.crew, &f.optimizer, &f.train, rate, f.gradient, &f.net);
        }
        for (int i = 0; i < GAMMA; i++) {
            ck_assert_float_eq_tol(f.params[i], (float)i, 0.01F);
        }
        end(&f);
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
    struct crew *crew = crew_create(1);
    float gradient[3] = {3.0F, 0.0F, -4.0F};
    ck_assert_double_eq_tol(optimizer_clip(crew, gradient, 3, 10.0), 5.0, 1e-9);
    ck_assert_float_eq(gradient[2], -4.0F);
    ck_assert_double_eq_tol(optimizer_clip(crew, gradient, 3, 0.0), 5.0, 1e-9);
    ck_assert_float_eq(gradient[2], -4.0F);
    ck_assert_double_eq_tol(optimizer_clip(crew, gradient, 3, 1.0), 5.0, 1e-9);
    ck_assert_float_eq_tol(gradient[0], 0.6F, 1e-6F);
    ck_assert_float_eq_tol(gradient[2], -0.8F, 1e-6F);
    crew_destroy(crew);
}
END_TEST

START_TEST(average_is_exponential_once_it_is_old_and_forgets_when_young)
{
    struct crew *crew = crew_create(1);
    float average = 1.0F;
    const float weight = 2.0F;
    optimizer_average(crew, 0.9, 1000000, &weight, 1, &average);
    ck_assert_float_eq_tol(average, 1.1F, 1e-6F);
    average = 1.0F;
    optimizer_average(crew, 0.9, 0, &weight, 1, &average); /* decay 1/10 */
    ck_assert_float_eq_tol(average, 1.9F, 1e-6F);
    average = 1e9F;
    optimizer_average(crew, 0.0, 5, &weight, 1, &average);
    ck_assert_float_eq(average, 2.0F);
    crew_destroy(crew);
}
END_TEST

/* Tensors that end in the middle of a worker's share, and a share that ends in the middle of a tensor. */
enum { LONG_PARAMS = 3000, LONG_STEPS = 3 };
struct long_run {
    float params[LONG_PARAMS], average[LONG_PARAMS];
    double norms[LONG_STEPS];
};

static void run_long(uint32_t n_workers, enum optimizer_kind kind, struct long_run *ret)
{
    static float gradient[LONG_PARAMS];
    struct net_tensor tensors[] = {{.kind = NET_CONV, .offset = 0, .count = 1001},
                                   {.kind = NET_BIAS, .offset = 1001, .count = 999},
                                   {.kind = NET_BN_VAR, .offset = 2000, .count = 500},
                                   {.kind = NET_DENSE, .offset = 2500, .count = 500}};
    struct net net = {
        .n_tensors = 4, .tensors = tensors, .n_params = LONG_PARAMS, .params = ret->params};
    struct train_params params = train_params_default;
    struct crew *crew = crew_create(n_workers);
    struct optimizer optimizer;

    ck_assert_ptr_nonnull(crew);
    ck_assert_int_eq(optimizer_init(&optimizer, LONG_PARAMS), 0);
    params.optimizer = kind;
    for (size_t i = 0; i < LONG_PARAMS; i++) {
        ret->params[i] = ret->average[i] = sinf((float)i);
    }
    for (int step = 0; step < LONG_STEPS; step++) {
        for (size_t i = 0; i < LONG_PARAMS; i++) {
            gradient[i] = cosf((float)i * (float)(step + 1));
        }
        ret->norms[step] = optimizer_clip(crew, gradient, LONG_PARAMS, 1.0);
        optimizer_step(crew, &optimizer, &params, 0.01, gradient, &net);
        optimizer_average(crew, 0.9, 100, net.params, LONG_PARAMS, ret->average);
    }
    optimizer_finish(&optimizer);
    crew_destroy(crew);
}

START_TEST(size_of_the_crew_changes_no_bit)
{
    for (int kind = OPTIMIZER_ADAMW; kind <= OPTIMIZER_SGD; kind++) {
        static struct long_run alone;
        static struct long_run crew;
        run_long(1, (enum optimizer_kind)kind, &alone);
        double squares = 0.0;
        for (int i = 0; i < LONG_PARAMS; i++) {
            squares += pow(cos((double)i), 2.0);
            ck_assert_int_eq(alone.params[i] == sinf((float)i), i >= 2000 && i < 2500);
        }
        ck_assert_double_eq_tol(alone.norms[0], sqrt(squares), 1e-3);
        for (uint32_t n_workers = 2; n_workers <= 5; n_workers++) {
            run_long(n_workers, (enum optimizer_kind)kind, &crew);
            ck_assert_int_eq(memcmp(&alone, &crew, sizeof(crew)), 0);
        }
    }
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
    tcase_add_test(tc, size_of_the_crew_changes_no_bit);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
