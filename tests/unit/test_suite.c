#include "random_net.h"
#include "selfplay/suite.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/qzd-test-suite-XXXXXX";

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void path_of(const char *name, char ret[128])
{
    snprintf(ret, 128, "%s/%s", folder, name);
}

static void write_file(const char *name, const char *bytes, size_t size)
{
    char path[128];
    path_of(name, path);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static int load(const char *name, const char *text, size_t size, struct suite **ret,
                struct error *err)
{
    char path[128];
    write_file(name, text, size);
    path_of(name, path);
    int r = suite_load(path, game_find("connect4"), ret, err);
    ck_assert_int_eq(unlink(path), 0);
    return r;
}

static struct suite *loaded(const char *name, const char *text)
{
    struct suite *suite = NULL;
    struct error err = {""};
    ck_assert_msg(load(name, text, strlen(text), &suite, &err) == 0, "%s", err.text);
    return suite;
}

static void refused(const char *name, const char *text, size_t size, const char *because)
{
    struct suite *suite = NULL;
    struct error err = {""};
    ck_assert_msg(load(name, text, size, &suite, &err) == ERROR_INVALID, "%s", text);
    ck_assert_msg(strstr(err.text, because) != NULL, "\"%s\": \"%s\" lacks \"%s\"", text, err.text,
                  because);
    ck_assert_ptr_null(suite);
}

static void mask_refused(const char *text, const char *because)
{
    refused("a.mask", text, strlen(text), because);
}

static void csv_refused(const char *text, const char *because)
{
    refused("a.csv", text, strlen(text), because);
}

START_TEST(mask_lines_become_positions)
{
    struct suite *suite = loaded("fresh.dev.mask", "2473 0 0001000\n"
                                                   "44 -3 1111111\r\n"
                                                   " 1 0001000\n" /* the start: no moves */
                                                   "1 2 1 2 1 2 18 1000000\n"
                                                   "222222 2 1.11111"); /* no newline at the end */
    const struct game *game = game_find("connect4");
    union game_state state;
    ck_assert_str_eq(suite->name, "fresh.dev");
    ck_assert_int_eq(suite->kind, SUITE_MOVES);
    ck_assert_uint_eq(suite->n, 5);
    ck_assert(suite->positions[0].decisive && !suite->positions[1].decisive);
    ck_assert(suite->positions[0].keeps[3] && !suite->positions[0].keeps[2]);
    ck_assert_int_eq(suite->positions[0].value, 0);
    ck_assert_int_eq(suite->positions[1].value, -1);
    ck_assert_int_eq(suite->positions[2].value, 1);
    ck_assert_str_eq(suite->positions[3].moves, "1 2 1 2 1 2");
    ck_assert(game->init(&state, "121212", NULL));
    ck_assert_mem_eq(suite->positions[3].state, &state, game->state_bytes);
    ck_assert(!suite->positions[4].keeps[1] && !suite->positions[4].decisive);
    suite_destroy(suite);
}
END_TEST

START_TEST(bad_mask_lines_are_refused_with_file_and_line)
{
    mask_refused("", "a.mask:1: no positions");
    mask_refused("2473 0 0001000\n\n", "a.mask:2: a line is");
    mask_refused("2473 0001000\n", "a.mask:1: a line is");
    mask_refused("2473\n", "a.mask:1: a line is");
    mask_refused("2473 x 0001000\n", "score \"x\"");
    mask_refused("2473 1x 0001000\n", "score \"1x\"");
    mask_refused("2473 99999999999999999999 0001000\n", "score");
    mask_refused("2473  0001000\n", "score \"\"");
    mask_refused("2473 0 000100\n", "6 characters");
    mask_refused("2473 0 00010000\n", "8 characters");
    mask_refused("2473 0 000x000\n", "'x' in the mask");
    mask_refused("2473 0 000\x01"
                 "000\n",
                 "'?' in the mask");
    mask_refused("2473 0 000.000\n", "'.' for action 3, which is legal");
    mask_refused("222222 0 1111111\n", "'1' for action 1, which is not legal");
    mask_refused("2473 0 0000000\n", "keeps the value");
    mask_refused("44 0 1111111\n2483 0 0001000\n", "a.mask:2: \"83\" (character 3 of the moves)");
    mask_refused("1212121 0 1111111\n", "the game is over behind \"1212121\"");
    refused("a.mask", "44 0 1111111\n44 0 11\00011111\n", 28, "a.mask:2: a NUL byte");
    refused("a.txt", "44 0 1111111\n", 13, "ends with .mask");
    refused("mask", "44 0 1111111\n", 13, "ends with .mask");
    refused(".mask", "44 0 1111111\n", 13, "1 to 63 characters");
    refused("a2345678901234567890123456789012345678901234567890123456789012345.mask",
            "44 0 1111111\n", 13, "1 to 63 characters");
}
END_TEST

START_TEST(value_lines_become_positions_and_bad_ones_are_refused)
{
    struct suite *suite = loaded("v.csv", "moves,value\n44,W\n,D\n4 5,L\n");
    ck_assert_int_eq(suite->kind, SUITE_VALUES);
    ck_assert_uint_eq(suite->n, 3);
    ck_assert_int_eq(suite->positions[0].value, 1);
    ck_assert_int_eq(suite->positions[1].value, 0);
    ck_assert_int_eq(suite->positions[2].value, -1);
    suite_destroy(suite);
    csv_refused("", "no positions");
    csv_refused("moves,value\n", "a.csv:1: no positions");
    csv_refused("44,W\n", "a.csv:1: the first line must be \"moves,value\"");
    csv_refused("moves,value\n44\n", "a.csv:2: a line is");
    csv_refused("moves,value\n44,X\n", "a.csv:2: the value \"X\"");
    csv_refused("moves,value\n44,W,\n", "a.csv:2: the value \"\"");
    csv_refused("moves,value\n44,WW\n", "value \"WW\"");
    csv_refused("moves,value\n4,4,W\n", "\",4\" (character 2");
    csv_refused("moves,value\n4444444,W\n", "character 7");
}
END_TEST

START_TEST(cut_off_anywhere_a_file_is_refused_or_a_prefix)
{
    static const char text[] = "2473 0 0001000\n44 -3 1111111\n";
    for (size_t size = 0; size < sizeof text - 1; size++) {
        struct suite *suite = NULL;
        struct error err = {""};
        int r = load("a.mask", text, size, &suite, &err);
        bool whole_lines = size == 14 || size == 15 || size == 28;
        ck_assert_msg(r == (whole_lines ? 0 : ERROR_INVALID), "%zu bytes: %s", size, err.text);
        suite_destroy(suite);
    }
}
END_TEST

START_TEST(missing_files_are_not_found)
{
    struct suite *suite = NULL;
    struct error err = {""};
    ck_assert_int_eq(suite_load("/nowhere/x.mask", game_find("connect4"), &suite, &err),
                     ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "/nowhere/x.mask: No such file"));
    char path[128];
    path_of("folder.mask", path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(suite_load(path, game_find("connect4"), &suite, &err), ERROR_IO);
    ck_assert_int_eq(rmdir(path), 0);
    struct game big = *game_find("connect4");
    big.n_actions = 65;
    write_file("b.mask", "44 0 1111111\n", 13);
    path_of("b.mask", path);
    ck_assert_int_eq(suite_load(path, &big, &suite, &err), ERROR_UNSUPPORTED);
    ck_assert_int_eq(unlink(path), 0);
    suite_destroy(NULL);
}
END_TEST

START_TEST(shipped_suites_load)
{
    struct suite *suite = NULL;
    struct error err = {""};
    const struct game *game = game_find("connect4");
    ck_assert_msg(suite_load(SOURCE_DIR "/etc/suites/connect4.mask", game, &suite, &err) == 0, "%s",
                  err.text);
    ck_assert_uint_eq(suite->n, 1000);
    ck_assert_str_eq(suite->name, "connect4");
    suite_destroy(suite);
    ck_assert_msg(suite_load(SOURCE_DIR "/etc/suites/connect4-values.csv", game, &suite, &err) == 0,
                  "%s", err.text);
    ck_assert_uint_eq(suite->n, 3000);
    suite_destroy(suite);
}
END_TEST

static struct player *player_of(enum net_value_head value, double size)
{
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, value, 31, size);
    struct player *player = NULL;
    struct error err;
    ck_assert_msg(player_create(game, net, 8, 0, &player, &err) == 0, "%s", err.text);
    net_destroy(net);
    return player;
}

