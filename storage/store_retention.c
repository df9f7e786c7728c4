/* Retention. The oldest finished games go, in the order of seq, a few at a time; what they added to the
 * tallies moves to the removed_* tables in the same savepoint, so the check that rebuilds the tallies from
 * rows still holds. What the newest training drew from stays, and all that came behind: windows only move
 * forward, so no later one needs what is before it. The file shrinks by incremental vacuum, which moves
 * its last pages into the holes. */
#include "storage/store_internal.h"

#include "storage/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    VACUUM_PAGES = 16,  /* between looks at the clock */
    WITH_RETENTION = 4, /* user_version that has the removed_* tables */
};

/* ---- removed tallies ---- */
#define GAME_ROW(table)                                                                          \
    "INSERT INTO " table "(kind, games, plies, positions) VALUES(?,?,?,?)"                       \
    " ON CONFLICT DO UPDATE SET games = games + excluded.games, plies = plies + excluded.plies," \
    " positions = positions + excluded.positions"
#define NET_ROW(table)                                                                           \
    "INSERT INTO " table "(net_id, games, plies, first_wins, draws, positions, fast_positions,"  \
    " proven, nodes, sum_kld, first_finished_at, last_finished_at)"                              \
    " VALUES(?,?,?,?,?,?,?,?,?,?,?,?)"                                                           \
    " ON CONFLICT DO UPDATE SET games = games + excluded.games, plies = plies + excluded.plies," \
    " first_wins = first_wins + excluded.first_wins, draws = draws + excluded.draws,"            \
    " positions = positions + excluded.positions,"                                               \
    " fast_positions = fast_positions + excluded.fast_positions,"                                \
    " proven = proven + excluded.proven, nodes = nodes + excluded.nodes,"                        \
    " sum_kld = sum_kld + excluded.sum_kld,"                                                     \
    " first_finished_at = min(coalesce(first_finished_at, excluded.first_finished_at),"          \
    "                         coalesce(excluded.first_finished_at, first_finished_at)),"         \
    " last_finished_at = max(coalesce(last_finished_at, excluded.last_finished_at),"             \
    "                        coalesce(excluded.last_finished_at, last_finished_at))"
#define VALUE_ROW(table)                                                                     \
    "INSERT INTO " table "(net_id, ply, proven, n, abs_qz, q, qq, z, zz, qz, v, vv, vz)"     \
    " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)"                                                     \
    " ON CONFLICT DO UPDATE SET n = n + excluded.n, abs_qz = abs_qz + excluded.abs_qz,"      \
    " q = q + excluded.q, qq = qq + excluded.qq, z = z + excluded.z, zz = zz + excluded.zz," \
    " qz = qz + excluded.qz, v = v + excluded.v, vv = vv + excluded.vv, vz = vz + excluded.vz"

/* Both ways: from the tallies of a store in memory to the removed ones, and back for the check. */
struct tally_table {
    const char *read_tallies, *read_removed;
    const char *add_to_tallies, *add_to_removed;
};
static const struct tally_table tally_tables[] = {
    {"SELECT kind, games, plies, positions FROM game_tallies",
     "SELECT kind, games, plies, positions FROM removed_game_tallies", GAME_ROW("game_tallies"),
     GAME_ROW("removed_game_tallies")},
    {"SELECT net_id, games, plies, first_wins, draws, positions, fast_positions, proven, nodes,"
     " sum_kld, first_finished_at, last_finished_at FROM net_tallies",
     "SELECT net_id, games, plies, first_wins, draws, positions, fast_positions, proven, nodes,"
     " sum_kld, first_finished_at, last_finished_at FROM removed_net_tallies",
     NET_ROW("net_tallies"), NET_ROW("removed_net_tallies")},
    {"SELECT net_id, ply, proven, n, abs_qz, q, qq, z, zz, qz, v, vv, vz FROM value_tallies",
     "SELECT net_id, ply, proven, n, abs_qz, q, qq, z, zz, qz, v, vv, vz FROM "
     "removed_value_tallies",
     VALUE_ROW("value_tallies"), VALUE_ROW("removed_value_tallies")},
};

