/* What a position teaches, against the formulas written out once more the slow way. */
#include "mcts/random.h"
#include "tests/unit/run_suite.h"
#include "trainer/loss.h"
#include "trainer/targets.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 11, PLIES = 17 };

static float uniform(uint64_t i)
{
    return (float)random_uniform(SEED, 0, RANDOM_TEST, i);
}

struct fixture {
    struct record_position positions[PLIES];
    struct store_game game;
    struct wdl targets[PLIES];
};

/* A game with a different q and d of every kind at every ply. */
static void begin(struct fixture *f, uint64_t number)
{
    memset(f, 0, sizeof(*f));
    for (uint32_t i = 0; i < PLIES; i++) {
        float *const q[3] = {&f->positions[i].q, &f->positions[i].best_q,
                             &f->positions[i].greedy_q};
        float *const d[3] = {&f->positions[i].d, &f->positions[i].best_d,
                             &f->positions[i].greedy_d};
        for (uint64_t k = 0; k < 3; k++) {
            const uint64_t at = (number * PLIES + i) * 6 + 2 * k;
            *d[k] = uniform(at);
            *q[k] = (1.0F - *d[k]) * (2.0F * uniform(at + 1) - 1.0F);
        }
    }
    f->game.n_positions = PLIES;
    f->game.positions = f->positions;
    f->game.first_player_outcome = (int8_t)((int)(number % 3) - 1);
}

static void assert_wdl(struct wdl a, struct wdl b, float tolerance)
{
    ck_assert_float_eq_tol(a.w, b.w, tolerance);
    ck_assert_float_eq_tol(a.d, b.d, tolerance);
    ck_assert_float_eq_tol(a.l, b.l, tolerance);
}

static void assert_same(struct wdl a, struct wdl b)
{
    ck_assert_float_eq(a.w, b.w);
    ck_assert_float_eq(a.d, b.d);
    ck_assert_float_eq(a.l, b.l);
}

static struct wdl z_at(const struct fixture *f, uint32_t first_side, uint32_t ply)
{
    const int sign = (first_side + ply) % 2 == 0 ? 1 : -1;
    return wdl_from_z(sign * f->game.first_player_outcome);
}

START_TEST(q_ratio_0_is_exactly_z_and_1_exactly_q_and_half_the_mean)
{
    for (uint64_t g = 0; g < 30; g++) {
        struct fixture f;
        begin(&f, g);
        struct wdl z[PLIES];
        struct wdl q[PLIES];
        struct wdl half[PLIES];
        targets_value(&f.game, 0, &(struct target_params){.q_ratio = 0.0F}, z);
        targets_value(&f.game, 0, &(struct target_params){.q_ratio = 1.0F}, q);
        targets_value(&f.game, 0, &(struct target_params){.q_ratio = 0.5F}, half);
        for (uint32_t i = 0; i < PLIES; i++) {
            assert_same(z[i], z_at(&f, 0, i));
            assert_same(q[i], wdl_from_qd(f.positions[i].q, f.positions[i].d));
            ck_assert_float_eq(half[i].w, 0.5F * z[i].w + 0.5F * q[i].w);
            ck_assert_float_eq(half[i].d, 0.5F * z[i].d + 0.5F * q[i].d);
            ck_assert_float_eq(half[i].l, 0.5F * z[i].l + 0.5F * q[i].l);
        }
    }
}
END_TEST

START_TEST(z_alternates_and_is_a_win_for_the_one_who_moved_last_and_won)
{
    for (uint32_t side = 0; side < 2; side++) {
        struct fixture f;
        begin(&f, 0);
        /* the mover of the last ply has won */
        f.game.first_player_outcome = (side + PLIES - 1) % 2 == 0 ? 1 : -1;
        targets_value(&f.game, side, &(struct target_params){0}, f.targets);
        assert_same(f.targets[PLIES - 1], (struct wdl){1.0F, 0.0F, 0.0F});
        for (uint32_t i = 0; i + 1 < PLIES; i++) {
            assert_same(f.targets[i], wdl_flip(f.targets[i + 1]));
        }
    }
}
END_TEST

START_TEST(lambda_1_is_z_whatever_the_q_ratio)
{
    for (uint64_t g = 0; g < 100; g++) {
        struct fixture f;
        begin(&f, g);
        const struct target_params params = {
            .q_ratio = uniform(7000 + g), .lambda = 1.0F, .q = (enum q_kind)(g % 3)};
        targets_value(&f.game, (uint32_t)(g % 2), &params, f.targets);
        for (uint32_t i = 0; i < PLIES; i++) {
            assert_wdl(f.targets[i], z_at(&f, (uint32_t)(g % 2), i), 1e-7F);
        }
    }
}
END_TEST

