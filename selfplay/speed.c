#include "selfplay/speed.h"

#include "mcts/random.h"
#include "selfplay/worker.h"
#include "storage/clock.h"
#include "trainer/net/evaluator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Enough different positions that a batch's planes are as sparse as a game's are in the mean. */
enum { POSITIONS = 256, SEED = 1 };

const struct speed_batches speed_batches_usual = {
    .n = 7,
    .batch = {4, 8, 16, 24, 32, 48, 64},
};

struct positions {
    union game_state *states;
    uint16_t (*legal)[GAME_MAX_LEGAL];
    struct evaluator_request *requests; /* POSITIONS, pointing into the two above */
};

static void free_positions(struct positions *positions)
{
    free(positions->states);
    free(positions->legal);
    free(positions->requests);
}

/* Those of random games, one behind the other. */
static int make_positions(const struct game *game, struct positions *ret, struct error *err)
{
    union game_state state;
    const char *why = NULL;
    uint64_t draw = 0;
    int value = 0;

    ret->states = calloc(POSITIONS, sizeof(*ret->states));
    ret->legal = calloc(POSITIONS, sizeof(*ret->legal));
    ret->requests = calloc(POSITIONS, sizeof(*ret->requests));
    if (ret->states == NULL || ret->legal == NULL || ret->requests == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "measuring: out of memory");
    }
    if (!game->init(&state, "", &why)) {
        return error_set(err, ERROR_INVALID, "the usual start is %s", why);
    }
    for (uint32_t i = 0; i < POSITIONS; i++) {
        if (game->over(&state, &value)) {
            (void)game->init(&state, "", &why);
        }
        const uint32_t n = game->legal(&state, ret->legal[i]);
        ret->states[i] = state;
        ret->requests[i] = (struct evaluator_request){&ret->states[i], n, ret->legal[i]};
        game->play(&state, ret->legal[i][random_u64(SEED, 0, RANDOM_TEST, draw++) % n]);
    }
    return 0;
}

/* Evaluations a second during at least `seconds`. */
static double rate_of(struct evaluator *evaluator, const struct positions *positions,
                      uint32_t batch, double seconds, struct evaluation *evaluations)
{
    const double begin = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    double now;
    uint64_t done = 0;
    uint32_t at = 0;

    do {
        if (at + batch > POSITIONS) {
            at = 0;
        }
        evaluator_run(evaluator, positions->requests + at, batch, evaluations);
        at += batch;
        done += batch;
        now = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    } while (now - begin < seconds);
    return (double)done / (now - begin);
}

