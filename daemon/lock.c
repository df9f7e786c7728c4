#include "daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file stays when the lock ends: removing it would let two processes lock two files of one name. */
struct lock {
    int fd;
};

static int make_directories(const char *path, struct error *err)
{
    char part[PATH_MAX];

    if (strlen(path) >= sizeof(part)) {
        return error_set(err, ERROR_INVALID, "%s: the path is too long", path);
    }
    (void)snprintf(part, sizeof(part), "%s", path);
    for (char *end = part + 1;; end++) {
        if (*end != '/' && *end != '\0') {
            continue;
        }
        char kept = *end;
        *end = '\0';
        if (mkdir(part, 0750) < 0 && errno != EEXIST) {
            return error_set(err, error_from_errno(errno), "%s: cannot be made: %s", part,
                             strerror(errno));
        }
        *end = kept;
        if (kept == '\0') {
            return 0;
        }
    }
}

static int lock_path(const char *state_dir, char *ret, size_t size, struct error *err)
{
    int n = snprintf(ret, size, "%s/lock", state_dir);

    if (n < 0 || (size_t)n >= size) {
        return error_set(err, ERROR_INVALID, "%s: the path is too long", state_dir);
    }
    return 0;
}

static void read_owner(int fd, struct lock_owner *ret)
{
    char text[PATH_MAX + 32];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    *ret = (struct lock_owner){0};
    if (n <= 0) {
        return;
    }
    text[n] = '\0';
    char *rest = NULL;
    ret->pid = strtoll(text, &rest, 10);
    if (rest == NULL || *rest != '\n') {
        return;
    }
    char *end = strchr(rest + 1, '\n');
    if (end != NULL && (size_t)(end - rest - 1) < sizeof(ret->socket)) {
        memcpy(ret->socket, rest + 1, (size_t)(end - rest - 1));
        ret->socket[end - rest - 1] = '\0';
    }
}

static int write_owner(int fd, const char *path, const char *socket, struct error *err)
{
    char text[PATH_MAX + 32];
    int n = snprintf(text, sizeof(text), "%lld\n%s\n", (long long)getpid(),
                     socket == NULL ? "" : socket);

    if (n < 0 || (size_t)n >= sizeof(text)) {
        return error_set(err, ERROR_INVALID, "%s: the socket's path is too long", path);
    }
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        return error_set(err, error_from_errno(errno), "%s: cannot be written: %s", path,
                         strerror(errno));
    }
    return 0;
}

int lock_take(const char *state_dir, const char *socket, struct lock **ret, struct error *err)
{
    char path[PATH_MAX];
    int r = make_directories(state_dir, err);

    if (r == 0) {
        r = lock_path(state_dir, path, sizeof(path), err);
    }
    if (r < 0) {
        return r;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) {
        return error_set(err, error_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    struct lock *lock = NULL;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        struct lock_owner owner;
        if (errno == EWOULDBLOCK) {
            read_owner(fd, &owner);
            r = error_set(err, ERROR_BUSY,
                          "%s: in use by process %lld; stop that one or choose another directory",
                          state_dir, (long long)owner.pid);
        } else {
            r = error_set(err, error_from_errno(errno), "%s: %s", path, strerror(errno));
        }
        goto fail;
    }
    r = write_owner(fd, path, socket, err);
    if (r < 0) {
        goto fail;
    }
    lock = malloc(sizeof(*lock));
    if (lock == NULL) {
        r = error_set(err, ERROR_NO_MEMORY, "%s: out of memory", path);
        goto fail;
    }
    lock->fd = fd;
    *ret = lock;
    return 0;
fail:
    (void)close(fd);
    return r;
}

void lock_release(struct lock *lock)
{
    if (lock == NULL) {
        return;
    }
    if (ftruncate(lock->fd, 0) < 0) {
        /* Then an old process id stands in it: who looks asks for the lock itself as well. */
    }
    (void)close(lock->fd);
    free(lock);
}

int lock_find_owner(const char *state_dir, struct lock_owner *ret, struct error *err)
{
    char path[PATH_MAX];
    int r = lock_path(state_dir, path, sizeof(path), err);

    if (r < 0) {
        return r;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_set(err, errno == ENOENT ? ERROR_NOT_FOUND : error_from_errno(errno), "%s: %s",
                         path, strerror(errno));
    }
    /* A shared try: it fails exactly while somebody holds the exclusive lock, and two askers do not
     * take each other for the owner. */
    if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
        r = error_set(err, ERROR_NOT_FOUND, "%s: no daemon runs on this directory", state_dir);
    } else if (errno == EWOULDBLOCK) {
        read_owner(fd, ret);
    } else {
        r = error_set(err, error_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    (void)close(fd);
    return r;
}
