#include "daemon/control/client.h"
#include "daemon/control/http.h"

#include "tests/unit/http_server.h"
#include "tests/unit/run_suite.h"
#include "tests/unit/scratch_store.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define ENDLESS \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

static struct fixture fixture;
static struct http_server server;

static void make_store(void)
{
    fixture_open(&fixture);
    scratch_fill(&fixture, NULL);
    store_close(fixture.store); /* tests run in forked processes */
    fixture.store = NULL;
}

static void remove_store(void)
{
    fixture_close(&fixture);
}

static void start(void)
{
    server_start(&server, fixture.folder, fixture.path);
}

static void stop(void)
{
    server_stop(&server);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- raw clients ---- */

static int connected(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", server.socket);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    size_t n = strlen(text);
    ck_assert_int_eq(send(fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* All that comes until the end of the connection; at most 10 s. */
static char *heard(int fd)
{
    char *text = calloc(1, 1 << 20);
    size_t n = 0;
    ck_assert_ptr_nonnull(text);
    for (;;) {
        struct pollfd one = {fd, POLLIN, 0};
        ck_assert_msg(poll(&one, 1, 10000) == 1, "no answer within 10 s; so far: %s", text);
        ssize_t got = recv(fd, text + n, (1 << 20) - 1 - n, 0);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    close(fd);
    return text;
}

static char *raw(const char *request)
{
    int fd = connected();
    say(fd, request);
    return heard(fd);
}

static void ck_starts(char *answer, const char *beginning)
{
    ck_assert_msg(strncmp(answer, beginning, strlen(beginning)) == 0, "%s instead of %s", answer,
                  beginning);
    free(answer);
}

static void post_sql(int fd, const char *sql, unsigned time_limit_ms)
{
    char body[512];
    char request[1024];
    int n =
        snprintf(body, sizeof body, "{\"sql\": \"%s\", \"time_limit_ms\": %u}", sql, time_limit_ms);
    snprintf(request, sizeof request,
             "POST /sql HTTP/1.1\r\nHost: q\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
             n, body);
    say(fd, request);
}

/* By way of client.c. */
static unsigned ask(const char *method, const char *path, const char *body, json_t **ret)
{
    struct client *client = NULL;
    struct error err = {""};
    unsigned status = 0;
    char *text = NULL;
    ck_assert_int_eq(client_create(server.socket, &client, &err), 0);
    int r = client_request(client, method, path, body, 20000, &status, &text, &err);
    ck_assert_msg(r == 0, "%s %s: %s", method, path, err.text);
    json_t *answer = json_loads(text, 0, NULL);
    ck_assert_msg(json_is_object(answer), "%s %s: %s", method, path, text);
    free(text);
    client_destroy(client);
    if (ret != NULL) {
        *ret = answer;
    } else {
        json_decref(answer);
    }
    return status;
}

static void ck_alive(void)
{
    ck_assert_uint_eq(ask("GET", "/status", NULL, NULL), 200);
}

/* ---- tests ---- */

START_TEST(every_path_answers_in_json)
{
    json_t *answer = NULL;
    ck_assert_uint_eq(ask("GET", "/status", NULL, &answer), 200);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "generation")), 7);
    json_decref(answer);
    ck_assert_uint_eq(ask("GET", "/progress", NULL, &answer), 200);
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "rows")), 2);
    json_decref(answer);
    ck_assert_uint_eq(ask("GET", "/events?n=1", NULL, &answer), 200);
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "rows")), 1);
    json_decref(answer);
    ck_assert_uint_eq(ask("GET", "/check", NULL, &answer), 200);
    ck_assert_str_eq(json_string_value(json_object_get(answer, "tallies")), "ok");
    json_decref(answer);
    ck_assert_uint_eq(ask("POST", "/sql", "{\"sql\": \"SELECT 9007199254740993\"}", &answer), 200);
    ck_assert_int_eq(
        json_integer_value(json_array_get(json_array_get(json_object_get(answer, "rows"), 0), 0)),
        9007199254740993);
    json_decref(answer);
}
END_TEST

START_TEST(commands_are_done_for_the_uid_of_the_peer)
{
    char by[64];
    ck_assert_uint_eq(ask("POST", "/pause", NULL, NULL), 200);
    ck_assert_str_eq(server.command, "pause");
    snprintf(by, sizeof by, "qzctl uid %u", getuid());
    ck_assert_str_eq(server.by, by);
    ck_starts(raw("POST /resume HTTP/1.0\r\n\r\n"), "HTTP/1.1 200");
    ck_assert_str_eq(server.command, "resume");
    snprintf(by, sizeof by, "http uid %u", getuid());
    ck_assert_str_eq(server.by, by);
    ck_assert_uint_eq(ask("POST", "/reload", NULL, NULL), 422);
    ck_assert_uint_eq(ask("POST", "/train", NULL, NULL), 409);
}
END_TEST

