#define SD_JOURNAL_SUPPRESS_LOCATION
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

struct log {
    struct terminal *terminal;
    bool journal;
};

const char *log_severity_text(enum log_severity severity)
{
    switch (severity) {
    case SEVERITY_INFO:
        return "info";
    case SEVERITY_WARNING:
        return "warning";
    case SEVERITY_ERROR:
        return "error";
    }
    return "error";
}

enum log_severity log_severity_parse(const char *text)
{
    if (strcmp(text, "info") == 0) {
        return SEVERITY_INFO;
    }
    return strcmp(text, "warning") == 0 ? SEVERITY_WARNING : SEVERITY_ERROR;
}

/* JOURNAL_STREAM is "device:inode" of the stream that systemd gave us; it counts only while stderr
 * still is that stream (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char *end = NULL;

    if (stream == NULL || fstat(STDERR_FILENO, &status) < 0) {
        return false;
    }
    unsigned long long device = strtoull(stream, &end, 10);
    return *end == ':' && device == status.st_dev && strtoull(end + 1, NULL, 10) == status.st_ino;
}

struct log *log_create(struct terminal *terminal)
{
    struct log *log = calloc(1, sizeof(*log));

    if (log != NULL) {
        log->terminal = terminal;
        log->journal = stderr_is_journal();
    }
    return log;
}

void log_destroy(struct log *log)
{
    free(log);
}

static int journal_priority(enum log_severity severity)
{
    switch (severity) {
    case SEVERITY_INFO:
        return LOG_INFO;
    case SEVERITY_WARNING:
        return LOG_WARNING;
    case SEVERITY_ERROR:
        return LOG_ERR;
    }
    return LOG_ERR;
}

static void plain_line(const struct log *log, enum log_severity severity, const char *what,
                       const char *text)
{
    char line[2304];
    char clock[32] = "";
    struct tm now_tm;
    time_t now = time(NULL);

    if (localtime_r(&now, &now_tm) != NULL) {
        (void)strftime(clock, sizeof(clock), log->terminal ? "%H:%M:%S" : "%F %T", &now_tm);
    }
    bool plain = severity == SEVERITY_INFO;
    (void)snprintf(line, sizeof(line), "%s %s%s%s%s%s", clock,
                   plain ? "" : log_severity_text(severity), plain ? "" : ": ", what,
                   text[0] == '\0' ? "" : ": ", text);
    if (log->terminal != NULL) {
        terminal_print(log->terminal, line);
    } else {
        (void)fprintf(stderr, "%s\n", line);
    }
}

void log_event(struct log *log, enum log_severity severity, const char *what, const char *format,
               ...)
{
    char text[2048];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (log->journal) {
        (void)sd_journal_send("MESSAGE=%s: %s", what, text, "PRIORITY=%d",
                              journal_priority(severity), "QZD_EVENT=%s", what, NULL);
        return;
    }
    plain_line(log, severity, what, text);
}
