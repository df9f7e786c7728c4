/* games: which games there are, by what is known of them. nets: the same for nets. */
#include "daemon/qzctl/qzctl_games.h"

#include "trainer/net/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    OPTION_NET = 1,
    OPTION_GENERATION,
    OPTION_KIND,
    OPTION_RESULT,
    OPTION_REASON,
    OPTION_MIN_PLIES,
    OPTION_MAX_PLIES,
    OPTION_UNFINISHED,
    OPTION_SINCE,
    OPTION_LIMIT,
    OPTION_ORDER,
    OPTION_LINE,
};
enum { LIMIT_BY_DEFAULT = 20 };

/* A word of an option, and what it means in SQL. */
struct choice {
    const char *word;
    const char *sql;
};

static const struct choice kinds[] = {
    {"selfplay", "kind = 'selfplay'"},
    {"match", "kind = 'match'"},
    {"import", "kind = 'import'"},
    {"human", "kind = 'human'"},
    {NULL, NULL},
};
static const struct choice results[] = {
    {"first", "first_player_outcome = 1"},
    {"second", "first_player_outcome = -1"},
    {"draw", "first_player_outcome = 0"},
    {NULL, NULL},
};
static const struct choice reasons[] = {
    {"rules", "reason = 'rules'"},
    {"resign", "reason = 'resign'"},
    {"plies", "reason = 'plies'"},
    {NULL, NULL},
};
static const struct choice orders[] = {
    {"newest", "seq DESC, id DESC"}, {"oldest", "seq, id"}, {"longest", "plies DESC, id DESC"},
    {"shortest", "plies, id DESC"},  {NULL, NULL},
};

static int choose(const char *option, const struct choice *choices, const char *value,
                  const char **ret_sql)
{
    for (size_t i = 0; choices[i].word != NULL; i++) {
        if (strcmp(choices[i].word, value) == 0) {
            *ret_sql = choices[i].sql;
            return 0;
        }
    }
    fprintf(stderr, "qzctl: %s: \"%s\" is none of", option, value);
    for (size_t i = 0; choices[i].word != NULL; i++) {
        fprintf(stderr, "%s %s", i > 0 ? "," : "", choices[i].word);
    }
    fputc('\n', stderr);
    return -1;
}

/* "90s", "15min", "2h", "3d" ago, or "2026-05-04" with or without " 10:00" in local time; Unix ms. */
static int parse_since(const char *text, int64_t *ret)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    struct tm date = {.tm_isdst = -1};
    char *end = NULL;
    double n = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (end != text && strcmp(end, units[i].unit) == 0 && n >= 0 && n < 1e6) {
            *ret = (int64_t)time(NULL) * 1000 - (int64_t)(n * (double)units[i].ms);
            return 0;
        }
    }
    end = strptime(text, "%Y-%m-%d", &date);
    if (end != NULL && *end != '\0') {
        end = strptime(end, "%H:%M", &date); /* its blanks match any */
    }
    if (end == NULL || *end != '\0') {
        fprintf(stderr,
                "qzctl: --since: \"%s\" is neither 90s, 15min, 2h, 3d nor 2026-05-04 [10:00]\n",
                text);
        return -1;
    }
    *ret = (int64_t)mktime(&date) * 1000;
    return 0;
}

/* A net's id, or 8 digits or more of its sha256. */
static int parse_net(const char *value, char ret_sql[128])
{
    size_t n = strlen(value);
    if (n > 0 && n < 8 && value[strspn(value, "0123456789")] == '\0') {
        snprintf(ret_sql, 128, "net_id = %s", value);
        return 0;
    }
    if (n >= 8 && n <= 64 && value[strspn(value, "0123456789abcdef")] == '\0') {
        snprintf(ret_sql, 128, "net_sha256 GLOB '%s*'", value);
        return 0;
    }
    fprintf(stderr, "qzctl: --net: \"%s\" is neither an id nor 8 digits or more of a sha256\n",
            value);
    return -1;
}

struct games_options {
    char net[128];
    const char *kind, *result, *reason, *order;
    int64_t generation, min_plies, max_plies, since, limit; /* generation, since -1: any */
    bool unfinished;
};

static int take_option(int option, const char *value, void *context)
{
    struct games_options *options = context;
    switch (option) {
    case OPTION_NET:
        return parse_net(value, options->net);
    case OPTION_GENERATION:
        return qzctl_number("--generation", value, 0, INT32_MAX, &options->generation);
    case OPTION_KIND:
        return choose("--kind", kinds, value, &options->kind);
    case OPTION_RESULT:
        return choose("--result", results, value, &options->result);
    case OPTION_REASON:
        return choose("--reason", reasons, value, &options->reason);
    case OPTION_ORDER:
        return choose("--order", orders, value, &options->order);
    case OPTION_MIN_PLIES:
        return qzctl_number("--min-plies", value, 0, RECORD_MAX_PLIES, &options->min_plies);
    case OPTION_MAX_PLIES:
        return qzctl_number("--max-plies", value, 0, RECORD_MAX_PLIES, &options->max_plies);
    case OPTION_LIMIT:
        return qzctl_number("--limit", value, 1, QUERY_MAX_ROWS, &options->limit);
    case OPTION_SINCE:
        return parse_since(value, &options->since);
    default:
        options->unfinished = true;
        return 0;
    }
}

