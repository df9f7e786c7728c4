/* bench: how fast this host is at what a run needs, and which settings that suggests. */
#include "daemon/config/config.h"
#include "daemon/qzctl/bench_training.h"
#include "daemon/qzctl/qzctl_search.h"
#include "daemon/slots.h"

#include "selfplay/speed.h"
#include "storage/store_speed.h"
#include "trainer/net/fma_peak.h"
#include "trainer/net/kernel.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum bench_option { OPTION_NET = 1, OPTION_CONFIG, OPTION_SECONDS };

/* Shares of --seconds. */
static const double share_evaluations = 0.35, share_selfplay = 0.35, share_store = 0.05,
                    share_games = 0.05, share_training = 0.2;

static const uint32_t games_tried[] = {4, 8, 16, 32, 64};
enum { N_GAMES = sizeof(games_tried) / sizeof(games_tried[0]) };

struct bench {
    struct qzctl *qzctl;
    const char *which_net, *config_path;
    double seconds;
    struct config config;
    struct qzctl_net net;
    json_t *figures; /* of {"what", "value", "unit", ...}: what is printed */
    json_t *advice;  /* of {"key", "value", "why"} */
};

static int take_option(int option, const char *value, void *context)
{
    struct bench *bench = context;

    switch (option) {
    case OPTION_NET:
        bench->which_net = value;
        return 0;
    case OPTION_CONFIG:
        bench->config_path = value;
        return 0;
    default:
        return qzctl_real("--seconds", value, 1, 3600, &bench->seconds);
    }
}

/* ---- what is measured ---- */
static int read_config(struct bench *bench)
{
    struct config_problems problems = {0};

    config_default(&bench->config);
    if (bench->config_path == NULL) {
        return QZCTL_OK;
    }
    int r = config_load(bench->config_path, &bench->config, &problems);
    if (r < 0) {
        (void)fprintf(stderr, "%s", problems.text != NULL ? problems.text : "qzctl: bad config\n");
    }
    config_problems_finish(&problems);
    return r < 0 ? QZCTL_FAILED : QZCTL_OK;
}

static int make_net(struct bench *bench)
{
    struct net_arch arch;
    struct error err = {""};

    bench->net = (struct qzctl_net){.game = game_find(bench->config.game), .generation = -1};
    if (config_net_arch(&bench->config, bench->net.game, &arch, &err) < 0) {
        return qzctl_fail("network: %s", err.text);
    }
    bench->net.net = net_create(&arch);
    if (bench->net.net == NULL) {
        return qzctl_fail("out of memory");
    }
    net_init(bench->net.net, 1);
    return QZCTL_OK;
}

static bool has_store(const struct qzctl *qzctl)
{
    char path[PATH_MAX];
    qzctl_db_path(qzctl, path);
    FILE *file = fopen(path, "rb");
    if (file != NULL) {
        (void)fclose(file);
    }
    return file != NULL;
}

/* --net, else a new net of --config's shape, else the store's current one, else a new one of the default shape. */
static int choose_net(struct bench *bench)
{
    int r = read_config(bench);

    if (r != QZCTL_OK) {
        return r;
    }
    if (bench->which_net != NULL || (bench->config_path == NULL && has_store(bench->qzctl))) {
        return qzctl_net_load(bench->qzctl, bench->which_net, &bench->net);
    }
    return make_net(bench);
}

/* ---- figures ---- */
static json_t *add_figure(struct bench *bench, const char *what, double value, const char *unit)
{
    json_t *figure = json_pack("{s:s, s:o, s:s}", "what", what, "value",
                               isfinite(value) ? json_real(value) : json_null(), "unit", unit);

    (void)json_array_append(bench->figures, figure);
    return figure; /* one reference: the caller's to give back */
}

static void advise(struct bench *bench, const char *key, const char *value, const char *why)
{
    (void)json_array_append_new(
        bench->advice, json_pack("{s:s, s:s, s:s}", "key", key, "value", value, "why", why));
}

/* A kernel in a precision, as the environment asks for it. */
struct way {
    const char *kernel, *precision, *peak; /* peak: fma_peak()'s name for it */
};
static const struct way ways[] = {{"avx512", "fp32", "avx512"},
                                  {"amx", "bf16", "amx"},
                                  {"avx512", "bf16", "avx512-bf16"},
                                  {"avx2", "fp32", "avx2"},
                                  {"plain", "fp32", "plain"}};
