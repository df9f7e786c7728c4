/* The games in play, as the daemon knows them: enough to hand each to another worker when its own dies,
 * and to resume them after a restart. Games belong to a worker or wait. Not thread-safe. */
#ifndef DAEMON_GAME_TABLE_H
#define DAEMON_GAME_TABLE_H

#include "storage/record.h"

#include <stdbool.h>
#include <stdint.h>

enum { GAME_TABLE_WAITING = UINT32_MAX };

struct active_game {
    char uid[RECORD_UID_BYTES];
    uint64_t number; /* of the run; 0: not known any more (begun before a restart) */
    int64_t seed;
    char *opening;
    uint32_t worker; /* or GAME_TABLE_WAITING */
    bool started;    /* its start has been written or is on its way */
    uint32_t n_actions, capacity;
    uint16_t *actions;
    float *q; /* root q of each, NaN = not known */
    void *
        state; /* behind the first n_played of them (daemon/game_rules.h), malloced; NULL: not yet asked */
    uint32_t n_played;
    struct active_game *next_in_bucket, *previous, *next; /* the table's own */
};

struct game_table;

struct game_table *game_table_create(void); /* NULL: out of memory */
void game_table_destroy(struct game_table *table);
/* A new waiting game, younger than the others. NULL: out of memory. */
struct active_game *game_table_add(struct game_table *table, const char *uid, uint64_t number,
                                   int64_t seed, const char *opening);
struct active_game *game_table_find(const struct game_table *table, const char *uid);
/* Note a move at `ply`. 0; ERROR_CONFLICT: not the next one; ERROR_NO_MEMORY. */
int game_table_play(struct active_game *game, uint32_t ply, uint16_t action, float q);
/* The game that has waited longest, NULL: none waits. */
struct active_game *game_table_waiting(const struct game_table *table);
void game_table_assign(struct game_table *table, struct active_game *game, uint32_t worker);
/* All games of a worker wait again, oldest first. Returns how many. */
uint32_t game_table_release(struct game_table *table, uint32_t worker);
void game_table_remove(struct game_table *table, struct active_game *game);
uint32_t game_table_count(const struct game_table *table,
                          uint32_t worker); /* of a worker, or waiting */

#endif
