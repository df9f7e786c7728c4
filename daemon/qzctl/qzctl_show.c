/* Looking: progress, events, check. The facts come as JSON from the daemon or from query.c. */
#include "daemon/qzctl/qzctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_ALL = 1, OPTION_N, OPTION_WATCH, OPTION_INTERVAL };
enum { WATCH_SECONDS = 2 };

/* Ask, and print as JSON where that was wanted. *ret_answer is NULL then and on failure. */
static int ask_object(struct qzctl *qzctl, struct query_request *request, json_t **ret_answer)
{
    char *json = NULL;
    bool from_daemon = false;
    *ret_answer = NULL;
    int r = qzctl_ask(qzctl, request, &from_daemon, &json);
    if (r == QZCTL_OK && qzctl->json) {
        r = qzctl_put_json(json);
    } else if (r == QZCTL_OK) {
        *ret_answer = qzctl_object(json);
        r = *ret_answer == NULL ? QZCTL_FAILED : QZCTL_OK;
    }
    free(json);
    return r;
}

/* ---- progress ---- */

enum shape { WHOLE, PERCENT, REAL_1, REAL_2, REAL_4 };

/* The columns of the view in the order of reading; rank: see table_column(). */
static const struct progress_column {
    const char *key;
    const char *head;
    enum shape shape;
    uint32_t rank;
} progress_columns[] = {
    {"generation", "gen", WHOLE, 0},
    {"games", "games", WHOLE, 6},
    {"positions", "pos", WHOLE, 1},
    {"plies", "plies", REAL_1, 12},
    {"first_player_score", "1st%", PERCENT, 9},
    {"draws", "draw%", PERCENT, 11},
    {"q_ratio", "q_rat", REAL_2, 5},
    {"policy_gap", "p.gap", REAL_4, 8},
    {"policy_gap_held_out", "p.gap*", REAL_4, 2},
    {"value_loss", "v.loss", REAL_4, 8},
    {"value_loss_held_out", "v.loss*", REAL_4, 2},
    {"mean_abs_qz", "|q-z|", REAL_4, 7},
    {"kld", "kld", REAL_4, 10},
    {"mistakes_net", "mistakes%", PERCENT, 1},
    {"mistakes_search", "+search%", PERCENT, 1},
    {"value_accuracy", "v.acc%", PERCENT, 1},
    {"evaluations_per_s", "eval/s", WHOLE, 13},
    {"evaluations_per_position", "eval/pos", WHOLE, 14},
    {"cache_hits", "cache%", PERCENT, 15},
    {"proven", "prov%", PERCENT, 16},
    {"core_minutes", "core-min", REAL_1, 13},
};
enum { N_PROGRESS_COLUMNS = sizeof progress_columns / sizeof *progress_columns };

static void progress_cell(struct table *table, const json_t *value, enum shape shape)
{
    double x = json_number_value(value);
    if (!json_is_number(value)) {
        table_cell(table, NULL);
        return;
    }
    switch (shape) {
    case WHOLE:
        table_cellf(table, "%.0f", x);
        break;
    case PERCENT:
        table_cellf(table, "%.1f", 100 * x);
        break;
    case REAL_1:
        table_cellf(table, "%.1f", x);
        break;
    case REAL_2:
        table_cellf(table, "%.2f", x);
        break;
    case REAL_4:
        table_cellf(table, "%.4f", x);
        break;
    }
}

static struct table *progress_table(const json_t *rows)
{
    struct table *table = table_create();
    size_t i;
    json_t *row;
    for (size_t c = 0; table != NULL && c < N_PROGRESS_COLUMNS; c++) {
        table_column(table, progress_columns[c].head, TABLE_RIGHT, progress_columns[c].rank);
    }
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; table != NULL && c < N_PROGRESS_COLUMNS; c++) {
            progress_cell(table, json_object_get(row, progress_columns[c].key),
                          progress_columns[c].shape);
        }
    }
    return table;
}

struct progress_options {
    bool all, watch;
    double interval;
};

static int take_progress(int option, const char *value, void *context)
{
    struct progress_options *options = context;
    switch (option) {
    case OPTION_ALL:
        options->all = true;
        return 0;
    case OPTION_INTERVAL:
        options->watch = true;
        return qzctl_real("--interval", value, 0.1, 3600, &options->interval);
    default:
        options->watch = true;
        return 0;
    }
}

static int run_progress(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                        char **argv)
{
    static const struct option own[] = {{"all", no_argument, NULL, OPTION_ALL},
                                        {"watch", no_argument, NULL, OPTION_WATCH},
                                        {"interval", required_argument, NULL, OPTION_INTERVAL},
                                        {0}};
    struct query_request request = {.kind = QUERY_PROGRESS};
    struct progress_options options = {.interval = WATCH_SECONDS};
    int first = 0;
    json_t *answer = NULL;
    int r = qzctl_parse(qzctl, command, argc, argv, own, take_progress, &options, &first);
    if (r >= 0) {
        return r;
    }
    if (first < argc) {
        return qzctl_usage(command, "\"%s\" is one argument too many", argv[first]);
    }
    if (options.watch) {
        return qzctl_watch(qzctl, options.interval);
    }
    r = ask_object(qzctl, &request, &answer);
    if (answer != NULL) {
        const json_t *rows = json_object_get(answer, "rows");
        r = options.all ? qzctl_put_table(qzctl_rows_table(json_object_get(answer, "columns"), rows,
                                                           qzctl_show_plain),
                                          0)
                        : qzctl_put_table(progress_table(rows), qzctl_width());
    }
    json_decref(answer);
    return r;
}

