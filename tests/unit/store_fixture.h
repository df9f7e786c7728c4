/* What the tests of the store share: a folder of its own for each test, records made from a seed, and
 * short names for the usual puts. */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include "storage/policy.h"
#include "storage/store.h"

#include <check.h>
#include <dirent.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char folder[64];
    char path[96];
    char sha256[RECORD_SHA256_BYTES]; /* of net 0 */
    struct store *store;
    struct error err;
};

/* SplitMix64. */
static inline uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static inline uint32_t draw_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(draw(state) % n);
}

static inline float draw_between(uint64_t *state, float min, float max)
{
    return min + (max - min) * (float)(draw(state) >> 40) / (float)(1U << 24);
}

#define ck_ok(expression)                                                              \
    do {                                                                               \
        int ck_ok_result = (expression);                                               \
        ck_assert_msg(ck_ok_result == 0, "%s gives %d: %s", #expression, ck_ok_result, \
                      f->err.text);                                                    \
    } while (0)

static inline void fixture_folder(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    /* in memory where that exists: what these tests show does not need a disk, and fsync costs none */
    snprintf(f->folder, sizeof f->folder, "%s/qzd-test-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/qzd.db", f->folder);
}

static inline void fixture_open(struct fixture *f)
{
    fixture_folder(f);
    ck_ok(store_open(f->path, STORE_CREATE, &f->store, &f->err));
}

/* How many files are in the folder. */
static inline int fixture_files(const struct fixture *f)
{
    int n = 0;
    DIR *folder = opendir(f->folder);
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        n += entry->d_name[0] != '.';
    }
    closedir(folder);
    return n;
}

static inline void fixture_close(struct fixture *f)
{
    store_close(f->store);
    DIR *folder = opendir(f->folder);
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] != '.') {
            unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    closedir(folder);
    rmdir(f->folder);
}

static inline void fixture_reopen(struct fixture *f, enum store_mode mode)
{
    store_close(f->store);
    f->store = NULL;
    ck_ok(store_open(f->path, mode, &f->store, &f->err));
}

/* Take the open store back to an older schema; each new step of storage/schema_N.sql adds its undoing here. */
static inline void fixture_undo_to(struct fixture *f, int version)
{
    static const char *const undo[] = {
        [2] = "DROP VIEW match_results; DROP TABLE match_pairs; DROP INDEX matches_net_a;"
              "DROP INDEX matches_net_b; ALTER TABLE matches DROP COLUMN purpose;"
              "ALTER TABLE matches DROP COLUMN planned_pairs;"
              "ALTER TABLE matches DROP COLUMN verdict; ALTER TABLE matches DROP COLUMN llr",
        [3] = "DROP TABLE diagnoses",
        [4] = "DROP TABLE removed_game_tallies; DROP TABLE removed_net_tallies;"
              "DROP TABLE removed_value_tallies",
        [5] = "DROP TRIGGER value_figures; DROP TRIGGER value_figures_of_the_first; DROP VIEW "
              "value_targets;"
              "CREATE VIEW value_targets AS SELECT 'old' AS slope;"
              "ALTER TABLE value_tallies DROP COLUMN mean_abs_qz; ALTER TABLE value_tallies DROP "
              "COLUMN corr_qz;"
              "ALTER TABLE value_tallies DROP COLUMN corr_vz; ALTER TABLE value_tallies DROP "
              "COLUMN slope;"
              "ALTER TABLE value_tallies DROP COLUMN bias",
    };
    char sql[64];
    for (int v = (int)(sizeof undo / sizeof undo[0]) - 1; v > version; v--) {
        ck_assert_int_eq(sqlite3_exec(store_handle(f->store), undo[v], NULL, NULL, NULL),
                         SQLITE_OK);
    }
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", version);
    ck_assert_int_eq(sqlite3_exec(store_handle(f->store), sql, NULL, NULL, NULL), SQLITE_OK);
}

