#include "daemon/supervisor.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The children are this program again: the supervisor runs /proc/self/exe, and main() below sees
 * "worker" as its first word. What the child does stands in the environment. */

/* ---- the child ---- */
static void say_event(const char *what)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__Event event = QZD__EVENT__INIT;

    event.severity = (char *)"info";
    event.what = (char *)what;
    event.detail = (char *)"";
    message.what_case = QZD__FROM_CHILD__WHAT_EVENT;
    message.event = &event;
    (void)wire_send(STDOUT_FILENO, &message.base, NULL, NULL, NULL);
}

/* Echo each Suspend as an event until Stop or the end of stdin. */
static int echo_child(void)
{
    struct wire_decoder decoder = {0};
    const uint8_t *frame = NULL;
    size_t size = 0;

    (void)signal(SIGTERM, SIG_IGN);
    say_event("hello");
    while (wire_receive(STDIN_FILENO, -1, &decoder, NULL) >= 0) {
        while (wire_decoder_next(&decoder, &frame, &size, NULL) == 1) {
            Qzd__ToChild *message = qzd__to_child__unpack(NULL, size, frame);
            bool stop = message->what_case == QZD__TO_CHILD__WHAT_STOP;
            if (message->what_case == QZD__TO_CHILD__WHAT_SUSPEND) {
                say_event(message->suspend->suspended ? "suspended" : "going on");
            }
            qzd__to_child__free_unpacked(message, NULL);
            if (stop) {
                say_event("goodbye");
                wire_decoder_finish(&decoder);
                return 0;
            }
        }
    }
    return 7;
}

static int child_main(void)
{
    const char *kind = getenv("TEST_CHILD");

    if (kind == NULL) {
        return 2;
    }
    if (strcmp(kind, "echo") == 0) {
        return echo_child();
    }
    if (strcmp(kind, "many") == 0) { /* more than a pipe holds, then gone at once */
        for (int i = 0; i < 20000; i++) {
            say_event("one of many");
        }
        return 3;
    }
    if (strcmp(kind, "few") == 0) { /* less than a pipe holds */
        for (int i = 0; i < 100; i++) {
            say_event("one of a few");
        }
        return 0;
    }
    if (strcmp(kind, "rubbish") == 0) {
        (void)!write(STDOUT_FILENO, "\xff\xff\xff\xff rubbish", 12);
        (void)sleep(60);
    }
    if (strcmp(kind, "lines") == 0) {
        (void)fputs("first line\nsecond", stderr);
        return 0;
    }
    if (strcmp(kind, "deaf") == 0) { /* neither reads nor obeys */
        (void)signal(SIGTERM, SIG_IGN);
        say_event("hello");
        for (;;) {
            (void)sleep(60);
        }
    }
    return 1;
}

/* ---- the parent ---- */
struct house {
    uv_loop_t loop;
    struct supervisor *supervisor;
    int messages, ended, all_ended;
    bool clean, stopped;
    char how[256], last[64], lines[256];
};

static void on_message(enum supervisor_role role, uint32_t index, Qzd__FromChild *message,
                       void *context)
{
    struct house *house = context;
    ck_assert_int_eq(role, ROLE_WORKER);
    ck_assert_uint_eq(index, 1);
    ck_assert_int_eq(house->ended, 0); /* nothing is heard of a child that has ended */
    house->messages++;
    (void)snprintf(house->last, sizeof(house->last), "%s", message->event->what);
    qzd__from_child__free_unpacked(message, NULL);
}

static void on_line(enum supervisor_role role, uint32_t index, const char *line, void *context)
{
    struct house *house = context;
    size_t used = strlen(house->lines);
    (void)role;
    (void)index;
    (void)snprintf(house->lines + used, sizeof(house->lines) - used, "[%s]", line);
}

static void on_ended(enum supervisor_role role, uint32_t index, bool clean, bool stopped,
                     const char *how, void *context)
{
    struct house *house = context;
    (void)role;
    (void)index;
    ck_assert(!supervisor_lives(house->supervisor, ROLE_WORKER, 1));
    house->ended++;
    house->clean = clean;
    house->stopped = stopped;
    (void)snprintf(house->how, sizeof(house->how), "%s", how);
}

static void on_all_ended(void *context)
{
    ((struct house *)context)->all_ended++;
}

static void open_house(struct house *house, const char *child)
{
    const struct supervisor_callbacks callbacks = {.message = on_message,
                                                   .line = on_line,
                                                   .ended = on_ended,
                                                   .all_ended = on_all_ended,
                                                   .context = house};
    memset(house, 0, sizeof(*house));
    (void)setenv("TEST_CHILD", child, 1);
    ck_assert_int_eq(uv_loop_init(&house->loop), 0);
    house->supervisor = supervisor_create(&house->loop, 2, &callbacks);
    ck_assert_ptr_nonnull(house->supervisor);
    ck_assert_int_eq(supervisor_start(house->supervisor, ROLE_WORKER, 1, NULL), 0);
    ck_assert(supervisor_lives(house->supervisor, ROLE_WORKER, 1));
    ck_assert(!supervisor_lives(house->supervisor, ROLE_WORKER, 0));
}

