/* The store: state_dir/qzd.db (tables: storage/schema.sql). One struct store is one SQLite
 * connection, used by one thread at a time; a process may have several, of which at most one writes.
 * Writing functions need a store opened for writing and work inside the group that the first of them
 * opens; nothing is durable before store_commit() has returned 0. After any writing function has
 * failed, the group is as it was before that call (a savepoint), but for ERROR_FULL and ERROR_IO,
 * after which the whole group may be gone: see store_commit().
 *
 * Text arguments are UTF-8 and copied. Ids are the tables' integer keys, > 0. */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include "storage/error.h"
#include "storage/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct sqlite3;

enum store_mode {
    STORE_READ,  /* the file must be there; nothing is written to it */
    STORE_WRITE, /* the file must be there; migrated if it is older */
    STORE_CREATE /* STORE_WRITE, and made if it is not there */
};

/* Open path. ERROR_INVALID: a file that is not ours; ERROR_VERSION: newer than this program;
 * ERROR_CORRUPT: damaged; ERROR_NOT_FOUND; in each case the file is untouched, byte for byte. */
int store_open(const char *path, enum store_mode mode, struct store **ret, struct error *err);
void store_close(struct store *store); /* NULL is allowed; an open group is rolled back */
/* The connection, for queries that have no function here (daemon/control/query.c). Read only. */
struct sqlite3 *store_handle(struct store *store);

/* ---- groups ---- */
/* Make durable what was written since the last commit. On ERROR_FULL, ERROR_IO or ERROR_BUSY the
 * group has been rolled back: the caller keeps its messages and writes them again later. */
int store_commit(struct store *store, struct error *err);
void store_rollback(struct store *store);
uint32_t store_pending(const struct store *store); /* rows written and not committed */

/* ---- nets ---- */
struct store_net {
    int64_t id;
    char line[32];
    uint32_t generation;
    int64_t parent_id; /* 0 = none */
    char sha256[RECORD_SHA256_BYTES];
    char game[32];
    char *arch; /* JSON */
    char origin[32];
    int64_t created_at;
    char file[128]; /* relative to the state directory */
    char state[16];
};
void store_net_finish(struct store_net *net); /* frees what it owns */
/* Insert; if its state is "current", the net that was current on its line becomes "old". */
int store_add_net(struct store *store, const struct store_net *net, int64_t *ret_id,
                  struct error *err);
/* By id; by sha256 (a prefix of 8 or more digits will do); the current one of a line. *ret is
 * initialised by these and finished by the caller. ERROR_NOT_FOUND. */
int store_get_net(struct store *store, int64_t id, struct store_net *ret, struct error *err);
int store_find_net(struct store *store, const char *sha256, struct store_net *ret,
                   struct error *err);
int store_current_net(struct store *store, const char *line, struct store_net *ret,
                      struct error *err);
/* That generation of a line; rejected ones are passed over. ERROR_NOT_FOUND. */
int store_net_at(struct store *store, const char *line, int64_t generation, struct store_net *ret,
                 struct error *err);

/* ---- games ---- */
enum store_put { STORE_ADDED = 0, STORE_KNOWN = 1 }; /* non-negative results of the puts below */
/* Each returns STORE_ADDED, STORE_KNOWN (the same was there already, nothing done), ERROR_CONFLICT
 * (there with other content, nothing done), or another error. store_put_end sets the seq and z of
 * all positions and adds the game to the tallies; its plies must equal the positions that are
 * there. held_out_one_in as in record_uid_held_out. */
int store_put_start(struct store *store, const struct record_start *start, uint32_t held_out_one_in,
                    struct error *err);
int store_put_position(struct store *store, const char *uid, const struct record_search *search,
                       const struct record_position *position, struct error *err);
int store_put_end(struct store *store, const char *uid, const struct record_end *end,
                  struct error *err);
/* Give up an unfinished game: state 'abandoned', its rows stay, nothing counts them. */
int store_abandon_game(struct store *store, const char *uid, struct error *err);

