/* A step: every game advances until it needs the net or has ended, then one batch is evaluated. Between
 * two steps no leaf waits, so games, nets and settings may come and go there. */
#include "selfplay/worker.h"

#include "selfplay/game_slot.h"
#include "selfplay/pool.h"

#include <stdlib.h>
#include <string.h>

struct worker {
    struct worker_params params; /* host and build are owned */
    struct worker_sink sink;
    char *host;
    char *build;
    uint32_t n_games;         /* slots that hold a game */
    struct game_slot *slots;  /* [params.games] */
    struct eval_cache *cache; /* NULL: none */
    struct pool *pool;
    struct evaluator *evaluator; /* NULL: no net yet */
    char net_sha256[RECORD_SHA256_BYTES];
    struct selfplay_settings settings;
    char *settings_json; /* NULL: no settings yet */
    struct worker_counters counters;
    struct record_position position; /* being handed out */
};

static int allocate(struct worker *worker, const struct worker_params *params)
{
    const struct game *game = params->game;
    worker->host = strdup(params->host);
    worker->build = strdup(params->build);
    worker->slots = calloc(params->games, sizeof *worker->slots);
    worker->params.games = 0; /* slots that destroy has to finish */
    if (worker->host == NULL || worker->build == NULL || worker->slots == NULL) {
        return ERROR_NO_MEMORY;
    }
    worker->params.host = worker->host;
    worker->params.build = worker->build;
    if (params->cache_entries > 0) {
        worker->cache = eval_cache_create(params->cache_entries, game->max_legal);
        if (worker->cache == NULL) {
            return ERROR_NO_MEMORY;
        }
    }
    worker->pool = pool_create(game, NULL, worker->cache, params->games);
    if (worker->pool == NULL) {
        return ERROR_NO_MEMORY;
    }
    for (; worker->params.games < params->games; worker->params.games++) {
        int r = game_slot_init(&worker->slots[worker->params.games], game);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int worker_create(const struct worker_params *params, const struct worker_sink *sink,
                  struct worker **ret, struct error *err)
{
    if (params->games == 0) {
        return error_set(err, ERROR_INVALID, "worker %u: it needs room for at least one game",
                         params->worker);
    }
    struct worker *worker = calloc(1, sizeof *worker);
    int r = ERROR_NO_MEMORY;
    if (worker != NULL) {
        worker->params = *params;
        worker->sink = *sink;
        r = allocate(worker, params);
    }
    if (r < 0) {
        worker_destroy(worker);
        return error_set(err, r, "worker %u: no memory for %u games and %zu cache entries",
                         params->worker, params->games, params->cache_entries);
    }
    *ret = worker;
    return 0;
}

void worker_destroy(struct worker *worker)
{
    if (worker == NULL) {
        return;
    }
    pool_destroy(worker->pool);
    evaluator_destroy(worker->evaluator);
    eval_cache_destroy(worker->cache);
    for (uint32_t i = 0; i < worker->params.games; i++) {
        game_slot_finish(&worker->slots[i]);
    }
    free(worker->slots);
    free(worker->settings_json);
    free(worker->build);
    free(worker->host);
    free(worker);
}

/* Searches under way are of no use any more; each game's next step begins its move again. */
static void begin_moves_again(struct worker *worker)
{
    pool_drop(worker->pool);
    for (uint32_t i = 0; i < worker->params.games; i++) {
        worker->slots[i].searching = false;
    }
}

int worker_set_net(struct worker *worker, const struct net *net, const char *sha256,
                   struct error *err)
{
    struct evaluator *evaluator = NULL;
    size_t length = strlen(sha256);
    if (length >= sizeof worker->net_sha256) {
        return error_set(err, ERROR_INVALID, "net %.16s...: its sha256 has %zu digits, not 64",
                         sha256, length);
    }
    int r = evaluator_create(worker->params.game, net, worker->params.games, &evaluator, err);
    if (r < 0) {
        return r;
    }
    begin_moves_again(worker);
    pool_set_evaluator(worker->pool, evaluator);
    evaluator_destroy(worker->evaluator);
    worker->evaluator = evaluator;
    memcpy(worker->net_sha256, sha256, length + 1);
    return 0;
}

int worker_set_settings(struct worker *worker, const struct selfplay_settings *settings,
                        struct error *err)
{
    int r = selfplay_settings_check(settings, err);
    if (r < 0) {
        return r;
    }
    char *json = selfplay_settings_json(settings);
    if (json == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "worker %u: out of memory", worker->params.worker);
    }
    begin_moves_again(worker);
    if (worker->cache != NULL) {
        eval_cache_clear(worker->cache);
    }
    free(worker->settings_json);
    worker->settings_json = json;
    worker->settings = *settings;
    return 0;
}

uint32_t worker_room(const struct worker *worker)
{
    return worker->params.games - worker->n_games;
}

const struct precision_report *worker_precision(const struct worker *worker)
{
    return worker->evaluator == NULL ? NULL : evaluator_precision(worker->evaluator);
}

uint32_t worker_games(const struct worker *worker)
{
    return worker->n_games;
}

static bool in_play(const struct worker *worker, const char *uid)
{
    for (uint32_t i = 0; i < worker->params.games; i++) {
        const struct game_slot *slot = &worker->slots[i];
        if (!game_slot_empty(slot) && strcmp(slot->uid, uid) == 0) {
            return true;
        }
    }
    return false;
}

int worker_add_game(struct worker *worker, const struct worker_game *game, struct error *err)
{
    if (memchr(game->uid, '\0', sizeof game->uid) == NULL || !record_uid_valid(game->uid)) {
        return error_set(err, ERROR_INVALID, "a game needs a uid of 32 hex digits, not \"%.32s\"",
                         game->uid);
    }
    if (in_play(worker, game->uid)) {
        return error_set(err, ERROR_INVALID, "game %s: already in play here", game->uid);
    }
    if (worker->n_games == worker->params.games) {
        return error_set(err, ERROR_INVALID, "game %s: all %u places of worker %u are taken",
                         game->uid, worker->params.games, worker->params.worker);
    }
    struct game_slot *empty = worker->slots;
    while (!game_slot_empty(empty)) { /* there is one: n_games says so */
        empty++;
    }
    int r = game_slot_start(empty, game->uid, game->seed, game->opening, game->n_actions,
                            game->actions, game->q, worker->sink.now(worker->sink.context), err);
    if (r == 0) {
        worker->n_games++;
    }
    return r;
}

static void tell_start(struct worker *worker, const struct game_slot *slot)
{
    struct record_start start = {
        .kind = GAME_SELFPLAY,
        .game = worker->params.game->name,
        .host = worker->params.host,
        .worker = worker->params.worker,
        .seed = slot->seed,
        .opening = slot->opening,
        .first_side = slot->first_side,
        .started_at = slot->started_at,
    };
    memcpy(start.uid, slot->uid, sizeof start.uid);
    worker->sink.start(&start, worker->sink.context);
}

/* The search of a slot is done: its move is played and its record handed out. */
static int finish_move(struct worker *worker, struct game_slot *slot, struct error *err)
{
    const struct record_search search = {
        .net_sha256 = worker->net_sha256,
        .build = worker->params.build,
        .kernel = evaluator_kernel(worker->evaluator),
        .settings = worker->settings_json,
    };
    int r = game_slot_finish_move(slot, &worker->settings, &worker->position, err);
    if (r < 0) {
        return r;
    }
    if (worker->position.ply == 0) {
        tell_start(worker, slot);
    }
    worker->counters.positions++;
    worker->sink.position(slot->uid, &search, &worker->position, worker->sink.context);
    return 0;
}

static void finish_game(struct worker *worker, struct game_slot *slot, struct record_end *end)
{
    end->finished_at = worker->sink.now(worker->sink.context);
    worker->counters.games++;
    worker->sink.end(slot->uid, end, worker->sink.context);
    game_slot_clear(slot);
    worker->n_games--;
}

/* Go on with a game until its search waits for the net or it has ended. With a full cache that may be
 * several moves. */
static int advance(struct worker *worker, struct game_slot *slot, struct error *err)
{
    while (!game_slot_empty(slot)) {
        if (!slot->searching) {
            struct record_end end;
            if (game_slot_over(slot, &worker->settings, &end)) {
                finish_game(worker, slot, &end);
                break;
            }
            game_slot_begin_move(slot, &worker->settings);
        }
        enum search_status status = pool_advance(worker->pool, slot->search);
        if (status == SEARCH_NEEDS_EVALUATION) {
            break;
        }
        if (status == SEARCH_NO_MEMORY) {
            return error_set(err, ERROR_NO_MEMORY, "game %s, ply %u: no memory for its search",
                             slot->uid, slot->ply);
        }
        int r = finish_move(worker, slot, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int worker_step(struct worker *worker, struct error *err)
{
    if (worker->evaluator == NULL || worker->settings_json == NULL) {
        return 0;
    }
    for (uint32_t i = 0; i < worker->params.games; i++) {
        int r = advance(worker, &worker->slots[i], err);
        if (r < 0) {
            begin_moves_again(worker); /* a later step may try again; no record is lost by it */
            return r;
        }
    }
    return (int)pool_run(worker->pool);
}

const struct worker_counters *worker_counters(struct worker *worker)
{
    struct worker_counters *counters = &worker->counters;
    const struct pool_counters *pool = pool_counters(worker->pool);

    counters->evaluations = pool->evaluations;
    counters->lookups = pool->lookups;
    counters->cache_hits = pool->cache_hits;
    counters->shared = pool->shared;
    counters->batches = pool->batches;
    counters->bytes = worker->cache == NULL ? 0 : eval_cache_bytes(worker->cache);
    for (uint32_t i = 0; i < worker->params.games; i++) {
        counters->bytes += search_bytes(worker->slots[i].search);
    }
    return counters;
}
