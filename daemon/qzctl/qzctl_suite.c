/* suite: how often a net is wrong on positions whose truth is known. */
#include "daemon/qzctl/qzctl_search.h"

#include "selfplay/suite.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One suite being judged. */
struct judgement {
    const struct suite *suite;
    const struct qzctl_net *net;
    const struct search_options *search;
    struct suite_result result;
    uint16_t *actions;
};

/* Of a share: sqrt(p (1 - p) / n). NaN where there is nothing. */
static double standard_error(double p, uint32_t n)
{
    return n == 0 ? (double)NAN : sqrt(p * (1 - p) / n);
}

static void put_real(json_t *object, const char *key, double value)
{
    (void)json_object_set_new(object, key, isfinite(value) ? json_real(value) : json_null());
}

static int print_json(const struct judgement *j)
{
    const struct suite_result *result = &j->result;
    json_t *object = json_pack("{s:s, s:s, s:o, s:i, s:i}", "suite", j->suite->name, "game",
                               j->suite->game->name, "net", qzctl_net_json(j->net), "nodes",
                               (int)j->search->nodes, "n", (int)result->n);
    if (j->suite->kind == SUITE_MOVES) {
        (void)json_object_set_new(object, "n_decisive", json_integer(result->n_decisive));
        put_real(object, "mistakes", result->mistakes);
        put_real(object, "mistakes_error", standard_error(result->mistakes, result->n));
        put_real(object, "mistakes_decisive", result->mistakes_decisive);
        put_real(object, "mistakes_decisive_error",
                 standard_error(result->mistakes_decisive, result->n_decisive));
    } else {
        put_real(object, "value_accuracy", result->value_accuracy);
        put_real(object, "value_accuracy_error", standard_error(result->value_accuracy, result->n));
        put_real(object, "value_brier", result->value_brier);
        put_real(object, "value_cross_entropy", result->value_cross_entropy);
    }
    (void)json_object_set_new(object, "evaluations", json_integer((json_int_t)result->evaluations));
    put_real(object, "seconds", result->seconds);
    return qzctl_put_object(object);
}

static void print_share(const char *label, double p, uint32_t n)
{
    if (n > 0) {
        printf("%-26s%.2f %% +- %.2f  (of %u)\n", label, 100 * p, 100 * standard_error(p, n), n);
    } else {
        printf("%-26sno such position\n", label);
    }
}

static int print_text(const struct judgement *j)
{
    const struct suite_result *result = &j->result;
    printf("suite %s, %u positions; net %.12s", j->suite->name, result->n, j->net->sha256);
    if (j->net->generation >= 0) {
        printf(" (generation %lld)", (long long)j->net->generation);
    }
    if (j->search->nodes == 0) {
        printf(" alone\n");
    } else {
        printf(" with %u nodes\n", j->search->nodes);
    }
    if (j->suite->kind == SUITE_MOVES) {
        print_share("mistakes:", result->mistakes, result->n);
        print_share("mistakes, decisive:", result->mistakes_decisive, result->n_decisive);
    } else {
        print_share("accuracy:", result->value_accuracy, result->n);
        printf("%-26s%.4f\n%-26s%.4f nats\n", "Brier score:", result->value_brier,
               "cross-entropy:", result->value_cross_entropy);
    }
    printf("%-26s%llu in %.1f s of processor time\n",
           "evaluations:", (unsigned long long)result->evaluations, result->seconds);
    return qzctl_flush();
}

/* One chosen move a line, in the order of the suite. */
static int write_moves(const char *path, const struct judgement *j)
{
    const struct game *game = j->suite->game;
    bool is_stdout = strcmp(path, "-") == 0;
    FILE *out = is_stdout ? stdout : fopen(path, "w");
    if (out == NULL) {
        return qzctl_fail("%s: %s", path, strerror(errno));
    }
    for (uint32_t i = 0; i < j->suite->n; i++) {
        char text[GAME_MAX_ACTION_TEXT];
        game->action_format(j->suite->positions[i].state, j->actions[i], text);
        fprintf(out, "%s\n", text);
    }
    bool failed = ferror(out) != 0;
    failed = (is_stdout ? fflush(out) : fclose(out)) != 0 || failed;
    return failed ? qzctl_fail("%s: %s", path, strerror(errno)) : QZCTL_OK;
}

static int judge(struct judgement *j, const char *moves_out, bool json)
{
    struct player *player = NULL;
    struct error err = {""};
    j->actions = calloc(j->suite->n == 0 ? 1 : j->suite->n, sizeof *j->actions);
    if (j->actions == NULL) {
        return qzctl_fail("out of memory");
    }
    int r = player_create(j->suite->game, j->net->net, QZCTL_SIDE_BY_SIDE, QZCTL_CACHE_ENTRIES,
                          &player, &err);
    if (r == 0) {
        r = suite_run(j->suite, player, &j->search->params, j->search->nodes, &j->result,
                      j->actions, NULL, NULL, &err);
    }
    player_destroy(player);
    if (r < 0) {
        qzctl_fail("%s", err.text);
    } else {
        r = moves_out == NULL ? QZCTL_OK : write_moves(moves_out, j);
        if (r == QZCTL_OK) {
            r = json ? print_json(j) : print_text(j);
        }
    }
    free(j->actions);
    return r < 0 ? QZCTL_FAILED : r;
}

static int run_suite(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                     char **argv)
{
    static const struct option own[] = {{"moves-out", required_argument, NULL, 0}, {0}};
    const char *moves_out = NULL;
    struct search_options options;
    struct qzctl_net net;
    struct suite *suite = NULL;
    struct error err = {""};
    int first = 0;
    int r = search_options_parse(qzctl, command, argc, argv, own, &moves_out, &options, &first);
    if (r >= 0) {
        return r;
    }
    if (argc - first != 1) {
        return qzctl_usage(command, "one suite file is needed");
    }
    if (!options.nodes_given) {
        return qzctl_usage(command, "--nodes N is needed (0: the net alone)");
    }
    r = qzctl_net_load(qzctl, options.net, &net);
    if (r != QZCTL_OK) {
        return r;
    }
    if (suite_load(argv[first], net.game, &suite, &err) < 0) {
        r = qzctl_fail("%s", err.text);
    } else {
        struct judgement j = {.suite = suite, .net = &net, .search = &options};
        r = judge(&j, moves_out, qzctl->json);
    }
    suite_destroy(suite);
    qzctl_net_finish(&net);
    return r;
}

const struct qzctl_command qzctl_suite = {
    "suite",
    "--nodes N FILE",
    "judge a net by positions of known truth",
    "  --nodes N            visits of each search; 0 = the net alone\n" SEARCH_OPTIONS_HELP
    "  --moves-out FILE     write the chosen move of each position, one a line (- = standard "
    "output)\n"
    "\n"
    "FILE.mask (MOVES SCORE MASK a line): share of positions whose chosen move throws the game "
    "value\n"
    "away, over all and over decisive positions (those where that is possible), with standard "
    "errors.\n"
    "FILE.csv (moves,value): accuracy of the value, Brier score over win, draw and loss, and\n"
    "cross-entropy in nats. No daemon is needed or asked; no noise, the best move counts.\n"
    "\n"
    "Examples:\n"
    "  qzctl suite --nodes 0 etc/suites/connect4.mask\n"
    "  qzctl suite --nodes 800 --net 3 --moves-out moves.txt etc/suites/connect4.mask\n"
    "  qzctl suite --nodes 0 --json etc/suites/connect4-values.csv\n",
    run_suite,
};
