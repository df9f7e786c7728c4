/* status: what the daemon tells of itself, whatever that is. Nothing here knows the daemon's keys but for their
 * order; how a value is shown is told by its type and the ending of its key (_at, _s, _bytes, sha256). */
#include "daemon/qzctl/qzctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LABEL_WIDTH = 26 };

/* These first, in this order; then the others as they come. */
static const char *const order[] = {
    "running",    "paused",     "version", "uptime_s",  "state_dir",       "game",
    "generation", "net_sha256", "games",   "positions", "positions_per_s", "evaluations_per_s",
    "training",   "next_net",
};
enum { N_ORDER = sizeof order / sizeof *order };

static void time_with_age(int64_t at_ms, char ret_text[64])
{
    char when[64];
    char age[64];
    double seconds = (double)time(NULL) - (double)at_ms / 1000;
    qzctl_time_text(at_ms, when);
    qzctl_duration_text(seconds < 0 ? 0 : seconds, age);
    snprintf(ret_text, 64, "%.30s (%.25s ago)", when, age);
}

/* A scalar for a person. The text may be the value's own. */
static const char *show(const char *key, const json_t *value, char ret_text[64])
{
    double number = json_number_value(value);
    if (value == NULL || json_is_null(value)) {
        return "-";
    }
    if (json_is_integer(value) && (qzctl_ends(key, "_at") || strcmp(key, "at") == 0)) {
        time_with_age(json_integer_value(value), ret_text);
    } else if (json_is_number(value) && qzctl_ends(key, "_s") && !qzctl_ends(key, "per_s")) {
        qzctl_duration_text(number, ret_text);
    } else if (json_is_number(value) && qzctl_ends(key, "bytes")) {
        qzctl_bytes_text(number, ret_text);
    } else if (json_is_real(value)) {
        snprintf(ret_text, 64, number >= 1000 || number <= -1000 ? "%.0f" : "%.4g", number);
    } else if (json_is_string(value) && qzctl_ends(key, "sha256")) {
        snprintf(ret_text, 64, "%.12s", json_string_value(value));
    } else {
        return qzctl_cell(value, false, ret_text);
    }
    return ret_text;
}

static void put_label(const char *key, int indent, bool value_follows)
{
    static const char *const endings[] = {"_bytes", "_sha256", "_at", "_s"};
    size_t n = strlen(key);
    for (size_t i = 0; i < sizeof endings / sizeof *endings && !qzctl_ends(key, "per_s"); i++) {
        if (qzctl_ends(key, endings[i]) && n > strlen(endings[i])) {
            n -= strlen(endings[i]); /* its value says so */
            break;
        }
    }
    printf("%*s", indent, "");
    for (size_t i = 0; i < n; i++) {
        putchar(key[i] == '_' ? ' ' : key[i]);
    }
    putchar(':');
    if (value_follows) {
        int used = indent + (int)n + 1;
        printf("%*s", used < LABEL_WIDTH ? LABEL_WIDTH - used : 1, "");
    } else {
        putchar('\n');
    }
}

static void put_array(const char *key, const json_t *array)
{
    const json_t *item;
    size_t i;
    char text[64];
    put_label(key, 0, true);
    if (json_array_size(array) == 0) {
        printf("none\n");
    } else if (json_is_object(json_array_get(array, 0))) {
        printf("%zu\n", json_array_size(array));
        (void)qzctl_put_table(qzctl_rows_table(NULL, array, show), 0);
    } else {
        json_array_foreach(array, i, item)
        {
            printf("%s", i > 0 ? ", " : "");
            table_put_safe(show(key, item, text), stdout);
        }
        putchar('\n');
    }
}

static void put_member(const char *key, json_t *value, int indent)
{
    char text[64];
    if (json_is_array(value)) {
        put_array(key, value);
        return;
    }
    if (json_is_object(value) && indent < 6 && json_object_size(value) > 0) {
        const char *inner;
        json_t *member;
        put_label(key, indent, false);
        json_object_foreach(value, inner, member)
        {
            put_member(inner, member, indent + 2);
        }
        return;
    }
    put_label(key, indent, true);
    table_put_safe(show(key, value, text), stdout);
    putchar('\n');
}

static bool is_ordered(const char *key)
{
    for (size_t i = 0; i < N_ORDER; i++) {
        if (strcmp(order[i], key) == 0) {
            return true;
        }
    }
    return false;
}

static void put_status(json_t *status)
{
    const char *key;
    json_t *value;
    for (size_t i = 0; i < N_ORDER; i++) {
        value = json_object_get(status, order[i]);
        if (value != NULL) {
            put_member(order[i], value, 0);
        }
    }
    json_object_foreach(status, key, value)
    {
        if (!is_ordered(key)) {
            put_member(key, value, 0);
        }
    }
}

static int run_status(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                      char **argv)
{
    struct query_request request = {.kind = QUERY_STATUS};
    char *json = NULL;
    bool from_daemon = false;
    int r = qzctl_parse_plain(qzctl, command, argc, argv);
    if (r >= 0) {
        return r;
    }
    r = qzctl_ask(qzctl, &request, &from_daemon, &json);
    json_t *status = r == QZCTL_OK ? qzctl_object(json) : NULL;
    if (status != NULL) {
        (void)json_object_set_new(status, "running", json_boolean(from_daemon));
        if (json_object_get(status, "state_dir") == NULL && !from_daemon) {
            (void)json_object_set_new(status, "state_dir", json_string(qzctl->state_dir));
        }
        if (qzctl->json) {
            r = qzctl_put_object(json_incref(status));
        } else {
            put_status(status);
            r = qzctl_flush();
        }
    } else if (r == QZCTL_OK) {
        r = QZCTL_FAILED;
    }
    json_decref(status);
    free(json);
    return r;
}

const struct qzctl_command qzctl_status = {
    "status",
    "",
    "what the daemon does now: net, games, rates, training, workers",
    "With no daemon running it tells what the store knows, and \"running: no\".\n"
    "\n"
    "Examples:\n"
    "  qzctl status\n"
    "  qzctl --state ./state status --json | jq .generation\n",
    run_status,
};
