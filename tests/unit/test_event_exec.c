#include "daemon/event_exec.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Real commands, real time: scripts of /bin/sh in a scratch folder. */
static struct scene {
    char folder[64];
    char script[96], said[96]; /* the command; what it writes */
    uv_loop_t loop;
    struct event_exec *exec;
    char troubles[32][1024];
    uint32_t n_troubles;
} scene;

static void take_trouble(const char *text, void *context)
{
    struct scene *s = context;

    ck_assert_uint_lt(s->n_troubles, 32);
    (void)snprintf(s->troubles[s->n_troubles++], sizeof(s->troubles[0]), "%s", text);
}

static void setup(void)
{
    const struct event_exec_callbacks callbacks = {.trouble = take_trouble, .context = &scene};

    memset(&scene, 0, sizeof(scene));
    (void)snprintf(scene.folder, sizeof(scene.folder), "/tmp/qzd-exec-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scene.folder));
    (void)snprintf(scene.script, sizeof(scene.script), "%s/script", scene.folder);
    (void)snprintf(scene.said, sizeof(scene.said), "%s/said", scene.folder);
    ck_assert_int_eq(uv_loop_init(&scene.loop), 0);
    scene.exec = event_exec_create(&scene.loop, &callbacks);
    ck_assert_ptr_nonnull(scene.exec);
}

static void teardown(void)
{
    event_exec_close(scene.exec);
    ck_assert_int_eq(uv_run(&scene.loop, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(uv_loop_close(&scene.loop), 0);
    (void)unlink(scene.script);
    (void)unlink(scene.said);
    (void)rmdir(scene.folder);
}

/* Make the script, and the command with one more argument. %s in the body is the file to write to. */
static void use_script(const char *body, const char *argument, uint32_t seconds)
{
    struct config_command command = {.n = 2};
    FILE *file = fopen(scene.script, "w");

    ck_assert_ptr_nonnull(file);
    (void)fprintf(file, "#!/bin/sh\nout=%s\n%s\n", scene.said, body);
    (void)fclose(file);
    (void)snprintf(command.argument[0], CONFIG_MAX_ARGUMENT, "/bin/sh");
    (void)snprintf(command.argument[1], CONFIG_MAX_ARGUMENT, "%s", scene.script);
    if (argument != NULL) {
        (void)snprintf(command.argument[command.n++], CONFIG_MAX_ARGUMENT, "%s", argument);
    }
    event_exec_set(scene.exec, &command, seconds);
}

static void put(const char *what, const char *detail)
{
    const struct event_exec_event event = {.at = 1700000000123,
                                           .severity = "error",
                                           .what = what,
                                           .detail = detail,
                                           .generation = 7,
                                           .state_dir = "/var/lib/qzd"};

    event_exec_put(scene.exec, &event);
}

/* Run the loop until nothing is open any more: no command runs and none waits. */
static void run_out(void)
{
    (void)uv_run(&scene.loop, UV_RUN_DEFAULT);
}

static const char *said(void)
{
    static char text[8192];
    FILE *file = fopen(scene.said, "r");
    size_t n = file == NULL ? 0 : fread(text, 1, sizeof(text) - 1, file);

    text[n] = '\0';
    if (file != NULL) {
        (void)fclose(file);
    }
    return text;
}

static double seconds_of(void (*act)(void))
{
    uint64_t begin = uv_hrtime();

    act();
    return (double)(uv_hrtime() - begin) / 1e9;
}

START_TEST(event_comes_in_the_environment_and_as_json_and_not_in_the_command_line)
{
    const char *nasty = "$(touch /tmp/qzd-exec-owned); `id`; \"quoted\" 'it' \\ \n-x --help";

    use_script("printf '%s|%s|%s|%s|%s|%s|%s\\n' \"$QZD_EVENT_SEVERITY\" \"$QZD_EVENT_WHAT\" "
               "\"$QZD_EVENT_AT\" \"$QZD_GENERATION\" \"$QZD_STATE_DIR\" \"$#\" \"$1\" > $out\n"
               "cat >> $out",
               "$QZD_EVENT_DETAIL", 10);
    put("worker exited", nasty);
    run_out();
    ck_assert_uint_eq(scene.n_troubles, 0);
    const char *text = said();
    const char *first = "error|worker exited|1700000000123|7|/var/lib/qzd|1|$QZD_EVENT_DETAIL\n";
    ck_assert_msg(strncmp(text, first, strlen(first)) == 0, "%s", text);
    json_t *json = json_loads(text + strlen(first), 0, NULL);
    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(json_string_value(json_object_get(json, "detail")), nasty);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "generation")), 7);
    json_decref(json);
    ck_assert_int_ne(access("/tmp/qzd-exec-owned", F_OK), 0);
}
END_TEST

