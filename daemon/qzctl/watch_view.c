#include "daemon/qzctl/watch_view.h"

#include "daemon/qzctl/qzctl.h"
#include "daemon/qzctl/sparkline.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LABEL = 22,        /* columns of a course's name */
    FIGURES = 22,      /* of its first and last value */
    MAX_COURSE = 1024, /* cells */
    BAR = 24,
    LINE_BYTES = 8192,
};

#define BOLD   "\033[1m"
#define YELLOW "\033[33m"
#define RED    "\033[31m"

struct screen {
    const struct watch_view *view;
    FILE *out;
    uint32_t lines;
};

/* What is followed over the generations. */
struct course {
    const char *key;
    const char *otherwise; /* another key where that is not known; or NULL */
    const char *label;
    double scale;
    int decimals;
    const char *error; /* key of its standard error; or NULL */
};

static const struct course courses[] = {
    {"mistakes_net", NULL, "mistakes, net %", 100, 1, NULL},
    {"mistakes_search", NULL, "mistakes, search %", 100, 1, NULL},
    {"value_accuracy", NULL, "value right %", 100, 1, NULL},
    {"policy_gap_held_out", "policy_gap", "policy loss - entropy", 1, 3, NULL},
    {"value_loss_held_out", "value_loss", "value loss", 1, 3, NULL},
    {"mean_abs_qz", NULL, "|q - z|", 1, 3, NULL},
    {"elo", NULL, "rating, Elo", 1, 0, "elo_error"},
    {"plies", NULL, "plies a game", 1, 1, NULL},
    {"evaluations_per_s", NULL, "evaluations/s", 1, 0, NULL},
};
enum { N_COURSES = sizeof courses / sizeof courses[0] };

/* ---- facts ---- */

static double number_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static bool true_at(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static double value_of(const struct course *course, const json_t *row)
{
    double value = number_at(row, course->key);
    if (isnan(value) && course->otherwise != NULL) {
        value = number_at(row, course->otherwise);
    }
    return value * course->scale;
}

/* 1234567 as "1,234,567"; "-" for NaN. */
static const char *count_text(double count, char ret[32])
{
    char digits[24];
    size_t used = 0;
    if (isnan(count)) {
        snprintf(ret, 32, "-");
        return ret;
    }
    int n = snprintf(digits, sizeof digits, "%.0f", count < 0 || count > 1e15 ? 0.0 : count);
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0) {
            ret[used++] = ',';
        }
        ret[used++] = digits[i];
    }
    ret[used] = '\0';
    return ret;
}

static const char *duration_text(double seconds, char ret[64])
{
    if (isnan(seconds) || seconds < 0) {
        snprintf(ret, 64, "-");
        return ret;
    }
    qzctl_duration_text(seconds, ret);
    return ret;
}

static uint32_t busy_workers(const json_t *status)
{
    const json_t *worker;
    size_t i;
    uint32_t n = 0;
    json_array_foreach(json_object_get(status, "workers"), i, worker)
    {
        const char *state = json_string_value(json_object_get(worker, "state"));
        n += state != NULL && strcmp(state, "running") == 0;
    }
    return n;
}

/* ---- lines ---- */

/* Where `columns` characters of UTF-8 end. */
static size_t bytes_of_columns(const char *text, uint32_t columns)
{
    size_t n = 0;
    while (text[n] != '\0') {
        if (((unsigned char)text[n] & 0xC0) != 0x80 && columns-- == 0) {
            break;
        }
        n++;
    }
    return n;
}

