/* snapshot: a copy of the store, beside a daemon or without one. qzctl copies it itself: reading is all it takes. */
#include "daemon/qzctl/qzctl.h"

#include "storage/clock.h"
#include "storage/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPTION_CHECK = 1 };

static int take_check(int option, const char *value, void *context)
{
    (void)option;
    (void)value;
    *(bool *)context = true;
    return 0;
}

static bool go_on(void *context)
{
    return qzctl_signals_take(*(const int *)context) != QZCTL_SIGNAL_END;
}

static int say(struct qzctl *qzctl, const char *path, bool checked, double seconds)
{
    struct stat info;
    char size[64];
    char time_text[64];
    if (stat(path, &info) != 0) {
        return qzctl_fail("%s: it is gone again", path);
    }
    if (qzctl->json) {
        return qzctl_put_object(json_pack("{s:s, s:I, s:b, s:f}", "file", path, "bytes",
                                          (json_int_t)info.st_size, "checked", checked, "seconds",
                                          seconds));
    }
    qzctl_bytes_text((double)info.st_size, size);
    qzctl_duration_text(seconds, time_text);
    printf("%s: %s in %s%s\n", path, size, time_text,
           checked ? "; integrity and tallies are sound" : "");
    return qzctl_flush();
}

static int run_snapshot(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                        char **argv)
{
    static const struct option own[] = {{"check", no_argument, NULL, OPTION_CHECK}, {0}};
    char path[PATH_MAX];
    struct error err = {""};
    struct store *store = NULL;
    bool check = false;
    int first = 0;
    int r = qzctl_parse(qzctl, command, argc, argv, own, take_check, &check, &first);
    if (r >= 0) {
        return r;
    }
    if (argc - first != 1 || *argv[first] == '\0') {
        return qzctl_usage(command, "one new file is needed");
    }
    int signals = qzctl_signals_open();
    const double began = clock_seconds(CLOCK_MONOTONIC);
    qzctl_db_path(qzctl, path);
    r = store_open(path, STORE_READ, &store, &err);
    if (r == 0) {
        r = store_snapshot(store, argv[first], check, go_on, &signals, &err);
    }
    store_close(store);
    close(signals);
    if (r < 0) {
        return qzctl_fail("%s", err.text);
    }
    return say(qzctl, argv[first], check, clock_seconds(CLOCK_MONOTONIC) - began);
}

const struct qzctl_command qzctl_snapshot = {
    "snapshot",
    "FILE",
    "copy the store as it is now into a new file",
    "  --check   look at the copy as \"qzctl check\" does before it gets its name\n"
    "\n"
    "The daemon goes on playing and writing meanwhile; no daemon is needed. FILE appears when the\n"
    "copy is whole and on disk; a file that is there is never replaced. It is a store like the\n"
    "first: put it into a directory as qzd.db, and that directory is one for --state. Nets are\n"
    "files of their own, DIR/nets; what is never changed there can be copied at any time.\n"
    "\n"
    "Examples:\n"
    "  qzctl snapshot qzd-$(date +%F).db\n"
    "  mkdir copy && qzctl snapshot --check copy/qzd.db && qzctl --state copy progress\n",
    run_snapshot,
};
