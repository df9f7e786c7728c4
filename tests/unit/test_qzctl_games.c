/* qzctl games, nets, show and replay as processes, on a store whose games are made up move by move. */
#include "tests/unit/qzctl_run.h"

#include "storage/policy.h"
#include "tests/unit/run_suite.h"

#include <signal.h>

/* A game of real moves: 4 4 3 3 2 2 1, won by the first player, in full searches by net 2. */
static const char won[] = "4433221";
enum { WON_GAME = SCRATCH_GAMES + 1, OPEN_GAME };

static struct record_position position_of(uint32_t ply)
{
    struct record_position position = {.ply = ply,
                                       .action = (uint16_t)(won[ply] - '1'),
                                       .best_action = (uint16_t)(won[ply] - '1'),
                                       .q = ply % 2 == 0 ? 0.5F : -0.5F,
                                       .d = 0.25F,
                                       .v = 0.125F,
                                       .v_d = 0.5F,
                                       .m = NAN,
                                       .nodes = 800,
                                       .kld = 0.5F,
                                       .proven = (int8_t)(ply == 6 ? 1 : PROVEN_NONE),
                                       .kind = ply == 3 ? POSITION_FAST : POSITION_FULL};
    struct policy_entry entries[] = {{0, 10}, {1, 20}, {2, 30}, {3, 400}, {4, 5}};
    int n = policy_encode(entries, 5, position.policy);
    ck_assert_int_gt(n, 0);
    position.policy_bytes = (uint16_t)n;
    return position;
}

static void make_games(void)
{
    struct fixture *f = &fixture;
    char sha256[RECORD_SHA256_BYTES];
    make_state();
    snprintf(sha256, sizeof sha256, "%.64s", strrchr(net_file, '/') + 1);
    fixture_reopen(&fixture, STORE_WRITE);
    for (uint64_t number = 100; number < 102; number++) {
        struct record_start start = make_start(number);
        struct record_search search = make_search(sha256);
        start.opening = "";
        start.first_side = 0;
        ck_ok(store_put_start(f->store, &start, 0, &f->err));
        for (uint32_t ply = 0; ply < (number == 100 ? 7 : 3); ply++) {
            struct record_position position = position_of(ply);
            ck_ok(store_put_position(f->store, start.uid, &search, &position, &f->err));
        }
        if (number == 100) {
            struct record_end end = make_end(7, 1, 1700000200000);
            ck_ok(store_put_end(f->store, start.uid, &end, &f->err));
        }
    }
    ck_ok(store_commit(f->store, &f->err));
    store_close(f->store);
    f->store = NULL;
}

static size_t n_games(const char *options)
{
    ck_run(0, "games --json %s", options);
    json_t *answer = object();
    size_t n = json_array_size(json_object_get(answer, "rows"));
    json_decref(answer);
    return n;
}

START_TEST(games_are_filtered_by_each_option)
{
    ck_assert_uint_eq(n_games(""), SCRATCH_GAMES + 1);
    ck_assert_uint_eq(n_games("--generation 1"), 1);
    ck_assert_uint_eq(n_games("--generation 0"), SCRATCH_GAMES);
    ck_assert_uint_eq(n_games("--generation 7"), 0);
    ck_assert_uint_eq(n_games("--net 2"), 1);
    char sha256[16];
    snprintf(sha256, sizeof sha256, "%.10s", strrchr(net_file, '/') + 1);
    char option[64];
    snprintf(option, sizeof option, "--net %s", sha256);
    ck_assert_uint_eq(n_games(option), 1);
    ck_assert_uint_eq(n_games("--result second"), SCRATCH_GAMES / 2);
    ck_assert_uint_eq(n_games("--result first"), SCRATCH_GAMES / 2 + 1);
    ck_assert_uint_eq(n_games("--result draw"), 0);
    ck_assert_uint_eq(n_games("--reason rules"), SCRATCH_GAMES + 1);
    ck_assert_uint_eq(n_games("--reason resign"), 0);
    ck_assert_uint_eq(n_games("--kind selfplay"), SCRATCH_GAMES + 1);
    ck_assert_uint_eq(n_games("--kind match"), 0);
    ck_assert_uint_eq(n_games("--max-plies 7"), 1);
    ck_assert_uint_eq(n_games("--min-plies 8"), SCRATCH_GAMES);
    ck_assert_uint_eq(n_games("--unfinished"), 1);
    ck_assert_uint_eq(n_games("--limit 2"), 2);
    ck_assert_uint_eq(n_games("--since 2023-11-01"), SCRATCH_GAMES + 1);
    ck_assert_uint_eq(n_games("--since '2023-11-30 12:00'"), 0);
    ck_assert_uint_eq(n_games("--since 1h"), 0);
    ck_assert_uint_eq(n_games("--since 100000d"), SCRATCH_GAMES + 1);
    ck_run(2, "games --result nonsense");
    ck_says("first, second, draw");
    ck_run(2, "games --since yesterday");
    ck_run(2, "games --net x");
    ck_run(2, "games more");
}
END_TEST

