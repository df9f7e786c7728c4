/* The real qzctl as a process: on a state directory without a daemon, and with one (in a thread of this test). */
#include "daemon/lock.h"
#include "tests/unit/http_server.h"
#include "tests/unit/qzctl_run.h"
#include "tests/unit/run_suite.h"

#define VALUES SOURCE_DIR "/etc/suites/connect4-values.csv"

/* ---- without a daemon ---- */

START_TEST(looking_works_without_a_daemon)
{
    ck_run(0, "status");
    ck_says("running:");
    ck_says("connect4");
    ck_run(0, "status --json");
    json_t *status = object();
    ck_assert(json_is_false(json_object_get(status, "running")));
    ck_assert_int_eq(json_integer_value(json_object_get(status, "games")), SCRATCH_GAMES);
    json_decref(status);

    ck_run(0, "progress");
    ck_says("mistakes%");
    ck_says("25.0");
    ck_run(0, "progress --all");
    ck_says("first_player_score");
    ck_run(0, "progress --json");
    json_t *progress = object();
    ck_assert_uint_eq(json_array_size(json_object_get(progress, "rows")), 2);
    json_decref(progress);

    ck_run(0, "events --n 1");
    ck_says("detail 3");
    ck_assert_ptr_null(strstr(text, "detail 2"));
    ck_run(0, "check");
    ck_says("tallies:   ok");
}
END_TEST

START_TEST(sql_prints_tables_csv_and_json)
{
    ck_run(0, "sql 'SELECT 1 AS a, NULL AS b, 0.1 AS c'");
    ck_assert_str_eq(text, "a  b    c\n-  -  ---\n1     0.1\n");
    ck_run(0, "sql --csv \"SELECT 'x,y' AS a, 1e-7 AS b\"");
    ck_assert_str_eq(text, "a,b\r\n\"x,y\",1e-07\r\n");
    ck_run(0, "sql --json 'SELECT 9007199254740993 AS a'");
    ck_assert_str_eq(text,
                     "{\"columns\":[\"a\"],\"rows\":[\n[9007199254740993]],\"truncated\":false}\n");
    ck_run(0, "sql 'SELECT policy_json(policy) AS p FROM positions LIMIT 1'");
    ck_says("[{\"action\":");
    ck_run(0, "sql --max-rows 2 'SELECT ply FROM positions'");
    ck_says("more than these 2 rows");
    ck_run(1, "sql 'SELECT nonsense'");
    ck_says("no such column: nonsense");
    ck_run(1, "sql 'DELETE FROM games'");
    ck_says("refused");
    ck_run(2, "sql --max-rows 0 'SELECT 1'");
    ck_run(2, "sql --csv --json 'SELECT 1'");
    ck_run(2, "sql SELECT 1");
}
END_TEST

START_TEST(sql_reads_statements_from_standard_input)
{
    ck_run(0, "sql --csv <<'EOF'\nSELECT 1 AS a; SELECT ';' AS b;\nSELECT\n 2 AS c\nEOF\n");
    ck_assert_str_eq(text, "a\r\n1\r\nb\r\n;\r\nc\r\n2\r\n");
    ck_run(1, "sql --csv <<'EOF'\nSELECT 1 AS a; SELECT nonsense; SELECT 3 AS c;\nEOF\n");
    ck_assert_ptr_null(strstr(text, "c\r\n3")); /* stops at what fails */
    ck_run(0, "sql < /dev/null");
}
END_TEST

START_TEST(exit_codes_are_those_of_the_help)
{
    static const char *const telling[] = {"pause", "resume", "train", "reload", "stop"};
    for (size_t i = 0; i < sizeof telling / sizeof *telling; i++) {
        ck_run(3, "%s", telling[i]);
        ck_says("no daemon runs");
    }
    ck_run(2, "nonsense");
    ck_run(2, "status --nonsense");
    ck_run(2, "status more");
    ck_run(2, "analyse");
    ck_run(2, "analyse --nodes 1 44");
    ck_run(2, "suite --nodes 0");
    ck_run(2, "suite " VALUES); /* --nodes is needed */
    ck_run(2, "bench 3");
    ck_run(2, "bench --seconds 0");
    ck_run(1, "bench --config /nowhere.yaml");
    ck_run(3, "status --state /nowhere/at/all");
    ck_says("no store");
    ck_run(3, "status --socket /nowhere/at/all.sock");
    ck_run(0, "--version");
}
END_TEST

