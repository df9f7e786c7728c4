/* Frames between the daemon and its children: a 32-bit little-endian length and that many bytes of a
 * protobuf message (daemon/wire.proto). A length of 0 or above WIRE_MAX_BYTES is refused, before any
 * memory is taken for it. */
#ifndef DAEMON_WIRE_H
#define DAEMON_WIRE_H

#include "daemon/wire.pb-c.h"
#include "storage/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WIRE_MAX_BYTES = 4 << 20, WIRE_VERSION = 1 };

/* Takes bytes as they come and gives whole frames. All zero is an empty decoder. */
struct wire_decoder {
    uint8_t *bytes;
    size_t begin, end, capacity; /* bytes[begin..end) are not yet taken */
};
void wire_decoder_finish(struct wire_decoder *decoder);
/* Copy in size bytes. ERROR_NO_MEMORY. */
int wire_decoder_feed(struct wire_decoder *decoder, const uint8_t *bytes, size_t size,
                      struct error *err);
/* 1: *ret_frame is the next frame, valid until the next call of feed; 0: no whole frame is there; ERROR_INVALID: a length out
 * of bounds: the stream cannot be read on. */
int wire_decoder_next(struct wire_decoder *decoder, const uint8_t **ret_frame, size_t *ret_size,
                      struct error *err);

/* A message as a frame, malloced. ERROR_INVALID: too large; ERROR_NO_MEMORY. */
int wire_encode(const ProtobufCMessage *message, uint8_t **ret_bytes, size_t *ret_size,
                struct error *err);

/* For the children's ends: write a message to a blocking descriptor. should_stop (may be NULL) is asked when a
 * signal has interrupted the write: ERROR_CANCELLED; the stream then ends in a broken frame. */
int wire_send(int fd, const ProtobufCMessage *message, bool (*should_stop)(void *context),
              void *context, struct error *err);
/* Read what is there, waiting at most timeout_ms for the first byte (-1: for ever, ended by a signal).
 * Returns 1: bytes were fed, 0: none came, ERROR_NOT_FOUND: the other end has closed. */
int wire_receive(int fd, int timeout_ms, struct wire_decoder *decoder, struct error *err);

#endif
