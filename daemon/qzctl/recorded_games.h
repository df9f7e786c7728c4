/* Games of a store with everything that a replay needs: records, searches, ends. */
#ifndef DAEMON_RECORDED_GAMES_H
#define DAEMON_RECORDED_GAMES_H

#include "selfplay/replay.h"
#include "storage/store.h"

#include <limits.h>

struct recorded_search {
    int64_t id;
    int64_t net_id;
    int64_t generation;
    char net_sha256[RECORD_SHA256_BYTES];
    char *net_file; /* relative to the state directory */
    bool net_removed;
    char *build;
    char *kernel;
    uint64_t positions; /* of the games read */
};

struct recorded_game {
    struct store_game game;
    char kind[16];
    char title[32]; /* games.game: "connect4" */
    char reason[16];
    uint32_t *searches; /* [n_positions] indices; UINT32_MAX: an imported position */
    int8_t *z;          /* [n_positions] */
    struct record_end end;
};

/* Some games; their searches, each once. */
struct recorded_games {
    uint32_t n;
    struct recorded_game *games;
    uint32_t n_searches;
    struct recorded_search *searches;
    struct replay_search
        *replay_searches; /* [n_searches]; `kernel` and `bits` are for the caller to set */
};

/* Read finished games by id, each in a short read transaction. ERROR_NOT_FOUND: one is not there, or not finished;
 * ERROR_INVALID: search settings that this program does not know. *ret is finished by the caller, also on failure. */
int recorded_games_read(struct store *store, const int64_t *ids, uint32_t n,
                        struct recorded_games *ret, struct error *err);
void recorded_games_finish(struct recorded_games *games);
/* The i-th game as the replay takes it: everything is borrowed. */
struct replay_game recorded_games_replay(const struct recorded_games *games, uint32_t i);

#endif