START_TEST(every_command_has_a_help_with_an_example)
{
    ck_run(0, "--help");
    char *all = strdup(text);
    char *rest = strstr(all, "Commands:\n");
    ck_assert_ptr_nonnull(rest);
    rest = strchr(rest, '\n') + 1;
    int n = 0;
    for (char *line; *rest != '\n' && (line = strsep(&rest, "\n")) != NULL; n++) {
        char name[32];
        ck_assert_int_eq(sscanf(line, "  %31s ", name), 1);
        ck_run(0, "%s --help", name);
        ck_says("Example");
        ck_says("Usage: qzctl ");
    }
    ck_assert_int_gt(n, 12);
    free(all);
}
END_TEST

START_TEST(state_directory_comes_from_the_environment_too)
{
    char command[512];
    snprintf(command, sizeof command, "QZD_STATE=%s %s sql --csv 'SELECT count(*) AS n FROM games'",
             fixture.folder, QZCTL);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    text[fread(text, 1, sizeof text - 1, pipe)] = '\0';
    ck_assert_int_eq(pclose(pipe), 0);
    ck_assert_str_eq(text, "n\r\n6\r\n");
}
END_TEST

/* ---- the net ---- */

static double sum_of(json_t *moves, const char *key)
{
    double sum = 0;
    size_t i;
    json_t *move;
    json_array_foreach(moves, i, move)
    {
        sum += json_number_value(json_object_get(move, key));
    }
    return sum;
}

START_TEST(analysis_finds_the_win_and_its_numbers_add_up)
{
    ck_run(0, "analyse --json --nodes 100 414243"); /* three in column 4: 4 wins */
    json_t *answer = object();
    ck_assert_str_eq(json_string_value(json_object_get(answer, "best")), "4");
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "proven")), 1);
    ck_assert_int_eq(
        json_integer_value(json_object_get(json_object_get(answer, "net"), "generation")), 1);
    json_decref(answer);

    ck_run(0, "analyse --json --nodes 100 44");
    answer = object();
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "nodes")), 100);
    ck_assert_int_eq((int)sum_of(json_object_get(answer, "moves"), "visits"), 99);
    ck_assert(fabs(sum_of(json_object_get(answer, "moves"), "prior") - 1) < 1e-4);
    ck_assert_uint_ge(json_array_size(json_object_get(answer, "line")), 2);
    json_decref(answer);

    ck_run(0, "analyse --json --nodes 0 44");
    answer = object();
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "nodes")), 0);
    ck_assert(json_equal(json_object_get(answer, "q"), json_object_get(answer, "v")));
    json_decref(answer);
}
END_TEST

START_TEST(net_is_named_by_file_id_or_sha256)
{
    char sha256[16];
    snprintf(sha256, sizeof sha256, "%.10s", strrchr(net_file, '/') + 1);
    ck_run(0, "analyse --nodes 0 --json ''");
    char *current = strdup(text);
    ck_run(0, "analyse --nodes 0 --json --net 2 ''");
    ck_assert_str_eq(text, current);
    ck_run(0, "analyse --nodes 0 --json --net %s ''", sha256);
    ck_assert_str_eq(text, current);
    ck_run(0, "analyse --nodes 0 --net %s ''", net_file);
    ck_says("net alone");
    ck_says(sha256);
    ck_run(1, "analyse --nodes 0 --net 99 ''");
    ck_run(1, "analyse --nodes 0 --net nonsense ''");
    ck_run(1, "analyse --nodes 0 --net 1 ''"); /* generation 0: its file is not there */
    ck_run(1, "analyse --nodes 0 --net %s ''", fixture.path);
    free(current);
}
END_TEST

