#include "tests/faults/store_script.h"

#include "tests/unit/store_fixture.h"

enum { PLIES = 3 };

static const char sha256_0[] = "00000000000000000000000000000000000000000000000000000000000000aa";
static const char sha256_1[] = "11111111111111111111111111111111111111111111111111111111111111bb";

static int add_generation(struct store *store, uint32_t generation, const char *sha256,
                          int64_t parent_id, int64_t *ret_id, struct error *err)
{
    struct store_net net = {.line = "main",
                            .generation = generation,
                            .parent_id = parent_id,
                            .game = "connect4",
                            .arch = (char[]){"{\"blocks\":1}"},
                            .origin = "training",
                            .created_at = 1000 + generation,
                            .state = "current"};

    (void)snprintf(net.sha256, sizeof(net.sha256), "%s", sha256);
    (void)snprintf(net.file, sizeof(net.file), "nets/%s.safetensors", sha256);
    return store_add_net(store, &net, ret_id, err);
}

static int begin_game(struct store *store, uint64_t number, struct error *err)
{
    struct record_start start = make_start(number);

    return store_put_start(store, &start, 4, err);
}

static int play(struct store *store, uint64_t number, uint32_t from, uint32_t to,
                const char *sha256, struct error *err)
{
    struct record_start start = make_start(number);
    struct record_search search = make_search(sha256);
    int r = 0;

    for (uint32_t ply = from; r >= 0 && ply < to; ply++) {
        uint64_t random = number * 100 + ply;
        struct record_position position = make_position(&random, ply);
        r = store_put_position(store, start.uid, &search, &position, err);
    }
    return r;
}

static int end_game(struct store *store, uint64_t number, int outcome, struct error *err)
{
    struct record_start start = make_start(number);
    struct record_end end = make_end(PLIES, outcome, 5000 + (int64_t)number);

    return store_put_end(store, start.uid, &end, err);
}

static int whole_game(struct store *store, uint64_t number, const char *sha256, struct error *err)
{
    int r = begin_game(store, number, err);

    r = r < 0 ? r : play(store, number, 0, PLIES, sha256, err);
    return r < 0 ? r : end_game(store, number, number % 2 == 0 ? 1 : -1, err);
}

static int note(struct store *store, int64_t at, const char *what, struct error *err)
{
    return store_put_event(store, at, "info", what, "as it went", err);
}

static int finish_training(struct store *store, struct error *err)
{
    struct store_training training = make_training();
    int64_t net_id = 0;
    int64_t id = 0;
    int r = store_running_training(store, &id, err);

    r = r < 0 ? r : add_generation(store, 1, sha256_1, training.parent_id, &net_id, err);
    return r < 0 ? r : store_finish_training(store, id, &training, net_id, NULL, err);
}

static int begin_training(struct store *store, struct error *err)
{
    struct store_training training = make_training();
    int64_t id = 0;

    return store_begin_training(store, &training, &id, err);
}

static int count(struct store *store, struct error *err)
{
    const struct store_usage usage = {.evaluations = 5, .positions = 3, .busy_ms = 7};
    int r = store_add_usage(store, sha256_0, &usage, err);

    r = r < 0 ? r : store_add_core_time(store, "selfplay", 7, err);
    return r < 0 ? r : store_set_run(store, "next_game", "7", err);
}

static int open_again(struct store **store, const char *path, struct error *err)
{
    store_close(*store);
    *store = NULL;
    return store_open(path, STORE_WRITE, store, err);
}

/* A commit whose fsync failed may stand in the log all the same, where the truncation at the close failed too: the
 * next opening finds it. Puts of games know what is there; an event would be there twice. */
static int note_once(struct store *store, int64_t at, const char *what, struct error *err)
{
    sqlite3_stmt *row = NULL;
    int there = SQLITE_ERROR;

    if (sqlite3_prepare_v2(store_handle(store), "SELECT 1 FROM events WHERE at = ?", -1, &row,
                           NULL) == SQLITE_OK) {
        (void)sqlite3_bind_int64(row, 1, at);
        there = sqlite3_step(row);
    }
    (void)sqlite3_finalize(row);
    return there == SQLITE_ROW ? 0 : note(store, at, what, err);
}

