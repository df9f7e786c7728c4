/* Ctrl-C, SIGTERM and a resized terminal as something to read, so that a command ends where it chooses. */
#include "daemon/qzctl.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

int qzctl_signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP); /* the terminal is gone */
    sigaddset(&set, SIGWINCH);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) {
        return -1;
    }
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

enum qzctl_signal qzctl_signals_take(int fd)
{
    struct signalfd_siginfo info;
    enum qzctl_signal found = QZCTL_SIGNAL_NONE;
    while (read(fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGWINCH) {
            return QZCTL_SIGNAL_END;
        }
        found = QZCTL_SIGNAL_RESIZED;
    }
    return found;
}
