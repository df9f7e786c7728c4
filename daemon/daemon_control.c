/* What a person may ask of the daemon: pause, resume, train, reload, stop; and the log of settings. */
#include "daemon/daemon_internal.h"

#include "daemon/notify.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HTTP_OK = 200, HTTP_NOT_FOUND = 404, HTTP_BAD_CONFIG = 422, HTTP_FAILED = 500 };

static char *dump_and_free(json_t *root)
{
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);

    json_decref(root);
    return text != NULL ? text : strdup("{}");
}

static char *message_json(const char *key, const char *text)
{
    return dump_and_free(json_pack("{s:s}", key, text));
}

/* ---- reload ---- */
static int load_config(const struct daemon *d, struct config *ret, struct config_problems *problems)
{
    int r = 0;

    if (d->config_path == NULL) {
        config_default(ret);
    } else {
        r = config_load(d->config_path, ret, problems);
    }
    if (r == 0 && d->state_option != NULL && !config_set_state_dir(ret, d->state_option)) {
        r = ERROR_INVALID;
    }
    return r;
}

/* What needs a restart stays as it was; everything else is as the file says now. */
static void take_config(struct daemon *d, const struct config *loaded)
{
    struct config next = *loaded;

    memcpy(next.state_dir, d->config.state_dir, sizeof(next.state_dir));
    memcpy(next.game, d->config.game, sizeof(next.game));
    memcpy(&next.network, &d->config.network, sizeof(next.network));
    memcpy(&next.selfplay, &d->config.selfplay, sizeof(next.selfplay));
    memcpy(&next.control, &d->config.control, sizeof(next.control));
    next.resources.cores = d->config.resources.cores;
    next.seed = d->config.seed;
    next.cluster_role = d->config.cluster_role;
    d->config = next;
    d->file_config = *loaded;
}

static void bring_into_effect(struct daemon *d)
{
    struct scheduler_settings settings;

    for (uint32_t i = 0; i < d->n_workers; i++) {
        if (d->workers[i].ready) {
            daemon_configure_worker(d, i);
        }
    }
    daemon_limit_children(d);
    event_exec_set(d->exec, &d->config.events.exec, d->config.events.seconds);
    daemon_scheduler_settings(d, &settings);
    daemon_event(d, (struct scheduler_event){.kind = EVENT_SETTINGS, .settings = &settings});
}

static void note_changes(struct daemon *d, const struct config_change *changes, int n,
                         const char *by, json_t *ret_changed, json_t *ret_restart)
{
    char *whole = config_json(&d->file_config);

    for (int i = 0; i < n; i++) {
        const struct config_change *change = &changes[i];
        json_t *text =
            json_sprintf("%s: %s -> %s%s", change->key, change->old_value, change->new_value,
                         change->needs_restart ? " (takes effect after a restart)" : "");
        daemon_put(d, storage_task_setting(daemon_wall_ms(), change->key, change->old_value,
                                           change->new_value, by));
        daemon_say(d, change->needs_restart ? SEVERITY_WARNING : SEVERITY_INFO, "setting changed",
                   "%s: %s -> %s by %s%s", change->key, change->old_value, change->new_value, by,
                   change->needs_restart ? "; this takes effect after a restart" : "");
        (void)json_array_append_new(change->needs_restart ? ret_restart : ret_changed, text);
    }
    if (whole != NULL && n > 0) {
        daemon_put(d, storage_task_run("config", whole));
    }
    free(whole);
}

static int refuse_config(struct daemon *d, const struct config_problems *problems, char **ret_json)
{
    const char *text = problems->text != NULL ? problems->text : "the configuration is not usable";
    char *copy = strdup(text);

    for (char *rest = copy, *line; copy != NULL && (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] != '\0') {
            daemon_say(d, SEVERITY_ERROR, "reload refused", "%s", line);
        }
    }
    free(copy);
    daemon_put(d, storage_task_event(daemon_wall_ms(), "error", "reload refused", text));
    if (ret_json != NULL) {
        *ret_json = message_json("error", text);
    }
    return HTTP_BAD_CONFIG;
}

