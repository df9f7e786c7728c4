#include "daemon/qzctl/table.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *printed(const struct table *table, uint32_t width, bool csv)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(csv ? table_print_csv(table, out) : table_print(table, out, width), 0);
    fclose(out);
    return text;
}

static struct table *three_columns(void)
{
    struct table *table = table_create();
    ck_assert_ptr_nonnull(table);
    table_column(table, "name", TABLE_LEFT, 0);
    table_column(table, "n", TABLE_RIGHT, 1);
    table_column(table, "remark", TABLE_LEFT, 2);
    return table;
}

START_TEST(columns_line_up_and_lines_end_without_blanks)
{
    struct table *table = three_columns();
    table_cell(table, "one");
    table_cellf(table, "%d", 12345);
    table_cell(table, NULL);
    table_cell(table, "twotwo");
    table_cell(table, "7");
    table_cell(table, "x");
    char *text = printed(table, 0, false);
    ck_assert_str_eq(text, "name        n  remark\n"
                           "------  -----  ------\n"
                           "one     12345\n"
                           "twotwo      7  x\n");
    ck_assert_uint_eq(table_rows(table), 2);
    free(text);
    table_destroy(table);
}
END_TEST

START_TEST(columns_that_do_not_fit_go_by_rank_and_are_named)
{
    struct table *table = three_columns();
    table_cell(table, "one");
    table_cell(table, "12345");
    table_cell(table, "hi");
    char *whole = printed(table, 19, false); /* 4 + 2 + 5 + 2 + 6 */
    ck_assert_ptr_null(strstr(whole, "left out"));
    char *less = printed(table, 18, false);
    ck_assert_str_eq(less, "name      n\n"
                           "----  -----\n"
                           "one   12345\n"
                           "(1 column left out for width: remark)\n");
    char *least = printed(table, 1, false); /* rank 0 stands whatever the width */
    ck_assert_str_eq(least, "name\n----\none\n(2 columns left out for width: n, remark)\n");
    free(whole);
    free(less);
    free(least);
    table_destroy(table);
}
END_TEST

START_TEST(terminal_is_shown_what_it_would_obey)
{
    struct table *table = table_create();
    table_column(table, "a", TABLE_LEFT, 0);
    table_column(table, "b", TABLE_LEFT, 0);
    table_cell(table, "\x1b[2J\n\t");
    table_cell(table, "z");
    table_cell(table, "\xc2\x9b");           /* a C1 control */
    table_cell(table, "\xff\xc3");           /* broken UTF-8, one cut at the end */
    table_cell(table, "d\xc3\xa9j\xc3\xa0"); /* five bytes more than characters would say */
    table_cell(table, "z");
    char *text = printed(table, 0, false);
    ck_assert_str_eq(text, "a            b\n"
                           "-----------  --------\n"
                           "\\x1b[2J\\n\\t  z\n"
                           "\\xc2\\x9b     \\xff\\xc3\n"
                           "d\xc3\xa9j\xc3\xa0         z\n");
    free(text);
    table_destroy(table);
}
END_TEST

START_TEST(csv_quotes_what_needs_it)
{
    struct table *table = table_create();
    table_column(table, "a", TABLE_LEFT, 0);
    table_column(table, "b,c", TABLE_LEFT, 0);
    table_cell(table, "say \"no\"");
    table_cell(table, "");
    table_cell(table, "two\nlines");
    table_cell(table, "plain");
    char *text = printed(table, 0, true);
    ck_assert_str_eq(text, "a,\"b,c\"\r\n\"say \"\"no\"\"\",\r\n\"two\nlines\",plain\r\n");
    free(text);
    table_destroy(table);
}
END_TEST

START_TEST(empty_tables_have_a_head)
{
    struct table *table = three_columns();
    char *text = printed(table, 80, false);
    ck_assert_str_eq(text, "name  n  remark\n----  -  ------\n");
    free(text);
    table_destroy(table);
    table = table_create(); /* a statement without columns */
    text = printed(table, 80, false);
    ck_assert_str_eq(text, "\n\n");
    free(text);
    table_destroy(table);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("table");
    TCase *tests = tcase_create("table");
    tcase_add_test(tests, columns_line_up_and_lines_end_without_blanks);
    tcase_add_test(tests, columns_that_do_not_fit_go_by_rank_and_are_named);
    tcase_add_test(tests, terminal_is_shown_what_it_would_obey);
    tcase_add_test(tests, csv_quotes_what_needs_it);
    tcase_add_test(tests, empty_tables_have_a_head);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
