/* The policy column: integer visits of the moves searched. Bytes are LEB128 varint pairs (action
 * minus the previous action, which is 0 before the first; visits) in ascending order of action, moves
 * without visits left out. A first byte of 0 says plain pairs follow, 1 that a zlib stream of them
 * follows (used where it is smaller). Both are decoded everywhere; no bytes at all mean no policy. */
#ifndef STORAGE_POLICY_H
#define STORAGE_POLICY_H

#include "storage/error.h"

#include <stddef.h>
#include <stdint.h>

/* No policy has more entries than this: a pair takes two bytes at least. */
enum { POLICY_MAX_ENTRIES = 1024 };

struct policy_entry {
    uint16_t action;
    uint32_t visits;
};

/* Encode n entries, actions ascending and distinct; entries with 0 visits are left out. Writes at
 * most RECORD_MAX_POLICY bytes into ret_bytes. Returns the length, or ERROR_INVALID: not ascending,
 * or too long. */
int policy_encode(const struct policy_entry *entries, uint32_t n, uint8_t *ret_bytes);
/* Decode into at most max entries. Any input is safe. Returns how many, or ERROR_CORRUPT. */
int policy_decode(const uint8_t *bytes, size_t size, struct policy_entry *ret_entries,
                  uint32_t max);

#endif