int daemon_reload(struct daemon *d, const char *by, char **ret_json)
{
    struct config_problems problems = {0};
    struct config_change *changes = NULL;
    struct config *loaded = malloc(sizeof(*loaded));
    json_t *changed = json_array();
    json_t *restart = json_array();
    int status = HTTP_FAILED;

    notify_reloading();
    if (loaded == NULL || changed == NULL || restart == NULL) {
        goto out;
    }
    if (load_config(d, loaded, &problems) < 0) {
        status = refuse_config(d, &problems, ret_json);
        goto out;
    }
    int n = config_diff(&d->file_config, loaded, &changes);
    if (n < 0) {
        goto out;
    }
    take_config(d, loaded);
    note_changes(d, changes, n, by, changed, restart);
    bring_into_effect(d);
    if (n == 0) {
        daemon_say(d, SEVERITY_INFO, "reload", "nothing has changed");
    }
    config_changes_free(changes, n);
    status = HTTP_OK;
    if (ret_json != NULL) {
        *ret_json = dump_and_free(
            json_pack("{s:s, s:O, s:O}", "message",
                      n == 0 ? "nothing has changed" : "the configuration has been read again",
                      "changed", changed, "needs_restart", restart));
    }
out:
    json_decref(changed);
    json_decref(restart);
    config_problems_finish(&problems);
    free(loaded);
    notify_ready();
    if (ret_json != NULL && *ret_json == NULL) {
        *ret_json = message_json("error", "out of memory");
    }
    return status;
}

/* ---- settings at the start ---- */
static void log_section(struct daemon *d, const char *section, json_t *now, json_t *before,
                        bool first)
{
    const char *name;
    json_t *value;

    json_object_foreach(now, name, value)
    {
        char key[160];
        json_t *old = json_object_get(before, name);
        if (!first && old != NULL && json_equal(old, value)) {
            continue;
        }
        char *new_text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        char *old_text = old == NULL ? NULL : json_dumps(old, JSON_ENCODE_ANY | JSON_COMPACT);
        (void)snprintf(key, sizeof(key), "%s%s%s", section, section[0] == '\0' ? "" : ".", name);
        if (json_is_object(value)) {
            log_section(d, key, value, old, first);
        } else if (new_text != NULL) {
            daemon_put(d, storage_task_setting(daemon_wall_ms(), key, old_text, new_text, "start"));
        }
        free(new_text);
        free(old_text);
    }
}

void daemon_log_settings(struct daemon *d, const char *previous)
{
    char *whole = config_json(&d->file_config);
    json_t *now = whole == NULL ? NULL : json_loads(whole, 0, NULL);
    json_t *before = previous == NULL ? NULL : json_loads(previous, 0, NULL);

    if (now != NULL && !json_equal(now, before)) {
        log_section(d, "", now, before, before == NULL);
        daemon_put(d, storage_task_run("config", whole));
    }
    json_decref(now);
    json_decref(before);
    free(whole);
}

/* ---- commands ---- */
static int pause_or_resume(struct daemon *d, bool pause, const char *by, char **ret_json)
{
    if (d->scheduler.paused == pause) {
        *ret_json = message_json("message", pause ? "it was paused already" : "it was not paused");
        return HTTP_OK;
    }
    daemon_note(d, SEVERITY_INFO, pause ? "paused" : "resumed", "by %s", by);
    daemon_put(d, storage_task_run("paused", pause ? "yes" : "no"));
    daemon_event(d, (struct scheduler_event){.kind = pause ? EVENT_PAUSE : EVENT_RESUME});
    *ret_json = message_json(
        "message", pause ? "self-play and new trainings pause; a running training goes to its end"
                         : "self-play goes on");
    return HTTP_OK;
}

static int train_now(struct daemon *d, const char *by, char **ret_json)
{
    enum scheduler_train_now answer = scheduler_ask_train_now(&d->scheduler);
    const char *text = "a training begins";

    switch (answer) {
    case TRAIN_NOW_BEGINS:
        break;
    case TRAIN_NOW_AFTER_RUNNING:
        text = "a training is running; the next one begins when it has ended and a game finishes";
        break;
    case TRAIN_NOW_AFTER_NEXT_GAME:
        text = "nothing is new since the last training; one begins when a game has finished";
        break;
    }
    daemon_note(d, SEVERITY_INFO, "training asked for", "by %s", by);
    daemon_event(d, (struct scheduler_event){.kind = EVENT_TRAIN_NOW});
    *ret_json = message_json("message", text);
    return HTTP_OK;
}

static int command(const char *name, const char *by, char **ret_json, void *context)
{
    struct daemon *d = context;

    *ret_json = NULL;
    if (d->stopping) {
        *ret_json = message_json("error", "the daemon is stopping");
        return 409;
    }
    if (strcmp(name, "pause") == 0 || strcmp(name, "resume") == 0) {
        return pause_or_resume(d, strcmp(name, "pause") == 0, by, ret_json);
    }
    if (strcmp(name, "train") == 0) {
        return train_now(d, by, ret_json);
    }
    if (strcmp(name, "reload") == 0) {
        return daemon_reload(d, by, ret_json);
    }
    if (strcmp(name, "stop") == 0) {
        *ret_json = message_json("message", "the daemon stops");
        daemon_stop(d, by);
        return HTTP_OK;
    }
    *ret_json = message_json("error", "there is no such command");
    return HTTP_NOT_FOUND;
}

const struct http_callbacks daemon_http_callbacks = {
    .status = daemon_status, .command = command, .live = daemon_doctor_live};