/* What a row has: the net is that of the last move, as in net_tallies. */
#define GAMES_SQL                                                                                \
    "WITH g AS (SELECT games.*, (SELECT p.search_id FROM positions p WHERE p.game_id = games.id" \
    " ORDER BY p.ply DESC LIMIT 1) AS search_id FROM games),"                                    \
    " f AS (SELECT g.*, n.id AS net_id, n.generation AS generation, n.sha256 AS net_sha256"      \
    " FROM g LEFT JOIN searches s ON s.id = g.search_id LEFT JOIN nets n ON n.id = s.net_id)"    \
    " SELECT id, uid, seq, kind, state, net_id, generation, plies, CASE first_player_outcome"    \
    " WHEN 1 THEN 'first' WHEN -1 THEN 'second' WHEN 0 THEN 'draw' END AS result, reason,"       \
    " opening, host, worker, started_at, finished_at, held_out FROM f WHERE %s"

static int select_games(struct qzctl *qzctl, const struct games_options *options, json_t **ret)
{
    return qzctl_select(
        qzctl, (uint32_t)options->limit, ret,
        GAMES_SQL " AND %s AND %s AND %s AND %s AND (%lld < 0 OR generation = %lld)"
                  " AND plies BETWEEN %lld AND %lld"
                  " AND (%lld < 0 OR coalesce(finished_at, started_at) >= %lld)"
                  " ORDER BY %s LIMIT %lld",
        options->unfinished ? "state = 'playing'" : "state = 'finished'",
        options->net[0] != '\0' ? options->net : "1", options->kind == NULL ? "1" : options->kind,
        options->result == NULL ? "1" : options->result,
        options->reason == NULL ? "1" : options->reason, (long long)options->generation,
        (long long)options->generation, (long long)options->min_plies,
        (long long)options->max_plies, (long long)options->since, (long long)options->since,
        options->order, (long long)options->limit);
}

/* One column of a table for people. */
struct column {
    const char *key;
    const char *head;
    enum table_align align;
    uint32_t rank;
};

static const struct column game_columns[] = {
    {"id", "id", TABLE_RIGHT, 0},          {"uid", "uid", TABLE_LEFT, 1},
    {"kind", "kind", TABLE_LEFT, 3},       {"generation", "gen", TABLE_RIGHT, 1},
    {"plies", "plies", TABLE_RIGHT, 0},    {"result", "result", TABLE_LEFT, 0},
    {"reason", "reason", TABLE_LEFT, 2},   {"opening", "opening", TABLE_LEFT, 4},
    {"finished_at", "end", TABLE_LEFT, 1}, {"started_at", "begin", TABLE_LEFT, 5},
    {NULL, NULL, TABLE_LEFT, 0},
};

static const char *show_game(const char *key, const json_t *value, char ret_text[64])
{
    if (json_is_string(value) && strcmp(key, "uid") == 0) {
        snprintf(ret_text, 64, "%.8s", json_string_value(value));
        return ret_text;
    }
    return qzctl_show_plain(key, value, ret_text);
}

static struct table *columns_table(const struct column *columns, const json_t *rows,
                                   qzctl_show *show)
{
    struct table *table = table_create();
    const json_t *row;
    size_t i;
    char text[64];
    for (size_t c = 0; table != NULL && columns[c].key != NULL; c++) {
        table_column(table, columns[c].head, columns[c].align, columns[c].rank);
    }
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; table != NULL && columns[c].key != NULL; c++) {
            table_cell(table, show(columns[c].key, json_object_get(row, columns[c].key), text));
        }
    }
    return table;
}

static int put_rows(const struct qzctl *qzctl, json_t *rows, const struct column *columns,
                    qzctl_show *show)
{
    int r = qzctl->json ? qzctl_put_object(json_pack("{s:O}", "rows", rows))
                        : qzctl_put_table(columns_table(columns, rows, show), qzctl_width());
    json_decref(rows);
    return r;
}

