/* qzctl: what a person types. It talks to the daemon that holds the state directory, over its Unix socket;
 * where none runs it reads the store itself, through the same code. It starts nothing that outlives it. */
#include "daemon/build_id.h"
#include "daemon/qzctl/qzctl.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct qzctl_command *const commands[] = {
    /* the daemon */
    &qzctl_status,
    &qzctl_pause,
    &qzctl_resume,
    &qzctl_train,
    &qzctl_reload,
    &qzctl_stop,
    /* the run */
    &qzctl_progress,
    &qzctl_events,
    &qzctl_check,
    &qzctl_doctor,
    &qzctl_sql,
    &qzctl_snapshot,
    /* nets */
    &qzctl_nets,
    &qzctl_analyse,
    &qzctl_suite,
    &qzctl_bench,
    &qzctl_match,
    &qzctl_play,
    /* games */
    &qzctl_games,
    &qzctl_show_game,
    &qzctl_replay,
    /* the end */
    NULL,
};

static const struct qzctl_command *find(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static void print_help(FILE *out)
{
    fputs("Usage: qzctl [--state DIR] COMMAND [OPTION...] [ARGUMENT...]\n"
          "Look at a qzd daemon, its store and its nets, and steer it.\n\n"
          "Commands:\n",
          out);
    for (size_t i = 0; commands[i] != NULL; i++) {
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    }
    fputs(
        "\nOptions of every command:\n"
        "  --state DIR    the daemon's state directory (default: $QZD_STATE, else ./state if a\n"
        "                 store is in it, else /var/lib/qzd)\n"
        "  --socket PATH  the daemon's socket, instead of the one that the state directory names\n"
        "  --json         print facts as JSON\n"
        "  --help         what a command does, with examples: qzctl COMMAND --help\n"
        "  --version\n\n"
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no daemon or not reachable, 4 refused by\n"
        "the daemon (a bad configuration on reload: file:line:column of each problem).\n",
        out);
}

/* Options before the command's name. Returns the name's index, or minus an exit code minus 1. */
static int find_command(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(stdout);
            return -1 - QZCTL_OK;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("qzctl %s (%s)\n", QZD_VERSION, build_id);
            return -1 - QZCTL_OK;
        }
        if (strcmp(argv[i], "--state") == 0 || strcmp(argv[i], "--socket") == 0) {
            i++; /* its value */
        } else if (argv[i][0] != '-') {
            return i;
        }
    }
    print_help(stderr);
    return -1 - QZCTL_USAGE;
}

int main(int argc, char **argv)
{
    struct qzctl qzctl = {.json = false};
    setlocale(LC_CTYPE, "");  /* the line editor knows UTF-8; numbers stay as JSON has them */
    signal(SIGPIPE, SIG_IGN); /* qzctl ... | head: a write error, told by qzctl_flush() */

    int at = find_command(argc, argv);
    if (at < 0) {
        return -1 - at;
    }
    if (strcmp(argv[at], "help") == 0) {
        const struct qzctl_command *topic = at + 1 < argc ? find(argv[at + 1]) : NULL;
        if (topic == NULL) {
            print_help(stdout);
            return QZCTL_OK;
        }
        return topic->run(&qzctl, topic, 2, (char *[]){argv[at], (char[]){"--help"}, NULL});
    }
    const struct qzctl_command *command = find(argv[at]);
    if (command == NULL) {
        fprintf(stderr, "qzctl: no command \"%s\"; \"qzctl --help\" lists them\n", argv[at]);
        return QZCTL_USAGE;
    }
    /* The name goes first, so that options before and behind it are parsed alike. */
    char *parsed[argc + 1];
    parsed[0] = argv[at];
    for (int i = 1, n = 1; i < argc; i++) {
        if (i != at) {
            parsed[n++] = argv[i];
        }
    }
    parsed[argc - 1] = NULL;
    /* If nothing else is asked for, nets are computed as the daemon would of itself; but a replay goes by what was recorded. */
    if (command != &qzctl_replay && setenv("QZD_PRECISION", "auto", 0) < 0) {
        return qzctl_fail("out of memory");
    }
    return command->run(&qzctl, command, argc - 1, parsed);
}