/* Unfinished games, oldest first. Strings and actions live until the callback returns; a non-zero
 * return ends the walk and is returned. */
struct store_unfinished {
    char uid[RECORD_UID_BYTES];
    const char *opening;
    uint32_t first_side; /* to move at ply 0: 0 = the first player */
    int64_t seed;
    uint32_t n_actions;
    const uint16_t *actions;
    int32_t would_resign_ply; /* -1: not yet, as stored rows tell */
};
int store_unfinished_games(struct store *store,
                           int (*each)(const struct store_unfinished *game, void *context),
                           void *context, struct error *err);

/* A finished game, for windows, export and replay: strings and positions are owned by it. */
struct store_game {
    int64_t id;
    int64_t seq;
    char uid[RECORD_UID_BYTES];
    char *opening;
    uint32_t first_side; /* to move at ply 0: 0 = the first player */
    int64_t seed;
    int8_t first_player_outcome;
    bool held_out;
    uint32_t n_positions;
    struct record_position *positions; /* by ply */
    int64_t *net_ids;                  /* [n_positions], 0 = imported */
};
void store_game_finish(struct store_game *game);
/* Finished self-play and imported games with after_seq < seq <= last_seq, ascending, at most `max`
 * of them in one short read transaction. Returns how many were given to `each` (which takes over
 * *game's memory by zeroing it, or leaves it to be freed), or an error. */
int store_read_games(struct store *store, int64_t after_seq, int64_t last_seq, uint32_t max,
                     int (*each)(struct store_game *game, void *context), void *context,
                     struct error *err);
int store_get_game(struct store *store, int64_t id, struct store_game *ret, struct error *err);

/* ---- counts that decide ---- */
struct store_counts {
    int64_t last_seq;              /* newest finished game, 0 = none */
    int64_t positions;             /* full searches (and imports) in finished games, ever */
    int64_t positions_at_training; /* all_positions of the newest finished training, 0 = none */
    int64_t games;                 /* finished */
    int64_t unfinished;
    uint64_t next_game; /* number of the next game to hand out */
    int64_t samples;    /* drawn by finished trainings, ever */
};
int store_read_counts(struct store *store, struct store_counts *ret, struct error *err);
/* The window of at most `positions` full positions that ends with last_seq: its first seq and how
 * many positions it holds (whole games; held-out ones included). */
int store_window(struct store *store, int64_t last_seq, int64_t positions, int64_t *ret_first_seq,
                 int64_t *ret_positions, struct error *err);

/* ---- trainings and evaluations ---- */
struct store_training { /* strings borrowed; NaN = NULL */
    int64_t parent_id;
    uint32_t generation;
    int64_t started_at, finished_at;
    int64_t first_seq, last_seq;
    int64_t positions, new_positions, all_positions, samples;
    double q_ratio, lambda;
    const char *q_kind;
    int64_t teacher_id; /* 0 = none */
    double teacher_policy, teacher_value;
    int64_t steps, rows_without_q;
    double policy_loss, policy_entropy, value_loss;
    int64_t held_out_positions;
    double held_out_policy_loss, held_out_policy_entropy, held_out_value_loss;
    double grad_norm, learning_rate, samples_per_s;
    const char *settings; /* JSON */
};
/* 'running', with what is known at the start. */
int store_begin_training(struct store *store, const struct store_training *training,
                         int64_t *ret_id, struct error *err);
/* 'finished' with its net, or 'failed' with the reason (net_id 0). */
int store_finish_training(struct store *store, int64_t id, const struct store_training *training,
                          int64_t net_id, const char *failure, struct error *err);
/* The training that was running when the daemon ended, if any: ERROR_NOT_FOUND else. */
int store_running_training(struct store *store, int64_t *ret_id, struct error *err);
struct store_training_step {
    int64_t step, samples;
    double policy_loss, value_loss, grad_norm, learning_rate;
};
int store_put_training_step(struct store *store, int64_t training_id,
                            const struct store_training_step *step, struct error *err);
