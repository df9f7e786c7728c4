#include "mcts/random.h"
#include "selfplay/eval_cache.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Linked with -Wl,--wrap=calloc,--wrap=mmap. Set to n, the n-th call of either from now fails. */
static int fail_calloc_in;
void *__real_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    return fail_calloc_in > 0 && --fail_calloc_in == 0
               ? MAP_FAILED
               : __real_mmap(address, size, protection, flags, file, offset);
}
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return fail_calloc_in > 0 && --fail_calloc_in == 0 ? NULL : __real_calloc(n, size);
}

static struct game_key key_of(uint64_t number)
{
    return (struct game_key){number, 0};
}

static void put(struct eval_cache *cache, uint64_t number)
{
    eval_cache_put(cache, key_of(number),
                   &(struct evaluation){0.5F, 0.0F, 3.0F, 2, (float[]){0.75F, 0.25F}});
}

static bool has(struct eval_cache *cache, uint64_t number)
{
    return eval_cache_get(cache, key_of(number), 2, &(struct evaluation){0});
}

START_TEST(key_with_another_move_count_is_a_miss)
{
    struct eval_cache *cache = eval_cache_create(4, 2);
    put(cache, 7);
    struct evaluation got = {.v = 9.0F};
    ck_assert(!eval_cache_get(cache, key_of(7), 1, &got));
    ck_assert_float_eq(got.v, 9.0F); /* a miss leaves it alone */
    ck_assert(eval_cache_get(cache, key_of(7), 2, &got));
    ck_assert_float_eq(got.v, 0.5F);
    ck_assert_float_eq(got.m, 3.0F);
    ck_assert_float_eq(got.priors[1], 0.25F);
    eval_cache_destroy(cache);
}
END_TEST

START_TEST(full_set_forgets_the_least_recently_used)
{
    struct eval_cache *cache = eval_cache_create(4, 2); /* one set */
    for (uint64_t number = 1; number <= 4; number++) {
        put(cache, number);
    }
    ck_assert(has(cache, 1)); /* so that 2 is now the oldest */
    put(cache, 5);
    ck_assert(!has(cache, 2));
    ck_assert(has(cache, 1) && has(cache, 3) && has(cache, 4) && has(cache, 5));
    eval_cache_destroy(cache);
}
END_TEST

START_TEST(both_halves_of_a_key_count)
{
    struct eval_cache *cache = eval_cache_create(4, 2); /* one set: only the keys tell them apart */
    put(cache, 7);
    ck_assert(!eval_cache_get(cache, (struct game_key){7, 1}, 2, &(struct evaluation){0}));
    ck_assert(!eval_cache_get(cache, (struct game_key){8, 0}, 2, &(struct evaluation){0}));
    ck_assert(has(cache, 7));
    eval_cache_destroy(cache);
}
END_TEST

START_TEST(same_key_put_again_replaces_and_takes_no_second_place)
{
    struct eval_cache *cache = eval_cache_create(4, 2);
    for (uint64_t number = 1; number <= 4; number++) {
        put(cache, number);
    }
    eval_cache_put(cache, key_of(2), &(struct evaluation){-0.5F, 0.1F, 0, 1, (float[]){1.0F}});
    struct evaluation got = {0};
    ck_assert(eval_cache_get(cache, key_of(2), 1, &got));
    ck_assert_float_eq(got.v, -0.5F);
    ck_assert(has(cache, 1) && has(cache, 3) && has(cache, 4));
    eval_cache_destroy(cache);
}
END_TEST

START_TEST(too_many_moves_are_not_kept)
{
    struct eval_cache *cache = eval_cache_create(4, 2);
    eval_cache_put(cache, key_of(1),
                   &(struct evaluation){0, 0, 0, 3, (float[]){0.5F, 0.25F, 0.25F}});
    ck_assert(!eval_cache_get(cache, key_of(1), 3, &(struct evaluation){0}));
    eval_cache_destroy(cache);
}
END_TEST