static int run_games(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                     char **argv)
{
    static const struct option own[] = {
        {"net", required_argument, NULL, OPTION_NET},
        {"generation", required_argument, NULL, OPTION_GENERATION},
        {"kind", required_argument, NULL, OPTION_KIND},
        {"result", required_argument, NULL, OPTION_RESULT},
        {"reason", required_argument, NULL, OPTION_REASON},
        {"min-plies", required_argument, NULL, OPTION_MIN_PLIES},
        {"max-plies", required_argument, NULL, OPTION_MAX_PLIES},
        {"unfinished", no_argument, NULL, OPTION_UNFINISHED},
        {"since", required_argument, NULL, OPTION_SINCE},
        {"limit", required_argument, NULL, OPTION_LIMIT},
        {"order", required_argument, NULL, OPTION_ORDER},
        {0},
    };
    struct games_options options = {.order = orders[0].sql,
                                    .generation = -1,
                                    .max_plies = RECORD_MAX_PLIES,
                                    .since = -1,
                                    .limit = LIMIT_BY_DEFAULT};
    json_t *rows = NULL;
    int first = 0;
    int r = qzctl_parse(qzctl, command, argc, argv, own, take_option, &options, &first);
    if (r >= 0) {
        return r;
    }
    if (first < argc) {
        return qzctl_usage(command, "\"%s\" is one argument too many", argv[first]);
    }
    r = select_games(qzctl, &options, &rows);
    return r == QZCTL_OK ? put_rows(qzctl, rows, game_columns, show_game) : r;
}

const struct qzctl_command qzctl_games = {
    "games",
    "",
    "which games there are: the newest, or those that fit",
    "  --net ID              whose last move was made by this net (id, or 8 digits of a sha256)\n"
    "  --generation N        ... by a net of this generation\n"
    "  --kind WORD           selfplay, match, import or human\n"
    "  --result WORD         first, second (the player who won) or draw\n"
    "  --reason WORD         rules, resign or plies (longer than allowed)\n"
    "  --min-plies N, --max-plies N\n"
    "  --unfinished          those under way instead of finished ones\n"
    "  --since WHEN          ended since: 90s, 15min, 2h, 3d ago, or 2026-05-04 [10:00]\n"
    "  --order WORD          newest (default), oldest, longest or shortest first\n"
    "  --limit N             at most so many (default 20)\n"
    "\n"
    "\"qzctl show ID\" shows a game, \"qzctl replay ID\" plays it again.\n"
    "\n"
    "Examples:\n"
    "  qzctl games --result draw --order longest --limit 5\n"
    "  qzctl games --generation 12 --reason resign --json | jq '.rows[].uid'\n"
    "  qzctl games --unfinished\n",
    run_games,
};

/* ---- nets ---- */

struct nets_options {
    const char *line;
    int64_t limit;
};

static int take_nets_option(int option, const char *value, void *context)
{
    struct nets_options *options = context;
    if (option == OPTION_LINE) {
        options->line = value;
        return 0;
    }
    return qzctl_number("--limit", value, 1, QUERY_MAX_ROWS, &options->limit);
}

/* The size is the file's, not the store's: null where it is not to be seen from here. */
static void add_size(const struct qzctl *qzctl, json_t *row)
{
    char path[2 * PATH_MAX]; /* both parts fit */
    struct stat info;
    const char *file = json_string_value(json_object_get(row, "file"));
    int n = snprintf(path, sizeof path, "%s/%s", qzctl->state_dir, file == NULL ? "" : file);
    bool seen = file != NULL && n > 0 && n < (int)sizeof path && stat(path, &info) == 0;
    (void)json_object_set_new(row, "file_bytes", seen ? json_integer(info.st_size) : json_null());
}

/* "4x32 se8 wdl" of the architecture's JSON; its text alone where it is another. */
static void add_size_and_shape(const struct qzctl *qzctl, json_t *row)
{
    struct net_arch arch;
    struct error err = {""};
    const char *json = json_string_value(json_object_get(row, "arch"));
    char text[64];
    add_size(qzctl, row);
    if (json == NULL || net_arch_parse(json, &arch, &err) < 0) {
        (void)json_object_set_new(row, "shape", json_null());
        return;
    }
    snprintf(text, sizeof text, "%ux%u", arch.blocks, arch.filters);
    if (arch.se_channels > 0) {
        snprintf(text + strlen(text), sizeof text - strlen(text), " se%u", arch.se_channels);
    }
    snprintf(text + strlen(text), sizeof text - strlen(text), " %s",
             arch.value == NET_VALUE_WDL ? "wdl" : "scalar");
    (void)json_object_set_new(row, "shape", json_string(text));
}

