/* HTTP requests over the real socket: the input is what a client writes before it closes its side. Whatever it is, the
 * server answers or closes within its time, an answer is HTTP with JSON, and the next client is served. */
#include "tests/fuzz/fuzz.h"

#include "daemon/control/http.h"
#include "storage/store.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_ANSWER = 1 << 20, ANSWER_MS = 5000 };

static uv_loop_t loop;
static struct http *http;
static struct sockaddr_un address;
static char answer[MAX_ANSWER];

static char *status(void *context)
{
    (void)context;
    return strdup("{\"generation\": 7}");
}

static int command(const char *name, const char *by, char **ret_json, void *context)
{
    (void)context;
    FUZZ_CHECK(strlen(name) < 16 && strlen(by) < 64);
    *ret_json = strdup("{\"message\": \"so be it\"}");
    return 200;
}

static void closed(void *context)
{
    *(bool *)context = true;
}

static void close_server(void)
{
    bool done = false;

    http_close(http, closed, &done);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    FUZZ_CHECK(done && uv_loop_close(&loop) == 0);
    uv_library_shutdown();
}

static void open_server(void)
{
    static char db[128];
    const struct http_callbacks callbacks = {status, command, NULL, NULL};
    struct error err = {.text = ""};
    struct store *store = NULL;

    (void)snprintf(db, sizeof(db), "%s/qzd.db", fuzz_folder());
    FUZZ_CHECK(store_open(db, STORE_CREATE, &store, &err) == 0);
    FUZZ_CHECK(store_put_event(store, 1, "info", "start", "x", &err) == 0 &&
               store_commit(store, &err) == 0);
    store_close(store);
    address.sun_family = AF_UNIX;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/qzd.sock", fuzz_folder());
    FUZZ_CHECK(uv_loop_init(&loop) == 0);
    FUZZ_CHECK(http_open(&loop, address.sun_path, db, &callbacks, &http, &err) == 0);
    FUZZ_CHECK(atexit(close_server) == 0);
}

/* Write it all, close that side, read to the end; the loop runs between the steps. */
static size_t talk(const uint8_t *data, size_t size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    uint64_t began = uv_hrtime();
    size_t sent = 0;
    size_t got = 0;
    bool ended = false;

    FUZZ_CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    while (!ended) {
        ssize_t n = sent < size ? send(fd, data + sent, size - sent, MSG_NOSIGNAL) : 0;
        sent += n > 0 ? (size_t)n : 0;
        if (n < 0 && errno != EAGAIN) {
            sent = size; /* it does not want to hear more */
        }
        if (sent == size) {
            (void)shutdown(fd, SHUT_WR);
        }
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        n = recv(fd, answer + got, sizeof(answer) - 1 - got, 0);
        got += n > 0 ? (size_t)n : 0;
        ended = n == 0 || (n < 0 && errno != EAGAIN) || got == sizeof(answer) - 1;
        FUZZ_CHECK(uv_hrtime() - began < ANSWER_MS * 1000000ULL);
        if (n < 0 && !ended) {
            struct pollfd readable = {.fd = fd, .events = POLLIN};
            (void)poll(&readable, 1, 1); /* a query runs in its thread */
        }
    }
    (void)close(fd);
    answer[got] = '\0';
    return got;
}

/* The first answer in what came back. */
static void check_answer(size_t size)
{
    static const char version[] = "HTTP/1.";
    json_error_t why;
    const char *body = strstr(answer, "\r\n\r\n");

    if (size == 0) {
        return; /* it just closed */
    }
    FUZZ_CHECK(strncmp(answer, version, sizeof(version) - 1) == 0 && body != NULL);
    if (strstr(answer, "application/json") != NULL && body[4] != '\0' && body[4] != 'H') {
        json_t *json = json_loads(body + 4, JSON_DISABLE_EOF_CHECK, &why);
        FUZZ_CHECK(json != NULL);
        json_decref(json);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char good[] = "GET /status HTTP/1.0\r\n\r\n";

    if (http == NULL) {
        open_server();
    }
    check_answer(talk(data, size));
    (void)talk((const uint8_t *)good, sizeof(good) - 1);
    FUZZ_CHECK(strstr(answer, "\"generation\": 7") != NULL);
    return 0;
}
