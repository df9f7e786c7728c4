#include "daemon/terminal.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct terminal_view usual = {.generation = 7,
                                           .games = 1234567,
                                           .positions = 45678,
                                           .positions_per_s = 85.24,
                                           .workers_active = 1,
                                           .workers = 2,
                                           .policy_loss = 1.5,
                                           .policy_gap = 0.25,
                                           .value_loss = 0.75,
                                           .mistakes_net = 0.125,
                                           .mistakes_search = NAN,
                                           .value_accuracy = 0.8,
                                           .new_positions = 4000,
                                           .needed_positions = 8000,
                                           .next_net_s = 40};

START_TEST(block_says_generation_games_rates_losses_mistakes_and_the_next_net)
{
    char text[4096];
    ck_assert_uint_eq(terminal_render(&usual, 200, false, text, sizeof(text)), 3);
    static const char *const wanted[] = {"generation 7",     "1,234,567 games",
                                         "45,678 positions", "85.2 positions/s",
                                         "1 of 2 workers",   "policy 1.5000",
                                         "gap 0.2500",       "value 0.7500",
                                         "net 12.5 %",       "search -",
                                         "80.0 %",           "4,000 of 8,000",
                                         "in 40 s",          "[############........"};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        ck_assert_msg(strstr(text, wanted[i]) != NULL, "no \"%s\" in\n%s", wanted[i], text);
    }
    ck_assert_ptr_null(strchr(text, '\033'));
}
END_TEST

START_TEST(training_and_notice_have_their_lines)
{
    struct terminal_view view = usual;
    char text[4096];
    view.training = true;
    view.step = 30;
    view.steps = 120;
    view.notice = "paused";
    ck_assert_uint_eq(terminal_render(&view, 200, false, text, sizeof(text)), 4);
    ck_assert_ptr_nonnull(strstr(text, "step 30 of 120, next net in 40 s\npaused\n"));
}
END_TEST

START_TEST(no_line_is_wider_than_the_terminal_at_any_width)
{
    for (uint32_t width = 1; width < 150; width++) {
        char text[4096];
        ck_assert_uint_eq(terminal_render(&usual, width, false, text, sizeof(text)), 3);
        for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
            ck_assert_uint_le((uint32_t)(strchr(line, '\n') - line), width);
        }
    }
}
END_TEST

START_TEST(small_buffer_is_not_overrun)
{
    for (size_t size = 1; size < 400; size++) {
        char *text = malloc(size);
        (void)terminal_render(&usual, 80, true, text, size);
        ck_assert_uint_lt(strlen(text), size);
        free(text);
    }
}
END_TEST

static size_t read_all(int fd, char *ret, size_t size)
{
    ssize_t n = read(fd, ret, size - 1);
    ck_assert_int_gt(n, 0);
    ret[n] = '\0';
    return (size_t)n;
}

START_TEST(block_is_drawn_over_itself_and_lines_go_above_it)
{
    int master = -1;
    int slave = -1;
    char text[8192];
    ck_assert_int_eq(
        openpty(&master, &slave, NULL, NULL, &(struct winsize){.ws_col = 60, .ws_row = 20}), 0);
    (void)setenv("TERM", "xterm", 1);
    (void)unsetenv("NO_COLOR");
    struct terminal *terminal = terminal_create(slave);
    ck_assert_ptr_nonnull(terminal);
    terminal_draw(terminal, &usual);
    (void)read_all(master, text, sizeof(text));
    ck_assert_ptr_null(strstr(text, "\033[3A"));
    ck_assert_ptr_nonnull(strstr(text, "\033[1m")); /* in colour */
    terminal_draw(terminal, &usual);
    (void)read_all(master, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "\033[3A\r\033[J"));
    terminal_print(terminal, "a worker exited");
    usleep(10000);
    (void)read_all(master, text, sizeof(text));
    const char *line = strstr(text, "a worker exited");
    ck_assert_ptr_nonnull(line);
    ck_assert_ptr_nonnull(strstr(line, "generation"));
    terminal_destroy(terminal);

    (void)setenv("NO_COLOR", "1", 1);
    terminal = terminal_create(slave);
    terminal_draw(terminal, &usual);
    (void)read_all(master, text, sizeof(text));
    ck_assert_ptr_null(strstr(text, "\033[1m"));
    terminal_destroy(terminal);

    (void)setenv("TERM", "dumb", 1);
    ck_assert_ptr_null(terminal_create(slave));
    (void)close(master);
    (void)close(slave);
}
END_TEST

START_TEST(file_is_no_terminal)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    (void)setenv("TERM", "xterm", 1);
    ck_assert_ptr_null(terminal_create(ends[1]));
    (void)close(ends[0]);
    (void)close(ends[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("terminal");
    TCase *tcase = tcase_create("terminal");

    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, block_says_generation_games_rates_losses_mistakes_and_the_next_net);
    tcase_add_test(tcase, training_and_notice_have_their_lines);
    tcase_add_test(tcase, no_line_is_wider_than_the_terminal_at_any_width);
    tcase_add_test(tcase, small_buffer_is_not_overrun);
    tcase_add_test(tcase, block_is_drawn_over_itself_and_lines_go_above_it);
    tcase_add_test(tcase, file_is_no_terminal);
    return run_suite(suite);
}
