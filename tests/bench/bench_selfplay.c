/* Self-play as a worker does it, on the first core that it may use (taskset): positions a second, what
 * the net is asked for, and how much of the time goes elsewhere. Two nets: as made for generation 0 (it says "even, all alike", so games
 * stay close together), and one with random opinions.
 *     bench_selfplay [SECONDS [NODES [GAMES [CACHE_ENTRIES [BLOCKS FILTERS]]]]] */
#include "mcts/random.h"
#include "selfplay/worker.h"
#include "storage/clock.h"
#include "trainer/net/blas.h"
#include "trainer/net/evaluator.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    double seconds;
    uint32_t nodes, games;
    size_t cache_entries;
    uint32_t blocks, filters;
};

static double evaluator_seconds;

/* Linked with -Wl,--wrap=evaluator_run. */
void __real_evaluator_run(struct evaluator *evaluator, const struct evaluator_request *requests,
                          uint32_t n, struct evaluation *ret);
void __wrap_evaluator_run(struct evaluator *evaluator, const struct evaluator_request *requests,
                          uint32_t n, struct evaluation *ret);
void __wrap_evaluator_run(struct evaluator *evaluator, const struct evaluator_request *requests,
                          uint32_t n, struct evaluation *ret)
{
    double begun = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    __real_evaluator_run(evaluator, requests, n, ret);
    evaluator_seconds += clock_seconds(CLOCK_THREAD_CPUTIME_ID) - begun;
}

struct tally {
    uint64_t policy_bytes, proven;
};

static void no_start(const struct record_start *start, void *context)
{
    (void)start;
    (void)context;
}

static void count_position(const char *uid, const struct record_search *search,
                           const struct record_position *position, void *context)
{
    struct tally *tally = context;
    (void)uid;
    (void)search;
    tally->policy_bytes += position->policy_bytes;
    tally->proven += position->proven != PROVEN_NONE ? 1 : 0;
}

static void no_end(const char *uid, const struct record_end *end, void *context)
{
    (void)uid;
    (void)end;
    (void)context;
}

static int64_t no_clock(void *context)
{
    (void)context;
    return 0;
}

static struct net *make_net(const struct game *game, const struct options *options,
                            bool random_heads)
{
    static const char *const last[] = {"policy.conv2.weight", "value.fc2.weight"};
    struct net_arch arch = {.blocks = options->blocks,
                            .filters = options->filters,
                            .se_channels = options->filters / 4,
                            .value_filters = 8,
                            .value_hidden = 64,
                            .value = NET_VALUE_WDL};
    struct net *net = NULL;
    if (net_arch_for_game(&arch, game, NULL) < 0 || (net = net_create(&arch)) == NULL) {
        return NULL;
    }
    net_init(net, 1);
    for (uint32_t i = 0; random_heads && i < 2; i++) {
        const struct net_tensor *tensor = net_find(net, last[i]);
        for (size_t k = 0; k < tensor->count; k++) {
            net_tensor_data(net, tensor)[k] = 0.1F * (float)random_normal(1, i, RANDOM_TEST, k);
        }
    }
    return net;
}

static int play_for(struct worker *worker, double seconds, struct error *err)
{
    uint32_t next = 0;
    double end = clock_seconds(CLOCK_THREAD_CPUTIME_ID) + seconds;
    do {
        while (worker_room(worker) > 0) {
            struct worker_game game = {.seed = next, .opening = ""};
            snprintf(game.uid, sizeof game.uid, "%032x", next++);
            int r = worker_add_game(worker, &game, err);
            if (r < 0) {
                return r;
            }
        }
        int r = worker_step(worker, err);
        if (r < 0) {
            return r;
        }
    } while (clock_seconds(CLOCK_THREAD_CPUTIME_ID) < end);
    return 0;
}

static void report(const char *net, const struct options *options, double seconds,
                   const struct worker_counters *counters, const struct tally *tally)
{
    double positions = (double)counters->positions;
    double lookups = (double)counters->lookups;
    const struct {
        const char *what;
        double value;
    } figures[] = {
        {"positions_per_s", positions / seconds},
        {"evaluations_per_s", (double)counters->evaluations / seconds},
        {"lookups_per_s", lookups / seconds},
        {"evaluations_per_position", (double)counters->evaluations / positions},
        {"cache_hits", (double)counters->cache_hits / lookups},
        {"shared_in_batch", (double)counters->shared / lookups},
        {"mean_batch", (double)counters->evaluations / (double)counters->batches},
        {"outside_evaluator", 1 - evaluator_seconds / seconds},
        {"ns_outside_per_lookup", 1e9 * (seconds - evaluator_seconds) / lookups},
        {"proven", (double)tally->proven / positions},
        {"policy_bytes", (double)tally->policy_bytes / positions},
        {"megabytes", (double)counters->bytes / 1e6},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        printf("{\"bench\":\"selfplay\",\"net\":\"%s "
               "%ux%u\",\"kernel\":\"%s\",\"nodes\":%u,\"games\":%u,"
               "\"cache\":%zu,\"figure\":\"%s\",\"value\":%.6g}\n",
               net, options->blocks, options->filters, inference_kernel(), options->nodes,
               options->games, options->cache_entries, figures[i].what, figures[i].value);
    }
}

static int run(const char *name, bool random_heads, const struct options *options,
               struct error *err)
{
    const struct game *game = game_find("connect4");
    struct tally tally = {0, 0};
    const struct worker_params params = {game, options->games, options->cache_entries, "bench",
                                         0,    "bench"};
    const struct worker_sink sink = {no_start, count_position, no_end, no_clock, &tally};
    struct selfplay_settings settings = selfplay_settings_default;
    struct worker *worker = NULL;
    struct net *net = make_net(game, options, random_heads);
    settings.search.nodes = options->nodes;
    int r = net == NULL ? error_set(err, ERROR_NO_MEMORY, "no memory for the net")
                        : worker_create(&params, &sink, &worker, err);
    if (r < 0) {
        goto out;
    }
    r = worker_set_net(worker, net, name, err);
    r = r < 0 ? r : worker_set_settings(worker, &settings, err);
    if (r < 0) {
        goto out;
    }
    evaluator_seconds = 0;
    double begun = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    r = play_for(worker, options->seconds, err);
    if (r == 0) {
        report(name, options, clock_seconds(CLOCK_THREAD_CPUTIME_ID) - begun,
               worker_counters(worker), &tally);
    }
out:
    worker_destroy(worker);
    net_destroy(net);
    return r;
}

int main(int argc, char **argv)
{
    struct options options = {10, 800, 32, 200000, 4, 32};
    struct error err = {""};
    cpu_set_t cores;
    if (blas_prove(argv, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    size_t core = 0;
    CPU_ZERO(&cores);
    (void)sched_getaffinity(0, sizeof cores, &cores);
    while (core < CPU_SETSIZE - 1 && !CPU_ISSET(core, &cores)) {
        core++;
    }
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    (void)sched_setaffinity(0, sizeof cores, &cores);
    options.seconds = argc > 1 ? strtod(argv[1], NULL) : options.seconds;
    options.nodes = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : options.nodes;
    options.games = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : options.games;
    options.cache_entries = argc > 4 ? strtoul(argv[4], NULL, 10) : options.cache_entries;
    options.blocks = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : options.blocks;
    options.filters = argc > 6 ? (uint32_t)strtoul(argv[6], NULL, 10) : options.filters;
    if (run("generation-0", false, &options, &err) < 0 ||
        run("random-heads", true, &options, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