static int ascending(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void measure(struct evaluator *evaluator, const struct positions *positions, double seconds,
                    struct speed_batches *batches, struct evaluation *evaluations)
{
    const double slice = seconds / (SPEED_ROUNDS * batches->n);
    const double begin = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    double rates[SPEED_MAX_BATCHES][SPEED_ROUNDS];
    uint32_t rounds = 0;

    /* A large net needs longer than a slice for one batch: then there are fewer rounds. */
    while (rounds < SPEED_ROUNDS &&
           (rounds == 0 || clock_seconds(CLOCK_THREAD_CPUTIME_ID) - begin < 2 * seconds)) {
        for (uint32_t i = 0; i < batches->n; i++) {
            rates[i][rounds] = rate_of(evaluator, positions, batches->batch[i], slice, evaluations);
        }
        rounds++;
    }
    for (uint32_t i = 0; i < batches->n; i++) {
        qsort(rates[i], rounds, sizeof(rates[i][0]), ascending);
        batches->rate[i] = rates[i][rounds / 2];
    }
}

int speed_evaluations(const struct game *game, const struct net *net, double seconds,
                      struct speed_batches *batches, struct error *err)
{
    struct positions positions = {NULL};
    struct evaluator *evaluator = NULL;
    struct evaluation *evaluations = NULL;
    const uint32_t most = batches->batch[batches->n - 1];

    int r = most > POSITIONS ? error_set(err, ERROR_INVALID, "a batch of %u is too large", most)
                             : make_positions(game, &positions, err);
    if (r == 0) {
        r = evaluator_create(game, net, most, &evaluator, err);
    }
    if (r == 0 && (evaluations = calloc(most, sizeof(*evaluations))) == NULL) {
        r = error_set(err, ERROR_NO_MEMORY, "measuring: out of memory");
    }
    if (r == 0) {
        measure(evaluator, &positions, seconds, batches, evaluations);
    }
    free(evaluations);
    evaluator_destroy(evaluator);
    free_positions(&positions);
    return r;
}

uint32_t speed_choose(const struct speed_batches *batches)
{
    double best = 0;

    for (uint32_t i = 0; i < batches->n; i++) {
        best = fmax(best, batches->rate[i]);
    }
    for (uint32_t i = 0; i < batches->n; i++) {
        if (batches->rate[i] >= 0.97 * best) {
            return batches->batch[i];
        }
    }
    return batches->batch[batches->n - 1];
}

/* ---- self-play ---- */
static void no_start(const struct record_start *start, void *context)
{
    (void)start;
    (void)context;
}

static void no_position(const char *uid, const struct record_search *search,
                        const struct record_position *position, void *context)
{
    (void)uid;
    (void)search;
    (void)position;
    (void)context;
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

/* Games as the daemon hands them out. */
struct source {
    const struct game *game;
    const struct opening_params *openings;
    uint32_t next;
};

static int fill(struct worker *worker, struct source *source, struct error *err)
{
    char opening[GAME_MAX_OPENING_TEXT];
    int r = 0;

    while (r == 0 && worker_room(worker) > 0) {
        const uint64_t seed = random_u64(SEED, source->next, RANDOM_TEST, 0) >> 1;
        opening_draw(source->game, source->openings, seed, opening);
        struct worker_game game = {.seed = (int64_t)seed, .opening = opening};
        (void)snprintf(game.uid, sizeof(game.uid), "%032x", source->next++);
        r = worker_add_game(worker, &game, err);
    }
    return r;
}

static int play(struct worker *worker, struct source *source, double seconds, double *ret_seconds,
                struct error *err)
{
    const double begin = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    int r = 0;

    do {
        r = fill(worker, source, err);
        r = r < 0 ? r : worker_step(worker, err);
        *ret_seconds = clock_seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    } while (r >= 0 && *ret_seconds < seconds);
    return r < 0 ? r : 0;
}

int speed_selfplay(const struct game *game, const struct net *net,
                   const struct selfplay_settings *settings, const struct opening_params *openings,
                   uint32_t games, size_t cache_entries, double seconds, struct speed_selfplay *ret,
                   struct error *err)
{
    const struct worker_params params = {.game = game,
                                         .games = games,
                                         .cache_entries = cache_entries,
                                         .host = "bench",
                                         .build = "bench"};
    const struct worker_sink sink = {no_start, no_position, no_end, no_clock, NULL};
    struct worker *worker = NULL;
    struct source source = {game, openings, 0};
    double took = 0;

    int r = worker_create(&params, &sink, &worker, err);
    if (r == 0) {
        r = worker_set_net(worker, net, "bench", err);
    }
    if (r == 0) {
        r = worker_set_settings(worker, settings, err);
    }
    if (r == 0) {
        r = play(worker, &source, seconds, &took, err);
    }
    if (r == 0) {
        const struct worker_counters *counters = worker_counters(worker);
        const double positions = (double)counters->positions;
        ret->positions = positions / took;
        ret->evaluations = (double)counters->evaluations / took;
        ret->evaluations_per_position =
            positions > 0 ? (double)counters->evaluations / positions : (double)NAN;
        ret->cache_hits =
            counters->lookups > 0 ? (double)counters->cache_hits / (double)counters->lookups : 0;
        ret->bytes = counters->bytes;
    }
    worker_destroy(worker);
    return r;
}