static int add_row(struct query *row, struct store *into, const char *sql, struct error *err)
{
    struct query add = query_begin(into, sql, "adding tallies", err);
    int n = sqlite3_column_count(row->stmt);

    for (int i = 0; i < n; i++) {
        if (sqlite3_column_type(row->stmt, i) == SQLITE_TEXT) {
            query_text(&add, query_column_text(row, i));
        } else {
            query_int_or_null(&add, !query_column_null(row, i), query_column_int(row, i));
        }
    }
    int r = query_run(&add);
    return row->result < 0 ? row->result : r;
}

static int add_table(struct store *from, const char *read, struct store *into, const char *add,
                     struct error *err)
{
    struct query row = query_begin(from, read, "reading tallies", err);
    int r = query_step(&row);

    while (r == 1) {
        r = add_row(&row, into, add, err);
        r = r < 0 ? r : query_step(&row);
    }
    query_end(&row);
    return r;
}

static int move_tallies(struct store *dropped, struct store *store, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof tally_tables / sizeof tally_tables[0]; i++) {
        r = add_table(dropped, tally_tables[i].read_tallies, store, tally_tables[i].add_to_removed,
                      err);
    }
    return r;
}

int store_add_removed_tallies(struct store *store, struct store *into, struct error *err)
{
    int64_t version = 0;
    int r = store_pragma(store->db, "PRAGMA user_version", &version, err);

    if (r < 0 || version < WITH_RETENTION) { /* an older store, opened for reading */
        return r;
    }
    for (size_t i = 0; r == 0 && i < sizeof tally_tables / sizeof tally_tables[0]; i++) {
        r = add_table(store, tally_tables[i].read_removed, into, tally_tables[i].add_to_tallies,
                      err);
    }
    return r;
}

int store_removed_seq(struct store *store, int64_t *ret, struct error *err)
{
    char text[32] = "0";
    struct error own = {""}; /* that nothing was dropped yet is no word for the caller */
    int r = store_get_run(store, "removed_seq", text, sizeof text, &own);

    if (r < 0 && r != ERROR_NOT_FOUND) {
        return error_set(err, r, "%s", own.text);
    }
    *ret = strtoll(text, NULL, 10);
    return 0;
}

/* ---- size ---- */
struct sizes {
    int64_t page, pages, free_pages; /* bytes; in the file */
};

static int read_sizes(struct store *store, struct sizes *ret, struct error *err)
{
    int r = store_pragma(store->db, "PRAGMA page_size", &ret->page, err);

    r = r < 0 ? r : store_pragma(store->db, "PRAGMA page_count", &ret->pages, err);
    return r < 0 ? r : store_pragma(store->db, "PRAGMA freelist_count", &ret->free_pages, err);
}

static int64_t used_bytes(const struct sizes *sizes)
{
    return (sizes->pages - sizes->free_pages) * sizes->page;
}

/* ---- dropping ---- */
/* seq from which on all is kept: the first that the newest training, or a running one, draws from. 0: no training has
 * begun, so nothing may go. */
static int kept_from(struct store *store, int64_t *ret, struct error *err)
{
    struct query query =
        query_begin(store,
                    "SELECT coalesce(min(first_seq), 0) FROM trainings"
                    " WHERE id = (SELECT max(id) FROM trainings) OR state = 'running'",
                    "looking for what is kept", err);
    int r = query_step(&query);

    *ret = r == 1 ? query_column_int(&query, 0) : 0;
    query_end(&query);
    return r < 0 ? r : 0;
}

