/* The tallies behind the views, and the check that rebuilds them. All sums are integers, so neither
 * the order of games nor that of additions shows in them. */
#include "storage/store_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GAMES_A_STEP = 200 }; /* of a rebuild: some tens of milliseconds a read */

/* What one net did in one game. */
struct net_share {
    int64_t net_id;
    int64_t positions, fast_positions, proven, nodes, sum_kld;
};

struct position_row {
    int64_t net_id; /* 0 = none */
    uint32_t ply;
    enum position_kind kind;
    float q, v, kld;
    bool proven;
    int64_t z;
    int64_t nodes;
};

static int64_t millionths(double x)
{
    return llround(x * 1e6);
}

static int add_values(struct store *into, const struct position_row *row, struct error *err)
{
    if (isnan(row->q) || isnan(row->v)) {
        return 0;
    }
    struct query query = query_begin(
        into,
        "INSERT INTO value_tallies(net_id, ply, proven, n, abs_qz, q, qq, z, zz, qz, v, vv, vz)"
        " VALUES(?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET n = n + 1, abs_qz = abs_qz + excluded.abs_qz,"
        " q = q + excluded.q, qq = qq + excluded.qq, z = z + excluded.z, zz = zz + excluded.zz,"
        " qz = qz + excluded.qz, v = v + excluded.v, vv = vv + excluded.vv,"
        " vz = vz + excluded.vz",
        "adding to value_tallies", err);
    double q = (double)row->q;
    double v = (double)row->v;
    double z = (double)row->z;
    query_int(&query, row->net_id);
    query_int(&query, row->ply);
    query_int(&query, row->proven);
    query_int(&query, millionths(fabs(q - z)));
    query_int(&query, millionths(q));
    query_int(&query, millionths(q * q));
    query_int(&query, millionths(z));
    query_int(&query, millionths(z * z));
    query_int(&query, millionths(q * z));
    query_int(&query, millionths(v));
    query_int(&query, millionths(v * v));
    query_int(&query, millionths(v * z));
    return query_run(&query);
}

/* `game` is NULL but for the net that played the last position, which the game counts for. */
static int add_share(struct store *into, const struct net_share *share,
                     const struct tally_game *game, struct error *err)
{
    if (share->net_id == 0) {
        return 0;
    }
    struct query query = query_begin(
        into,
        "INSERT INTO net_tallies(net_id, games, plies, first_wins, draws, positions,"
        " fast_positions, proven, nodes, sum_kld, first_finished_at, last_finished_at)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET games = games + excluded.games,"
        " plies = plies + excluded.plies, first_wins = first_wins + excluded.first_wins,"
        " draws = draws + excluded.draws, positions = positions + excluded.positions,"
        " fast_positions = fast_positions + excluded.fast_positions,"
        " proven = proven + excluded.proven, nodes = nodes + excluded.nodes,"
        " sum_kld = sum_kld + excluded.sum_kld,"
        " first_finished_at = min(coalesce(first_finished_at, excluded.first_finished_at),"
        "                         coalesce(excluded.first_finished_at, first_finished_at)),"
        " last_finished_at = max(coalesce(last_finished_at, excluded.last_finished_at),"
        "                        coalesce(excluded.last_finished_at, last_finished_at))",
        "adding to net_tallies", err);
    query_int(&query, share->net_id);
    query_int(&query, game != NULL);
    query_int(&query, game != NULL ? game->plies : 0);
    query_int(&query, game != NULL && game->first_player_outcome == 1);
    query_int(&query, game != NULL && game->first_player_outcome == 0);
    query_int(&query, share->positions);
    query_int(&query, share->fast_positions);
    query_int(&query, share->proven);
    query_int(&query, share->nodes);
    query_int(&query, share->sum_kld);
    query_int_or_null(&query, game != NULL, game != NULL ? game->finished_at : 0);
    query_int_or_null(&query, game != NULL, game != NULL ? game->finished_at : 0);
    return query_run(&query);
}

static int add_kind(struct store *into, const struct tally_game *game, struct error *err)
{
    struct query query =
        query_begin(into,
                    "INSERT INTO game_tallies(kind, games, plies, positions) VALUES(?, 1, ?, ?)"
                    " ON CONFLICT DO UPDATE SET games = games + 1,"
                    " plies = plies + excluded.plies, positions = positions + excluded.positions",
                    "adding to game_tallies", err);
    query_text(&query, game->kind);
    query_int(&query, game->plies);
    query_int(&query, game->full_positions);
    return query_run(&query);
}