enum { N_WAYS = sizeof(ways) / sizeof(ways[0]) };

static bool can_run(const struct way *way)
{
    const char *why = NULL;
    return kernel_find(way->kernel, strcmp(way->precision, "bf16") == 0 ? KERNEL_BF16 : KERNEL_FP32,
                       &why) != NULL;
}

static json_t *add_way_figure(struct bench *bench, const char *what, double value, const char *unit,
                              const struct way *way)
{
    json_t *figure = add_figure(bench, what, value, unit);

    (void)json_object_set_new(figure, "kernel", json_string(way->kernel));
    (void)json_object_set_new(figure, "precision", json_string(way->precision));
    return figure;
}

static int measure_way(struct bench *bench, const struct way *way, double seconds)
{
    struct speed_batches batches = {.n = 5, .batch = {1, 4, 8, 16, 64}};
    struct error err = {""};

    if (setenv("QZD_KERNEL", way->kernel, 1) < 0 ||
        setenv("QZD_PRECISION", way->precision, 1) < 0) {
        return qzctl_fail("out of memory");
    }
    const double peak = fma_peak(way->peak);
    if (speed_evaluations(bench->net.game, bench->net.net, seconds, &batches, &err) < 0) {
        return qzctl_fail("%s, %s: %s", way->kernel, way->precision, err.text);
    }
    json_decref(add_way_figure(bench, "peak of multiply-adds",
                               2e-9 * fmax(peak, fma_peak(way->peak)), "GFLOP/s", way));
    for (uint32_t i = 0; i < batches.n; i++) {
        json_t *figure = add_way_figure(bench, "evaluations", batches.rate[i], "/s", way);
        (void)json_object_set_new(figure, "batch", json_integer(batches.batch[i]));
        json_decref(figure);
    }
    return QZCTL_OK;
}

static char *kept(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? strdup(value) : NULL;
}

static void put_back(const char *name, char *value)
{
    if (value != NULL) {
        (void)setenv(name, value, 1);
    } else {
        (void)unsetenv(name);
    }
    free(value);
}

static int measure_evaluations(struct bench *bench)
{
    char *kernel = kept("QZD_KERNEL");
    char *precision = kept("QZD_PRECISION");
    uint32_t n = 0;
    int r = QZCTL_OK;

    for (uint32_t i = 0; i < N_WAYS; i++) {
        n += can_run(&ways[i]) ? 1 : 0;
    }
    for (uint32_t i = 0; i < N_WAYS && r == QZCTL_OK; i++) {
        if (can_run(&ways[i])) {
            r = measure_way(bench, &ways[i], share_evaluations * bench->seconds / n);
        }
    }
    put_back("QZD_KERNEL", kernel);
    put_back("QZD_PRECISION", precision);
    return r;
}

static int measure_selfplay(struct bench *bench)
{
    const double seconds = share_selfplay * bench->seconds / N_GAMES;
    double rates[N_GAMES];
    double best = 0;
    struct error err = {""};
    char value[32];

    for (uint32_t i = 0; i < N_GAMES; i++) {
        struct speed_selfplay speed = {0};
        if (speed_selfplay(bench->net.game, bench->net.net, &bench->config.selfplay_settings,
                           &bench->config.selfplay.openings, games_tried[i],
                           bench->config.selfplay.cache_entries, seconds, &speed, &err) < 0) {
            return qzctl_fail("%s", err.text);
        }
        rates[i] = speed.evaluations;
        best = fmax(best, rates[i]);
        json_t *figure = add_figure(bench, "self-play positions", speed.positions, "/s");
        (void)json_object_set_new(figure, "games", json_integer(games_tried[i]));
        (void)json_object_set_new(figure, "evaluations_per_s", json_real(speed.evaluations));
        (void)json_object_set_new(figure, "evaluations_per_position",
                                  isfinite(speed.evaluations_per_position)
                                      ? json_real(speed.evaluations_per_position)
                                      : json_null());
        (void)json_object_set_new(figure, "cache_hits", json_real(speed.cache_hits));
        (void)json_object_set_new(figure, "mib", json_real((double)speed.bytes / 1048576));
        json_decref(figure);
    }
    for (uint32_t i = 0; i < N_GAMES; i++) {
        if (rates[i] >= 0.97 * best) {
            (void)snprintf(value, sizeof(value), "%u", games_tried[i]);
            advise(bench, "selfplay.games_per_worker", value,
                   "more games a worker do not make it faster");
            break;
        }
    }
    return QZCTL_OK;
}

