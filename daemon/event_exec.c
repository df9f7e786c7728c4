#include "daemon/event_exec.h"

#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*   IDLE --put--> RUNNING --exit--> DRAINING --end of stderr, or DRAIN_MS--> closing handles --> IDLE
 *                    |                 ^
 *                    +--time--> TERM --+ (and KILL to the group a little later)
 * Handles of a run close before the next one begins, so that one struct serves all of them. */
enum { N_TEXTS = 8, STDERR_BYTES = 512, DRAIN_MS = 200, N_HANDLES = 4 };

struct waiting {
    char *variable[N_TEXTS]; /* NAME=VALUE; NULL at the end */
    char *json;
    char what[64];
};

struct event_exec {
    uv_loop_t *loop;
    struct event_exec_callbacks callbacks;
    struct config_command command;
    uint32_t seconds;
    struct waiting queue[EVENT_EXEC_QUEUE];
    uint32_t first, n;
    uint32_t dropped;                /* since a command was last told */
    bool running, begun, closing;    /* begun: `process` is a handle */
    bool exited, drained, timed_out; /* drained: its stderr has ended */
    uint32_t n_open;                 /* handles of this run */
    struct waiting event;
    char *name; /* of the command that runs */
    uv_process_t process;
    uv_pipe_t in, errors;
    uv_timer_t timer;
    uv_write_t write;
    char text[STDERR_BYTES]; /* the beginning of what it says */
    size_t used;
    char buffer[1024];
    int64_t status;
    int signal;
};

static void start_next(struct event_exec *exec);