static void count_position(struct net_share *share, const struct position_row *row)
{
    if (row->kind == POSITION_FAST) {
        share->fast_positions++;
    } else if (row->kind == POSITION_FULL) {
        share->positions++;
        share->proven += row->proven;
        share->nodes += row->nodes;
        share->sum_kld += isnan(row->kld) ? 0 : millionths((double)row->kld);
    }
}

/* The next position of the game being read: 1, 0 at the end, or an error. */
static int next_row(struct query *query, struct position_row *ret)
{
    int r = query_step(query);
    if (r != 1) {
        return r;
    }
    int kind = position_kind_parse(query_column_text(query, 2));
    *ret = (struct position_row){
        .net_id = query_column_int(query, 0),
        .ply = (uint32_t)query_column_int(query, 1),
        .kind = kind < 0 ? POSITION_IMPORT : (enum position_kind)kind,
        .q = query_column_float(query, 3),
        .v = query_column_float(query, 4),
        .kld = query_column_float(query, 5),
        .proven = !query_column_null(query, 6),
        .z = query_column_int(query, 7),
        .nodes = query_column_int(query, 8),
    };
    return query->result < 0 ? query_end(query) : 1;
}

/* One position of a self-play game; a change of net ends the share of the one before. */
static int tally_position(struct store *into, struct net_share *share,
                          const struct position_row *row, struct error *err)
{
    if (row->net_id != share->net_id) {
        int r = add_share(into, share, NULL, err);
        if (r < 0) {
            return r;
        }
        *share = (struct net_share){.net_id = row->net_id};
    }
    count_position(share, row);
    return row->net_id != 0 && row->kind == POSITION_FULL ? add_values(into, row, err) : 0;
}

int store_tally_game(struct store *from, struct store *into, int64_t game_id,
                     struct tally_game *game, struct error *err)
{
    bool selfplay = strcmp(game->kind, game_kind_text(GAME_SELFPLAY)) == 0;
    struct net_share share = {0};
    struct position_row row;
    struct query query = query_begin(from,
                                     "SELECT s.net_id, p.ply, p.kind, p.q, p.v, p.kld, p.proven,"
                                     " p.z, p.nodes FROM positions p"
                                     " LEFT JOIN searches s ON s.id = p.search_id"
                                     " WHERE p.game_id = ? ORDER BY p.ply",
                                     "reading a game's positions", err);
    query_int(&query, game_id);
    game->full_positions = 0;
    int r = next_row(&query, &row);
    while (r == 1) {
        game->full_positions += row.kind == POSITION_FULL || row.kind == POSITION_IMPORT;
        r = selfplay ? tally_position(into, &share, &row, err) : 0;
        r = r < 0 ? r : next_row(&query, &row);
    }
    query_end(&query);
    r = r < 0 || !selfplay ? r : add_share(into, &share, game, err);
    return r < 0 ? r : add_kind(into, game, err);
}

/* ---- the check ---- */

/* Add at most GAMES_A_STEP games behind *seq to the tallies of `into`, and move *seq on. Returns how
 * many there were. */
static int rebuild_step(struct store *store, struct store *into, int64_t *seq, struct error *err)
{
    int n = 0;
    struct query query = query_begin(store,
                                     "SELECT seq, id, kind, plies, first_player_outcome,"
                                     " finished_at, full_positions FROM games WHERE seq > ?"
                                     " ORDER BY seq LIMIT ?",
                                     "reading games", err);
    query_int(&query, *seq);
    query_int(&query, GAMES_A_STEP);
    int r = query_step(&query);
    while (r == 1) {
        int64_t id = query_column_int(&query, 1);
        int64_t full_positions = query_column_int(&query, 6);
        struct tally_game game = {
            .plies = (uint32_t)query_column_int(&query, 3),
            .first_player_outcome = (int8_t)query_column_int(&query, 4),
            .finished_at = query_column_int(&query, 5),
        };
        query_column_copy(&query, 2, game.kind, sizeof game.kind);
        *seq = query_column_int(&query, 0);
        n++;
        r = query.result < 0 ? query.result : store_tally_game(store, into, id, &game, err);
        if (r == 0 && game.full_positions != full_positions) {
            r = error_set(err, ERROR_CORRUPT,
                          "game of seq %lld: full_positions is %lld, its rows give %u",
                          (long long)*seq, (long long)full_positions, game.full_positions);
        }
        r = r < 0 ? r : query_step(&query);
    }
    query_end(&query);
    return r < 0 ? r : n;
}

