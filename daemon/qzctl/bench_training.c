#include "daemon/qzctl/bench_training.h"

#include "selfplay/worker.h"
#include "storage/clock.h"
#include "storage/store.h"
#include "trainer/net/blas.h"
#include "trainer/train.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Few nodes: what the games are worth does not matter, how long and how different they are does. */
enum { GAMES = 32, NODES = 8, SEED = 1 };

struct bench_training {
    char folder[PATH_MAX / 2]; /* "" : not made yet */
    char net_sha256[RECORD_SHA256_BYTES];
    const struct game *game;
    const struct config *config;
    struct store *store; /* while games are played */
    int64_t games;       /* finished */
    int result;          /* of the sink; its error in *err */
    struct error *err;
    double begin, seconds, samples, took; /* of the training that runs */
};

/* ---- games ---- */
static void put_start(const struct record_start *start, void *context)
{
    struct bench_training *bench = context;

    if (bench->result >= 0) {
        bench->result = store_put_start(bench->store, start, 0, bench->err);
    }
}

static void put_position(const char *uid, const struct record_search *search,
                         const struct record_position *position, void *context)
{
    struct bench_training *bench = context;

    if (bench->result >= 0) {
        bench->result = store_put_position(bench->store, uid, search, position, bench->err);
    }
}

static void put_end(const char *uid, const struct record_end *end, void *context)
{
    struct bench_training *bench = context;

    if (bench->result >= 0) {
        bench->result = store_put_end(bench->store, uid, end, bench->err);
        bench->games++;
    }
}

static int64_t wall_clock(void *context)
{
    (void)context;
    return clock_ms(CLOCK_REALTIME);
}

static int add_games(struct worker *worker, uint32_t *next, struct error *err)
{
    int r = 0;

    while (r == 0 && worker_room(worker) > 0) {
        struct worker_game game = {.seed = (int64_t)SEED + *next, .opening = ""};
        (void)snprintf(game.uid, sizeof(game.uid), "%032x", (*next)++);
        r = worker_add_game(worker, &game, err);
    }
    return r;
}

static int play_games(struct bench_training *bench, const struct net *net, double seconds,
                      struct error *err)
{
    const struct worker_params params = {
        .game = bench->game, .games = GAMES, .host = "bench", .build = "bench"};
    const struct worker_sink sink = {put_start, put_position, put_end, wall_clock, bench};
    struct selfplay_settings settings = selfplay_settings_default;
    struct worker *worker = NULL;
    const double begin = clock_seconds(CLOCK_MONOTONIC);
    uint32_t next = 0;

    settings.search.nodes = NODES;
    bench->err = err;
    int r = worker_create(&params, &sink, &worker, err);
    r = r < 0 ? r : worker_set_net(worker, net, bench->net_sha256, err);
    r = r < 0 ? r : worker_set_settings(worker, &settings, err);
    while (r >= 0 && bench->result >= 0 &&
           (clock_seconds(CLOCK_MONOTONIC) - begin < seconds || bench->games == 0)) {
        r = add_games(worker, &next, err);
        r = r < 0 ? r : worker_step(worker, err);
    }
    worker_destroy(worker);
    r = r < 0 ? r : bench->result;
    return r < 0 ? r : store_commit(bench->store, err);
}

/* ---- the folder ---- */
static int make_folder(struct bench_training *bench, const char *below, struct error *err)
{
    static const char *const parts[] = {"nets", "checkpoints"};
    char path[PATH_MAX];

    int n = snprintf(bench->folder, sizeof(bench->folder), "%s/qzd-bench-XXXXXX", below);
    if (n < 0 || (size_t)n >= sizeof(bench->folder)) {
        bench->folder[0] = '\0';
        return error_set(err, ERROR_INVALID, "%s: the path is too long", below);
    }
    if (mkdtemp(bench->folder) == NULL) {
        bench->folder[0] = '\0';
        return error_set(err, error_from_errno(errno), "%s: %s", below, strerror(errno));
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", bench->folder, parts[i]);
        if (mkdir(path, 0700) < 0) {
            return error_set(err, error_from_errno(errno), "%s: %s", path, strerror(errno));
        }
    }
    return 0;
}