static void own(const struct record_position *p, enum q_kind kind, double *ret_q, double *ret_d)
{
    const float q[3] = {p->q, p->best_q, p->greedy_q};
    const float d[3] = {p->d, p->best_d, p->greedy_d};
    *ret_q = (double)q[kind];
    *ret_d = (double)d[kind];
}

/* G_t as a plain sum over the rest of the game: (1 - lambda) lambda^k of the k-th later q, what is left
 * on z, each turned to the mover at t. Positions without q pass their share on. */
static void naive_g(const struct fixture *f, uint32_t side, uint32_t t, double lambda,
                    enum q_kind kind, double g[3])
{
    double share = 1.0;
    g[0] = g[1] = g[2] = 0.0;
    for (uint32_t i = t; i < PLIES; i++) {
        double q;
        double d;
        own(&f->positions[i], kind, &q, &d);
        if (isnan(q)) {
            continue;
        }
        double sign = (i - t) % 2 == 0 ? 1.0 : -1.0;
        double part = share * (1.0 - lambda);
        g[0] += part * (1.0 - d + sign * q) / 2.0;
        g[1] += part * d;
        g[2] += part * (1.0 - d - sign * q) / 2.0;
        share *= lambda;
    }
    struct wdl z = z_at(f, side, t);
    g[0] += share * (double)z.w;
    g[1] += share * (double)z.d;
    g[2] += share * (double)z.l;
}

START_TEST(lambda_recursion_equals_the_sum_written_out)
{
    for (uint64_t number = 0; number < 60; number++) {
        struct fixture f;
        begin(&f, number);
        const float lambda = uniform(9000 + number);
        const enum q_kind kind = (enum q_kind)(number % 3);
        for (uint32_t i = 0; i < PLIES; i++) { /* some plies without q */
            if (number % 2 == 1 && uniform(9500 + number * PLIES + i) < 0.3F) {
                f.positions[i].q = f.positions[i].best_q = f.positions[i].greedy_q = NAN;
            }
        }
        const struct target_params params = {.q_ratio = 1.0F, .lambda = lambda, .q = kind};
        targets_value(&f.game, 1, &params, f.targets);
        for (uint32_t i = 0; i < PLIES; i++) {
            double g[3];
            if (isnan(f.positions[i].q)) {
                assert_same(f.targets[i], z_at(&f, 1, i));
                continue;
            }
            naive_g(&f, 1, i, (double)lambda, kind, g);
            assert_wdl(f.targets[i], (struct wdl){(float)g[0], (float)g[1], (float)g[2]}, 2e-6F);
        }
    }
}
END_TEST

START_TEST(nan_of_weight_0_never_leaks)
{
    struct fixture f;
    begin(&f, 2);
    for (uint32_t i = 0; i < PLIES; i++) {
        f.positions[i].q = f.positions[i].d = f.positions[i].best_q = f.positions[i].greedy_d = NAN;
    }
    for (int kind = Q_ROOT; kind <= Q_GREEDY; kind++) {
        const struct target_params params = {
            .q_ratio = 0.7F, .lambda = 0.3F, .q = (enum q_kind)kind};
        ck_assert_uint_eq(targets_value(&f.game, 0, &params, f.targets), PLIES);
        for (uint32_t i = 0; i < PLIES; i++) {
            assert_same(f.targets[i], z_at(&f, 0, i));
        }
    }
    const struct wdl nothing = {NAN, NAN, NAN};
    assert_same(targets_mix(wdl_from_z(1), 0.0F, nothing), wdl_from_z(1));
    assert_same(targets_mix(nothing, 1.0F, wdl_from_z(1)), wdl_from_z(1));
    /* and where q is there but has no share, its NaN neighbours do nothing */
    begin(&f, 1);
    f.positions[3].q = NAN;
    ck_assert_uint_eq(
        targets_value(&f.game, 0, &(struct target_params){.q_ratio = 0.0F}, f.targets), 1);
    for (uint32_t i = 0; i < PLIES; i++) {
        assert_same(f.targets[i], z_at(&f, 0, i));
    }
}
END_TEST

START_TEST(positions_without_q_train_on_z_and_are_counted)
{
    struct fixture f;
    begin(&f, 3);
    f.positions[2].q = NAN;
    f.positions[5].d = NAN; /* a q whose d is not known is no pair */
    f.positions[6].best_q = NAN;
    const struct target_params params = {.q_ratio = 1.0F};
    ck_assert_uint_eq(targets_value(&f.game, 0, &params, f.targets), 2);
    assert_same(f.targets[2], z_at(&f, 0, 2));
    assert_same(f.targets[5], z_at(&f, 0, 5));
    assert_same(f.targets[6], wdl_from_qd(f.positions[6].q, f.positions[6].d));
    ck_assert(targets_has_q(&f.positions[6], Q_ROOT));
    ck_assert(!targets_has_q(&f.positions[6], Q_BEST));
}
END_TEST