static struct suite_result judged(const struct suite *suite, struct player *player, uint32_t nodes,
                                  uint16_t *actions)
{
    struct suite_result result;
    struct error err = {""};
    ck_assert_msg(suite_run(suite, player, &search_params_default, nodes, &result, actions, NULL,
                            NULL, &err) == 0,
                  "%s", err.text);
    return result;
}

/* All priors alike: it plays the lowest legal action, and says an even game. */
START_TEST(uniform_net_is_judged_by_hand)
{
    struct player *player = player_of(NET_VALUE_WDL, 0);
    struct suite *moves = loaded("m.mask", "44 1 1000000\n"     /* right */
                                           "45 0 0111111\n"     /* a decisive mistake */
                                           "46 -1 1111111\n"    /* cannot go wrong */
                                           "111111 0 .000001\n" /* plays 2, a mistake */
                                           "47 1 1111110\n");
    uint16_t actions[5];
    struct suite_result result = judged(moves, player, 0, actions);
    ck_assert_uint_eq(result.n, 5);
    ck_assert_uint_eq(result.n_decisive, 4);
    ck_assert_double_eq(result.mistakes, 2.0 / 5);
    ck_assert_double_eq(result.mistakes_decisive, 2.0 / 4);
    ck_assert(isnan(result.value_accuracy) && isnan(result.value_brier) &&
              isnan(result.value_cross_entropy));
    ck_assert_uint_eq(result.evaluations, 5);
    ck_assert(result.seconds > 0 && result.seconds < 10);
    ck_assert_uint_eq(actions[0], 0);
    ck_assert_uint_eq(actions[3], 1);
    suite_destroy(moves);

    struct suite *quiet = loaded("q.mask", "44 1 1111111\n");
    result = judged(quiet, player, 0, NULL);
    ck_assert_double_eq(result.mistakes, 0);
    ck_assert(isnan(result.mistakes_decisive));
    suite_destroy(quiet);

    struct suite *values = loaded("v.csv", "moves,value\n44,W\n45,D\n46,L\n47,W\n");
    result = judged(values, player, 0, NULL);
    ck_assert_double_eq_tol(result.value_brier, 2.0 / 3, 1e-6); /* (2/3)^2 + 2 (1/3)^2 */
    ck_assert_double_eq_tol(result.value_cross_entropy, log(3), 1e-6);
    ck_assert(isnan(result.mistakes) && isnan(result.mistakes_decisive));
    ck_assert_uint_eq(result.n_decisive, 0);
    suite_destroy(values);
    player_destroy(player);

    player =
        player_of(NET_VALUE_SCALAR, 0); /* q = 0, d = 0: (1/2, 0, 1/2), so a draw is unthinkable */
    values = loaded("v.csv", "moves,value\n44,W\n45,D\n46,L\n47,W\n");
    result = judged(values, player, 0, NULL);
    ck_assert_double_eq(result.value_accuracy, 0.5); /* win goes first */
    ck_assert_double_eq_tol(result.value_brier, (3 * 0.5 + 1.5) / 4, 1e-9);
    ck_assert_double_eq_tol(result.value_cross_entropy, (3 * log(2) - log(1e-6)) / 4, 1e-9);
    suite_destroy(values);
    player_destroy(player);
}
END_TEST

