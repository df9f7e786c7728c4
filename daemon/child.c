#include "daemon/child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Handles are embedded and counted; the struct is freed when the last of them has closed. `ended` is
 * told when the three ends have come together: exit, end of stdout, end of stderr. */
enum { LINE_BYTES = 1024 };

struct child {
    uv_loop_t *loop;
    struct child_callbacks callbacks;
    uv_process_t process;
    uv_pipe_t in, out, err;
    uv_timer_t grace;
    uint32_t n_open; /* handles */
    bool exited, out_ended, err_ended, stopping, broken;
    bool reading;
    int64_t status;
    int signal;
    struct wire_decoder decoder;
    struct error why; /* of a broken stream */
    char line[LINE_BYTES];
    size_t line_used;
    char buffer[65536];
};

static void handle_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;

    if (--child->n_open == 0) {
        wire_decoder_finish(&child->decoder);
        free(child);
    }
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, handle_closed);
    }
}

static bool is_cut_off(const struct child *child)
{
    return child->decoder.end > child->decoder.begin;
}

static void describe(const struct child *child, char *ret, size_t size)
{
    const char *where = is_cut_off(child) ? " in the middle of a message" : "";

    if (child->broken) {
        (void)snprintf(ret, size, "%s", child->why.text);
    } else if (child->signal != 0) {
        (void)snprintf(ret, size, "killed by signal %d (%s)%s", child->signal,
                       strsignal(child->signal), where);
    } else {
        (void)snprintf(ret, size, "exit status %lld%s", (long long)child->status, where);
    }
}

static void end_if_all_ended(struct child *child)
{
    char how[640];

    if (!child->exited || !child->out_ended || !child->err_ended) {
        return;
    }
    describe(child, how, sizeof(how));
    bool clean = !child->broken && child->signal == 0 && child->status == 0 && !is_cut_off(child);
    child->callbacks.ended(clean, how, child->callbacks.context);
    close_handle((uv_handle_t *)&child->process);
    close_handle((uv_handle_t *)&child->in);
    close_handle((uv_handle_t *)&child->out);
    close_handle((uv_handle_t *)&child->err);
    close_handle((uv_handle_t *)&child->grace);
}

static void exited(uv_process_t *process, int64_t status, int term_signal)
{
    struct child *child = process->data;

    child->exited = true;
    child->status = status;
    child->signal = term_signal;
    child_read(child,
               true); /* what it wrote before it ended is there already: read it to the end */
    end_if_all_ended(child);
}

static void break_off(struct child *child)
{
    child->broken = true;
    child->out_ended = true;
    (void)uv_read_stop((uv_stream_t *)&child->out);
    child_kill(child);
}

/* Hand out the whole frames that are there. */
static void take_frames(struct child *child)
{
    const uint8_t *frame = NULL;
    size_t size = 0;
    int r;

    while ((r = wire_decoder_next(&child->decoder, &frame, &size, &child->why)) > 0) {
        Qzd__FromChild *message = qzd__from_child__unpack(NULL, size, frame);
        if (message == NULL || message->what_case == QZD__FROM_CHILD__WHAT__NOT_SET) {
            qzd__from_child__free_unpacked(message, NULL);
            r = error_set(&child->why, ERROR_INVALID, "it sent a message of %zu bytes that is none",
                          size);
            break;
        }
        child->callbacks.message(message, child->callbacks.context);
    }
    if (r < 0) {
        break_off(child);
    }
}

static void out_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct child *child = stream->data;

    if (n > 0) {
        if (wire_decoder_feed(&child->decoder, (const uint8_t *)buffer->base, (size_t)n,
                              &child->why) < 0) {
            break_off(child);
        } else {
            take_frames(child);
        }
    } else if (n < 0) {
        child->out_ended = true;
        (void)uv_read_stop(stream);
    }
    if (child->out_ended) {
        end_if_all_ended(child);
    }
}

static void end_line(struct child *child)
{
    if (child->line_used > 0) {
        child->line[child->line_used] = '\0';
        child->line_used = 0;
        child->callbacks.line(child->line, child->callbacks.context);
    }
}

static void err_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct child *child = stream->data;

    for (ssize_t i = 0; i < n; i++) {
        if (buffer->base[i] == '\n' || child->line_used == LINE_BYTES - 1) {
            end_line(child);
        }
        if (buffer->base[i] != '\n') {
            child->line[child->line_used++] = buffer->base[i];
        }
    }
    if (n < 0) {
        end_line(child);
        child->err_ended = true;
        (void)uv_read_stop(stream);
        end_if_all_ended(child);
    }
}

/* Both pipes are read in the loop's thread, one callback at a time, so one buffer serves both. */
static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct child *child = handle->data;

    (void)suggested;
    *ret = uv_buf_init(child->buffer, sizeof(child->buffer));
}

