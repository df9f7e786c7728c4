#include "daemon/build_id.h"
#include "daemon/qzctl/qzctl.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_OPTIONS = 32,
    OPTION_STATE = 1000,
    OPTION_SOCKET,
    OPTION_JSON,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option common[] = {
    {"state", required_argument, NULL, OPTION_STATE},
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
};
enum { N_COMMON = sizeof common / sizeof *common };

static int print_command_help(const struct qzctl_command *command)
{
    printf(
        "Usage: qzctl %s [OPTION...]%s%s\n%s.\n\n%s"
        "\nCommon options: --state DIR, --socket PATH, --json, --version (see \"qzctl --help\").\n",
        command->name, *command->arguments == '\0' ? "" : " ", command->arguments, command->summary,
        command->help);
    return qzctl_flush();
}

int qzctl_usage(const struct qzctl_command *command, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "qzctl %s: ", command->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n\"qzctl %s --help\" says more.\n", command->name);
    return QZCTL_USAGE;
}

void qzctl_default_state(struct qzctl *qzctl)
{
    const char *given = getenv("QZD_STATE");
    if (given != NULL && *given != '\0') {
        snprintf(qzctl->state_dir, sizeof qzctl->state_dir, "%s", given);
    } else if (access("state/qzd.db", F_OK) == 0) {
        snprintf(qzctl->state_dir, sizeof qzctl->state_dir, "state");
    } else {
        snprintf(qzctl->state_dir, sizeof qzctl->state_dir, "/var/lib/qzd");
    }
}

/* Returns -1 to go on, or an exit code. */
static int take_common(struct qzctl *qzctl, const struct qzctl_command *command, int option)
{
    switch (option) {
    case OPTION_STATE:
        if (*optarg == '\0' || strlen(optarg) >= sizeof qzctl->state_dir - sizeof "/qzd.db") {
            return qzctl_usage(command, "--state: no usable path");
        }
        snprintf(qzctl->state_dir, sizeof qzctl->state_dir, "%s", optarg);
        return -1;
    case OPTION_SOCKET:
        qzctl->socket = optarg;
        return -1;
    case OPTION_JSON:
        qzctl->json = true;
        return -1;
    case OPTION_VERSION:
        printf("qzctl %s (%s)\n", QZD_VERSION, build_id);
        return QZCTL_OK;
    case OPTION_HELP:
        return print_command_help(command);
    default: /* getopt_long has said what is wrong */
        fprintf(stderr, "\"qzctl %s --help\" says more.\n", command->name);
        return QZCTL_USAGE;
    }
}

int qzctl_parse(struct qzctl *qzctl, const struct qzctl_command *command, int argc, char **argv,
                const struct option *own, int (*take)(int option, const char *value, void *context),
                void *context, int *ret_first)
{
    struct option options[MAX_OPTIONS] = {{0}};
    size_t n = 0;
    while (own != NULL && own[n].name != NULL && n + N_COMMON + 1 < MAX_OPTIONS) {
        options[n] = own[n];
        n++;
    }
    memcpy(options + n, common, sizeof common);

    char name[64];
    snprintf(name, sizeof name, "qzctl %s", command->name);
    argv[0] = name; /* as getopt's messages begin */
    optind = 0;     /* begin anew */
    for (;;) {
        int option = getopt_long(argc, argv, "h", options, NULL);
        if (option == -1) {
            break;
        }
        option = option == 'h' ? OPTION_HELP : option;
        if (option >= OPTION_STATE || option == '?') {
            int r = take_common(qzctl, command, option);
            if (r >= 0) {
                return r;
            }
        } else if (take == NULL || take(option, optarg, context) != 0) {
            return QZCTL_USAGE;
        }
    }
    if (qzctl->state_dir[0] == '\0') {
        qzctl_default_state(qzctl);
    }
    *ret_first = optind;
    return -1;
}

int qzctl_parse_plain(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                      char **argv)
{
    int first = 0;
    int r = qzctl_parse(qzctl, command, argc, argv, NULL, NULL, NULL, &first);
    if (r < 0 && first < argc) {
        return qzctl_usage(command, "\"%s\" is one argument too many", argv[first]);
    }
    return r;
}

int qzctl_number(const char *option, const char *text, int64_t least, int64_t most, int64_t *ret)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < least || value > most) {
        fprintf(stderr, "qzctl: %s: \"%s\" is no whole number between %lld and %lld\n", option,
                text, (long long)least, (long long)most);
        return -1;
    }
    *ret = value;
    return 0;
}

int qzctl_real(const char *option, const char *text, double least, double most, double *ret)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value < least || value > most) {
        fprintf(stderr, "qzctl: %s: \"%s\" is no number between %g and %g\n", option, text, least,
                most);
        return -1;
    }
    *ret = value;
    return 0;
}
