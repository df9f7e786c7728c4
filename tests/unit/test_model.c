/* The whole net: its gradient against finite differences, and its two forms against each other. */
#include "mcts/random.h"
#include "trainer/buffer.h"
#include "trainer/conv.h"
#include "trainer/lanes.h"
#include "trainer/loss.h"
#include "trainer/model.h"
#include "trainer/net/inference.h"
#include "trainer/net/net.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 6, SEED = 20 };

static float normal(uint64_t i)
{
    return (float)random_normal(SEED, 0, RANDOM_TEST, i);
}

static struct net_arch small_arch(uint32_t se, enum net_value_head value)
{
    struct net_arch arch = {.n_planes = 3,
                            .height = 4,
                            .width = 5,
                            .policy_planes = 2,
                            .blocks = 2,
                            .filters = 6,
                            .se_channels = se,
                            .value_filters = 3,
                            .value_hidden = 7,
                            .value = value};
    snprintf(arch.game, sizeof(arch.game), "none");
    return arch;
}

/* A net without zeros anywhere, so that every path carries something. */
static struct net *noisy_net(const struct net_arch *arch)
{
    struct net *net = net_create(arch);
    ck_assert_ptr_nonnull(net);
    net_init(net, SEED);
    for (uint32_t t = 0; t < net->n_tensors; t++) {
        const struct net_tensor *tensor = &net->tensors[t];
        float *data = net_tensor_data(net, tensor);
        for (size_t i = 0; i < tensor->count; i++) {
            float noise = normal(tensor->offset + i + 100000);
            switch (tensor->kind) {
            case NET_CONV:
            case NET_DENSE:
                data[i] += 0.2F * noise;
                break;
            case NET_BN_VAR:
                data[i] = 0.5F + fabsf(noise);
                break;
            case NET_BN_GAMMA:
                data[i] = 1.0F + 0.3F * noise;
                break;
            case NET_BIAS:
            case NET_BN_BETA:
            case NET_BN_MEAN:
                data[i] = 0.3F * noise;
                break;
            }
        }
    }
    return net;
}

static size_t cells_of(const struct net_arch *arch)
{
    return (size_t)arch->height * arch->width;
}

/* Where a model keeps a logit of position i. */
static size_t logit(const struct net_arch *arch, size_t plane, uint32_t i, size_t cell)
{
    return lanes_at(arch->policy_planes, cells_of(arch), i, plane, cell);
}

static float *random_planes(const struct net_arch *arch, uint32_t n)
{
    float *planes = activation_create(arch->n_planes, n, cells_of(arch));
    ck_assert_ptr_nonnull(planes);
    for (size_t p = 0; p < arch->n_planes; p++) {
        for (uint32_t i = 0; i < n; i++) {
            for (size_t cell = 0; cell < cells_of(arch); cell++) {
                planes[lanes_at(arch->n_planes, cells_of(arch), i, p, cell)] =
                    normal((p * n + i) * cells_of(arch) + cell);
            }
        }
    }
    return planes;
}

/* A loss over all outputs: each position's policy over four of its cells, and its value. Writes the
 * outputs' gradients if they are wanted. */
static double total_loss(struct model *model, const struct net_arch *arch, uint32_t n,
                         bool gradients)
{
    double loss = 0.0;

    for (uint32_t i = 0; i < n; i++) {
        const size_t offsets[4] = {logit(arch, 0, i, i % 5), logit(arch, 0, i, 7),
                                   logit(arch, 1, i, 3), logit(arch, 1, i, 9)};
        const float target[4] = {0.1F, 0.2F, 0.3F, 0.4F};
        const struct wdl value = wdl_from_qd((float)(i % 6) / 10.0F - 0.2F, 0.25F);
        loss += loss_policy(model_policy(model), 4, offsets, target, 1.0F,
                            gradients ? model_dpolicy(model) : NULL);
        float *dvalue = gradients ? model_dvalue(model) + i : NULL;
        if (arch->value == NET_VALUE_WDL) {
            loss += loss_wdl(model_value(model) + i, lanes_size(n, 1), value, 1.0F, dvalue);
        } else {
            loss += loss_scalar(model_value(model)[i], value, 1.0F, dvalue);
        }
    }
    return loss;
}

/* Where a tensor's parameter i goes in its test: along the gradient, so that the change stands out from
 * the rounding of floats, and half as much elsewhere, so that a wrong gradient cannot hide by being
 * at right angles to the error. */
static float direction(const float *gradient, const struct net_tensor *tensor, size_t i)
{
    double squares = 1e-12;
    for (size_t j = 0; j < tensor->count; j++) {
        squares += pow((double)gradient[tensor->offset + j], 2.0);
    }
    return gradient[tensor->offset + i] / (float)sqrt(squares) +
           0.5F * normal(900000 + i) / sqrtf((float)tensor->count);
}