START_TEST(wrong_requests_get_a_sentence_and_a_status)
{
    json_t *answer = NULL;
    ck_assert_uint_eq(ask("GET", "/nowhere", NULL, &answer), 404);
    ck_assert_ptr_nonnull(
        strstr(json_string_value(json_object_get(answer, "error")), "no such path"));
    json_decref(answer);
    ck_assert_uint_eq(ask("GET", "/pause", NULL, NULL), 405); /* looking must not change anything */
    ck_assert_str_eq(server.command, "");
    ck_assert_uint_eq(ask("POST", "/status", NULL, NULL), 405);
    ck_assert_uint_eq(ask("GET", "/events?n=0", NULL, NULL), 400);
    ck_assert_uint_eq(ask("GET", "/events?n=-1", NULL, NULL), 400);
    ck_assert_uint_eq(ask("GET", "/events?n=3x", NULL, NULL), 400);
    static const char *const bodies[] = {
        "",
        "[]",
        "{\"sql\": 3}",
        "{\"sql\": \"SELECT 1\", \"more\": 1}",
        "{\"sql\": \"SELECT 1\"",
        "{\"sql\": \"SELECT 1\", \"max_rows\": 0}",
        "{\"sql\": \"SELECT 1\", \"max_rows\": 1e3}",
        "{\"sql\": \"SELECT 1\", \"time_limit_ms\": 10001}",
        "{\"sql\": \"DELETE FROM games\"}",
        "{\"sql\": \"SELECT 1\\u0000\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        ck_assert_msg(ask("POST", "/sql", bodies[i], NULL) == 400, "%s", bodies[i]);
    }
    ck_assert_uint_eq(
        ask("POST", "/sql", "{\"sql\": \"" ENDLESS "\", \"time_limit_ms\": 50}", NULL), 503);
}
END_TEST

START_TEST(head_has_no_body_and_405_names_the_method)
{
    char *answer = raw("HEAD /status HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 200"));
    ck_assert_ptr_nonnull(strstr(answer, "Content-Length: "));
    ck_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    free(answer);
    answer = raw("HEAD /progress HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n");
    ck_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    free(answer);
    answer = raw("DELETE /sql HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 405"));
    ck_assert_ptr_nonnull(strstr(answer, "Allow: POST"));
    free(answer);
}
END_TEST

START_TEST(long_bodies_are_refused)
{
    ck_starts(raw("POST /sql HTTP/1.1\r\nHost: q\r\nContent-Length: 65537\r\n\r\n"),
              "HTTP/1.1 413");
    ck_starts(raw("POST /nowhere HTTP/1.1\r\nHost: q\r\nContent-Length: 99999999999\r\n\r\n"),
              "HTTP/1.1 413");
    /* As long as is allowed, and one byte more that is announced by nobody. */
    for (int more = 0; more < 2; more++) {
        size_t n = (64 << 10) + (size_t)more;
        char *body = malloc(n + 1);
        ck_assert_ptr_nonnull(body);
        memset(body, ' ', n);
        memcpy(body, "{\"sql\": \"SELECT 1\"}", 19);
        body[n] = '\0';
        int fd = connected();
        char head[128];
        snprintf(head, sizeof head,
                 "POST /sql HTTP/1.1\r\nHost: q\r\nConnection: close\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n%zx\r\n",
                 n);
        say(fd, head);
        say(fd, body);
        say(fd, "\r\n0\r\n\r\n");
        ck_starts(heard(fd), more == 0 ? "HTTP/1.1 200" : "HTTP/1.1 413");
        free(body);
    }
    ck_alive();
}
END_TEST

START_TEST(garbage_and_halves_do_no_harm)
{
    uint64_t random = 11;
    static const char whole[] = "POST /sql HTTP/1.1\r\nHost: q\r\nContent-Length: 19\r\n\r\n"
                                "{\"sql\": \"SELECT 1\"}";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        int fd = connected();
        ck_assert_int_eq(send(fd, whole, n, MSG_NOSIGNAL), (ssize_t)n);
        close(fd);
    }
    for (int i = 0; i < 50; i++) {
        char bytes[512];
        int fd = connected();
        for (size_t k = 0; k < sizeof bytes; k++) {
            bytes[k] = (char)draw(&random);
        }
        (void)send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);
        close(fd);
    }
    ck_alive();
}
END_TEST

