#include "daemon/control/http_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 64, MODE = 0660 };

/* Does a process accept connections there? A full backlog (EAGAIN) is a process too. */
static bool somebody_answers(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return true; /* not known: better to refuse than to take it away */
    }
    bool answers = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
                   errno == EAGAIN || errno == EINPROGRESS || errno == EACCES;
    close(fd);
    return answers;
}

static int make_room(const struct sockaddr_un *address, struct error *err)
{
    const char *path = address->sun_path;
    struct stat info;
    if (lstat(path, &info) != 0) {
        return errno == ENOENT
                   ? 0
                   : error_set(err, error_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    if (!S_ISSOCK(info.st_mode)) {
        return error_set(err, ERROR_INVALID,
                         "%s: there is a file that is no socket; remove it or set "
                         "another control.socket",
                         path);
    }
    if (somebody_answers(address)) {
        return error_set(err, ERROR_BUSY, "%s: another daemon answers there", path);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return error_set(err, error_from_errno(errno), "%s: cannot remove the old socket: %s", path,
                         strerror(errno));
    }
    return 0;
}

int http_socket_open(const char *path, struct http_socket *ret, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address.sun_path) {
        return error_set(
            err, ERROR_INVALID,
            "%s: a socket's path has 1 to %zu bytes; set control.socket to a shorter one", path,
            sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, length + 1);
    int r = make_room(&address, err);
    if (r < 0) {
        return r;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The file's mode is that of the descriptor less the umask: set before bind, it is never wider than
     * it should be; chmod then undoes the umask. */
    if (fd < 0 || fchmod(fd, MODE) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, MODE) != 0 || listen(fd, BACKLOG) != 0 || lstat(path, &info) != 0) {
        r = error_set(err, error_from_errno(errno), "%s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return r;
    }
    ret->fd = fd;
    ret->device = info.st_dev;
    ret->inode = info.st_ino;
    memcpy(ret->path, path, length + 1);
    return 0;
}

void http_socket_close(struct http_socket *listener)
{
    struct stat info;
    if (listener->fd < 0) {
        return;
    }
    if (lstat(listener->path, &info) == 0 && info.st_dev == listener->device &&
        info.st_ino == listener->inode) {
        unlink(listener->path);
    }
    close(listener->fd);
    listener->fd = -1;
}

void http_socket_peer(int fd, char *ret_text, size_t size)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
        snprintf(ret_text, size, "unknown");
        return;
    }
    snprintf(ret_text, size, "%u", peer.uid);
}
