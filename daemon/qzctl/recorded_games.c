#include "daemon/qzctl/recorded_games.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- statements ---- */

static int prepare(struct store *store, const char *sql, int64_t argument, sqlite3_stmt **ret,
                   struct error *err)
{
    sqlite3 *db = store_handle(store);
    if (sqlite3_prepare_v2(db, sql, -1, ret, NULL) != SQLITE_OK ||
        sqlite3_bind_int64(*ret, 1, argument) != SQLITE_OK) {
        int r = error_set(err, ERROR_IO, "%s", sqlite3_errmsg(db));
        sqlite3_finalize(*ret);
        *ret = NULL;
        return r;
    }
    return 0;
}

/* 1 for a row, 0 at the end. */
static int step(sqlite3_stmt *statement, struct error *err)
{
    switch (sqlite3_step(statement)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    default:
        return error_set(err, ERROR_IO, "%s", sqlite3_errmsg(sqlite3_db_handle(statement)));
    }
}

static const char *text_of(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text == NULL ? "" : (const char *)text;
}

static int integer_or(sqlite3_stmt *statement, int column, int otherwise)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? otherwise
               : sqlite3_column_int(statement, column);
}

/* ---- searches ---- */

static int take_search(sqlite3_stmt *statement, int64_t id, struct recorded_search *ret,
                       struct replay_search *replay, struct error *err)
{
    *ret = (struct recorded_search){.id = id,
                                    .net_id = sqlite3_column_int64(statement, 0),
                                    .generation = sqlite3_column_int64(statement, 1),
                                    .net_file = strdup(text_of(statement, 3)),
                                    .net_removed = strcmp(text_of(statement, 4), "removed") == 0,
                                    .build = strdup(text_of(statement, 5)),
                                    .kernel = strdup(text_of(statement, 6))};
    snprintf(ret->net_sha256, sizeof ret->net_sha256, "%s", text_of(statement, 2));
    if (ret->net_file == NULL || ret->build == NULL || ret->kernel == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    int r = selfplay_settings_parse(text_of(statement, 7), &replay->settings, err);
    return r < 0 ? error_prefix(err, r, "search %lld", (long long)id) : 0;
}

static int add_search(struct store *store, struct recorded_games *games, int64_t id,
                      struct error *err)
{
    sqlite3_stmt *statement = NULL;
    size_t n = games->n_searches + 1;
    struct recorded_search *searches = reallocarray(games->searches, n, sizeof *searches);
    if (searches != NULL) {
        games->searches = searches;
    }
    struct replay_search *replay = reallocarray(games->replay_searches, n, sizeof *replay);
    if (replay != NULL) {
        games->replay_searches = replay;
    }
    if (searches == NULL || replay == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    int r = prepare(store,
                    "SELECT n.id, n.generation, n.sha256, n.file, n.state, s.build, s.kernel,"
                    " s.settings FROM searches s JOIN nets n ON n.id = s.net_id WHERE s.id = ?",
                    id, &statement, err);
    if (r == 0) {
        r = step(statement, err);
    }
    if (r == 0) {
        r = error_set(err, ERROR_CORRUPT, "no search has id %lld", (long long)id);
    }
    if (r == 1) {
        r = take_search(statement, id, &searches[n - 1], &replay[n - 1], err);
        games->n_searches++; /* also where it failed: it is freed with the others */
    }
    sqlite3_finalize(statement);
    return r;
}

/* Index of the search; read when it is first met. Neighbouring positions mostly share one. */
static int find_search(struct store *store, struct recorded_games *games, int64_t id, uint32_t *ret,
                       struct error *err)
{
    for (uint32_t i = games->n_searches; i > 0; i--) {
        if (games->searches[i - 1].id == id) {
            *ret = i - 1;
            return 0;
        }
    }
    *ret = games->n_searches;
    return add_search(store, games, id, err);
}

/* ---- games ---- */

static int read_searches(struct store *store, struct recorded_games *games,
                         struct recorded_game *game, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    uint32_t n = 0;
    int r = prepare(store, "SELECT search_id, z FROM positions WHERE game_id = ? ORDER BY ply",
                    game->game.id, &statement, err);
    while (r == 0 && (r = step(statement, err)) == 1) {
        if (n == game->game.n_positions) {
            r = error_set(err, ERROR_CORRUPT, "game %s has more positions than plies",
                          game->game.uid);
            break;
        }
        game->searches[n] = UINT32_MAX;
        game->z[n] = (int8_t)sqlite3_column_int(statement, 1);
        r = 0;
        if (sqlite3_column_type(statement, 0) != SQLITE_NULL) {
            r = find_search(store, games, sqlite3_column_int64(statement, 0), &game->searches[n],
                            err);
        }
        if (r == 0) {
            n++;
        }
    }
    sqlite3_finalize(statement);
    return r;
}

static int read_end(struct store *store, struct recorded_game *game, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    int r = prepare(store,
                    "SELECT kind, game, reason, plies, first_player_outcome, would_resign_ply,"
                    " would_resign_side FROM games WHERE id = ?",
                    game->game.id, &statement, err);
    if (r == 0) {
        r = step(statement, err);
    }
    if (r == 0) {
        r = error_set(err, ERROR_NOT_FOUND, "game %lld is gone", (long long)game->game.id);
    }
    if (r == 1) {
        snprintf(game->kind, sizeof game->kind, "%s", text_of(statement, 0));
        snprintf(game->title, sizeof game->title, "%s", text_of(statement, 1));
        snprintf(game->reason, sizeof game->reason, "%s", text_of(statement, 2));
        game->end =
            (struct record_end){.plies = (uint32_t)sqlite3_column_int(statement, 3),
                                .first_player_outcome = (int8_t)sqlite3_column_int(statement, 4),
                                .would_resign_ply = integer_or(statement, 5, -1),
                                .would_resign_side = (int8_t)integer_or(statement, 6, -1)};
        r = 0;
    }
    sqlite3_finalize(statement);
    return r;
}

static int read_game(struct store *store, int64_t id, struct recorded_games *games,
                     struct error *err)
{
    struct recorded_game *game = &games->games[games->n];
    int r = store_get_game(store, id, &game->game, err);
    if (r < 0) {
        return r;
    }
    games->n++; /* from here on it is freed with the others */
    game->searches = calloc(game->game.n_positions + 1, sizeof *game->searches);
    game->z = calloc(game->game.n_positions + 1, sizeof *game->z);
    if (game->searches == NULL || game->z == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    r = read_searches(store, games, game, err);
    return r < 0 ? r : read_end(store, game, err);
}

int recorded_games_read(struct store *store, const int64_t *ids, uint32_t n,
                        struct recorded_games *ret, struct error *err)
{
    *ret = (struct recorded_games){.games = calloc(n + 1, sizeof *ret->games)};
    int r = ret->games == NULL ? error_set(err, ERROR_NO_MEMORY, "out of memory") : 0;
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        r = read_game(store, ids[i], ret, err);
    }
    for (uint32_t i = 0; r == 0 && i < ret->n_searches; i++) {
        ret->replay_searches[i].net_sha256 = ret->searches[i].net_sha256; /* moved no more */
    }
    return r;
}

void recorded_games_finish(struct recorded_games *games)
{
    for (uint32_t i = 0; i < games->n; i++) {
        store_game_finish(&games->games[i].game);
        free(games->games[i].searches);
        free(games->games[i].z);
    }
    for (uint32_t i = 0; i < games->n_searches; i++) {
        free(games->searches[i].net_file);
        free(games->searches[i].build);
        free(games->searches[i].kernel);
    }
    free(games->games);
    free(games->searches);
    free(games->replay_searches);
    *games = (struct recorded_games){0};
}

struct replay_game recorded_games_replay(const struct recorded_games *games, uint32_t i)
{
    const struct recorded_game *game = &games->games[i];
    struct replay_game replay = {.uid = game->game.uid,
                                 .opening = game->game.opening,
                                 .first_side = game->game.first_side,
                                 .seed = game->game.seed,
                                 .ended = true,
                                 .n_positions = game->game.n_positions,
                                 .positions = game->game.positions,
                                 .searches = game->searches,
                                 .z = game->z,
                                 .end = game->end};
    replay.end.reason = game->reason;
    return replay;
}
