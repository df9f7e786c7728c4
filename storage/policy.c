#include "storage/policy.h"

#include "storage/record.h"

#include <stdbool.h>
#include <string.h>
#include <zlib.h>

enum { FORM_PLAIN = 0, FORM_ZLIB = 1 };

/* A zlib stream has six bytes of head and checksum, and short lists of small numbers hardly repeat:
 * below this length it has never been the smaller one. */
enum { WORTH_DEFLATING = 64 };

/* The smallest window and hash tables: a policy is at most 2 KiB, and deflateInit's usual 268 KB of
 * fresh pages cost more than the compression (13 times, measured on 8 KB records). */
enum { WINDOW_BITS = 9, MEMORY_LEVEL = 1 };

static size_t put_varint(uint32_t value, uint8_t *bytes)
{
    size_t n = 0;
    while (value >= 0x80) {
        bytes[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[n++] = (uint8_t)value;
    return n;
}

/* Advances *at. False: cut off, longer than 32 bits, or not the shortest form. */
static bool get_varint(const uint8_t *bytes, size_t size, size_t *at, uint32_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (*at >= size) {
            return false;
        }
        uint8_t byte = bytes[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = (uint32_t)value;
            return value <= UINT32_MAX && (byte != 0 || shift == 0);
        }
    }
    return false;
}

/* Returns the compressed length, or 0 if it would not fit in max bytes (or there is no memory). */
static size_t deflate_into(const uint8_t *bytes, size_t size, uint8_t *ret, size_t max)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, 9, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        return 0;
    }
    stream.next_in = (z_const Bytef *)bytes;
    stream.avail_in = (uInt)size;
    stream.next_out = ret;
    stream.avail_out = (uInt)max;
    int r = deflate(&stream, Z_FINISH);
    size_t n = max - stream.avail_out;
    deflateEnd(&stream);
    return r == Z_STREAM_END ? n : 0;
}

/* Returns the plain length, or -1 if it is no whole stream of at most max bytes. */
static long inflate_into(const uint8_t *bytes, size_t size, uint8_t *ret, size_t max)
{
    z_stream stream = {.next_in = (z_const Bytef *)bytes, .avail_in = (uInt)size};
    if (inflateInit(&stream) != Z_OK) {
        return -1;
    }
    stream.next_out = ret;
    stream.avail_out = (uInt)max;
    int r = inflate(&stream, Z_FINISH);
    bool whole = r == Z_STREAM_END && stream.avail_in == 0;
    long n = (long)(max - stream.avail_out);
    inflateEnd(&stream);
    return whole ? n : -1;
}

int policy_encode(const struct policy_entry *entries, uint32_t n, uint8_t *ret_bytes)
{
    uint8_t plain[RECORD_MAX_POLICY + 8]; /* room for the pair that proves it too long */
    size_t size = 0;
    uint32_t previous = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && entries[i].action <= entries[i - 1].action) {
            return ERROR_INVALID;
        }
        if (entries[i].visits == 0) {
            continue;
        }
        size += put_varint(entries[i].action - previous, plain + size);
        size += put_varint(entries[i].visits, plain + size);
        previous = entries[i].action;
        if (size > RECORD_MAX_POLICY - 1) {
            return ERROR_INVALID;
        }
    }
    if (size >= WORTH_DEFLATING) {
        size_t deflated = deflate_into(plain, size, ret_bytes + 1, size - 1);
        if (deflated > 0) {
            ret_bytes[0] = FORM_ZLIB;
            return (int)(deflated + 1);
        }
    }
    ret_bytes[0] = FORM_PLAIN;
    memcpy(ret_bytes + 1, plain, size);
    return (int)(size + 1);
}

static int decode_pairs(const uint8_t *bytes, size_t size, struct policy_entry *ret, uint32_t max)
{
    uint32_t n = 0;
    uint32_t previous = 0;
    size_t at = 0;

    while (at < size) {
        uint32_t step = 0;
        uint32_t visits = 0;
        if (!get_varint(bytes, size, &at, &step) || !get_varint(bytes, size, &at, &visits)) {
            return ERROR_CORRUPT;
        }
        if ((n > 0 && step == 0) || step > UINT16_MAX - previous || visits == 0 || n == max) {
            return ERROR_CORRUPT;
        }
        previous += step;
        ret[n++] = (struct policy_entry){(uint16_t)previous, visits};
    }
    return (int)n;
}

int policy_decode(const uint8_t *bytes, size_t size, struct policy_entry *ret_entries, uint32_t max)
{
    if (size == 0) {
        return 0;
    }
    if (size > RECORD_MAX_POLICY) {
        return ERROR_CORRUPT;
    }
    if (bytes[0] == FORM_PLAIN) {
        return decode_pairs(bytes + 1, size - 1, ret_entries, max);
    }
    if (bytes[0] != FORM_ZLIB) {
        return ERROR_CORRUPT;
    }
    uint8_t plain[RECORD_MAX_POLICY];
    long n = inflate_into(bytes + 1, size - 1, plain, sizeof plain);
    return n < 0 ? ERROR_CORRUPT : decode_pairs(plain, (size_t)n, ret_entries, max);
}