START_TEST(detail_of_any_bytes_reaches_the_variable_as_it_is)
{
    use_script("printf '%s' \"$QZD_EVENT_DETAIL\" > $out", NULL, 10);
    put("x", "caf\xe9");
    run_out();
    ck_assert_str_eq(said(), "caf\xe9");
}
END_TEST

START_TEST(command_that_fails_is_told_with_its_last_words_and_the_next_one_runs)
{
    use_script("echo \"$QZD_EVENT_WHAT\" >> $out; echo it broke >&2; exit 3", NULL, 10);
    put("first", "");
    put("second", "");
    run_out();
    ck_assert_str_eq(said(), "first\nsecond\n");
    ck_assert_uint_eq(scene.n_troubles, 2);
    ck_assert_msg(strstr(scene.troubles[0], "exit status 3: it broke") != NULL, "%s",
                  scene.troubles[0]);
}
END_TEST

START_TEST(program_that_is_not_there_is_told)
{
    struct config_command command = {.n = 1, .argument = {"/nowhere/at-all"}};

    event_exec_set(scene.exec, &command, 10);
    put("x", "");
    put("y", "");
    run_out();
    ck_assert_uint_eq(scene.n_troubles, 2);
    ck_assert_msg(strstr(scene.troubles[0], "/nowhere/at-all cannot be started: no such file") !=
                      NULL,
                  "%s", scene.troubles[0]);
}
END_TEST

/* Also its children, also those that do not listen to SIGTERM. */
START_TEST(command_that_hangs_is_ended_with_all_that_it_started)
{
    use_script("trap '' TERM\nsleep 1000 & echo $! > $out\nsleep 1000", NULL, 1);
    put("x", "");
    double seconds = seconds_of(run_out);
    ck_assert_double_ge(seconds, 1 + EVENT_EXEC_GRACE_MS / 1000.0 - 0.1);
    ck_assert_double_lt(seconds, 10);
    ck_assert_uint_eq(scene.n_troubles, 1);
    ck_assert_msg(strstr(scene.troubles[0], "took too long") != NULL, "%s", scene.troubles[0]);
    pid_t child = (pid_t)strtol(said(), NULL, 10);
    ck_assert_int_gt(child, 0);
    for (int i = 0; i < 100 && kill(child, 0) == 0; i++) { /* until init has reaped it */
        char path[64];
        char state[256] = "";
        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
        FILE *file = fopen(path, "r");
        bool zombie = file != NULL && fgets(state, sizeof(state), file) != NULL &&
                      strstr(state, ") Z") != NULL;
        if (file != NULL) {
            (void)fclose(file);
        }
        if (zombie) {
            return;
        }
        usleep(20000);
    }
    ck_assert_int_ne(kill(child, 0), 0);
}
END_TEST

START_TEST(command_that_ends_on_sigterm_is_not_waited_for_longer)
{
    use_script("exec sleep 1000", NULL, 1);
    put("x", "");
    ck_assert_double_lt(seconds_of(run_out), 1 + EVENT_EXEC_GRACE_MS / 1000.0);
    ck_assert_uint_eq(scene.n_troubles, 1);
}
END_TEST

/* Its stderr ends before it does: for certain here, now and then in the test above. */
START_TEST(command_that_closed_its_stderr_is_not_waited_for_longer)
{
    use_script("exec sleep 1000 2>&-", NULL, 1);
    put("x", "");
    ck_assert_double_lt(seconds_of(run_out), 1 + EVENT_EXEC_GRACE_MS / 1000.0);
    ck_assert_uint_eq(scene.n_troubles, 1);
}
END_TEST

START_TEST(what_it_started_may_end_on_sigterm_by_itself)
{
    use_script("(trap 'sleep 0.5; echo ended >> $out; exit 0' TERM; sleep 1000 & wait) &\nwait",
               NULL, 1);
    put("x", "");
    run_out();
    ck_assert_str_eq(said(), "ended\n");
    ck_assert_uint_eq(scene.n_troubles, 1);
}
END_TEST