/* One number by SQL. */
static inline double sql_number(struct fixture *f, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    ck_assert_msg(sqlite3_prepare_v2(store_handle(f->store), sql, -1, &stmt, NULL) == SQLITE_OK,
                  "%s: %s", sql, sqlite3_errmsg(store_handle(f->store)));
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    double value =
        sqlite3_column_type(stmt, 0) == SQLITE_NULL ? NAN : sqlite3_column_double(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static inline void make_sha256(unsigned number, char ret[RECORD_SHA256_BYTES])
{
    snprintf(ret, RECORD_SHA256_BYTES, "%08x%056x", number * 2654435761U, number);
}

/* Net of a generation of the main line; becomes current. */
static inline int64_t add_net(struct fixture *f, uint32_t generation)
{
    int64_t id = 0;
    struct store_net net = {
        .line = "main",
        .generation = generation,
        .game = "connect4",
        .arch = (char[]){"{\"blocks\":4}"},
        .origin = "new",
        .created_at = 1000 + generation,
        .state = "current",
    };
    make_sha256(generation, net.sha256);
    snprintf(net.file, sizeof net.file, "nets/%s.safetensors", net.sha256);
    ck_ok(store_add_net(f->store, &net, &id, &f->err));
    return id;
}

static inline struct record_start make_start(uint64_t number)
{
    struct record_start start = {
        .kind = GAME_SELFPLAY,
        .game = "connect4",
        .host = "host",
        .worker = 3,
        .seed = (int64_t)(number * 77) - 5,
        .opening = "44",
        .first_side = (uint32_t)(number % 2),
        .started_at = 1700000000000 + (int64_t)number,
    };
    snprintf(start.uid, sizeof start.uid, "%032llx", (unsigned long long)number + 1);
    return start;
}

static inline struct record_end make_end(uint32_t plies, int outcome, int64_t finished_at)
{
    return (struct record_end){
        .first_player_outcome = (int8_t)outcome,
        .reason = "rules",
        .finished_at = finished_at,
        .plies = plies,
        .would_resign_ply = -1,
        .would_resign_side = -1,
    };
}

static inline struct record_position make_position(uint64_t *random, uint32_t ply)
{
    struct record_position p;
    memset(&p, 0, sizeof p);
    p.ply = ply;
    p.action = (uint16_t)draw_below(random, 7);
    p.best_action = (uint16_t)draw_below(random, 7);
    float *const values[] = {&p.q, &p.best_q, &p.greedy_q, &p.played_q, &p.v};
    float *const draws[] = {&p.d, &p.best_d, &p.greedy_d, &p.played_d, &p.v_d};
    for (int i = 0; i < 5; i++) {
        *values[i] = draw_between(random, -1.0F, 1.0F);
        *draws[i] = draw_between(random, 0.0F, 1.0F);
    }
    p.m = draw_below(random, 2) == 0 ? NAN : draw_between(random, 0.0F, 42.0F);
    p.nodes = 1 + draw_below(random, 800);
    p.kld = draw_between(random, 0.0F, 2.0F);
    p.proven = (int8_t)PROVEN_NONE;
    p.kind = POSITION_FULL;
    struct policy_entry entries[7];
    for (uint16_t i = 0; i < 7; i++) {
        entries[i] = (struct policy_entry){i, draw_below(random, 400)};
    }
    int n = policy_encode(entries, 7, p.policy);
    ck_assert_int_gt(n, 0);
    p.policy_bytes = (uint16_t)n;
    return p;
}

static inline struct record_search make_search(const char *sha256)
{
    return (struct record_search){
        .net_sha256 = sha256,
        .build = "0.1.0+test",
        .kernel = "openblas",
        .settings = "{\"search.nodes\":800}",
    };
}

static inline struct store_training make_training(void)
{
    return (struct store_training){.parent_id = 1,
                                   .generation = 1,
                                   .started_at = 10,
                                   .finished_at = 20,
                                   .first_seq = 1,
                                   .last_seq = 4,
                                   .positions = 100,
                                   .new_positions = 50,
                                   .all_positions = 12,
                                   .samples = 400,
                                   .q_ratio = 0.5,
                                   .lambda = 0.25,
                                   .q_kind = "best",
                                   .steps = 7,
                                   .rows_without_q = 3,
                                   .policy_loss = 1.5,
                                   .policy_entropy = 1.25,
                                   .value_loss = 0.75,
                                   .held_out_positions = 9,
                                   .held_out_policy_loss = NAN,
                                   .held_out_policy_entropy = NAN,
                                   .held_out_value_loss = NAN,
                                   .grad_norm = 2,
                                   .learning_rate = 0.002,
                                   .samples_per_s = 1000,
                                   .settings = "{}"};
}

/* A store with net 0 in it, by which put_game() plays. */
static inline void open_with_net(struct fixture *f)
{
    fixture_open(f);
    make_sha256(0, f->sha256);
    add_net(f, 0);
}

/* Start, n positions and, unless outcome is 9, the end of game `number`. The positions stay in ret (may be NULL). */
static inline struct record_start put_game(struct fixture *f, uint64_t number, uint32_t n,
                                           int outcome, struct record_position *ret)
{
    uint64_t random = number;
    struct record_start start = make_start(number);
    struct record_search search = make_search(f->sha256);
    ck_ok(store_put_start(f->store, &start, 0, &f->err));
    for (uint32_t i = 0; i < n; i++) {
        struct record_position position = make_position(&random, i);
        ck_ok(store_put_position(f->store, start.uid, &search, &position, &f->err));
        if (ret != NULL) {
            ret[i] = position;
        }
    }
    if (outcome != 9) {
        struct record_end end = make_end(n, outcome, 5000 + (int64_t)number);
        ck_ok(store_put_end(f->store, start.uid, &end, &f->err));
    }
    return start;
}

#endif
