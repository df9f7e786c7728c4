/* What the parts of the store share: its struct, kept statements, groups. Included by storage/store*.c,
 * migrations.c and their tests only. */
#ifndef STORAGE_STORE_INTERNAL_H
#define STORAGE_STORE_INTERNAL_H

#include "storage/store.h"

#include <sqlite3.h>

enum {
    STORE_MAX_STATEMENTS = 96, /* more than the SQL texts of storage/store*.c */
    STORE_SEARCHES_CACHED = 4, /* workers change nets one by one: old and new searches alternate */
};

struct store_statement {
    const char *sql; /* a string literal: found again by its address */
    sqlite3_stmt *stmt;
};

/* A row of `searches` that is known to be there. */
struct store_search {
    int64_t id; /* 0 = empty */
    char *text; /* the four strings, each with its NUL */
};

struct store {
    sqlite3 *db;
    char *path;
    enum store_mode mode;
    bool in_group;
    bool in_read; /* between store_read_begin and _end, outside of any transaction else */
    uint32_t pending;
    uint32_t n_statements;
    struct store_statement statements[STORE_MAX_STATEMENTS];
    struct store_search searches[STORE_SEARCHES_CACHED];
    uint32_t next_search; /* slot that the next one takes */
};

/* ---- store_statement.c ---- */
/* The code for SQLite's last error on db and a sentence that begins with the formatted text. */
int store_error(sqlite3 *db, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Run one statement that gives one integer. */
int store_pragma(sqlite3 *db, const char *sql, int64_t *ret, struct error *err);

/* A kept statement, being filled: parameters in order, then run or step. The first failure sticks and
 * comes out there. `what` names the action in errors ("game 0123..., ply 4"). */
struct query {
    struct store *store;
    sqlite3_stmt *stmt; /* NULL: failed already */
    int n_bound;
    int result;
    const char *what;
    struct error *err;
};
/* `sql` must be a string literal (or live as long as the store, at one address). */
struct query query_begin(struct store *store, const char *sql, const char *what, struct error *err);
void query_int(struct query *query, int64_t value);
void query_int_or_null(struct query *query, bool known, int64_t value);
void query_real(struct query *query, double value); /* NaN: NULL */
void query_text(struct query *query,
                const char *text); /* borrowed until the query ends; NULL: NULL */
void query_blob(struct query *query, const void *bytes, size_t size); /* likewise; 0 bytes: NULL */
/* Next row: 1, 0 at the end, or an error. At the end and on errors the query is over. */
int query_step(struct query *query);
/* Run a statement that gives no rows (or whose rows do not matter): 0 or an error. */
int query_run(struct query *query);
/* End a query whose rows were not all read. Returns its first error or 0. May be called twice. */
int query_end(struct query *query);
/* The columns of the row at hand. */
int64_t query_column_int(const struct query *query, int column);
float query_column_float(const struct query *query, int column); /* NULL: NaN */
bool query_column_null(const struct query *query, int column);
/* "" for NULL; valid until the next step. Without memory it is "" too, and the query has failed: whoever
 * decides by a text looks at the query's end first. */
const char *query_column_text(struct query *query, int column);
const void *query_column_blob(struct query *query, int column, size_t *ret_size); /* likewise */
/* Copies at most size bytes with the NUL. */
void query_column_copy(struct query *query, int column, char *ret, size_t size);

/* ---- store.c ---- */
/* Around every writing function: opens the group if none is open, and a savepoint in it. */
int store_enter(struct store *store, struct error *err);
/* Keep (r >= 0) or undo what was written since store_enter; n_rows is added to the pending ones.
 * Returns r, or an error where keeping failed. */
int store_leave(struct store *store, int r, uint32_t n_rows, struct error *err);
/* Around several reads that must see one state. Inside a group (or a read) they do nothing. */
int store_read_begin(struct store *store, struct error *err);
void store_read_end(struct store *store);
void store_forget_searches(struct store *store);
/* A store over a database in memory, for rebuilding tallies. */
int store_open_memory(struct store **ret, struct error *err);

/* ---- store_file.c ---- */
/* Look at the file without touching it: 0 if it is a store that this program may open. */
int store_file_check(const char *path, struct error *err);
/* Make an empty store at path, which must not be there: whole or not at all. */
int store_file_create(const char *path, struct error *err);
/* Open a connection; `immutable` trusts that nobody writes, and leaves no file beside it. */
int store_file_connect(const char *path, int flags, bool immutable, sqlite3 **ret,
                       struct error *err);
/* Size in bytes of the write-ahead log beside path; 0 if there is none. */
int64_t store_file_wal_bytes(const char *path);
/* Make what was renamed or made in the folder of path durable. */
int store_file_sync_directory_of(const char *path, struct error *err);

/* ---- store_nets.c ---- */
/* The id of the net with that sha256, or ERROR_NOT_FOUND. */
int store_net_id(struct store *store, const char *sha256, int64_t *ret, struct error *err);
/* The row of `searches` for it, made if it is not there. */
int store_search_id(struct store *store, const struct record_search *search, int64_t *ret,
                    struct error *err);

/* ---- store_games.c ---- */
/* The columns of a position row, in the order that store_take_position() expects. */
#define STORE_POSITION_COLUMNS                                                              \
    "p.ply, p.action, p.best_action, p.q, p.d, p.best_q, p.best_d, p.greedy_q, p.greedy_d," \
    " p.played_q, p.played_d, p.v, p.v_d, p.m, p.nodes, p.kld, p.proven, p.kind, p.policy"
enum { STORE_N_POSITION_COLUMNS = 19 };
/* The row at hand, whose columns 0 .. 18 are those. ERROR_CORRUPT: no position can be like that. */
int store_take_position(struct query *query, struct record_position *ret);

/* ---- store_retention.c ---- */
/* Add what retention has dropped to the tallies of another store. */
int store_add_removed_tallies(struct store *store, struct store *into, struct error *err);
/* The newest seq that it has dropped; 0: none. */
int store_removed_seq(struct store *store, int64_t *ret, struct error *err);

/* ---- store_tallies.c ---- */
/* A finished game for the tallies. */
struct tally_game {
    char kind[16]; /* as in games.kind */
    uint32_t plies;
    int8_t first_player_outcome;
    int64_t finished_at;
    uint32_t full_positions; /* counted by store_tally_game: of full searches and imports */
};
/* Read the game's positions (whose z is set) from one store and add it to the tallies of another,
 * which may be the same. */
int store_tally_game(struct store *from, struct store *into, int64_t game_id,
                     struct tally_game *game, struct error *err);

#endif
