#include "storage/record_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static const char magic[] = "qzdgame1";
enum { MAGIC_BYTES = 8, FRAME_BYTES = 8 };

struct record_file {
    FILE *stream;
    char *path;
    int64_t offset; /* of the next frame */
    bool broken;    /* half a frame could not be taken back */
};

static void put_u32(uint32_t value, uint8_t *bytes)
{
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint32_t get_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static uint32_t checksum(const uint8_t *length, const uint8_t *content, size_t size)
{
    uLong crc = crc32(crc32(0, NULL, 0), length, 4);
    return (uint32_t)crc32(crc, content, (uInt)size);
}

static int system_error(const char *path, struct error *err)
{
    int errnum = errno;
    return error_set(err, error_from_errno(errnum), "%s: %s", path, strerror(errnum));
}

static int damaged(const struct record_file *file, const char *how, struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "%s: damaged at byte %lld: %s", file->path,
                     (long long)file->offset, how);
}

static int open_stream(const char *path, const char *mode, struct record_file **ret,
                       struct error *err)
{
    FILE *stream = fopen(path, mode);
    if (stream == NULL) {
        return system_error(path, err);
    }
    struct record_file *file = calloc(1, sizeof *file);
    char *copy = strdup(path);
    if (file == NULL || copy == NULL) {
        fclose(stream);
        free(file);
        free(copy);
        return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", path);
    }
    *file = (struct record_file){.stream = stream, .path = copy};
    *ret = file;
    return 0;
}

static int read_magic(struct record_file *file, struct error *err)
{
    char bytes[MAGIC_BYTES];
    size_t n = fread(bytes, 1, sizeof bytes, file->stream);
    if (ferror(file->stream)) {
        return system_error(file->path, err);
    }
    if (n < sizeof bytes || memcmp(bytes, magic, MAGIC_BYTES) != 0) {
        return error_set(err, ERROR_INVALID, "%s: not a file of games (it does not begin with %s)",
                         file->path, magic);
    }
    file->offset = MAGIC_BYTES;
    return 0;
}

int record_file_read(const char *path, struct record_file **ret, struct error *err)
{
    struct record_file *file = NULL;
    int r = open_stream(path, "rbe", &file, err);
    if (file == NULL) {
        return r;
    }
    r = read_magic(file, err);
    if (r < 0) {
        record_file_close(file);
        return r;
    }
    *ret = file;
    return 0;
}

/* Read and check a frame's content, malloced into *ret; 1, 0 at the end, or an error. */
static int next_frame(struct record_file *file, uint8_t **ret, uint32_t *ret_size,
                      struct error *err)
{
    uint8_t head[FRAME_BYTES];
    size_t n = fread(head, 1, sizeof head, file->stream);
    if (ferror(file->stream)) {
        return system_error(file->path, err);
    }
    if (n == 0) {
        return 0;
    }
    if (n < sizeof head) {
        return damaged(file, "the file ends within a frame", err);
    }
    uint32_t size = get_u32(head);
    if (size > RECORD_MAX_BYTES) {
        return damaged(file, "a frame longer than any game", err);
    }
    uint8_t *content = malloc(size + 1);
    if (content == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", file->path);
    }
    int r = 1;
    if (fread(content, 1, size, file->stream) < size) {
        r = ferror(file->stream) ? system_error(file->path, err)
                                 : damaged(file, "the file ends within a frame", err);
    } else if (checksum(head, content, size) != get_u32(head + 4)) {
        r = damaged(file, "the checksum does not fit", err);
    }
    if (r < 0) {
        free(content);
        return r;
    }
    *ret = content;
    *ret_size = size;
    return 1;
}

int record_file_next(struct record_file *file, Qzd__Game **ret, struct error *err)
{
    uint8_t *content = NULL;
    uint32_t size = 0;
    int r = next_frame(file, &content, &size, err);
    if (r != 1) {
        return r;
    }
    Qzd__Game *game = qzd__game__unpack(NULL, size, content);
    free(content);
    if (game == NULL) {
        return damaged(file, "the frame holds no game", err);
    }
    file->offset += FRAME_BYTES + (int64_t)size;
    *ret = game;
    return 1;
}

/* All or nothing: of what cannot be written whole, nothing stays. */
static int write_all(struct record_file *file, const uint8_t *bytes, size_t size, struct error *err)
{
    int fd = fileno(file->stream);
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, bytes + done, size - done); /* O_APPEND: at the end */
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            int r = system_error(file->path, err);
            file->broken = ftruncate(fd, file->offset) < 0;
            return r;
        }
        done += (size_t)n;
    }
    file->offset += (int64_t)size;
    return 0;
}

/* Walk over all that is there; the file then stands at its end. */
static int skip_to_end(struct record_file *file, struct error *err)
{
    int r = read_magic(file, err);
    r = r < 0 ? r : 1;
    while (r ==
           1) { /* unpacked too: behind a frame that is no game, nobody would find what we add */
        Qzd__Game *game = NULL;
        r = record_file_next(file, &game, err);
        if (r == 1) {
            qzd__game__free_unpacked(game, NULL);
        }
    }
    return r;
}

static int begin(struct record_file *file, struct error *err)
{
    if (fseeko(file->stream, 0, SEEK_END) < 0) {
        return system_error(file->path, err);
    }
    bool empty = ftello(file->stream) == 0;
    rewind(file->stream);
    return empty ? write_all(file, (const uint8_t *)magic, MAGIC_BYTES, err)
                 : skip_to_end(file, err);
}

int record_file_append_to(const char *path, struct record_file **ret, struct error *err)
{
    struct record_file *file = NULL;
    int r = open_stream(path, "ab+e", &file, err);
    if (file == NULL) {
        return r;
    }
    r = begin(file, err);
    if (r < 0) {
        record_file_close(file);
        return r;
    }
    *ret = file;
    return 0;
}

int record_file_append(struct record_file *file, const Qzd__Game *game, struct error *err)
{
    if (file->broken) {
        return error_set(err, ERROR_IO, "%s: ends within a frame since an error of writing",
                         file->path);
    }
    size_t size = qzd__game__get_packed_size(game);
    if (size > RECORD_MAX_BYTES) {
        return error_set(err, ERROR_INVALID, "%s: a game of %zu bytes is longer than allowed (%d)",
                         file->path, size, RECORD_MAX_BYTES);
    }
    uint8_t *frame = malloc(FRAME_BYTES + size);
    if (frame == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", file->path);
    }
    qzd__game__pack(game, frame + FRAME_BYTES);
    put_u32((uint32_t)size, frame);
    put_u32(checksum(frame, frame + FRAME_BYTES, size), frame + 4);
    int r = write_all(file, frame, FRAME_BYTES + size, err);
    free(frame);
    return r;
}

int record_file_sync(struct record_file *file, struct error *err)
{
    if (fsync(fileno(file->stream)) < 0) {
        return system_error(file->path, err);
    }
    return 0;
}

void record_file_close(struct record_file *file)
{
    if (file == NULL) {
        return;
    }
    fclose(file->stream);
    free(file->path);
    free(file);
}
