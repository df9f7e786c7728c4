/* The whole net: its gradient against finite differences, and its two forms against each other. */
#include "mcts/random.h"
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

static void fill_planes(struct model *model, const struct net_arch *arch, uint32_t n)
{
    const size_t count = (size_t)arch->n_planes * n * arch->height * arch->width;
    for (size_t i = 0; i < count; i++) {
        model_planes(model)[i] = normal(i);
    }
}

/* A loss over all outputs: each position's policy over four of its cells, and its value. Writes the
 * outputs' gradients if they are wanted. */
static double total_loss(struct model *model, const struct net_arch *arch, uint32_t n,
                         bool gradients)
{
    const size_t cells = (size_t)arch->height * arch->width;
    double loss = 0.0;

    for (uint32_t i = 0; i < n; i++) {
        const size_t offsets[4] = {i * cells + i, i * cells + 7, (n + i) * cells + 3,
                                   (n + i) * cells + 9};
        const float target[4] = {0.1F, 0.2F, 0.3F, 0.4F};
        const struct wdl value = wdl_from_qd((float)i / 10.0F - 0.2F, 0.25F);
        loss += loss_policy(model_policy(model), 4, offsets, target, 1.0F,
                            gradients ? model_dpolicy(model) : NULL);
        float *dvalue = gradients ? model_dvalue(model) + i : NULL;
        if (arch->value == NET_VALUE_WDL) {
            loss += loss_wdl(model_value(model) + i, n, value, 1.0F, dvalue);
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
 * kinks, so a step is taken at three sizes and the best fit counts; a wrong term misses all. */
static void check_gradient(uint32_t se, enum net_value_head value, uint32_t threads)
{
    const struct net_arch arch = small_arch(se, value);
    struct crew *crew = crew_create(threads);
    struct net *net = noisy_net(&arch);
    struct model *model = model_create(&arch, N, crew);
    float *gradient = calloc(net->n_params, sizeof(float));
    float *saved = calloc(net->n_params, sizeof(float));
    ck_assert(model != NULL && gradient != NULL && saved != NULL);
    fill_planes(model, &arch, N);
    model_forward(model, net->params, MODEL_TRAIN, N);
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
        for (int size = 0; size < 3; size++) {
            const float h = (const float[]){1e-2F, 3e-3F, 1e-3F}[size];
            double loss[2];
            for (int side = 0; side < 2; side++) {
                for (size_t i = 0; i < tensor->count; i++) {
                    data[i] = saved[tensor->offset + i] +
                              (side == 0 ? h : -h) * direction(gradient, tensor, i);
                }
                model_forward(model, net->params, MODEL_TRAIN, N);
                loss[side] = total_loss(model, &arch, N, false);
            }
            memcpy(net->params, saved, net->n_params * sizeof(float));
            double error = fabs((loss[0] - loss[1]) / (2.0 * (double)h) - analytic);
            best = fmin(best, error / fmax(0.02, fabs(analytic)));
        }
        if (getenv("VERBOSE")) {
            printf("%s %g %g\n", tensor->name, analytic, best);
        }
        ck_assert_msg(best < 0.02, "%s: projected gradient %g is off by %g of itself (seed %d)",
                      tensor->name, analytic, best, SEED);
    }
    free(saved);
    free(gradient);
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

static Suite *suite(void)
{
    Suite *s = suite_create("model");
    TCase *tc = tcase_create("model");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, gradient_of_every_tensor_equals_finite_differences);
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
