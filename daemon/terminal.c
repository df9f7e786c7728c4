#include "daemon/terminal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4096, BAR_CELLS = 24 };

struct terminal {
    int fd;
    bool color;
    uint32_t lines; /* of the block that stands there now */
    char block[BLOCK_BYTES];
};

/* A text under construction; what does not fit is cut. `columns` counts what is seen, not escapes. */
struct text {
    char *bytes;
    size_t used, size;
    uint32_t columns, width;
    bool color;
};

static void append_raw(struct text *text, const char *bytes, size_t n)
{
    if (text->used + n < text->size) {
        memcpy(text->bytes + text->used, bytes, n);
        text->used += n;
        text->bytes[text->used] = '\0';
    }
}

static void append(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void append(struct text *text, const char *format, ...)
{
    char piece[512];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(piece, sizeof(piece), format, args);
    va_end(args);
    if (n < 0) {
        return;
    }
    size_t length = (size_t)n < sizeof(piece) ? (size_t)n : sizeof(piece) - 1;
    if (text->columns + length > text->width) {
        length = text->width > text->columns ? text->width - text->columns : 0;
    }
    append_raw(text, piece, length);
    text->columns += (uint32_t)length;
}

static void style(struct text *text, const char *escape)
{
    if (text->color) {
        append_raw(text, escape, strlen(escape));
    }
}

static void end_line(struct text *text)
{
    append_raw(text, "\n", 1);
    text->columns = 0;
}

static void append_label(struct text *text, const char *label)
{
    style(text, "\033[2m");
    append(text, "%s ", label);
    style(text, "\033[0m");
}

/* 1234567 as "1,234,567". */
static void append_count(struct text *text, int64_t count)
{
    char digits[32];
    char grouped[48];
    int n = snprintf(digits, sizeof(digits), "%lld", (long long)(count < 0 ? 0 : count));
    size_t used = 0;

    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0) {
            grouped[used++] = ',';
        }
        grouped[used++] = digits[i];
    }
    grouped[used] = '\0';
    append(text, "%s", grouped);
}

static void append_number(struct text *text, const char *label, double value, int decimals)
{
    append_label(text, label);
    if (isnan(value)) {
        append(text, "-   ");
    } else {
        append(text, "%.*f   ", decimals, value);
    }
}

static void append_share(struct text *text, const char *label, double share)
{
    append_label(text, label);
    if (isnan(share)) {
        append(text, "-   ");
    } else {
        append(text, "%.1f %%   ", 100 * share);
    }
}

static void append_duration(struct text *text, double seconds)
{
    if (isnan(seconds) || seconds < 0 || seconds > 1e7) {
        append(text, "-");
    } else if (seconds < 90) {
        append(text, "%.0f s", seconds);
    } else if (seconds < 5400) {
        append(text, "%.0f min", seconds / 60);
    } else {
        append(text, "%.1f h", seconds / 3600);
    }
}

static void append_bar(struct text *text, double share)
{
    char bar[BAR_CELLS + 1];
    int full = share <= 0 || isnan(share) ? 0 : (int)(share * BAR_CELLS + 0.5);

    for (int i = 0; i < BAR_CELLS; i++) {
        bar[i] = i < full ? '#' : '.';
    }
    bar[BAR_CELLS] = '\0';
    append(text, "[%s] ", bar);
}

static void next_net_line(struct text *text, const struct terminal_view *view)
{
    if (view->training) {
        append_label(text, "training  ");
        append_bar(text, view->steps > 0 ? (double)view->step / (double)view->steps : 0);
        append(text, "step ");
        append_count(text, view->step);
        append(text, " of ");
        append_count(text, view->steps);
        append(text, ", next net in ");
        append_duration(text, view->next_net_s);
        return;
    }
    append_label(text, "next net  ");
    append_bar(text, view->needed_positions > 0
                         ? (double)view->new_positions / (double)view->needed_positions
                         : 0);
    append_count(text, view->new_positions);
    append(text, " of ");
    append_count(text, view->needed_positions);
    append(text, " positions, training in ");
    append_duration(text, view->next_net_s);
}

uint32_t terminal_render(const struct terminal_view *view, uint32_t width, bool color, char *ret,
                         size_t size)
{
    struct text text = {.bytes = ret, .size = size, .width = width, .color = color};
    uint32_t lines = 3;

    ret[0] = '\0';
    append_label(&text, "generation");
    style(&text, "\033[1m");
    append(&text, "%u   ", view->generation);
    style(&text, "\033[0m");
    append_count(&text, view->games);
    append(&text, " games   ");
    append_count(&text, view->positions);
    append(&text, " positions   %.1f positions/s   %u of %u workers", view->positions_per_s,
           view->workers_active, view->workers);
    end_line(&text);

    append_label(&text, "losses    ");
    append_number(&text, "policy", view->policy_loss, 4);
    append_number(&text, "gap", view->policy_gap, 4);
    append_number(&text, "value", view->value_loss, 4);
    append_label(&text, "| mistakes");
    append_share(&text, "net", view->mistakes_net);
    append_share(&text, "search", view->mistakes_search);
    append_share(&text, "| value right", view->value_accuracy);
    end_line(&text);

    next_net_line(&text, view);
    end_line(&text);
    if (view->notice != NULL) {
        style(&text, "\033[33m");
        append(&text, "%s", view->notice);
        style(&text, "\033[0m");
        end_line(&text);
        lines++;
    }
    return lines;
}

struct terminal *terminal_create(int fd)
{
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");

    if (!isatty(fd) || term == NULL || strcmp(term, "dumb") == 0) {
        return NULL;
    }
    struct terminal *terminal = calloc(1, sizeof(*terminal));
    if (terminal != NULL) {
        terminal->fd = fd;
        terminal->color = no_color == NULL || no_color[0] == '\0';
    }
    return terminal;
}

static void write_all(int fd, const char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, bytes + done, size - done);
        if (n <= 0) {
            return; /* a terminal that has gone is no reason to stop learning */
        }
        done += (size_t)n;
    }
}

static uint32_t terminal_width(int fd)
{
    struct winsize window;

    return ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
}

/* Move to the first line of the block and clear down to the end of the screen. */
static size_t clear_text(const struct terminal *terminal, char *ret, size_t size)
{
    if (terminal->lines == 0) {
        return 0;
    }
    int n = snprintf(ret, size, "\033[%uA\r\033[J", terminal->lines);
    return n < 0 ? 0 : (size_t)n;
}

void terminal_draw(struct terminal *terminal, const struct terminal_view *view)
{
    char out[BLOCK_BYTES + 32];
    size_t used = clear_text(terminal, out, sizeof(out));
    uint32_t width = terminal_width(terminal->fd);

    /* The last column stays free: a full line would wrap, and the block be a line longer. */
    terminal->lines = terminal_render(view, width > 1 ? width - 1 : 1, terminal->color,
                                      terminal->block, sizeof(terminal->block));
    size_t size = strlen(terminal->block);
    memcpy(out + used, terminal->block, size);
    write_all(terminal->fd, out, used + size);
}

void terminal_print(struct terminal *terminal, const char *line)
{
    char out[32];

    write_all(terminal->fd, out, clear_text(terminal, out, sizeof(out)));
    write_all(terminal->fd, line, strlen(line));
    write_all(terminal->fd, "\n", 1);
    write_all(terminal->fd, terminal->block, strlen(terminal->block));
}

void terminal_destroy(struct terminal *terminal)
{
    free(terminal);
}