static void trouble(struct event_exec *exec, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void trouble(struct event_exec *exec, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    exec->callbacks.trouble(text, exec->callbacks.context);
}

static void waiting_free(struct waiting *waiting)
{
    for (size_t i = 0; i < N_TEXTS; i++) {
        free(waiting->variable[i]);
    }
    free(waiting->json);
    *waiting = (struct waiting){.json = NULL};
}

struct event_exec *event_exec_create(uv_loop_t *loop, const struct event_exec_callbacks *callbacks)
{
    struct event_exec *exec = calloc(1, sizeof(*exec));

    if (exec != NULL) {
        exec->loop = loop;
        exec->callbacks = *callbacks;
    }
    return exec;
}

void event_exec_set(struct event_exec *exec, const struct config_command *command, uint32_t seconds)
{
    exec->command = *command;
    exec->seconds = seconds;
}

/* ---- the end of a run ---- */
static void event_exec_free(struct event_exec *exec)
{
    while (exec->n > 0) {
        waiting_free(&exec->queue[exec->first]);
        exec->first = (exec->first + 1) % EVENT_EXEC_QUEUE;
        exec->n--;
    }
    waiting_free(&exec->event);
    free(exec->name);
    free(exec);
}

static void handle_closed(uv_handle_t *handle)
{
    struct event_exec *exec = handle->data;

    if (--exec->n_open > 0) {
        return;
    }
    waiting_free(&exec->event);
    free(exec->name);
    exec->name = NULL;
    exec->running = false;
    if (exec->closing) {
        event_exec_free(exec);
    } else {
        start_next(exec);
    }
}

static void close_run(struct event_exec *exec)
{
    uv_handle_t *const handles[N_HANDLES] = {(uv_handle_t *)&exec->in, (uv_handle_t *)&exec->errors,
                                             (uv_handle_t *)&exec->timer,
                                             (uv_handle_t *)&exec->process};

    for (size_t i = 0; i < (exec->begun ? N_HANDLES : N_HANDLES - 1); i++) {
        if (!uv_is_closing(handles[i])) {
            uv_close(handles[i], handle_closed);
        }
    }
}

static void tell_end(struct event_exec *exec)
{
    size_t n = exec->used;

    while (n > 0 && (exec->text[n - 1] == '\n' || exec->text[n - 1] == '\r')) {
        n--;
    }
    exec->text[n] = '\0';
    const char *said = n > 0 ? ": " : "";
    if (exec->timed_out) {
        trouble(exec, "%s (for \"%s\") took too long and was ended%s%s", exec->name,
                exec->event.what, said, exec->text);
    } else if (exec->signal != 0) {
        trouble(exec, "%s (for \"%s\") was ended by signal %d%s%s", exec->name, exec->event.what,
                exec->signal, said, exec->text);
    } else if (exec->status != 0) {
        trouble(exec, "%s (for \"%s\") ended with exit status %lld%s%s", exec->name,
                exec->event.what, (long long)exec->status, said, exec->text);
    }
}

static void finish_run(struct event_exec *exec)
{
    if (!uv_is_closing((uv_handle_t *)&exec->timer)) {
        if (exec->timed_out) {
            (void)kill(-exec->process.pid, SIGKILL); /* whoever is left */
        }
        tell_end(exec);
        close_run(exec);
    }
}

static void on_drained(uv_timer_t *timer)
{
    finish_run(timer->data);
}

static void on_ended(uv_process_t *process, int64_t status, int signal)
{
    struct event_exec *exec = process->data;

    exec->exited = true;
    exec->status = status;
    exec->signal = signal;
    if (exec->drained) { /* the end of its stderr was seen first: either order happens */
        finish_run(exec);
        return;
    }
    if (exec->timed_out && uv_is_active((uv_handle_t *)&exec->timer)) {
        return; /* what it started was told to end too and has its grace */
    }
    /* Its last words may still be in the pipe; what it started may hold that open for ever. */
    (void)uv_timer_start(&exec->timer, on_drained, DRAIN_MS, 0);
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct event_exec *exec = handle->data;

    (void)suggested;
    *ret = uv_buf_init(exec->buffer, sizeof(exec->buffer));
}

static void on_errors(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct event_exec *exec = stream->data;

    if (n > 0) {
        size_t room = STDERR_BYTES - 1 - exec->used;
        size_t take = (size_t)n < room ? (size_t)n : room; /* the rest is read and forgotten */
        memcpy(exec->text + exec->used, buffer->base, take);
        exec->used += take;
    } else if (n < 0) {
        (void)uv_read_stop(stream);
        exec->drained = true;
        if (exec->exited) {
            finish_run(exec);
        }
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct event_exec *exec = write->data;

    (void)status; /* a command need not read it */
    if (!uv_is_closing((uv_handle_t *)&exec->in)) {
        uv_close((uv_handle_t *)&exec->in, handle_closed);
    }
}

static void on_grace_over(uv_timer_t *timer)
{
    struct event_exec *exec = timer->data;

    (void)kill(-exec->process.pid, SIGKILL);
    if (exec->exited) {
        finish_run(exec);
    }
}

static void on_time_over(uv_timer_t *timer)
{
    struct event_exec *exec = timer->data;

    exec->timed_out = true;
    (void)kill(-exec->process.pid, SIGTERM);
    (void)uv_timer_start(timer, on_grace_over, EVENT_EXEC_GRACE_MS, 0);
}

/* ---- a run ---- */
/* The daemon's environment with the event's variables. The array alone is to be freed. */
static char **make_environment(const struct event_exec *exec)
{
    size_t n = 0;

    while (environ[n] != NULL) {
        n++;
    }
    char **all = calloc(n + N_TEXTS + 1, sizeof(*all));
    size_t used = 0;
    for (size_t i = 0; all != NULL && i < N_TEXTS && exec->event.variable[i] != NULL; i++) {
        all[used++] = exec->event.variable[i];
    }
    for (size_t i = 0; all != NULL && i < n; i++) {
        if (strncmp(environ[i], "QZD_EVENT", 9) != 0) { /* the first of a name counts anyway */
            all[used++] = environ[i];
        }
    }
    return all;
}

static int spawn(struct event_exec *exec)
{
    char *arguments[CONFIG_MAX_ARGUMENTS + 1] = {NULL};
    char **environment = make_environment(exec);
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&exec->in},
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&exec->errors}};
    for (uint32_t i = 0; i < exec->command.n; i++) {
        arguments[i] = exec->command.argument[i];
    }
    const uv_process_options_t options = {.exit_cb = on_ended,
                                          .file = arguments[0],
                                          .args = arguments,
                                          .env = environment,
                                          .cwd = "/",
                                          .flags = UV_PROCESS_DETACHED,
                                          .stdio_count = 3,
                                          .stdio = stdio};
    exec->begun = environment != NULL;
    int r = exec->begun ? uv_spawn(exec->loop, &exec->process, &options) : UV_ENOMEM;
    free(environment);
    return r;
}

static void run(struct event_exec *exec)
{
    (void)uv_pipe_init(exec->loop, &exec->in, 0);
    (void)uv_pipe_init(exec->loop, &exec->errors, 0);
    (void)uv_timer_init(exec->loop, &exec->timer);
    exec->process.data = exec->in.data = exec->errors.data = exec->timer.data = exec;
    exec->write.data = exec;
    exec->running = true;
    exec->exited = exec->drained = exec->timed_out = false;
    exec->used = 0;
    exec->name = strdup(exec->command.argument[0]);
    exec->begun = false;
    int r = exec->name == NULL ? UV_ENOMEM : spawn(exec);
    exec->n_open = exec->begun ? N_HANDLES : N_HANDLES - 1;
    if (r != 0) {
        trouble(exec, "%s cannot be started: %s", exec->command.argument[0], uv_strerror(r));
        close_run(exec);
        return;
    }
    uv_buf_t json = uv_buf_init(exec->event.json, (unsigned)strlen(exec->event.json));
    (void)uv_write(&exec->write, (uv_stream_t *)&exec->in, &json, 1, on_written);
    (void)uv_read_start((uv_stream_t *)&exec->errors, give_buffer, on_errors);
    (void)uv_timer_start(&exec->timer, on_time_over, (uint64_t)exec->seconds * 1000, 0);
}