int script_step(struct store **store, const char *path, int i, struct error *err)
{
    const struct store_training_step step = {.step = 4, .samples = 256, .policy_loss = 1.5};
    int64_t id = 0;
    int r = 0;

    switch (i) {
    case 0:
        r = add_generation(*store, 0, sha256_0, 0, &id, err);
        return r < 0 ? r : store_set_run(*store, "seed", "1", err);
    case 1:
        return note(*store, 10, "start", err);
    case 2:
        r = begin_game(*store, 1, err);
        return r < 0 ? r : play(*store, 1, 0, 1, sha256_0, err);
    case 3:
        r = whole_game(*store, 2, sha256_0, err);
        return r < 0 ? r : play(*store, 1, 1, 2, sha256_0, err);
    case 4:
        r = begin_game(*store, 3, err);
        return r < 0 ? r : count(*store, err);
    case 5:
        r = play(*store, 1, 2, PLIES, sha256_0, err);
        return r < 0 ? r : end_game(*store, 1, 0, err);
    case 6:
        return begin_training(*store, err);
    case 7:
        r = store_trim_wal(*store, 0, err);
        return r < 0 ? r : note(*store, 20, "trimmed", err);
    case 8:
        r = store_running_training(*store, &id, err);
        return r < 0 ? r : store_put_training_step(*store, id, &step, err);
    case 9:
        return finish_training(*store, err);
    case 10:
        return whole_game(*store, 4, sha256_1, err);
    case 11:
        return store_put_evaluation(*store, 2, "connect4", 0, "mistakes", 0.25, 1000, 30, 1.5, err);
    case 12:
        return store_put_setting(*store, 40, "targets.q_ratio", "0", "0.5", "SIGHUP", err);
    case 13:
        r = open_again(store, path, err);
        return r < 0 ? r : note_once(*store, 50, "start", err);
    case 14:
        return store_abandon_game(*store, make_start(3).uid, err);
    case 15:
        r = whole_game(*store, 5, sha256_1, err);
        r = r < 0 ? r : whole_game(*store, 6, sha256_0, err);
        return r < 0 ? r : count(*store, err);
    default:
        return note(*store, 60, "stop", err);
    }
}

/* ---- what is there ---- */
static void hash_bytes(uint64_t *hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < size; i++) { /* FNV-1a */
        *hash = (*hash ^ at[i]) * 0x100000001b3U;
    }
}

static void hash_row(uint64_t *hash, sqlite3_stmt *row)
{
    for (int i = 0; i < sqlite3_column_count(row); i++) {
        int type = sqlite3_column_type(row, i);
        hash_bytes(hash, &type, sizeof(type));
        hash_bytes(hash, sqlite3_column_blob(row, i), (size_t)sqlite3_column_bytes(row, i));
    }
}

static void hash_table(uint64_t *hash, struct store *store, const char *name)
{
    char sql[128];
    sqlite3_stmt *rows = NULL;

    (void)snprintf(sql, sizeof(sql), "SELECT * FROM \"%s\" ORDER BY 1, 2, 3", name);
    if (sqlite3_prepare_v2(store_handle(store), sql, -1, &rows, NULL) != SQLITE_OK) {
        (void)snprintf(sql, sizeof(sql), "SELECT * FROM \"%s\" ORDER BY 1, 2", name);
        ck_assert_int_eq(sqlite3_prepare_v2(store_handle(store), sql, -1, &rows, NULL), SQLITE_OK);
    }
    while (sqlite3_step(rows) == SQLITE_ROW) {
        hash_row(hash, rows);
    }
    ck_assert_int_eq(sqlite3_finalize(rows), SQLITE_OK);
}

uint64_t script_state(struct store *store)
{
    uint64_t hash = 0xcbf29ce484222325U;
    sqlite3_stmt *tables = NULL;

    ck_assert_int_eq(sqlite3_prepare_v2(store_handle(store),
                                        "SELECT name FROM sqlite_schema WHERE type = 'table' AND "
                                        "name NOT LIKE 'sqlite_%' ORDER BY name",
                                        -1, &tables, NULL),
                     SQLITE_OK);
    while (sqlite3_step(tables) == SQLITE_ROW) {
        hash_table(&hash, store, (const char *)sqlite3_column_text(tables, 0));
    }
    ck_assert_int_eq(sqlite3_finalize(tables), SQLITE_OK);
    return hash;
}
