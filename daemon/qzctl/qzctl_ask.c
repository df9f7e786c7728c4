#include "daemon/qzctl/qzctl.h"

#include "daemon/control/client.h"
#include "daemon/lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MS = 60000 };

void qzctl_db_path(const struct qzctl *qzctl, char ret_path[PATH_MAX])
{
    if (snprintf(ret_path, PATH_MAX, "%s/qzd.db", qzctl->state_dir) >= PATH_MAX) {
        ret_path[0] = '\0';
    }
}

/* Make a client for the daemon that --socket or the lock names. Returns an exit code, with why in *err. */
static int find_daemon(struct qzctl *qzctl, struct client **ret, struct error *err)
{
    struct lock_owner owner = {.pid = 0};
    const char *socket = qzctl->socket;
    if (socket == NULL) {
        if (lock_find_owner(qzctl->state_dir, &owner, err) < 0) {
            struct error why = *err;
            error_set(err, ERROR_NOT_FOUND, "no daemon runs on %s (%s)", qzctl->state_dir,
                      why.text);
            return QZCTL_NO_DAEMON;
        }
        if (owner.socket[0] == '\0') {
            error_set(err, ERROR_NOT_FOUND, "process %lld holds %s but has no socket (yet)",
                      (long long)owner.pid, qzctl->state_dir);
            return QZCTL_NO_DAEMON;
        }
        socket = owner.socket;
    }
    return client_create(socket, ret, err) < 0 ? QZCTL_FAILED : QZCTL_OK;
}

static int exit_of(int code)
{
    return code == ERROR_NOT_FOUND || code == ERROR_PERMISSION || code == ERROR_TIMEOUT
               ? QZCTL_NO_DAEMON
               : QZCTL_FAILED;
}

/* Print the daemon's "error" (each line of it) and return the exit code that its status stands for. */
static int say_refusal(unsigned status, const char *body)
{
    json_t *object = json_loads(body, 0, NULL);
    const char *text = json_string_value(json_object_get(object, "error"));
    (void)fflush(stdout);
    if (text == NULL) {
        fprintf(stderr, "qzctl: the daemon answers %u without a reason\n", status);
    } else {
        size_t n = strlen(text);
        fprintf(stderr, "%s%s%s", strchr(text, '\n') == NULL ? "qzctl: " : "", text,
                n > 0 && text[n - 1] == '\n' ? "" : "\n");
    }
    json_decref(object);
    return status == 403 || status == 409 || status == 422 ? QZCTL_REFUSED : QZCTL_FAILED;
}

static int exchange(struct client *client, const char *method, const char *path, const char *body,
                    char **ret_json, struct error *err)
{
    unsigned status = 0;
    char *answer = NULL;
    int r = client_request(client, method, path, body, strcmp(path, "/check") == 0 ? 0 : ANSWER_MS,
                           &status, &answer, err);
    if (r < 0) {
        return exit_of(r);
    }
    if (status < 200 || status > 299) {
        err->text[0] = '\0'; /* it is said here */
        r = say_refusal(status, answer);
        free(answer);
        return r;
    }
    *ret_json = answer;
    return QZCTL_OK;
}

static int ask_daemon(struct client *client, const struct query_request *request, char **ret_json,
                      struct error *err)
{
    char path[64];
    switch (request->kind) {
    case QUERY_STATUS:
        return exchange(client, "GET", "/status", NULL, ret_json, err);
    case QUERY_PROGRESS:
        return exchange(client, "GET", "/progress", NULL, ret_json, err);
    case QUERY_CHECK:
        return exchange(client, "GET", "/check", NULL, ret_json, err);
    case QUERY_DOCTOR:
        if (request->generation < 0) {
            return exchange(client, "GET", "/doctor", NULL, ret_json, err);
        }
        snprintf(path, sizeof path, "/doctor?generation=%lld", (long long)request->generation);
        return exchange(client, "GET", path, NULL, ret_json, err);
    case QUERY_EVENTS:
        snprintf(path, sizeof path, "/events?n=%u", request->n);
        return exchange(client, "GET", path, NULL, ret_json, err);
    case QUERY_SQL:
        break;
    }
    json_t *body =
        json_pack("{s:s, s:I, s:I}", "sql", request->sql, "max_rows", (json_int_t)request->n,
                  "time_limit_ms", (json_int_t)request->time_limit_ms);
    char *text = body == NULL ? NULL : json_dumps(body, 0);
    json_decref(body);
    if (text == NULL) {
        return qzctl_fail("the statement is no UTF-8 text");
    }
    int r = exchange(client, "POST", "/sql", text, ret_json, err);
    free(text);
    return r;
}

static int ask_store(struct qzctl *qzctl, struct query_request *request, char **ret_json)
{
    char path[PATH_MAX];
    struct error err = {""};
    qzctl_db_path(qzctl, path);
    request->db_path = path;
    int r = query_ask(request, ret_json, &err);
    request->db_path = NULL;
    if (r < 0) {
        if (r == ERROR_NOT_FOUND) {
            qzctl_fail("%s: no daemon runs on it and no store is in it (--state DIR, $QZD_STATE)",
                       qzctl->state_dir);
            return QZCTL_NO_DAEMON;
        }
        return qzctl_fail("%s", err.text);
    }
    return QZCTL_OK;
}

int qzctl_ask(struct qzctl *qzctl, struct query_request *request, bool *ret_from_daemon,
              char **ret_json)
{
    struct client *client = NULL;
    struct error err = {""};
    int r = find_daemon(qzctl, &client, &err);
    bool found = r == QZCTL_OK;
    if (found) {
        r = ask_daemon(client, request, ret_json, &err);
    }
    client_destroy(client);
    *ret_from_daemon = r == QZCTL_OK;
    if (r != QZCTL_NO_DAEMON) {
        if (r != QZCTL_OK && err.text[0] != '\0') {
            qzctl_fail("%s", err.text);
        }
        return r;
    }
    if (qzctl->socket != NULL) { /* this daemon was asked for and no other answer */
        qzctl_fail("%s", err.text);
        return r;
    }
    if (found) {
        fprintf(stderr, "qzctl: %s; reading the store itself\n", err.text);
    }
    return ask_store(qzctl, request, ret_json);
}

int qzctl_tell(struct qzctl *qzctl, const char *command, char **ret_json)
{
    struct client *client = NULL;
    struct error err = {""};
    char path[32];
    snprintf(path, sizeof path, "/%s", command);
    int r = find_daemon(qzctl, &client, &err);
    if (r == QZCTL_OK) {
        r = exchange(client, "POST", path, NULL, ret_json, &err);
    }
    client_destroy(client);
    if (r != QZCTL_OK && err.text[0] != '\0') {
        qzctl_fail("%s", err.text);
    }
    return r;
}
