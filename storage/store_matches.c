#include "storage/store_matches.h"

#include "storage/store_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void store_match_finish(struct store_match *match)
{
    free(match->settings);
    *match = (struct store_match){0};
}

/* ---- begin and end ---- */
static int insert_match(struct store *store, const struct store_match *match, int64_t *ret_id,
                        struct error *err)
{
    struct query query = query_begin(store,
                                     "INSERT INTO matches(net_a, net_b, purpose, nodes,"
                                     " planned_pairs, started_at, settings, pairs, wins, draws,"
                                     " losses, distinct_games) VALUES(?,?,?,?,?,?,?,0,0,0,0,0)",
                                     "beginning a match", err);
    query_int(&query, match->net_a);
    query_int(&query, match->net_b);
    query_text(&query, match->gate ? "gate" : "rating");
    query_int(&query, match->nodes);
    query_int(&query, match->planned_pairs);
    query_int(&query, match->started_at);
    query_text(&query, match->settings);
    int r = query_run(&query);
    if (r == 0) {
        *ret_id = sqlite3_last_insert_rowid(store->db);
    }
    return r;
}

int store_begin_match(struct store *store, const struct store_match *match, int64_t *ret_id,
                      struct error *err)
{
    int64_t id = 0;
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    r = store_leave(store, insert_match(store, match, &id, err), 1, err);
    if (r == 0) {
        *ret_id = id;
    }
    return r;
}

int store_find_match(struct store *store, int64_t net_a, int64_t net_b, struct store_match *ret,
                     struct error *err)
{
    struct query query =
        query_begin(store,
                    "SELECT id, net_a, net_b, purpose = 'gate', nodes, planned_pairs, pairs,"
                    " started_at, settings, finished_at IS NOT NULL FROM matches"
                    " WHERE (net_a = ?1 AND net_b = ?2) OR (net_a = ?2 AND net_b = ?1)"
                    " ORDER BY finished_at IS NOT NULL, id LIMIT 1",
                    "looking for a match", err);
    query_int(&query, net_a);
    query_int(&query, net_b);
    int r = query_step(&query);
    if (r == 0) {
        return error_set(err, ERROR_NOT_FOUND, "nets %lld and %lld have not met", (long long)net_a,
                         (long long)net_b);
    }
    if (r < 0) {
        return r;
    }
    bool ended = query_column_int(&query, 9) != 0;
    struct store_match match = {.id = query_column_int(&query, 0),
                                .net_a = query_column_int(&query, 1),
                                .net_b = query_column_int(&query, 2),
                                .gate = query_column_int(&query, 3) != 0,
                                .nodes = (uint32_t)query_column_int(&query, 4),
                                .planned_pairs = (uint32_t)query_column_int(&query, 5),
                                .pairs = (uint32_t)query_column_int(&query, 6),
                                .started_at = query_column_int(&query, 7)};
    match.settings = ended ? NULL : strdup(query_column_text(&query, 8));
    r = query_end(&query);
    if (r == 0 && !ended && match.settings == NULL) {
        r = error_set(err, ERROR_NO_MEMORY, "match %lld: out of memory", (long long)match.id);
    }
    if (r < 0 || ended) {
        store_match_finish(&match);
        return r;
    }
    *ret = match;
    return 1;
}

static int end_match(struct store *store, int64_t match_id, const char *verdict, double llr,
                     int64_t finished_at, struct error *err)
{
    struct query query = query_begin(store,
                                     "UPDATE matches SET finished_at = ?, verdict = ?, llr = ?"
                                     " WHERE id = ? AND finished_at IS NULL",
                                     "ending a match", err);
    query_int(&query, finished_at);
    query_text(&query, verdict);
    query_real(&query, llr);
    query_int(&query, match_id);
    int r = query_run(&query);
    return r < 0 ? r : sqlite3_changes(store->db) > 0 ? STORE_ADDED : STORE_KNOWN;
}

int store_end_match(struct store *store, int64_t match_id, const char *verdict, double llr,
                    int64_t finished_at, struct error *err)
{
    int r = store_enter(store, err);
    return r < 0 ? r
                 : store_leave(store, end_match(store, match_id, verdict, llr, finished_at, err), 1,
                               err);
}

/* ---- pairs ---- */
static int put_game(struct store *store, const struct store_match_game *game, int64_t *ret_id,
                    struct error *err)
{
    int r = store_put_start(store, &game->start, 0, err);
    for (uint32_t ply = 0; r >= 0 && ply < game->end.plies; ply++) {
        r = store_put_position(store, game->start.uid, &game->search[ply % 2],
                               &game->positions[ply], err);
    }
    r = r < 0 ? r : store_put_end(store, game->start.uid, &game->end, err);
    if (r < 0) {
        return r;
    }
    struct query query =
        query_begin(store, "SELECT id FROM games WHERE uid = ?", "looking for a game", err);
    query_text(&query, game->start.uid);
    r = query_step(&query);
    if (r == 1) {
        *ret_id = query_column_int(&query, 0);
    }
    return query_end(&query);
}

