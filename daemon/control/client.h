/* What qzctl says to a daemon: HTTP over its Unix socket, with libcurl. */
#ifndef DAEMON_CLIENT_H
#define DAEMON_CLIENT_H

#include "storage/error.h"

#include <stdint.h>

struct client;

/* Nothing is connected yet. */
int client_create(const char *socket_path, struct client **ret, struct error *err);
void client_destroy(struct client *client); /* NULL is allowed */

/* One request; body NULL: none; timeout_ms 0: as long as it takes. Any HTTP answer is a success of this
 * function: *ret_status and *ret_body (malloced, with a NUL). ERROR_NOT_FOUND: nobody listens there;
 * ERROR_PERMISSION; ERROR_TIMEOUT; ERROR_IO. */
int client_request(struct client *client, const char *method, const char *path, const char *body,
                   uint32_t timeout_ms, unsigned *ret_status, char **ret_body, struct error *err);

#endif
