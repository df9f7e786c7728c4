#include "storage/record_message.h"

#include "storage/policy.h"

#include <math.h>
#include <string.h>

/* Longest texts that come from outside, NUL not counted. */
enum {
    MAX_NAME = 31,
    MAX_HOST = 255,
    MAX_BUILD = 255,
    MAX_OPENING = 511,
    MAX_SETTINGS = 64 << 10,
};
enum { MAX_NODES = 1000000000 };

/* Values are means of many floats: a certain win may come out a few ulp above 1. */
static const float rounding = 1e-5F;

void record_search_to_message(const struct record_search *search, Qzd__Search *ret)
{
    qzd__search__init(ret);
    ret->net_sha256 = (char *)search->net_sha256;
    ret->build = (char *)search->build;
    ret->kernel = (char *)search->kernel;
    ret->settings = (char *)search->settings;
}

void record_start_to_message(const struct record_start *start, Qzd__GameStart *ret)
{
    qzd__game_start__init(ret);
    ret->uid = (char *)start->uid;
    ret->kind = (char *)game_kind_text(start->kind);
    ret->game = (char *)start->game;
    ret->host = (char *)start->host;
    ret->worker = start->worker;
    ret->seed = start->seed;
    ret->opening = (char *)start->opening;
    ret->first_side = start->first_side;
    ret->started_at = start->started_at;
}

void record_position_to_message(const char *uid, const struct record_position *position,
                                Qzd__Position *ret)
{
    qzd__position__init(ret);
    ret->uid = (char *)uid;
    ret->ply = position->ply;
    ret->action = position->action;
    ret->has_best_action = position->best_action != RECORD_NO_ACTION;
    ret->best_action = ret->has_best_action ? position->best_action : 0;
#define VALUE(field)                            \
    ret->has_##field = !isnan(position->field); \
    ret->field = ret->has_##field ? position->field : 0.0F
    VALUE(q);
    VALUE(d);
    VALUE(best_q);
    VALUE(best_d);
    VALUE(greedy_q);
    VALUE(greedy_d);
    VALUE(played_q);
    VALUE(played_d);
    VALUE(v);
    VALUE(v_d);
    VALUE(m);
    VALUE(kld);
#undef VALUE
    ret->nodes = position->nodes;
    ret->has_proven = position->proven != PROVEN_NONE;
    ret->proven = ret->has_proven ? (int32_t)position->proven : 0;
    ret->kind = (char *)position_kind_text(position->kind);
    ret->policy.len = position->policy_bytes;
    ret->policy.data = (uint8_t *)position->policy;
}

void record_end_to_message(const char *uid, const struct record_end *end, Qzd__GameEnd *ret)
{
    qzd__game_end__init(ret);
    ret->uid = (char *)uid;
    ret->first_player_outcome = (int32_t)end->first_player_outcome;
    ret->reason = (char *)end->reason;
    ret->finished_at = end->finished_at;
    ret->plies = end->plies;
    ret->has_would_resign_ply = end->would_resign_ply >= 0;
    ret->would_resign_ply = ret->has_would_resign_ply ? (uint32_t)end->would_resign_ply : 0;
    ret->has_would_resign_side = end->would_resign_side >= 0;
    ret->would_resign_side = ret->has_would_resign_side ? (uint32_t)end->would_resign_side : 0;
}

/* Bytes of the UTF-8 character at s (RFC 3629), 0 if it is none. */
static size_t utf8_length(const uint8_t *s)
{
    if (s[0] < 0x80) {
        return 1;
    }
    size_t n = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4;
    if (n == 4 && (s[0] < 0xf0 || s[0] > 0xf4)) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] > 0x9f;
    bool too_high = s[0] == 0xf4 && s[1] > 0x8f;
    return overlong || surrogate || too_high ? 0 : n;
}

static int check_text(const char *field, const char *text, size_t min, size_t max,
                      struct error *err)
{
    if (text == NULL) {
        return error_set(err, ERROR_INVALID, "%s is missing", field);
    }
    size_t length = strlen(text);
    if (length < min || length > max) {
        return error_set(err, ERROR_INVALID, "%s has %zu characters, not %zu to %zu", field, length,
                         min, max);
    }
    for (const uint8_t *s = (const uint8_t *)text; *s != '\0';) {
        size_t n = utf8_length(s);
        if (n == 0 || *s < 0x20 || *s == 0x7f) {
            return error_set(err, ERROR_INVALID,
                             "%s holds a control character or is no UTF-8 (at byte %td)", field,
                             (const char *)s - text);
        }
        s += n;
    }
    return 0;
}

