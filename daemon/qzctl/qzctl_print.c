#include "daemon/qzctl/qzctl.h"

#include "daemon/qzctl/table.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

int qzctl_fail(const char *format, ...)
{
    va_list arguments;
    (void)fflush(stdout);
    fputs("qzctl: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return QZCTL_FAILED;
}

uint32_t qzctl_width(void)
{
    struct winsize size;
    if (isatty(STDOUT_FILENO) != 1) {
        return 0;
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return 80;
    }
    return size.ws_col;
}

bool qzctl_wants_color(void)
{
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == NULL && terminal != NULL &&
           strcmp(terminal, "dumb") != 0;
}

/* Few digits where the number was a float before it was a double: 0.35, not 0.3499999940395355. */
static void format_float(double value, char ret_text[64])
{
    if (isfinite(value) && (double)(float)value == value) {
        for (int digits = 6; digits <= 9; digits++) {
            snprintf(ret_text, 64, "%.*g", digits, value);
            if (strtof(ret_text, NULL) == (float)value) {
                return;
            }
        }
    }
    query_format_real(value, ret_text);
}

const char *qzctl_cell(const json_t *value, bool exact, char ret_text[64])
{
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_STRING:
        return json_string_value(value);
    case JSON_INTEGER:
        snprintf(ret_text, 64, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return ret_text;
    case JSON_REAL:
        if (exact) {
            query_format_real(json_real_value(value), ret_text);
        } else {
            format_float(json_real_value(value), ret_text);
        }
        return ret_text;
    case JSON_TRUE:
        return "yes";
    case JSON_FALSE:
        return "no";
    case JSON_OBJECT: /* a blob */
        return json_is_string(json_object_get(value, "hex"))
                   ? json_string_value(json_object_get(value, "hex"))
                   : "{...}";
    case JSON_ARRAY:
        return "[...]";
    case JSON_NULL:
        break;
    }
    return "";
}

void qzctl_time_text(int64_t at_ms, char ret_text[64])
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm local;
    if (localtime_r(&seconds, &local) == NULL ||
        strftime(ret_text, 64, "%Y-%m-%d %H:%M:%S", &local) == 0) {
        snprintf(ret_text, 64, "%lld", (long long)at_ms);
    }
}

void qzctl_duration_text(double seconds, char ret_text[64])
{
    if (seconds < 1) {
        snprintf(ret_text, 64, "%.2g s", seconds);
    } else if (seconds < 120) {
        snprintf(ret_text, 64, "%.0f s", seconds);
    } else if (seconds < 2 * 3600) {
        snprintf(ret_text, 64, "%.0f min", seconds / 60);
    } else if (seconds < 2 * 86400) {
        snprintf(ret_text, 64, "%.1f h", seconds / 3600);
    } else {
        snprintf(ret_text, 64, "%.1f days", seconds / 86400);
    }
}

void qzctl_bytes_text(double bytes, char ret_text[64])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(ret_text, 64, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

json_t *qzctl_object(const char *json)
{
    json_error_t error;
    json_t *object = json_loads(json, JSON_ALLOW_NUL, &error);
    if (!json_is_object(object)) {
        json_decref(object);
        qzctl_fail("the answer is no JSON object: %s",
                   object == NULL ? error.text : "another type");
        return NULL;
    }
    return object;
}

int qzctl_flush(void)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (errno != EPIPE) { /* whoever closed the pipe has read enough */
            qzctl_fail("standard output: %s", strerror(errno));
        }
        return QZCTL_FAILED;
    }
    return QZCTL_OK;
}

int qzctl_put_json(const char *json)
{
    size_t n = strlen(json);
    fwrite(json, 1, n, stdout);
    if (n == 0 || json[n - 1] != '\n') {
        fputc('\n', stdout);
    }
    return qzctl_flush();
}