static int enter_net(struct bench_training *bench, const struct net *net, struct error *err)
{
    struct store_net row = {.line = "main", .origin = "new", .state = "current"};
    char path[PATH_MAX];
    int64_t id = 0;

    (void)snprintf(path, sizeof(path), "%s/nets", bench->folder);
    int r = net_save_by_hash(net, path, bench->net_sha256, err);
    if (r < 0) {
        return r;
    }
    (void)snprintf(row.game, sizeof(row.game), "%s", bench->game->name);
    (void)snprintf(row.file, sizeof(row.file), "nets/%s.safetensors", bench->net_sha256);
    memcpy(row.sha256, bench->net_sha256, sizeof(row.sha256));
    row.arch = net_arch_json(&net->arch);
    r = row.arch == NULL ? error_set(err, ERROR_NO_MEMORY, "out of memory")
                         : store_add_net(bench->store, &row, &id, err);
    free(row.arch);
    return r;
}

int bench_training_create(const char *folder, const struct game *game, const struct net *net,
                          const struct config *config, double seconds, struct bench_training **ret,
                          struct error *err)
{
    struct bench_training *bench = calloc(1, sizeof(*bench));
    char path[PATH_MAX];

    if (bench == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    bench->game = game;
    bench->config = config;
    int r = make_folder(bench, folder, err);
    if (r == 0) {
        (void)snprintf(path, sizeof(path), "%s/qzd.db", bench->folder);
        r = store_open(path, STORE_CREATE, &bench->store, err);
    }
    r = r < 0 ? r : enter_net(bench, net, err);
    r = r < 0 ? r : play_games(bench, net, seconds, err);
    store_close(bench->store);
    bench->store = NULL;
    if (r < 0) {
        bench_training_destroy(bench);
        return r;
    }
    *ret = bench;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

void bench_training_destroy(struct bench_training *bench)
{
    if (bench == NULL) {
        return;
    }
    if (bench->folder[0] != '\0') {
        (void)nftw(bench->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
    free(bench);
}

/* ---- trainings ---- */
static void hear(const struct train_progress *progress, void *context)
{
    struct bench_training *bench = context;

    if (bench->begin == 0) { /* the first steps meet cold pages: they do not count */
        bench->begin = clock_seconds(CLOCK_MONOTONIC);
        bench->samples = -(double)progress->samples;
        return;
    }
    bench->took = clock_seconds(CLOCK_MONOTONIC) - bench->begin;
    if (bench->took < bench->seconds) {
        return;
    }
    bench->samples += (double)progress->samples;
    bench->seconds = 0; /* enough */
}

static bool enough(void *context)
{
    const struct bench_training *bench = context;
    return bench->seconds == 0;
}

int bench_training_run(struct bench_training *bench, uint32_t threads, double seconds, double *ret,
                       struct error *err)
{
    const struct train_callbacks callbacks = {
        .progress = hear, .should_stop = enough, .context = bench};
    char parent[RECORD_SHA256_BYTES + 32];
    struct train_result result;
    struct train_job job = {.state_dir = bench->folder,
                            .line = "main",
                            .parent_file = parent,
                            .generation = threads, /* a training of its own for each */
                            .first_seq = 1,
                            .last_seq = bench->games,
                            .new_positions = INT32_MAX, /* it is stopped, it does not end */
                            .seed = SEED,
                            .targets = {.q_ratio = 0.5F, .q = bench->config->targets.q},
                            .teacher_temperature = 1,
                            .params = bench->config->training.params};

    (void)snprintf(parent, sizeof(parent), "nets/%s.safetensors", bench->net_sha256);
    job.params.threads = threads;
    job.params.report_every = 1;
    bench->begin = bench->took = 0;
    bench->seconds = seconds;
    blas_set_threads((int)threads);
    int r = train_run(&job, &callbacks, &result, err);
    blas_set_threads(1);
    if (r != ERROR_CANCELLED) {
        return r < 0 ? r : error_set(err, ERROR_INVALID, "a training ended by itself");
    }
    *ret = bench->samples / bench->took;
    return 0;
}