/* _i: nodes. The same from the results of the searches, one by one. */
START_TEST(metrics_are_those_of_the_searches_one_by_one)
{
    enum { N = 60 };
    const struct game *game = game_find("connect4");
    struct player *player = player_of(NET_VALUE_WDL, 1);
    struct suite *suites[2] = {NULL, NULL};
    struct error err;
    static struct search_result results[N];
    const void *states[N];
    uint16_t actions[N];
    ck_assert_int_eq(suite_load(SOURCE_DIR "/etc/suites/connect4.mask", game, &suites[0], &err), 0);
    ck_assert_int_eq(
        suite_load(SOURCE_DIR "/etc/suites/connect4-values.csv", game, &suites[1], &err), 0);
    for (int s = 0; s < 2; s++) {
        uint32_t whole = suites[s]->n;
        suites[s]->n = N;
        for (uint32_t i = 0; i < N; i++) {
            states[i] = suites[s]->positions[i].state;
        }
        struct suite_result result = judged(suites[s], player, (uint32_t)_i, actions);
        ck_assert_int_eq(player_search(player, &search_params_default, (uint32_t)_i, states, N,
                                       results, NULL, NULL, &err),
                         0);
        double wrong = 0;
        double wrong_decisive = 0;
        double decisive = 0;
        double right = 0;
        double brier = 0;
        double nats = 0;
        for (uint32_t i = 0; i < N; i++) {
            const struct suite_position *position = &suites[s]->positions[i];
            ck_assert_uint_eq(actions[i], results[i].best_action);
            double q = (double)results[i].q;
            double d = (double)results[i].d;
            double win = (1 - d + q) / 2;
            double loss = (1 - d - q) / 2;
            double truth[3] = {position->value > 0, position->value == 0, position->value < 0};
            wrong += !position->keeps[actions[i]];
            decisive += position->decisive;
            wrong_decisive += position->decisive && !position->keeps[actions[i]];
            brier += pow(win - truth[0], 2) + pow(d - truth[1], 2) + pow(loss - truth[2], 2);
            nats -= log(fmax(win * truth[0] + d * truth[1] + loss * truth[2], 1e-6));
            right += win >= d && win >= loss ? truth[0] : d >= loss ? truth[1] : truth[2];
        }
        if (s == 0) {
            ck_assert_double_eq_tol(result.mistakes, wrong / N, 1e-12);
            ck_assert_double_eq_tol(result.mistakes_decisive, wrong_decisive / decisive, 1e-12);
            ck_assert_uint_eq(result.n_decisive, (uint32_t)decisive);
            ck_assert(wrong > 0 && wrong < N);
        } else {
            ck_assert_double_eq_tol(result.value_accuracy, right / N, 1e-12);
            ck_assert_double_eq_tol(result.value_brier, brier / N, 1e-12);
            ck_assert_double_eq_tol(result.value_cross_entropy, nats / N, 1e-12);
        }
        suites[s]->n = whole;
        suite_destroy(suites[s]);
    }
    player_destroy(player);
}
END_TEST

