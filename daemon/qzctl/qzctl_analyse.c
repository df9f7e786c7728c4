/* analyse: one position for a person, or many, a line each, for a program. */
#include "daemon/qzctl/analysis.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LINE = 64 << 10 };

/* ---- one ---- */

static int analyse_one(struct qzctl *qzctl, const struct qzctl_net *net,
                       const struct search_options *options, struct analyst *analyst,
                       const char *moves)
{
    struct analysis analysis;
    struct error err = {""};
    if (analysis_init(&analysis, net->game, moves) < 0) {
        return qzctl_fail("out of memory");
    }
    int r = QZCTL_OK;
    if (analysis.refused[0] != '\0') {
        r = qzctl_fail("%s", analysis.refused);
    } else if (analyst_run(analyst, &analysis, 1, &err) < 0) {
        r = qzctl_fail("%s", err.text);
    } else if (qzctl->json) {
        r = qzctl_put_object(analysis_json(&analysis, net, options));
    } else {
        analysis_print(&analysis, net, options);
        r = qzctl_flush();
    }
    analysis_finish(&analysis);
    return r;
}

/* ---- many ---- */

/* Lines as they come: whole ones that are there already are taken together, so that a file is searched many
 * positions side by side and a program that sends one line and waits has its answer. */
struct lines {
    int fd;
    size_t size;
    bool ended;
    char buffer[MAX_LINE];
};

struct batch {
    const struct qzctl_net *net;
    const struct search_options *options;
    struct analyst *analyst;
    struct lines lines;
    uint32_t n;
    struct analysis analyses[QZCTL_SIDE_BY_SIDE];
    bool some_refused;
};

/* Take whole lines out of the buffer, as many as there is room for. */
static int take_lines(struct batch *batch)
{
    struct lines *lines = &batch->lines;
    char *rest = lines->buffer;
    size_t left = lines->size;
    int r = 0;
    while (batch->n < QZCTL_SIDE_BY_SIDE && left > 0 && r == 0) {
        char *end = memchr(rest, '\n', left);
        if (end == NULL && (!lines->ended || left == sizeof lines->buffer)) {
            break;
        }
        size_t length = end == NULL ? left : (size_t)(end - rest);
        char *text = strndup(rest, length);
        if (text != NULL) {
            text[strcspn(text, "\r")] = '\0';
        }
        r = text == NULL ? ERROR_NO_MEMORY
                         : analysis_init(&batch->analyses[batch->n], batch->net->game, text);
        free(text);
        batch->n += r == 0;
        length += end != NULL;
        rest += length;
        left -= length;
    }
    memmove(lines->buffer, rest, left);
    lines->size = left;
    return r;
}

/* Read once. Returns 0 or an exit code, having said why. */
static int read_more(struct lines *lines)
{
    if (lines->size == sizeof lines->buffer) {
        return qzctl_fail("a line is longer than %d bytes", MAX_LINE);
    }
    ssize_t n;
    do {
        n = read(lines->fd, lines->buffer + lines->size, sizeof lines->buffer - lines->size);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return qzctl_fail("reading positions: %s", strerror(errno));
    }
    lines->ended = n == 0;
    lines->size += (size_t)n;
    return 0;
}

static int answer_batch(struct batch *batch)
{
    struct error err = {""};
    int r = QZCTL_OK;
    if (analyst_run(batch->analyst, batch->analyses, batch->n, &err) < 0) {
        r = qzctl_fail("%s", err.text);
    }
    for (uint32_t i = 0; i < batch->n; i++) {
        batch->some_refused |= batch->analyses[i].refused[0] != '\0';
        if (r == QZCTL_OK) {
            r = qzctl_put_object(analysis_json(&batch->analyses[i], batch->net, batch->options));
        }
        analysis_finish(&batch->analyses[i]);
    }
    batch->n = 0;
    return r;
}

static int analyse_lines(struct batch *batch)
{
    int r = QZCTL_OK;
    while (r == QZCTL_OK) {
        if (take_lines(batch) < 0) {
            r = qzctl_fail("out of memory");
        } else if (batch->n > 0) {
            r = answer_batch(batch);
        } else if (batch->lines.ended) {
            break;
        } else {
            r = read_more(&batch->lines);
        }
    }
    for (uint32_t i = 0; i < batch->n; i++) {
        analysis_finish(&batch->analyses[i]);
    }
    return r == QZCTL_OK && batch->some_refused ? QZCTL_FAILED : r;
}

static int analyse_batch(const struct qzctl_net *net, const struct search_options *options,
                         struct analyst *analyst, const char *path)
{
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) {
        return qzctl_fail("out of memory");
    }
    bool is_stdin = strcmp(path, "-") == 0;
    batch->net = net;
    batch->options = options;
    batch->analyst = analyst;
    batch->lines.fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int r =
        batch->lines.fd < 0 ? qzctl_fail("%s: %s", path, strerror(errno)) : analyse_lines(batch);
    if (!is_stdin && batch->lines.fd >= 0) {
        close(batch->lines.fd);
    }
    free(batch);
    return r;
}

static int run_analyse(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                       char **argv)
{
    static const struct option own[] = {{"batch", required_argument, NULL, 0}, {0}};
    const char *batch = NULL;
    struct search_options options;
    struct qzctl_net net;
    struct analyst *analyst = NULL;
    struct error err = {""};
    int first = 0;
    int r = search_options_parse(qzctl, command, argc, argv, own, &batch, &options, &first);
    if (r >= 0) {
        return r;
    }
    if (argc - first != (batch == NULL ? 1 : 0)) {
        return qzctl_usage(command,
                           "one position is needed (\"\" = the start), or --batch FILE alone");
    }
    r = qzctl_net_load(qzctl, options.net, &net);
    if (r != QZCTL_OK) {
        return r;
    }
    if (analyst_create(&net, &options, &analyst, &err) < 0) {
        r = qzctl_fail("%s", err.text);
    } else if (batch != NULL) {
        r = analyse_batch(&net, &options, analyst, batch);
    } else {
        r = analyse_one(qzctl, &net, &options, analyst, argv[first]);
    }
    analyst_destroy(analyst);
    qzctl_net_finish(&net);
    return r;
}

const struct qzctl_command qzctl_analyse = {
    "analyse",
    "MOVES | --batch FILE",
    "what net and search say of a position",
    "  --nodes N            visits of the search (default 800); 0 = the net "
    "alone\n" SEARCH_OPTIONS_HELP "  --batch FILE         one position a line (- = standard "
    "input), one JSON object a line back;\n"
    "                       a line that is no position gives {\"position\", \"error\"} and exit "
    "code 1\n"
    "\n"
    "MOVES are those from the start of the net's game, in its notation (Connect Four: columns 1 to "
    "7);\n"
    "\"\" is the start. Values are of the side to move: q and d after search, v and v_d of the "
    "net\n"
    "alone. No daemon is needed or asked; there is no noise.\n"
    "\n"
    "Examples:\n"
    "  qzctl analyse 4453\n"
    "  qzctl analyse --net 3 --nodes 10000 --json 4453 | jq .line\n"
    "  cut -d' ' -f1 etc/suites/connect4.mask | qzctl analyse --nodes 0 --batch -\n",
    run_analyse,
};
