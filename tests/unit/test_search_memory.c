/* Linked with --wrap: the n-th allocation fails, for every n. */
#include "mcts/games/connect4.h"
#include "tests/unit/made_up_net.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Set to n, the n-th call from now fails. */
static int fail_in;
static int n_calls;
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails(void)
{
    n_calls++;
    return fail_in > 0 && --fail_in == 0;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

START_TEST(create_cleans_up_after_each_failing_allocation)
{
    n_calls = 0;
    search_destroy(search_create(&connect4));
    int n = n_calls;
    ck_assert_int_ge(n, 3);
    for (int i = 1; i <= n; i++) { /* under ASan a leak fails the test */
        fail_in = i;
        ck_assert_ptr_null(search_create(&connect4));
    }
    fail_in = 0;
}
END_TEST

/* 1 for the first moment without memory and so on; *ret_failures counts them. */
static void finish_with_failure(struct search *search, int fail_at, struct search_result *ret,
                                int *ret_failures)
{
    struct search_leaf leaf;
    struct evaluation evaluation;
    float priors[GAME_MAX_LEGAL];
    enum search_status status;

    fail_in = fail_at;
    *ret_failures = 0;
    while ((status = search_next(search, &leaf)) != SEARCH_DONE) {
        if (status == SEARCH_NO_MEMORY) {
            ++*ret_failures; /* memory is back: go on */
            continue;
        }
        net_by_key(&connect4, &leaf, priors, &evaluation);
        search_apply(search, &evaluation);
    }
    fail_in = 0;
    memset(ret, 0, sizeof(*ret));
    search_result(search, ret);
}

START_TEST(search_reports_no_memory_and_can_go_on_as_if_nothing_had_been)
{
    union game_state state;
    struct search_result expected;
    int n_failures;
    int fail_at = 0;

    state_at(&connect4, "44", &state);
    do { /* fail_at 0: no failure; then each in turn, until there is none to fail */
        struct search_result result;
        struct search *search = search_create(&connect4);
        search_begin(search, &search_params_default, &state, 3, 2);
        finish_with_failure(search, fail_at, &result, &n_failures);
        if (fail_at == 0) {
            expected = result;
        }
        ck_assert_mem_eq(&result, &expected, sizeof(result));
        ck_assert_int_le(n_failures, 1);
        search_destroy(search);
        fail_at++;
    } while (n_failures == 1 || fail_at == 1);
    ck_assert_int_gt(fail_at, 10); /* five arrays grew, more than once */
}
END_TEST

START_TEST(advance_without_memory_leaves_the_search_alone)
{
    for (int fail_at = 1; fail_at <= 5; fail_at++) {
        union game_state state;
        struct search_result before;
        struct search_result after;
        struct search *search = search_create(&connect4);
        state_at(&connect4, "44", &state);
        search_begin(search, &search_params_default, &state, 3, 2);
        search_finish(search, &connect4, net_by_key, &before);
        fail_in = fail_at;
        ck_assert(!search_advance(search, &search_params_default, before.best_action, 3, 3));
        fail_in = 0;
        search_finish(search, &connect4, net_by_key, &after);
        ck_assert_mem_eq(&before, &after, sizeof(before));
        ck_assert(search_advance(search, &search_params_default, before.best_action, 3, 3));
        search_destroy(search);
    }
}
END_TEST

START_TEST(warm_search_allocates_nothing)
{
    struct search *search = search_create(&connect4);
    union game_state state;
    struct search_result result;
    state_at(&connect4, "", &state);
    for (uint64_t seed = 0; seed < 30; seed++) {
        if (seed == 5) {
            n_calls = 0;
        }
        search_begin(search, &search_params_default, &state, seed, 0);
        search_finish(search, &connect4, net_by_key, &result);
    }
    ck_assert_int_eq(n_calls, 0);
    ck_assert_uint_gt(search_bytes(search), 100000);
    search_destroy(search);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("search_memory");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, create_cleans_up_after_each_failing_allocation);
    tcase_add_test(tcase, search_reports_no_memory_and_can_go_on_as_if_nothing_had_been);
    tcase_add_test(tcase, advance_without_memory_leaves_the_search_alone);
    tcase_add_test(tcase, warm_search_allocates_nothing);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