/* The id of the first row. */
static int first_game(const char *options)
{
    ck_run(0, "games --json --limit 1 %s", options);
    json_t *answer = object();
    json_t *row = json_array_get(json_object_get(answer, "rows"), 0);
    int id = (int)json_integer_value(json_object_get(row, "id"));
    json_decref(answer);
    return id;
}

START_TEST(games_come_in_the_order_asked_for)
{
    ck_assert_int_eq(first_game(""), WON_GAME);
    ck_assert_int_eq(first_game("--order oldest"), 1);
    ck_assert_int_eq(first_game("--order shortest"), WON_GAME);
    ck_assert_int_eq(first_game("--order longest"), SCRATCH_GAMES);
    ck_run(0, "games --limit 1");
    ck_says("selfplay    1      7  first   rules");
}
END_TEST

START_TEST(nets_are_listed_with_size_and_generation)
{
    struct stat info;
    ck_assert_int_eq(stat(net_file, &info), 0);
    ck_run(0, "nets --json");
    json_t *answer = object();
    json_t *rows = json_object_get(answer, "rows");
    ck_assert_uint_eq(json_array_size(rows), 2);
    json_t *first = json_array_get(rows, 0);
    json_t *second = json_array_get(rows, 1);
    ck_assert(json_is_null(json_object_get(first, "file_bytes"))); /* its file is not there */
    ck_assert_int_eq(json_integer_value(json_object_get(second, "file_bytes")), info.st_size);
    ck_assert_str_eq(json_string_value(json_object_get(second, "state")), "current");
    ck_assert(json_is_null(json_object_get(second, "elo")));
    json_decref(answer);
    ck_run(0, "nets --limit 1");
    ck_says("main    1  current");
    ck_run(0, "nets --line other --json");
    answer = object();
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "rows")), 0);
    json_decref(answer);
}
END_TEST

START_TEST(game_is_shown_move_by_move)
{
    ck_run(0, "show last");
    ck_says("7 plies, the first player won (rules)");
    ck_says("ply 0, first player plays 4");
    ck_says("ply 1, second player plays 4");
    ck_says("search +0.500  win 62 draw 25 loss 12 %");
    ck_says("net    +0.125  win 31 draw 50 loss 19 %");
    ck_says("visits 4 400, 3 30, 2 20, 1 10, ...");
    ck_says("800 nodes (fast)");
    ck_says("proven win");
    ck_says("z -1; net 2, generation 1");
    ck_says(". . .   the first player won\n"); /* beside the last board */
    ck_says("X X X X . . .\n");
    ck_assert_ptr_null(strchr(text, '\033')); /* no terminal */
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        ck_assert_uint_le(strlen(line), 80);
    }
    ck_run(0, "show %d --ply 2", OPEN_GAME);
    ck_says("playing");
    ck_says("ply 2, first player plays 3");
    ck_says("not over");
    ck_says("4        400    86.0");
    ck_assert_ptr_null(strstr(text, "ply 1,"));
    ck_run(1, "show %d --ply 3", OPEN_GAME);
    ck_says("3 plies");
}
END_TEST

START_TEST(game_as_json_has_moves_and_visits)
{
    ck_run(0, "show last --json");
    json_t *answer = object();
    json_t *positions = json_object_get(answer, "positions");
    ck_assert_uint_eq(json_array_size(positions), strlen(won));
    for (size_t i = 0; i < strlen(won); i++) {
        json_t *position = json_array_get(positions, i);
        json_t *policy = json_object_get(position, "policy");
        ck_assert_int_eq(json_string_value(json_object_get(position, "move"))[0], won[i]);
        ck_assert_uint_eq(json_array_size(policy), 5);
        ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(policy, 3), "visits")),
                         400);
        ck_assert_int_eq(json_integer_value(json_object_get(position, "z")), i % 2 == 0 ? 1 : -1);
    }
    json_decref(answer);
}
END_TEST

START_TEST(game_is_named_by_id_uid_its_beginning_or_last)
{
    ck_run(0, "show %032x", 101); /* the uid of game 100 */
    ck_says("7 plies");
    ck_run(0, "show %d", WON_GAME);
    ck_says("7 plies");
    ck_run(1, "show 00000000"); /* begins all of them */
    ck_says("more than one game");
    ck_run(1, "show 9999");
    ck_says("no such game");
    ck_run(1, "show nonsense");
    ck_run(2, "show");
    ck_run(2, "show 1 2");
}
END_TEST

