#include "daemon/writer/match_tasks.h"

#include "storage/record_message.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- plan ---- */
/* Of an attempt that was rolled back, or at the end. */
static void forget_plan(struct match_plan_task *plan)
{
    store_match_finish(&plan->match);
    free(plan->half_points);
    free(plan->fingerprints);
    plan->half_points = NULL;
    plan->fingerprints = NULL;
    plan->n_known = plan->room = 0;
}

static void take_net(const struct store_net *net, struct planned_net *ret)
{
    ret->id = net->id;
    ret->generation = net->generation;
    ret->is_new = net->generation == 0 && strcmp(net->origin, "new") == 0;
    memcpy(ret->line, net->line, sizeof ret->line);
    memcpy(ret->sha256, net->sha256, sizeof ret->sha256);
    memcpy(ret->file, net->file, sizeof ret->file);
}

static int read_net(struct store *store, int64_t id, struct planned_net *ret, struct error *err)
{
    struct store_net net = {0};
    int r = store_get_net(store, id, &net, err);

    if (r == 0) {
        take_net(&net, ret);
        if (strcmp(net.state, "removed") == 0) {
            r = error_set(err, ERROR_NOT_FOUND, "net %lld: its file has been removed",
                          (long long)id);
        }
    }
    store_net_finish(&net);
    return r;
}

static int take_pair(const struct store_pair *pair, void *context)
{
    struct match_plan_task *plan = context;

    if (plan->n_known == plan->room) {
        size_t room = plan->room == 0 ? 64 : 2 * plan->room;
        uint32_t *points = reallocarray(plan->half_points, room, 2 * sizeof *points);
        if (points == NULL) {
            return ERROR_NO_MEMORY;
        }
        plan->half_points = points;
        uint64_t *prints = reallocarray(plan->fingerprints, room, 2 * sizeof *prints);
        if (prints == NULL) {
            return ERROR_NO_MEMORY;
        }
        plan->fingerprints = prints;
        plan->room = room;
    }
    memcpy(&plan->half_points[2 * plan->n_known], pair->half_points, sizeof pair->half_points);
    memcpy(&plan->fingerprints[2 * plan->n_known], pair->fingerprints, sizeof pair->fingerprints);
    plan->n_known++;
    return 0;
}

/* The match against that net: 1 if it is to be played (on), 0 if it has been. */
static int look_at(struct match_plan_task *plan, struct store *store, int64_t opponent,
                   struct error *err)
{
    int r = store_find_match(store, plan->net_id, opponent, &plan->match, err);

    if (r == ERROR_NOT_FOUND) {
        plan->match = (struct store_match){.net_a = plan->net_id,
                                           .net_b = opponent,
                                           .gate = plan->gate,
                                           .nodes = plan->nodes,
                                           .planned_pairs = plan->pairs,
                                           .started_at = plan->at};
        plan->match.settings = strdup(plan->settings);
        if (plan->match.settings == NULL) {
            return error_set(err, ERROR_NO_MEMORY, "match: out of memory");
        }
        r = store_begin_match(store, &plan->match, &plan->match.id, err);
        r = r < 0 ? r : 1;
    }
    if (r == 1) {
        r = read_net(store, plan->match.net_a, &plan->a, err);
        r = r < 0 ? r : read_net(store, plan->match.net_b, &plan->b, err);
        r = r < 0 ? r : store_read_pairs(store, plan->match.id, take_pair, plan, err);
        r = r < 0 ? r : 1;
    }
    return r;
}

static int net_at(struct store *store, const char *line, int64_t generation, struct store_net *ret)
{
    struct error err;
    int r = generation < 0 ? ERROR_NOT_FOUND : store_net_at(store, line, generation, ret, &err);

    if (r == 0 && strcmp(ret->state, "removed") == 0) {
        r = ERROR_NOT_FOUND;
    }
    return r;
}

/* A new generation 0 is the same function as the net of line uniform, which is far smaller: the match against it
 * stands for both. *ret_id 0: there is no such net. */
static int find_opponent(struct store *store, uint32_t back, uint32_t generation, int64_t *ret_id)
{
    struct store_net net = {0};
    int64_t wanted = back == CONFIG_OPPONENT_FIRST ? 0 : (int64_t)generation - back;
    bool uniform = back == CONFIG_OPPONENT_UNIFORM;
    int r = net_at(store, uniform ? "uniform" : "main", uniform ? 0 : wanted, &net);

    *ret_id = r == 0 ? net.id : 0;
    if (r == 0 && !uniform && net.generation == 0 && strcmp(net.origin, "new") == 0) {
        struct store_net same = {0};
        if (net_at(store, "uniform", 0, &same) == 0) {
            *ret_id = same.id;
        }
        store_net_finish(&same);
    }
    store_net_finish(&net);
    return r == ERROR_NOT_FOUND ? 0 : r;
}