/* One thread, then doubled up to all cores. */
static int measure_threads(struct bench *bench, struct bench_training *training)
{
    const uint32_t slots = slots_count();
    struct error err = {""};
    uint32_t n = 1;

    for (uint32_t threads = 1; threads < slots; threads *= 2) {
        n++;
    }
    for (uint32_t threads = 1;; threads = threads * 2 < slots ? threads * 2 : slots) {
        double rate = 0;
        if (bench_training_run(training, threads, share_training * bench->seconds / n, &rate,
                               &err) < 0) {
            return qzctl_fail("%s", err.text);
        }
        json_t *figure = add_figure(bench, "training samples", rate, "/s");
        (void)json_object_set_new(figure, "threads", json_integer(threads));
        json_decref(figure);
        if (threads == slots) {
            return QZCTL_OK;
        }
    }
}

/* Where the files are that are written meanwhile: on the disk of the run, if there is one. */
static const char *folder_of(const struct bench *bench)
{
    return has_store(bench->qzctl) ? bench->qzctl->state_dir : ".";
}

static int measure_training(struct bench *bench)
{
    struct bench_training *training = NULL;
    struct error err = {""};

    if (bench_training_create(folder_of(bench), bench->net.game, bench->net.net, &bench->config,
                              share_games * bench->seconds, &training, &err) < 0) {
        return qzctl_fail("%s", err.text);
    }
    int r = measure_threads(bench, training);
    bench_training_destroy(training);
    return r;
}

static int measure_store(struct bench *bench)
{
    struct store_speed speed = {0};
    struct error err = {""};

    if (store_measure(folder_of(bench), share_store * bench->seconds, &speed, &err) < 0) {
        return qzctl_fail("%s", err.text);
    }
    json_decref(add_figure(bench, "commits of one position", speed.commits, "/s"));
    json_decref(add_figure(bench, "positions in groups of 500", speed.positions, "/s"));
    return QZCTL_OK;
}

/* ---- saying ---- */
/* "avx512, batch 16", "16 games a worker", "2 threads" */
static void with_text(const json_t *figure, char *ret, size_t size)
{
    const char *kernel = json_string_value(json_object_get(figure, "kernel"));
    const char *precision = json_string_value(json_object_get(figure, "precision"));
    const json_t *batch = json_object_get(figure, "batch");
    const json_t *games = json_object_get(figure, "games");
    const json_t *threads = json_object_get(figure, "threads");

    ret[0] = '\0';
    if (kernel != NULL && batch != NULL) {
        (void)snprintf(ret, size, "%s %s, batch %lld", kernel, precision,
                       json_integer_value(batch));
    } else if (kernel != NULL) {
        (void)snprintf(ret, size, "%s %s", kernel, precision);
    } else if (games != NULL) {
        (void)snprintf(ret, size, "%lld games a worker", json_integer_value(games));
    } else if (threads != NULL) {
        (void)snprintf(ret, size, "%lld thread%s", json_integer_value(threads),
                       json_integer_value(threads) == 1 ? "" : "s");
    }
}

static double number(const json_t *figure, const char *key)
{
    return json_number_value(json_object_get(figure, key));
}

static void add_row(struct table *table, const json_t *figure)
{
    const double value = number(figure, "value");
    char with[64];

    with_text(figure, with, sizeof(with));
    table_cell(table, json_string_value(json_object_get(figure, "what")));
    table_cell(table, with);
    table_cellf(table, value < 100 ? "%.1f" : "%.0f", value);
    table_cell(table, json_string_value(json_object_get(figure, "unit")));
    if (json_object_get(figure, "games") != NULL) {
        table_cellf(table,
                    "%.0f evaluations/s, %.0f a position, %.0f %% of the lookups hit, %.0f MiB",
                    number(figure, "evaluations_per_s"), number(figure, "evaluations_per_position"),
                    100 * number(figure, "cache_hits"), number(figure, "mib"));
    } else {
        table_cell(table, "");
    }
}

