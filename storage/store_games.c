/* Putting games: start, positions in order, end. Everything may come twice (a worker's pipe and a
 * broker both repeat), so each put first looks at what is there. */
#include "storage/store_internal.h"

#include <math.h>
#include <string.h>

/* What decides about a put. */
struct game_row {
    int64_t id;
    uint32_t plies; /* the next position's ply */
    uint32_t first_side;
    enum { PLAYING, FINISHED, ABANDONED } state;
    char kind[16];
};

static int find_game(struct store *store, const char *uid, struct game_row *ret, struct error *err)
{
    struct query query =
        query_begin(store, "SELECT id, plies, first_side, state, kind FROM games WHERE uid = ?",
                    "looking for a game", err);
    query_text(&query, uid);
    int r = query_step(&query);
    if (r < 0) {
        return r;
    }
    if (r == 0) {
        return error_set(err, ERROR_NOT_FOUND, "game %.40s is not in the store", uid);
    }
    char state[16];
    query_column_copy(&query, 3, state, sizeof state);
    ret->id = query_column_int(&query, 0);
    ret->plies = (uint32_t)query_column_int(&query, 1);
    ret->first_side = (uint32_t)query_column_int(&query, 2);
    query_column_copy(&query, 4, ret->kind, sizeof ret->kind);
    ret->state = strcmp(state, "playing") == 0    ? PLAYING
                 : strcmp(state, "finished") == 0 ? FINISHED
                                                  : ABANDONED;
    return query_end(&query);
}

/* ---- start ---- */

/* 1 if the game is there and the same, 0 if it is not there. */
static int compare_start(struct store *store, const struct record_start *start, struct error *err)
{
    struct query query = query_begin(store,
                                     "SELECT kind, game, host, worker, seed, opening, first_side,"
                                     " started_at FROM games WHERE uid = ?",
                                     "looking for a game", err);
    query_text(&query, start->uid);
    int r = query_step(&query);
    if (r <= 0) {
        return r;
    }
    bool same = strcmp(query_column_text(&query, 0), game_kind_text(start->kind)) == 0 &&
                strcmp(query_column_text(&query, 1), start->game) == 0 &&
                strcmp(query_column_text(&query, 2), start->host) == 0 &&
                query_column_int(&query, 3) == start->worker &&
                query_column_int(&query, 4) == start->seed &&
                strcmp(query_column_text(&query, 5), start->opening) == 0 &&
                query_column_int(&query, 6) == start->first_side &&
                query_column_int(&query, 7) == start->started_at;
    r = query_end(&query);
    return r < 0  ? r
           : same ? 1
                  : error_set(err, ERROR_CONFLICT,
                              "game %s: the store has another game of this uid", start->uid);
}

static int put_start(struct store *store, const struct record_start *start,
                     uint32_t held_out_one_in, struct error *err)
{
    int r = compare_start(store, start, err);
    if (r != 0) {
        return r < 0 ? r : STORE_KNOWN;
    }
    struct query query = query_begin(store,
                                     "INSERT INTO games(uid, kind, game, host, worker, seed,"
                                     " opening, first_side, started_at, plies, state, held_out)"
                                     " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 'playing', ?)",
                                     "adding a game", err);
    query_text(&query, start->uid);
    query_text(&query, game_kind_text(start->kind));
    query_text(&query, start->game);
    query_text(&query, start->host);
    query_int(&query, start->worker);
    query_int(&query, start->seed);
    query_text(&query, start->opening);
    query_int(&query, start->first_side);
    query_int(&query, start->started_at);
    query_int(&query, record_uid_held_out(start->uid, held_out_one_in));
    r = query_run(&query);
    return r < 0 ? error_prefix(err, r, "game %s", start->uid) : STORE_ADDED;
}

int store_put_start(struct store *store, const struct record_start *start, uint32_t held_out_one_in,
                    struct error *err)
{
    if (!record_uid_valid(start->uid)) {
        return error_set(err, ERROR_INVALID, "\"%.40s\" is no uid (32 lower-case hex digits)",
                         start->uid);
    }
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    r = put_start(store, start, held_out_one_in, err);
    return store_leave(store, r, r == STORE_ADDED, err);
}

/* ---- positions ---- */

