#include "daemon/process/process.h"

#include "daemon/build_id.h"
#include "storage/clock.h"
#include "trainer/net/blas.h"
#include "trainer/net/inference.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_BYTES = 64 << 10, SIGN_OF_LIFE_MS = 5000 };

int64_t process_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

int64_t process_monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t process_take_busy_ms(struct process *process)
{
    int64_t now_ms = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
    int64_t delta = now_ms - process->busy_reported_ms;

    process->busy_reported_ms = now_ms;
    return delta;
}

/* SIGKILL rather than SIGTERM: nothing of a child's is worth keeping once its daemon is gone, and the next daemon must
 * not find an old training still writing its checkpoint. */
static int die_with_parent(struct error *err)
{
    const char *parent = getenv("QZD_PARENT");

    if (parent == NULL) {
        return error_set(err, ERROR_INVALID,
                         "this command is for the daemon's own children; see qzd --help");
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
        return error_set(err, error_from_errno(errno), "prctl: %s", strerror(errno));
    }
    if (strtol(parent, NULL, 10) != (long)getppid()) {
        return error_set(err, ERROR_CANCELLED, "the daemon has gone");
    }
    return 0;
}

static int open_signals(struct process *process, struct error *err)
{
    sigset_t set;

    (void)signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole group: the daemon decides */
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is met like a full disk */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
        (process->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
        return error_set(err, error_from_errno(errno), "signals: %s", strerror(errno));
    }
    return 0;
}

int process_open(struct process *process, char *argv[], struct error *err)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__Hello hello = QZD__HELLO__INIT;

    *process = (struct process){.signals = -1};
    (void)setvbuf(stdout, NULL, _IOFBF, OUTPUT_BYTES);
    int r = die_with_parent(err);
    if (r == 0) {
        r = blas_prove(argv, err);
    }
    if (r == 0) {
        r = open_signals(process, err);
    }
    if (r < 0) {
        return r;
    }
    hello.version = WIRE_VERSION;
    hello.build = (char *)build_id;
    hello.kernel = (char *)inference_kernel();
    message.what_case = QZD__FROM_CHILD__WHAT_HELLO;
    message.hello = &hello;
    process_send(process, &message);
    return 0;
}

void process_finish(struct process *process)
{
    wire_decoder_finish(&process->decoder);
    if (process->signals >= 0) {
        (void)close(process->signals);
        process->signals = -1;
    }
}

void process_receive(struct process *process, int timeout_ms)
{
    struct pollfd wanted[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = process->signals, .events = POLLIN}};

    if (process->stopping || poll(wanted, 2, timeout_ms) <= 0) {
        return;
    }
    if (wanted[1].revents != 0) {
        process->stopping = true;
    }
    if (wanted[0].revents != 0 && wire_receive(STDIN_FILENO, 0, &process->decoder, NULL) < 0) {
        process->stopping = true; /* the daemon has closed its end */
    }
}

Qzd__ToChild *process_next(struct process *process)
{
    const uint8_t *frame = NULL;
    size_t size = 0;
    int r;

    while ((r = wire_decoder_next(&process->decoder, &frame, &size, NULL)) > 0) {
        Qzd__ToChild *message = qzd__to_child__unpack(NULL, size, frame);
        if (message == NULL) {
            break;
        }
        if (message->what_case == QZD__TO_CHILD__WHAT_STOP) {
            process->stopping = true;
        } else if (message->what_case == QZD__TO_CHILD__WHAT_SUSPEND) {
            process->suspended = message->suspend->suspended;
        } else {
            return message;
        }
        qzd__to_child__free_unpacked(message, NULL);
    }
    if (r != 0) {
        process_send_failure(process, ERROR_INVALID, "the daemon sent what is no command");
        process->stopping = true;
    }
    return NULL;
}

bool process_should_stop(void *argument)
{
    struct process *process = argument;

    do {
        process_receive(process, process->suspended ? 1000 : 0);
        Qzd__ToChild *message = process_next(process);
        if (message != NULL) {
            /* Nothing else is said to a process that computes. */
            qzd__to_child__free_unpacked(message, NULL);
        }
    } while (process->suspended && !process->stopping);
    int64_t now_ms = process_monotonic_ms();
    if (now_ms - process->sign_of_life_ms >= SIGN_OF_LIFE_MS) {
        process->sign_of_life_ms = now_ms;
        process_send_core_time(process);
    }
    return process->stopping;
}

void process_send(struct process *process, const Qzd__FromChild *message)
{
    uint8_t *bytes = NULL;
    size_t size = 0;

    if (wire_encode(&message->base, &bytes, &size, NULL) < 0 ||
        fwrite(bytes, 1, size, stdout) != size) {
        process->stopping = true;
    }
    free(bytes);
    if (!process->holds) {
        process_flush(process);
    } else if (process->held_since_ms == 0) {
        process->held_since_ms = process_monotonic_ms();
    }
}

void process_flush(struct process *process)
{
    process->held_since_ms = 0;
    if (fflush(stdout) != 0) {
        process->stopping = true;
    }
}

void process_send_failure(struct process *process, int code, const char *text)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__Failure failure = QZD__FAILURE__INIT;

    failure.code = code;
    failure.text = (char *)text;
    message.what_case = QZD__FROM_CHILD__WHAT_FAILURE;
    message.failure = &failure;
    process_send(process, &message);
}

void process_send_event(struct process *process, const char *severity, const char *what,
                        const char *detail)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__Event event = QZD__EVENT__INIT;

    event.severity = (char *)severity;
    event.what = (char *)what;
    event.detail = (char *)detail;
    message.what_case = QZD__FROM_CHILD__WHAT_EVENT;
    message.event = &event;
    process_send(process, &message);
}

void process_send_precision(struct process *process, const char *net_sha256,
                            const struct precision_report *report)
{
    char figures[PRECISION_TEXT];
    char detail[PRECISION_TEXT + 32];

    if (report != NULL) {
        precision_say(report, figures);
        (void)snprintf(detail, sizeof detail, "net %.12s: %s", net_sha256, figures);
        process_send_event(process, report->passed ? "info" : "warning", "precision", detail);
    }
}

void process_send_core_time(struct process *process)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__CoreTime core_time = QZD__CORE_TIME__INIT;
    int64_t busy_ms = process_take_busy_ms(process);

    if (busy_ms <= 0) {
        return;
    }
    core_time.ms = (uint64_t)busy_ms;
    message.what_case = QZD__FROM_CHILD__WHAT_CORE_TIME;
    message.core_time = &core_time;
    process_send(process, &message);
}