static void put(struct screen *screen, const char *style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void put(struct screen *screen, const char *style, const char *format, ...)
{
    char text[LINE_BYTES];
    va_list arguments;
    if (screen->lines >= screen->view->height) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    text[bytes_of_columns(text, screen->view->width)] = '\0';
    bool styled = screen->view->color && style != NULL;
    fprintf(screen->out, "%s%s%s\n", styled ? style : "", text, styled ? "\033[0m" : "");
    screen->lines++;
}

static void bar_text(double share, char ret[BAR + 1])
{
    int full = !(share > 0) ? 0 : share >= 1 ? BAR : (int)(share * BAR);
    memset(ret, '.', BAR);
    memset(ret, '#', (size_t)full);
    ret[BAR] = '\0';
}

/* What the doctor is worried about, on one line. */
static void put_doctor(struct screen *screen)
{
    static const char *const states[] = {"red", "yellow"};
    const json_t *doctor = json_object_get(screen->view->status, "doctor");
    char text[512] = "";
    size_t used = 0;
    bool red = json_array_size(json_object_get(doctor, "red")) > 0;
    for (size_t s = 0; s < 2; s++) {
        const json_t *check;
        size_t i;
        json_array_foreach(json_object_get(doctor, states[s]), i, check)
        {
            int n = snprintf(text + used, sizeof text - used, "%s%s",
                             i > 0   ? ", "
                             : s > 0 ? (red ? "; yellow: " : "yellow: ")
                                     : "red: ",
                             json_string_value(check));
            used = n < 0 || used + (size_t)n >= sizeof text ? sizeof text - 1 : used + (size_t)n;
        }
    }
    if (used > 0) {
        put(screen, red ? RED : YELLOW, "doctor: %s (qzctl doctor)", text);
    }
}

static void put_head(struct screen *screen)
{
    const json_t *status = screen->view->status;
    const char *game = json_string_value(json_object_get(status, "game"));
    char a[32];
    char b[32];
    put(screen, BOLD, "%s, generation %s   %s games   %s positions", game == NULL ? "qzd" : game,
        count_text(number_at(status, "generation"), a), count_text(number_at(status, "games"), b),
        count_text(number_at(status, "positions"), (char[32]){""}));
    if (!screen->view->running) {
        put(screen, YELLOW, "no daemon runs: this is what the store knows");
        return;
    }
    char up[64];
    put(screen, NULL, "%.1f positions/s   %s evaluations/s   %u of %zu workers   up %s",
        number_at(status, "positions_per_s"), count_text(number_at(status, "evaluations_per_s"), a),
        busy_workers(status), json_array_size(json_object_get(status, "workers")),
        duration_text(number_at(status, "uptime_s"), up));
    if (true_at(status, "stopping")) {
        put(screen, YELLOW, "stopping");
    } else if (true_at(status, "paused")) {
        put(screen, YELLOW, "paused (qzctl resume)");
    } else if (true_at(json_object_get(status, "storage"), "blocked")) {
        put(screen, YELLOW, "the store cannot be written: self-play waits");
    }
}

static void put_next_net(struct screen *screen)
{
    const json_t *next = json_object_get(screen->view->status, "next_net");
    const json_t *training = json_object_get(screen->view->status, "training");
    double step = number_at(training, "step");
    double steps = number_at(training, "steps");
    char bar[BAR + 1];
    char a[32];
    char b[32];
    char eta[64];
    if (!screen->view->running) {
        return;
    }
    if (steps > 0) {
        bar_text(step / steps, bar);
        put(screen, NULL, "training [%s] step %s of %s, next net in %s", bar, count_text(step, a),
            count_text(steps, b), duration_text(number_at(next, "eta_s"), eta));
        return;
    }
    bar_text(number_at(next, "new_positions") / number_at(next, "needed_positions"), bar);
    put(screen, NULL, "next net [%s] %s of %s positions, training in %s", bar,
        count_text(number_at(next, "new_positions"), a),
        count_text(number_at(next, "needed_positions"), b),
        duration_text(number_at(next, "eta_s"), eta));
}

/* Its name, its line, its first and last value. Nothing but the name while nothing is known. */
static void put_course(struct screen *screen, const struct course *course, double *values)
{
    const struct watch_view *view = screen->view;
    const json_t *row;
    size_t i;
    uint32_t n = 0;
    double first = (double)NAN;
    double last = (double)NAN;
    double error = (double)NAN;
    char line[MAX_COURSE * SPARKLINE_CELL_BYTES + 1] = "";
    char figures[64] = "";
    json_array_foreach(view->rows, i, row)
    {
        double value = value_of(course, row);
        values[n++] = value;
        first = isnan(first) ? value : first;
        if (!isnan(value)) {
            last = value;
            error = course->error == NULL ? (double)NAN : number_at(row, course->error);
        }
    }
    if (isnan(last)) {
        put(screen, NULL, "%-*s", LABEL, course->label);
        return;
    }
    uint32_t width = view->width > LABEL + FIGURES ? view->width - LABEL - FIGURES : 0;
    width = width < MAX_COURSE ? width : MAX_COURSE;
    uint32_t cells = sparkline(values, n, width, view->utf8, line, sizeof line);
    snprintf(figures, sizeof figures, "%.*f %s %.*f", course->decimals, first,
             view->utf8 ? "\u2192" : "->", course->decimals, last);
    if (!isnan(error)) {
        size_t used = strlen(figures);
        snprintf(figures + used, sizeof figures - used, " %s%.0f", view->utf8 ? "\u00b1" : "+-",
                 error);
    }
    put(screen, NULL, "%-*s%s%*s%s", LABEL, course->label, line, (int)(width - cells) + 2, "",
        figures);
}

static char *finish(FILE *out, char **text)
{
    bool failed = ferror(out) != 0;
    failed = fclose(out) != 0 || failed;
    if (failed) {
        free(*text);
        return NULL;
    }
    return *text;
}

char *watch_view_screen(const struct watch_view *view)
{
    char *text = NULL;
    size_t size = 0;
    size_t n = json_array_size(view->rows);
    double *values = calloc(n + 1, sizeof *values);
    struct screen screen = {.view = view, .out = open_memstream(&text, &size)};
    if (screen.out == NULL || values == NULL) {
        if (screen.out != NULL) {
            (void)fclose(screen.out);
        }
        free(text);
        free(values);
        return NULL;
    }
    put_head(&screen);
    put_doctor(&screen);
    put_next_net(&screen);
    put(&screen, NULL, "%s", "");
    for (size_t i = 0; i < N_COURSES; i++) {
        put_course(&screen, &courses[i], values);
    }
    free(values);
    return finish(screen.out, &text);
}

/* The last known value. */
static double newest(const struct course *course, const json_t *rows)
{
    double value = (double)NAN;
    for (size_t i = json_array_size(rows); i > 0 && isnan(value); i--) {
        value = value_of(course, json_array_get(rows, i - 1));
    }
    return value;
}

char *watch_view_line(const struct watch_view *view)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    const json_t *next = json_object_get(view->status, "next_net");
    char eta[64];
    if (out == NULL) {
        return NULL;
    }
    fprintf(out, "generation %.0f, %.0f games, %.0f positions",
            number_at(view->status, "generation"), number_at(view->status, "games"),
            number_at(view->status, "positions"));
    if (view->running) {
        fprintf(out, ", %.1f positions/s, next net in %s",
                number_at(view->status, "positions_per_s"),
                duration_text(number_at(next, "eta_s"), eta));
    } else {
        fputs(", no daemon runs", out);
    }
    for (size_t i = 0; i < N_COURSES; i++) {
        double value = newest(&courses[i], view->rows);
        if (!isnan(value)) {
            fprintf(out, "; %s %.*f", courses[i].label, courses[i].decimals, value);
        }
    }
    return finish(out, &text);
}