START_TEST(batch_gives_a_line_for_a_line_equal_to_single_answers)
{
    ck_run(1, "analyse --nodes 20 --batch - <<'EOF'\n44\n\n48\n4455\n4141414\nEOF\n");
    char *lines = strdup(text);
    char *rest = NULL;
    char *line[5];
    for (int i = 0; i < 5; i++) {
        line[i] = strtok_r(i == 0 ? lines : NULL, "\n", &rest);
        ck_assert_ptr_nonnull(line[i]);
    }
    ck_assert_ptr_nonnull(strstr(line[2], "\"error\"")); /* there is no column 8 */
    ck_assert_ptr_nonnull(strstr(line[4], "\"over\": true"));
    ck_run(0, "analyse --nodes 20 --json 44");
    text[strcspn(text, "\n")] = '\0';
    ck_assert_str_eq(line[0], text);
    ck_run(0, "analyse --nodes 20 --json ''");
    text[strcspn(text, "\n")] = '\0';
    ck_assert_str_eq(line[1], text);
    free(lines);
    ck_run(1, "analyse --batch /nowhere");
}
END_TEST

START_TEST(batch_of_more_lines_than_go_side_by_side_keeps_their_order)
{
    ck_run(0, "analyse --nodes 0 --batch - < /dev/null");
    ck_assert_str_eq(text, "");
    char positions[256];
    char command[1024];
    char line[256];
    snprintf(positions, sizeof positions, "%s/positions", fixture.folder);
    snprintf(command, sizeof command, "head -101 %s | tail -100 | cut -d, -f1 > %s", VALUES,
             positions);
    ck_assert_int_eq(system(command), 0);
    ck_run(0, "analyse --nodes 0 --batch %s", positions);
    FILE *in = fopen(positions, "r");
    ck_assert_ptr_nonnull(in);
    char *rest = text;
    int n = 0;
    while (fgets(line, sizeof line, in) != NULL) {
        char *answer = strsep(&rest, "\n");
        ck_assert_ptr_nonnull(answer);
        json_t *parsed = json_loads(answer, 0, NULL);
        line[strcspn(line, "\n")] = '\0';
        ck_assert_str_eq(json_string_value(json_object_get(parsed, "position")), line);
        json_decref(parsed);
        n++;
    }
    fclose(in);
    ck_assert_int_eq(n, 100);
    ck_assert_str_eq(rest, "");
}
END_TEST

/* The first 40 positions of a file of the shipped suites, under its ending. */
static void cut_suite(const char *name, char ret_path[256])
{
    char command[1024];
    snprintf(ret_path, 256, "%s/nets/%s", fixture.folder, name);
    snprintf(command, sizeof command, "head -41 %s/etc/suites/%s > %s", SOURCE_DIR, name, ret_path);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(suite_counts_the_mistakes_of_the_moves_that_it_writes)
{
    char path[256];
    char moves[256];
    char line[256];
    cut_suite("connect4.mask", path);
    snprintf(moves, sizeof moves, "%s/moves", fixture.folder);
    ck_run(0, "suite --nodes 0 --json --moves-out %s %s", moves, path);
    json_t *answer = object();
    FILE *suite = fopen(path, "r");
    FILE *chosen = fopen(moves, "r");
    int n = 0;
    int mistakes = 0;
    int decisive = 0;
    while (fgets(line, sizeof line, suite) != NULL) {
        const char *mask = strrchr(line, ' ') + 1;
        char move[16];
        ck_assert_ptr_nonnull(fgets(move, sizeof move, chosen));
        long column = strtol(move, NULL, 10);
        ck_assert(mask[column - 1] == '0' || mask[column - 1] == '1');
        n++;
        mistakes += mask[column - 1] == '0';
        decisive += strchr(mask, '0') != NULL;
    }
    fclose(suite);
    fclose(chosen);
    unlink(path);
    double share = (double)mistakes / n;
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "n")), n);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "n_decisive")), decisive);
    ck_assert_int_gt(mistakes, 0);
    ck_assert(fabs(json_real_value(json_object_get(answer, "mistakes")) - share) < 1e-7);
    ck_assert(fabs(json_real_value(json_object_get(answer, "mistakes_error")) -
                   sqrt(share * (1 - share) / n)) < 1e-7);
    ck_assert(fabs(json_real_value(json_object_get(answer, "mistakes_decisive")) -
                   (double)mistakes / decisive) < 1e-7);
    json_decref(answer);
}
END_TEST

