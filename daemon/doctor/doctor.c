#include "daemon/doctor/doctor.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *doctor_state_text(enum doctor_state state)
{
    switch (state) {
    case DOCTOR_UNKNOWN:
        return "unknown";
    case DOCTOR_GREEN:
        return "green";
    case DOCTOR_YELLOW:
        return "yellow";
    case DOCTOR_RED:
        return "red";
    }
    return "unknown";
}

enum doctor_state doctor_judge(double figure, double yellow, double red, bool above)
{
    if (isnan(figure)) {
        return DOCTOR_UNKNOWN;
    }
    double sign = above ? 1 : -1;
    if (sign * figure > sign * red) {
        return DOCTOR_RED;
    }
    return sign * figure > sign * yellow ? DOCTOR_YELLOW : DOCTOR_GREEN;
}

/* Behind the word "nan" or "-nan", by which printf says that a figure is not known; NULL: it is not the word. */
static const char *after_nan(const char *word)
{
    word += *word == '-' ? 1 : 0;
    return strncmp(word, "nan", 3) == 0 && !isalnum((unsigned char)word[3]) ? word + 3 : NULL;
}

void doctor_text(struct diagnosis *ret, const char *format, ...)
{
    static const char unknown[] = "unknown";
    char text[sizeof(ret->text)];
    size_t n = 0;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (const char *from = text; *from != '\0' && n + 1 < sizeof(ret->text);) {
        const bool begins = from == text || from[-1] == ' ';
        const char *after = begins ? after_nan(from) : NULL;
        if (after != NULL && n + sizeof(unknown) <= sizeof(ret->text)) {
            memcpy(ret->text + n, unknown, sizeof(unknown) - 1);
            n += sizeof(unknown) - 1;
            from = after;
        } else {
            ret->text[n++] = *from++;
        }
    }
    ret->text[n] = '\0';
}

void doctor_bound(struct diagnosis *ret, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(ret->bound, sizeof(ret->bound), format, args);
    va_end(args);
}

static void run_checks(const struct doctor_check *checks, const struct doctor_figures *figures,
                       struct doctor_report *ret)
{
    for (const struct doctor_check *check = checks; check->name != NULL; check++) {
        struct diagnosis *diagnosis = &ret->checks[ret->n++];

        *diagnosis = (struct diagnosis){
            .check = check->name, .figure = NAN, .advice = check->advice, .live = check->live};
        check->run(figures, diagnosis);
    }
}

void doctor_diagnose(const struct doctor_figures *figures, struct doctor_report *ret)
{
    *ret = (struct doctor_report){
        .at = figures->at, .generation = figures->generation, .now = figures->now};
    run_checks(doctor_play_checks, figures, ret);
    run_checks(doctor_learning_checks, figures, ret);
    run_checks(doctor_service_checks, figures, ret);
}

uint32_t doctor_count(const struct doctor_report *report, enum doctor_state state)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < report->n; i++) {
        n += report->checks[i].state == state;
    }
    return n;
}

static json_t *checks_json(const struct doctor_report *report)
{
    json_t *list = json_array();

    for (uint32_t i = 0; list != NULL && i < report->n; i++) {
        const struct diagnosis *d = &report->checks[i];
        json_t *figure = isfinite(d->figure) ? json_real(d->figure) : json_null();
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:s, s:s, s:s}", "check",
                                                    d->check, "state", doctor_state_text(d->state),
                                                    "figure", figure, "text", d->text, "bound",
                                                    d->bound, "advice", d->advice));
    }
    return list;
}

char *doctor_json(const struct doctor_report *report)
{
    enum doctor_state worst = DOCTOR_UNKNOWN;

    for (uint32_t i = 0; i < report->n; i++) {
        worst = report->checks[i].state > worst ? report->checks[i].state : worst;
    }
    json_t *root =
        json_pack("{s:I, s:I, s:b, s:s, s:I, s:I, s:I, s:I, s:o}", "at", (json_int_t)report->at,
                  "generation", (json_int_t)report->generation, "now", (int)report->now, "state",
                  doctor_state_text(worst), "green", (json_int_t)doctor_count(report, DOCTOR_GREEN),
                  "yellow", (json_int_t)doctor_count(report, DOCTOR_YELLOW), "red",
                  (json_int_t)doctor_count(report, DOCTOR_RED), "unknown",
                  (json_int_t)doctor_count(report, DOCTOR_UNKNOWN), "checks", checks_json(report));
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9));

    json_decref(root);
    return text;
}
