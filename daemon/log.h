/* The daemon's words: structured journal fields under systemd (when stderr is the journal), plain lines
 * on stderr elsewhere, above the live block where there is one. Only the loop's thread logs. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include "daemon/terminal.h"

enum log_severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_ERROR };
/* The words of the store's events. */
const char *log_severity_text(enum log_severity severity);
/* SEVERITY_ERROR for a word that is none. */
enum log_severity log_severity_parse(const char *text);

struct log;

/* terminal is borrowed and may be NULL. NULL: out of memory. */
struct log *log_create(struct terminal *terminal);
void log_destroy(struct log *log); /* NULL is allowed */
/* `what` is a word or two to search for ("worker exited"), the rest says it in full. */
void log_event(struct log *log, enum log_severity severity, const char *what, const char *format,
               ...) __attribute__((format(printf, 4, 5)));

#endif
