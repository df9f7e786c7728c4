/* One self-play game: its state, its search, and what is remembered of the moves so far. It knows
 * nothing of nets, batches and sinks; the worker drives its search between game_slot_begin_move() and
 * game_slot_finish_move(). Everything that it decides is a function of (settings, game so far, seed,
 * ply), so a game that was interrupted goes on as if it had not been. */
#ifndef SELFPLAY_GAME_SLOT_H
#define SELFPLAY_GAME_SLOT_H

#include "mcts/search.h"
#include "selfplay/settings.h"
#include "storage/record.h"

struct game_slot {
    const struct game *game;
    struct search *search;  /* kept from game to game: its arena has grown already */
    union game_state state; /* now */
    char uid[RECORD_UID_BYTES];
    char *opening; /* owned; NULL: no game here */
    int64_t seed;
    int64_t started_at;      /* Unix ms */
    uint32_t first_side;     /* to move behind the opening */
    uint32_t ply;            /* moves played behind the opening */
    float *q;                /* [game->max_plies]: root q of the moves so far, NaN = not known */
    bool searching;          /* a search for the next move has begun */
    enum position_kind kind; /* of that search */
};

/* Memory of the caller. ERROR_NO_MEMORY. */
int game_slot_init(struct game_slot *slot, const struct game *game);
void game_slot_finish(struct game_slot *slot); /* also of a zeroed slot */

/* Set up a game behind n_actions moves. q[n_actions] may be NULL (not known). ERROR_INVALID (opening or
 * action is none, or it is longer than the game allows) or ERROR_NO_MEMORY leave the slot empty. */
int game_slot_start(struct game_slot *slot, const char *uid, int64_t seed, const char *opening,
                    uint32_t n_actions, const uint16_t *actions, const float *q, int64_t now,
                    struct error *err);
void game_slot_clear(struct game_slot *slot); /* the game is done: the slot is empty again */
bool game_slot_empty(const struct game_slot *slot);

/* Begin the search for the next move, from an empty tree. */
void game_slot_begin_move(struct game_slot *slot, const struct selfplay_settings *settings);
/* The search is done: choose a move, fill in its record, play it. ERROR_CORRUPT if the policy has no
 * room in a record. */
int game_slot_finish_move(struct game_slot *slot, const struct selfplay_settings *settings,
                          struct record_position *ret, struct error *err);

/* Whether the game has ended: by the rules, by length, or because the side that moved last resigned
 * with that move. If so fill everything of *ret but finished_at. */
bool game_slot_over(const struct game_slot *slot, const struct selfplay_settings *settings,
                    struct record_end *ret);

#endif