int store_put_evaluation(struct store *store, int64_t net_id, const char *suite, uint32_t nodes,
                         const char *metric, double value, int64_t n, int64_t at, double seconds,
                         struct error *err);

/* ---- log and counters ---- */
int store_put_event(struct store *store, int64_t at, const char *severity, const char *what,
                    const char *detail, struct error *err);
int store_put_setting(struct store *store, int64_t at, const char *key, const char *old_value,
                      const char *new_value, const char *by, struct error *err);
/* A check of the doctor; figure NaN: none. The same check at the same time: the last one counts. */
struct store_diagnosis { /* strings borrowed */
    int64_t at;
    uint32_t generation;
    const char *name, *state;
    double figure;
    const char *detail, *bound;
};
int store_put_diagnosis(struct store *store, const struct store_diagnosis *diagnosis,
                        struct error *err);
int store_set_run(struct store *store, const char *key, const char *value, struct error *err);
/* ERROR_NOT_FOUND leaves ret alone. */
int store_get_run(struct store *store, const char *key, char *ret, size_t size, struct error *err);
struct store_usage {
    int64_t evaluations, lookups, cache_hits, positions, busy_ms;
};
int store_add_usage(struct store *store, const char *net_sha256, const struct store_usage *usage,
                    struct error *err);
int store_add_core_time(struct store *store, const char *what, int64_t ms, struct error *err);

/* ---- upkeep ---- */
/* One step of retention: while the store's pages hold more than `bytes`, drop the oldest finished games (and
 * abandoned ones from before them), but none that the newest or a running training draws from and none behind
 * those; then give free pages back to the file system while the file is larger. About budget_ms of
 * time, but one game at least. Tallies, nets, trainings and all else stay; what was dropped stands in the removed_* tables. */
struct store_retention {
    int64_t bytes;
    int64_t budget_ms;
};
struct store_dropped {
    int64_t games, positions; /* in this step */
    int64_t last_seq;         /* the newest dropped; 0: none */
    int64_t file_bytes;       /* now, once committed and checkpointed */
    bool more;                /* another step would find something to do */
    bool short_of_games;      /* it is larger than it should be, but what is left must stay */
};
int store_drop_oldest(struct store *store, const struct store_retention *what,
                      struct store_dropped *ret, struct error *err);
/* Give up the files of old nets of line main: all but the newest `keep` generations, generation 0, the current net and
 * candidates, what unfinished matches and running trainings use, and nets whose id or sha256 (8 digits of it at least)
 * the text `in_use` names. An old net's state becomes 'removed'; a rejected one's `file` becomes "". At most `most` nets in one
 * call, the oldest first. Returns how many; the caller removes their files once that is committed. */
int store_give_up_nets(struct store *store, uint32_t keep, const char *in_use, uint32_t most,
                       struct error *err);
/* 1: a net with that sha256 is in the store and its file has been given up; else 0. */
int store_net_given_up(struct store *store, const char *sha256, struct error *err);
/* Rebuild all tallies from the rows in memory and compare: 0 if equal; ERROR_CORRUPT with the first
 * difference named. */
int store_check_tallies(struct store *store, struct error *err);
/* PRAGMA integrity_check: 0, or ERROR_CORRUPT with its first line. */
int store_check_integrity(struct store *store, struct error *err);
/* Copy the store as it is now into a new file: whole, fsynced and under `path`, or not at all. It reads in one
 * transaction; a writer in another process goes on meanwhile, but cannot truncate its WAL. `check`: the copy's
 * integrity and tallies first. go_on (may be NULL) is asked often while copying: false is ERROR_CANCELLED. A
 * file that is there already is never replaced (ERROR_CONFLICT). */
int store_snapshot(struct store *store, const char *path, bool check, bool (*go_on)(void *context),
                   void *context, struct error *err);
/* Truncate the WAL if it is above `bytes` and no reader holds it. */
int store_trim_wal(struct store *store, int64_t bytes, struct error *err);

#endif
