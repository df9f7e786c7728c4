/* Training samples a second and where a step's time goes. Steps are the whole of what train_run()
 * does but for reading the store: draw and fill (in a thread of their own), forward, back, clip,
 * step, average.
 *
 *     bench_training [GAME BLOCKS FILTERS SE_CHANNELS [BATCH [THREADS [SECONDS]]]]
 *
 * GAME is a game's name, or HEIGHTxWIDTHxPLANESxPOLICY_PLANES for a net of that shape on one
 * made-up batch (chess as lc0 plays it: 8x8x112x80), which is not drawn or filled.
 *
 * Shares are of the stepping thread's processor time, so that what else runs on the machine counts
 * as little as can be; fill_share is what filling a batch takes, beside that time. peak_gmac is
 * what a core did of plain multiply-adds in between, direct_share the multiply-adds of direct
 * convolutions (forward, back to the input, back to the weights) per core and second over that
 * peak: above 1 where Winograd's fewer do. With several threads every step is followed by one of
 * another training on a single thread: over_one_thread is the median of the ratios of the two. */
#include "mcts/random.h"
#include "storage/clock.h"
#include "storage/policy.h"
#include "trainer/batch.h"
#include "trainer/buffer.h"
#include "trainer/checkpoint.h"
#include "trainer/conv.h"
#include "trainer/feed.h"
#include "trainer/lanes.h"
#include "trainer/model.h"
#include "trainer/net/blas.h"
#include "trainer/net/fma_peak.h"
#include "trainer/optimizer.h"
#include "trainer/step.h"
#include "trainer/train.h"
#include "trainer/window.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEED = 5,
    POSITIONS = 8000,
    PROBE_EVERY = 8, /* steps */
    MADE_UP_LEGAL = 30,
    MAX_RATIOS = 4096, /* the first ones */
};

