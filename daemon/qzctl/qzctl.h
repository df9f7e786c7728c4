/* What the subcommands of qzctl share: where the daemon and the store are, asking either, options, exit
 * codes. Each group of subcommands is a file of its own, qzctl_*.c. */
#ifndef DAEMON_QZCTL_H
#define DAEMON_QZCTL_H

#include "daemon/control/query.h"
#include "daemon/qzctl/table.h"
#include "storage/error.h"

#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum qzctl_exit {
    QZCTL_OK = 0,
    QZCTL_FAILED = 1,
    QZCTL_USAGE = 2,
    QZCTL_NO_DAEMON = 3, /* no daemon, or it cannot be reached */
    QZCTL_REFUSED = 4,   /* the daemon says no */
};

struct qzctl {
    char state_dir[PATH_MAX];
    const char *socket; /* --socket, or NULL */
    bool json;
};

struct qzctl_command {
    const char *name;
    const char *arguments; /* behind the name in the usage line */
    const char *summary;   /* one line */
    const char *help;      /* more lines: what it does, its options, examples */
    int (*run)(struct qzctl *qzctl, const struct qzctl_command *command, int argc, char **argv);
};

extern const struct qzctl_command qzctl_status, qzctl_progress, qzctl_events,
    qzctl_check; /* qzctl_show.c */
extern const struct qzctl_command qzctl_doctor;
extern const struct qzctl_command qzctl_sql;
extern const struct qzctl_command qzctl_pause, qzctl_resume, qzctl_train, qzctl_reload,
    qzctl_stop; /* qzctl_control.c */
extern const struct qzctl_command qzctl_analyse, qzctl_suite;
extern const struct qzctl_command qzctl_match;
extern const struct qzctl_command qzctl_bench;
extern const struct qzctl_command qzctl_snapshot, qzctl_play;
extern const struct qzctl_command qzctl_games, qzctl_show_game, qzctl_nets, qzctl_replay;

/* ---- options (qzctl_options.c) ---- */
/* Take the options of argv[1..]: the common ones go into *qzctl, the command's own (`own`, ended by a zero
 * entry, may be NULL; val is what `take` gets) to `take`, which returns 0 or, having said what is wrong,
 * -1. Returns -1 to go on, with *ret_first the index of the first argument that is no option, or an exit code. */
int qzctl_parse(struct qzctl *qzctl, const struct qzctl_command *command, int argc, char **argv,
                const struct option *own, int (*take)(int option, const char *value, void *context),
                void *context, int *ret_first);
/* As above, for commands without options and arguments of their own. */
int qzctl_parse_plain(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                      char **argv);
/* Say what is wrong with the usage; returns QZCTL_USAGE. */
int qzctl_usage(const struct qzctl_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Whole numbers and reals within bounds; on failure say so and return -1. */
int qzctl_number(const char *option, const char *text, int64_t least, int64_t most, int64_t *ret);
int qzctl_real(const char *option, const char *text, double least, double most, double *ret);
/* --state was not given: $QZD_STATE, else ./state if a store is there, else /var/lib/qzd. */
void qzctl_default_state(struct qzctl *qzctl);

/* ---- asking (qzctl_ask.c) ---- */
/* Ask the daemon of the state directory or, with none running, its store. Returns QZCTL_OK with *ret_json, or
 * an exit code, having said why. request->db_path is filled in here. */
int qzctl_ask(struct qzctl *qzctl, struct query_request *request, bool *ret_from_daemon,
              char **ret_json);
/* Tell the daemon to do something. *ret_json (may be NULL as a pointer) is its answer. */
int qzctl_tell(struct qzctl *qzctl, const char *command, char **ret_json);
void qzctl_db_path(const struct qzctl *qzctl, char ret_path[PATH_MAX]);

/* ---- saying (qzctl_print.c) ---- */
/* "qzctl: ..." on standard error; returns QZCTL_FAILED. */
int qzctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Width of the terminal that standard output is; 0: it is none. */
uint32_t qzctl_width(void);
/* Whether standard output is a terminal that wants colours (NO_COLOR, TERM=dumb). */
bool qzctl_wants_color(void);
/* A JSON value as a cell of a table; "" for null, hex digits for a blob. exact: reals keep all their digits, else
 * those of a float where they came from one. The text returned is ret_text or the value's own. */
const char *qzctl_cell(const json_t *value, bool exact, char ret_text[64]);
/* "2026-05-04 10:00:01" in local time; "3 min"; "12.3 MiB". */
void qzctl_time_text(int64_t at_ms, char ret_text[64]);
void qzctl_duration_text(double seconds, char ret_text[64]);
void qzctl_bytes_text(double bytes, char ret_text[64]);
/* Parse an answer; NULL, having said so, if it is no JSON object. */
json_t *qzctl_object(const char *json);
/* Print JSON text with a newline behind it and flush; returns an exit code. */
int qzctl_put_json(const char *json);
/* The same of an object, which it takes; NULL: out of memory. Reals have 9 digits. */
int qzctl_put_object(json_t *object);
/* Flush standard output; an exit code that says whether all was written. */
int qzctl_flush(void);

/* ---- signals (qzctl_signals.c) ---- */
/* From here on SIGINT, SIGTERM, SIGHUP and SIGWINCH wait to be taken. A descriptor for poll(2), or -1. Once a
 * process. */
int qzctl_signals_open(void);
void qzctl_signals_hold(
    bool hold); /* false: they do again what they do by default; true: as before */
enum qzctl_signal { QZCTL_SIGNAL_NONE, QZCTL_SIGNAL_END, QZCTL_SIGNAL_RESIZED };
enum qzctl_signal qzctl_signals_take(int fd); /* what has come since; does not wait */

/* ---- progress, live (qzctl_watch.c) ---- */
/* Until Ctrl-C, each `interval` seconds: a screen on a terminal, else a line. An exit code. */
int qzctl_watch(struct qzctl *qzctl, double interval);

/* ---- rows of objects as tables (qzctl_rows.c) ---- */
bool qzctl_ends(const char *text, const char *ending);
/* A value for a person, by its type and its key; the text may be the value's own. */
typedef const char *qzctl_show(const char *key, const json_t *value, char ret_text[64]);
qzctl_show qzctl_show_plain; /* "at" and "..._at" are times, all else is qzctl_cell() */
/* columns: names in their order, NULL: the members of the first row. NULL: out of memory. */
struct table *qzctl_rows_table(const json_t *columns, const json_t *rows, qzctl_show *show);
/* Print and destroy it (NULL: out of memory); an exit code. width as of table_print(). */
int qzctl_put_table(struct table *table, uint32_t width);

#endif