static int print_text(const struct bench *bench)
{
    const json_t *one = NULL;
    size_t i;
    char *arch = net_arch_json(&bench->net.net->arch);
    struct table *table = table_create();

    printf("net %s\nrates are per second of one thread's processor time; of trainings and the "
           "store per second\n\n",
           arch != NULL ? arch : "");
    free(arch);
    if (table != NULL) {
        table_column(table, "what", TABLE_LEFT, 0);
        table_column(table, "with", TABLE_LEFT, 0);
        table_column(table, "figure", TABLE_RIGHT, 0);
        table_column(table, "unit", TABLE_LEFT, 0);
        table_column(table, "", TABLE_LEFT, 1);
        json_array_foreach(bench->figures, i, one)
        {
            add_row(table, one);
        }
    }
    int r = qzctl_put_table(table, qzctl_width());
    printf("\n");
    json_array_foreach(bench->advice, i, one)
    {
        printf("%s: %s    # %s\n", json_string_value(json_object_get(one, "key")),
               json_string_value(json_object_get(one, "value")),
               json_string_value(json_object_get(one, "why")));
    }
    return r == QZCTL_OK ? qzctl_flush() : r;
}

/* A daemon that plays meanwhile takes its share of what is measured. */
static void warn_of_daemon(struct bench *bench)
{
    struct query_request request = {.kind = QUERY_PROGRESS};
    bool from_daemon = false;
    char *json = NULL;

    if (has_store(bench->qzctl) &&
        qzctl_ask(bench->qzctl, &request, &from_daemon, &json) == QZCTL_OK && from_daemon) {
        (void)fprintf(stderr,
                      "qzctl: a daemon is running: pause it for quiet figures (qzctl pause)\n");
    }
    free(json);
}

static int measure(struct bench *bench)
{
    int r = measure_evaluations(bench);

    r = r != QZCTL_OK ? r : measure_selfplay(bench);
    r = r != QZCTL_OK ? r : measure_training(bench);
    return r != QZCTL_OK ? r : measure_store(bench);
}

static int run_bench(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                     char **argv)
{
    static const struct option own[] = {{"net", required_argument, NULL, OPTION_NET},
                                        {"config", required_argument, NULL, OPTION_CONFIG},
                                        {"seconds", required_argument, NULL, OPTION_SECONDS},
                                        {0}};
    struct bench *bench = calloc(1, sizeof(*bench));
    int first = 0;

    if (bench == NULL) {
        return qzctl_fail("out of memory");
    }
    bench->qzctl = qzctl;
    bench->seconds = 120;
    int r = qzctl_parse(qzctl, command, argc, argv, own, take_option, bench, &first);
    if (r < 0 && first != argc) {
        r = qzctl_usage(command, "\"%s\" is too much", argv[first]);
    }
    if (r < 0) {
        bench->figures = json_array();
        bench->advice = json_array();
        r = bench->figures == NULL || bench->advice == NULL ? qzctl_fail("out of memory")
                                                            : choose_net(bench);
    } else {
        free(bench);
        return r;
    }
    if (r == QZCTL_OK) {
        warn_of_daemon(bench);
        r = measure(bench);
    }
    if (r == QZCTL_OK) {
        r = qzctl->json ? qzctl_put_object(json_pack("{s:O, s:O}", "figures", bench->figures,
                                                     "advice", bench->advice))
                        : print_text(bench);
    }
    json_decref(bench->figures);
    json_decref(bench->advice);
    qzctl_net_finish(&bench->net);
    free(bench);
    return r;
}

const struct qzctl_command qzctl_bench = {
    "bench",
    "",
    "measure this host: evaluations, self-play, training, store",
    "  --net FILE|ID        the net to measure with, as in analyse (default: the current one)\n"
    "  --config FILE        a new net of this configuration's shape, and its settings\n"
    "  --seconds S          for all of it (default 120)\n"
    "\n"
    "Without a store it measures a new net of the default shape. Figures are of this moment and "
    "this\n"
    "machine: pause a daemon that runs beside it. Below them stand settings worth changing.\n"
    "\n"
    "Examples:\n"
    "  qzctl bench\n"
    "  qzctl bench --seconds 20 --config my.yaml --json\n",
    run_bench,
};
