/* A played game as plain data, and its form in bytes (storage/record.proto). Workers fill these
 * structs, the store writes them, a training reads them. Values are from the view of the side to
 * move at the position; NaN means "not known" and becomes an absent field and NULL. */
#ifndef STORAGE_RECORD_H
#define STORAGE_RECORD_H

#include "storage/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RECORD_UID_BYTES = 33,    /* 32 hex digits and NUL */
    RECORD_SHA256_BYTES = 65, /* 64 hex digits and NUL */
    RECORD_MAX_POLICY = 2048, /* longest encoded policy in bytes */
    RECORD_MAX_PLIES = 4096,
    RECORD_MAX_BYTES = 4 << 20, /* longest packed game; a position is far below 8 KiB */
};

enum game_kind { GAME_SELFPLAY, GAME_MATCH, GAME_IMPORT, GAME_HUMAN };
enum position_kind { POSITION_FULL, POSITION_FAST, POSITION_FORCED, POSITION_IMPORT };
/* The words that store and messages use; -1 from the reverse for none of them. */
const char *game_kind_text(enum game_kind kind);
int game_kind_parse(const char *text);
const char *position_kind_text(enum position_kind kind);
int position_kind_parse(const char *text);

enum {
    PROVEN_NONE = 2, /* `proven` of a position that no proof decided */
    RECORD_NO_ACTION =
        0xffff, /* `best_action` of a position that was not searched; no action has this number */
};

struct record_search { /* strings borrowed */
    const char *net_sha256;
    const char *build;
    const char *kernel;
    const char *settings; /* JSON */
};

struct record_start { /* strings borrowed */
    char uid[RECORD_UID_BYTES];
    enum game_kind kind;
    const char *game;
    const char *host;
    uint32_t worker;
    int64_t seed;
    const char *opening;
    uint32_t first_side; /* to move at ply 0, after the opening: 0 = the first player, 1 */
    int64_t started_at;  /* Unix ms */
};

struct record_position {
    uint32_t ply;
    uint16_t action;
    uint16_t best_action; /* or RECORD_NO_ACTION */
    float q, d, best_q, best_d, greedy_q, greedy_d, played_q, played_d;
    float v, v_d, m;
    uint32_t nodes;
    float kld;
    enum position_kind kind;
    uint16_t policy_bytes;
    int8_t proven;                     /* -1, 0, 1 or PROVEN_NONE */
    uint8_t policy[RECORD_MAX_POLICY]; /* storage/policy.h */
};

struct record_end {
    int8_t first_player_outcome;
    const char *reason; /* "rules", "resign", "plies"; borrowed */
    int64_t finished_at;
    uint32_t plies;
    int32_t would_resign_ply; /* -1: never */
    int8_t would_resign_side; /* -1: never */
};

/* 32 hex digits from the system's random numbers. */
void record_uid_draw(char ret_uid[RECORD_UID_BYTES]);
bool record_uid_valid(const char *uid);
/* True for about one game in `one_in` (by BLAKE2b of the uid, so every reader agrees); 0: never. */
bool record_uid_held_out(const char *uid, uint32_t one_in);

/* Field by field; strings by content, NaN equal to NaN. */
bool record_position_equal(const struct record_position *a, const struct record_position *b);

#endif