static void run_until_message(struct house *house, const char *what)
{
    for (int i = 0; i < 10000 && strcmp(house->last, what) != 0; i++) {
        (void)uv_run(&house->loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    ck_assert_str_eq(house->last, what);
}

static void close_house(struct house *house)
{
    (void)uv_run(&house->loop, UV_RUN_DEFAULT); /* until the last handle has closed */
    supervisor_destroy(house->supervisor);
    ck_assert_int_eq(uv_loop_close(&house->loop), 0);
}

static void send_suspend(struct house *house, bool suspended)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__Suspend suspend = QZD__SUSPEND__INIT;
    suspend.suspended = suspended;
    message.what_case = QZD__TO_CHILD__WHAT_SUSPEND;
    message.suspend = &suspend;
    supervisor_send(house->supervisor, ROLE_WORKER, 1, &message);
}

START_TEST(child_is_spoken_to_and_ends_when_told)
{
    struct house house;
    struct error err = {.text = ""};
    open_house(&house, "echo");
    ck_assert_int_eq(supervisor_start(house.supervisor, ROLE_WORKER, 1, &err), ERROR_BUSY);
    send_suspend(&house, true);
    run_until_message(&house, "suspended");
    send_suspend(&house, false);
    run_until_message(&house, "going on");
    supervisor_stop_all(house.supervisor, 5000);
    close_house(&house);
    ck_assert_str_eq(house.last, "goodbye");
    ck_assert(house.ended == 1 && house.all_ended == 1 && house.clean && house.stopped);
}
END_TEST

START_TEST(everything_a_child_wrote_is_heard_before_its_end)
{
    struct house house;
    open_house(&house, "many");
    close_house(&house);
    ck_assert_int_eq(house.messages, 20000);
    ck_assert_int_eq(house.ended, 1);
    ck_assert_str_eq(house.how, "exit status 3");
    ck_assert(!house.clean && !house.stopped);
}
END_TEST

START_TEST(child_that_is_not_read_waits_and_goes_on)
{
    struct house house;
    open_house(&house, "many");
    supervisor_read(house.supervisor, false);
    for (int i = 0; i < 300; i++) {
        (void)uv_run(&house.loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    ck_assert_int_lt(house.messages, 20000);
    ck_assert_int_eq(house.ended, 0);
    supervisor_read(house.supervisor, true);
    close_house(&house);
    ck_assert_int_eq(house.messages, 20000);
}
END_TEST

START_TEST(child_that_ends_unread_is_read_to_its_end_first)
{
    struct house house;
    open_house(&house, "few");
    supervisor_read(house.supervisor, false);
    close_house(&house);
    ck_assert_int_eq(house.messages, 100);
    ck_assert_int_eq(house.ended, 1);
}
END_TEST

START_TEST(killed_child_is_told_by_its_signal)
{
    struct house house;
    open_house(&house, "echo");
    run_until_message(&house, "hello");
    ck_assert_int_eq(kill(supervisor_pid(house.supervisor, ROLE_WORKER, 1), SIGKILL), 0);
    close_house(&house);
    ck_assert_str_eq(house.how, "killed by signal 9 (Killed)");
}
END_TEST

START_TEST(child_that_sends_rubbish_is_killed_and_named)
{
    struct house house;
    open_house(&house, "rubbish");
    close_house(&house);
    ck_assert_msg(strstr(house.how, "4294967295 bytes") != NULL, "%s", house.how);
    ck_assert(!house.clean);
}
END_TEST

START_TEST(deaf_child_is_killed_after_its_grace)
{
    struct house house;
    open_house(&house, "deaf");
    run_until_message(&house, "hello");
    uint64_t began = uv_hrtime();
    supervisor_stop(house.supervisor, ROLE_WORKER, 1, 300);
    close_house(&house);
    ck_assert_uint_lt((uv_hrtime() - began) / 1000000, 5000);
    ck_assert(house.stopped && !house.clean);
}
END_TEST

START_TEST(child_that_never_reads_is_killed_when_too_much_waits)
{
    struct house house;
    open_house(&house, "deaf");
    run_until_message(&house, "hello");
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__TrainJob job = QZD__TRAIN_JOB__INIT;
    char *text = calloc(1, 1 << 20);
    memset(text, 'x', (1 << 20) - 1);
    job.job = text;
    job.state_dir = (char *)"";
    message.what_case = QZD__TO_CHILD__WHAT_TRAIN_JOB;
    message.train_job = &job;
    for (int i = 0; i < 12; i++) {
        supervisor_send(house.supervisor, ROLE_WORKER, 1, &message);
    }
    free(text);
    close_house(&house);
    ck_assert_str_eq(house.how, "it does not read its commands");
}
END_TEST

START_TEST(lines_on_stderr_come_one_by_one)
{
    struct house house;
    open_house(&house, "lines");
    close_house(&house);
    ck_assert_str_eq(house.lines, "[first line][second]");
    ck_assert(house.clean);
}
END_TEST

int main(int argc, char *argv[])
{
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        return child_main();
    }
    (void)signal(SIGPIPE, SIG_IGN); /* as the daemon does: a child may end while it is written to */
    Suite *suite = suite_create("supervisor");
    TCase *tcase = tcase_create("supervisor");

    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, child_is_spoken_to_and_ends_when_told);
    tcase_add_test(tcase, everything_a_child_wrote_is_heard_before_its_end);
    tcase_add_test(tcase, child_that_is_not_read_waits_and_goes_on);
    tcase_add_test(tcase, child_that_ends_unread_is_read_to_its_end_first);
    tcase_add_test(tcase, killed_child_is_told_by_its_signal);
    tcase_add_test(tcase, child_that_sends_rubbish_is_killed_and_named);
    tcase_add_test(tcase, deaf_child_is_killed_after_its_grace);
    tcase_add_test(tcase, child_that_never_reads_is_killed_when_too_much_waits);
    tcase_add_test(tcase, lines_on_stderr_come_one_by_one);
    return run_suite(suite);
}