static const struct column net_columns[] = {
    {"id", "id", TABLE_RIGHT, 0},
    {"line", "line", TABLE_LEFT, 5},
    {"generation", "gen", TABLE_RIGHT, 0},
    {"state", "state", TABLE_LEFT, 1},
    {"shape", "shape", TABLE_LEFT, 3},
    {"origin", "origin", TABLE_LEFT, 6},
    {"sha256", "sha256", TABLE_LEFT, 2},
    {"created_at", "created", TABLE_LEFT, 3},
    {"file_bytes", "size", TABLE_RIGHT, 4},
    {"steps", "steps", TABLE_RIGHT, 7},
    {"q_ratio", "q_rat", TABLE_RIGHT, 7},
    {"policy_gap_held_out", "p.gap*", TABLE_RIGHT, 2},
    {"value_loss_held_out", "v.loss*", TABLE_RIGHT, 2},
    {"training_s", "training", TABLE_RIGHT, 8},
    {"elo", "elo", TABLE_RIGHT, 1},
    {"elo_error", "+-", TABLE_RIGHT, 1},
    {NULL, NULL, TABLE_LEFT, 0},
};

static const char *show_net(const char *key, const json_t *value, char ret_text[64])
{
    double number = json_number_value(value);
    if (json_is_string(value) && strcmp(key, "sha256") == 0) {
        snprintf(ret_text, 64, "%.8s", json_string_value(value));
    } else if (json_is_number(value) && strcmp(key, "file_bytes") == 0) {
        qzctl_bytes_text(number, ret_text);
    } else if (json_is_number(value) && strcmp(key, "training_s") == 0) {
        qzctl_duration_text(number, ret_text);
    } else if (json_is_real(value) && strncmp(key, "elo", 3) == 0) {
        snprintf(ret_text, 64, "%.0f", number);
    } else if (json_is_real(value) && qzctl_ends(key, "_held_out")) {
        snprintf(ret_text, 64, "%.4f", number);
    } else if (json_is_real(value) && strcmp(key, "q_ratio") == 0) {
        snprintf(ret_text, 64, "%.3g", number);
    } else {
        return qzctl_show_plain(key, value, ret_text);
    }
    return ret_text;
}

static int run_nets(struct qzctl *qzctl, const struct qzctl_command *command, int argc, char **argv)
{
    static const struct option own[] = {{"line", required_argument, NULL, OPTION_LINE},
                                        {"limit", required_argument, NULL, OPTION_LIMIT},
                                        {0}};
    struct nets_options options = {.limit = QUERY_MAX_ROWS};
    json_t *rows = NULL;
    json_t *row;
    size_t i;
    int first = 0;
    int r = qzctl_parse(qzctl, command, argc, argv, own, take_nets_option, &options, &first);
    if (r >= 0) {
        return r;
    }
    if (first < argc) {
        return qzctl_usage(command, "\"%s\" is one argument too many", argv[first]);
    }
    r = qzctl_select(
        qzctl, (uint32_t)options.limit, &rows,
        "SELECT * FROM (SELECT n.id, n.line, n.generation, n.parent_id, n.state, n.game, n.origin,"
        " n.created_at, n.sha256, n.file, n.arch, t.steps, t.samples, t.q_ratio,"
        " t.policy_loss - t.policy_entropy AS policy_gap,"
        " t.held_out_policy_loss - t.held_out_policy_entropy AS policy_gap_held_out,"
        " t.value_loss, t.held_out_value_loss AS value_loss_held_out, t.learning_rate,"
        " (t.finished_at - t.started_at) / 1000.0 AS training_s,"
        " r.elo, r.error AS elo_error, r.games AS elo_games"
        " FROM nets n LEFT JOIN trainings t ON t.net_id = n.id LEFT JOIN ratings r ON r.net_id ="
        " n.id WHERE %d OR n.line = %Q ORDER BY n.id DESC LIMIT %lld) ORDER BY id",
        options.line == NULL, options.line == NULL ? "" : options.line, (long long)options.limit);
    if (r != QZCTL_OK) {
        return r;
    }
    json_array_foreach(rows, i, row)
    {
        add_size_and_shape(qzctl, row);
    }
    return put_rows(qzctl, rows, net_columns, show_net);
}

const struct qzctl_command qzctl_nets = {
    "nets",
    "",
    "the nets: id, generation, state, training figures, rating",
    "  --line NAME   of this line only (\"main\", or a side line)\n"
    "  --limit N     the newest N\n"
    "\n"
    "On a terminal, columns that do not fit are left out and named below the table.\n"
    "  state      current (it plays), old, rejected, or removed (its file is gone)\n"
    "  shape      blocks x filters, squeeze-excitation channels, value head\n"
    "  p.gap*     policy loss minus the targets' entropy, v.loss*: value loss; on held-out games\n"
    "  elo, +-    rating (generation 0 = 0) and its standard error, once there is one\n"
    "\n"
    "Examples:\n"
    "  qzctl nets --limit 5\n"
    "  qzctl nets --json | jq -r '.rows[] | select(.state == \"current\") | .file'\n",
    run_nets,
};
