#include "daemon/game_table.h"

#include <stdlib.h>
#include <string.h>

/* A hash table by uid (uids are random, so their digits are the hash) over one list in order of age,
 * in which the waiting ones are found by walking: a table holds tens of games a worker. */
enum { BUCKETS = 1024 };

struct game_table {
    struct active_game *buckets[BUCKETS];
    struct active_game *first, *last;
};

struct game_table *game_table_create(void)
{
    return calloc(1, sizeof(struct game_table));
}

static void game_free(struct active_game *game)
{
    free(game->opening);
    free(game->actions);
    free(game->q);
    free(game->state);
    free(game);
}

void game_table_destroy(struct game_table *table)
{
    if (table == NULL) {
        return;
    }
    for (struct active_game *game = table->first; game != NULL;) {
        struct active_game *next = game->next;
        game_free(game);
        game = next;
    }
    free(table);
}

static uint32_t bucket_of(const char *uid)
{
    uint32_t hash = 2166136261U; /* FNV-1a */

    for (; *uid != '\0'; uid++) {
        hash = (hash ^ (uint8_t)*uid) * 16777619U;
    }
    return hash % BUCKETS;
}

struct active_game *game_table_add(struct game_table *table, const char *uid, uint64_t number,
                                   int64_t seed, const char *opening)
{
    struct active_game *game = calloc(1, sizeof(*game));
    size_t length = strlen(uid);

    if (game == NULL || length >= sizeof(game->uid)) {
        free(game);
        return NULL;
    }
    memcpy(game->uid, uid, length + 1);
    game->opening = strdup(opening);
    if (game->opening == NULL) {
        free(game);
        return NULL;
    }
    game->number = number;
    game->seed = seed;
    game->worker = GAME_TABLE_WAITING;
    uint32_t bucket = bucket_of(uid);
    game->next_in_bucket = table->buckets[bucket];
    table->buckets[bucket] = game;
    game->previous = table->last;
    if (table->last != NULL) {
        table->last->next = game;
    } else {
        table->first = game;
    }
    table->last = game;
    return game;
}

struct active_game *game_table_find(const struct game_table *table, const char *uid)
{
    struct active_game *game = table->buckets[bucket_of(uid)];

    while (game != NULL && strcmp(game->uid, uid) != 0) {
        game = game->next_in_bucket;
    }
    return game;
}

int game_table_play(struct active_game *game, uint32_t ply, uint16_t action, float q)
{
    if (ply != game->n_actions) {
        return ERROR_CONFLICT;
    }
    if (game->n_actions == game->capacity) {
        uint32_t capacity = game->capacity == 0 ? 64 : 2 * game->capacity;
        uint16_t *actions = realloc(game->actions, capacity * sizeof(*actions));
        if (actions == NULL) {
            return ERROR_NO_MEMORY;
        }
        game->actions = actions;
        float *values = realloc(game->q, capacity * sizeof(*values));
        if (values == NULL) {
            return ERROR_NO_MEMORY;
        }
        game->q = values;
        game->capacity = capacity;
    }
    game->q[game->n_actions] = q;
    game->actions[game->n_actions++] = action;
    return 0;
}

struct active_game *game_table_waiting(const struct game_table *table)
{
    struct active_game *game = table->first;

    while (game != NULL && game->worker != GAME_TABLE_WAITING) {
        game = game->next;
    }
    return game;
}

void game_table_assign(struct game_table *table, struct active_game *game, uint32_t worker)
{
    (void)table;
    game->worker = worker;
}

uint32_t game_table_release(struct game_table *table, uint32_t worker)
{
    uint32_t n = 0;

    for (struct active_game *game = table->first; game != NULL; game = game->next) {
        if (game->worker == worker) {
            game->worker = GAME_TABLE_WAITING;
            n++;
        }
    }
    return n;
}

void game_table_remove(struct game_table *table, struct active_game *game)
{
    struct active_game **at = &table->buckets[bucket_of(game->uid)];

    while (*at != game) {
        at = &(*at)->next_in_bucket;
    }
    *at = game->next_in_bucket;
    if (game->previous != NULL) {
        game->previous->next = game->next;
    } else {
        table->first = game->next;
    }
    if (game->next != NULL) {
        game->next->previous = game->previous;
    } else {
        table->last = game->previous;
    }
    game_free(game);
}

uint32_t game_table_count(const struct game_table *table, uint32_t worker)
{
    uint32_t n = 0;

    for (const struct active_game *game = table->first; game != NULL; game = game->next) {
        n += game->worker == worker ? 1U : 0U;
    }
    return n;
}