START_TEST(flood_runs_one_at_a_time_and_counts_what_it_drops)
{
    char what[32];

    /* A folder as a lock: a second command beside the first would say "two". */
    use_script("mkdir $out.lock 2>/dev/null || echo two >> $out\n"
               "echo \"$QZD_EVENT_WHAT $QZD_EVENTS_DROPPED\" >> $out\nrmdir $out.lock",
               NULL, 10);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(what, sizeof(what), "event %d", i);
        put(what, "");
    }
    run_out();
    ck_assert_msg(strstr(said(), "two") == NULL, "%s", said());
    ck_assert_uint_eq(scene.n_troubles, 1);
    ck_assert_msg(strstr(scene.troubles[0], "not told") != NULL, "%s", scene.troubles[0]);
    int lines = 0;
    for (const char *c = said(); *c != '\0'; c++) {
        lines += *c == '\n';
    }
    ck_assert_int_eq(lines, EVENT_EXEC_QUEUE + 1);
    put("after", "");
    run_out();
    snprintf(what, sizeof(what), "after %d\n", 1000 - EVENT_EXEC_QUEUE - 1);
    ck_assert_msg(strstr(said(), what) != NULL, "%s", said());
    put("at last", "");
    run_out();
    ck_assert_msg(strstr(said(), "at last 0\n") != NULL, "%s", said()); /* it has been told */
}
END_TEST

START_TEST(command_that_reads_nothing_and_says_much_is_no_trouble)
{
    char *detail = malloc(200001);

    memset(detail, 'x', 200000); /* more than a pipe holds; less than an environment's string may */
    detail[100000] = '\0';
    use_script("head -c 300000 /dev/zero >&2; echo done > $out", NULL, 10);
    put("x", detail);
    run_out();
    ck_assert_str_eq(said(), "done\n");
    ck_assert_uint_eq(scene.n_troubles, 0);
    free(detail);
}
END_TEST

START_TEST(what_it_leaves_behind_with_its_stderr_open_does_not_hold_the_next_one_up)
{
    use_script("echo \"$QZD_EVENT_WHAT\" >> $out; sleep 5 & exit 0", NULL, 10);
    put("first", "");
    put("second", "");
    ck_assert_double_lt(seconds_of(run_out), 4);
    ck_assert_str_eq(said(), "first\nsecond\n");
}
END_TEST

static void close_and_run_out(void)
{
    event_exec_close(scene.exec);
    scene.exec = NULL;
    run_out();
}

START_TEST(closing_drops_what_waits_and_ends_what_runs)
{
    use_script("echo \"$QZD_EVENT_WHAT\" >> $out; sleep 1000", NULL, 600);
    put("first", "");
    put("second", "");
    (void)uv_run(&scene.loop, UV_RUN_NOWAIT);
    ck_assert_double_lt(seconds_of(close_and_run_out),
                        (EVENT_EXEC_LAST_MS + EVENT_EXEC_GRACE_MS) / 1000.0 + 2);
    ck_assert_str_eq(said(), "first\n");
    ck_assert_uint_eq(scene.n_troubles, 2); /* one that waited; one that took too long */
}
END_TEST

START_TEST(without_a_command_nothing_happens)
{
    put("x", "");
    run_out();
    use_script("echo ran > $out", NULL, 10);
    put("first", "");
    put("waits", "");
    event_exec_set(scene.exec, &(struct config_command){.n = 0}, 10); /* a reload meanwhile */
    run_out();
    ck_assert_str_eq(said(), "ran\n");
    ck_assert_uint_eq(scene.n_troubles, 0);
}
END_TEST

int main(void)
{
    /* As the daemon does: a command may end with its event unread. */
    (void)signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("event_exec");
    TCase *tests = tcase_create("event_exec");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, event_comes_in_the_environment_and_as_json_and_not_in_the_command_line);
    tcase_add_test(tests, detail_of_any_bytes_reaches_the_variable_as_it_is);
    tcase_add_test(tests, command_that_fails_is_told_with_its_last_words_and_the_next_one_runs);
    tcase_add_test(tests, program_that_is_not_there_is_told);
    tcase_add_test(tests, command_that_hangs_is_ended_with_all_that_it_started);
    tcase_add_test(tests, command_that_ends_on_sigterm_is_not_waited_for_longer);
    tcase_add_test(tests, command_that_closed_its_stderr_is_not_waited_for_longer);
    tcase_add_test(tests, what_it_started_may_end_on_sigterm_by_itself);
    tcase_add_test(tests, flood_runs_one_at_a_time_and_counts_what_it_drops);
    tcase_add_test(tests, command_that_reads_nothing_and_says_much_is_no_trouble);
    tcase_add_test(tests, what_it_leaves_behind_with_its_stderr_open_does_not_hold_the_next_one_up);
    tcase_add_test(tests, closing_drops_what_waits_and_ends_what_runs);
    tcase_add_test(tests, without_a_command_nothing_happens);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
