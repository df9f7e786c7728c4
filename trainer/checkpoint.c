#include "trainer/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic_bytes[8] = "qzdckpt";
enum { VERSION = 1, HASH_BYTES = crypto_hash_sha256_BYTES };

/* How a file begins. Its numbers would differ for another program or architecture, and are compared
 * before anything else is believed. */
struct preamble {
    char magic[8];
    uint32_t version, head_bytes;
    uint64_t n_params;
    struct net_arch arch;
};

static size_t file_bytes(size_t n_params)
{
    return sizeof(struct preamble) + sizeof(struct checkpoint_head) + 4 * n_params * sizeof(float) +
           HASH_BYTES;
}

int checkpoint_init(struct checkpoint *checkpoint, const struct net *net)
{
    *checkpoint = (struct checkpoint){0};
    checkpoint->net = net_copy(net);
    checkpoint->average = net_copy(net);
    if (checkpoint->net == NULL || checkpoint->average == NULL ||
        optimizer_init(&checkpoint->optimizer, net->n_params) < 0) {
        checkpoint_finish(checkpoint);
        return ERROR_NO_MEMORY;
    }
    return 0;
}

void checkpoint_finish(struct checkpoint *checkpoint)
{
    net_destroy(checkpoint->net);
    net_destroy(checkpoint->average);
    optimizer_finish(&checkpoint->optimizer);
    *checkpoint = (struct checkpoint){0};
}

/* ---- writing ---- */

static uint8_t *put(uint8_t *to, const void *from, size_t size)
{
    memcpy(to, from, size);
    return to + size;
}

static uint8_t *encode(const struct checkpoint *checkpoint, size_t *ret_size)
{
    const struct net *net = checkpoint->net;
    const size_t vector = net->n_params * sizeof(float);
    const size_t size = file_bytes(net->n_params);
    uint8_t *bytes = calloc(1, size);
    if (bytes == NULL) {
        return NULL;
    }
    struct preamble preamble;
    memset(&preamble, 0, sizeof(preamble)); /* padding too: the bytes depend on the content alone */
    memcpy(preamble.magic, magic_bytes, sizeof(magic_bytes));
    preamble.version = VERSION;
    preamble.head_bytes = sizeof(struct checkpoint_head);
    preamble.n_params = net->n_params;
    memcpy(&preamble.arch, &net->arch, sizeof(net->arch));

    struct checkpoint_head head = checkpoint->head;
    head.optimizer_step = checkpoint->optimizer.step;
    uint8_t *to = put(bytes, &preamble, sizeof(preamble));
    to = put(to, &head, sizeof(head));
    to = put(to, net->params, vector);
    to = put(to, checkpoint->average->params, vector);
    to = put(to, checkpoint->optimizer.first, vector);
    to = put(to, checkpoint->optimizer.second, vector);
    crypto_hash_sha256(to, bytes, size - HASH_BYTES);
    *ret_size = size;
    return bytes;
}

static int io_error(struct error *err, const char *what, const char *path)
{
    int code = error_from_errno(errno);
    return error_set(err, code, "%s: cannot %s: %s", path, what, strerror(errno));
}

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        bytes += n;
        size -= (size_t)n;
    }
    return fsync(fd);
}

/* So that the rename itself survives a power cut. */
static int sync_directory(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int r = fsync(fd);
    close(fd);
    return r;
}

int checkpoint_save(const struct checkpoint *checkpoint, const char *path, struct error *err)
{
    char temporary[PATH_MAX];
    size_t size = 0;
    int r = 0;

    if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary)) {
        return error_set(err, ERROR_INVALID, "%s: the path is too long", path);
    }
    uint8_t *bytes = encode(checkpoint, &size);
    if (bytes == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", path);
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0660);
    if (fd < 0) {
        r = io_error(err, "open", temporary);
        goto out;
    }
    if (write_all(fd, bytes, size) < 0) {
        r = io_error(err, "write", temporary);
    }
    if (close(fd) < 0 && r == 0) {
        r = io_error(err, "close", temporary);
    }
    if (r == 0 && rename(temporary, path) < 0) {
        r = io_error(err, "rename to", path);
    }
    if (r == 0 && sync_directory(path) < 0) {
        r = io_error(err, "sync the folder of", path);
    }
    if (r < 0) {
        unlink(temporary);
    }
out:
    free(bytes);
    return r;
}

/* ---- reading ---- */

