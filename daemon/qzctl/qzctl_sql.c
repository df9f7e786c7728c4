/* sql: statements that read the store, one at a time, each under a limit of rows and of time. */
#include "daemon/qzctl/qzctl.h"

#include "daemon/qzctl/table.h"

#include <ctype.h>
#include <editline/readline.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_CSV = 1, OPTION_MAX_ROWS, OPTION_TIME_LIMIT };
enum { MAX_STATEMENT = 48 << 10 }; /* with its JSON around it within the daemon's limit of a body */

struct sql_options {
    bool csv;
    uint32_t max_rows;
    uint32_t time_limit_ms;
};

static int take_option(int option, const char *value, void *context)
{
    struct sql_options *options = context;
    int64_t n = 0;
    switch (option) {
    case OPTION_CSV:
        options->csv = true;
        return 0;
    case OPTION_MAX_ROWS:
        if (qzctl_number("--max-rows", value, 1, QUERY_MAX_ROWS, &n) != 0) {
            return -1;
        }
        options->max_rows = (uint32_t)n;
        return 0;
    default:
        if (qzctl_number("--time-limit", value, 1, QUERY_MAX_MS, &n) != 0) {
            return -1;
        }
        options->time_limit_ms = (uint32_t)n;
        return 0;
    }
}

/* ---- an answer ---- */

static struct table *make_table(const json_t *columns, const json_t *rows, bool exact)
{
    struct table *table = table_create();
    size_t c;
    size_t i;
    json_t *value;
    json_t *row;
    char text[64];
    if (table == NULL) {
        return NULL;
    }
    json_array_foreach(columns, c, value)
    {
        bool number = true;
        for (i = 0; i < json_array_size(rows) && number; i++) {
            json_t *cell = json_array_get(json_array_get(rows, i), c);
            number = json_is_number(cell) || json_is_null(cell);
        }
        table_column(table, qzctl_cell(value, false, text), number ? TABLE_RIGHT : TABLE_LEFT, 0);
    }
    json_array_foreach(rows, i, row)
    {
        json_array_foreach(row, c, value)
        {
            table_cell(table, qzctl_cell(value, exact, text));
        }
    }
    return table;
}

static int print_answer(const struct sql_options *options, const char *json)
{
    json_t *answer = qzctl_object(json);
    if (answer == NULL) {
        return QZCTL_FAILED;
    }
    struct table *table = make_table(json_object_get(answer, "columns"),
                                     json_object_get(answer, "rows"), options->csv);
    int r = table == NULL  ? ERROR_NO_MEMORY
            : options->csv ? table_print_csv(table, stdout)
                           : table_print(table, stdout, 0);
    r = r == ERROR_NO_MEMORY ? qzctl_fail("out of memory") : qzctl_flush();
    if (r == QZCTL_OK && json_is_true(json_object_get(answer, "truncated"))) {
        fprintf(stderr, "qzctl: there are more than these %u rows (--max-rows)\n",
                table_rows(table));
    }
    table_destroy(table);
    json_decref(answer);
    return r;
}

static int run_statement(struct qzctl *qzctl, const struct sql_options *options, const char *sql)
{
    struct query_request request = {.kind = QUERY_SQL,
                                    .sql = sql,
                                    .n = options->max_rows,
                                    .time_limit_ms = options->time_limit_ms};
    char *json = NULL;
    bool from_daemon = false;
    int r = qzctl_ask(qzctl, &request, &from_daemon, &json);
    if (r == QZCTL_OK) {
        r = qzctl->json ? qzctl_put_json(json) : print_answer(options, json);
    }
    free(json);
    return r;
}

/* ---- many statements: standard input, or a shell ---- */

struct input {
    char *text; /* what has come of the next statement */
    size_t size;
};

/* Add a line. Returns true once the text is a whole statement (or nothing but blanks is left away). */
static bool add_line(struct input *input, const char *line)
{
    size_t n = strlen(line);
    char *text = realloc(input->text, input->size + n + 2);
    if (text == NULL) {
        return false;
    }
    memcpy(text + input->size, line, n);
    memcpy(text + input->size + n, "\n", 2);
    input->text = text;
    input->size += n + 1;
    return sqlite3_complete(text) != 0;
}

static bool is_blank(const char *text)
{
    return text == NULL || text[strspn(text, " \t\r\n;")] == '\0';
}

static void clear(struct input *input)
{
    free(input->text);
    *input = (struct input){0};
}

/* A line may hold several statements: run them one after the other. Stops at the first that fails. */
static int run_all(struct qzctl *qzctl, const struct sql_options *options, const char *text)
{
    int r = QZCTL_OK;
    while (r == QZCTL_OK && !is_blank(text)) {
        const char *end = text;
        char *one = NULL;
        do { /* the shortest prefix that is complete; a ; inside a string is not its end */
            end += strcspn(end, ";");
            end += *end == ';';
            free(one);
            one = strndup(text, (size_t)(end - text));
        } while (one != NULL && *end != '\0' && !sqlite3_complete(one));
        if (one == NULL) {
            return qzctl_fail("out of memory");
        }
        r = is_blank(one) ? QZCTL_OK : run_statement(qzctl, options, one);
        free(one);
        text = end;
    }
    return r;
}

