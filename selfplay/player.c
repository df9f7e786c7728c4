/* n positions through max_batch searches: each lane searches a position, hands out its result and takes
 * the next one, so that batches stay full until the last positions. */
#include "selfplay/pool.h"
#include "selfplay/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct lane {
    struct search *search; /* made when first needed */
    uint32_t index;        /* of its position */
    bool busy;
};

struct player {
    const struct game *game;
    uint32_t max_batch;
    struct evaluator *evaluator;
    struct eval_cache *cache; /* NULL: none */
    struct pool *pool;
    struct lane *lanes;          /* [max_batch] */
    struct search_result result; /* being handed out */
};

/* What a call of player_search_each() is about. */
struct task {
    struct player *player;
    const struct search_params *params;
    const void *const *states;
    uint32_t n;
    uint32_t next; /* first position that no lane has taken */
    player_take *take;
    void *context;
};

int player_create(const struct game *game, const struct net *net, uint32_t max_batch,
                  size_t cache_entries, struct player **ret, struct error *err)
{
    if (max_batch == 0) {
        return error_set(err, ERROR_INVALID, "a player needs batches of at least one position");
    }
    struct player *player = calloc(1, sizeof *player);
    int r = ERROR_NO_MEMORY;
    if (player == NULL) {
        goto fail;
    }
    player->game = game;
    player->max_batch = max_batch;
    r = evaluator_create(game, net, max_batch, &player->evaluator, err);
    if (r < 0) {
        player_destroy(player);
        return r;
    }
    r = ERROR_NO_MEMORY;
    if (cache_entries > 0) {
        player->cache = eval_cache_create(cache_entries, game->max_legal);
        if (player->cache == NULL) {
            goto fail;
        }
    }
    player->pool = pool_create(game, player->evaluator, player->cache, max_batch);
    player->lanes = calloc(max_batch, sizeof *player->lanes);
    if (player->pool == NULL || player->lanes == NULL) {
        goto fail;
    }
    *ret = player;
    return 0;
fail:
    player_destroy(player);
    return error_set(err, r, "no memory for a player of batches of %u and %zu cache entries",
                     max_batch, cache_entries);
}

void player_destroy(struct player *player)
{
    if (player == NULL) {
        return;
    }
    for (uint32_t i = 0; player->lanes != NULL && i < player->max_batch; i++) {
        search_destroy(player->lanes[i].search);
    }
    free(player->lanes);
    pool_destroy(player->pool);
    eval_cache_destroy(player->cache);
    evaluator_destroy(player->evaluator);
    free(player);
}

const struct precision_report *player_precision(const struct player *player)
{
    return evaluator_precision(player->evaluator);
}

uint64_t player_evaluations(const struct player *player)
{
    return pool_counters(player->pool)->evaluations;
}

/* Begin the next position on an idle lane; false if there is none left or no memory. */
static bool lane_begin(struct lane *lane, struct task *task)
{
    if (task->next == task->n) {
        return false;
    }
    lane->index = task->next++;
    lane->busy = true;
    search_begin(lane->search, task->params, task->states[lane->index], 0, 0);
    return true;
}

/* Go on until the lane waits for the net or has nothing left to do. */
static int lane_advance(struct lane *lane, struct task *task)
{
    struct player *player = task->player;
    if (lane->search == NULL && task->next < task->n) {
        lane->search = search_create(player->game);
        if (lane->search == NULL) {
            return ERROR_NO_MEMORY;
        }
    }
    while (lane->busy || lane_begin(lane, task)) {
        enum search_status status = pool_advance(player->pool, lane->search);
        if (status == SEARCH_NEEDS_EVALUATION) {
            break;
        }
        lane->busy = false;
        if (status == SEARCH_NO_MEMORY) {
            return ERROR_NO_MEMORY;
        }
        search_result(lane->search, &player->result);
        task->take(lane->index, &player->result, task->context);
    }
    return 0;
}

