#include "storage/error.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

START_TEST(set_formats_and_returns_the_code)
{
    struct error err = {""};
    ck_assert_int_eq(error_set(&err, ERROR_INVALID, "%s:%d: no", "file", 7), ERROR_INVALID);
    ck_assert_str_eq(err.text, "file:7: no");
    ck_assert_int_eq(error_set(NULL, ERROR_IO, "x"), ERROR_IO);
}
END_TEST

START_TEST(prefix_stands_before_what_was_there)
{
    struct error err = {"inner"};
    ck_assert_int_eq(error_prefix(&err, ERROR_FULL, "outer %d", 1), ERROR_FULL);
    ck_assert_str_eq(err.text, "outer 1: inner");
    ck_assert_int_eq(error_prefix(NULL, ERROR_FULL, "x"), ERROR_FULL);
}
END_TEST

START_TEST(long_texts_are_cut_and_ended)
{
    struct error err;
    char longer[2 * sizeof err.text];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    error_set(&err, ERROR_IO, "%s", longer);
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
    error_prefix(&err, ERROR_IO, "before");
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
    ck_assert_int_eq(strncmp(err.text, "before: aaa", 11), 0);
    error_prefix(&err, ERROR_IO, "%s", longer);
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
}
END_TEST

START_TEST(every_code_has_a_text_of_its_own)
{
    for (int a = ERROR_PERMISSION; a <= 0; a++) {
        ck_assert_str_ne(error_text(a), "unknown error");
        for (int b = ERROR_PERMISSION; b < a; b++) {
            ck_assert_str_ne(error_text(a), error_text(b));
        }
    }
    ck_assert_str_eq(error_text(ERROR_PERMISSION - 1), "unknown error");
    ck_assert_str_eq(error_text(1), "unknown error");
}
END_TEST

START_TEST(errno_values_become_codes)
{
    ck_assert_int_eq(error_from_errno(ENOSPC), ERROR_FULL);
    ck_assert_int_eq(error_from_errno(EDQUOT), ERROR_FULL);
    ck_assert_int_eq(error_from_errno(ENOMEM), ERROR_NO_MEMORY);
    ck_assert_int_eq(error_from_errno(ENOENT), ERROR_NOT_FOUND);
    ck_assert_int_eq(error_from_errno(EACCES), ERROR_PERMISSION);
    ck_assert_int_eq(error_from_errno(EAGAIN), ERROR_BUSY);
    ck_assert_int_eq(error_from_errno(ETIMEDOUT), ERROR_TIMEOUT);
    ck_assert_int_eq(error_from_errno(EIO), ERROR_IO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("error");
    TCase *tests = tcase_create("error");
    tcase_add_test(tests, set_formats_and_returns_the_code);
    tcase_add_test(tests, prefix_stands_before_what_was_there);
    tcase_add_test(tests, long_texts_are_cut_and_ended);
    tcase_add_test(tests, every_code_has_a_text_of_its_own);
    tcase_add_test(tests, errno_values_become_codes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