static int check_uid(const char *uid, struct error *err)
{
    if (!record_uid_valid(uid)) {
        return error_set(err, ERROR_INVALID, "uid is not 32 lower-case hex digits");
    }
    return 0;
}

int record_search_from_message(const Qzd__Search *message, struct record_search *ret,
                               struct error *err)
{
    const char *sha256 = message->net_sha256;
    if (sha256 == NULL || strlen(sha256) != RECORD_SHA256_BYTES - 1 ||
        strspn(sha256, "0123456789abcdef") != RECORD_SHA256_BYTES - 1) {
        return error_set(err, ERROR_INVALID, "search: net_sha256 is not 64 lower-case hex digits");
    }
    int r = check_text("build", message->build, 1, MAX_BUILD, err);
    r = r < 0 ? r : check_text("kernel", message->kernel, 1, MAX_BUILD, err);
    r = r < 0 ? r : check_text("settings", message->settings, 2, MAX_SETTINGS, err);
    if (r < 0) {
        return error_prefix(err, r, "search");
    }
    *ret = (struct record_search){
        .net_sha256 = sha256,
        .build = message->build,
        .kernel = message->kernel,
        .settings = message->settings,
    };
    return 0;
}

int record_start_from_message(const Qzd__GameStart *message, struct record_start *ret,
                              struct error *err)
{
    int r = check_uid(message->uid, err);
    if (r < 0) {
        return error_prefix(err, r, "start of a game");
    }
    int kind = game_kind_parse(message->kind);
    r = check_text("game", message->game, 1, MAX_NAME, err);
    r = r < 0 ? r : check_text("host", message->host, 0, MAX_HOST, err);
    r = r < 0 ? r : check_text("opening", message->opening, 0, MAX_OPENING, err);
    if (r == 0 && kind < 0) {
        r = error_set(err, ERROR_INVALID, "kind is not selfplay, match, import or human");
    }
    if (r == 0 && message->started_at < 0) {
        r = error_set(err, ERROR_INVALID, "started_at is before 1970");
    }
    if (r == 0 && message->first_side > 1) {
        r = error_set(err, ERROR_INVALID, "first_side is %u, not 0 or 1", message->first_side);
    }
    if (r < 0) {
        return error_prefix(err, r, "start of game %s", message->uid);
    }
    *ret = (struct record_start){
        .kind = (enum game_kind)kind,
        .game = message->game,
        .host = message->host,
        .worker = message->worker,
        .seed = message->seed,
        .opening = message->opening,
        .first_side = message->first_side,
        .started_at = message->started_at,
    };
    memcpy(ret->uid, message->uid, RECORD_UID_BYTES);
    return 0;
}

/* A value that may be absent (then NaN) and else lies in [min, max]. */
static int take_value(const char *field, protobuf_c_boolean has, float value, float min, float max,
                      float *ret, struct error *err)
{
    if (!has) {
        *ret = NAN;
        return 0;
    }
    if (!(value >= min - rounding && value <= max + rounding)) {
        return error_set(err, ERROR_INVALID, "%s is %g, not %g to %g", field, (double)value,
                         (double)min, (double)max);
    }
    *ret = value;
    return 0;
}

static int take_values(const Qzd__Position *message, struct record_position *ret, struct error *err)
{
    int r = 0;
#define VALUE(field, min, max)                                                         \
    r = r < 0 ? r                                                                      \
              : take_value(#field, message->has_##field, message->field, (min), (max), \
                           &ret->field, err)
    VALUE(q, -1.0F, 1.0F);
    VALUE(d, 0.0F, 1.0F);
    VALUE(best_q, -1.0F, 1.0F);
    VALUE(best_d, 0.0F, 1.0F);
    VALUE(greedy_q, -1.0F, 1.0F);
    VALUE(greedy_d, 0.0F, 1.0F);
    VALUE(played_q, -1.0F, 1.0F);
    VALUE(played_d, 0.0F, 1.0F);
    VALUE(v, -1.0F, 1.0F);
    VALUE(v_d, 0.0F, 1.0F);
    VALUE(m, 0.0F, 1e6F);
    VALUE(kld, 0.0F, 1e6F);
#undef VALUE
    return r;
}

static int take_policy(const ProtobufCBinaryData *policy, struct record_position *ret,
                       struct error *err)
{
    struct policy_entry entries[POLICY_MAX_ENTRIES];
    if (policy->len > RECORD_MAX_POLICY ||
        policy_decode(policy->data, policy->len, entries, POLICY_MAX_ENTRIES) < 0) {
        return error_set(err, ERROR_INVALID, "policy (%zu bytes) does not decode", policy->len);
    }
    ret->policy_bytes = (uint16_t)policy->len;
    if (policy->len > 0) {
        memcpy(ret->policy, policy->data, policy->len);
    }
    return 0;
}

