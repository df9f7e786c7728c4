/* A crew does every task once on each of its workers, in the order that was asked for, however long
 * workers sleep in between. */
#include "tests/unit/run_suite.h"
#include "trainer/crew.h"

#include <check.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

enum { MAX_WORKERS = 5, ITEMS = 100, LONG_ENOUGH_TO_SLEEP = 20000 /* us */ };

/* Adds `plus` to a worker's share of the items, then multiplies it. Nobody else touches them. */
struct sums {
    uint64_t *items;
    uint64_t plus, times;
};

static void add_and_multiply(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct sums *sums = context;
    size_t first;
    size_t end;

    crew_share(ITEMS, worker, n_workers, &first, &end);
    for (size_t i = first; i < end; i++) {
        sums->items[i] = (sums->items[i] + sums->plus) * sums->times;
    }
}

static void check_items(const uint64_t *items, uint64_t wanted)
{
    for (size_t i = 0; i < ITEMS; i++) {
        ck_assert_uint_eq(items[i], wanted);
    }
}

START_TEST(every_worker_does_its_share_once)
{
    for (uint32_t n = 1; n <= MAX_WORKERS; n++) {
        uint64_t items[ITEMS] = {0};
        struct sums sums = {items, 1, 2};
        struct crew *crew = crew_create(n);
        ck_assert_ptr_nonnull(crew);
        ck_assert_uint_eq(crew_size(crew), n);
        for (int round = 0; round < 20; round++) {
            if (round % 8 == 3) {
                usleep(LONG_ENOUGH_TO_SLEEP);
            }
            crew_run(crew, add_and_multiply, &sums);
        }
        check_items(items, (UINT64_C(1) << 21U) - 2);
        crew_destroy(crew);
    }
}
END_TEST

/* ((0 + 1) 2 + 3) 5: in no other order that number. */
START_TEST(what_was_put_off_is_done_before_the_next_piece)
{
    for (uint32_t n = 1; n <= MAX_WORKERS; n++) {
        uint64_t items[ITEMS] = {0};
        struct crew *crew = crew_create(n);
        struct sums sums = {items, 1, 2};
        crew_later(crew, add_and_multiply, &sums, sizeof(sums));
        sums = (struct sums){items, 3, 5}; /* the context was copied */
        check_items(items, 0);
        crew_run(crew, add_and_multiply, &sums);
        check_items(items, 25);
        crew_finish(crew); /* nothing is left */
        check_items(items, 25);
        crew_destroy(crew);
    }
}
END_TEST

START_TEST(what_was_put_off_is_done_in_one_piece_with_another)
{
    for (uint32_t n = 1; n <= MAX_WORKERS; n++) {
        uint64_t items[2][ITEMS] = {{0}};
        struct crew *crew = crew_create(n);
        const struct sums later = {items[0], 1, 7};
        struct sums now = {items[1], 1, 9};
        crew_later(crew, add_and_multiply, &later, sizeof(later));
        crew_run_beside(crew, add_and_multiply, &now);
        check_items(items[0], 7);
        check_items(items[1], 9);
        crew_finish(crew);
        check_items(items[0], 7);
        crew_destroy(crew);
    }
}
END_TEST

/* More than a crew keeps: those are done early, none is lost. */
START_TEST(any_number_may_be_put_off)
{
    for (uint32_t n = 1; n <= MAX_WORKERS; n++) {
        uint64_t items[ITEMS] = {0};
        struct crew *crew = crew_create(n);
        for (uint64_t i = 1; i <= 11; i++) {
            const struct sums sums = {items, i, 1};
            crew_later(crew, add_and_multiply, &sums, sizeof(sums));
        }
        crew_finish(crew);
        check_items(items, 66);
        crew_destroy(crew);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("crew");
    TCase *tc = tcase_create("crew");
    tcase_add_test(tc, every_worker_does_its_share_once);
    tcase_add_test(tc, what_was_put_off_is_done_before_the_next_piece);
    tcase_add_test(tc, what_was_put_off_is_done_in_one_piece_with_another);
    tcase_add_test(tc, any_number_may_be_put_off);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