START_TEST(suite_with_search_makes_fewer_mistakes)
{
    char path[256];
    cut_suite("connect4.mask", path);
    ck_run(0, "suite --nodes 0 --json %s", path);
    json_t *alone = object();
    ck_run(0, "suite --nodes 300 --json %s", path);
    json_t *search = object();
    ck_assert(json_real_value(json_object_get(search, "mistakes")) <
              json_real_value(json_object_get(alone, "mistakes")));
    json_decref(alone);
    json_decref(search);
    ck_run(0, "suite --nodes 2 %s", path);
    ck_says("mistakes, decisive:");
    unlink(path);
}
END_TEST

START_TEST(bench_measures_what_runs_here_and_leaves_nothing_behind)
{
    char config[256];
    snprintf(config, sizeof config, "%s/small.yaml", fixture.folder);
    FILE *file = fopen(config, "w");
    ck_assert_ptr_nonnull(file);
    fputs("network: {blocks: 1, filters: 8}\nsearch: {nodes: 8}\nselfplay: {cache_entries: 1000}\n",
          file);
    fclose(file);
    ck_run(0, "bench --json --seconds 1 --config %s", config);
    json_t *answer = object();
    const json_t *figure = NULL;
    unsigned evaluations = 0;
    unsigned positions = 0;
    unsigned store = 0;
    unsigned trainings = 0;
    size_t i;
    json_array_foreach(json_object_get(answer, "figures"), i, figure)
    {
        const char *what = json_string_value(json_object_get(figure, "what"));
        ck_assert_ptr_nonnull(what);
        ck_assert_msg(json_real_value(json_object_get(figure, "value")) > 0, "%s", what);
        evaluations += strcmp(what, "evaluations") == 0 ? 1 : 0;
        positions += strcmp(what, "self-play positions") == 0 ? 1 : 0;
        store += strstr(what, "of one position") != NULL ? 1 : 0;
        trainings += strcmp(what, "training samples") == 0 ? 1 : 0;
    }
    ck_assert_uint_ge(evaluations, 5); /* the plain kernel runs everywhere, five batches */
    ck_assert_uint_ge(positions, 3);
    ck_assert_uint_eq(store, 1);
    ck_assert_uint_ge(trainings, 1);
    json_decref(answer);
    ck_run(0, "bench --seconds 1 --config %s", config);
    ck_says("plain fp32, batch 64");
    ck_says("selfplay.games_per_worker: ");
    unlink(config);
    char list[300];
    snprintf(list, sizeof list, "ls -d %s/qzd-bench-* 2>/dev/null", fixture.folder);
    ck_assert_int_ne(system(list), 0); /* there is none */
}
END_TEST

START_TEST(value_suite_gives_three_measures)
{
    char path[256];
    cut_suite("connect4-values.csv", path);
    ck_run(0, "suite --nodes 0 %s", path);
    ck_says("accuracy:");
    ck_says("Brier score:");
    ck_run(0, "suite --nodes 0 --json %s", path);
    json_t *answer = object();
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "n")), 40);
    ck_assert(json_real_value(json_object_get(answer, "value_cross_entropy")) > 0);
    json_decref(answer);
    unlink(path);
    ck_run(1, "suite --nodes 0 /nowhere.mask");
}
END_TEST

/* ---- with a daemon ---- */

static struct http_server server;
static struct lock *lock;

static void start_daemon(void)
{
    char socket[128];
    struct error err = {""};
    server_start(&server, fixture.folder, fixture.path);
    snprintf(socket, sizeof socket, "%s", server.socket);
    ck_assert_msg(lock_take(fixture.folder, socket, &lock, &err) == 0, "%s", err.text);
}

static void stop_daemon(void)
{
    lock_release(lock);
    server_stop(&server);
}

