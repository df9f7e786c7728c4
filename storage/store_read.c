/* Reading games: those under way, for workers; finished ones, for windows, export and replay; and the
 * counts by which a scheduler decides. */
#include "storage/store_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- unfinished games ---- */

struct id_list {
    int64_t *ids;
    size_t n, room;
};

static int list_add(struct id_list *list, int64_t id, struct error *err)
{
    if (list->n == list->room) {
        size_t room = list->room == 0 ? 64 : 2 * list->room;
        int64_t *ids = reallocarray(list->ids, room, sizeof *ids);
        if (ids == NULL) {
            return error_set(err, ERROR_NO_MEMORY, "out of memory");
        }
        list->ids = ids;
        list->room = room;
    }
    list->ids[list->n++] = id;
    return 0;
}

/* The ids come first, so that the callback may write to the store. */
static int list_unfinished(struct store *store, struct id_list *ret, struct error *err)
{
    struct query query =
        query_begin(store, "SELECT id FROM games WHERE state = 'playing' ORDER BY id",
                    "looking for unfinished games", err);
    int r = query_step(&query);
    while (r == 1) {
        r = list_add(ret, query_column_int(&query, 0), err);
        r = r < 0 ? r : query_step(&query);
    }
    query_end(&query);
    return r;
}

static int read_actions(struct store *store, int64_t game_id, uint32_t max, uint16_t *ret,
                        uint32_t *ret_n, struct error *err)
{
    uint32_t n = 0;
    struct query query =
        query_begin(store, "SELECT action FROM positions WHERE game_id = ? ORDER BY ply",
                    "reading a game's moves", err);
    query_int(&query, game_id);
    int r = query_step(&query);
    while (r == 1) {
        if (n == max) {
            r = error_set(err, ERROR_CORRUPT, "game %lld has more positions than plies",
                          (long long)game_id);
        } else {
            ret[n++] = (uint16_t)query_column_int(&query, 0);
            r = query_step(&query);
        }
    }
    query_end(&query);
    *ret_n = n;
    return r;
}

/* Fill *ret; its strings and actions are malloced. 0 if the game has ended meanwhile, 1 if filled. */
static int read_unfinished(struct store *store, int64_t id, struct store_unfinished *ret,
                           struct error *err)
{
    struct query query =
        query_begin(store,
                    "SELECT uid, opening, first_side, seed, plies, coalesce(would_resign_ply, -1)"
                    " FROM games WHERE id = ? AND state = 'playing'",
                    "reading an unfinished game", err);
    query_int(&query, id);
    int r = query_step(&query);
    if (r != 1) {
        return r;
    }
    uint32_t plies = (uint32_t)query_column_int(&query, 4);
    uint16_t *actions = malloc((plies + 1) * sizeof *actions);
    char *opening = strdup(query_column_text(&query, 1));
    query_column_copy(&query, 0, ret->uid, sizeof ret->uid);
    ret->first_side = (uint32_t)query_column_int(&query, 2);
    ret->seed = query_column_int(&query, 3);
    ret->would_resign_ply = (int32_t)query_column_int(&query, 5);
    r = query_end(&query);
    ret->opening = opening;
    ret->actions = actions;
    if (r < 0) {
        return r;
    }
    if (actions == NULL || opening == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    r = read_actions(store, id, plies, actions, &ret->n_actions, err);
    return r < 0 ? r : 1;
}

int store_unfinished_games(struct store *store,
                           int (*each)(const struct store_unfinished *game, void *context),
                           void *context, struct error *err)
{
    struct id_list list = {0};
    int r = list_unfinished(store, &list, err);
    for (size_t i = 0; r == 0 && i < list.n; i++) {
        struct store_unfinished game = {0};
        r = read_unfinished(store, list.ids[i], &game, err);
        if (r == 1) {
            r = each(&game, context);
        }
        free((void *)game.opening);
        free((void *)game.actions);
    }
    free(list.ids);
    return r;
}

/* ---- finished games ---- */

void store_game_finish(struct store_game *game)
{
    free(game->opening);
    free(game->positions);
    free(game->net_ids);
    *game = (struct store_game){0};
}

static int read_positions(struct store *store, struct store_game *game, struct error *err)
{
    uint32_t n = 0;
    struct query query = query_begin(store,
                                     "SELECT " STORE_POSITION_COLUMNS ", s.net_id"
                                     " FROM positions p LEFT JOIN searches s ON s.id = p.search_id"
                                     " WHERE p.game_id = ? ORDER BY p.ply",
                                     "reading a game's positions", err);
    query_int(&query, game->id);
    int r = query_step(&query);
    while (r == 1) {
        r = n == game->n_positions ? ERROR_CORRUPT
                                   : store_take_position(&query, &game->positions[n]);
        if (r == ERROR_NO_MEMORY) {
            break;
        }
        if (r < 0 || game->positions[n].ply != n) {
            r = error_set(err, ERROR_CORRUPT, "game %s: the row behind ply %u is none", game->uid,
                          n);
            break;
        }
        game->net_ids[n++] = query_column_int(&query, STORE_N_POSITION_COLUMNS);
        r = query_step(&query);
    }
    query_end(&query);
    if (r == 0 && n != game->n_positions) {
        r = error_set(err, ERROR_CORRUPT, "game %s: %u positions of %u", game->uid, n,
                      game->n_positions);
    }
    return r;
}

#define GAME_COLUMNS \
    "id, seq, uid, opening, first_side, seed, first_player_outcome, held_out, plies"

/* The row at hand and its positions. What is owned is freed by the caller, also on failure. */
static int take_game(struct store *store, struct query *query, struct store_game *ret,
                     struct error *err)
{
    int64_t plies = query_column_int(query, 8);
    ret->id = query_column_int(query, 0);
    ret->seq = query_column_int(query, 1);
    query_column_copy(query, 2, ret->uid, sizeof ret->uid);
    ret->opening = strdup(query_column_text(query, 3));
    ret->first_side = (uint32_t)query_column_int(query, 4);
    ret->seed = query_column_int(query, 5);
    ret->first_player_outcome = (int8_t)query_column_int(query, 6);
    ret->held_out = query_column_int(query, 7) != 0;
    if (query->result < 0) {
        return query->result;
    }
    if (plies < 0 || plies > RECORD_MAX_PLIES) {
        return error_set(err, ERROR_CORRUPT, "game %s: %lld plies", ret->uid, (long long)plies);
    }
    ret->n_positions = (uint32_t)plies;
    ret->positions = malloc(((size_t)plies + 1) * sizeof *ret->positions);
    ret->net_ids = malloc(((size_t)plies + 1) * sizeof *ret->net_ids);
    if (ret->opening == NULL || ret->positions == NULL || ret->net_ids == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "game %s: out of memory", ret->uid);
    }
    return read_positions(store, ret, err);
}

