/* Steering the daemon: one word each, and what the daemon says to it. */
#include "daemon/qzctl/qzctl.h"

#include "daemon/qzctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_item(const char *key, const json_t *value)
{
    char text[64];
    char *nested = json_is_object(value) || json_is_array(value) ? json_dumps(value, 0) : NULL;
    printf("%s: ", key);
    table_put_safe(nested == NULL ? qzctl_cell(value, false, text) : nested, stdout);
    putchar('\n');
    free(nested);
}

static void print_list(const char *key, const json_t *list)
{
    size_t i;
    json_t *item;
    if (json_array_size(list) == 0) {
        printf("%s: none\n", key);
    }
    json_array_foreach(list, i, item)
    {
        print_item(key, item);
    }
}

/* {"message": "..."} where the daemon has something to say, and what else there is as "key: value". */
static void print_answer(const char *name, const char *json)
{
    json_t *object = json_loads(json, 0, NULL);
    const char *message = json_string_value(json_object_get(object, "message"));
    const char *key;
    json_t *value;
    if (message != NULL) {
        printf("%s\n", message);
    } else if (json_object_size(object) == 0) {
        printf("%s: done\n", name);
    }
    json_object_foreach(object, key, value)
    {
        if (json_is_array(value)) {
            print_list(key, value);
        } else if (strcmp(key, "message") != 0) {
            print_item(key, value);
        }
    }
    json_decref(object);
}

static int run(struct qzctl *qzctl, const struct qzctl_command *command, int argc, char **argv)
{
    char *json = NULL;
    int r = qzctl_parse_plain(qzctl, command, argc, argv);
    if (r >= 0) {
        return r;
    }
    r = qzctl_tell(qzctl, command->name, &json);
    if (r == QZCTL_OK) {
        if (qzctl->json) {
            r = qzctl_put_json(json);
        } else {
            print_answer(command->name, json);
            r = qzctl_flush();
        }
    }
    free(json);
    return r;
}

const struct qzctl_command qzctl_pause = {
    "pause",
    "",
    "stop playing and training; the daemon stays",
    "Games in progress are kept and go on with \"qzctl resume\". A training that runs is "
    "finished.\n"
    "\n"
    "Example:\n"
    "  qzctl pause && qzctl status\n",
    run,
};
const struct qzctl_command qzctl_resume = {
    "resume",
    "",
    "go on after a pause",
    "Example:\n"
    "  qzctl resume\n",
    run,
};
const struct qzctl_command qzctl_train = {
    "train",
    "",
    "start a training now, due or not",
    "Refused (exit code 4) while one runs, or while there are too few positions.\n"
    "\n"
    "Example:\n"
    "  qzctl train && qzctl status\n",
    run,
};
const struct qzctl_command qzctl_reload = {
    "reload",
    "",
    "read the configuration file again",
    "Changed settings take effect between moves or with the next training, and stand in the table\n"
    "settings_log; those that need a restart are named. A bad file changes nothing: its problems\n"
    "are printed as file:line:column and the exit code is 4.\n"
    "\n"
    "Examples:\n"
    "  qzctl reload\n"
    "  qzctl sql \"SELECT * FROM settings_log ORDER BY id DESC LIMIT 5\"\n",
    run,
};
const struct qzctl_command qzctl_stop = {
    "stop",
    "",
    "end the daemon, with everything committed",
    "Unfinished games go on when it is started again.\n"
    "\n"
    "Example:\n"
    "  qzctl --state ./state stop\n",
    run,
};
