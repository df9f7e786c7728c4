#include "trainer/targets.h"

#include <math.h>
#include <string.h>

static const char *const q_kind_texts[] = {
    [Q_ROOT] = "root", [Q_BEST] = "best", [Q_GREEDY] = "greedy"};

const char *q_kind_text(enum q_kind kind)
{
    return q_kind_texts[kind];
}

int q_kind_parse(const char *text)
{
    for (int kind = Q_ROOT; kind <= Q_GREEDY; kind++) {
        if (strcmp(text, q_kind_texts[kind]) == 0) {
            return kind;
        }
    }
    return -1;
}

struct wdl wdl_from_qd(float q, float d)
{
    d = fminf(fmaxf(d, 0.0F), 1.0F);
    q = fminf(fmaxf(q, d - 1.0F), 1.0F - d);
    return (struct wdl){(1.0F - d + q) / 2.0F, d, (1.0F - d - q) / 2.0F};
}

struct wdl wdl_from_z(int z)
{
    return (struct wdl){z > 0 ? 1.0F : 0.0F, z == 0 ? 1.0F : 0.0F, z < 0 ? 1.0F : 0.0F};
}

struct wdl wdl_flip(struct wdl x)
{
    return (struct wdl){x.l, x.d, x.w};
}

/* (1 - share) a + share b, but a share of 0 or 1 is exactly the one of them, whatever the other is. */
static struct wdl mix(struct wdl a, float share, struct wdl b)
{
    if (share <= 0.0F) {
        return a;
    }
    if (share >= 1.0F) {
        return b;
    }
    const float rest = 1.0F - share;
    return (struct wdl){rest * a.w + share * b.w, rest * a.d + share * b.d,
                        rest * a.l + share * b.l};
}

struct wdl targets_mix(struct wdl target, float t, struct wdl teacher)
{
    return mix(target, t, teacher);
}

/* The chosen kind's q with its own d; false where the record has not both. */
static bool own_value(const struct record_position *position, enum q_kind kind, struct wdl *ret)
{
    float q = position->q;
    float d = position->d;

    switch (kind) {
    case Q_ROOT:
        break;
    case Q_BEST:
        q = position->best_q;
        d = position->best_d;
        break;
    case Q_GREEDY:
        q = position->greedy_q;
        d = position->greedy_d;
        break;
    }
    if (isnan(q) || isnan(d)) {
        return false;
    }
    *ret = wdl_from_qd(q, d);
    return true;
}

bool targets_has_q(const struct record_position *position, enum q_kind kind)
{
    struct wdl unused;
    return own_value(position, kind, &unused);
}

uint32_t targets_value(const struct store_game *game, uint32_t first_side,
                       const struct target_params *params, struct wdl *ret)
{
    const int first_z = first_side == 0 ? game->first_player_outcome : -game->first_player_outcome;
    uint32_t without_q = 0;
    /* G of the position behind the last: z from the view of its side to move */
    struct wdl g = wdl_from_z(game->n_positions % 2 == 0 ? first_z : -first_z);

    for (uint32_t i = game->n_positions; i-- > 0;) {
        const struct wdl z = wdl_from_z(i % 2 == 0 ? first_z : -first_z);
        struct wdl own;
        g = wdl_flip(g);
        if (own_value(&game->positions[i], params->q, &own)) {
            g = mix(own, params->lambda, g);
            ret[i] = mix(z, params->q_ratio, g);
        } else {
            without_q++;
            ret[i] = z;
        }
    }
    return without_q;
}