/* 0: the pair is the next one; STORE_KNOWN: it is there already. */
static int look_at_pair(struct store *store, int64_t match_id, const struct store_pair *pair,
                        struct error *err)
{
    struct query query = query_begin(store,
                                     "SELECT m.pairs, m.finished_at IS NULL,"
                                     " p.first_half_points, p.second_half_points,"
                                     " p.first_fingerprint, p.second_fingerprint, p.pair IS NULL"
                                     " FROM matches m LEFT JOIN match_pairs p"
                                     " ON p.match_id = m.id AND p.pair = ?2 WHERE m.id = ?1",
                                     "looking for a pair", err);
    query_int(&query, match_id);
    query_int(&query, pair->pair);
    int r = query_step(&query);
    if (r <= 0) {
        return r < 0 ? r
                     : error_set(err, ERROR_NOT_FOUND, "the store has no match %lld",
                                 (long long)match_id);
    }
    int64_t next = query_column_int(&query, 0);
    bool open = query_column_int(&query, 1) != 0;
    bool is_new = query_column_int(&query, 6) != 0;
    bool same = !is_new && query_column_int(&query, 2) == pair->half_points[0] &&
                query_column_int(&query, 3) == pair->half_points[1] &&
                (uint64_t)query_column_int(&query, 4) == pair->fingerprints[0] &&
                (uint64_t)query_column_int(&query, 5) == pair->fingerprints[1];
    r = query_end(&query);
    if (r < 0 || same) {
        return r < 0 ? r : STORE_KNOWN;
    }
    if (!is_new) {
        return error_set(err, ERROR_CONFLICT, "the store has pair %u with another result",
                         pair->pair);
    }
    if (!open || next != pair->pair) {
        return error_set(err, ERROR_INVALID, "%s pair %u comes",
                         open ? "another pair is due, but" : "the match has ended, but",
                         pair->pair);
    }
    return 0;
}

static int insert_pair(struct store *store, int64_t match_id, const struct store_pair *pair,
                       const char *opening, const int64_t game_ids[2], struct error *err)
{
    struct query query = query_begin(store,
                                     "INSERT INTO match_pairs(match_id, pair, opening,"
                                     " first_half_points, second_half_points, first_game,"
                                     " second_game, first_fingerprint, second_fingerprint)"
                                     " VALUES(?,?,?,?,?,?,?,?,?)",
                                     "adding a pair", err);
    query_int(&query, match_id);
    query_int(&query, pair->pair);
    query_text(&query, opening);
    query_int(&query, pair->half_points[0]);
    query_int(&query, pair->half_points[1]);
    query_int(&query, game_ids[0]);
    query_int(&query, game_ids[1]);
    query_int(&query, (int64_t)pair->fingerprints[0]);
    query_int(&query, (int64_t)pair->fingerprints[1]);
    return query_run(&query);
}

static int count_pair(struct store *store, int64_t match_id, const struct store_pair *pair,
                      struct error *err)
{
    int n[3] = {0};
    n[pair->half_points[0]]++;
    n[pair->half_points[1]]++;
    struct query query =
        query_begin(store,
                    "UPDATE matches SET pairs = pairs + 1, wins = wins + ?2, draws = draws + ?3,"
                    " losses = losses + ?4, distinct_games = (SELECT count(*) FROM"
                    " (SELECT first_fingerprint FROM match_pairs WHERE match_id = ?1 UNION"
                    "  SELECT second_fingerprint FROM match_pairs WHERE match_id = ?1))"
                    " WHERE id = ?1",
                    "counting a pair", err);
    query_int(&query, match_id);
    query_int(&query, n[2]);
    query_int(&query, n[1]);
    query_int(&query, n[0]);
    return query_run(&query);
}

static int put_pair(struct store *store, int64_t match_id, const struct store_pair *pair,
                    const struct store_match_game games[2], struct error *err)
{
    int64_t game_ids[2] = {0};
    if (pair->half_points[0] > 2 || pair->half_points[1] > 2) {
        return error_set(err, ERROR_INVALID, "a game has 0, 1 or 2 half points");
    }
    int r = look_at_pair(store, match_id, pair, err);
    if (r != 0) {
        return r;
    }
    for (int i = 0; r == 0 && i < 2; i++) {
        r = put_game(store, &games[i], &game_ids[i], err);
    }
    if (r == 0) {
        r = insert_pair(store, match_id, pair, games[0].start.opening, game_ids, err);
    }
    return r < 0 ? r : count_pair(store, match_id, pair, err);
}

int store_put_pair(struct store *store, int64_t match_id, const struct store_pair *pair,
                   const struct store_match_game games[2], struct error *err)
{
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    r = put_pair(store, match_id, pair, games, err);
    if (r < 0) {
        error_prefix(err, r, "match %lld, pair %u", (long long)match_id, pair->pair);
    }
    return store_leave(store, r, r == STORE_ADDED, err);
}

