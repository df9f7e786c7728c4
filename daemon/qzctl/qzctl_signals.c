/* Ctrl-C, SIGTERM and a resized terminal as something to read, so that a command ends where it chooses. By handlers and a
 * pipe: OpenBLAS begins a thread before main() does, which blocks no signal, so that blocking them in this
 * thread (signalfd) would let them end the process through that one. */
#include "daemon/qzctl/qzctl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};

/* A handler is given nothing but the signal's number. Set once, before any handler can run. */
static int pipe_end = -1;

static void on_signal(int number)
{
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    ssize_t ignored = write(pipe_end, &byte, 1); /* full: enough has come already */
    (void)ignored;
    errno = saved;
}

int qzctl_signals_open(void)
{
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) {
        return -1;
    }
    pipe_end = ends[1];
    qzctl_signals_hold(true);
    return ends[0];
}

void qzctl_signals_hold(bool hold)
{
    struct sigaction action = {.sa_handler = hold ? on_signal : SIG_DFL, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)sigaction(signals[i], &action, NULL);
    }
}

enum qzctl_signal qzctl_signals_take(int fd)
{
    enum qzctl_signal found = QZCTL_SIGNAL_NONE;
    unsigned char byte = 0;
    while (read(fd, &byte, 1) == 1) {
        if (byte != SIGWINCH) {
            return QZCTL_SIGNAL_END;
        }
        found = QZCTL_SIGNAL_RESIZED;
    }
    return found;
}
