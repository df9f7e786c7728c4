/* progress --watch: asks again and again, and draws. */
#include "daemon/qzctl/qzctl.h"

#include "daemon/qzctl/watch_view.h"
#include "storage/clock.h"

#include <langinfo.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct watch {
    struct qzctl *qzctl;
    json_t *status;
    json_t *progress;
    bool running;
    bool screen; /* standard output is a terminal that can move its cursor */
};

static int ask_one(struct watch *watch, enum query_kind kind, bool *ret_running, json_t **ret)
{
    struct query_request request = {.kind = kind};
    char *json = NULL;
    int r = qzctl_ask(watch->qzctl, &request, ret_running, &json);
    json_t *object = r == QZCTL_OK ? qzctl_object(json) : NULL;
    free(json);
    if (object != NULL) { /* else what was known stays */
        json_decref(*ret);
        *ret = object;
    }
    return r == QZCTL_OK && object == NULL ? QZCTL_FAILED : r;
}

static int ask(struct watch *watch)
{
    bool running = false;
    int r = ask_one(watch, QUERY_STATUS, &watch->running, &watch->status);
    return r != QZCTL_OK ? r : ask_one(watch, QUERY_PROGRESS, &running, &watch->progress);
}

static struct watch_view view_of(const struct watch *watch)
{
    struct watch_view view = {.status = watch->status,
                              .rows = json_object_get(watch->progress, "rows"),
                              .running = watch->running,
                              .width = qzctl_width(),
                              .height = 24,
                              .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
                              .color = qzctl_wants_color()};
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1) {
        view.height = size.ws_row - 1U; /* the last line's newline must not scroll */
    }
    return view;
}

static int draw(const struct watch *watch)
{
    const struct watch_view view = view_of(watch);
    char *text = watch_view_screen(&view);
    if (text == NULL) {
        return qzctl_fail("out of memory");
    }
    fputs("\033[H", stdout);
    for (const char *line = text; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        printf("%.*s\033[K\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    fputs("\033[J", stdout);
    free(text);
    return qzctl_flush();
}

static int put_json_line(const struct watch *watch)
{
    const json_t *rows = json_object_get(watch->progress, "rows");
    const json_t *last = json_array_get(rows, json_array_size(rows) - 1);
    return qzctl_put_object(
        json_pack("{s:I, s:b, s:O, s:O?}", "at", (json_int_t)clock_ms(CLOCK_REALTIME), "running",
                  (int)watch->running, "status", watch->status, "progress", last));
}

static int put_line(const struct watch *watch)
{
    const struct watch_view view = view_of(watch);
    char when[64];
    char *text = watch_view_line(&view);
    if (text == NULL) {
        return qzctl_fail("out of memory");
    }
    qzctl_time_text(clock_ms(CLOCK_REALTIME), when);
    printf("%s %s\n", when, text);
    free(text);
    return qzctl_flush();
}

static int show(const struct watch *watch)
{
    return watch->qzctl->json ? put_json_line(watch)
           : watch->screen    ? draw(watch)
                              : put_line(watch);
}

/* Until the next tick. Returns false to leave. */
static bool wait_until(const struct watch *watch, int signals, double at)
{
    struct pollfd polled = {signals, POLLIN, 0};
    for (;;) {
        double left = at - clock_seconds(CLOCK_MONOTONIC);
        if (left <= 0) {
            return true;
        }
        (void)poll(&polled, 1, (int)(left * 1000) + 1);
        switch (qzctl_signals_take(signals)) {
        case QZCTL_SIGNAL_END:
            return false;
        case QZCTL_SIGNAL_RESIZED:
            if (watch->screen && !watch->qzctl->json) {
                (void)draw(watch);
            }
            break;
        case QZCTL_SIGNAL_NONE:
            break;
        }
    }
}

static int watch_on(struct watch *watch, double interval)
{
    int signals = qzctl_signals_open();
    int r = QZCTL_OK;
    double next = clock_seconds(CLOCK_MONOTONIC);
    bool screen = watch->screen && !watch->qzctl->json;
    if (signals < 0) {
        return qzctl_fail("no pipe for signals");
    }
    if (screen) { /* the other screen, no cursor; what stood there comes back at the end */
        fputs("\033[?1049h\033[?25l", stdout);
    }
    do {
        r = show(watch);
        next += interval;
        if (next < clock_seconds(CLOCK_MONOTONIC)) { /* behind: no burst to catch up */
            next = clock_seconds(CLOCK_MONOTONIC) + interval;
        }
        if (r != QZCTL_OK || !wait_until(watch, signals, next)) {
            break;
        }
        (void)ask(watch); /* it has said why not; the next tick tries again */
    } while (true);
    if (screen) {
        fputs("\033[?25h\033[?1049l", stdout);
        (void)qzctl_flush();
    }
    close(signals);
    return r;
}

int qzctl_watch(struct qzctl *qzctl, double interval)
{
    const char *terminal = getenv("TERM");
    struct watch watch = {.qzctl = qzctl,
                          .screen = qzctl_width() > 0 && terminal != NULL &&
                                    strcmp(terminal, "dumb") != 0};
    int r = ask(&watch); /* the first answer must be there: else its reason is the answer */
    if (r == QZCTL_OK) {
        r = watch_on(&watch, interval);
    }
    json_decref(watch.status);
    json_decref(watch.progress);
    return r;
}