START_TEST(clear_forgets_everything)
{
    struct eval_cache *cache = eval_cache_create(1000, 2);
    for (uint64_t number = 0; number < 500; number++) {
        put(cache, number);
    }
    eval_cache_clear(cache);
    for (uint64_t number = 0; number < 500; number++) {
        ck_assert(!has(cache, number));
    }
    put(cache, 3);
    ck_assert(has(cache, 3));
    eval_cache_destroy(cache);
}
END_TEST

/* Against an array that remembers the last put of each key: a hit must give exactly that. */
START_TEST(hits_are_what_was_put_last_whatever_the_order)
{
    enum { KEYS = 300, MOVES = 5 };
    struct eval_cache *cache = eval_cache_create(101, MOVES); /* 26 sets */
    float last[KEYS] = {0};
    uint32_t moves[KEYS] = {0};
    int hits = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        uint64_t bits = random_u64(5, i, RANDOM_TEST, 0);
        uint32_t k = (uint32_t)(bits % KEYS);
        /* keys like bitboards: differences in few high bits */
        struct game_key key = {(uint64_t)(k % 20) << 45, (uint64_t)(k / 20) << 58};
        if (bits >> 63 != 0) {
            float priors[MOVES];
            moves[k] = 1 + (uint32_t)(bits >> 32) % MOVES;
            last[k] = (float)i + 1.0F;
            for (uint32_t move = 0; move < moves[k]; move++) {
                priors[move] = last[k] + (float)move / 8.0F;
            }
            eval_cache_put(cache, key,
                           &(struct evaluation){last[k], -last[k], 0, moves[k], priors});
            continue;
        }
        struct evaluation got;
        uint32_t wanted = moves[k] == 0 ? 1 : moves[k];
        if (eval_cache_get(cache, key, wanted, &got)) {
            hits++;
            ck_assert_msg(got.v == last[k] && got.d == -last[k], "step %u", i);
            for (uint32_t move = 0; move < moves[k]; move++) {
                ck_assert_float_eq(got.priors[move], last[k] + (float)move / 8.0F);
            }
        }
    }
    ck_assert_int_gt(hits, 2000); /* it does keep things */
    eval_cache_destroy(cache);
}
END_TEST

/* Connect Four keys are bitboards: a poor mix would crowd them into few sets. */
START_TEST(structured_keys_spread_over_all_sets)
{
    enum { N = 4096, ROOM = 2 * N };
    struct eval_cache *cache = eval_cache_create(ROOM, 2);
    for (uint64_t i = 0; i < N; i++) {
        eval_cache_put(cache, (struct game_key){i << 36, i << 20},
                       &(struct evaluation){0.5F, 0, 0, 2, (float[]){0.5F, 0.5F}});
    }
    int kept = 0;
    for (uint64_t i = 0; i < N; i++) {
        kept +=
            eval_cache_get(cache, (struct game_key){i << 36, i << 20}, 2, &(struct evaluation){0});
    }
    /* Poisson with mean 2 a set of 4: P(overflow) costs 2.8 % of the entries in a random table. */
    ck_assert_int_gt(kept, N * 95 / 100);
    eval_cache_destroy(cache);
}
END_TEST

START_TEST(create_cleans_up_after_each_failing_allocation)
{
    for (int n = 1; n <= 2; n++) { /* under ASan a leak fails the test */
        fail_calloc_in = n;
        ck_assert_ptr_null(eval_cache_create(64, 8));
    }
    fail_calloc_in = 0;
    ck_assert_ptr_null(eval_cache_create(SIZE_MAX, 8)); /* no wrap-around */
    eval_cache_destroy(NULL);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("eval_cache");
    tcase_add_test(cases, key_with_another_move_count_is_a_miss);
    tcase_add_test(cases, full_set_forgets_the_least_recently_used);
    tcase_add_test(cases, both_halves_of_a_key_count);
    tcase_add_test(cases, same_key_put_again_replaces_and_takes_no_second_place);
    tcase_add_test(cases, too_many_moves_are_not_kept);
    tcase_add_test(cases, clear_forgets_everything);
    tcase_add_test(cases, hits_are_what_was_put_last_whatever_the_order);
    tcase_add_test(cases, structured_keys_spread_over_all_sets);
    tcase_add_test(cases, create_cleans_up_after_each_failing_allocation);
    Suite *suite = suite_create("eval_cache");
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
