/* One MHD daemon without threads: its epoll descriptor stands in the loop as a uv_poll, its next time-out as
 * a uv_timer, and pump() lets it run and sets the timer anew. A request goes
 *
 *   READING --status, command, refusal--------------------> ANSWERED
 *      |                                                      ^
 *      +--question--> WAITING --a place is free--> RUNNING ---+
 *
 * In WAITING and RUNNING its connection is suspended: MHD neither reads nor times it out, and its struct
 * lives until the connection has been resumed, whether or not the client still does. */
#include "daemon/control/http.h"

#include "daemon/control/http_socket.h"
#include "daemon/control/query.h"

#include <jansson.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    MAX_BODY = 64 << 10,
    MAX_DRAINED = 1 << 20, /* of a body that is too long; more closes the connection */
    MAX_CONNECTIONS = 64,
    MAX_RUNNING = 2, /* questions at once: the thread pool is not ours alone */
    IDLE_S = 15,
    GRACE_MS = 1000, /* when closing: for requests in flight, then questions are stopped */
    N_HANDLES = 3,
};

enum route_kind { ROUTE_STATUS, ROUTE_QUERY, ROUTE_COMMAND };

struct route {
    const char *path;
    const char *method;
    enum route_kind kind;
    enum query_kind query;
};

static const struct route routes[] = {
    {"/status", "GET", ROUTE_STATUS, 0},
    {"/progress", "GET", ROUTE_QUERY, QUERY_PROGRESS},
    {"/events", "GET", ROUTE_QUERY, QUERY_EVENTS},
    {"/check", "GET", ROUTE_QUERY, QUERY_CHECK},
    {"/doctor", "GET", ROUTE_QUERY, QUERY_DOCTOR},
    {"/sql", "POST", ROUTE_QUERY, QUERY_SQL},
    {"/pause", "POST", ROUTE_COMMAND, 0},
    {"/resume", "POST", ROUTE_COMMAND, 0},
    {"/train", "POST", ROUTE_COMMAND, 0},
    {"/reload", "POST", ROUTE_COMMAND, 0},
    {"/stop", "POST", ROUTE_COMMAND, 0},
};

enum request_state { REQUEST_READING, REQUEST_WAITING, REQUEST_RUNNING, REQUEST_ANSWERED };

struct request {
    struct http *http;
    struct MHD_Connection *connection;
    enum request_state state;
    const struct route *route; /* NULL: unknown path */
    char *body;                /* body_size bytes and a NUL */
    size_t body_size;
    size_t drained; /* bytes of a body that is too long */
    struct query_request query;
    char *sql;
    struct doctor_live live;
    uv_work_t work;
    struct request *next; /* in the queue of waiting ones */
    int result;           /* of the question */
    struct error err;
    unsigned status; /* the answer */
    char *json;      /* malloced */
};

struct http {
    uv_loop_t *loop;
    struct http_callbacks callbacks;
    char *db_path;
    struct http_socket socket;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer; /* MHD's next time-out */
    uv_timer_t closing_timer;
    unsigned n_open;     /* handles */
    unsigned n_requests; /* structs alive */
    unsigned n_running;
    struct request *first_waiting, *last_waiting;
    atomic_bool stop; /* tells running questions to end */
    bool closing, grace_over, finishing;
    void (*closed)(void *context);
    void *closed_context;
};

/* ---- answers ---- */

static void answer_error(struct request *request, unsigned status, const char *text)
{
    json_t *object = json_pack("{s:s}", "error", text);
    free(request->json);
    request->json = object == NULL ? NULL : json_dumps(object, 0);
    request->status = status;
    json_decref(object);
}

