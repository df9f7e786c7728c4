/* A match: pairs of games between two nets, each pair from one opening with both colours, so that what the
 * opening is worth falls out. Every move is a search without noise, and the best move is played; what
 * makes games differ is their opening (selfplay/opening.h: opening_list, in an order drawn for these two nets,
 * whoever of them is named first). A pair is a pure function of (both nets, settings, its number), so a
 * match goes on where it stopped.
 *
 * Searches start from an empty tree, as those of self-play do: with the cache a kept subtree saves next to
 * nothing, and a match's game replays by the same rule as any other. Not thread-safe. */
#ifndef SELFPLAY_MATCH_H
#define SELFPLAY_MATCH_H

#include "selfplay/rating.h"
#include "selfplay/settings.h"
#include "storage/record.h"
#include "trainer/net/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MATCH_SIDE_BY_SIDE = 8
}; /* pairs in play: a kill loses no more; larger batches gain little */

struct match_side { /* borrowed for the call */
    const struct net *net;
    const char *sha256;
};

struct match_params {
    const struct game *game;
    struct match_side a, b;
    struct selfplay_settings settings; /* as match_settings() makes them */
    uint32_t first_pair;               /* those before are known already */
    uint32_t n_pairs;                  /* in all; at most match_max_pairs() */
    size_t cache_entries;              /* for each net */
    const char *host, *build;          /* for the records */
    int64_t (*now)(void);              /* Unix ms, for the records */
};

/* Those settings of self-play less all chance: no noise, no temperature, no fast searches, no resignation. */
struct selfplay_settings match_settings(const struct selfplay_settings *settings, uint32_t nodes);
/* How many openings the game has: no match of two nets has more pairs. ERROR_NO_MEMORY. */
int match_max_pairs(const struct game *game, uint32_t *ret, struct error *err);

/* A finished game, lent. Records are those of self-play (storage/record.h), kind match. */
struct match_game {
    struct record_start start;
    struct record_search search[2];          /* of even plies, of odd plies */
    const struct record_position *positions; /* [end.plies] */
    struct record_end end;
    uint64_t fingerprint; /* equal games (or mirror images) have equal ones, from the opening on */
};
struct match_pair {
    uint32_t pair;
    uint32_t points;            /* half points of net a: 0 .. 4 */
    struct match_game games[2]; /* in the first net a moves first behind the opening */
};
/* False ends the match: it returns 0. */
typedef bool match_take(const struct match_pair *pair, void *context);

/* Play pairs first_pair .. n_pairs - 1 and hand them out in this order, all that began before it. should_stop
 * (may be NULL) is asked between batches: ERROR_CANCELLED. ERROR_INVALID: a net of another game, too
 * many pairs. */
int match_play(const struct match_params *params, match_take *take, void *take_context,
               bool (*should_stop)(void *context), void *context, struct error *err);

/* ---- counting ---- */
struct match_tally {
    struct pentanomial pairs;
    uint64_t wins, draws, losses; /* games, net a's view */
    uint64_t distinct;            /* games that differ from all others */
    uint64_t *fingerprints;       /* [distinct], ascending; owned */
    size_t room;
};
/* half points of net a in the first and the second game: 0, 1 or 2 each. ERROR_NO_MEMORY leaves it as it was. */
int match_tally_add(struct match_tally *tally, const uint32_t half_points[2],
                    const uint64_t fingerprints[2]);
void match_tally_finish(struct match_tally *tally); /* also of a zeroed one */
/* The half points of net a in the pair's first and second game. */
void match_pair_points(const struct match_pair *pair, uint32_t ret_half_points[2]);

#endif