static int plan_rating(struct match_plan_task *plan, struct store *store, struct error *err)
{
    int r = read_net(store, plan->net_id, &plan->a, err);

    if (r == 0 && plan->a.is_new) {
        return 0; /* whoever is trained plays it; against the uniform net it would play itself */
    }
    for (uint32_t i = 0; r == 0 && i < plan->opponents.n; i++) {
        int64_t opponent = 0;
        r = find_opponent(store, plan->opponents.back[i], plan->a.generation, &opponent);
        if (r < 0) {
            return error_set(err, r, "match of net %lld: %s", (long long)plan->net_id,
                             error_text(r));
        }
        if (opponent != 0 && opponent != plan->net_id) {
            r = look_at(plan, store, opponent, err);
        }
    }
    return r;
}

static int plan_gate(struct match_plan_task *plan, struct store *store, struct error *err)
{
    struct store_net current = {0};
    int r = store_current_net(store, "main", &current, err);

    if (r == 0) {
        r = look_at(plan, store, current.id, err);
    }
    store_net_finish(&current);
    return r;
}

static int apply_plan(struct storage_task *task, struct store *store, struct error *err)
{
    struct match_plan_task *plan = (struct match_plan_task *)task;

    forget_plan(plan);
    int r = plan->gate ? plan_gate(plan, store, err) : plan_rating(plan, store, err);
    if (r <= 0) {
        forget_plan(plan);
    }
    return r < 0 ? r : 0;
}

static void destroy_plan(struct storage_task *task)
{
    struct match_plan_task *plan = (struct match_plan_task *)task;

    forget_plan(plan);
    free(plan->settings);
    free(plan);
}

struct match_plan_task *match_plan_create(storage_done *done, void *context)
{
    struct match_plan_task *plan = calloc(1, sizeof *plan);

    if (plan != NULL) {
        plan->task = (struct storage_task){.apply = apply_plan,
                                           .destroy = destroy_plan,
                                           .done = done,
                                           .context = context,
                                           .urgent = true};
    }
    return plan;
}

/* ---- a pair ---- */
struct pair_task {
    struct storage_task task;
    uint8_t *packed;
    size_t size;
};

static int convert_game(const Qzd__Game *message, struct store_match_game *ret,
                        struct record_position **ret_positions, struct error *err)
{
    int r = record_start_from_message(message->start, &ret->start, err);

    r = r < 0 ? r : record_end_from_message(message->end, &ret->end, err);
    if (r == 0 && (ret->start.kind != GAME_MATCH || message->n_positions != ret->end.plies ||
                   ret->end.plies == 0)) {
        r = error_set(err, ERROR_INVALID, "game %s: %zu positions, %u plies, kind %s",
                      ret->start.uid, message->n_positions, ret->end.plies,
                      game_kind_text(ret->start.kind));
    }
    if (r < 0) {
        return r;
    }
    struct record_position *positions = calloc(message->n_positions + 1, sizeof *positions);
    *ret_positions = positions;
    if (positions == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "game %s: out of memory", ret->start.uid);
    }
    for (size_t ply = 0; r == 0 && ply < message->n_positions; ply++) {
        const Qzd__Position *position = message->positions[ply];
        if (position->search == NULL) {
            return error_set(err, ERROR_INVALID, "game %s, ply %zu: no search is given",
                             ret->start.uid, ply);
        }
        r = record_position_from_message(position, &positions[ply], err);
        if (r == 0 && ply < 2) {
            r = record_search_from_message(position->search, &ret->search[ply], err);
        }
    }
    if (r == 0 && message->n_positions == 1) {
        ret->search[1] = ret->search[0];
    }
    ret->positions = positions;
    return r;
}

/* Does the game end as the half points say? Net a moves first behind the opening in the first game. */
static bool agrees(const struct store_match_game *game, int index, uint32_t half_points)
{
    int sign = (game->start.first_side == 0) == (index == 0) ? 1 : -1;

    return (uint32_t)(1 + sign * game->end.first_player_outcome) == half_points;
}