int store_read_pairs(struct store *store, int64_t match_id,
                     int (*each)(const struct store_pair *pair, void *context), void *context,
                     struct error *err)
{
    struct query query =
        query_begin(store,
                    "SELECT pair, first_half_points, second_half_points, first_fingerprint,"
                    " second_fingerprint FROM match_pairs WHERE match_id = ? ORDER BY pair",
                    "reading a match's pairs", err);
    query_int(&query, match_id);
    int r = query_step(&query);
    while (r == 1) {
        const struct store_pair pair = {
            .pair = (uint32_t)query_column_int(&query, 0),
            .half_points = {(uint32_t)query_column_int(&query, 1),
                            (uint32_t)query_column_int(&query, 2)},
            .fingerprints = {(uint64_t)query_column_int(&query, 3),
                             (uint64_t)query_column_int(&query, 4)},
        };
        r = each(&pair, context);
        if (r != 0) {
            break;
        }
        r = query_step(&query);
    }
    int ended = query_end(&query);
    return r != 0 ? r : ended;
}

/* ---- nets ---- */
static int set_state(struct store *store, int64_t net_id, const char *state, struct error *err)
{
    int r = 0;
    if (strcmp(state, "current") == 0) {
        struct query old = query_begin(store,
                                       "UPDATE nets SET state = 'old' WHERE state = 'current'"
                                       " AND line = (SELECT line FROM nets WHERE id = ?1)"
                                       " AND id <> ?1",
                                       "replacing the current net", err);
        query_int(&old, net_id);
        r = query_run(&old);
    }
    if (r < 0) {
        return r;
    }
    struct query query =
        query_begin(store, "UPDATE nets SET state = ? WHERE id = ?", "setting a net's state", err);
    query_text(&query, state);
    query_int(&query, net_id);
    r = query_run(&query);
    if (r == 0 && sqlite3_changes(store->db) == 0) {
        r = error_set(err, ERROR_NOT_FOUND, "no net has id %lld", (long long)net_id);
    }
    return r;
}

int store_set_net_state(struct store *store, int64_t net_id, const char *state, struct error *err)
{
    int r = store_enter(store, err);
    return r < 0 ? r : store_leave(store, set_state(store, net_id, state, err), 1, err);
}

int store_trained_net(struct store *store, const char *line, struct store_net *ret,
                      struct error *err)
{
    struct query query = query_begin(store,
                                     "SELECT id FROM nets WHERE line = ? AND state <> 'removed'"
                                     " ORDER BY id DESC LIMIT 1",
                                     "looking for the newest net", err);
    query_text(&query, line);
    int r = query_step(&query);
    if (r <= 0) {
        return r < 0 ? r : error_set(err, ERROR_NOT_FOUND, "line %s has no net", line);
    }
    int64_t id = query_column_int(&query, 0);
    r = query_end(&query);
    return r < 0 ? r : store_get_net(store, id, ret, err);
}

/* ---- ratings ---- */
int store_read_results(struct store *store, uint32_t nodes,
                       int (*each)(const struct store_result *result, void *context), void *context,
                       struct error *err)
{
    struct query query =
        query_begin(store,
                    "SELECT net_a, net_b,"
                    " sum(first_half_points + second_half_points = 0),"
                    " sum(first_half_points + second_half_points = 1),"
                    " sum(first_half_points + second_half_points = 2),"
                    " sum(first_half_points + second_half_points = 3),"
                    " sum(first_half_points + second_half_points = 4)"
                    " FROM matches JOIN match_pairs ON match_id = matches.id"
                    " WHERE nodes = ? AND finished_at IS NOT NULL AND verdict <> 'refused'"
                    " GROUP BY net_a, net_b ORDER BY net_a, net_b",
                    "reading results", err);
    query_int(&query, nodes);
    int r = query_step(&query);
    while (r == 1) {
        struct store_result result = {.net_a = query_column_int(&query, 0),
                                      .net_b = query_column_int(&query, 1)};
        for (int k = 0; k < 5; k++) {
            result.pairs[k] = (uint64_t)query_column_int(&query, 2 + k);
        }
        r = each(&result, context);
        if (r != 0) {
            break;
        }
        r = query_step(&query);
    }
    int ended = query_end(&query);
    return r != 0 ? r : ended;
}

static int put_ratings(struct store *store, const struct store_rating *ratings, size_t n,
                       int64_t at, struct error *err)
{
    struct query clear = query_begin(store, "DELETE FROM ratings", "clearing ratings", err);
    int r = query_run(&clear);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct query query = query_begin(
            store, "INSERT INTO ratings(net_id, elo, error, games, at) VALUES(?,?,?,?,?)",
            "adding a rating", err);
        query_int(&query, ratings[i].net_id);
        query_real(&query, ratings[i].elo);
        query_real(&query, ratings[i].error);
        query_int(&query, (int64_t)ratings[i].games);
        query_int(&query, at);
        r = query_run(&query);
    }
    return r;
}

int store_put_ratings(struct store *store, const struct store_rating *ratings, size_t n, int64_t at,
                      struct error *err)
{
    int r = store_enter(store, err);
    return r < 0
               ? r
               : store_leave(store, put_ratings(store, ratings, n, at, err), (uint32_t)n + 1, err);
}
