/* qzd: the daemon, and the processes that it starts from its own executable.
 *
 *     qzd run            SIGTERM, SIGINT: a clean stop; SIGHUP: read the configuration again
 *     qzd check-config   for editors and scripts
 *     qzd worker | train | match      the daemon's children: daemon/process/process.h says who talks to them */
#include "daemon/build_id.h"
#include "daemon/config/config.h"
#include "daemon/daemon.h"
#include "daemon/process/process.h"
#include "trainer/net/blas.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_BAD_CONFIG = 4 };

static const char usage[] =
    "usage: qzd run [--config FILE] [--state DIR]   run the daemon\n"
    "       qzd check-config FILE                   say what is wrong with a configuration\n"
    "       qzd check-config --keys                 list every key, its range, default and "
    "meaning\n"
    "       qzd --version | --help\n"
    "\n"
    "Without --config the defaults hold: Connect Four, state in ./state. Ctrl-C stops cleanly, "
    "the\n"
    "same command goes on where it stopped. qzctl asks and steers a running daemon.\n";

static int usage_error(const char *what)
{
    (void)fprintf(stderr, "qzd: %s\n%s", what, usage);
    return EXIT_USAGE;
}

static int run(int argc, char *argv[])
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"state", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct daemon_options chosen = {.config_path = NULL};
    struct error err = {.text = ""};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            chosen.config_path = optarg;
            break;
        case 's':
            chosen.state_dir = optarg;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return EXIT_OK;
        default:
            return EXIT_USAGE;
        }
    }
    if (optind + 1 < argc) { /* argv[optind] is "run" itself */
        return usage_error("run takes no other words");
    }
    /* The daemon computes nothing itself, but its children need not prove again what it has proven. */
    if (blas_prove(argv, &err) < 0) {
        (void)fprintf(stderr, "qzd: %s\n", err.text);
        return EXIT_FAILED;
    }
    return daemon_run(&chosen);
}

static int check_config(int argc, char *argv[])
{
    struct config_problems problems = {0};
    struct config *config = NULL;

    if (argc == 3 && strcmp(argv[2], "--keys") == 0) {
        char *text = config_reference();
        (void)fputs(text == NULL ? "" : text, stdout);
        free(text);
        return text == NULL ? EXIT_FAILED : EXIT_OK;
    }
    if (argc == 3 && strcmp(argv[2], "--help") == 0) {
        (void)fputs(usage, stdout);
        return EXIT_OK;
    }
    if (argc != 3) {
        return usage_error("check-config takes one file, or --keys");
    }
    config = malloc(sizeof(*config));
    if (config == NULL) {
        return EXIT_FAILED;
    }
    int r = config_load(argv[2], config, &problems);
    if (r < 0) {
        (void)fprintf(stderr, "%s", problems.text == NULL ? "out of memory\n" : problems.text);
    } else {
        (void)printf("%s: ok\n", argv[2]);
    }
    config_problems_finish(&problems);
    free(config);
    return r < 0 ? EXIT_BAD_CONFIG : EXIT_OK;
}

int main(int argc, char *argv[])
{
    const char *word = argc < 2 ? "" : argv[1];

    if (strcmp(word, "run") == 0) {
        return run(argc, argv);
    }
    if (strcmp(word, "check-config") == 0) {
        return check_config(argc, argv);
    }
    if (strcmp(word, "--version") == 0) {
        (void)printf("qzd %s (%s)\n", QZD_VERSION, build_id);
        return EXIT_OK;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        (void)fputs(usage, stdout);
        return EXIT_OK;
    }
    if (strcmp(word, "worker") == 0) {
        return process_worker_main(argv);
    }
    if (strcmp(word, "train") == 0) {
        return process_train_main(argv);
    }
    if (strcmp(word, "match") == 0) {
        return process_match_main(argv);
    }
    return usage_error(word[0] == '\0' ? "what is to be done?" : "no such command");
}