int store_take_position(struct query *query, struct record_position *ret)
{
    ret->ply = (uint32_t)query_column_int(query, 0);
    ret->action = (uint16_t)query_column_int(query, 1);
    ret->best_action = query_column_null(query, 2) ? (uint16_t)RECORD_NO_ACTION
                                                   : (uint16_t)query_column_int(query, 2);
    float *const values[] = {&ret->q,        &ret->d,        &ret->best_q,   &ret->best_d,
                             &ret->greedy_q, &ret->greedy_d, &ret->played_q, &ret->played_d,
                             &ret->v,        &ret->v_d,      &ret->m};
    for (int i = 0; i < (int)(sizeof values / sizeof values[0]); i++) {
        *values[i] = query_column_float(query, 3 + i);
    }
    ret->nodes = (uint32_t)query_column_int(query, 14);
    ret->kld = query_column_float(query, 15);
    ret->proven = PROVEN_NONE;
    if (!query_column_null(query, 16)) {
        ret->proven = (int8_t)query_column_int(query, 16);
    }
    int kind = position_kind_parse(query_column_text(query, 17));
    size_t policy_bytes = 0;
    const void *policy = query_column_blob(query, 18, &policy_bytes);
    if (query->result < 0) {
        return query->result;
    }
    if (kind < 0 || policy_bytes > RECORD_MAX_POLICY || (policy == NULL && policy_bytes > 0)) {
        return ERROR_CORRUPT;
    }
    ret->kind = (enum position_kind)kind;
    ret->policy_bytes = (uint16_t)policy_bytes;
    if (policy_bytes > 0) {
        memcpy(ret->policy, policy, policy_bytes);
    }
    return 0;
}

/* The position is there already: STORE_KNOWN if it is this one. */
static int compare_position(struct store *store, const struct game_row *game,
                            const struct record_search *search,
                            const struct record_position *position, struct error *err)
{
    struct query query =
        query_begin(store,
                    "SELECT " STORE_POSITION_COLUMNS ", nets.sha256, s.build, s.kernel, s.settings"
                    " FROM positions p LEFT JOIN searches s ON s.id = p.search_id"
                    " LEFT JOIN nets ON nets.id = s.net_id WHERE p.game_id = ? AND p.ply = ?",
                    "reading a position", err);
    query_int(&query, game->id);
    query_int(&query, position->ply);
    int r = query_step(&query);
    if (r < 0) {
        return r;
    }
    struct record_position there;
    bool same = r == 1 && store_take_position(&query, &there) == 0 &&
                record_position_equal(&there, position) &&
                query_column_null(&query, STORE_N_POSITION_COLUMNS) == (search == NULL);
    if (same && search != NULL) {
        const char *const parts[] = {search->net_sha256, search->build, search->kernel,
                                     search->settings};
        for (int i = 0; i < 4; i++) {
            same = same &&
                   strcmp(parts[i], query_column_text(&query, STORE_N_POSITION_COLUMNS + i)) == 0;
        }
    }
    r = query_end(&query);
    return r < 0  ? r
           : same ? STORE_KNOWN
                  : error_set(err, ERROR_CONFLICT, "the store has this ply with other content");
}

static int insert_position(struct store *store, const struct game_row *game, int64_t search_id,
                           const struct record_position *position, struct error *err)
{
    struct query query =
        query_begin(store,
                    "INSERT INTO positions(game_id, search_id, ply, action, best_action, q, d,"
                    " best_q, best_d, greedy_q, greedy_d, played_q, played_d, v, v_d, m, nodes,"
                    " kld, proven, kind, policy)"
                    " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    "adding a position", err);
    query_int(&query, game->id);
    query_int_or_null(&query, search_id != 0, search_id);
    query_int(&query, position->ply);
    query_int(&query, position->action);
    query_int_or_null(&query, position->best_action != RECORD_NO_ACTION, position->best_action);
    const float values[] = {position->q,        position->d,        position->best_q,
                            position->best_d,   position->greedy_q, position->greedy_d,
                            position->played_q, position->played_d, position->v,
                            position->v_d,      position->m};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        query_real(&query, (double)values[i]);
    }
    query_int(&query, position->nodes);
    query_real(&query, (double)position->kld);
    query_int_or_null(&query, position->proven != PROVEN_NONE, position->proven);
    query_text(&query, position_kind_text(position->kind));
    query_blob(&query, position->policy, position->policy_bytes);
    return query_run(&query);
}

static int put_position(struct store *store, const char *uid, const struct record_search *search,
                        const struct record_position *position, struct error *err)
{
    struct game_row game = {0};
    int64_t search_id = 0;
    int r = find_game(store, uid, &game, err);
    if (r < 0) {
        return r;
    }
    if (position->ply < game.plies) {
        return compare_position(store, &game, search, position, err);
    }
    if (game.state != PLAYING) {
        return error_set(err, ERROR_INVALID, "the game is over after %u plies", game.plies);
    }
    if (position->ply > game.plies || position->ply >= RECORD_MAX_PLIES) {
        return error_set(err, ERROR_INVALID, "out of order: the store waits for ply %u",
                         game.plies);
    }
    if (search != NULL) {
        r = store_search_id(store, search, &search_id, err);
    }
    r = r < 0 ? r : insert_position(store, &game, search_id, position, err);
    if (r < 0) {
        return r;
    }
    struct query query =
        query_begin(store, "UPDATE games SET plies = ? WHERE id = ?", "counting a position", err);
    query_int(&query, position->ply + 1);
    query_int(&query, game.id);
    r = query_run(&query);
    return r < 0 ? r : STORE_ADDED;
}

