/* Records that another build or kernel made. */
#include "selfplay/replay_compare.h"

#include "storage/policy.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static int n_said;
static void count_said(const char *field, const char *recorded, const char *replayed, void *context)
{
    (void)recorded;
    (void)replayed;
    ck_assert_str_eq(field, context);
    n_said++;
}

START_TEST(search_that_went_another_way_is_judged_by_its_value_alone)
{
    struct record_position a = {.action = 1,
                                .best_action = 1,
                                .q = 0.25F,
                                .d = 0.5F,
                                .m = NAN,
                                .nodes = 40,
                                .proven = PROVEN_NONE};
    struct record_position b = a;
    struct policy_entry entries[] = {{1, 30}, {2, 9}};
    a.policy_bytes = (uint16_t)policy_encode(entries, 2, a.policy);
    entries[0].visits = 29;
    entries[1].visits = 10;
    b.policy_bytes = (uint16_t)policy_encode(entries, 2, b.policy);
    b.action = 2;
    b.q = 0.299F;
    b.greedy_q = 0.9F;
    n_said = 0;
    ck_assert_int_eq(replay_compare(&a, &b, &replay_tolerance_default, count_said, ""),
                     REPLAY_CLOSE);
    b.q = 0.301F;
    ck_assert_int_eq(replay_compare(&a, &b, &replay_tolerance_default, count_said, "q"),
                     REPLAY_DIFFERENT);
    b.proven = 1; /* a proof that the other search did not come to may be far from its mean */
    b.q = 1.0F;
    ck_assert_int_eq(replay_compare(&a, &b, &replay_tolerance_default, count_said, ""),
                     REPLAY_CLOSE);
    a.proven = -1;
    a.q = 1.0F;
    ck_assert_int_eq(replay_compare(&a, &b, &replay_tolerance_default, count_said, "proven"),
                     REPLAY_DIFFERENT);
    ck_assert_int_eq(n_said, 2);
    b = a;
    b.kind = POSITION_FAST; /* drawn from the seed alone */
    ck_assert_int_eq(replay_compare(&a, &b, &replay_tolerance_default, count_said, "kind"),
                     REPLAY_DIFFERENT);
    b = a;
    b.v = NAN;
    ck_assert_int_eq(replay_compare(&a, &b, &replay_tolerance_default, count_said, "v"),
                     REPLAY_DIFFERENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replay_compare");
    TCase *tests = tcase_create("replay_compare");
    tcase_add_test(tests, search_that_went_another_way_is_judged_by_its_value_alone);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