static int convert_pair(const Qzd__MatchPair *message, struct store_pair *ret,
                        struct store_match_game games[2], struct record_position *positions[2],
                        struct error *err)
{
    if (message->n_half_points != 2 || message->n_fingerprints != 2 || message->n_games != 2) {
        return error_set(err, ERROR_INVALID, "pair %u: it has not two games", message->pair);
    }
    ret->pair = message->pair;
    for (int k = 0; k < 2; k++) {
        ret->half_points[k] = message->half_points[k];
        ret->fingerprints[k] = message->fingerprints[k];
        int r = convert_game(message->games[k], &games[k], &positions[k], err);
        if (r == 0 && !agrees(&games[k], k, ret->half_points[k])) {
            r = error_set(err, ERROR_INVALID, "pair %u: game %s ends otherwise", message->pair,
                          games[k].start.uid);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int apply_pair(struct storage_task *task, struct store *store, struct error *err)
{
    const struct pair_task *pair_task = (const struct pair_task *)task;
    struct record_position *positions[2] = {NULL, NULL};
    struct store_match_game games[2];
    struct store_pair pair;
    Qzd__MatchPair *message = qzd__match_pair__unpack(NULL, pair_task->size, pair_task->packed);

    if (message == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "a pair of games: out of memory");
    }
    memset(games, 0, sizeof games);
    int r = convert_pair(message, &pair, games, positions, err);
    if (r == 0) {
        r = store_put_pair(store, message->match_id, &pair, games, err);
    }
    free(positions[0]);
    free(positions[1]);
    qzd__match_pair__free_unpacked(message, NULL);
    return r;
}

static void destroy_pair(struct storage_task *task)
{
    struct pair_task *pair = (struct pair_task *)task;

    free(pair->packed);
    free(pair);
}

struct storage_task *match_pair_create(const Qzd__MatchPair *pair, storage_done *done,
                                       void *context)
{
    struct pair_task *task = calloc(1, sizeof *task);
    size_t size = qzd__match_pair__get_packed_size(pair);

    if (task == NULL) {
        return NULL;
    }
    task->packed = malloc(size);
    if (task->packed == NULL) {
        free(task);
        return NULL;
    }
    task->size = qzd__match_pair__pack(pair, task->packed);
    task->task = (struct storage_task){
        .apply = apply_pair, .destroy = destroy_pair, .done = done, .context = context};
    return &task->task;
}

/* ---- the end ---- */
static int apply_end(struct storage_task *task, struct store *store, struct error *err)
{
    struct match_end_task *end = (struct match_end_task *)task;
    int r = 0;

    store_net_finish(&end->net); /* of an attempt that was rolled back */
    if (end->match_id != 0) {
        r = store_end_match(store, end->match_id, gate_verdict_text(end->verdict), end->llr,
                            end->at, err);
    }
    if (r >= 0 && end->candidate != 0) {
        r = store_set_net_state(store, end->candidate,
                                end->verdict == GATE_ACCEPTED ? "current" : "rejected", err);
        r = r < 0 ? r : store_get_net(store, end->candidate, &end->net, err);
    }
    return r < 0 ? r : 0;
}

static void destroy_end(struct storage_task *task)
{
    struct match_end_task *end = (struct match_end_task *)task;

    store_net_finish(&end->net);
    free(end);
}

struct match_end_task *match_end_create(storage_done *done, void *context)
{
    struct match_end_task *end = calloc(1, sizeof *end);

    if (end != NULL) {
        end->task = (struct storage_task){.apply = apply_end,
                                          .destroy = destroy_end,
                                          .done = done,
                                          .context = context,
                                          .urgent = true};
        end->llr = end->elo = end->elo_error = (double)NAN;
    }
    return end;
}

/* ---- ratings ---- */
struct ratings_task {
    struct storage_task task;
    struct store_rating *ratings;
    size_t n;
    int64_t at;
};

static int apply_ratings(struct storage_task *task, struct store *store, struct error *err)
{
    const struct ratings_task *ratings = (const struct ratings_task *)task;

    return store_put_ratings(store, ratings->ratings, ratings->n, ratings->at, err);
}

static void destroy_ratings(struct storage_task *task)
{
    struct ratings_task *ratings = (struct ratings_task *)task;

    free(ratings->ratings);
    free(ratings);
}

struct storage_task *match_ratings_create(struct store_rating *ratings, size_t n, int64_t at)
{
    struct ratings_task *task = calloc(1, sizeof *task);

    if (task == NULL) {
        free(ratings);
        return NULL;
    }
    task->task = (struct storage_task){.apply = apply_ratings, .destroy = destroy_ratings};
    task->ratings = ratings;
    task->n = n;
    task->at = at;
    return &task->task;
}