START_TEST(many_at_once_are_all_answered)
{
    enum { N = 40 };
    int fds[N];
    for (int i = 0; i < N; i++) {
        fds[i] = connected();
        if (i % 2 == 0) {
            post_sql(fds[i], "SELECT sum(a.ply * b.ply) FROM positions a, positions b", 10000);
        } else {
            say(fds[i], "GET /status HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n");
        }
    }
    for (int i = 0; i < N; i++) {
        ck_starts(heard(fds[i]), "HTTP/1.1 200");
    }
}
END_TEST

START_TEST(slow_question_holds_nobody_up)
{
    int slow[3];
    int64_t begin = now_ms();
    for (int i = 0; i < 3; i++) { /* more than run at once */
        slow[i] = connected();
        post_sql(slow[i], ENDLESS, 400);
    }
    for (int i = 0; i < 20; i++) {
        ck_alive();
    }
    struct pollfd one = {slow[0], POLLIN, 0};
    ck_assert_msg(poll(&one, 1, 0) == 0, "the slow question was answered before the quick ones");
    for (int i = 0; i < 3; i++) {
        ck_starts(heard(slow[i]), "HTTP/1.1 503");
    }
    int64_t took = now_ms() - begin; /* two at once: the third has waited for one of them */
    ck_assert_msg(took >= 750, "three questions of 400 ms took %lld ms", (long long)took);
}
END_TEST

START_TEST(clients_that_vanish_are_forgotten)
{
    for (int i = 0; i < 100; i++) { /* more than there are places for connections */
        int fd = connected();
        post_sql(fd, ENDLESS, 5);
        close(fd);
    }
    ck_alive();
}
END_TEST

START_TEST(connections_without_a_request_only_delay_the_next)
{
    enum { N = 64 };
    int fds[N];
    for (int i = 0; i < N; i++) {
        fds[i] = connected();
    }
    int last = connected();
    say(last, "GET /status HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < N; i++) {
        close(fds[i]);
    }
    ck_starts(heard(last), "HTTP/1.1 200");
}
END_TEST

START_TEST(socket_has_mode_0660_and_goes_with_the_server)
{
    struct stat info;
    server_start(&server, fixture.folder, fixture.path);
    ck_assert_int_eq(stat(server.socket, &info), 0);
    ck_assert(S_ISSOCK(info.st_mode));
    ck_assert_uint_eq(info.st_mode & 07777, 0660);
    server_stop(&server);
    ck_assert_int_ne(access(server.socket, F_OK), 0);
}
END_TEST

START_TEST(close_ends_a_running_question)
{
    server_start(&server, fixture.folder, fixture.path);
    int fds[4];
    for (int i = 0; i < 4; i++) { /* two run, two wait */
        fds[i] = connected();
        post_sql(fds[i], ENDLESS, 10000);
    }
    int idle = connected();
    ck_alive();
    int64_t begin = now_ms();
    server_stop(&server);
    int64_t took = now_ms() - begin;
    ck_assert_msg(took < 4000, "took %lld ms", (long long)took);
    for (int i = 0; i < 4; i++) {
        ck_starts(heard(fds[i]), "HTTP/1.1 503");
    }
    close(idle);
}
END_TEST

START_TEST(close_lets_a_short_question_finish)
{
    server_start(&server, fixture.folder, fixture.path);
    int fd = connected();
    post_sql(fd,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) "
             "SELECT count(*) FROM n",
             10000);
    ck_alive(); /* so the question has begun */
    server_stop(&server);
    char *answer = heard(fd);
    ck_assert_ptr_nonnull(strstr(answer, "200000"));
    ck_starts(answer, "HTTP/1.1 200");
}
END_TEST

START_TEST(close_lets_a_long_answer_go_out)
{
    server_start(&server, fixture.folder, fixture.path);
    int fd = connected();
    post_sql(fd, "SELECT hex(zeroblob(300000)) AS a", 10000); /* more than a socket holds */
    struct pollfd one = {fd, POLLIN, 0};
    ck_assert_int_eq(poll(&one, 1, 10000), 1);
    uv_async_send(&server.close_me);
    char *answer = heard(fd);
    ck_assert_uint_gt(strlen(answer), 600000);
    ck_assert_ptr_nonnull(strstr(answer + 600000, "\"truncated\":false}\n"));
    free(answer);
    server_join(&server);
}
END_TEST

START_TEST(stop_is_answered_before_the_server_goes)
{
    json_t *answer = NULL;
    server_start(&server, fixture.folder, fixture.path);
    ck_assert_uint_eq(ask("POST", "/stop", NULL, &answer), 200);
    ck_assert_str_eq(json_string_value(json_object_get(answer, "message")), "so be it");
    json_decref(answer);
    server_join(&server);
}
END_TEST