static unsigned status_of(int code)
{
    switch (code) {
    case ERROR_INVALID:
        return MHD_HTTP_BAD_REQUEST;
    case ERROR_BUSY:
    case ERROR_TIMEOUT:
    case ERROR_CANCELLED:
    case ERROR_NOT_FOUND: /* the store is not there (yet) */
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    default:
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
}

/* Give the answer to MHD, which owns its memory from then on. */
static enum MHD_Result send_answer(struct request *request)
{
    static char out_of_memory[] = /* not const, for MHD's sake */
        "{\"error\":\"out of memory\"}\n";
    struct MHD_Response *response;
    size_t size = request->json == NULL ? 0 : strlen(request->json);
    char *line = request->json == NULL ? NULL : realloc(request->json, size + 2);

    if (line != NULL) { /* a newline at the end, for people at a terminal */
        memcpy(line + size, "\n", 2);
        request->json = NULL;
        response = MHD_create_response_from_buffer(size + 1, line, MHD_RESPMEM_MUST_FREE);
        if (response == NULL) {
            free(line);
        }
    } else {
        request->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        response = MHD_create_response_from_buffer(sizeof out_of_memory - 1, out_of_memory,
                                                   MHD_RESPMEM_PERSISTENT);
    }
    request->state = REQUEST_ANSWERED;
    if (response == NULL) {
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (request->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
                                strcmp(request->route->method, "GET") == 0 ? "GET, HEAD" : "POST");
    }
    if (request->http->closing) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    enum MHD_Result result = MHD_queue_response(request->connection, request->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_error(struct request *request, unsigned status, const char *text)
{
    answer_error(request, status, text);
    return send_answer(request);
}

/* ---- questions, in libuv's thread pool ---- */

static void pump(struct http *http);
static void start_waiting(struct http *http);

static void ask(uv_work_t *work)
{
    struct request *request = work->data;
    request->result = query_ask(&request->query, &request->json, &request->err);
}

static void resume(struct request *request)
{
    request->state = REQUEST_ANSWERED;
    MHD_resume_connection(request->connection);
}

static void asked(uv_work_t *work, int cancelled)
{
    struct request *request = work->data;
    struct http *http = request->http;
    if (cancelled != 0) {
        answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the daemon is going down");
    } else if (request->result < 0) {
        answer_error(request, status_of(request->result), request->err.text);
    } else {
        request->status = MHD_HTTP_OK;
    }
    http->n_running--;
    resume(request);
    start_waiting(http);
    pump(http);
}

static void start_waiting(struct http *http)
{
    while (http->first_waiting != NULL && (http->n_running < MAX_RUNNING || http->closing)) {
        struct request *request = http->first_waiting;
        http->first_waiting = request->next;
        if (http->closing || uv_queue_work(http->loop, &request->work, ask, asked) != 0) {
            answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the daemon is going down");
            resume(request);
        } else {
            request->state = REQUEST_RUNNING;
            http->n_running++;
        }
    }
    if (http->first_waiting == NULL) {
        http->last_waiting = NULL;
    }
}

static enum MHD_Result wait_for_answer(struct request *request)
{
    struct http *http = request->http;
    request->query.kind = request->route->query;
    request->query.db_path = http->db_path;
    request->query.stop = &http->stop;
    if (request->route->query == QUERY_CHECK) {
        request->query.time_limit_ms = QUERY_CHECK_MS;
    }
    request->work.data = request;
    request->state = REQUEST_WAITING;
    MHD_suspend_connection(request->connection);
    if (http->last_waiting == NULL) {
        http->first_waiting = request;
    } else {
        http->last_waiting->next = request;
    }
    http->last_waiting = request;
    start_waiting(http);
    return MHD_YES;
}

/* Fill in request->query from the body. Returns what is wrong with it, or NULL. */
static const char *parse_sql(struct request *request)
{
    static const char shape[] =
        "the body is no {\"sql\": \"...\", \"max_rows\": N, \"time_limit_ms\": N} in JSON";
    const char *sql = NULL;
    json_int_t max_rows = QUERY_DEFAULT_ROWS;
    json_int_t time_limit_ms = QUERY_DEFAULT_MS;
    const char *wrong = NULL;
    json_t *body = json_loadb(request->body == NULL ? "" : request->body, request->body_size,
                              JSON_REJECT_DUPLICATES, NULL);

    if (body == NULL ||
        json_unpack_ex(body, NULL, JSON_STRICT, "{s:s, s?I, s?I}", "sql", &sql, "max_rows",
                       &max_rows, "time_limit_ms", &time_limit_ms) != 0) {
        wrong = shape;
    } else if (max_rows < 1 || max_rows > QUERY_MAX_ROWS) {
        wrong = "max_rows is not between 1 and 100000";
    } else if (time_limit_ms < 1 || time_limit_ms > QUERY_MAX_MS) {
        wrong = "time_limit_ms is not between 1 and 10000";
    } else {
        request->sql = strdup(sql);
        request->query.sql = request->sql;
        request->query.n = (uint32_t)max_rows;
        request->query.time_limit_ms = (uint32_t)time_limit_ms;
        wrong = request->sql == NULL ? "out of memory" : NULL;
    }
    json_decref(body);
    return wrong;
}

static const char *parse_events(struct request *request)
{
    const char *text = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "n");
    request->query.n = QUERY_DEFAULT_EVENTS;
    if (text == NULL) {
        return NULL;
    }
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || n < 1 || n > QUERY_MAX_EVENTS) {
        return "n is not between 1 and 10000";
    }
    request->query.n = (uint32_t)n;
    return NULL;
}

static const char *parse_doctor(struct request *request)
{
    const struct http_callbacks *callbacks = &request->http->callbacks;
    const char *text =
        MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "generation");
    request->query.generation = -1;
    if (text != NULL) {
        char *end = NULL;
        unsigned long n = strtoul(text, &end, 10);
        if (*text < '0' || *text > '9' || *end != '\0' || n > UINT32_MAX) {
            return "generation is not a whole number";
        }
        request->query.generation = (int64_t)n;
    } else if (callbacks->live != NULL) {
        callbacks->live(&request->live, callbacks->context);
        request->query.live = &request->live;
    }
    return NULL;
}

