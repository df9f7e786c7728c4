/* What the feed hands out is what its source says, in order, whoever is quicker. */
#include "mcts/random.h"
#include "tests/unit/run_suite.h"
#include "trainer/buffer.h"
#include "trainer/conv.h"
#include "trainer/feed.h"
#include "trainer/lanes.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SEED = 11, MAX = 20, PLIES = 12 };

/* One game; every position may be drawn. */
static void begin(struct window *window)
{
    static const uint16_t actions[PLIES] = {0, 1, 3, 3, 5, 0, 2, 2, 6, 4, 1, 0};
    const uint8_t policy[3] = {0, 0, 9}; /* plain pairs: action 0, 9 visits */
    struct record_position positions[PLIES];
    struct store_game record = {.uid = "x", .positions = positions, .n_positions = PLIES};
    struct error err;

    for (uint32_t ply = 0; ply < PLIES; ply++) {
        positions[ply] =
            (struct record_position){.ply = ply, .action = actions[ply], .policy_bytes = 3};
        memcpy(positions[ply].policy, policy, sizeof(policy));
    }
    window_init(window, &(struct window_params){.game = game_find("connect4")});
    ck_assert_msg(window_add(window, &record, &err) == 0, "%s", err.text);
}

struct source {
    const struct window *window;
    uint64_t stream;
    bool slow;
};

static uint32_t count_of(const struct source *source, uint64_t index)
{
    return 1 + (uint32_t)(random_u64(SEED, 0, RANDOM_TEST, source->stream + index) % MAX);
}

static uint32_t draw(void *context, uint64_t index, const struct window_row **rows, bool *flips,
                     bool *ret_flips)
{
    const struct source *source = context;
    const uint32_t n = count_of(source, index);

    if (source->slow) {
        const struct timespec pause = {0, 3000000}; /* so that the test has to wait */
        nanosleep(&pause, NULL);
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t random = random_u64(SEED, 1, RANDOM_TEST, source->stream + MAX * index + i);
        rows[i] = &source->window->drawn.rows[random % source->window->drawn.n];
        flips[i] = random >> 63 != 0;
    }
    *ret_flips = index % 2 == 0;
    return n;
}

/* The batch `index` made here and now. */
static void check_batch(struct source *source, uint64_t index, const struct batch *batch,
                        const float *planes)
{
    const struct window_row *rows[MAX];
    bool flips[MAX];
    bool flipped = false;
    struct source quick = {source->window, source->stream, false};
    struct batch wanted;
    const uint32_t n = draw(&quick, index, rows, flips, &flipped);
    float *wanted_planes = activation_create(3, MAX, 42);

    ck_assert_ptr_nonnull(wanted_planes);
    ck_assert_int_eq(batch_init(&wanted, game_find("connect4"), MAX), 0);
    batch_fill(&wanted, source->window, rows, flipped ? flips : NULL, n, wanted_planes);
    ck_assert_uint_eq(batch->n, n);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_mem_eq(batch->samples[i].state, wanted.samples[i].state,
                         wanted.game->state_bytes);
        for (size_t k = 0; k < (size_t)3 * 42; k++) {
            const size_t at = lanes_at(3, 42, i, k / 42, k % 42);
            ck_assert_float_eq(planes[at], wanted_planes[at]);
        }
    }
    batch_finish(&wanted);
    buffer_destroy(wanted_planes);
}

static void check_run(struct feed *feed, struct source *source, uint64_t first, uint64_t end,
                      uint64_t stop)
{
    struct batch *batch = NULL;
    const float *planes = NULL;

    feed_begin(feed, draw, source, first, end);
    for (uint64_t i = first; i < stop; i++) {
        ck_assert(feed_next(feed, &batch, &planes));
        if (i % 3 == 0) { /* let the feed get ahead as far as it can */
            const struct timespec pause = {0, 1000000};
            nanosleep(&pause, NULL);
        }
        check_batch(source, i, batch, planes);
    }
    ck_assert(stop < end || !feed_next(feed, &batch, &planes));
}

START_TEST(batches_come_in_order_from_any_beginning_and_after_a_change_of_mind)
{
    struct window window;
    struct feed *feed = NULL;
    begin(&window);
    struct source quick = {&window, 0, false};
    struct source slow = {&window, 100000, true};
    ck_assert_int_eq(feed_create(&window, MAX, &feed), 0);
    ck_assert_uint_eq(feed_max(feed), MAX);
    check_run(feed, &quick, 0, 12, 12);
    check_run(feed, &slow, 7, 1000, 10); /* left in the middle of filling one */
    check_run(feed, &quick, 3, 9, 9);
    check_run(feed, &slow, 5, 5, 5); /* none at all */
    check_run(feed, &slow, 2, 6, 6);
    feed_begin(feed, draw, &slow, 0, 1000); /* destroyed at work */
    feed_destroy(feed);
    window_finish(&window);
}
END_TEST

START_TEST(feed_that_was_never_begun_can_be_destroyed)
{
    struct window window;
    struct feed *feed = NULL;
    begin(&window);
    ck_assert_int_eq(feed_create(&window, MAX, &feed), 0);
    feed_destroy(feed);
    feed_destroy(NULL);
    window_finish(&window);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("feed");
    TCase *tc = tcase_create("feed");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, batches_come_in_order_from_any_beginning_and_after_a_change_of_mind);
    tcase_add_test(tc, feed_that_was_never_begun_can_be_destroyed);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
