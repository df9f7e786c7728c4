#include "daemon/game_rules.h"

#include "storage/policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The state behind the known moves is kept with the game and brought forward from where it was. */
static int bring_forward(struct active_game *active, const struct game *game, struct error *err)
{
    const char *why = NULL;
    uint16_t legal[GAME_MAX_LEGAL];

    if (active->state == NULL) {
        active->state = malloc(sizeof(union game_state));
        active->n_played = 0;
        if (active->state == NULL) {
            return error_set(err, ERROR_NO_MEMORY, "out of memory");
        }
        if (!game->init(active->state, active->opening, &why)) {
            return error_set(err, ERROR_INVALID, "its opening \"%.32s\" is %s", active->opening,
                             why);
        }
    }
    while (active->n_played < active->n_actions) {
        uint16_t action = active->actions[active->n_played];
        uint32_t n = game->legal(active->state, legal);
        bool is_legal = false;
        for (uint32_t i = 0; i < n; i++) {
            is_legal = is_legal || legal[i] == action;
        }
        if (!is_legal) {
            return error_set(err, ERROR_INVALID, "ply %u: its move %u is not legal",
                             active->n_played, action);
        }
        game->play(active->state, action);
        active->n_played++;
    }
    return 0;
}

static bool contains(const uint16_t *legal, uint32_t n, uint32_t action)
{
    for (uint32_t i = 0; i < n; i++) {
        if (legal[i] == action) {
            return true;
        }
    }
    return false;
}

static int check_start(const struct active_game *active, const struct game *game, const char *kind,
                       const Qzd__GameStart *start, struct error *err)
{
    union game_state state;
    const char *why = NULL;

    if (strcmp(start->game, game->name) != 0 || strcmp(start->kind, kind) != 0 ||
        start->seed != active->seed || strcmp(start->opening, active->opening) != 0) {
        return error_set(
            err, ERROR_INVALID,
            "its start speaks of another game (%.16s, %.16s, seed %lld, opening \"%.32s\")",
            start->kind, start->game, (long long)start->seed, start->opening);
    }
    if (!game->init(&state, active->opening, &why)) {
        return error_set(err, ERROR_INVALID, "its opening \"%.32s\" is %s", active->opening, why);
    }
    if (start->first_side != game->side_to_move(&state)) {
        return error_set(err, ERROR_INVALID, "its start says that side %u is to move",
                         start->first_side);
    }
    return 0;
}

int game_rules_start(struct active_game *active, const struct game *game,
                     const Qzd__GameStart *start, struct error *err)
{
    return check_start(active, game, "selfplay", start, err);
}

int game_rules_position(struct active_game *active, const struct game *game,
                        const Qzd__Position *position, struct error *err)
{
    struct policy_entry entries[POLICY_MAX_ENTRIES];
    uint16_t legal[GAME_MAX_LEGAL];
    int r = bring_forward(active, game, err);

    if (r < 0) {
        return r;
    }
    if (position->ply != active->n_actions) {
        return error_set(err, ERROR_CONFLICT, "ply %u does not follow %u known moves",
                         position->ply, active->n_actions);
    }
    uint32_t n = game->legal(active->state, legal);
    if (!contains(legal, n, position->action)) {
        return error_set(err, ERROR_INVALID, "ply %u: move %u is not legal there", position->ply,
                         position->action);
    }
    int n_entries =
        policy_decode(position->policy.data, position->policy.len, entries, POLICY_MAX_ENTRIES);
    for (int i = 0; i < n_entries; i++) {
        if (!contains(legal, n, entries[i].action)) {
            return error_set(err, ERROR_INVALID, "ply %u: visits of move %u, which is not legal",
                             position->ply, entries[i].action);
        }
    }
    return n_entries < 0 ? error_set(err, ERROR_INVALID, "ply %u: a policy that does not decode",
                                     position->ply)
                         : 0;
}

int game_rules_end(struct active_game *active, const struct game *game, const Qzd__GameEnd *end,
                   struct error *err)
{
    int value = 0;
    int r = bring_forward(active, game, err);

    if (r < 0) {
        return r;
    }
    if (end->plies != active->n_actions) {
        return error_set(err, ERROR_INVALID, "its end speaks of %u plies, %u are known", end->plies,
                         active->n_actions);
    }
    bool over = game->over(active->state, &value);
    bool by_rules = strcmp(end->reason, "rules") == 0;
    int outcome = game->side_to_move(active->state) == 0 ? value : -value;
    if ((by_rules && !over) || (over && outcome != end->first_player_outcome)) {
        return error_set(err, ERROR_INVALID,
                         "it ends by \"%.16s\" with %d, which the rules do not say", end->reason,
                         end->first_player_outcome);
    }
    return 0;
}

/* ---- matches ---- */
static int check_moves(struct active_game *active, const struct game *game, const Qzd__Game *played,
                       struct error *err)
{
    int r = 0;

    for (size_t i = 0; i < played->n_positions && r >= 0; i++) {
        const Qzd__Position *position = played->positions[i];
        r = game_rules_position(active, game, position, err);
        if (r >= 0 && game_table_play(active, position->ply, (uint16_t)position->action, NAN) < 0) {
            r = error_set(err, ERROR_NO_MEMORY, "out of memory");
        }
    }
    r = r < 0 ? r : game_rules_end(active, game, played->end, err);
    if (r >= 0 && strcmp(played->end->reason, "rules") != 0) {
        r = error_set(err, ERROR_INVALID, "it ends by \"%.16s\"", played->end->reason);
    }
    return r;
}

static int check_match_game(const struct game *game, const Qzd__Game *played, const char *opening,
                            struct error *err)
{
    struct game_table *table = game_table_create();
    struct active_game *active = NULL;
    int r;

    if (table != NULL && strlen(played->start->uid) == RECORD_UID_BYTES - 1) {
        active = game_table_add(table, played->start->uid, 0, played->start->seed, opening);
    }
    if (active == NULL) {
        r = error_set(err, ERROR_INVALID, "a game without a name, or out of memory");
    } else {
        r = check_start(active, game, "match", played->start, err);
        r = r < 0 ? r : check_moves(active, game, played, err);
    }
    game_table_destroy(table);
    return r;
}

int game_rules_pair(const struct game *game, const Qzd__MatchPair *pair, struct error *err)
{
    if (pair->n_games != 2 || pair->n_half_points != 2 || pair->n_fingerprints != 2 ||
        pair->games[0]->start == NULL || pair->games[1]->start == NULL ||
        pair->games[0]->end == NULL || pair->games[1]->end == NULL) {
        return error_set(err, ERROR_INVALID, "pair %u is not two games", pair->pair);
    }
    for (int k = 0; k < 2; k++) {
        const Qzd__Game *played = pair->games[k];
        int r = check_match_game(game, played, pair->games[0]->start->opening, err);
        if (r < 0) {
            return error_prefix(err, r, "pair %u, game %d", pair->pair, k + 1);
        }
        const int outcome = played->end->first_player_outcome;
        /* The side that moves first behind the opening is net a's in game 0, net b's in game 1. */
        const bool a_is_first = (played->start->first_side == 0) == (k == 0);
        if ((int)pair->half_points[k] != 1 + (a_is_first ? outcome : -outcome)) {
            return error_set(err, ERROR_INVALID,
                             "pair %u, game %d: %u half points for an outcome of %d", pair->pair,
                             k + 1, pair->half_points[k], outcome);
        }
    }
    return 0;
}
