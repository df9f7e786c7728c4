/* Workers where memory runs out: nothing leaks, nothing changes, no record shows it. */
#include "worker_log.h"

#include "tests/unit/run_suite.h"

/* Linked with -Wl,--wrap for each of these. Set to n, the n-th allocation from now fails. */
static long fail_in;
static bool fails(void)
{
    return fail_in > 0 && --fail_in == 0;
}
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

START_TEST(worker_is_not_made_or_changed_where_an_allocation_fails)
{
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, NET_VALUE_WDL, 17, 1.0);
    struct log *log = log_create();
    const struct worker_params params = {game, 3, 100, "test-host", 3, "test-build"};
    const struct worker_sink sink = {log_start, log_position, log_end, log_now, log};
    struct worker *worker = NULL;
    struct worker_game one = numbered_game(1);
    struct error err;
    int r = ERROR_NO_MEMORY;
    int failures[3] = {0, 0, 0};
    for (long n = 1; r < 0; n++) { /* under ASan a leak fails the test */
        fail_in = n;
        r = worker_create(&params, &sink, &worker, &err);
        ck_assert(r == 0 || r == ERROR_NO_MEMORY);
        failures[0] += r < 0;
    }
    r = ERROR_NO_MEMORY;
    for (long n = 1; r < 0; n++) {
        fail_in = n;
        r = worker_set_net(worker, net, "a", &err);
        ck_assert(r == 0 || r == ERROR_NO_MEMORY);
        failures[1] += r < 0;
    }
    r = ERROR_NO_MEMORY;
    for (long n = 1; r < 0; n++) {
        fail_in = n;
        r = worker_add_game(worker, &one, &err);
        ck_assert(r == 0 || r == ERROR_NO_MEMORY);
        failures[2] += r < 0;
    }
    fail_in = 0;
    ck_assert_int_gt(failures[0], 15);
    ck_assert_int_gt(failures[1], 5);
    ck_assert_int_eq(failures[2], 1);
    ck_assert_uint_eq(worker_games(worker), 1);
    worker_destroy(worker);
    free(log);
    net_destroy(net);
}
END_TEST

/* Until each game has played `plies` moves or ended; returns how many steps failed. After each failure the
 * n-th allocation from then on fails, until 20 have. */
static int play_plies(struct worker *worker, const struct log *log, uint32_t games, uint32_t plies,
                      long n)
{
    int failures = 0;
    uint32_t there = 0;
    fail_in = n;
    while (there < games) {
        struct error err;
        int r = worker_step(worker, &err);
        if (r < 0) {
            ck_assert_int_eq(r, ERROR_NO_MEMORY);
            ck_assert_ptr_nonnull(strstr(err.text, "no memory for its search"));
            fail_in = ++failures < 20 ? n : 0;
        }
        there = 0;
        for (uint32_t i = 0; i < games; i++) {
            there += log->games[i].n >= plies || log->games[i].n_ends > 0 ? 1 : 0;
        }
    }
    fail_in = 0;
    return failures;
}

/* A step that fails begins the searches under way again; the records do not show it. */
START_TEST(games_go_on_where_memory_ran_out_in_the_middle_of_searches)
{
    enum { N = 3, PLIES = 2 };
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, NET_VALUE_WDL, 17, 1.0);
    struct selfplay_settings settings = quick_settings();
    struct log *logs[2] = {log_create(), log_create()};
    int failures = 0;
    settings.search.nodes = 1500; /* so that trees outgrow the room that they begin with */
    for (long n = 0; n <= 6; n++) {
        struct log *log = logs[n > 0]; /* 0: nothing fails */
        memset(log, 0, sizeof *log);
        struct worker *worker = worker_of(game, N, 1 << 13, log);
        set_net(worker, net, "a");
        set_settings(worker, &settings);
        for (uint32_t i = 0; i < N; i++) {
            struct worker_game one = numbered_game(i);
            add_game(worker, &one);
        }
        failures += play_plies(worker, log, N, PLIES, n);
        worker_destroy(worker);
        for (uint32_t i = 0; i < N; i++) {
            same_positions(&logs[0]->games[i], 0, &log->games[i], 0, PLIES, i);
        }
    }
    ck_assert_int_gt(failures, 12);
    free(logs[0]);
    free(logs[1]);
    net_destroy(net);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("worker_memory");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, worker_is_not_made_or_changed_where_an_allocation_fails);
    tcase_add_test(cases, games_go_on_where_memory_ran_out_in_the_middle_of_searches);
    Suite *suite = suite_create("worker_memory");
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