int store_read_games(struct store *store, int64_t after_seq, int64_t last_seq, uint32_t max,
                     int (*each)(struct store_game *game, void *context), void *context,
                     struct error *err)
{
    int n = 0;
    int r = store_read_begin(store, err);
    if (r < 0) {
        return r;
    }
    struct query query = query_begin(store,
                                     "SELECT " GAME_COLUMNS " FROM games"
                                     " WHERE seq > ? AND seq <= ?"
                                     " AND kind IN ('selfplay', 'import') ORDER BY seq LIMIT ?",
                                     "reading games", err);
    query_int(&query, after_seq);
    query_int(&query, last_seq);
    query_int(&query, max);
    r = query_step(&query);
    while (r == 1) {
        struct store_game game = {0};
        r = take_game(store, &query, &game, err);
        r = r < 0 ? r : each(&game, context);
        store_game_finish(&game);
        if (r == 0) {
            n++;
            r = query_step(&query);
        }
    }
    query_end(&query);
    store_read_end(store);
    return r != 0 ? r : n;
}

int store_get_game(struct store *store, int64_t id, struct store_game *ret, struct error *err)
{
    struct store_game game = {0};
    int r = store_read_begin(store, err);
    if (r < 0) {
        return r;
    }
    struct query query =
        query_begin(store, "SELECT " GAME_COLUMNS " FROM games WHERE id = ? AND state = 'finished'",
                    "reading a game", err);
    query_int(&query, id);
    r = query_step(&query);
    if (r == 1) {
        r = take_game(store, &query, &game, err);
    } else if (r == 0) {
        r = error_set(err, ERROR_NOT_FOUND, "no finished game has id %lld", (long long)id);
    }
    query_end(&query);
    store_read_end(store);
    if (r < 0) {
        store_game_finish(&game);
        return r;
    }
    *ret = game;
    return 0;
}

/* ---- counts ---- */

int store_read_counts(struct store *store, struct store_counts *ret, struct error *err)
{
    /* Tallies and the ends of indexes only: it is asked at every turn of a scheduler. */
    struct query query = query_begin(
        store,
        "SELECT (SELECT coalesce(max(seq), 0) FROM games),"
        " (SELECT coalesce(sum(positions), 0) FROM game_tallies"
        "  WHERE kind IN ('selfplay', 'import')),"
        " (SELECT coalesce(sum(games), 0) FROM game_tallies WHERE kind IN ('selfplay', 'import')),"
        " (SELECT count(*) FROM games WHERE state = 'playing'),"
        " coalesce((SELECT all_positions FROM trainings WHERE state = 'finished'"
        "  ORDER BY id DESC LIMIT 1), 0),"
        " (SELECT coalesce(sum(samples), 0) FROM trainings WHERE state = 'finished'),"
        " coalesce((SELECT CAST(value AS INTEGER) FROM run WHERE key = 'next_game'), 0)",
        "reading counts", err);
    int r = query_step(&query);
    if (r == 1) {
        *ret = (struct store_counts){
            .last_seq = query_column_int(&query, 0),
            .positions = query_column_int(&query, 1),
            .games = query_column_int(&query, 2),
            .unfinished = query_column_int(&query, 3),
            .positions_at_training = query_column_int(&query, 4),
            .samples = query_column_int(&query, 5),
            .next_game = (uint64_t)query_column_int(&query, 6),
        };
        r = 0;
    }
    query_end(&query);
    return r;
}

int store_window(struct store *store, int64_t last_seq, int64_t positions, int64_t *ret_first_seq,
                 int64_t *ret_positions, struct error *err)
{
    int64_t first_seq = last_seq + 1;
    int64_t n = 0;
    struct query query = query_begin(store,
                                     "SELECT seq, full_positions FROM games WHERE seq <= ?"
                                     " AND kind IN ('selfplay', 'import') ORDER BY seq DESC",
                                     "looking for a window", err);
    query_int(&query, last_seq);
    int r = query_step(&query);
    while (r == 1 && n + query_column_int(&query, 1) <= positions) {
        first_seq = query_column_int(&query, 0);
        n += query_column_int(&query, 1);
        r = query_step(&query);
    }
    int ended = query_end(&query);
    if (r < 0 || ended < 0) {
        return r < 0 ? r : ended;
    }
    *ret_first_seq = first_seq;
    *ret_positions = n;
    return 0;
}
