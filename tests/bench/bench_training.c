/* Training samples a second, and what share of this core's sgemm peak they are. Steps are the whole of
 * what train_run() does but for reading the store: draw, fill, forward, back, clip, step, average.
 *
 *     bench_training [BLOCKS FILTERS SE_CHANNELS [BATCH [THREADS [SECONDS]]]] */
#include "mcts/random.h"
#include "storage/policy.h"
#include "trainer/batch.h"
#include "trainer/buffer.h"
#include "trainer/checkpoint.h"
#include "trainer/model.h"
#include "trainer/net/blas.h"
#include "trainer/net/inference.h"
#include "trainer/optimizer.h"
#include "trainer/step.h"
#include "trainer/train.h"
#include "trainer/window.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SEED = 5, GAMES = 400 };

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void *must(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

/* Multiply-adds a second of a product that is large enough to show what the core can do. In processor
 * time, like the share of it: what else runs on the machine does not count. */
static double sgemm_peak(void)
{
    enum { SIZE = 768 };
    float *a = must(buffer_create((size_t)SIZE * SIZE));
    float *b = must(buffer_create((size_t)SIZE * SIZE));
    float *c = must(buffer_create((size_t)SIZE * SIZE));
    double best = 0.0;

    for (int i = 0; i < 12; i++) {
        double began = cpu_seconds();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIZE, SIZE, SIZE, 1.0F, a, SIZE, b,
                    SIZE, 0.0F, c, SIZE);
        best = fmax(best, (double)SIZE * SIZE * SIZE / (cpu_seconds() - began));
    }
    buffer_destroy(a);
    buffer_destroy(b);
    buffer_destroy(c);
    return best;
}

/* Random games with random visits. */
static void fill_window(struct window *window, const struct game *game)
{
    struct error err;
    uint64_t draw = 0;

    for (uint32_t g = 0; g < GAMES; g++) {
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
    struct train_params params;
    struct window window;
    struct crew *crew;
    struct model *model;
    struct batch batch;
    struct checkpoint state;
    float *gradient;
    const struct window_row **rows;
    bool *flips;
    double seconds[4]; /* fill, gradient, optimizer; all */
};

static void one_step(struct bench *bench, uint64_t step)
{
    const struct train_params *params = &bench->params;
    struct step_sums sums;
    double loss;
    double t[4];

    t[0] = now_seconds();
    for (uint32_t i = 0; i < params->batch; i++) {
        uint64_t index = step * params->batch + i;
        bench->rows[i] =
            &bench->window.drawn.rows[batch_draw(SEED, 1, bench->window.drawn.n, index)];
        bench->flips[i] = random_u64(SEED, 1, RANDOM_MIRROR, index) >> 63 != 0;
    }
    batch_fill(&bench->batch, bench->crew, &bench->window, bench->rows, bench->flips, params->batch,
               model_planes(bench->model));
    t[1] = now_seconds();
    step_gradient(bench->model, bench->state.net, &bench->batch, 1.0, bench->gradient, &sums,
                  &loss);
    t[2] = now_seconds();
    optimizer_clip(bench->gradient, bench->state.net->n_params, params->clip_norm);
    optimizer_step(&bench->state.optimizer, params, 1e-3, bench->gradient, bench->state.net);
    step_running(bench->model, 0.9, bench->state.net);
    optimizer_average(params->average_decay, (int64_t)step, bench->state.net->params,
                      bench->state.net->n_params, bench->state.average->params);
    t[3] = now_seconds();
    for (int i = 0; i < 3; i++) {
        bench->seconds[i] += t[i + 1] - t[i];
    }
    bench->seconds[3] += t[3] - t[0];
}

int main(int argc, char **argv)
{
    const struct game *game = game_find("connect4");
    struct bench bench = {.params = train_params_default};
    struct net_arch arch = {.blocks = 4,
                            .filters = 32,
                            .se_channels = 8,
                            .value_filters = 8,
                            .value_hidden = 64,
                            .value = NET_VALUE_WDL};
    double seconds = 5.0;
    struct error err;

    if (argc > 3) {
        arch.blocks = (uint32_t)strtoul(argv[1], NULL, 10);
        arch.filters = (uint32_t)strtoul(argv[2], NULL, 10);
        arch.se_channels = (uint32_t)strtoul(argv[3], NULL, 10);
    }
    if (argc > 4) {
        bench.params.batch = (uint32_t)strtoul(argv[4], NULL, 10);
    }
    if (argc > 5) {
        bench.params.threads = (uint32_t)strtoul(argv[5], NULL, 10);
    }
    if (argc > 6) {
        seconds = strtod(argv[6], NULL);
    }
    blas_set_threads(1);
    if (game == NULL || net_arch_for_game(&arch, game, &err) < 0) {
        return EXIT_FAILURE;
    }
    struct net *net = must(net_create(&arch));
    net_init(net, SEED);
    bench.crew = must(crew_create(bench.params.threads));
    bench.model = must(model_create(&arch, bench.params.batch, bench.crew));
    bench.gradient = must(buffer_create(net->n_params));
    bench.rows = must(calloc(bench.params.batch, sizeof(const struct window_row *)));
    bench.flips = must(calloc(bench.params.batch, sizeof(*bench.flips)));
    if (checkpoint_init(&bench.state, net) < 0 ||
        batch_init(&bench.batch, game, bench.params.batch) < 0) {
        return EXIT_FAILURE;
    }
    window_init(&bench.window, &(struct window_params){.game = game});
    fill_window(&bench.window, game);

    one_step(&bench, 0); /* pages and caches */
    memset(bench.seconds, 0, sizeof(bench.seconds));
    double peak = sgemm_peak();
    uint64_t steps = 0;
    double cpu = -cpu_seconds();
    while (bench.seconds[3] < seconds) {
        one_step(&bench, ++steps);
    }
    cpu += cpu_seconds();
    peak = fmax(peak, sgemm_peak());
    const double samples = (double)(steps * bench.params.batch);
    /* forward, back to the input, back to the weights: three products each */
    const double macs = 3.0 * net_arch_macs(&arch) * samples / cpu;
    printf("{\"bench\": \"training\", \"game\": \"connect4\", \"net\": \"%ux%u\", \"batch\": %u, "
           "\"threads\": %u, \"kernel\": \"%s\", \"samples_per_s\": %.0f, "
           "\"samples_per_core_s\": %.0f, \"sgemm_share\": %.3f, "
           "\"sgemm_gmac_per_s\": %.1f, \"fill_share\": %.3f, \"gradient_share\": %.3f, "
           "\"optimizer_share\": %.3f}\n",
           arch.blocks, arch.filters, bench.params.batch, bench.params.threads, inference_kernel(),
           samples / bench.seconds[3], samples / cpu, macs / peak, peak / 1e9,
           bench.seconds[0] / bench.seconds[3], bench.seconds[1] / bench.seconds[3],
           bench.seconds[2] / bench.seconds[3]);

    window_finish(&bench.window);
    checkpoint_finish(&bench.state);
    batch_finish(&bench.batch);
    free(bench.rows);
    free(bench.flips);
    buffer_destroy(bench.gradient);
    model_destroy(bench.model);
    crew_destroy(bench.crew);
    net_destroy(net);
    return EXIT_SUCCESS;
}
