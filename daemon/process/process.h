/* What every child process of the daemon does: it dies with its daemon (PR_SET_PDEATHSIG, and a look at getppid for a
 * daemon that was gone before that), leaves SIGINT of the terminal to the daemon, takes SIGTERM and the
 * end of stdin as Stop, and speaks frames on stdin and stdout. Plus the mains of the three kinds. */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

#include "daemon/wire.h"
#include "trainer/net/precision.h"

#include <stdbool.h>
#include <stdint.h>

struct process {
    int signals; /* signalfd: SIGTERM */
    struct wire_decoder decoder;
    bool stopping;  /* Stop, SIGTERM, or the daemon has gone */
    bool suspended; /* kept up to date by process_next() */
    int64_t busy_reported_ms;
    int64_t sign_of_life_ms; /* when process_should_stop() last gave one, monotonic */
    bool holds; /* messages wait for process_flush(), so that the daemon wakes less often */
    int64_t held_since_ms; /* the oldest of them; 0 = none */
};

/* First thing in a child's main. Proves OpenBLAS (trainer/net/blas.h), so it may execute the process
 * again from argv. Then says Hello. */
int process_open(struct process *process, char *argv[], struct error *err);
void process_finish(struct process *process);

/* Take in what has come; wait for it at most timeout_ms (-1: for ever). */
void process_receive(struct process *process, int timeout_ms);
/* The next command, to be freed by the caller; NULL: none. Stop and Suspend are handled here and not given. */
Qzd__ToChild *process_next(struct process *process);
/* Ready for a library's should_stop: takes in Stop and Suspend, stays inside while suspended. Other commands wait. Gives a sign
 * of life (CoreTime) every few seconds, without which the daemon takes the process for a hung one. */
bool process_should_stop(void *process);

/* Send, or keep for the next process_flush() if the process holds its messages (above 64 KiB they go at
 * once). Without the daemon there is nobody to tell: the process then stops. */
void process_send(struct process *process, const Qzd__FromChild *message);
void process_flush(struct process *process);
void process_send_failure(struct process *process, int code, const char *text);
void process_send_event(struct process *process, const char *severity, const char *what,
                        const char *detail);
/* The check of a net's precision, if there was one (NULL: nothing is sent): an info, or a warning where bf16 was
 * refused. */
void process_send_precision(struct process *process, const char *net_sha256,
                            const struct precision_report *report);
/* Processor time of this process since the last call, in ms. */
int64_t process_take_busy_ms(struct process *process);
/* The same as a CoreTime message, if there is anything to tell. */
void process_send_core_time(struct process *process);
int64_t process_wall_ms(void); /* Unix ms */
int64_t process_monotonic_ms(void);

/* The mains; each returns an exit status. argv is that of main, for process_open. */
int process_worker_main(char *argv[]);
int process_train_main(char *argv[]);
int process_match_main(char *argv[]);

/* Play a match for process_match_main() (process_match_play.c): a MatchPair for each pair, then a MatchResult. */
int process_play_match(struct process *process, const Qzd__MatchJob *job, struct error *err);

#endif