START_TEST(each_kind_of_q_goes_with_its_own_d)
{
    struct fixture f;
    begin(&f, 4);
    for (int kind = Q_ROOT; kind <= Q_GREEDY; kind++) {
        const struct target_params params = {.q_ratio = 1.0F, .q = (enum q_kind)kind};
        targets_value(&f.game, 0, &params, f.targets);
        for (uint32_t i = 0; i < PLIES; i++) {
            double q;
            double d;
            own(&f.positions[i], (enum q_kind)kind, &q, &d);
            assert_same(f.targets[i], wdl_from_qd((float)q, (float)d));
        }
        ck_assert_int_eq(q_kind_parse(q_kind_text((enum q_kind)kind)), kind);
    }
    ck_assert_int_eq(q_kind_parse("mean"), -1);
}
END_TEST

START_TEST(wdl_stays_on_the_simplex)
{
    for (uint64_t i = 0; i < 2000; i++) {
        const float q = 3.0F * uniform(2 * i) - 1.5F;
        const float d = 2.0F * uniform(2 * i + 1) - 0.5F;
        const struct wdl x = wdl_from_qd(q, d);
        ck_assert(x.w >= 0.0F && x.d >= 0.0F && x.l >= 0.0F);
        ck_assert_float_eq_tol(x.w + x.d + x.l, 1.0F, 1e-6F);
    }
    const struct wdl x = wdl_from_qd(0.25F, 0.5F);
    assert_same(x, (struct wdl){0.375F, 0.5F, 0.125F});
    assert_same(wdl_flip(x), wdl_from_qd(-0.25F, 0.5F));
}
END_TEST

/* For squared error the loss of the blend and the blend of the losses differ by r (1 - r) (z - q)^2,
 * whatever the net says; so their gradients are equal. For cross-entropy they are equal outright. */
START_TEST(loss_of_the_blend_and_blend_of_the_losses_have_equal_gradients)
{
    for (uint64_t i = 0; i < 200; i++) {
        const float r = uniform(4 * i);
        const float output = 4.0F * uniform(4 * i + 1) - 2.0F;
        const struct wdl z = wdl_from_z((int)(i % 3) - 1);
        const struct wdl q = wdl_from_qd(2.0F * uniform(4 * i + 2) - 1.0F, 0.3F);
        const struct wdl blend = targets_mix(z, r, q);
        float g[3];
        double of_blend = loss_scalar(output, blend, 1.0F, &g[0]);
        double of_z = loss_scalar(output, z, 1.0F, &g[1]);
        double of_q = loss_scalar(output, q, 1.0F, &g[2]);
        double share = (double)r;
        double apart = (double)((z.w - z.l) - (q.w - q.l));
        ck_assert_double_eq_tol((1.0 - share) * of_z + share * of_q - of_blend,
                                share * (1.0 - share) * apart * apart, 1e-6);
        ck_assert_float_eq_tol(g[0], (1.0F - r) * g[1] + r * g[2], 1e-5F);

        const float outputs[3] = {output, -output, 0.5F};
        float d[3][3];
        of_blend = loss_wdl(outputs, 1, blend, 1.0F, d[0]);
        of_z = loss_wdl(outputs, 1, z, 1.0F, d[1]);
        of_q = loss_wdl(outputs, 1, q, 1.0F, d[2]);
        ck_assert_double_eq_tol((1.0 - share) * of_z + share * of_q, of_blend, 1e-6);
        for (int k = 0; k < 3; k++) {
            ck_assert_float_eq_tol(d[0][k], (1.0F - r) * d[1][k] + r * d[2][k], 1e-6F);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("targets");
    TCase *tc = tcase_create("targets");
    tcase_add_test(tc, q_ratio_0_is_exactly_z_and_1_exactly_q_and_half_the_mean);
    tcase_add_test(tc, z_alternates_and_is_a_win_for_the_one_who_moved_last_and_won);
    tcase_add_test(tc, lambda_1_is_z_whatever_the_q_ratio);
    tcase_add_test(tc, lambda_recursion_equals_the_sum_written_out);
    tcase_add_test(tc, nan_of_weight_0_never_leaks);
    tcase_add_test(tc, positions_without_q_train_on_z_and_are_counted);
    tcase_add_test(tc, each_kind_of_q_goes_with_its_own_d);
    tcase_add_test(tc, wdl_stays_on_the_simplex);
    tcase_add_test(tc, loss_of_the_blend_and_blend_of_the_losses_have_equal_gradients);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