static void *must(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

static size_t heap_bytes(void)
{
#if defined(__GLIBC__)
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

/* Random games with random visits. */
static void fill_window(struct window *window, const struct game *game, uint32_t wanted)
{
    struct error err;
    uint64_t draw = 0;

    for (uint32_t g = 0; window->drawn.n < wanted; g++) {
        struct record_position *positions = must(calloc(game->max_plies, sizeof(*positions)));
        struct store_game record = {.opening = NULL, .positions = positions};
        union game_state state;
        const char *why = NULL;
        int value = 0;
        snprintf(record.uid, sizeof(record.uid), "%032x", g);
        game->init(&state, "", &why);
        while (!game->over(&state, &value)) {
            struct record_position *position = &positions[record.n_positions];
            struct policy_entry entries[GAME_MAX_LEGAL];
            uint16_t legal[GAME_MAX_LEGAL];
            uint32_t n = game->legal(&state, legal);
            if (n == 0) { /* never: the game is not over */
                break;
            }
            for (uint32_t i = 0; i < n; i++) {
                uint64_t visits = random_u64(SEED, 0, RANDOM_TEST, draw++) % 200;
                entries[i] = (struct policy_entry){legal[i], (uint32_t)visits};
            }
            position->ply = record.n_positions++;
            position->kind = POSITION_FULL;
            position->action = legal[random_u64(SEED, 1, RANDOM_TEST, draw++) % n];
            int size = policy_encode(entries, n, position->policy);
            position->policy_bytes = (uint16_t)(size < 0 ? 0 : size);
            game->play(&state, position->action);
        }
        record.first_player_outcome = (int8_t)(game->side_to_move(&state) == 0 ? value : -value);
        if (window_add(window, &record, &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            exit(EXIT_FAILURE);
        }
        free(positions);
    }
}

struct bench {
    const struct game *game; /* NULL: a made-up batch */
    const char *name;
    struct train_params params;
    struct net_arch arch;
    struct window window;
    struct crew *crew;
    struct model *model;
    struct feed *feed;
    struct checkpoint state;
    float *gradient;
    /* for probes */
    struct batch batch;
    float *planes;
    const struct window_row **rows;
    bool *flips;
    /* seconds; of the stepping thread's processor time but for wall and cpu (the process's) */
    double wait, gradient_time, optimizer_time, wall, cpu;
    double probe_fill, probe_forward, peak;
    uint32_t probes;
};

static uint32_t draw(void *context, uint64_t index, const struct window_row **rows, bool *flips,
                     bool *ret_flips)
{
    const struct bench *bench = context;
    for (uint32_t i = 0; i < bench->params.batch; i++) {
        const uint64_t sample = index * bench->params.batch + i;
        rows[i] = &bench->window.drawn.rows[batch_draw(SEED, 1, bench->window.drawn.n, sample)];
        flips[i] = random_u64(SEED, 1, RANDOM_MIRROR, sample) >> 63 != 0;
    }
    *ret_flips = true;
    return bench->params.batch;
}

static void one_step(struct bench *bench, uint64_t step)
{
    const struct train_params *params = &bench->params;
    struct batch *batch = NULL;
    const float *planes = NULL;
    struct step_sums sums;
    double loss;

    const double wall = clock_seconds(CLOCK_MONOTONIC);
    const double cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (bench->game == NULL) {
        batch = &bench->batch;
        planes = bench->planes;
    } else {
        (void)feed_next(bench->feed, &batch, &planes);
    }
    bench->wait += clock_seconds(CLOCK_MONOTONIC) - wall;
    double began = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    step_gradient(bench->model, bench->state.net, batch, planes, 1.0, bench->gradient, &sums,
                  &loss);
    double now = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    bench->gradient_time += now - began;
    began = now;
    optimizer_clip(bench->crew, bench->gradient, bench->state.net->n_params, params->clip_norm);
    optimizer_step(bench->crew, &bench->state.optimizer, params, 1e-3, bench->gradient,
                   bench->state.net);
    step_running(bench->model, 0.9, bench->state.net);
    optimizer_average(bench->crew, params->average_decay, (int64_t)step, bench->state.net->params,
                      bench->state.net->n_params, bench->state.average->params);
    bench->optimizer_time += clock_seconds(CLOCK_THREAD_CPUTIME_ID) - began;
    bench->wall += clock_seconds(CLOCK_MONOTONIC) - wall;
    bench->cpu += clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
}

/* What is not seen from outside a step; and what the core can do at this moment. */
static void probe(struct bench *bench, uint64_t step)
{
    bool flips;
    double began = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    if (bench->game != NULL) {
        const uint32_t n = draw(bench, step, bench->rows, bench->flips, &flips);
        batch_fill(&bench->batch, &bench->window, bench->rows, bench->flips, n, bench->planes);
    }
    double now = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    bench->probe_fill += now - began;
    began = now;
    model_forward(bench->model, bench->state.net->params, MODEL_TRAIN, bench->planes,
                  bench->params.batch);
    bench->probe_forward += clock_seconds(CLOCK_THREAD_CPUTIME_ID) - began;
    bench->peak += fma_peak(lanes_choose()->name);
    bench->probes++;
}

/* A third of the planes' cells is set; as many legal moves everywhere, all alike. */
static void make_up(struct bench *bench)
{
    const struct net_arch *arch = &bench->arch;
    const size_t cells = (size_t)arch->height * arch->width;
    struct batch *batch = &bench->batch;
    const uint32_t n = bench->params.batch;

    *batch = (struct batch){.max = n, .n = n};
    batch->samples = must(calloc(n, sizeof(*batch->samples)));
    batch->offsets = must(calloc((size_t)n * MADE_UP_LEGAL, sizeof(*batch->offsets)));
    batch->policy = must(calloc((size_t)n * MADE_UP_LEGAL, sizeof(*batch->policy)));
    for (size_t i = 0; i < arch->n_planes * lanes_size(n, cells); i++) {
        bench->planes[i] = random_u64(SEED, 2, RANDOM_TEST, i) % 3 == 0 ? 1.0F : 0.0F;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct batch_sample *sample = &batch->samples[i];
        *sample = (struct batch_sample){.n_legal = MADE_UP_LEGAL,
                                        .policy_weight = 1.0F,
                                        .value_weight = 1.0F,
                                        .value = {0.4F, 0.3F, 0.3F},
                                        .offsets = batch->offsets + (size_t)i * MADE_UP_LEGAL,
                                        .policy = batch->policy + (size_t)i * MADE_UP_LEGAL};
        for (size_t j = 0; j < MADE_UP_LEGAL; j++) {
            const size_t move = (i + j * 7) % net_policy_size(arch);
            sample->offsets[j] =
                lanes_at(arch->policy_planes, cells, i, move / cells, move % cells);
            sample->policy[j] = 1.0F / MADE_UP_LEGAL;
        }
    }
}

static void prepare(struct bench *bench)
{
    const uint32_t batch = bench->params.batch;
    const size_t cells = (size_t)bench->arch.height * bench->arch.width;
    struct net *net = must(net_create(&bench->arch));

    net_init(net, SEED);
    bench->crew = must(crew_create(bench->params.threads));
    bench->model = must(model_create(&bench->arch, batch, bench->crew));
    bench->planes = must(activation_create(bench->arch.n_planes, batch, cells));
    bench->gradient = must(buffer_create(net->n_params));
    bench->rows = must(calloc(batch, sizeof(const struct window_row *)));
    bench->flips = must(calloc(batch, sizeof(*bench->flips)));
    if (checkpoint_init(&bench->state, net) < 0) {
        must(NULL);
    }
    net_destroy(net);
    if (bench->game == NULL) {
        make_up(bench);
        return;
    }
    window_init(&bench->window, &(struct window_params){.game = bench->game});
    fill_window(&bench->window, bench->game, POSITIONS);
    if (batch_init(&bench->batch, bench->game, batch) < 0 ||
        feed_create(&bench->window, batch, &bench->feed) < 0) {
        must(NULL);
    }
    feed_begin(bench->feed, draw, bench, 0, UINT64_MAX);
}

static void finish(struct bench *bench)
{
    feed_destroy(bench->feed);
    if (bench->game != NULL) {
        window_finish(&bench->window);
    }
    checkpoint_finish(&bench->state);
    batch_finish(&bench->batch);
    free(bench->rows);
    free(bench->flips);
    buffer_destroy(bench->planes);
    buffer_destroy(bench->gradient);
    model_destroy(bench->model);
    crew_destroy(bench->crew);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Steps in turn, of a training on several threads and of one on a single thread (NULL: none). */
struct trial {
    struct bench *bench, *single;
    uint64_t steps;
    double ratios[MAX_RATIOS];
};

static void trial_step(struct trial *trial)
{
    struct bench *both[] = {trial->bench, trial->single};
    double walls[2] = {0.0};

    for (size_t i = 0; i < 2 && both[i] != NULL; i++) {
        walls[i] = both[i]->wall;
        one_step(both[i], trial->steps + 1);
        walls[i] = both[i]->wall - walls[i];
    }
    if (trial->steps < MAX_RATIOS) {
        trial->ratios[trial->steps] = walls[1] / walls[0];
    }
    trial->steps++;
}

/* 1 where there was nothing to compare with. */
static double over_one_thread(struct trial *trial)
{
    const size_t n = trial->steps < MAX_RATIOS ? (size_t)trial->steps : MAX_RATIOS;
    if (trial->single == NULL) {
        return 1.0;
    }
    qsort(trial->ratios, n, sizeof(trial->ratios[0]), by_size);
    return trial->ratios[n / 2];
}

static void print(struct trial *trial, size_t grown)
{
    const struct bench *bench = trial->bench;
    const uint64_t steps = trial->steps;
    const double samples = (double)steps * bench->params.batch;
    const double own = bench->gradient_time + bench->optimizer_time;
    const double scale = (double)steps / bench->probes; /* from probes to all steps */
    const double peak = bench->peak / bench->probes;
    const double macs = 3.0 * net_arch_macs(&bench->arch) * samples / bench->cpu;

    printf("{\"bench\": \"training\", \"game\": \"%s\", \"net\": \"%ux%u\", \"batch\": %u, "
           "\"threads\": %u, "
           "\"kernel\": \"%s\", \"samples_per_s\": %.0f, \"samples_per_core_s\": %.0f, "
           "\"over_one_thread\": %.2f, "
           "\"peak_gmac_per_s\": %.1f, \"direct_share\": %.2f, \"forward_share\": %.3f, "
           "\"backward_share\": %.3f, \"optimizer_share\": %.3f, \"fill_share\": %.3f, "
           "\"wait_ms_per_step\": %.3f, \"heap_growth_bytes\": %zu}\n",
           bench->name, bench->arch.blocks, bench->arch.filters, bench->params.batch,
           bench->params.threads, lanes_choose()->name, samples / bench->wall, samples / bench->cpu,
           over_one_thread(trial), peak / 1e9, macs / peak, bench->probe_forward * scale / own,
           (bench->gradient_time - bench->probe_forward * scale) / own, bench->optimizer_time / own,
           bench->probe_fill * scale / own, 1e3 * bench->wait / (double)steps, grown);
}

/* A training that has done its first step. */
static void prepare_warm(struct bench *bench)
{
    prepare(bench);
    one_step(bench, 0); /* pages and caches */
    bench->wait = bench->gradient_time = bench->optimizer_time = bench->wall = bench->cpu = 0.0;
}

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

/* The net's part that is the game's. */
static bool choose_shape(struct bench *bench)
{
    struct net_arch *arch = &bench->arch;
    struct error err;

    if (bench->game != NULL) {
        return net_arch_for_game(arch, bench->game, &err) == 0;
    }
    snprintf(arch->game, sizeof(arch->game), "none");
    // NOLINTNEXTLINE(cert-err34-c)
    return sscanf(bench->name, "%ux%ux%ux%u", &arch->height, &arch->width, &arch->n_planes,
                  &arch->policy_planes) == 4 &&
           net_arch_check(arch, &err) == 0;
}

int main(int argc, char **argv)
{
    struct bench bench = {.params = train_params_default};
    double seconds = 5.0;

    bench.arch = (struct net_arch){.blocks = argc > 4 ? number(argv[2]) : 4,
                                   .filters = argc > 4 ? number(argv[3]) : 32,
                                   .se_channels = argc > 4 ? number(argv[4]) : 8,
                                   .value_filters = 8,
                                   .value_hidden = 64,
                                   .value = NET_VALUE_WDL};
    bench.name = argc > 4 ? argv[1] : "connect4";
    bench.game = game_find(bench.name);
    bench.params.batch = argc > 5 ? number(argv[5]) : bench.params.batch;
    bench.params.threads = argc > 6 ? number(argv[6]) : bench.params.threads;
    seconds = argc > 7 ? strtod(argv[7], NULL) : seconds;
    blas_set_threads(1);
    if (!choose_shape(&bench)) {
        fprintf(stderr, "usage: bench_training [GAME BLOCKS FILTERS SE_CHANNELS [BATCH [THREADS "
                        "[SECONDS]]]]\n");
        return EXIT_FAILURE;
    }
    struct bench single = bench;
    struct trial *trial = must(calloc(1, sizeof(*trial)));
    prepare_warm(&bench);
    trial->bench = &bench;
    if (bench.params.threads > 1) {
        single.params.threads = 1;
        prepare_warm(&single);
        trial->single = &single;
    }
    const size_t heap = heap_bytes();
    const double began = clock_seconds(CLOCK_MONOTONIC);
    do {
        trial_step(trial);
        if ((trial->steps - 1) % PROBE_EVERY == 0) {
            probe(&bench, trial->steps);
        }
    } while (clock_seconds(CLOCK_MONOTONIC) - began < seconds);
    print(trial, heap_bytes() - heap);
    finish(&bench);
    if (trial->single != NULL) {
        finish(&single);
    }
    free(trial);
    return EXIT_SUCCESS;
}
