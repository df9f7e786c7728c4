/* One table names every field of a record and of which kind it is; both ways of comparing walk it. */
#include "selfplay/replay_compare.h"

#include "storage/policy.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

const struct replay_tolerance replay_tolerance_default = {.net = 1e-3, .search = 0.05};

enum field_type { FIELD_REAL, FIELD_ACTION, FIELD_COUNT, FIELD_PROVEN, FIELD_KIND, FIELD_POLICY };

/* Which comparison holds where another build or kernel recorded. */
enum field_rule {
    RULE_SAME,   /* does not depend on the net's bits */
    RULE_NET,    /* the net's word on the root */
    RULE_VALUE,  /* the root's value */
    RULE_PROVEN, /* two proofs cannot contradict each other */
    RULE_NONE,   /* hangs on which way the search went */
};

struct field {
    const char *name;
    enum field_type type;
    enum field_rule rule;
    size_t offset;
};

#define AT(member) offsetof(struct record_position, member)

static const struct field fields[] = {
    {"kind", FIELD_KIND, RULE_SAME, AT(kind)},
    {"v", FIELD_REAL, RULE_NET, AT(v)},
    {"v_d", FIELD_REAL, RULE_NET, AT(v_d)},
    {"m", FIELD_REAL, RULE_NET, AT(m)},
    {"policy", FIELD_POLICY, RULE_NONE, AT(policy)},
    {"nodes", FIELD_COUNT, RULE_NONE, AT(nodes)},
    {"q", FIELD_REAL, RULE_VALUE, AT(q)},
    {"d", FIELD_REAL, RULE_VALUE, AT(d)},
    {"best_q", FIELD_REAL, RULE_NONE, AT(best_q)},
    {"best_d", FIELD_REAL, RULE_NONE, AT(best_d)},
    {"greedy_q", FIELD_REAL, RULE_NONE, AT(greedy_q)},
    {"greedy_d", FIELD_REAL, RULE_NONE, AT(greedy_d)},
    {"played_q", FIELD_REAL, RULE_NONE, AT(played_q)},
    {"played_d", FIELD_REAL, RULE_NONE, AT(played_d)},
    {"kld", FIELD_REAL, RULE_NONE, AT(kld)},
    {"proven", FIELD_PROVEN, RULE_PROVEN, AT(proven)},
    {"best_action", FIELD_ACTION, RULE_NONE, AT(best_action)},
    {"action", FIELD_ACTION, RULE_NONE, AT(action)},
};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };

struct policy {
    int n; /* or an error's code */
    struct policy_entry entries[POLICY_MAX_ENTRIES];
};

static float real_of(const struct field *field, const struct record_position *position)
{
    float value;
    memcpy(&value, (const char *)position + field->offset, sizeof value);
    return value;
}

static void unpack(const struct record_position *position, struct policy *ret)
{
    ret->n =
        policy_decode(position->policy, position->policy_bytes, ret->entries, POLICY_MAX_ENTRIES);
}

/* The first entry in which they differ; n of both where they do not. */
static int first_other(const struct policy *a, const struct policy *b)
{
    int n = a->n < b->n ? a->n : b->n;
    for (int i = 0; i < n; i++) {
        if (a->entries[i].action != b->entries[i].action ||
            a->entries[i].visits != b->entries[i].visits) {
            return i;
        }
    }
    return n < 0 ? 0 : n;
}

static bool same_policy(const struct record_position *a, const struct record_position *b)
{
    struct policy x;
    struct policy y;
    unpack(a, &x);
    unpack(b, &y);
    return x.n >= 0 && x.n == y.n && first_other(&x, &y) == x.n;
}

