#include "daemon/gate.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>

/* n pairs each of these half points; all games distinct unless `repeated` of them are not. */
static struct match_tally tally_of(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                                   uint64_t repeated)
{
    struct match_tally tally = {.pairs = {{a, b, c, d, e}}};
    tally.distinct = 2 * pentanomial_n(&tally.pairs) - repeated;
    return tally;
}

static enum gate_verdict judge(enum config_gate gate, struct match_tally tally, uint32_t planned)
{
    double llr = 0;
    enum gate_verdict verdict = gate_judge(gate, &tally, planned, &llr);
    ck_assert(isnan(llr) == (gate != CONFIG_GATE_SPRT));
    return verdict;
}

START_TEST(rating_match_plays_all_its_pairs)
{
    ck_assert_int_eq(judge(CONFIG_GATE_NONE, tally_of(0, 0, 0, 0, 0, 0), 8), GATE_OPEN);
    ck_assert_int_eq(judge(CONFIG_GATE_NONE, tally_of(0, 0, 0, 0, 7, 0), 8), GATE_OPEN);
    ck_assert_int_eq(judge(CONFIG_GATE_NONE, tally_of(8, 0, 0, 0, 0, 0), 8), GATE_COUNTS);
    ck_assert_int_eq(judge(CONFIG_GATE_NONE, tally_of(0, 0, 10, 0, 0, 2), 10), GATE_COUNTS);
    ck_assert_int_eq(judge(CONFIG_GATE_NONE, tally_of(0, 0, 10, 0, 0, 3), 10), GATE_REFUSED);
}
END_TEST

START_TEST(elo_gate_asks_for_more_than_half_of_the_points_after_all_pairs)
{
    ck_assert_int_eq(judge(CONFIG_GATE_ELO, tally_of(0, 0, 0, 0, 9, 0), 10), GATE_OPEN);
    ck_assert_int_eq(judge(CONFIG_GATE_ELO, tally_of(0, 0, 9, 1, 0, 0), 10), GATE_ACCEPTED);
    ck_assert_int_eq(judge(CONFIG_GATE_ELO, tally_of(0, 0, 10, 0, 0, 0), 10), GATE_REJECTED);
    ck_assert_int_eq(judge(CONFIG_GATE_ELO, tally_of(0, 1, 9, 0, 0, 0), 10), GATE_REJECTED);
    ck_assert_int_eq(judge(CONFIG_GATE_ELO, tally_of(0, 0, 0, 0, 10, 5), 10), GATE_REFUSED);
}
END_TEST

START_TEST(sprt_gate_ends_when_the_test_does_and_rejects_what_stays_open)
{
    ck_assert_int_eq(judge(CONFIG_GATE_SPRT, tally_of(0, 0, 0, 0, 0, 0), 200), GATE_OPEN);
    ck_assert_int_eq(judge(CONFIG_GATE_SPRT, tally_of(1, 2, 6, 5, 4, 0), 200), GATE_OPEN);
    ck_assert_int_eq(judge(CONFIG_GATE_SPRT, tally_of(2, 10, 40, 45, 40, 0), 200), GATE_ACCEPTED);
    ck_assert_int_eq(judge(CONFIG_GATE_SPRT, tally_of(40, 45, 40, 10, 2, 0), 200), GATE_REJECTED);
    ck_assert_int_eq(judge(CONFIG_GATE_SPRT, tally_of(1, 2, 6, 5, 4, 0), 18), GATE_REJECTED);
    ck_assert_int_eq(judge(CONFIG_GATE_SPRT, tally_of(2, 10, 40, 45, 40, 100), 200), GATE_REFUSED);
}
END_TEST

START_TEST(words_are_read_back)
{
    for (int i = GATE_COUNTS; i <= GATE_REJECTED; i++) {
        ck_assert_int_eq(gate_verdict_parse(gate_verdict_text((enum gate_verdict)i)), i);
    }
    ck_assert_int_eq(gate_verdict_parse("nonsense"), GATE_OPEN);
    for (int i = CONFIG_GATE_NONE; i <= CONFIG_GATE_SPRT; i++) {
        ck_assert_int_eq(gate_parse(gate_text((enum config_gate)i)), i);
    }
    ck_assert_int_eq(gate_parse("nonsense"), CONFIG_GATE_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate");
    TCase *tests = tcase_create("gate");
    tcase_add_test(tests, rating_match_plays_all_its_pairs);
    tcase_add_test(tests, elo_gate_asks_for_more_than_half_of_the_points_after_all_pairs);
    tcase_add_test(tests, sprt_gate_ends_when_the_test_does_and_rejects_what_stays_open);
    tcase_add_test(tests, words_are_read_back);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