/* ---- requests ---- */

static enum MHD_Result do_command(struct request *request)
{
    const struct http_callbacks *callbacks = &request->http->callbacks;
    const char *agent = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_USER_AGENT);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char by[64];
    char uid[24];
    http_socket_peer(info == NULL ? -1 : info->connect_fd, uid, sizeof uid);
    snprintf(by, sizeof by, "%s uid %s",
             agent != NULL && strncmp(agent, "qzctl/", 6) == 0 ? "qzctl" : "http", uid);

    char *json = NULL;
    int status = callbacks->command(request->route->path + 1, by, &json, callbacks->context);
    free(request->json);
    request->json = json;
    request->status =
        status < 100 || status > 599 ? MHD_HTTP_INTERNAL_SERVER_ERROR : (unsigned)status;
    return send_answer(request);
}

static enum MHD_Result dispatch(struct request *request, const char *method)
{
    const struct route *route = request->route;
    if (route == NULL) {
        return send_error(
            request, MHD_HTTP_NOT_FOUND,
            "no such path; there are GET /status /progress /events?n=N /check /doctor "
            "and POST /sql /pause /resume /train /reload /stop");
    }
    bool is_head = strcmp(method, "HEAD") == 0; /* MHD leaves the body out */
    if (strcmp(is_head ? "GET" : method, route->method) != 0) {
        return send_error(request, MHD_HTTP_METHOD_NOT_ALLOWED,
                          strcmp(route->method, "GET") == 0 ? "this path takes GET"
                                                            : "this path takes POST");
    }
    if (request->http->closing) {
        return send_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the daemon is going down");
    }
    switch (route->kind) {
    case ROUTE_STATUS:
        request->json = request->http->callbacks.status(request->http->callbacks.context);
        request->status = MHD_HTTP_OK;
        return send_answer(request);
    case ROUTE_COMMAND:
        return do_command(request);
    case ROUTE_QUERY:
        break;
    }
    const char *wrong = NULL;
    if (route->query == QUERY_SQL) {
        wrong = parse_sql(request);
    } else if (route->query == QUERY_EVENTS) {
        wrong = parse_events(request);
    } else if (route->query == QUERY_DOCTOR) {
        wrong = parse_doctor(request);
    }
    return wrong == NULL ? wait_for_answer(request)
                         : send_error(request, MHD_HTTP_BAD_REQUEST, wrong);
}

static enum MHD_Result take_body(struct request *request, const char *data, size_t *size)
{
    size_t n = *size;
    *size = 0;
    if (request->drained > 0 || request->body_size + n > MAX_BODY) {
        request->drained += n;
        return request->drained > MAX_DRAINED ? MHD_NO : MHD_YES;
    }
    char *body = realloc(request->body, request->body_size + n + 1);
    if (body == NULL) {
        return MHD_NO;
    }
    memcpy(body + request->body_size, data, n);
    request->body = body;
    request->body_size += n;
    body[request->body_size] = '\0';
    return MHD_YES;
}

static enum MHD_Result begin_request(struct http *http, struct MHD_Connection *connection,
                                     const char *path, void **ret)
{
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return MHD_NO;
    }
    request->http = http;
    request->connection = connection;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (strcmp(routes[i].path, path) == 0) {
            request->route = &routes[i];
        }
    }
    http->n_requests++;
    *ret = request;

    /* A length that is announced as too long is refused before a byte of it is read. */
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length != NULL && strtoull(length, NULL, 10) > MAX_BODY) {
        return send_error(request, MHD_HTTP_CONTENT_TOO_LARGE, "the body is longer than 64 KiB");
    }
    return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *data, size_t *size, void **request_context)
{
    (void)version;
    struct request *request = *request_context;
    if (request == NULL) { /* the head is there, the body is not */
        return begin_request(context, connection, path, request_context);
    }
    if (request->state == REQUEST_ANSWERED) { /* resumed with its answer */
        return send_answer(request);
    }
    if (*size > 0) {
        return take_body(request, data, size);
    }
    if (request->drained > 0) {
        return send_error(request, MHD_HTTP_CONTENT_TOO_LARGE, "the body is longer than 64 KiB");
    }
    return dispatch(request, method);
}

/* Also for clients that went away. Never called while the connection is suspended. */
static void on_completed(void *context, struct MHD_Connection *connection, void **request_context,
                         enum MHD_RequestTerminationCode why)
{
    (void)connection;
    (void)why;
    struct http *http = context;
    struct request *request = *request_context;
    if (request != NULL) {
        free(request->body);
        free(request->sql);
        free(request->json);
        free(request);
        *request_context = NULL;
        http->n_requests--;
    }
}