START_TEST(game_with_an_illegal_move_is_told)
{
    struct fixture *f = &fixture;
    fixture_reopen(f, STORE_WRITE);
    ck_assert_int_eq(sqlite3_exec(store_handle(f->store),
                                  "UPDATE positions SET action = 9 WHERE game_id = 7 AND ply = 2",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    store_close(f->store);
    f->store = NULL;
    ck_run(1, "show 7");
    ck_says("ply 2: action 9 is not legal there");
    ck_run(1, "show 7 --json");
}
END_TEST

/* How often `part` stands in the output. */
static int times(const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        n++;
    }
    return n;
}

START_TEST(person_plays_through_a_pipe_with_undo_hint_and_new)
{
    ck_run(0, "play --nodes 50 <<'EOF'\n4\nundo\nhint\n8\n\nnew\nEOF\n");
    ck_says("You are the first player");
    ck_says("The net plays");
    ck_says("You might play");
    ck_says("\"8\" is no move here");
    ck_assert_int_eq(times("1 2 3 4 5 6 7"), 4); /* begin, 4, undo, new */
    ck_run(0, "play --nodes 50 --second 44 < /dev/null");
    ck_assert_int_eq(times("The net plays"), 1);
    ck_says("search ");
    ck_says("net    ");
    ck_says("visits ");
    ck_run(0, "play --nodes 0 --second <<'EOF'\nundo\nswap\nquit\n4\nEOF\n");
    ck_says("no move of yours");
    ck_says("likes  ");
    ck_assert_int_eq(times("1 2 3 4 5 6 7"), 2); /* nothing behind quit */
}
END_TEST

START_TEST(game_that_is_over_is_told_and_can_be_taken_back)
{
    ck_run(0, "play --nodes 100 414243 <<'EOF'\n4\n1\nundo\nEOF\n"); /* 4 wins */
    ck_says("You have won.");
    ck_says("The game is over: undo, new or quit.");
    ck_assert_int_eq(times("1 2 3 4 5 6 7"), 3);
    ck_run(0, "play --nodes 100 --second 414243 <<'EOF'\nhint\nEOF\n");
    ck_says("The net plays 4 (a proven win)");
    ck_says("The net has won.");
    ck_says("The game is over.");
    ck_run(1, "play 48 < /dev/null");
    ck_run(1, "play --net nonsense < /dev/null");
    ck_run(2, "play --json < /dev/null");
    ck_run(2, "play 4 4 < /dev/null");
}
END_TEST

START_TEST(interrupt_while_it_waits_for_a_move_ends_the_game_cleanly)
{
    int in[2];
    int out[2];
    size_t n = 0;
    int status = 0;
    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(pipe(out), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        execl(QZCTL, QZCTL, "play", "--state", fixture.folder, "--nodes", "2", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    text[0] = '\0';
    while (strstr(text, "1 2 3 4 5 6 7\n") == NULL) { /* it waits, or is about to */
        ssize_t r = read(out[0], text + n, 1);
        ck_assert_int_eq(r, 1);
        text[++n] = '\0';
    }
    ck_assert_int_eq(kill(pid, SIGINT), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(in[0]);
    close(in[1]);
    close(out[0]);
}
END_TEST

START_TEST(replay_says_what_it_cannot_replay)
{
    ck_run(2, "replay");
    ck_run(2, "replay --all 7");
    ck_run(2, "replay --last 0");
    ck_run(1, "replay 9999");
    ck_says("no such game");
    ck_run(1, "replay %d", OPEN_GAME);
    ck_says("no finished game");
    ck_run(1, "replay 1"); /* its settings are none */
    ck_says("search settings");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qzctl_games");
    TCase *games = tcase_create("games");
    tcase_set_timeout(games, 120);
    tcase_add_checked_fixture(games, make_games, remove_state);
    tcase_add_test(games, games_are_filtered_by_each_option);
    tcase_add_test(games, games_come_in_the_order_asked_for);
    tcase_add_test(games, nets_are_listed_with_size_and_generation);
    tcase_add_test(games, game_is_shown_move_by_move);
    tcase_add_test(games, game_as_json_has_moves_and_visits);
    tcase_add_test(games, game_is_named_by_id_uid_its_beginning_or_last);
    tcase_add_test(games, game_with_an_illegal_move_is_told);
    tcase_add_test(games, person_plays_through_a_pipe_with_undo_hint_and_new);
    tcase_add_test(games, game_that_is_over_is_told_and_can_be_taken_back);
    tcase_add_test(games, interrupt_while_it_waits_for_a_move_ends_the_game_cleanly);
    tcase_add_test(games, replay_says_what_it_cannot_replay);
    suite_add_tcase(suite, games);
    return run_suite(suite);
}
