#include "selfplay/game_slot.h"

#include "mcts/random.h"
#include "storage/policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int game_slot_init(struct game_slot *slot, const struct game *game)
{
    memset(slot, 0, sizeof *slot);
    slot->game = game;
    slot->search = search_create(game);
    slot->q = calloc(game->max_plies, sizeof *slot->q);
    if (slot->search == NULL || slot->q == NULL) {
        game_slot_finish(slot);
        return ERROR_NO_MEMORY;
    }
    return 0;
}

void game_slot_finish(struct game_slot *slot)
{
    search_destroy(slot->search);
    free(slot->q);
    free(slot->opening);
    memset(slot, 0, sizeof *slot);
}

static bool is_legal(const struct game *game, const void *state, uint16_t action)
{
    uint16_t legal[GAME_MAX_LEGAL];
    uint32_t n = game->legal(state, legal);
    for (uint32_t i = 0; i < n; i++) {
        if (legal[i] == action) {
            return true;
        }
    }
    return false;
}

/* Opening and moves onto slot->state. */
static int set_up(struct game_slot *slot, const char *uid, const char *opening, uint32_t n_actions,
                  const uint16_t *actions, struct error *err)
{
    const struct game *game = slot->game;
    const char *why = NULL;
    if (!game->init(&slot->state, opening, &why)) {
        return error_set(err, ERROR_INVALID, "game %s: \"%.100s\" is no opening of %s: %s", uid,
                         opening, game->title, why == NULL ? "" : why);
    }
    if (n_actions > game->max_plies) {
        return error_set(err, ERROR_INVALID, "game %s: %u moves; a game of %s has at most %u", uid,
                         n_actions, game->title, game->max_plies);
    }
    slot->first_side = game->side_to_move(&slot->state);
    for (uint32_t ply = 0; ply < n_actions; ply++) {
        if (!is_legal(game, &slot->state, actions[ply])) {
            return error_set(err, ERROR_INVALID, "game %s, ply %u: action %u is not legal there",
                             uid, ply, actions[ply]);
        }
        game->play(&slot->state, actions[ply]);
    }
    return 0;
}

int game_slot_start(struct game_slot *slot, const char *uid, int64_t seed, const char *opening,
                    uint32_t n_actions, const uint16_t *actions, const float *q, int64_t now,
                    struct error *err)
{
    int r = set_up(slot, uid, opening, n_actions, actions, err);
    if (r < 0) {
        return r;
    }
    char *copy = strdup(opening);
    if (copy == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "game %s: out of memory", uid);
    }
    memcpy(slot->uid, uid, RECORD_UID_BYTES);
    slot->opening = copy;
    slot->seed = seed;
    slot->started_at = now;
    slot->ply = n_actions;
    slot->searching = false;
    for (uint32_t ply = 0; ply < n_actions; ply++) {
        slot->q[ply] = q == NULL ? NAN : q[ply];
    }
    return 0;
}

void game_slot_clear(struct game_slot *slot)
{
    free(slot->opening);
    slot->opening = NULL;
    slot->searching = false;
}

bool game_slot_empty(const struct game_slot *slot)
{
    return slot->opening == NULL;
}

void game_slot_begin_move(struct game_slot *slot, const struct selfplay_settings *settings)
{
    uint64_t seed = (uint64_t)slot->seed;
    struct search_params params = settings->search;

    slot->kind = POSITION_FULL;
    if (random_uniform(seed, slot->ply, RANDOM_FAST, 0) < (double)settings->fast_share) {
        slot->kind = POSITION_FAST;
        params.nodes = selfplay_fast_nodes(settings);
        params.noise_share = 0.0F;
    }
    search_begin(slot->search, &params, &slot->state, seed, slot->ply);
    slot->searching = true;
}

static int encode_policy(const struct search_result *result, struct record_position *ret)
{
    struct policy_entry entries[GAME_MAX_LEGAL];
    for (uint32_t i = 0; i < result->n_moves; i++) {
        entries[i] = (struct policy_entry){result->moves[i].action, result->moves[i].visits};
    }
    int size = policy_encode(entries, result->n_moves, ret->policy);
    if (size < 0) {
        return size;
    }
    ret->policy_bytes = (uint16_t)size;
    return 0;
}

