/* What the tests of the configuration share: texts that must be accepted or refused. */
#ifndef TESTS_CONFIG_FIXTURE_H
#define TESTS_CONFIG_FIXTURE_H

#include "daemon/config/config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHIPPED SOURCE_DIR "/etc/qzd.yaml"

/* Large; each test runs in a process of its own. */
static struct config config;
static struct config other;

static inline char *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    char *text = malloc(1 << 16);
    ck_assert_ptr_nonnull(text);
    *ret_size = fread(text, 1, (1 << 16) - 1, file);
    text[*ret_size] = '\0';
    fclose(file);
    return text;
}

/* Parse a text that must be fine. */
static inline void accept(const char *text, struct config *ret)
{
    struct config_problems problems;
    int r = config_parse(text, strlen(text), "f.yaml", ret, &problems);
    ck_assert_msg(r == 0, "refused: %s", problems.text);
    ck_assert_ptr_null(problems.text);
    ck_assert_uint_eq(problems.n, 0);
}

static inline void refuse_bytes(const char *text, size_t size, const char *expected)
{
    struct config_problems problems;
    memset(&config, 0x5a, sizeof config);
    memset(&other, 0x5a, sizeof other);
    int r = config_parse(text, size, "f.yaml", &config, &problems);
    ck_assert_int_eq(r, ERROR_INVALID);
    ck_assert_str_eq(problems.text, expected);
    uint32_t lines = 0;
    for (const char *c = problems.text; *c != '\0'; c++) {
        lines += *c == '\n';
    }
    ck_assert_uint_eq(problems.n, lines);
    ck_assert(memcmp(&config, &other, sizeof config) == 0); /* a failed call leaves it alone */
    config_problems_finish(&problems);
}

/* Parse a text that must be refused with exactly these lines. */
static inline void refuse(const char *text, const char *expected)
{
    refuse_bytes(text, strlen(text), expected);
}

/* Run the tests of one file; returns main's exit code. */
static inline int run_tests(const char *name, const TTest *const *tests, size_t n)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 120);
    for (size_t i = 0; i < n; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