int store_put_position(struct store *store, const char *uid, const struct record_search *search,
                       const struct record_position *position, struct error *err)
{
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    r = put_position(store, uid, search, position, err);
    if (r < 0) {
        error_prefix(err, r, "game %.40s, ply %u", uid, position->ply);
    }
    return store_leave(store, r, r == STORE_ADDED, err);
}

/* ---- end ---- */

static int compare_end(struct store *store, const struct game_row *game,
                       const struct record_end *end, struct error *err)
{
    struct query query =
        query_begin(store,
                    "SELECT first_player_outcome, reason, finished_at, plies,"
                    " coalesce(would_resign_ply, -1), coalesce(would_resign_side, -1)"
                    " FROM games WHERE id = ?",
                    "reading a game", err);
    query_int(&query, game->id);
    int r = query_step(&query);
    if (r < 0) {
        return r;
    }
    bool same = r == 1 && query_column_int(&query, 0) == end->first_player_outcome &&
                strcmp(query_column_text(&query, 1), end->reason) == 0 &&
                query_column_int(&query, 2) == end->finished_at &&
                query_column_int(&query, 3) == end->plies &&
                query_column_int(&query, 4) == end->would_resign_ply &&
                query_column_int(&query, 5) == end->would_resign_side;
    r = query_end(&query);
    return r < 0  ? r
           : same ? STORE_KNOWN
                  : error_set(err, ERROR_CONFLICT, "the store has another end of this game");
}

/* z of every position: the outcome seen by the side to move there. Sides take turns; who is first to
 * move depends on the opening. */
static int set_z(struct store *store, const struct game_row *game, int outcome, struct error *err)
{
    struct query query =
        query_begin(store,
                    "UPDATE positions SET z = CASE WHEN (ply + ?1) % 2 = 0 THEN ?2 ELSE -?2 END"
                    " WHERE game_id = ?3",
                    "setting z", err);
    query_int(&query, game->first_side);
    query_int(&query, outcome);
    query_int(&query, game->id);
    return query_run(&query);
}

static int finish_row(struct store *store, const struct game_row *game,
                      const struct record_end *end, uint32_t full_positions, struct error *err)
{
    struct query query =
        query_begin(store,
                    "UPDATE games SET state = 'finished',"
                    " seq = (SELECT coalesce(max(seq), 0) + 1 FROM games), full_positions = ?,"
                    " first_player_outcome = ?, reason = ?, finished_at = ?,"
                    " would_resign_ply = ?, would_resign_side = ? WHERE id = ?",
                    "finishing a game", err);
    query_int(&query, full_positions);
    query_int(&query, end->first_player_outcome);
    query_text(&query, end->reason);
    query_int(&query, end->finished_at);
    query_int_or_null(&query, end->would_resign_ply >= 0, end->would_resign_ply);
    query_int_or_null(&query, end->would_resign_side >= 0, end->would_resign_side);
    query_int(&query, game->id);
    return query_run(&query);
}

static int put_end(struct store *store, const char *uid, const struct record_end *end,
                   struct error *err)
{
    struct game_row game = {0};
    int r = find_game(store, uid, &game, err);
    if (r < 0) {
        return r;
    }
    if (game.state == FINISHED) {
        return compare_end(store, &game, end, err);
    }
    if (game.state == ABANDONED) {
        return error_set(err, ERROR_INVALID, "the game was abandoned");
    }
    if (end->plies != game.plies) {
        return error_set(err, ERROR_INVALID, "it ends after %u plies, the store has %u positions",
                         end->plies, game.plies);
    }
    struct tally_game tally = {
        .plies = end->plies,
        .first_player_outcome = end->first_player_outcome,
        .finished_at = end->finished_at,
    };
    memcpy(tally.kind, game.kind, sizeof tally.kind);
    r = set_z(store, &game, end->first_player_outcome, err);
    r = r < 0 ? r : store_tally_game(store, store, game.id, &tally, err);
    r = r < 0 ? r : finish_row(store, &game, end, tally.full_positions, err);
    return r < 0 ? r : STORE_ADDED;
}

int store_put_end(struct store *store, const char *uid, const struct record_end *end,
                  struct error *err)
{
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    r = put_end(store, uid, end, err);
    if (r < 0) {
        error_prefix(err, r, "end of game %.40s", uid);
    }
    return store_leave(store, r, r == STORE_ADDED, err);
}

static int abandon(struct store *store, const char *uid, struct error *err)
{
    struct game_row game = {0};
    int r = find_game(store, uid, &game, err);
    if (r < 0) {
        return r;
    }
    if (game.state == FINISHED) {
        return error_set(err, ERROR_INVALID, "game %.40s is finished", uid);
    }
    struct query query = query_begin(store, "UPDATE games SET state = 'abandoned' WHERE id = ?",
                                     "abandoning a game", err);
    query_int(&query, game.id);
    return query_run(&query);
}

int store_abandon_game(struct store *store, const char *uid, struct error *err)
{
    int r = store_enter(store, err);
    return r < 0 ? r : store_leave(store, abandon(store, uid, err), 1, err);
}