START_TEST(daemon_is_found_by_its_state_directory)
{
    ck_run(0, "status --json");
    json_t *status = object();
    ck_assert_int_eq(json_integer_value(json_object_get(status, "generation")),
                     7); /* its own word */
    ck_assert(json_is_true(json_object_get(status, "running")));
    json_decref(status);
    ck_run(0, "status");
    ck_says("playing");
    ck_run(0, "sql --csv 'SELECT count(*) AS n FROM games'");
    ck_assert_str_eq(text, "n\r\n6\r\n");
    ck_run(1, "sql 'SELECT nonsense'");
    ck_says("no such column");
    ck_run(0, "progress");
    ck_run(0, "events");
    ck_run(0, "check");
    ck_run(0, "status --state /nowhere --socket %s", server.socket);
}
END_TEST

START_TEST(commands_reach_the_daemon_and_refusals_are_told)
{
    char by[64];
    ck_run(0, "pause");
    ck_says("so be it");
    ck_assert_str_eq(server.command, "pause");
    snprintf(by, sizeof by, "qzctl uid %u", getuid());
    ck_assert_str_eq(server.by, by);
    ck_run(0, "resume --json");
    json_decref(object());
    ck_run(4, "reload");
    ck_assert_str_eq(text, "a.yaml:3:7: no\nb.yaml:4:1: never\n"); /* as an editor wants them */
    ck_run(4, "train");
    ck_says("a training runs");
}
END_TEST

START_TEST(store_is_read_where_the_daemon_does_not_answer)
{
    struct error err = {""};
    struct lock *held = NULL;
    ck_assert_int_eq(lock_take(fixture.folder, "/nowhere/at/all.sock", &held, &err), 0);
    ck_run(0, "sql 'SELECT 17'");
    ck_says("17");
    ck_says("reading the store itself");
    ck_run(3, "pause");
    lock_release(held);
}
END_TEST

static void add_life(Suite *suite)
{
    TCase *without = tcase_create("without");
    TCase *with = tcase_create("with");
    tcase_set_timeout(without, 120);
    tcase_set_timeout(with, 120);
    tcase_add_unchecked_fixture(without, make_state, remove_state);
    tcase_add_test(without, looking_works_without_a_daemon);
    tcase_add_test(without, sql_prints_tables_csv_and_json);
    tcase_add_test(without, sql_reads_statements_from_standard_input);
    tcase_add_test(without, exit_codes_are_those_of_the_help);
    tcase_add_test(without, every_command_has_a_help_with_an_example);
    tcase_add_test(without, state_directory_comes_from_the_environment_too);
    tcase_add_test(without, store_is_read_where_the_daemon_does_not_answer);
    tcase_add_unchecked_fixture(with, make_state, remove_state);
    tcase_add_checked_fixture(with, start_daemon, stop_daemon);
    tcase_add_test(with, daemon_is_found_by_its_state_directory);
    tcase_add_test(with, commands_reach_the_daemon_and_refusals_are_told);
    suite_add_tcase(suite, without);
    suite_add_tcase(suite, with);
}

int main(void)
{
    Suite *suite = suite_create("qzctl");
    TCase *nets = tcase_create("nets");
    add_life(suite);
    tcase_set_timeout(nets, 120);
    tcase_add_unchecked_fixture(nets, make_state, remove_state);
    tcase_add_test(nets, analysis_finds_the_win_and_its_numbers_add_up);
    tcase_add_test(nets, net_is_named_by_file_id_or_sha256);
    tcase_add_test(nets, batch_gives_a_line_for_a_line_equal_to_single_answers);
    tcase_add_test(nets, batch_of_more_lines_than_go_side_by_side_keeps_their_order);
    tcase_add_test(nets, suite_counts_the_mistakes_of_the_moves_that_it_writes);
    tcase_add_test(nets, suite_with_search_makes_fewer_mistakes);
    tcase_add_test(nets, value_suite_gives_three_measures);
    tcase_add_test(nets, bench_measures_what_runs_here_and_leaves_nothing_behind);
    suite_add_tcase(suite, nets);
    return run_suite(suite);
}