static int run_stdin(struct qzctl *qzctl, const struct sql_options *options)
{
    struct input input = {0};
    char *line = NULL;
    size_t size = 0;
    int r = QZCTL_OK;
    while (r == QZCTL_OK && getline(&line, &size, stdin) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        if (add_line(&input, line)) {
            r = run_all(qzctl, options, input.text);
            clear(&input);
        } else if (input.size > MAX_STATEMENT) {
            r = qzctl_fail("a statement is longer than %d bytes", MAX_STATEMENT);
        }
    }
    if (r == QZCTL_OK && !is_blank(input.text)) {
        r = run_all(qzctl, options, input.text);
    }
    free(line);
    clear(&input);
    return r;
}

/* Words that begin with a dot. Returns false to leave. */
static bool run_word(struct qzctl *qzctl, const struct sql_options *options, char *line)
{
    char sql[512];
    char *word = strtok(line, " \t");
    const char *argument = strtok(NULL, " \t");
    if (strcmp(word, ".quit") == 0 || strcmp(word, ".exit") == 0) {
        return false;
    }
    if (strcmp(word, ".tables") == 0) {
        (void)run_statement(qzctl, options,
                            "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') "
                            "AND name NOT LIKE 'sqlite_%' ORDER BY type, name");
    } else if (strcmp(word, ".schema") == 0 && argument != NULL) {
        struct sql_options all = *options;
        sqlite3_snprintf(sizeof sql, sql, "SELECT name, type FROM pragma_table_info(%Q)", argument);
        (void)run_statement(qzctl, &all, sql);
    } else {
        printf(".tables            tables and views\n"
               ".schema NAME       columns of one\n"
               ".quit              leave (or Ctrl-D)\n"
               "Anything else is SQL, up to a semicolon. Only reading is possible.\n");
    }
    return true;
}

static int run_shell(struct qzctl *qzctl, const struct sql_options *options)
{
    struct input input = {0};
    rl_readline_name = "qzctl";
    printf("Read-only; statements end with a semicolon; .help lists what else there is.\n");
    for (;;) {
        char *line = readline(input.size == 0 ? "qzd> " : "...> ");
        if (line == NULL) {
            break;
        }
        if (*line != '\0') {
            add_history(line);
        }
        bool go_on = true;
        if (input.size == 0 && *line == '.') {
            go_on = run_word(qzctl, options, line);
        } else if (input.size > 0 || !is_blank(line)) {
            if (add_line(&input, line)) {
                (void)run_all(qzctl, options, input.text); /* it has said what failed */
                clear(&input);
            }
        }
        free(line);
        if (!go_on) {
            break;
        }
    }
    clear(&input);
    return qzctl_flush();
}

static int run_sql(struct qzctl *qzctl, const struct qzctl_command *command, int argc, char **argv)
{
    static const struct option own[] = {{"csv", no_argument, NULL, OPTION_CSV},
                                        {"max-rows", required_argument, NULL, OPTION_MAX_ROWS},
                                        {"time-limit", required_argument, NULL, OPTION_TIME_LIMIT},
                                        {0}};
    struct sql_options options = {.max_rows = QUERY_DEFAULT_ROWS,
                                  .time_limit_ms = QUERY_DEFAULT_MS};
    int first = 0;
    int r = qzctl_parse(qzctl, command, argc, argv, own, take_option, &options, &first);
    if (r >= 0) {
        return r;
    }
    if (options.csv && qzctl->json) {
        return qzctl_usage(command, "--json or --csv, not both");
    }
    if (argc - first > 1) {
        return qzctl_usage(command, "one statement only; put it in quotes");
    }
    if (first < argc && strcmp(argv[first], "-") != 0) {
        if (strlen(argv[first]) > MAX_STATEMENT) {
            return qzctl_fail("the statement is longer than %d bytes", MAX_STATEMENT);
        }
        return run_statement(qzctl, &options, argv[first]);
    }
    if (first == argc && isatty(STDIN_FILENO) == 1) {
        return run_shell(qzctl, &options);
    }
    return run_stdin(qzctl, &options);
}

const struct qzctl_command qzctl_sql = {
    "sql",
    "[STATEMENT]",
    "ask the store in SQL: one statement, a shell, or standard input",
    "  --json            {\"columns\": [...], \"rows\": [[...], ...], \"truncated\": false}\n"
    "  --csv             RFC 4180, all digits of every number\n"
    "  --max-rows N      1 to 100000 (default 1000)\n"
    "  --time-limit MS   1 to 10000 (default 1000); a long reading delays the daemon's upkeep\n"
    "\n"
    "Without STATEMENT it is a read-only shell on a terminal and else reads statements from "
    "standard\n"
    "input. policy_json(policy) shows a position's visits, policy_visits(policy) their sum. Tables "
    "are\n"
    "explained in storage/schema.sql; the file is DIR/qzd.db.\n"
    "\n"
    "Examples:\n"
    "  qzctl sql \"SELECT * FROM progress ORDER BY generation DESC LIMIT 5\"\n"
    "  qzctl sql \"SELECT ply, action, q, z, policy_json(policy) FROM positions\n"
    "             WHERE game_id = 17 ORDER BY ply\"\n"
    "  qzctl sql --csv \"SELECT * FROM value_targets\" > value_targets.csv\n",
    run_sql,
};