/* The net's word as the result of a search without nodes. */
static void take_evaluation(const struct evaluation *evaluation, uint32_t index, void *context)
{
    struct task *task = context;
    struct search_result *result = &task->player->result;
    uint16_t legal[GAME_MAX_LEGAL];
    uint32_t best = 0;

    task->player->game->legal(task->states[index], legal);
    *result = (struct search_result){
        .q = evaluation->v,
        .d = evaluation->d,
        .best_q = evaluation->v,
        .best_d = evaluation->d,
        .greedy_q = evaluation->v,
        .greedy_d = evaluation->d,
        .v = evaluation->v,
        .v_d = evaluation->d,
        .m = evaluation->m,
        .n_moves = evaluation->n_priors,
    };
    for (uint32_t i = 0; i < evaluation->n_priors; i++) {
        result->moves[i] = (struct search_move){.action = legal[i],
                                                .prior = evaluation->priors[i],
                                                .q = evaluation->v,
                                                .d = evaluation->d};
        if (evaluation->priors[i] > evaluation->priors[best]) {
            best = i;
        }
    }
    result->best_action = legal[best];
    task->take(index, result, task->context);
}

/* Gather as much as a batch holds (nodes 0: positions; else each lane's next leaf). */
static int gather(struct task *task, uint32_t nodes)
{
    struct player *player = task->player;
    if (nodes == 0) {
        while (task->next < task->n && pool_waiting(player->pool) < player->max_batch) {
            uint16_t legal[GAME_MAX_LEGAL];
            uint32_t index = task->next++;
            const void *state = task->states[index];
            struct search_leaf leaf = {state, player->game->legal(state, legal), legal};
            pool_ask(player->pool, &leaf, take_evaluation, index, task);
        }
        return 0;
    }
    for (uint32_t i = 0; i < player->max_batch; i++) {
        int r = lane_advance(&player->lanes[i], task);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int refuse_bad_task(const struct game *game, const struct search_params *params,
                           uint32_t nodes, const void *const *states, uint32_t n, struct error *err)
{
    if (nodes == 1 || (nodes > 0 && params == NULL)) {
        return error_set(err, ERROR_INVALID,
                         "a search has at least 2 nodes; 0 nodes ask the net alone");
    }
    for (uint32_t i = 0; i < n; i++) {
        int value = 0;
        if (game->over(states[i], &value)) {
            return error_set(err, ERROR_INVALID, "position %u of %u: the game is over there", i + 1,
                             n);
        }
    }
    return 0;
}

int player_search_each(struct player *player, const struct search_params *params, uint32_t nodes,
                       const void *const *states, uint32_t n, player_take *take, void *take_context,
                       bool (*should_stop)(void *context), void *context, struct error *err)
{
    int r = refuse_bad_task(player->game, params, nodes, states, n, err);
    if (r < 0) {
        return r;
    }
    struct search_params quiet = params == NULL ? search_params_default : *params;
    quiet.nodes = nodes;
    quiet.noise_share = 0.0F;
    struct task task = {player, &quiet, states, n, 0, take, take_context};

    do {
        if (should_stop != NULL && should_stop(context)) {
            r = error_set(err, ERROR_CANCELLED, "stopped on request after %u of %u positions",
                          task.next, n);
            break;
        }
        r = gather(&task, nodes);
        if (r < 0) {
            r = error_set(err, r, "no memory for a search of %u nodes", nodes);
            break;
        }
    } while (pool_run(player->pool) > 0);

    if (r < 0) { /* leave nothing behind for the next call */
        pool_drop(player->pool);
        for (uint32_t i = 0; i < player->max_batch; i++) {
            player->lanes[i].busy = false;
        }
    }
    return r;
}

static void take_copy(uint32_t index, const struct search_result *result, void *context)
{
    struct search_result *results = context;
    results[index] = *result;
}

int player_search(struct player *player, const struct search_params *params, uint32_t nodes,
                  const void *const *states, uint32_t n, struct search_result *ret,
                  bool (*should_stop)(void *context), void *context, struct error *err)
{
    return player_search_each(player, params, nodes, states, n, take_copy, ret, should_stop,
                              context, err);
}