/* 1 and *ret, *ret_id, *ret_seq filled; 0 if no game may go any more. */
static int oldest(struct store *store, int64_t before_seq, struct tally_game *ret, int64_t *ret_id,
                  int64_t *ret_seq, struct error *err)
{
    struct query query = query_begin(store,
                                     "SELECT seq, id, kind, plies, first_player_outcome,"
                                     " finished_at FROM games WHERE seq > 0 AND seq < ?"
                                     " ORDER BY seq LIMIT 1",
                                     "looking for the oldest game", err);
    query_int(&query, before_seq);
    int r = query_step(&query);
    if (r != 1) {
        return r;
    }
    *ret_seq = query_column_int(&query, 0);
    *ret_id = query_column_int(&query, 1);
    *ret = (struct tally_game){
        .plies = (uint32_t)query_column_int(&query, 3),
        .first_player_outcome = (int8_t)query_column_int(&query, 4),
        .finished_at = query_column_int(&query, 5),
    };
    query_column_copy(&query, 2, ret->kind, sizeof ret->kind);
    r = query_end(&query);
    return r < 0 ? r : 1;
}

static int delete_game(struct store *store, int64_t id, struct error *err)
{
    struct query rows = query_begin(store, "DELETE FROM positions WHERE game_id = ?",
                                    "dropping a game's positions", err);
    query_int(&rows, id);
    int r = query_run(&rows);
    if (r < 0) {
        return r;
    }
    struct query game =
        query_begin(store, "DELETE FROM games WHERE id = ?", "dropping a game", err);
    query_int(&game, id);
    return query_run(&game);
}

/* Games that were given up before `id` began: no tally knows them. */
static int delete_abandoned(struct store *store, int64_t id, struct error *err)
{
    struct query rows = query_begin(store,
                                    "DELETE FROM positions WHERE game_id IN (SELECT id FROM games"
                                    " WHERE id < ? AND state = 'abandoned')",
                                    "dropping positions of abandoned games", err);
    query_int(&rows, id);
    int r = query_run(&rows);
    if (r < 0) {
        return r;
    }
    struct query games =
        query_begin(store, "DELETE FROM games WHERE id < ? AND state = 'abandoned'",
                    "dropping abandoned games", err);
    query_int(&games, id);
    return query_run(&games);
}

static int drop_games(struct store *store, const struct store_retention *what, int64_t until_ms,
                      struct store *dropped, struct sizes *sizes, struct store_dropped *ret,
                      struct error *err)
{
    int64_t before_seq = 0;
    int r = kept_from(store, &before_seq, err);
    int64_t id = 0;

    /* One at least, so that a slow machine gets on as well. */
    while (r == 0 && used_bytes(sizes) > what->bytes &&
           (ret->games == 0 || clock_ms(CLOCK_MONOTONIC) < until_ms)) {
        struct tally_game game;
        r = oldest(store, before_seq, &game, &id, &ret->last_seq, err);
        if (r <= 0) {
            ret->short_of_games = r == 0;
            break;
        }
        r = store_tally_game(store, dropped, id, &game, err);
        r = r < 0 ? r : delete_game(store, id, err);
        r = r < 0 ? r : read_sizes(store, sizes, err);
        ret->games++;
        ret->positions += game.plies;
    }
    if (r < 0 || ret->games == 0) {
        return r;
    }
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, ret->last_seq);
    r = delete_abandoned(store, id, err);
    r = r < 0 ? r : move_tallies(dropped, store, err);
    return r < 0 ? r : store_set_run(store, "removed_seq", text, err);
}

/* *ret_stuck: the file does not get smaller, though it has free pages (no auto_vacuum). */
static int shrink(struct store *store, const struct store_retention *what, int64_t until_ms,
                  struct sizes *sizes, bool *ret_stuck, struct error *err)
{
    char sql[64];
    int r = 0;

    snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", (int)VACUUM_PAGES);
    while (r == 0 && sizes->free_pages > 0 && sizes->pages * sizes->page > what->bytes) {
        int64_t before = sizes->pages;
        if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
            return store_error(store->db, err, "incremental vacuum");
        }
        r = read_sizes(store, sizes, err);
        *ret_stuck = r == 0 && sizes->pages == before;
        if (*ret_stuck || clock_ms(CLOCK_MONOTONIC) >= until_ms) {
            break;
        }
    }
    return r;
}