static int take_numbers(const Qzd__Position *message, struct record_position *ret,
                        struct error *err)
{
    int kind = position_kind_parse(message->kind);
    if (message->action >= RECORD_NO_ACTION) {
        return error_set(err, ERROR_INVALID, "action is %u, above 65534", message->action);
    }
    if (message->has_best_action && message->best_action >= RECORD_NO_ACTION) {
        return error_set(err, ERROR_INVALID, "best_action is %u, above 65534",
                         message->best_action);
    }
    if (message->nodes > MAX_NODES) {
        return error_set(err, ERROR_INVALID, "nodes is %u, above %d", message->nodes, MAX_NODES);
    }
    if (message->has_proven && (message->proven < -1 || message->proven > 1)) {
        return error_set(err, ERROR_INVALID, "proven is %d, not -1, 0 or 1", message->proven);
    }
    if (kind < 0) {
        return error_set(err, ERROR_INVALID, "kind is not full, fast, forced or import");
    }
    ret->action = (uint16_t)message->action;
    ret->best_action =
        message->has_best_action ? (uint16_t)message->best_action : (uint16_t)RECORD_NO_ACTION;
    ret->nodes = message->nodes;
    ret->proven = PROVEN_NONE;
    if (message->has_proven) {
        ret->proven = (int8_t)message->proven;
    }
    ret->kind = (enum position_kind)kind;
    return 0;
}

int record_position_from_message(const Qzd__Position *message, struct record_position *ret,
                                 struct error *err)
{
    int r = check_uid(message->uid, err);
    if (r < 0) {
        return error_prefix(err, r, "position");
    }
    if (message->ply >= RECORD_MAX_PLIES) {
        return error_set(err, ERROR_INVALID, "game %s: ply is %u, above %d", message->uid,
                         message->ply, RECORD_MAX_PLIES - 1);
    }
    struct record_position position;
    memset(&position, 0, sizeof position);
    position.ply = message->ply;
    r = take_numbers(message, &position, err);
    r = r < 0 ? r : take_values(message, &position, err);
    r = r < 0 ? r : take_policy(&message->policy, &position, err);
    if (r < 0) {
        return error_prefix(err, r, "game %s, ply %u", message->uid, message->ply);
    }
    *ret = position;
    return 0;
}

static int check_end(const Qzd__GameEnd *message, struct error *err)
{
    const char *reason = message->reason == NULL ? "" : message->reason;
    if (message->first_player_outcome < -1 || message->first_player_outcome > 1) {
        return error_set(err, ERROR_INVALID, "first_player_outcome is %d, not -1, 0 or 1",
                         message->first_player_outcome);
    }
    if (strcmp(reason, "rules") != 0 && strcmp(reason, "resign") != 0 &&
        strcmp(reason, "plies") != 0) {
        return error_set(err, ERROR_INVALID, "reason is not rules, resign or plies");
    }
    if (message->finished_at < 0) {
        return error_set(err, ERROR_INVALID, "finished_at is before 1970");
    }
    if (message->plies > RECORD_MAX_PLIES) {
        return error_set(err, ERROR_INVALID, "plies is %u, above %d", message->plies,
                         RECORD_MAX_PLIES);
    }
    if (message->has_would_resign_ply != message->has_would_resign_side) {
        return error_set(err, ERROR_INVALID, "would_resign_ply and _side belong together");
    }
    if (message->has_would_resign_ply &&
        (message->would_resign_ply > message->plies || message->would_resign_side > 1)) {
        return error_set(err, ERROR_INVALID, "would_resign is ply %u of %u, side %u",
                         message->would_resign_ply, message->plies, message->would_resign_side);
    }
    return 0;
}

int record_end_from_message(const Qzd__GameEnd *message, struct record_end *ret, struct error *err)
{
    int r = check_uid(message->uid, err);
    if (r < 0) {
        return error_prefix(err, r, "end of a game");
    }
    r = check_end(message, err);
    if (r < 0) {
        return error_prefix(err, r, "end of game %s", message->uid);
    }
    *ret = (struct record_end){
        .first_player_outcome = (int8_t)message->first_player_outcome,
        .reason = message->reason,
        .finished_at = message->finished_at,
        .plies = message->plies,
        .would_resign_ply = -1,
        .would_resign_side = -1,
    };
    if (message->has_would_resign_ply) {
        ret->would_resign_ply = (int32_t)message->would_resign_ply;
        ret->would_resign_side = (int8_t)message->would_resign_side;
    }
    return 0;
}
