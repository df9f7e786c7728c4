/* Configurations under damage: cut, garbled, read without memory. */
#include "daemon/config/config_schema.h"
#include "tests/unit/config_fixture.h"

/* Linked with --wrap. Set to n, the n-th allocation from now fails, here and in Check (so
 * back to 0 before an assertion), not in shared libraries such as libyaml. */
static int fail_in;
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
FILE *__real_open_memstream(char **text, size_t *size);
FILE *__wrap_open_memstream(char **text, size_t *size);
FILE *__real_fmemopen(void *buffer, size_t size, const char *mode);
FILE *__wrap_fmemopen(void *buffer, size_t size, const char *mode);

static bool fails_now(void)
{
    return fail_in > 0 && --fail_in == 0;
}
void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}
FILE *__wrap_open_memstream(char **text, size_t *size)
{
    return fails_now() ? NULL : __real_open_memstream(text, size);
}
FILE *__wrap_fmemopen(void *buffer, size_t size, const char *mode)
{
    return fails_now() ? NULL : __real_fmemopen(buffer, size, mode);
}

/* Sentences may lose an end (fmemopen), nothing else may be half done. Under ASan a leak fails the test. */
START_TEST(each_failing_allocation_is_told)
{
    const char *bad = "seed: x\nfoo: 1\nevaluation: {suites: [connect4.mask]}\n";
    const char *good = "evaluation: {suites: [connect4.mask]}\n";
    struct config_problems problems;
    int n_failed = 0;
    for (int n = 1; n <= 12; n++) {
        fail_in = n;
        int r = config_parse(bad, strlen(bad), "f.yaml", &config, &problems);
        fail_in = 0;
        ck_assert_msg(r == ERROR_INVALID || r == ERROR_NO_MEMORY, "%d: %d", n, r);
        ck_assert_int_eq(r == ERROR_INVALID, problems.text != NULL);
        n_failed += r == ERROR_NO_MEMORY;
        config_problems_finish(&problems);
        fail_in = n;
        r = config_parse(good, strlen(good), "f.yaml", &config, &problems);
        fail_in = 0;
        ck_assert_msg(r == 0 || r == ERROR_NO_MEMORY, "%d: %d", n, r);
        n_failed += r == ERROR_NO_MEMORY;
        fail_in = n;
        r = config_load(SHIPPED, &config, &problems);
        fail_in = 0;
        ck_assert_msg(r == 0 || r == ERROR_NO_MEMORY, "%d: %d", n, r);
        n_failed += r == ERROR_NO_MEMORY;
    }
    ck_assert_int_ge(n_failed, 4 + 2 + 3);
}
END_TEST

START_TEST(texts_without_memory_are_none)
{
    config_default(&config);
    config_default(&other);
    other.seed = 2;
    for (int n = 1; n <= 4; n++) { /* the list, and a value each */
        struct config_change *changes = NULL;
        fail_in = n;
        int r = config_diff(&config, &other, &changes);
        fail_in = 0;
        ck_assert_int_eq(r, ERROR_NO_MEMORY);
        ck_assert_ptr_null(changes);
    }
    fail_in = 1;
    char *all = config_json(&config);
    fail_in = 1;
    char *one = config_get_json(&config, "seed");
    fail_in = 0;
    ck_assert_ptr_null(all);
    ck_assert_ptr_null(one);
    for (int n = 1; n <= 2; n++) { /* the defaults, and the text */
        fail_in = n;
        char *text = config_reference();
        fail_in = 0;
        ck_assert_ptr_null(text);
    }
}
END_TEST

/* Whatever the bytes are: an answer, no crash, and a message for a refusal. */
static void survive(const char *bytes, size_t size, const char *what, unsigned long n)
{
    char *text = malloc(size + 1); /* exact, so that reading beyond is seen */
    ck_assert_ptr_nonnull(text);
    char *exact = size == 0 ? text : realloc(text, size);
    memcpy(exact, bytes, size);
    struct config_problems problems;
    int r = config_parse(exact, size, "f.yaml", &config, &problems);
    ck_assert_msg(r == 0 || (r == ERROR_INVALID && problems.n > 0 && problems.text != NULL),
                  "%s %lu: %d", what, n, r);
    config_problems_finish(&problems);
    free(exact);
}

START_TEST(file_cut_at_any_length_is_read_or_refused)
{
    size_t size = 0;
    char *text = read_file(SHIPPED, &size);
    for (size_t n = 0; n <= size; n += n < 600 ? 1 : 17) {
        survive(text, n, "length", n);
    }
    free(text);
}
END_TEST

START_TEST(random_damage_never_crashes)
{
    static const char bytes[] = "\n\n  :::,,[]{}&*!|>'\"%@`#-?~\t\\0129.eE+nax\xff\xc3\x80";
    size_t size = 0;
    char *text = read_file(SHIPPED, &size);
    char *copy = malloc(size);
    ck_assert_ptr_nonnull(copy);
    for (unsigned seed = 1; seed <= 400; seed++) {
        unsigned state = seed;
        memcpy(copy, text, size);
        for (int n = rand_r(&state) % 8; n >= 0; n--) {
            size_t at = (size_t)rand_r(&state) % size;
            copy[at] = bytes[(size_t)rand_r(&state) % sizeof bytes];
        }
        survive(copy, size, "seed", seed);
    }
    free(copy);
    free(text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_failing_allocation_is_told,
        texts_without_memory_are_none,
        file_cut_at_any_length_is_read_or_refused,
        random_damage_never_crashes,
    };
    return run_tests("config_damage", tests, sizeof tests / sizeof tests[0]);
}
