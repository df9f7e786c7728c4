/* The listening Unix socket of the daemon: mode 0660, at a path that an earlier daemon may have left behind. */
#ifndef DAEMON_HTTP_SOCKET_H
#define DAEMON_HTTP_SOCKET_H

#include "storage/error.h"

#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

struct http_socket {
    int fd; /* -1: closed */
    char path[sizeof((struct sockaddr_un){0}).sun_path];
    dev_t device; /* of the file, so that only our own is removed */
    ino_t inode;
};

/* Bind and listen. A socket file that nobody answers is replaced; one that somebody does: ERROR_BUSY; a file that is
 * no socket, or a path too long for a socket: ERROR_INVALID. */
int http_socket_open(const char *path, struct http_socket *ret, struct error *err);
/* Close, and remove the file if it is still ours. Twice is allowed. */
void http_socket_close(struct http_socket *listener);

/* The uid at the other end of a connection as text, "unknown" if it cannot be told. */
void http_socket_peer(int fd, char *ret_text, size_t size);

#endif