static int read_whole(const char *path, uint8_t **ret, size_t *ret_size, struct error *err)
{
    struct stat stat;
    uint8_t *bytes = NULL;
    size_t done = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return io_error(err, "open", path);
    }
    if (fstat(fd, &stat) < 0) {
        int r = io_error(err, "read", path);
        close(fd);
        return r;
    }
    const size_t size = (size_t)stat.st_size;
    bytes = malloc(size + 1);
    while (bytes != NULL && done < size) {
        ssize_t n = read(fd, bytes + done, size - done);
        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    close(fd);
    if (bytes == NULL || done < size) {
        free(bytes);
        return bytes == NULL ? error_set(err, ERROR_NO_MEMORY, "%s: out of memory", path)
                             : error_set(err, ERROR_IO, "%s: cannot read all of it", path);
    }
    *ret = bytes;
    *ret_size = size;
    return 0;
}

/* A head that a program of ours can have written: texts that end, a truth value that is one, counts. The checksum
 * shows that the bytes are as they were written, not that what was written is good. */
static int check_head(const uint8_t *bytes, const char *path, struct error *err)
{
    struct checkpoint_head head;
    const uint8_t *from = bytes + sizeof(struct preamble);
    uint8_t finished = from[offsetof(struct checkpoint_head, finished)];

    memcpy(&head, from, sizeof(head));
    if (memchr(head.job, '\0', sizeof(head.job)) == NULL ||
        memchr(head.result.net_sha256, '\0', sizeof(head.result.net_sha256)) == NULL ||
        finished > 1 || head.step < 0 || head.optimizer_step < 0 || head.average_step < 0) {
        return error_set(err, ERROR_CORRUPT, "%s: no checkpoint of ours: its head holds nonsense",
                         path);
    }
    return 0;
}

/* Everything about the bytes that does not depend on what the reader hopes for. */
static int check_bytes(const uint8_t *bytes, size_t size, const char *path,
                       struct preamble *ret_preamble, struct error *err)
{
    uint8_t hash[HASH_BYTES];

    if (size < sizeof(*ret_preamble) || memcmp(bytes, magic_bytes, sizeof(magic_bytes)) != 0) {
        return error_set(err, ERROR_CORRUPT, "%s: not a checkpoint", path);
    }
    memcpy(ret_preamble, bytes, sizeof(*ret_preamble));
    if (ret_preamble->version != VERSION ||
        ret_preamble->head_bytes != sizeof(struct checkpoint_head)) {
        return error_set(err, ERROR_VERSION, "%s: a checkpoint of another version", path);
    }
    if (ret_preamble->n_params > size || size != file_bytes(ret_preamble->n_params)) {
        return error_set(err, ERROR_CORRUPT, "%s: of the wrong length: %zu bytes", path, size);
    }
    crypto_hash_sha256(hash, bytes, size - HASH_BYTES);
    if (memcmp(hash, bytes + size - HASH_BYTES, HASH_BYTES) != 0) {
        return error_set(err, ERROR_CORRUPT, "%s: damaged: its checksum is wrong", path);
    }
    return check_head(bytes, path, err);
}

int checkpoint_peek(const char *path, struct checkpoint_head *ret, struct error *err)
{
    struct preamble preamble = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = read_whole(path, &bytes, &size, err);

    if (bytes == NULL) {
        return r;
    }
    r = check_bytes(bytes, size, path, &preamble, err);
    if (r == 0) {
        memcpy(ret, bytes + sizeof(preamble), sizeof(*ret));
    }
    free(bytes);
    return r;
}

int checkpoint_load(const char *path, struct checkpoint *checkpoint, struct error *err)
{
    struct preamble preamble = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = read_whole(path, &bytes, &size, err);

    if (bytes == NULL) {
        return r;
    }
    r = check_bytes(bytes, size, path, &preamble, err);
    if (r < 0) {
        goto out;
    }
    if (preamble.n_params != checkpoint->net->n_params ||
        !net_arch_equal(&preamble.arch, &checkpoint->net->arch)) {
        r = error_set(err, ERROR_VERSION, "%s: a checkpoint of another architecture", path);
        goto out;
    }
    const size_t vector = checkpoint->net->n_params * sizeof(float);
    const uint8_t *from = bytes + sizeof(preamble);
    memcpy(&checkpoint->head, from, sizeof(checkpoint->head));
    from += sizeof(checkpoint->head);
    memcpy(checkpoint->net->params, from, vector);
    memcpy(checkpoint->average->params, from + vector, vector);
    memcpy(checkpoint->optimizer.first, from + 2 * vector, vector);
    memcpy(checkpoint->optimizer.second, from + 3 * vector, vector);
    checkpoint->optimizer.step = checkpoint->head.optimizer_step;
out:
    free(bytes);
    return r;
}
