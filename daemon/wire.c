#include "daemon/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_BYTES = 4 };

void wire_decoder_finish(struct wire_decoder *decoder)
{
    free(decoder->bytes);
    *decoder = (struct wire_decoder){0};
}

int wire_decoder_feed(struct wire_decoder *decoder, const uint8_t *bytes, size_t size,
                      struct error *err)
{
    size_t held = decoder->end - decoder->begin;

    if (decoder->begin > 0) {
        memmove(decoder->bytes, decoder->bytes + decoder->begin, held);
        decoder->begin = 0;
        decoder->end = held;
    }
    if (held + size > decoder->capacity) {
        size_t capacity = decoder->capacity == 0 ? 65536 : decoder->capacity;
        while (capacity < held + size) {
            capacity *= 2;
        }
        uint8_t *grown = realloc(decoder->bytes, capacity);
        if (grown == NULL) {
            return error_set(err, ERROR_NO_MEMORY, "no memory for a message");
        }
        decoder->bytes = grown;
        decoder->capacity = capacity;
    }
    if (size > 0) {
        memcpy(decoder->bytes + decoder->end, bytes, size);
    }
    decoder->end += size;
    return 0;
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

int wire_decoder_next(struct wire_decoder *decoder, const uint8_t **ret_frame, size_t *ret_size,
                      struct error *err)
{
    size_t held = decoder->end - decoder->begin;

    if (held < HEADER_BYTES) {
        return 0;
    }
    uint32_t size = read_u32(decoder->bytes + decoder->begin);
    if (size == 0 || size > WIRE_MAX_BYTES) {
        return error_set(err, ERROR_INVALID, "a message of %u bytes; 1 to %d are allowed", size,
                         WIRE_MAX_BYTES);
    }
    if (held < HEADER_BYTES + (size_t)size) {
        return 0;
    }
    *ret_frame = decoder->bytes + decoder->begin + HEADER_BYTES;
    *ret_size = size;
    decoder->begin += HEADER_BYTES + (size_t)size;
    return 1;
}

int wire_encode(const ProtobufCMessage *message, uint8_t **ret_bytes, size_t *ret_size,
                struct error *err)
{
    size_t size = protobuf_c_message_get_packed_size(message);

    if (size == 0 || size > WIRE_MAX_BYTES) {
        return error_set(err, ERROR_INVALID, "a message of %zu bytes; 1 to %d are allowed", size,
                         WIRE_MAX_BYTES);
    }
    uint8_t *bytes = malloc(HEADER_BYTES + size);
    if (bytes == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "no memory for a message");
    }
    for (int i = 0; i < HEADER_BYTES; i++) {
        bytes[i] = (uint8_t)(size >> (8 * i));
    }
    protobuf_c_message_pack(message, bytes + HEADER_BYTES);
    *ret_bytes = bytes;
    *ret_size = HEADER_BYTES + size;
    return 0;
}

int wire_send(int fd, const ProtobufCMessage *message, bool (*should_stop)(void *context),
              void *context, struct error *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = wire_encode(message, &bytes, &size, err);

    for (size_t done = 0; r == 0 && done < size;) {
        ssize_t n = write(fd, bytes + done, size - done);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno != EINTR) {
            r = error_set(err, error_from_errno(errno), "the pipe to the daemon: %s",
                          strerror(errno));
        } else if (should_stop != NULL && should_stop(context)) {
            r = error_set(err, ERROR_CANCELLED, "stopped on request");
        }
    }
    free(bytes);
    return r;
}

int wire_receive(int fd, int timeout_ms, struct wire_decoder *decoder, struct error *err)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    int ready = poll(&wanted, 1, timeout_ms);

    if (ready <= 0) {
        return ready == 0 || errno == EINTR
                   ? 0
                   : error_set(err, error_from_errno(errno), "poll: %s", strerror(errno));
    }
    uint8_t bytes[16384];
    ssize_t n = read(fd, bytes, sizeof(bytes));
    if (n > 0) {
        int r = wire_decoder_feed(decoder, bytes, (size_t)n, err);
        return r < 0 ? r : 1;
    }
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return 0;
    }
    if (n < 0) {
        return error_set(err, error_from_errno(errno), "the pipe from the daemon: %s",
                         strerror(errno));
    }
    return error_set(err, ERROR_NOT_FOUND, "the daemon has closed its pipe");
}