static bool same_real(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool same_field(const struct field *field, const struct record_position *a,
                       const struct record_position *b)
{
    switch (field->type) {
    case FIELD_REAL:
        return same_real(real_of(field, a), real_of(field, b));
    case FIELD_ACTION:
        return memcmp((const char *)a + field->offset, (const char *)b + field->offset,
                      sizeof(uint16_t)) == 0;
    case FIELD_COUNT:
        return a->nodes == b->nodes;
    case FIELD_PROVEN:
        return a->proven == b->proven;
    case FIELD_KIND:
        return a->kind == b->kind;
    case FIELD_POLICY:
        return same_policy(a, b);
    }
    return false;
}

static bool near(float a, float b, double tolerance)
{
    return same_real(a, b) ||
           fabs((double)a - (double)b) <= tolerance; /* false where one of them is NaN */
}

static bool close_field(const struct field *field, const struct record_position *a,
                        const struct record_position *b, const struct replay_tolerance *tolerance)
{
    bool a_proven = a->proven != PROVEN_NONE;
    bool b_proven = b->proven != PROVEN_NONE;
    switch (field->rule) {
    case RULE_SAME:
        return same_field(field, a, b);
    case RULE_NET:
        return near(real_of(field, a), real_of(field, b), tolerance->net);
    case RULE_VALUE:
        return a_proven != b_proven ||
               near(real_of(field, a), real_of(field, b), tolerance->search);
    case RULE_PROVEN:
        return !a_proven || !b_proven || a->proven == b->proven;
    case RULE_NONE:
        return true;
    }
    return false;
}

static void action_text(uint16_t action, char ret[REPLAY_VALUE_TEXT])
{
    if (action == RECORD_NO_ACTION) {
        snprintf(ret, REPLAY_VALUE_TEXT, "none");
    } else {
        snprintf(ret, REPLAY_VALUE_TEXT, "%u", action);
    }
}

/* The visits of the first move in which the policies differ. */
static void policy_text(const struct record_position *position, const struct record_position *other,
                        char ret[REPLAY_VALUE_TEXT])
{
    struct policy mine;
    struct policy its;
    unpack(position, &mine);
    unpack(other, &its);
    int at = first_other(&mine, &its);
    if (mine.n < 0) {
        snprintf(ret, REPLAY_VALUE_TEXT, "damaged bytes");
    } else if (at >= mine.n) {
        snprintf(ret, REPLAY_VALUE_TEXT, "%d moves", mine.n);
    } else {
        snprintf(ret, REPLAY_VALUE_TEXT, "action %u: %u visits", mine.entries[at].action,
                 mine.entries[at].visits);
    }
}

static void value_text(const struct field *field, const struct record_position *position,
                       const struct record_position *other, char ret[REPLAY_VALUE_TEXT])
{
    uint16_t action;
    switch (field->type) {
    case FIELD_REAL:
        snprintf(ret, REPLAY_VALUE_TEXT, "%.9g", (double)real_of(field, position));
        break;
    case FIELD_ACTION:
        memcpy(&action, (const char *)position + field->offset, sizeof action);
        action_text(action, ret);
        break;
    case FIELD_COUNT:
        snprintf(ret, REPLAY_VALUE_TEXT, "%u", position->nodes);
        break;
    case FIELD_PROVEN:
        if (position->proven == PROVEN_NONE) {
            snprintf(ret, REPLAY_VALUE_TEXT, "none");
        } else {
            snprintf(ret, REPLAY_VALUE_TEXT, "%d", position->proven);
        }
        break;
    case FIELD_KIND:
        snprintf(ret, REPLAY_VALUE_TEXT, "%s", position_kind_text(position->kind));
        break;
    case FIELD_POLICY:
        policy_text(position, other, ret);
        break;
    }
}

enum replay_verdict replay_compare(const struct record_position *recorded,
                                   const struct record_position *replayed,
                                   const struct replay_tolerance *tolerance, replay_say *say,
                                   void *context)
{
    bool same[N_FIELDS];
    bool identical = true;
    bool close = true;

    for (size_t i = 0; i < N_FIELDS; i++) {
        same[i] = same_field(&fields[i], recorded, replayed);
        identical = identical && same[i];
        if (tolerance != NULL) {
            same[i] = close_field(&fields[i], recorded, replayed, tolerance);
        }
        close = close && same[i];
    }
    if (identical || close) {
        return identical ? REPLAY_IDENTICAL : REPLAY_CLOSE;
    }
    for (size_t i = 0; i < N_FIELDS; i++) {
        char a[REPLAY_VALUE_TEXT];
        char b[REPLAY_VALUE_TEXT];
        if (!same[i]) {
            value_text(&fields[i], recorded, replayed, a);
            value_text(&fields[i], replayed, recorded, b);
            say(fields[i].name, a, b, context);
        }
    }
    return REPLAY_DIFFERENT;
}