const struct qzctl_command qzctl_progress = {
    "progress",
    "",
    "a table of the main line, one row a generation",
    "  --all            every column of the view \"progress\", under its own name\n"
    "  --watch          live: rates, the next net, and the course of losses, mistakes and rating;\n"
    "                   on a terminal a screen until Ctrl-C, else a line a time (with --json an\n"
    "                   object)\n"
    "  --interval S     ... each S seconds (0.1 to 3600, default 2)\n"
    "\n"
    "On a terminal, columns that do not fit are left out and named below the table.\n"
    "  gen        generation; games and positions (pos) are those that this net played\n"
    "  plies      mean length of its games; 1st%, draw%: first player's score, draws\n"
    "  q_rat      share of q in the value target of the training that made it\n"
    "  p.gap      policy loss minus the targets' entropy; * = on games held out\n"
    "  v.loss     value loss; * = on games held out\n"
    "  |q-z|      mean difference of search value and result; kld: of visits from priors, nats\n"
    "  mistakes%  on the move suites, the net alone; +search%: with search\n"
    "  v.acc%     of the value suites, the net alone\n"
    "  eval/s     evaluations a second of worker time; eval/pos: a position searched\n"
    "  cache%     of the positions asked for; prov%: roots whose value was proven\n"
    "  core-min   worker time\n"
    "\n"
    "Examples:\n"
    "  qzctl progress\n"
    "  qzctl progress --json | jq '.rows[-1]'\n"
    "  qzctl progress --watch\n"
    "  qzctl progress --interval 60 >> progress.log\n",
    run_progress,
};

/* ---- events ---- */

static int take_n(int option, const char *value, void *context)
{
    int64_t n = 0;
    (void)option;
    if (qzctl_number("--n", value, 1, QUERY_MAX_EVENTS, &n) != 0) {
        return -1;
    }
    *(uint32_t *)context = (uint32_t)n;
    return 0;
}

static int run_events(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                      char **argv)
{
    static const struct option own[] = {{"n", required_argument, NULL, OPTION_N}, {0}};
    struct query_request request = {.kind = QUERY_EVENTS, .n = QUERY_DEFAULT_EVENTS};
    int first = 0;
    json_t *answer = NULL;
    int r = qzctl_parse(qzctl, command, argc, argv, own, take_n, &request.n, &first);
    if (r >= 0) {
        return r;
    }
    if (first < argc) {
        return qzctl_usage(command, "\"%s\" is one argument too many", argv[first]);
    }
    r = ask_object(qzctl, &request, &answer);
    if (answer != NULL) {
        r = qzctl_put_table(qzctl_rows_table(json_object_get(answer, "columns"),
                                             json_object_get(answer, "rows"), qzctl_show_plain),
                            0);
    }
    json_decref(answer);
    return r;
}

const struct qzctl_command qzctl_events = {
    "events",
    "",
    "the newest events: restarts, crashes, refused input, diagnoses",
    "  --n N   how many, 1 to 10000 (default 50)\n"
    "\n"
    "Examples:\n"
    "  qzctl events --n 10\n"
    "  qzctl sql \"SELECT * FROM events WHERE severity = 'error'\"\n",
    run_events,
};

/* ---- check ---- */

static int run_check(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                     char **argv)
{
    struct query_request request = {.kind = QUERY_CHECK};
    char *json = NULL;
    bool from_daemon = false;
    int r = qzctl_parse_plain(qzctl, command, argc, argv);
    if (r >= 0) {
        return r;
    }
    r = qzctl_ask(qzctl, &request, &from_daemon, &json);
    json_t *answer = r == QZCTL_OK ? qzctl_object(json) : NULL;
    if (answer != NULL) {
        const char *integrity = json_string_value(json_object_get(answer, "integrity"));
        const char *tallies = json_string_value(json_object_get(answer, "tallies"));
        bool fine = integrity != NULL && strcmp(integrity, "ok") == 0 && tallies != NULL &&
                    strcmp(tallies, "ok") == 0;
        if (qzctl->json) {
            r = qzctl_put_json(json);
        } else {
            printf("integrity: %s\ntallies:   %s\n", integrity == NULL ? "not known" : integrity,
                   tallies == NULL ? "not known" : tallies);
            r = qzctl_flush();
        }
        r = fine ? r : QZCTL_FAILED;
    } else if (r == QZCTL_OK) {
        r = QZCTL_FAILED;
    }
    json_decref(answer);
    free(json);
    return r;
}

const struct qzctl_command qzctl_check = {
    "check",
    "",
    "whether the store is sound: SQLite's integrity, tallies against rows",
    "Reads the whole store, so it takes its time: a minute at most while a daemon runs (then the "
    "answer is that\n"
    "it is not known), as long as needed without one. Exit code 1 if anything is wrong.\n"
    "\n"
    "Example:\n"
    "  qzctl check && echo sound\n",
    run_check,
};
