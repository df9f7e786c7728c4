/* Recorded games played again: every recorded position is searched anew with the net, the settings, the seed and
 * the game so far that its record names, and every number of the new record is compared with the old one. A record
 * is a pure function of these (selfplay/worker.h), so positions may be searched in any order: those of many
 * games that share a net and settings go side by side, whatever happened between their plies (a kill, another
 * net, another setting). If every position's action is the recorded one, the game as a whole is.
 *
 * The end is judged by the settings of the last move. A game whose end alone was lost in a kill, and which
 * ended again under other resign settings, therefore differs from its replay.
 *
 * It reads no store and no clock: records and nets are handed in. Not thread-safe. */
#ifndef SELFPLAY_REPLAY_H
#define SELFPLAY_REPLAY_H

#include "mcts/game.h"
#include "selfplay/replay_compare.h"
#include "selfplay/settings.h"
#include "storage/record.h"
#include "trainer/net/net.h"

#include <stdbool.h>
#include <stdint.h>

struct kernel;

/* The circumstances of a search, shared by many positions. */
struct replay_search {
    const char *net_sha256;
    struct selfplay_settings settings;
    const struct kernel
        *kernel; /* to search again by; NULL: the one that the environment chooses */
    bool bits;   /* compare bit for bit: this very build recorded it, by this kernel */
};

/* A recorded game. Everything is borrowed. */
struct replay_game {
    const char *uid; /* for messages */
    const char *opening;
    uint32_t first_side;
    int64_t seed;
    bool ended; /* else z and end are not looked at */
    uint32_t n_positions;
    const struct record_position *positions; /* by ply, from 0 */
    const uint32_t *searches;                /* [n_positions] indices of searches */
    const int8_t *z;                         /* [n_positions] */
    struct record_end end;                   /* finished_at is not looked at */
};

enum { REPLAY_WHOLE_GAME = -1 };

struct replay_difference { /* lent */
    uint32_t game;         /* its index */
    int32_t ply;           /* REPLAY_WHOLE_GAME: of the game, not of a position */
    const char *field;     /* as the store's column */
    const char *recorded, *replayed;
};

struct replay_callbacks {
    /* Bring the net; the replay destroys it. A failure ends the replay. Nets come one after another, each once
     * for each kernel in a replay_run(). */
    int (*net)(const char *sha256, struct net **ret, void *context, struct error *err);
    void (*difference)(const struct replay_difference *difference, void *context);
    /* Asked before each batch: false stops with ERROR_CANCELLED. May be NULL. */
    bool (*go_on)(uint64_t done, uint64_t positions, void *context);
    void *context;
};

struct replay_counts { /* added up over calls */
    uint64_t games, games_identical, games_close, games_different;
    uint64_t positions, identical, close, different;
    uint64_t evaluations;
};

struct replay;

/* lanes: searches side by side, >= 1. The tolerance is for positions whose search is not marked `bits`. */
int replay_create(const struct game *game, uint32_t lanes, size_t cache_entries,
                  const struct replay_tolerance *tolerance, struct replay **ret, struct error *err);
void replay_destroy(struct replay *replay); /* NULL is allowed */

/* Play n games again. Counts are added to *counts. 0, also where differences were found, or an error (a net that
 * does not come, no memory, a search's index that is none). */
int replay_run(struct replay *replay, const struct replay_search *searches, uint32_t n_searches,
               const struct replay_game *games, uint32_t n,
               const struct replay_callbacks *callbacks, struct replay_counts *counts,
               struct error *err);

#endif
