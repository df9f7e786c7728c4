#include "daemon/control/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_MS = 5000, MAX_ANSWER = 512 << 20 };

struct client {
    CURL *curl;
    struct curl_slist *headers;
    char path[PATH_MAX];
};

struct answer {
    char *text;
    size_t size;
};

static size_t take(char *data, size_t one, size_t n, void *context)
{
    struct answer *answer = context;
    if (answer->size + one * n > MAX_ANSWER) {
        return 0;
    }
    char *text = realloc(answer->text, answer->size + one * n + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text + answer->size, data, one * n);
    answer->text = text;
    answer->size += one * n;
    text[answer->size] = '\0';
    return one * n;
}

int client_create(const char *socket_path, struct client **ret, struct error *err)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(client);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    snprintf(client->path, sizeof client->path, "%s", socket_path);
    client->curl = curl_easy_init();
    client->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (client->curl == NULL || client->headers == NULL ||
        curl_easy_setopt(client->curl, CURLOPT_UNIX_SOCKET_PATH, client->path) != CURLE_OK) {
        client_destroy(client);
        return error_set(err, ERROR_NO_MEMORY, "libcurl cannot be used with Unix sockets");
    }
    *ret = client;
    return 0;
}

void client_destroy(struct client *client)
{
    if (client != NULL) {
        curl_slist_free_all(client->headers);
        curl_easy_cleanup(client->curl);
        free(client);
        curl_global_cleanup();
    }
}

/* Why the connection failed, in our codes. */
static int connect_error(struct client *client, struct error *err)
{
    long os_error = 0;
    curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &os_error);
    if (os_error == 0 && access(client->path, F_OK) != 0) {
        os_error = errno;
    }
    if (os_error == EACCES || os_error == EPERM) {
        return error_set(err, ERROR_PERMISSION,
                         "%s: permission denied; its group may connect (see README)", client->path);
    }
    return error_set(err, ERROR_NOT_FOUND, "%s: no daemon answers there (%s)", client->path,
                     os_error == 0 ? "refused" : strerror((int)os_error));
}

int client_request(struct client *client, const char *method, const char *path, const char *body,
                   uint32_t timeout_ms, unsigned *ret_status, char **ret_body, struct error *err)
{
    struct answer answer = {0};
    char url[256];
    long status = 0;
    snprintf(url, sizeof url, "http://qzd%s", path);

    CURL *curl = client->curl;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "qzctl/" QZD_VERSION);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (strcmp(method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body == NULL ? "" : body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, body == NULL ? 0L : (long)strlen(body));
    } else {
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    }

    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_COULDNT_CONNECT) {
        free(answer.text);
        return connect_error(client, err);
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || answer.text == NULL) {
        free(answer.text);
        return error_set(err, code == CURLE_OPERATION_TIMEDOUT ? ERROR_TIMEOUT : ERROR_IO, "%s: %s",
                         client->path,
                         code == CURLE_OK ? "an empty answer" : curl_easy_strerror(code));
    }
    *ret_status = (unsigned)status;
    *ret_body = answer.text;
    return 0;
}