/* ---- the loop ---- */

static void free_http(struct http *http)
{
    if (http->daemon != NULL) {
        MHD_stop_daemon(http->daemon); /* completes what is open, closes epoll descriptor */
    }
    http_socket_close(&http->socket);
    free(http->db_path);
    free(http);
}

static void handle_closed(uv_handle_t *handle)
{
    struct http *http = handle->data;
    if (--http->n_open == 0) { /* only now may the epoll descriptor go */
        void (*closed)(void *) = http->closed;
        void *context = http->closed_context;
        free_http(http);
        if (closed != NULL) {
            closed(context);
        }
    }
}

static void finish_if_done(struct http *http)
{
    bool done = http->n_requests == 0 || (http->grace_over && http->n_running == 0);
    if (!http->closing || http->finishing || !done) {
        return;
    }
    http->finishing = true;
    uv_close((uv_handle_t *)&http->poll, handle_closed);
    uv_close((uv_handle_t *)&http->timer, handle_closed);
    uv_close((uv_handle_t *)&http->closing_timer, handle_closed);
}

static void on_timer(uv_timer_t *timer)
{
    pump(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    pump(poll->data);
}

/* Let MHD do what it can, and set the timer for what it waits for. */
static void pump(struct http *http)
{
    if (http->finishing) {
        return;
    }
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    /* Twice: with all its connections in use MHD stops watching the listening socket, and watches it again only at the
     * run after the one in which a connection has ended; nothing else would wake us for it. */
    MHD_run(http->daemon);
    MHD_run(http->daemon);
    if (MHD_get_timeout(http->daemon, &timeout_ms) == MHD_YES) {
        uv_timer_start(&http->timer, on_timer, timeout_ms, 0);
    } else {
        uv_timer_stop(&http->timer);
    }
    finish_if_done(http);
}

/* MHD's complaints are of clients that went away: not worth a line. */
static void ignore_log(void *context, const char *format, va_list arguments)
{
    (void)context;
    (void)format;
    (void)arguments;
}

static int start_mhd(struct http *http, struct error *err)
{
    int listen_fd = dup(http->socket.fd); /* MHD closes the one that it is given */
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
        http, MHD_OPTION_EXTERNAL_LOGGER, ignore_log, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_S, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_END);
    if (http->daemon == NULL) {
        return error_set(err, ERROR_IO, "%s: the HTTP server does not start", http->socket.path);
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int r = info == NULL ? UV_EINVAL : uv_poll_init(http->loop, &http->poll, info->epoll_fd);
    if (r != 0) {
        return error_set(err, ERROR_IO, "%s: cannot watch it: %s", http->socket.path,
                         uv_strerror(r));
    }
    return 0;
}

int http_open(uv_loop_t *loop, const char *socket_path, const char *db_path,
              const struct http_callbacks *callbacks, struct http **ret, struct error *err)
{
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    http->loop = loop;
    http->callbacks = *callbacks;
    http->socket.fd = -1;
    http->db_path = strdup(db_path);
    int r = http->db_path == NULL ? error_set(err, ERROR_NO_MEMORY, "out of memory")
                                  : http_socket_open(socket_path, &http->socket, err);
    r = r < 0 ? r : start_mhd(http, err);
    if (r < 0) {
        free_http(http);
        return r;
    }
    uv_timer_init(loop, &http->timer);
    uv_timer_init(loop, &http->closing_timer);
    http->poll.data = http->timer.data = http->closing_timer.data = http;
    http->n_open = N_HANDLES;
    uv_poll_start(&http->poll, UV_READABLE, on_poll);
    pump(http);
    *ret = http;
    return 0;
}

static void on_grace_over(uv_timer_t *timer)
{
    struct http *http = timer->data;
    http->grace_over = true;
    atomic_store(&http->stop, true);
    pump(http);
}

static void on_closing(uv_timer_t *timer)
{
    struct http *http = timer->data;
    int listen_fd = MHD_quiesce_daemon(http->daemon);
    if (listen_fd >= 0) {
        close(listen_fd);
    }
    http_socket_close(&http->socket);
    start_waiting(http); /* refuses them */
    uv_timer_start(timer, on_grace_over, GRACE_MS, 0);
    pump(http);
}

void http_close(struct http *http, void (*closed)(void *context), void *context)
{
    if (http->closing) {
        return;
    }
    http->closing = true;
    http->closed = closed;
    http->closed_context = context;
    /* Not at once: the caller may be the command "stop", and MHD is then below us on the stack. */
    uv_timer_start(&http->closing_timer, on_closing, 0, 0);
}