/* The gradient's projection on a direction within each tensor against central differences. Relus have
 * kinks, so a step is taken at four sizes and the best fit counts; a wrong term misses all. */
static void check_gradient(uint32_t se, enum net_value_head value, uint32_t threads)
{
    const struct net_arch arch = small_arch(se, value);
    struct crew *crew = crew_create(threads);
    struct net *net = noisy_net(&arch);
    struct model *model = model_create(&arch, N, crew);
    float *gradient = calloc(net->n_params, sizeof(float));
    float *saved = calloc(net->n_params, sizeof(float));
    ck_assert(model != NULL && gradient != NULL && saved != NULL);
    float *planes = random_planes(&arch, N);
    model_forward(model, net->params, MODEL_TRAIN, planes, N);
    total_loss(model, &arch, N, true);
    model_backward(model, net->params, gradient);
    memcpy(saved, net->params, net->n_params * sizeof(float));

    for (uint32_t t = 0; t < net->n_tensors; t++) {
        const struct net_tensor *tensor = &net->tensors[t];
        float *data = net_tensor_data(net, tensor);
        double analytic = 0.0;
        for (size_t i = 0; i < tensor->count; i++) {
            analytic +=
                (double)gradient[tensor->offset + i] * (double)direction(gradient, tensor, i);
        }
        double best = INFINITY;
        for (int size = 0; size < 4; size++) {
            const float h = (const float[]){1e-2F, 3e-3F, 1e-3F, 3e-4F}[size];
            double loss[2];
            for (int side = 0; side < 2; side++) {
                for (size_t i = 0; i < tensor->count; i++) {
                    data[i] = saved[tensor->offset + i] +
                              (side == 0 ? h : -h) * direction(gradient, tensor, i);
                }
                model_forward(model, net->params, MODEL_TRAIN, planes, N);
                loss[side] = total_loss(model, &arch, N, false);
            }
            memcpy(net->params, saved, net->n_params * sizeof(float));
            double error = fabs((loss[0] - loss[1]) / (2.0 * (double)h) - analytic);
            best = fmin(best, error / fmax(0.02, fabs(analytic)));
        }
        ck_assert_msg(best < 0.02, "%s: projected gradient %g is off by %g of itself (seed %d)",
                      tensor->name, analytic, best, SEED);
    }
    free(saved);
    free(gradient);
    buffer_destroy(planes);
    model_destroy(model);
    net_destroy(net);
    crew_destroy(crew);
}

START_TEST(gradient_of_every_tensor_equals_finite_differences)
{
    check_gradient(4, NET_VALUE_WDL, 1);
    check_gradient(0, NET_VALUE_SCALAR, 1);
    check_gradient(4, NET_VALUE_WDL, 3);
}
END_TEST

/* The batch means and variances that training uses, written out for the first layer. */
START_TEST(eval_with_the_batch_s_own_statistics_is_what_training_computes)
{
    const struct net_arch arch = small_arch(4, NET_VALUE_WDL);
    struct crew *crew = crew_create(1);
    struct net *net = noisy_net(&arch);
    struct model *model = model_create(&arch, N, crew);
    const size_t n_policy = arch.policy_planes * lanes_size(N, cells_of(&arch));
    float *policy = calloc(n_policy, sizeof(float));
    ck_assert(model != NULL && policy != NULL);
    float *planes = random_planes(&arch, N);
    model_forward(model, net->params, MODEL_TRAIN, planes, N);
    memcpy(policy, model_policy(model), n_policy * sizeof(float));
    ck_assert_uint_eq(model_statistics_count(model), (size_t)N * arch.height * arch.width);
    for (uint32_t t = 0; t < net->n_tensors; t++) {
        const struct net_tensor *tensor = &net->tensors[t];
        if (tensor->kind == NET_BN_MEAN || tensor->kind == NET_BN_VAR) {
            memcpy(net_tensor_data(net, tensor), model_statistics(model) + tensor->offset,
                   tensor->count * sizeof(float));
        }
    }
    model_forward(model, net->params, MODEL_EVAL, planes, N);
    for (size_t i = 0; i < n_policy; i++) {
        ck_assert_float_eq_tol(model_policy(model)[i], policy[i], 1e-5F);
    }
    free(policy);
    buffer_destroy(planes);
    model_destroy(model);
    net_destroy(net);
    crew_destroy(crew);
}
END_TEST

