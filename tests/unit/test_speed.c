#include "selfplay/speed.h"

#include "tests/unit/random_net.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>

static const struct game *connect4;
static struct net *net;
static struct error err;

static void setup(void)
{
    connect4 = game_find("connect4");
    net = random_net(connect4, NET_VALUE_WDL, 1, 0.1);
    ck_assert_ptr_nonnull(net);
}

static void teardown(void)
{
    net_destroy(net);
}

START_TEST(smallest_batch_near_the_fastest_is_chosen)
{
    struct speed_batches b = {.n = 4, .batch = {4, 8, 16, 32}, .rate = {50, 96, 98, 100}};
    ck_assert_uint_eq(speed_choose(&b), 16);
    b.rate[1] = 97.5;
    ck_assert_uint_eq(speed_choose(&b), 8);
    b.rate[0] = 200;
    ck_assert_uint_eq(speed_choose(&b), 4);
}
END_TEST

START_TEST(rates_are_measured_for_each_batch)
{
    struct speed_batches b = speed_batches_usual;
    ck_assert_int_eq(speed_evaluations(connect4, net, 0.05, &b, &err), 0);
    for (uint32_t i = 0; i < b.n; i++) {
        ck_assert_msg(b.rate[i] > 0 && isfinite(b.rate[i]), "batch %u: %g", b.batch[i], b.rate[i]);
    }
    b.batch[b.n - 1] = 100000;
    ck_assert_int_eq(speed_evaluations(connect4, net, 0.05, &b, &err), ERROR_INVALID);
    b = speed_batches_usual;
    ck_assert_int_eq(speed_evaluations(game_find("tictactoe"), net, 0.05, &b, &err), ERROR_INVALID);
}
END_TEST

START_TEST(selfplay_is_counted)
{
    struct selfplay_settings settings = selfplay_settings_default;
    const struct opening_params openings = {0.5F, 8};
    struct speed_selfplay s = {0};

    settings.search.nodes = 16;
    ck_assert_int_eq(speed_selfplay(connect4, net, &settings, &openings, 8, 1000, 0.3, &s, &err),
                     0);
    ck_assert_double_gt(s.positions, 0);
    ck_assert_double_gt(s.evaluations_per_position, 0);
    ck_assert_double_le(s.evaluations_per_position, 16 + 8); /* searches under way have none yet */
    ck_assert(s.cache_hits >= 0 && s.cache_hits < 1);
    ck_assert_double_eq_tol(s.evaluations, s.positions * s.evaluations_per_position,
                            1e-6 * s.evaluations);
    ck_assert_int_eq(
        speed_selfplay(game_find("tictactoe"), net, &settings, &openings, 8, 0, 0.1, &s, &err),
        ERROR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("speed");
    TCase *tests = tcase_create("speed");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, smallest_batch_near_the_fastest_is_chosen);
    tcase_add_test(tests, rates_are_measured_for_each_batch);
    tcase_add_test(tests, selfplay_is_counted);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
