/* What the store costs: rows a second with group commits of 500 rows, bytes a position, the time of the
 * views and of the reads that decide. Usage: bench_store [FOLDER [POSITIONS]]; the folder should be on the
 * disk that will hold the store. One JSON line a figure. */
#include "storage/clock.h"
#include "storage/policy.h"
#include "storage/store.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROUP_ROWS = 500, POSITIONS_A_NET = 15000, MEAN_PLIES = 30, GAMES_AT_ONCE = 64 };

struct bench {
    char path[4096];
    struct store *store;
    struct error err;
    uint64_t random;
    char sha256[RECORD_SHA256_BYTES];
    uint32_t n_nets;
    int64_t n_positions, n_games;
    char uid[GAMES_AT_ONCE][RECORD_UID_BYTES];
    uint32_t plies[GAMES_AT_ONCE], length[GAMES_AT_ONCE];
};

static void figure(const char *what, double value, const char *unit)
{
    printf("{\"bench\": \"store\", \"figure\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"}\n", what,
           value, unit);
    fflush(stdout);
}

static void must(const struct bench *b, int r)
{
    if (r < 0) {
        fprintf(stderr, "bench_store: %s\n", b->err.text);
        exit(1);
    }
}

static uint32_t draw(struct bench *b)
{
    uint64_t z = (b->random += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (uint32_t)(z >> 32);
}

static float uniform(struct bench *b)
{
    return (float)(draw(b) >> 8) / (float)(1U << 24);
}

/* 799 visits over seven columns, most of them on one or two, as a search of 800 nodes spends them. */
static void make_policy(struct bench *b, struct record_position *p)
{
    struct policy_entry entries[7];
    uint32_t left = 799;
    uint16_t best = (uint16_t)(draw(b) % 7);
    for (uint16_t i = 0; i < 7; i++) {
        uint32_t share = i == best ? 0 : draw(b) % (left / 4 + 1);
        entries[i] = (struct policy_entry){i, share};
        left -= share;
    }
    entries[best].visits = left;
    p->action = best;
    p->best_action = best;
    p->policy_bytes = (uint16_t)policy_encode(entries, 7, p->policy);
}

static void make_position(struct bench *b, uint32_t ply, struct record_position *p)
{
    p->ply = ply;
    p->q = 2 * uniform(b) - 1;
    p->d = uniform(b) * (1 - fabsf(p->q));
    p->best_q = p->q * 0.9F;
    p->best_d = p->d * 0.9F;
    p->greedy_q = p->q * 0.8F;
    p->greedy_d = p->d * 0.8F;
    p->played_q = p->best_q;
    p->played_d = p->best_d;
    p->v = p->q + 0.1F * (uniform(b) - 0.5F);
    p->v_d = p->d * 0.7F;
    p->m = NAN;
    p->nodes = 800;
    p->kld = uniform(b);
    p->proven = draw(b) % 8 == 0 ? 1 : PROVEN_NONE;
    p->kind = POSITION_FULL;
    make_policy(b, p);
}

static void add_net(struct bench *b)
{
    int64_t id = 0;
    struct store_net net = {.line = "main",
                            .generation = b->n_nets,
                            .game = "connect4",
                            .arch = "{}",
                            .origin = "training",
                            .file = "nets/x",
                            .state = "current",
                            .created_at = b->n_nets};
    snprintf(net.sha256, sizeof net.sha256, "%08x%056x", b->n_nets * 2654435761U, b->n_nets);
    memcpy(b->sha256, net.sha256, sizeof net.sha256);
    must(b, store_add_net(b->store, &net, &id, &b->err));
    must(b, store_put_evaluation(b->store, id, "suite", 0, "mistakes", 0.2, 1000, 1, 1, &b->err));
    b->n_nets++;
}

/* The next row of one of the games under way. */
static void put_row(struct bench *b, uint32_t i)
{
    static struct record_position position;
    struct record_search search = {b->sha256, "0.1.0+bench", "openblas", "{\"nodes\":800}"};
    if (b->uid[i][0] == '\0') {
        struct record_start start = {.kind = GAME_SELFPLAY,
                                     .game = "connect4",
                                     .host = "bench",
                                     .seed = (int64_t)draw(b),
                                     .opening = "",
                                     .started_at = 1700000000000};
        record_uid_draw(start.uid);
        memcpy(b->uid[i], start.uid, sizeof start.uid);
        b->plies[i] = 0;
        b->length[i] = MEAN_PLIES - 10 + draw(b) % 21;
        must(b, store_put_start(b->store, &start, 20, &b->err));
    } else if (b->plies[i] < b->length[i]) {
        make_position(b, b->plies[i]++, &position);
        must(b, store_put_position(b->store, b->uid[i], &search, &position, &b->err));
        b->n_positions++;
    } else {
        struct record_end end = {.first_player_outcome = (int8_t)((int)(draw(b) % 3) - 1),
                                 .reason = "rules",
                                 .finished_at = 1700000060000,
                                 .plies = b->length[i],
                                 .would_resign_ply = -1,
                                 .would_resign_side = -1};
        must(b, store_put_end(b->store, b->uid[i], &end, &b->err));
        b->uid[i][0] = '\0';
        b->n_games++;
    }
}

static void write_rows(struct bench *b, int64_t n_positions)
{
    int64_t rows = 0;
    double commit_s = 0;
    double begin = clock_seconds(CLOCK_MONOTONIC);
    add_net(b);
    while (b->n_positions < n_positions) {
        put_row(b, draw(b) % GAMES_AT_ONCE);
        rows++;
        if (b->n_positions / POSITIONS_A_NET >= b->n_nets) {
            add_net(b);
        }
        if (store_pending(b->store) >= GROUP_ROWS) {
            double t = clock_seconds(CLOCK_MONOTONIC);
            must(b, store_commit(b->store, &b->err));
            commit_s += clock_seconds(CLOCK_MONOTONIC) - t;
            must(b, store_trim_wal(b->store, 64 << 20, &b->err));
        }
    }
    must(b, store_commit(b->store, &b->err));
    double seconds = clock_seconds(CLOCK_MONOTONIC) - begin;
    figure("rows written, groups of 500", (double)rows / seconds, "rows/s");
    figure("share of that time in commits", commit_s / seconds, "");
    figure("mean commit of 500 rows", commit_s * 1e3 / ((double)rows / GROUP_ROWS), "ms");
}

static void time_sql(struct bench *b, const char *what, const char *sql)
{
    double best = 1e9;
    int n = 0;
    for (int round = 0; round < 5; round++) {
        sqlite3_stmt *stmt = NULL;
        double t = clock_seconds(CLOCK_MONOTONIC);
        n = 0;
        sqlite3_prepare_v2(store_handle(b->store), sql, -1, &stmt, NULL);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            n++;
        }
        sqlite3_finalize(stmt);
        best = fmin(best, clock_seconds(CLOCK_MONOTONIC) - t);
    }
    char text[96];
    snprintf(text, sizeof text, "%s, %d rows", what, n);
    figure(text, best * 1e3, "ms");
}