/* Mistake 2: the training net is not the playing net. 64 positions through both. (F(7, 3) loses two digits, on either side.) */
static void check_paths(uint32_t height, uint32_t width, uint32_t se, enum net_value_head value,
                        float tolerance)
{
    enum { POSITIONS = 64 };
    struct net_arch arch = small_arch(se, value);
    arch.height = height;
    arch.width = width;
    const size_t cells = (size_t)arch.height * arch.width;
    const uint32_t outputs = net_value_outputs(&arch);
    struct crew *crew = crew_create(1);
    struct net *net = noisy_net(&arch);
    struct model *model = model_create(&arch, POSITIONS, crew);
    struct inference *inference = NULL;
    struct error err;
    float *planes = calloc((size_t)POSITIONS * arch.n_planes * cells, sizeof(float));
    float *policy = calloc((size_t)POSITIONS * net_policy_size(&arch), sizeof(float));
    float *values = calloc((size_t)POSITIONS * outputs, sizeof(float));
    ck_assert(model != NULL && planes != NULL && policy != NULL && values != NULL);
    ck_assert_int_eq(inference_create(net, POSITIONS, &inference, &err), 0);

    float *batch = random_planes(&arch, POSITIONS);
    for (uint32_t i = 0; i < POSITIONS; i++) {
        for (size_t p = 0; p < arch.n_planes; p++) {
            for (size_t c = 0; c < cells; c++) {
                planes[((size_t)i * arch.n_planes + p) * cells + c] =
                    batch[lanes_at(arch.n_planes, cells, i, p, c)];
            }
        }
    }
    model_forward(model, net->params, MODEL_EVAL, batch, POSITIONS);
    inference_run(inference, planes, POSITIONS, NULL, policy, values);
    for (uint32_t i = 0; i < POSITIONS; i++) {
        for (size_t p = 0; p < arch.policy_planes; p++) {
            for (size_t c = 0; c < cells; c++) {
                const float played = policy[((size_t)i * arch.policy_planes + p) * cells + c];
                ck_assert_float_eq_tol(model_policy(model)[logit(&arch, p, i, c)], played,
                                       tolerance * fmaxf(1.0F, fabsf(played)));
            }
        }
        double total = 0.0;
        for (size_t k = 0; k < outputs; k++) {
            total += exp((double)model_value(model)[k * lanes_size(POSITIONS, 1) + i]);
        }
        for (size_t k = 0; k < outputs; k++) {
            const double raw = (double)model_value(model)[k * lanes_size(POSITIONS, 1) + i];
            ck_assert_double_eq_tol(outputs == 1 ? tanh(raw) : exp(raw) / total,
                                    (double)values[(size_t)i * outputs + k], (double)tolerance);
        }
    }
    free(values);
    free(policy);
    free(planes);
    buffer_destroy(batch);
    inference_destroy(inference);
    model_destroy(model);
    net_destroy(net);
    crew_destroy(crew);
}

START_TEST(training_net_and_playing_net_agree_on_64_positions)
{
    check_paths(4, 5, 4, NET_VALUE_WDL, 1e-4F);
    check_paths(6, 7, 4, NET_VALUE_WDL, 5e-4F);
    check_paths(8, 8, 0, NET_VALUE_SCALAR, 1e-4F);
}
END_TEST

START_TEST(a_number_of_threads_always_gives_the_same_bits)
{
    const struct net_arch arch = small_arch(4, NET_VALUE_WDL);
    struct net *net = noisy_net(&arch);
    float *gradients[4];
    for (int run = 0; run < 4; run++) { /* 1, 1, 3, 3 threads */
        struct crew *crew = crew_create(run < 2 ? 1 : 3);
        struct model *model = model_create(&arch, 40, crew);
        gradients[run] = calloc(net->n_params, sizeof(float));
        ck_assert(model != NULL && gradients[run] != NULL);
        float *planes = random_planes(&arch, 40);
        model_forward(model, net->params, MODEL_TRAIN, planes, 40);
        total_loss(model, &arch, 40, true);
        model_backward(model, net->params, gradients[run]);
        buffer_destroy(planes);
        model_destroy(model);
        crew_destroy(crew);
    }
    const size_t bytes = net->n_params * sizeof(float);
    ck_assert_mem_eq(gradients[0], gradients[1], bytes);
    ck_assert_mem_eq(gradients[2], gradients[3], bytes);
    for (size_t i = 0; i < net->n_params; i++) {
        ck_assert_float_eq_tol(gradients[0][i], gradients[2][i],
                               1e-4F * fmaxf(1.0F, fabsf(gradients[0][i])));
    }
    for (int run = 0; run < 4; run++) {
        free(gradients[run]);
    }
    net_destroy(net);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("model");
    TCase *tc = tcase_create("model");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, gradient_of_every_tensor_equals_finite_differences);
    tcase_add_test(tc, eval_with_the_batch_s_own_statistics_is_what_training_computes);
    tcase_add_test(tc, training_net_and_playing_net_agree_on_64_positions);
    tcase_add_test(tc, a_number_of_threads_always_gives_the_same_bits);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
