#include "storage/record.h"

#include <math.h>
#include <sodium.h>
#include <string.h>

static const char *const game_kinds[] = {
    [GAME_SELFPLAY] = "selfplay",
    [GAME_MATCH] = "match",
    [GAME_IMPORT] = "import",
    [GAME_HUMAN] = "human",
};

static const char *const position_kinds[] = {
    [POSITION_FULL] = "full",
    [POSITION_FAST] = "fast",
    [POSITION_FORCED] = "forced",
    [POSITION_IMPORT] = "import",
};

static int find(const char *const *texts, size_t n, const char *text)
{
    for (size_t i = 0; text != NULL && i < n; i++) {
        if (strcmp(texts[i], text) == 0) {
            return (int)i;
        }
    }
    return -1;
}

const char *game_kind_text(enum game_kind kind)
{
    return game_kinds[kind];
}

int game_kind_parse(const char *text)
{
    return find(game_kinds, sizeof game_kinds / sizeof game_kinds[0], text);
}

const char *position_kind_text(enum position_kind kind)
{
    return position_kinds[kind];
}

int position_kind_parse(const char *text)
{
    return find(position_kinds, sizeof position_kinds / sizeof position_kinds[0], text);
}

void record_uid_draw(char ret_uid[RECORD_UID_BYTES])
{
    uint8_t bytes[(RECORD_UID_BYTES - 1) / 2];
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(ret_uid, RECORD_UID_BYTES, bytes, sizeof bytes);
}

bool record_uid_valid(const char *uid)
{
    return uid != NULL && strlen(uid) == RECORD_UID_BYTES - 1 &&
           strspn(uid, "0123456789abcdef") == RECORD_UID_BYTES - 1;
}

bool record_uid_held_out(const char *uid, uint32_t one_in)
{
    if (one_in == 0) {
        return false;
    }
    uint8_t hash[crypto_generichash_BYTES_MIN];
    crypto_generichash(hash, sizeof hash, (const uint8_t *)uid, strlen(uid), NULL, 0);
    uint64_t number = 0; /* little-endian, so that every machine takes the same number */
    for (unsigned i = 0; i < 8; i++) {
        number |= (uint64_t)hash[i] << (8 * i);
    }
    return number % one_in == 0;
}

/* A store keeps 0.0 for -0.0, so these are equal here too. */
static bool same(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

bool record_position_equal(const struct record_position *a, const struct record_position *b)
{
    return a->ply == b->ply && a->action == b->action && a->best_action == b->best_action &&
           same(a->q, b->q) && same(a->d, b->d) && same(a->best_q, b->best_q) &&
           same(a->best_d, b->best_d) && same(a->greedy_q, b->greedy_q) &&
           same(a->greedy_d, b->greedy_d) && same(a->played_q, b->played_q) &&
           same(a->played_d, b->played_d) && same(a->v, b->v) && same(a->v_d, b->v_d) &&
           same(a->m, b->m) && a->nodes == b->nodes && same(a->kld, b->kld) &&
           a->proven == b->proven && a->kind == b->kind && a->policy_bytes == b->policy_bytes &&
           memcmp(a->policy, b->policy, a->policy_bytes) == 0;
}