static int drop_and_count(struct store *store, const struct store_retention *what, int64_t until_ms,
                          struct sizes *sizes, struct store_dropped *ret, struct error *err)
{
    struct store *dropped = NULL; /* tallies of what goes in this step */
    int r = store_open_memory(&dropped, err);

    if (r == 0) {
        r = store_enter(dropped, err);
    }
    r = r < 0 ? r : drop_games(store, what, until_ms, dropped, sizes, ret, err);
    store_close(dropped);
    return r;
}

static int retain(struct store *store, const struct store_retention *what,
                  struct store_dropped *ret, struct error *err)
{
    struct sizes sizes = {0};
    bool stuck = false;
    int64_t until_ms = clock_ms(CLOCK_MONOTONIC) + what->budget_ms;
    int r = read_sizes(store, &sizes, err);

    if (r == 0 && used_bytes(&sizes) > what->bytes) {
        r = drop_and_count(store, what, until_ms, &sizes, ret, err);
    }
    r = r < 0 ? r : shrink(store, what, until_ms, &sizes, &stuck, err);
    ret->file_bytes = sizes.pages * sizes.page;
    ret->more = (used_bytes(&sizes) > what->bytes && !ret->short_of_games) ||
                (ret->file_bytes > what->bytes && sizes.free_pages > 0 && !stuck);
    return r;
}

int store_drop_oldest(struct store *store, const struct store_retention *what,
                      struct store_dropped *ret, struct error *err)
{
    struct store_dropped done = {0};
    int r = store_enter(store, err);

    if (r == 0) {
        r = retain(store, what, &done, err);
        r = store_leave(store, r, (uint32_t)(done.positions + done.games), err);
    }
    if (r == 0) {
        *ret = done;
    }
    return r;
}

/* ---- files of nets ---- */
int store_give_up_nets(struct store *store, uint32_t keep, const char *in_use, uint32_t most,
                       struct error *err)
{
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    struct query query = query_begin(
        store,
        "UPDATE nets SET state = CASE state WHEN 'old' THEN 'removed' ELSE state END,"
        " file = CASE state WHEN 'old' THEN file ELSE '' END"
        " WHERE id IN (SELECT id FROM nets WHERE line = 'main' AND generation > 0"
        " AND (state = 'old' OR (state = 'rejected' AND file <> ''))"
        " AND generation <= (SELECT max(generation) FROM nets WHERE line = 'main') - ?1"
        " AND id NOT IN (SELECT net_a FROM matches WHERE finished_at IS NULL)"
        " AND id NOT IN (SELECT net_b FROM matches WHERE finished_at IS NULL)"
        " AND id NOT IN (SELECT coalesce(parent_id, 0) FROM trainings WHERE state = 'running')"
        " AND id NOT IN (SELECT coalesce(teacher_id, 0) FROM trainings WHERE state = 'running')"
        " AND CAST(id AS TEXT) <> ?2"
        " AND instr(?2, substr(sha256, 1, 8)) = 0"
        " ORDER BY id LIMIT ?3)",
        "giving up old nets", err);

    query_int(&query, keep);
    query_text(&query, in_use);
    query_int(&query, most);
    r = query_run(&query);
    const int n = r < 0 ? 0 : sqlite3_changes(store->db);
    r = store_leave(store, r, n > 0 ? 1 : 0, err);
    return r < 0 ? r : n;
}

int store_net_given_up(struct store *store, const char *sha256, struct error *err)
{
    struct query query = query_begin(
        store, "SELECT 1 FROM nets WHERE sha256 = ? AND (state = 'removed' OR file = '')",
        "looking for a net", err);
    query_text(&query, sha256);
    int r = query_step(&query);
    if (r == 1) {
        r = query_end(&query);
        return r < 0 ? r : 1;
    }
    return r;
}
