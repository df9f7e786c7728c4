#include "daemon/qzctl/analysis.h"

#include "selfplay/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct analyst {
    const struct game *game;
    struct search_options options;
    struct evaluator *evaluator;
    struct eval_cache *cache;
    struct pool *pool;
    struct search *searches[QZCTL_SIDE_BY_SIDE];
};

int analyst_create(const struct qzctl_net *net, const struct search_options *options,
                   struct analyst **ret, struct error *err)
{
    struct analyst *analyst = calloc(1, sizeof *analyst);
    if (analyst == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    analyst->game = net->game;
    analyst->options = *options;
    int r = evaluator_create(net->game, net->net, QZCTL_SIDE_BY_SIDE, &analyst->evaluator, err);
    if (r < 0) {
        analyst_destroy(analyst);
        return r;
    }
    analyst->cache = eval_cache_create(QZCTL_CACHE_ENTRIES, net->game->max_legal);
    analyst->pool = pool_create(net->game, analyst->evaluator, analyst->cache, QZCTL_SIDE_BY_SIDE);
    bool made = analyst->cache != NULL && analyst->pool != NULL;
    for (uint32_t i = 0; i < QZCTL_SIDE_BY_SIDE; i++) {
        analyst->searches[i] = search_create(net->game);
        made = made && analyst->searches[i] != NULL;
    }
    if (!made) {
        analyst_destroy(analyst);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    *ret = analyst;
    return 0;
}

void analyst_destroy(struct analyst *analyst)
{
    if (analyst == NULL) {
        return;
    }
    for (uint32_t i = 0; i < QZCTL_SIDE_BY_SIDE; i++) {
        search_destroy(analyst->searches[i]);
    }
    pool_destroy(analyst->pool);
    eval_cache_destroy(analyst->cache);
    evaluator_destroy(analyst->evaluator);
    free(analyst);
}

int analysis_init(struct analysis *analysis, const struct game *game, const char *moves)
{
    const char *why = NULL;
    size_t bad = 0;
    *analysis = (struct analysis){.moves = strdup(moves)};
    if (analysis->moves == NULL) {
        return ERROR_NO_MEMORY;
    }
    if (!game->init(&analysis->state, "", &why)) {
        snprintf(analysis->refused, sizeof analysis->refused, "%s", why);
    } else if (!game_play_text(game, &analysis->state, moves, &bad)) {
        snprintf(analysis->refused, sizeof analysis->refused,
                 "\"%.60s\": no legal move of %s at character %zu", moves, game->title, bad + 1);
    } else {
        analysis->over = game->over(&analysis->state, &analysis->value);
    }
    return 0;
}

void analysis_finish(struct analysis *analysis)
{
    free(analysis->moves);
    analysis->moves = NULL;
}

/* ---- thinking ---- */

static bool wanted(const struct analysis *analysis)
{
    return !analysis->over && analysis->refused[0] == '\0';
}

/* The net's word in the form of a search's result: no visits, values of the root alone. */
static void take_evaluation(const struct evaluation *evaluation, uint32_t index, void *context)
{
    struct analysis *analysis = (struct analysis *)context + index;
    struct search_result *result = &analysis->result;
    uint32_t best = 0;
    result->q = result->v = evaluation->v;
    result->d = result->v_d = evaluation->d;
    result->m = evaluation->m;
    for (uint32_t i = 0; i < result->n_moves; i++) {
        result->moves[i].prior = evaluation->priors[i];
        best = evaluation->priors[i] > evaluation->priors[best] ? i : best;
    }
    result->best_action = result->moves[best].action;
    analysis->line[0] = result->best_action;
    analysis->n_line = 1;
}

static void ask_net(struct analyst *analyst, struct analysis *analyses, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint16_t legal[GAME_MAX_LEGAL];
        struct search_result *result = &analyses[i].result;
        if (!wanted(&analyses[i])) {
            continue;
        }
        result->n_moves = analyst->game->legal(&analyses[i].state, legal);
        for (uint32_t m = 0; m < result->n_moves; m++) {
            result->moves[m].action = legal[m];
        }
        struct search_leaf leaf = {&analyses[i].state, result->n_moves, legal};
        pool_ask(analyst->pool, &leaf, take_evaluation, i, analyses);
    }
    (void)pool_run(analyst->pool);
}

static int search_all(struct analyst *analyst, struct analysis *analyses, uint32_t n)
{
    struct search_params params = analyst->options.params;
    bool done[QZCTL_SIDE_BY_SIDE];
    uint32_t n_left = 0;
    params.nodes = analyst->options.nodes;
    for (uint32_t i = 0; i < n; i++) {
        done[i] = !wanted(&analyses[i]);
        if (!done[i]) {
            search_begin(analyst->searches[i], &params, &analyses[i].state, 0,
                         analyst->game->ply(&analyses[i].state));
            n_left++;
        }
    }
    while (n_left > 0) {
        for (uint32_t i = 0; i < n; i++) {
            if (done[i]) {
                continue;
            }
            enum search_status status = pool_advance(analyst->pool, analyst->searches[i]);
            if (status == SEARCH_NO_MEMORY) {
                pool_drop(analyst->pool);
                return ERROR_NO_MEMORY;
            }
            if (status == SEARCH_DONE) {
                done[i] = true;
                n_left--;
                search_result(analyst->searches[i], &analyses[i].result);
                analyses[i].n_line = search_principal_variation(
                    analyst->searches[i], analyses[i].line, ANALYSIS_MAX_LINE);
            }
        }
        (void)pool_run(analyst->pool);
    }
    return 0;
}

int analyst_run(struct analyst *analyst, struct analysis *analyses, uint32_t n, struct error *err)
{
    if (analyst->options.nodes == 0) {
        ask_net(analyst, analyses, n);
        return 0;
    }
    int r = search_all(analyst, analyses, n);
    return r < 0
               ? error_set(err, r, "out of memory for a search of %u nodes", analyst->options.nodes)
               : 0;
}