/* Plain copies but for the policy; only its used bytes are written, the rest of the array is left. */
static int fill_record(const struct game_slot *slot, const struct search_result *result,
                       const struct search_move *played, struct record_position *ret)
{
    ret->ply = slot->ply;
    ret->action = played->action;
    ret->best_action = result->best_action;
    ret->q = result->q;
    ret->d = result->d;
    ret->best_q = result->best_q;
    ret->best_d = result->best_d;
    ret->greedy_q = result->greedy_q;
    ret->greedy_d = result->greedy_d;
    ret->played_q = played->q;
    ret->played_d = played->d;
    ret->v = result->v;
    ret->v_d = result->v_d;
    ret->m = result->m;
    ret->nodes = result->nodes;
    ret->kld = result->kld;
    ret->proven = PROVEN_NONE;
    if (result->proven) {
        ret->proven = result->proven_value;
    }
    ret->kind = slot->kind;
    return encode_policy(result, ret);
}

int game_slot_finish_move(struct game_slot *slot, const struct selfplay_settings *settings,
                          struct record_position *ret, struct error *err)
{
    struct search_result result;
    search_result(slot->search, &result);

    float tau = temperature_at(&settings->temperature, slot->game->ply(&slot->state));
    const struct search_move *played =
        &result.moves[search_choose(&result, tau, (uint64_t)slot->seed, slot->ply)];
    int r = fill_record(slot, &result, played, ret);
    if (r < 0) {
        return error_set(err, r, "game %s, ply %u: the policy does not fit into a record",
                         slot->uid, slot->ply);
    }
    slot->q[slot->ply] = result.q;
    slot->game->play(&slot->state, played->action);
    slot->ply++;
    slot->searching = false;
    return 0;
}

/* The first ply at which the side to move had had q <= -threshold in `plies` own moves in a row, that one
 * included; -1 if there is none up to here. Sides move in turn, so own moves are two plies apart. */
static int32_t first_resignation(const struct game_slot *slot,
                                 const struct selfplay_settings *settings, uint32_t from)
{
    uint32_t run[2] = {0, 0};

    if (!(settings->resign_threshold > 0.0F)) {
        return -1;
    }
    for (uint32_t ply = from; ply < slot->ply; ply++) {
        uint32_t *own = &run[ply % 2];
        *own = slot->q[ply] <= -settings->resign_threshold ? *own + 1 : 0; /* NaN: 0 */
        if (*own >= settings->resign_plies) {
            return (int32_t)ply;
        }
    }
    return -1;
}

/* Whether the side that moved last meant to resign with that move: its last resign_plies moves alone
 * decide, whatever happened before. */
static bool resigns(const struct game_slot *slot, const struct selfplay_settings *settings)
{
    uint32_t span = 2 * settings->resign_plies - 1;
    if (slot->ply < span) {
        return false;
    }
    int32_t ply = first_resignation(slot, settings, slot->ply - span);
    return ply >= 0 && (uint32_t)ply == slot->ply - 1;
}

bool game_slot_over(const struct game_slot *slot, const struct selfplay_settings *settings,
                    struct record_end *ret)
{
    const struct game *game = slot->game;
    uint32_t to_move = game->side_to_move(&slot->state);
    int value = 0; /* for the side to move */

    if (game->over(&slot->state, &value)) {
        ret->reason = "rules";
    } else if (resigns(slot, settings) && random_uniform((uint64_t)slot->seed, 0, RANDOM_RESIGN,
                                                         0) >= (double)settings->resign_playout) {
        ret->reason = "resign";
        value = 1; /* it was the other side that resigned */
    } else if (slot->ply >= game->max_plies) {
        ret->reason = "plies";
        value = 0;
    } else {
        return false;
    }
    ret->first_player_outcome = (int8_t)(to_move == 0 ? value : -value);
    ret->plies = slot->ply;
    ret->would_resign_ply = first_resignation(slot, settings, 0);
    ret->would_resign_side = -1;
    if (ret->would_resign_ply >= 0) {
        ret->would_resign_side = (int8_t)((slot->first_side + (uint32_t)ret->would_resign_ply) % 2);
    }
    return true;
}