/* Even the uniform net finds wins and blocks with a search; alone it plays the lowest action. */
START_TEST(search_sees_what_the_net_alone_does_not)
{
    struct player *player = player_of(NET_VALUE_WDL, 0);
    struct suite *suite = loaded("t.mask", "414141 18 0001000\n" /* four in column 4 */
                                           "12131 0 1000000\n"); /* must block column 1 */
    struct suite_result alone = judged(suite, player, 0, NULL);
    struct suite_result searched = judged(suite, player, 200, NULL);
    ck_assert_double_eq(alone.mistakes, 0.5); /* column 1 is the block by chance */
    ck_assert_double_eq(searched.mistakes, 0);
    suite_destroy(suite);
    player_destroy(player);
}
END_TEST

static bool stop_now(void *context)
{
    (void)context;
    return true;
}

START_TEST(stopped_it_names_the_suite)
{
    struct player *player = player_of(NET_VALUE_WDL, 1);
    struct suite *suite = loaded("stopped.mask", "44 1 1111111\n");
    struct suite_result result = {.n = 77};
    struct error err = {""};
    ck_assert_int_eq(
        suite_run(suite, player, &search_params_default, 50, &result, NULL, stop_now, NULL, &err),
        ERROR_CANCELLED);
    ck_assert_ptr_nonnull(strstr(err.text, "suite stopped: stopped"));
    ck_assert_uint_eq(result.n, 77);
    suite_destroy(suite);
    player_destroy(player);
}
END_TEST

static void tear_down(void)
{
    (void)rmdir(folder);
}

int main(void)
{
    TCase *cases = tcase_create("suite");
    tcase_set_timeout(cases, 60);
    tcase_add_unchecked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, mask_lines_become_positions);
    tcase_add_test(cases, bad_mask_lines_are_refused_with_file_and_line);
    tcase_add_test(cases, value_lines_become_positions_and_bad_ones_are_refused);
    tcase_add_test(cases, cut_off_anywhere_a_file_is_refused_or_a_prefix);
    tcase_add_test(cases, missing_files_are_not_found);
    tcase_add_test(cases, shipped_suites_load);
    tcase_add_test(cases, uniform_net_is_judged_by_hand);
    tcase_add_loop_test(cases, metrics_are_those_of_the_searches_one_by_one, 0, 1);
    tcase_add_loop_test(cases, metrics_are_those_of_the_searches_one_by_one, 40, 41);
    tcase_add_test(cases, search_sees_what_the_net_alone_does_not);
    tcase_add_test(cases, stopped_it_names_the_suite);
    Suite *suite = suite_create("suite");
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
