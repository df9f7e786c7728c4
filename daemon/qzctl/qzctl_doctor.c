/* qzctl doctor: the run's own diagnosis. */
#include "daemon/qzctl/qzctl.h"

#include "daemon/qzctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_GENERATION = 1 };

static int take_generation(int option, const char *value, void *context)
{
    (void)option;
    return qzctl_number("--generation", value, 0, UINT32_MAX, context);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static struct table *checks_table(const json_t *checks)
{
    struct table *table = table_create();
    size_t i;
    json_t *check;

    if (table == NULL) {
        return NULL;
    }
    table_column(table, "check", TABLE_LEFT, 0);
    table_column(table, "state", TABLE_LEFT, 0);
    table_column(table, "figure", TABLE_LEFT, 0);
    table_column(table, "bound", TABLE_LEFT, 1);
    json_array_foreach(checks, i, check)
    {
        table_cell(table, text_of(check, "check"));
        table_cell(table, text_of(check, "state"));
        table_cell(table, text_of(check, "text"));
        table_cell(table, text_of(check, "bound"));
    }
    return table;
}

static void print_advice(const json_t *checks)
{
    size_t i;
    json_t *check;

    json_array_foreach(checks, i, check)
    {
        const char *state = text_of(check, "state");
        if (strcmp(state, "red") == 0 || strcmp(state, "yellow") == 0) {
            printf("\n%s is %s: ", text_of(check, "check"), state);
            table_put_safe(text_of(check, "advice"), stdout);
            fputc('\n', stdout);
        }
    }
}

static int print_report(const json_t *answer)
{
    const json_t *checks = json_object_get(answer, "checks");
    struct table *table = checks_table(checks);
    char time[64];
    int r = table == NULL ? ERROR_NO_MEMORY : table_print(table, stdout, qzctl_width());

    table_destroy(table);
    if (r == ERROR_NO_MEMORY) {
        return qzctl_fail("out of memory");
    }
    print_advice(checks);
    qzctl_time_text(json_integer_value(json_object_get(answer, "at")), time);
    printf("\ngeneration %lld, %s: %lld red, %lld yellow, %lld green, %lld unknown\n",
           json_integer_value(json_object_get(answer, "generation")), time,
           json_integer_value(json_object_get(answer, "red")),
           json_integer_value(json_object_get(answer, "yellow")),
           json_integer_value(json_object_get(answer, "green")),
           json_integer_value(json_object_get(answer, "unknown")));
    return qzctl_flush();
}

static int run(struct qzctl *qzctl, const struct qzctl_command *command, int argc, char **argv)
{
    static const struct option own[] = {{"generation", required_argument, NULL, OPTION_GENERATION},
                                        {0}};
    struct query_request request = {.kind = QUERY_DOCTOR, .generation = -1};
    char *json = NULL;
    bool from_daemon = false;
    int first = 0;
    int r =
        qzctl_parse(qzctl, command, argc, argv, own, take_generation, &request.generation, &first);

    if (r >= 0) {
        return r;
    }
    if (first < argc) {
        return qzctl_usage(command, "\"%s\" is one argument too many", argv[first]);
    }
    r = qzctl_ask(qzctl, &request, &from_daemon, &json);
    json_t *answer = r == QZCTL_OK ? qzctl_object(json) : NULL;
    if (answer != NULL) {
        r = qzctl->json ? qzctl_put_json(json) : print_report(answer);
        if (r == QZCTL_OK && json_integer_value(json_object_get(answer, "red")) > 0) {
            r = QZCTL_FAILED;
        }
    } else if (r == QZCTL_OK) {
        r = QZCTL_FAILED;
    }
    json_decref(answer);
    free(json);
    return r;
}

const struct qzctl_command qzctl_doctor = {
    "doctor",
    "",
    "what the run's own figures say of its health, with advice",
    "  --generation N   as it was when net N had been made (only what games, trainings and\n"
    "                   suites say)\n"
    "\n"
    "Each check is green, yellow (look at it), red (something is broken) or unknown (there is\n"
    "too little to judge, or no daemon runs). Exit code 1 if any is red. The daemon asks itself\n"
    "at the end of each generation and keeps the answers in the table \"diagnoses\"; what to do\n"
    "about each check stands in qzd(8).\n"
    "\n"
    "Examples:\n"
    "  qzctl doctor\n"
    "  qzctl doctor --generation 12\n"
    "  qzctl doctor --json | jq -r '.checks[] | select(.state == \"red\").check'\n"
    "  qzctl sql \"SELECT * FROM diagnoses WHERE state = 'red' ORDER BY at DESC\"\n",
    run,
};