static int ignore(struct store_game *game, void *context)
{
    *(int64_t *)context += game->n_positions;
    return 0;
}

static void time_reads(struct bench *b)
{
    struct store_counts counts;
    int64_t first = 0;
    int64_t window = 0;
    double t = clock_seconds(CLOCK_MONOTONIC);
    must(b, store_read_counts(b->store, &counts, &b->err));
    figure("counts", (clock_seconds(CLOCK_MONOTONIC) - t) * 1e3, "ms");
    t = clock_seconds(CLOCK_MONOTONIC);
    must(b,
         store_window(b->store, counts.last_seq, counts.positions / 2, &first, &window, &b->err));
    figure("window of half of the positions", (clock_seconds(CLOCK_MONOTONIC) - t) * 1e3, "ms");
    int64_t n = 0;
    t = clock_seconds(CLOCK_MONOTONIC);
    for (int64_t seq = first - 1; seq < counts.last_seq; seq += 200) {
        int64_t last = seq + 200 < counts.last_seq ? seq + 200 : counts.last_seq;
        must(b, store_read_games(b->store, seq, last, 200, ignore, &n, &b->err));
    }
    figure("reading that window, 200 games a read",
           (double)n / (clock_seconds(CLOCK_MONOTONIC) - t), "positions/s");
    t = clock_seconds(CLOCK_MONOTONIC);
    must(b, store_check_tallies(b->store, &b->err));
    figure("check of all tallies", clock_seconds(CLOCK_MONOTONIC) - t, "s");
    t = clock_seconds(CLOCK_MONOTONIC);
    must(b, store_check_integrity(b->store, &b->err));
    figure("integrity_check", clock_seconds(CLOCK_MONOTONIC) - t, "s");
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Retention drops half of the store: the writer's time in each of its steps, and in the commits between. */
static void time_retention(struct bench *b, int64_t file_bytes)
{
    enum { MAX_STEPS = 100000 };
    const struct store_training training = {.parent_id = 1,
                                            .generation = 1,
                                            .first_seq = b->n_games * 9 / 10,
                                            .last_seq = b->n_games,
                                            .q_kind = "root",
                                            .settings = "{}"};
    const struct store_retention what = {.bytes = file_bytes / 2, .budget_ms = 50};
    struct store_dropped dropped = {.more = true};
    double *steps = calloc(MAX_STEPS, sizeof *steps);
    double commits = 0;
    double begin = clock_seconds(CLOCK_MONOTONIC);
    int64_t id = 0;
    int64_t games = 0;
    uint32_t n = 0;
    if (steps == NULL) {
        return;
    }
    must(b, store_begin_training(b->store, &training, &id, &b->err));
    for (; dropped.more && n < MAX_STEPS; n++) {
        double t = clock_seconds(CLOCK_MONOTONIC);
        must(b, store_drop_oldest(b->store, &what, &dropped, &b->err));
        steps[n] = clock_seconds(CLOCK_MONOTONIC) - t;
        t = clock_seconds(CLOCK_MONOTONIC);
        must(b, store_commit(b->store, &b->err));
        commits += clock_seconds(CLOCK_MONOTONIC) - t;
        games += dropped.games;
        must(b, store_trim_wal(b->store, 64 << 20, &b->err));
    }
    qsort(steps, n, sizeof *steps, by_size);
    figure("retention, games dropped", (double)games / (clock_seconds(CLOCK_MONOTONIC) - begin),
           "1/s");
    figure("retention, step, median", steps[n / 2] * 1e3, "ms");
    figure("retention, step, longest", steps[n - 1] * 1e3, "ms");
    figure("retention, commit, mean", commits / n * 1e3, "ms");
    free(steps);
}

int main(int argc, char **argv)
{
    static struct bench b;
    char folder[3900];
    struct stat status;
    snprintf(folder, sizeof folder, "%s/bench_store-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    int64_t n_positions = argc > 2 ? atoll(argv[2]) : 300000; // NOLINT(cert-err34-c)
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    snprintf(b.path, sizeof b.path, "%s/qzd.db", folder);
    must(&b, store_open(b.path, STORE_CREATE, &b.store, &b.err));
    write_rows(&b, n_positions);
    figure("positions", (double)b.n_positions, "");
    figure("games", (double)b.n_games, "");
    time_sql(&b, "view progress", "SELECT * FROM progress");
    time_sql(&b, "view value_targets", "SELECT * FROM value_targets");
    time_reads(&b);
    store_close(b.store);
    double t = clock_seconds(CLOCK_MONOTONIC);
    must(&b, store_open(b.path, STORE_WRITE, &b.store, &b.err));
    figure("opening for writing", (clock_seconds(CLOCK_MONOTONIC) - t) * 1e3, "ms");
    if (stat(b.path, &status) == 0) {
        figure("file", (double)status.st_size / (double)b.n_positions, "bytes/position");
    }
    time_retention(&b, status.st_size);
    store_close(b.store);
    if (stat(b.path, &status) == 0) {
        figure("file after retention", (double)status.st_size / 1e6, "MB");
    }
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char path[4200];
        snprintf(path, sizeof path, "%s%s", b.path, endings[i]);
        unlink(path);
    }
    rmdir(folder);
    return 0;
}