void child_read(struct child *child, bool reading)
{
    if (reading == child->reading || child->out_ended) {
        return;
    }
    child->reading = reading;
    if (reading) {
        (void)uv_read_start((uv_stream_t *)&child->out, lend_buffer, out_read);
    } else {
        (void)uv_read_stop((uv_stream_t *)&child->out);
    }
}

struct write {
    uv_write_t request;
    uint8_t *bytes;
};

static void written(uv_write_t *request, int status)
{
    struct write *write = (struct write *)request;

    (void)status; /* a child that cannot be written to has ended or will be seen to end */
    free(write->bytes);
    free(write);
}

void child_send(struct child *child, const Qzd__ToChild *message)
{
    size_t size = 0;
    struct write *write = calloc(1, sizeof(*write));

    if (child->exited || uv_is_closing((uv_handle_t *)&child->in)) {
        free(write);
        return;
    }
    if (write == NULL || wire_encode(&message->base, &write->bytes, &size, &child->why) < 0) {
        free(write);
        child->broken = true; /* what it was to be told is lost: it must begin again */
        child_kill(child);
        return;
    }
    uv_buf_t buffer = uv_buf_init((char *)write->bytes, (unsigned)size);
    if (uv_write(&write->request, (uv_stream_t *)&child->in, &buffer, 1, written) != 0) {
        written(&write->request, 0);
        return;
    }
    if (uv_stream_get_write_queue_size((uv_stream_t *)&child->in) > CHILD_MAX_BACKLOG) {
        child->broken = true;
        (void)error_set(&child->why, ERROR_TIMEOUT, "it does not read its commands");
        child_kill(child);
    }
}

static void grace_over(uv_timer_t *timer)
{
    child_kill(timer->data);
}

void child_stop(struct child *child, uint32_t grace_ms)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__Stop stop = QZD__STOP__INIT;

    if (child->stopping || child->exited) {
        return;
    }
    child->stopping = true;
    message.what_case = QZD__TO_CHILD__WHAT_STOP;
    message.stop = &stop;
    child_send(child, &message);
    (void)uv_process_kill(&child->process, SIGTERM);
    (void)uv_timer_start(&child->grace, grace_over, grace_ms, 0);
}

void child_kill(struct child *child)
{
    if (!child->exited) {
        (void)uv_process_kill(&child->process, SIGKILL);
    }
}

int child_pid(const struct child *child)
{
    return child->process.pid;
}

static void open_handle(struct child *child, uv_handle_t *handle)
{
    handle->data = child;
    child->n_open++;
}

/* The environment of a child: ours, and who its parent is (daemon/process/process.h). */
static char **child_environment(char *parent_text, size_t size)
{
    size_t n = 0;

    while (environ[n] != NULL) {
        n++;
    }
    char **copy = calloc(n + 2, sizeof(*copy));
    if (copy != NULL) {
        memcpy(copy, environ, n * sizeof(*copy));
        (void)snprintf(parent_text, size, "QZD_PARENT=%d", (int)getpid());
        copy[n] = parent_text;
    }
    return copy;
}

int child_spawn(uv_loop_t *loop, const char *const *args, const struct child_callbacks *callbacks,
                struct child **ret, struct error *err)
{
    char parent_text[48];
    struct child *child = calloc(1, sizeof(*child));
    char **environment = child_environment(parent_text, sizeof(parent_text));

    if (child == NULL || environment == NULL) {
        free(child);
        free(environment);
        return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", args[0]);
    }
    child->loop = loop;
    child->callbacks = *callbacks;
    (void)uv_pipe_init(loop, &child->in, 0);
    (void)uv_pipe_init(loop, &child->out, 0);
    (void)uv_pipe_init(loop, &child->err, 0);
    (void)uv_timer_init(loop, &child->grace);
    open_handle(child, (uv_handle_t *)&child->in);
    open_handle(child, (uv_handle_t *)&child->out);
    open_handle(child, (uv_handle_t *)&child->err);
    open_handle(child, (uv_handle_t *)&child->grace);
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&child->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&child->out},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&child->err},
    };
    uv_process_options_t options = {
        .exit_cb = exited,
        .file = "/proc/self/exe",
        .args = (char **)args,
        .env = environment,
        .stdio = stdio,
        .stdio_count = 3,
    };
    int r = uv_spawn(loop, &child->process, &options);
    open_handle(child, (uv_handle_t *)&child->process); /* also a failed spawn leaves a handle */
    free(environment);
    if (r != 0) {
        close_handle((uv_handle_t *)&child->process);
        close_handle((uv_handle_t *)&child->in);
        close_handle((uv_handle_t *)&child->out);
        close_handle((uv_handle_t *)&child->err);
        close_handle((uv_handle_t *)&child->grace);
        return error_set(err, ERROR_IO, "%s cannot be started: %s", args[0], uv_strerror(r));
    }
    child_read(child, true);
    (void)uv_read_start((uv_stream_t *)&child->err, lend_buffer, err_read);
    *ret = child;
    return 0;
}
