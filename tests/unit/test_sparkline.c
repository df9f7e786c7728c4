#include "daemon/qzctl/sparkline.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <string.h>

static char text[256];

START_TEST(values_rise_from_the_lowest_bar_to_the_highest)
{
    const double values[] = {0, 1, 2, 3, 4, 5, 6, 7};
    ck_assert_uint_eq(sparkline(values, 8, 20, false, text, sizeof text), 8);
    ck_assert_str_eq(text, "_.:-=+*#");
    ck_assert_uint_eq(sparkline(values, 8, 20, true, text, sizeof text), 8);
    ck_assert_str_eq(text, "▁▂▃▄▅▆▇█");
}
END_TEST

START_TEST(more_values_than_cells_are_means_of_all_of_them)
{
    double values[100];
    for (int i = 0; i < 100; i++) {
        values[i] = i % 2 == 0 ? 100.0 - i : (double)NAN; /* half of them known */
    }
    ck_assert_uint_eq(sparkline(values, 100, 8, false, text, sizeof text), 8);
    ck_assert_str_eq(text, "#*+=-:._");
}
END_TEST

START_TEST(what_is_not_known_is_blank_and_what_does_not_change_is_in_the_middle)
{
    const double values[] = {NAN, 1, NAN, INFINITY, 1};
    ck_assert_uint_eq(sparkline(values, 5, 5, false, text, sizeof text), 5);
    ck_assert_str_eq(text, " =  =");
    ck_assert_uint_eq(sparkline(values, 1, 5, false, text, sizeof text), 1);
    ck_assert_str_eq(text, " ");
    ck_assert_uint_eq(sparkline(values, 0, 5, false, text, sizeof text), 0);
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(sparkline(values, 5, 0, true, text, sizeof text), 0);
}
END_TEST

START_TEST(cut_text_ends_behind_a_whole_character)
{
    const double values[] = {1, 2, 3};
    ck_assert_uint_eq(sparkline(values, 3, 3, true, text, 8), 2); /* 3 bytes each */
    ck_assert_uint_eq(strlen(text), 6);
    ck_assert_uint_eq(sparkline(values, 3, 3, true, text, 1), 0);
    ck_assert_str_eq(text, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sparkline");
    TCase *tests = tcase_create("sparkline");
    tcase_add_test(tests, values_rise_from_the_lowest_bar_to_the_highest);
    tcase_add_test(tests, more_values_than_cells_are_means_of_all_of_them);
    tcase_add_test(tests, what_is_not_known_is_blank_and_what_does_not_change_is_in_the_middle);
    tcase_add_test(tests, cut_text_ends_behind_a_whole_character);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
