/* qzd match: evaluation. The daemon sends SuiteJobs and MatchJobs over stdin, the next one when it has the
 * answer to the last on stdout: a SuiteResult, or MatchPairs and a MatchResult, or a Failure (what runs looks
 * at its stdin for Stop and Suspend only).
 * Stop, SIGTERM or the end of stdin end the process at a batch boundary; Suspend keeps it where it is. */
#include "daemon/process/process.h"

#include "selfplay/settings.h"
#include "selfplay/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MATCH_BATCH = 64, MATCH_CACHE_ENTRIES = 1 << 16, MATCH_MAX_METRICS = 3 };

struct metrics {
    size_t n;
    Qzd__SuiteResult__Metric metric[MATCH_MAX_METRICS];
    Qzd__SuiteResult__Metric *list[MATCH_MAX_METRICS];
};

static void add_metric(struct metrics *metrics, const char *name, double value, uint32_t n)
{
    if (isnan(value) || metrics->n == MATCH_MAX_METRICS) {
        return;
    }
    Qzd__SuiteResult__Metric *metric = &metrics->metric[metrics->n];
    *metric = (Qzd__SuiteResult__Metric)QZD__SUITE_RESULT__METRIC__INIT;
    metric->name = (char *)name;
    metric->value = value;
    metric->n = n;
    metrics->list[metrics->n++] = metric;
}

static void send_result(struct process *process, const struct suite *suite, uint32_t nodes,
                        const struct suite_result *result)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__SuiteResult wire = QZD__SUITE_RESULT__INIT;
    struct metrics metrics = {.n = 0};

    if (suite->kind == SUITE_MOVES) {
        add_metric(&metrics, "mistakes", result->mistakes, result->n);
        add_metric(&metrics, "mistakes_decisive", result->mistakes_decisive, result->n_decisive);
    } else {
        add_metric(&metrics, "value_accuracy", result->value_accuracy, result->n);
        add_metric(&metrics, "value_brier", result->value_brier, result->n);
        add_metric(&metrics, "value_cross_entropy", result->value_cross_entropy, result->n);
    }
    wire.suite = (char *)suite->name;
    wire.nodes = nodes;
    wire.n_metrics = metrics.n;
    wire.metrics = metrics.list;
    wire.seconds = result->seconds;
    message.what_case = QZD__FROM_CHILD__WHAT_SUITE_RESULT;
    message.suite_result = &wire;
    process_send(process, &message);
}

static int judge(struct process *process, const Qzd__SuiteJob *job, struct error *err)
{
    const struct game *game = game_find(job->game);
    struct selfplay_settings settings;
    struct suite *suite = NULL;
    struct net *net = NULL;
    struct player *player = NULL;
    struct suite_result result = {0};
    char sha256[RECORD_SHA256_BYTES];
    int r = selfplay_settings_parse(job->settings, &settings, err);

    if (r == 0 && game == NULL) {
        r = error_set(err, ERROR_UNSUPPORTED, "no game is called %s", job->game);
    }
    if (r == 0) {
        r = suite_load(job->suite_file, game, &suite, err);
    }
    if (r == 0) {
        r = net_load(job->net_file, &net, sha256, err);
    }
    if (r == 0 && strcmp(sha256, job->net_sha256) != 0) {
        r = error_set(err, ERROR_CORRUPT, "%s: its sha256 is %s, not %s", job->net_file, sha256,
                      job->net_sha256);
    }
    if (r == 0) {
        r = player_create(game, net, MATCH_BATCH, MATCH_CACHE_ENTRIES, &player, err);
    }
    if (r == 0) {
        settings.search.noise_share = 0;
        r = suite_run(suite, player, &settings.search, job->nodes, &result, NULL,
                      process_should_stop, process, err);
    }
    if (r == 0) {
        process_send_core_time(
            process); /* first: with the last result the daemon is done with us */
        send_result(process, suite, job->nodes, &result);
    }
    player_destroy(player);
    net_destroy(net);
    suite_destroy(suite);
    return r;
}

static void answer(struct process *process, const Qzd__ToChild *message)
{
    struct error err = {.text = ""};
    int r = 0;

    if (message->what_case == QZD__TO_CHILD__WHAT_SUITE_JOB) {
        r = judge(process, message->suite_job, &err);
    } else if (message->what_case == QZD__TO_CHILD__WHAT_MATCH_JOB) {
        r = process_play_match(process, message->match_job, &err);
    } else {
        r = error_set(&err, ERROR_INVALID, "a command that is not for an evaluation");
    }
    process_send_core_time(process);
    if (r < 0 && r != ERROR_CANCELLED) {
        process_send_failure(process, r, err.text);
    }
}

int process_match_main(char *argv[])
{
    struct process process;
    Qzd__ToChild *message;
    struct error err = {.text = ""};
    int r = process_open(&process, argv, &err);

    if (r < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    while (!process.stopping) {
        process_receive(&process, -1);
        while (!process.stopping && (message = process_next(&process)) != NULL) {
            answer(&process, message);
            qzd__to_child__free_unpacked(message, NULL);
        }
    }
    process_finish(&process);
    return 0;
}