/* Name the first column that differs; the rows have equal or different keys. */
static int row_difference(struct query *stored, struct query *rebuilt, const char *table,
                          struct error *err)
{
    int n = sqlite3_column_count(stored->stmt);
    for (int i = 0; i < n; i++) {
        const char *a = query_column_text(stored, i);
        const char *b = query_column_text(rebuilt, i);
        if (stored->result < 0 || rebuilt->result < 0) {
            return ERROR_NO_MEMORY;
        }
        if (strcmp(a, b) != 0) {
            return error_set(
                err, ERROR_CORRUPT, "%s, row beginning %s: %s is %s, the rows of games give %s",
                table, query_column_text(stored, 0), sqlite3_column_name(stored->stmt, i), a, b);
        }
    }
    return 0;
}

static int compare_table(struct store *store, struct store *rebuilt, const char *table,
                         const char *sql, struct error *err)
{
    struct query there = query_begin(store, sql, table, err);
    struct query wanted = query_begin(rebuilt, sql, table, err);
    int r = 0;
    int a = 1;
    while (r == 0 && a == 1) {
        a = query_step(&there);
        int b = query_step(&wanted);
        if (a < 0 || b < 0) {
            r = a < 0 ? a : b;
        } else if (a != b) {
            struct query *more = a == 1 ? &there : &wanted;
            r = error_set(err, ERROR_CORRUPT, "%s: the row beginning %s, %s is in the %s only",
                          table, query_column_text(more, 0), query_column_text(more, 1),
                          a == 1 ? "store" : "rebuilt tallies");
        } else if (a == 1) {
            r = row_difference(&there, &wanted, table, err);
        }
    }
    query_end(&there);
    query_end(&wanted);
    return r;
}

static int compare_tables(struct store *store, struct store *rebuilt, struct error *err)
{
    int r = compare_table(store, rebuilt, "game_tallies",
                          "SELECT * FROM game_tallies ORDER BY kind", err);
    r = r < 0 ? r
              : compare_table(store, rebuilt, "net_tallies",
                              "SELECT * FROM net_tallies ORDER BY net_id", err);
    return r < 0 ? r
                 : compare_table(store, rebuilt, "value_tallies",
                                 "SELECT * FROM value_tallies ORDER BY net_id, ply, proven", err);
}

/* One pass over the rows, beside a writer and its retention. Each read is short; games that are dropped after they
 * were counted do no harm, and retention, which works from the same end, hardly ever overtakes: then ERROR_BUSY. */
static int check_once(struct store *store, struct store *rebuilt, struct error *err)
{
    int64_t seq = 0;
    int n = GAMES_A_STEP;
    bool first = true;
    int r = store_enter(rebuilt, err);
    while (r == 0 && n == GAMES_A_STEP) {
        int64_t removed_seq = 0;
        r = store_read_begin(store, err); /* short reads, so that a writer's log does not grow */
        if (r < 0) {
            break;
        }
        r = store_removed_seq(store, &removed_seq, err);
        if (r == 0 && first) {
            r = store_add_removed_tallies(store, rebuilt, err);
            seq = removed_seq;
            first = false;
        }
        if (r == 0 && removed_seq > seq) {
            r = error_set(err, ERROR_BUSY, "games were dropped faster than counted; try again");
        }
        n = r < 0 ? r : rebuild_step(store, rebuilt, &seq, err);
        if (n < 0) {
            r = n;
        } else if (n < GAMES_A_STEP) { /* all games that this read sees: now the tallies must fit */
            r = compare_tables(store, rebuilt, err);
        }
        store_read_end(store);
    }
    return r;
}

int store_check_tallies(struct store *store, struct error *err)
{
    enum { PASSES = 5 };
    int r = ERROR_BUSY;
    for (int i = 0; i < PASSES && r == ERROR_BUSY; i++) {
        struct store *rebuilt = NULL;
        r = store_open_memory(&rebuilt, err);
        if (r < 0) {
            return r;
        }
        r = check_once(store, rebuilt, err);
        store_close(rebuilt);
    }
    return r;
}
