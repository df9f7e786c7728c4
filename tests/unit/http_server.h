/* The daemon's HTTP interface in a thread of its own, for tests that are its clients: canned status, commands
 * that are written down. */
#ifndef TESTS_UNIT_HTTP_SERVER_H
#define TESTS_UNIT_HTTP_SERVER_H

#include "daemon/control/http.h"

#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct http_server {
    char socket[96];
    const char *db_path;
    struct http *http; /* the server's thread only, from here on */
    uv_loop_t loop;
    uv_async_t close_me;
    pthread_t thread;
    sem_t ready;
    int opened; /* result of http_open */
    char command
        [32]; /* the last one, and who gave it; read after the server has ended or answered */
    char by[64];
    bool closed;
};

static char *server_status(void *context)
{
    (void)context;
    return strdup("{\"generation\": 7, \"workers\": [{\"pid\": 1, \"state\": \"playing\"}]}");
}

static void server_closed(void *context)
{
    struct http_server *server = context;
    server->closed = true;
}

static int server_command(const char *name, const char *by, char **ret_json, void *context)
{
    struct http_server *server = context;
    snprintf(server->command, sizeof server->command, "%s", name);
    snprintf(server->by, sizeof server->by, "%s", by);
    if (strcmp(name, "reload") == 0) {
        *ret_json = strdup("{\"error\": \"a.yaml:3:7: no\\nb.yaml:4:1: never\\n\"}");
        return 422;
    }
    if (strcmp(name, "train") == 0) {
        *ret_json = strdup("{\"error\": \"a training runs\"}");
        return 409;
    }
    if (strcmp(name, "stop") == 0) { /* with MHD below on the stack */
        http_close(server->http, server_closed, server);
        uv_close((uv_handle_t *)&server->close_me, NULL);
    }
    *ret_json = strdup("{\"message\": \"so be it\"}");
    return 200;
}

static void server_close_me(uv_async_t *async)
{
    struct http_server *server = async->data;
    http_close(server->http, server_closed, server);
    uv_close((uv_handle_t *)async, NULL);
}

static void *server_run(void *context)
{
    struct http_server *server = context;
    struct http_callbacks callbacks = {server_status, server_command, NULL, server};
    struct error err = {""};
    uv_loop_init(&server->loop);
    uv_async_init(&server->loop, &server->close_me, server_close_me);
    server->close_me.data = server;
    server->opened =
        http_open(&server->loop, server->socket, server->db_path, &callbacks, &server->http, &err);
    if (server->opened < 0) {
        fprintf(stderr, "%s\n", err.text);
        uv_close((uv_handle_t *)&server->close_me, NULL);
    }
    sem_post(&server->ready);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    uv_loop_close(&server->loop);
    return NULL;
}

static inline void server_start(struct http_server *server, const char *folder, const char *db_path)
{
    memset(server, 0, sizeof *server);
    snprintf(server->socket, sizeof server->socket, "%s/qzd.sock", folder);
    server->db_path = db_path;
    sem_init(&server->ready, 0, 0);
    ck_assert_int_eq(pthread_create(&server->thread, NULL, server_run, server), 0);
    sem_wait(&server->ready);
    ck_assert_int_eq(server->opened, 0);
}

/* Wait for the end that somebody has asked for. */
static inline void server_join(struct http_server *server)
{
    pthread_join(server->thread, NULL);
    ck_assert(server->closed);
    sem_destroy(&server->ready);
}

static inline void server_stop(struct http_server *server)
{
    uv_async_send(&server->close_me);
    server_join(server);
}

#endif