START_TEST(curl_works_on_the_socket)
{
    char command[256];
    char line[512] = "";
    server_start(&server, fixture.folder, fixture.path);
    snprintf(command, sizeof command,
             "curl -sS --unix-socket %s -d '{\"sql\": \"SELECT 1 + 1 AS two\"}' http://qzd/sql | "
             "tr -d '\\n'",
             server.socket);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, pipe));
    ck_assert_int_eq(pclose(pipe), 0);
    ck_assert_str_eq(line, "{\"columns\":[\"two\"],\"rows\":[[2]],\"truncated\":false}");
    server_stop(&server);
}
END_TEST

/* ---- opening ---- */

static int try_open(const char *path, struct error *err)
{
    uv_loop_t loop;
    struct http *http = NULL;
    struct http_callbacks callbacks = {server_status, server_command, NULL, &server};
    uv_loop_init(&loop);
    int r = http_open(&loop, path, fixture.path, &callbacks, &http, err);
    if (r == 0) {
        http_close(http, NULL, NULL);
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    return r;
}

START_TEST(old_socket_is_replaced_and_a_live_one_is_not)
{
    struct error err = {""};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/old.sock", fixture.folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(try_open(address.sun_path, &err), ERROR_BUSY);
    ck_assert_int_eq(access(address.sun_path, F_OK), 0);
    close(fd); /* as after a kill -9: the file stays */
    ck_assert_msg(try_open(address.sun_path, &err) == 0, "%s", err.text);
    ck_assert_int_ne(access(address.sun_path, F_OK), 0);
}
END_TEST

START_TEST(other_files_and_impossible_paths_are_left_alone)
{
    struct error err = {""};
    struct stat info;
    char path[256];
    ck_assert_int_eq(try_open(fixture.path, &err), ERROR_INVALID); /* the store! */
    ck_assert_int_eq(stat(fixture.path, &info), 0);
    ck_assert_int_gt(info.st_size, 0);
    memset(path, 'a', 108);
    path[108] = '\0';
    ck_assert_int_eq(try_open(path, &err), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "control.socket"));
    ck_assert_int_eq(try_open("/nowhere/at/all/qzd.sock", &err), ERROR_NOT_FOUND);
}
END_TEST

START_TEST(client_says_that_nobody_listens)
{
    struct client *client = NULL;
    struct error err = {""};
    unsigned status = 0;
    char *text = NULL;
    char path[128];
    snprintf(path, sizeof path, "%s/none.sock", fixture.folder);
    ck_assert_int_eq(client_create(path, &client, &err), 0);
    ck_assert_int_eq(client_request(client, "GET", "/status", NULL, 1000, &status, &text, &err),
                     ERROR_NOT_FOUND);
    client_destroy(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *running = tcase_create("running");
    TCase *life = tcase_create("life");
    tcase_set_timeout(running, 60);
    tcase_set_timeout(life, 60);
    tcase_add_unchecked_fixture(running, make_store, remove_store);
    tcase_add_checked_fixture(running, start, stop);
    tcase_add_test(running, every_path_answers_in_json);
    tcase_add_test(running, commands_are_done_for_the_uid_of_the_peer);
    tcase_add_test(running, wrong_requests_get_a_sentence_and_a_status);
    tcase_add_test(running, head_has_no_body_and_405_names_the_method);
    tcase_add_test(running, long_bodies_are_refused);
    tcase_add_test(running, garbage_and_halves_do_no_harm);
    tcase_add_test(running, many_at_once_are_all_answered);
    tcase_add_test(running, slow_question_holds_nobody_up);
    tcase_add_test(running, clients_that_vanish_are_forgotten);
    tcase_add_test(running, connections_without_a_request_only_delay_the_next);
    tcase_add_unchecked_fixture(life, make_store, remove_store);
    tcase_add_test(life, socket_has_mode_0660_and_goes_with_the_server);
    tcase_add_test(life, close_ends_a_running_question);
    tcase_add_test(life, close_lets_a_short_question_finish);
    tcase_add_test(life, close_lets_a_long_answer_go_out);
    tcase_add_test(life, stop_is_answered_before_the_server_goes);
    tcase_add_test(life, curl_works_on_the_socket);
    tcase_add_test(life, old_socket_is_replaced_and_a_live_one_is_not);
    tcase_add_test(life, other_files_and_impossible_paths_are_left_alone);
    tcase_add_test(life, client_says_that_nobody_listens);
    suite_add_tcase(suite, running);
    suite_add_tcase(suite, life);
    return run_suite(suite);
}
