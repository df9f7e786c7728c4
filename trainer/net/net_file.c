/* Nets on disk. A file is written beside its place, fsynced, renamed and the directory fsynced, so
 * that after a power cut a name stands for a whole file or for none. */
#include "trainer/net/net.h"

#include "trainer/net/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int io_error(struct error *err, const char *path, const char *what)
{
    int errnum = errno;
    return error_set(err, error_from_errno(errnum), "%s: cannot %s: %s", path, what,
                     strerror(errnum));
}

static void hash(const uint8_t *bytes, size_t size, char ret[RECORD_SHA256_BYTES])
{
    uint8_t digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, bytes, size);
    sodium_bin2hex(ret, RECORD_SHA256_BYTES, digest, sizeof digest);
}

static int read_bytes(int fd, const char *path, uint8_t *bytes, size_t size, struct error *err)
{
    size_t n = 0;
    while (n < size) {
        ssize_t got = read(fd, bytes + n, size - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return io_error(err, path, "read");
        }
        if (got == 0) {
            return error_set(err, ERROR_IO, "%s: became shorter while it was read", path);
        }
        n += (size_t)got;
    }
    return 0;
}

static int read_file(const char *path, uint8_t **ret, size_t *ret_size, struct error *err)
{
    struct stat status;
    int r = 0;
    /* Not blocking: the open of a pipe that nobody writes would never come back. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return io_error(err, path, "open");
    }
    if (fstat(fd, &status) < 0) {
        r = io_error(err, path, "look at");
        goto out;
    }
    if (!S_ISREG(status.st_mode)) {
        r = error_set(err, ERROR_INVALID, "%s: not a regular file", path);
        goto out;
    }
    size_t size = (size_t)status.st_size;
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    if (bytes == NULL) {
        r = error_set(err, ERROR_NO_MEMORY, "%s: no memory for its %zu bytes", path, size);
        goto out;
    }
    r = read_bytes(fd, path, bytes, size, err);
    if (r < 0) {
        free(bytes);
        goto out;
    }
    *ret = bytes;
    *ret_size = size;
out:
    close(fd);
    return r;
}

int net_load(const char *path, struct net **ret, char ret_sha256[RECORD_SHA256_BYTES],
             struct error *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = read_file(path, &bytes, &size, err);
    if (r < 0) {
        return r;
    }
    r = net_decode(bytes, size, path, ret, err);
    if (r == 0 && ret_sha256 != NULL) {
        hash(bytes, size, ret_sha256);
    }
    free(bytes);
    return r;
}

static int write_bytes(int fd, const char *path, const uint8_t *bytes, size_t size,
                       struct error *err)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return io_error(err, path, "write");
        }
        bytes += n;
        size -= (size_t)n;
    }
    return fsync(fd) < 0 ? io_error(err, path, "sync") : 0;
}

static int sync_directory_of(const char *path, struct error *err)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int length = slash == NULL ? 0 : slash == path ? 1 : (int)(slash - path);
    snprintf(directory, sizeof directory, "%.*s", length, path);
    int fd = open(length == 0 ? "." : directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return io_error(err, path, "open the directory of");
    }
    int r = fsync(fd) < 0 ? io_error(err, path, "sync the directory of") : 0;
    close(fd);
    return r;
}

/* The temporary's name carries the process id: two processes that write the same net do not meet. */
static int write_file(const char *path, const uint8_t *bytes, size_t size, struct error *err)
{
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary) {
        return error_set(err, ERROR_INVALID, "%.200s: the path is too long", path);
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return io_error(err, temporary, "create");
    }
    int r = write_bytes(fd, temporary, bytes, size, err);
    if (close(fd) < 0 && r == 0) {
        r = io_error(err, temporary, "close");
    }
    if (r == 0 && rename(temporary, path) < 0) {
        r = io_error(err, path, "rename the new file to");
    }
    if (r < 0) {
        unlink(temporary);
        return r;
    }
    return sync_directory_of(path, err);
}

int net_save(const struct net *net, const char *path, char ret_sha256[RECORD_SHA256_BYTES],
             struct error *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = net_encode(net, &bytes, &size, err);
    if (r < 0) {
        return error_prefix(err, r, "%s", path);
    }
    r = write_file(path, bytes, size, err);
    if (r == 0 && ret_sha256 != NULL) {
        hash(bytes, size, ret_sha256);
    }
    free(bytes);
    return r;
}

/* True if the file holds exactly these bytes. */
static bool is_there(const char *path, const uint8_t *bytes, size_t size)
{
    uint8_t *old = NULL;
    size_t old_size = 0;
    if (read_file(path, &old, &old_size, NULL) < 0 || old == NULL) {
        return false;
    }
    bool same = old_size == size && memcmp(old, bytes, size) == 0;
    free(old);
    return same;
}

int net_save_by_hash(const struct net *net, const char *directory,
                     char ret_sha256[RECORD_SHA256_BYTES], struct error *err)
{
    char path[PATH_MAX];
    char sha256[RECORD_SHA256_BYTES];
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = net_encode(net, &bytes, &size, err);
    if (r < 0) {
        return error_prefix(err, r, "%s", directory);
    }
    hash(bytes, size, sha256);
    int length = snprintf(path, sizeof path, "%s/%s.safetensors", directory, sha256);
    if (length < 0 || (size_t)length >= sizeof path) {
        r = error_set(err, ERROR_INVALID, "%.200s: the path is too long", directory);
    } else if (!is_there(path, bytes, size)) {
        r = write_file(path, bytes, size, err);
    } else { /* whoever wrote it may not have come as far as this */
        r = sync_directory_of(path, err);
    }
    free(bytes);
    if (r == 0 && ret_sha256 != NULL) {
        memcpy(ret_sha256, sha256, sizeof sha256);
    }
    return r;
}