static void start_next(struct event_exec *exec)
{
    if (exec->running || exec->closing || exec->n == 0) {
        return;
    }
    if (exec->command.n == 0) { /* switched off by a reload */
        while (exec->n > 0) {
            waiting_free(&exec->queue[exec->first]);
            exec->first = (exec->first + 1) % EVENT_EXEC_QUEUE;
            exec->n--;
        }
        return;
    }
    exec->event = exec->queue[exec->first];
    exec->queue[exec->first] = (struct waiting){.json = NULL};
    exec->first = (exec->first + 1) % EVENT_EXEC_QUEUE;
    exec->n--;
    run(exec);
}

/* ---- events ---- */
static bool fill(struct event_exec *exec, const struct event_exec_event *event, struct waiting *ret)
{
    const char *const names[] = {"QZD_EVENT_SEVERITY", "QZD_EVENT_WHAT", "QZD_EVENT_DETAIL",
                                 "QZD_EVENT_AT",       "QZD_GENERATION", "QZD_STATE_DIR",
                                 "QZD_EVENTS_DROPPED"};
    char at[32];
    char generation[32];
    char dropped[32];
    const char *const values[] = {event->severity, event->what,      event->detail, at,
                                  generation,      event->state_dir, dropped};
    bool fine = true;

    (void)snprintf(at, sizeof(at), "%lld", (long long)event->at);
    (void)snprintf(generation, sizeof(generation), "%u", event->generation);
    (void)snprintf(dropped, sizeof(dropped), "%u", exec->dropped);
    *ret = (struct waiting){.json = NULL};
    (void)snprintf(ret->what, sizeof(ret->what), "%s", event->what);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t size = strlen(names[i]) + strlen(values[i]) + 2;
        ret->variable[i] = malloc(size);
        if (ret->variable[i] != NULL) {
            (void)snprintf(ret->variable[i], size, "%s=%s", names[i], values[i]);
        }
        fine = fine && ret->variable[i] != NULL;
    }
    /* A detail may quote what is no UTF-8: then JSON goes without it, the variable has it. */
    json_t *detail = json_string(event->detail);
    json_t *root = json_pack("{s:I, s:s, s:s, s:o, s:I, s:s, s:I}", "at", (json_int_t)event->at,
                             "severity", event->severity, "what", event->what, "detail",
                             detail == NULL ? json_null() : detail, "generation",
                             (json_int_t)event->generation, "state_dir", event->state_dir,
                             "dropped", (json_int_t)exec->dropped);
    char *json = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
    size_t n = json == NULL ? 0 : strlen(json);
    json_decref(root);
    ret->json = json == NULL ? NULL : realloc(json, n + 2);
    if (ret->json == NULL) {
        free(json);
        return false;
    }
    memcpy(ret->json + n, "\n", 2); /* for whoever reads a line */
    return fine;
}

void event_exec_put(struct event_exec *exec, const struct event_exec_event *event)
{
    struct waiting waiting;

    if (exec->closing || exec->command.n == 0) {
        return;
    }
    if (exec->n == EVENT_EXEC_QUEUE) {
        exec->dropped++;
        if (exec->dropped == 1) {
            trouble(exec, "%d events wait for a command already; what comes now is not told to it",
                    EVENT_EXEC_QUEUE);
        }
        return;
    }
    if (!fill(exec, event, &waiting)) {
        waiting_free(&waiting);
        exec->dropped++;
        return;
    }
    exec->dropped = 0; /* this one says so */
    exec->queue[(exec->first + exec->n) % EVENT_EXEC_QUEUE] = waiting;
    exec->n++;
    start_next(exec);
}

void event_exec_close(struct event_exec *exec)
{
    if (exec == NULL) {
        return;
    }
    exec->closing = true;
    if (exec->n > 0) {
        trouble(exec, "%u events are not told to a command any more: the daemon ends", exec->n);
    }
    if (!exec->running) {
        event_exec_free(exec);
    } else if (!exec->exited && !exec->timed_out) {
        uint64_t left = uv_timer_get_due_in(&exec->timer);
        (void)uv_timer_start(&exec->timer, on_time_over,
                             left < EVENT_EXEC_LAST_MS ? left : EVENT_EXEC_LAST_MS, 0);
    }
}
