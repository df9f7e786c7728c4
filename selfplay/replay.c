/* Jobs are positions, sorted by net and settings; lanes take them one by one, as in player.c. What a game's moves
 * alone decide (openings, legal moves, z, the end) is checked first, without any search. */
#include "selfplay/replay.h"

#include "selfplay/game_slot.h"
#include "selfplay/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lane {
    struct game_slot slot;
    uint32_t job;
    bool busy;
};

struct replay {
    const struct game *game;
    struct replay_tolerance tolerance;
    uint32_t n_lanes;
    struct lane *lanes; /* [n_lanes] */
    struct eval_cache *cache;
    struct evaluator *evaluator; /* of net_sha256, by kernel */
    char net_sha256[RECORD_SHA256_BYTES];
    const struct kernel *kernel;
    struct pool *pool;
    struct game_slot slot; /* for checks without a search */
    uint16_t *actions;     /* [game->max_plies], of the game at hand */
    float *q;              /* [game->max_plies] */
};

struct job {
    const struct replay_search *search;
    uint32_t game;
    uint32_t ply;
};

/* One replay_run(). */
struct run {
    struct replay *replay;
    const struct replay_search *searches;
    uint32_t n_searches;
    const struct replay_game *games;
    uint32_t n_games;
    const struct replay_callbacks *callbacks;
    struct replay_counts *counts;
    enum replay_verdict *verdicts; /* [n_games] */
    struct job *jobs;
    size_t n_jobs, next, end, done; /* end: of the group at hand */
    struct record_position position;
};

/* ---- making and unmaking ---- */

static int allocate(struct replay *replay, uint32_t lanes, size_t cache_entries)
{
    const struct game *game = replay->game;
    replay->lanes = calloc(lanes, sizeof *replay->lanes);
    replay->actions = calloc(game->max_plies, sizeof *replay->actions);
    replay->q = calloc(game->max_plies, sizeof *replay->q);
    if (replay->lanes == NULL || replay->actions == NULL || replay->q == NULL ||
        game_slot_init(&replay->slot, game) < 0) {
        return ERROR_NO_MEMORY;
    }
    for (; replay->n_lanes < lanes; replay->n_lanes++) {
        if (game_slot_init(&replay->lanes[replay->n_lanes].slot, game) < 0) {
            return ERROR_NO_MEMORY;
        }
    }
    if (cache_entries > 0) {
        replay->cache = eval_cache_create(cache_entries, game->max_legal);
        if (replay->cache == NULL) {
            return ERROR_NO_MEMORY;
        }
    }
    replay->pool = pool_create(game, NULL, replay->cache, lanes);
    return replay->pool == NULL ? ERROR_NO_MEMORY : 0;
}

int replay_create(const struct game *game, uint32_t lanes, size_t cache_entries,
                  const struct replay_tolerance *tolerance, struct replay **ret, struct error *err)
{
    struct replay *replay = calloc(1, sizeof *replay);
    if (replay != NULL) {
        replay->game = game;
        replay->tolerance = *tolerance;
    }
    if (replay == NULL || allocate(replay, lanes, cache_entries) < 0) {
        replay_destroy(replay);
        return error_set(err, ERROR_NO_MEMORY,
                         "no memory to replay %u positions side by side with %zu cache entries",
                         lanes, cache_entries);
    }
    *ret = replay;
    return 0;
}

void replay_destroy(struct replay *replay)
{
    if (replay == NULL) {
        return;
    }
    for (uint32_t i = 0; i < replay->n_lanes; i++) {
        game_slot_finish(&replay->lanes[i].slot);
    }
    game_slot_finish(&replay->slot);
    pool_destroy(replay->pool);
    evaluator_destroy(replay->evaluator);
    eval_cache_destroy(replay->cache);
    free(replay->lanes);
    free(replay->actions);
    free(replay->q);
    free(replay);
}

/* ---- differences ---- */

static void tell(struct run *run, uint32_t game, int32_t ply, const char *field,
                 const char *recorded, const char *replayed)
{
    run->verdicts[game] = REPLAY_DIFFERENT;
    run->callbacks->difference(&(struct replay_difference){game, ply, field, recorded, replayed},
                               run->callbacks->context);
}

static void tell_number(struct run *run, uint32_t game, int32_t ply, const char *field,
                        int64_t recorded, int64_t replayed)
{
    char a[REPLAY_VALUE_TEXT];
    char b[REPLAY_VALUE_TEXT];
    if (recorded != replayed) {
        snprintf(a, sizeof a, "%lld", (long long)recorded);
        snprintf(b, sizeof b, "%lld", (long long)replayed);
        tell(run, game, ply, field, a, b);
    }
}

/* ---- what moves alone decide ---- */

/* Moves and root values of the first `plies` positions, onto the slot. */
static int set_up(struct replay *replay, struct game_slot *slot, const struct replay_game *game,
                  uint32_t plies, struct error *err)
{
    for (uint32_t ply = 0; ply < plies; ply++) {
        replay->actions[ply] = game->positions[ply].action;
        replay->q[ply] = game->positions[ply].q;
    }
    game_slot_clear(slot);
    return game_slot_start(slot, game->uid, game->seed, game->opening, plies, replay->actions,
                           replay->q, 0, err);
}

static bool is_legal(const struct game *game, const void *state, uint16_t action)
{
    uint16_t legal[GAME_MAX_LEGAL];
    uint32_t n = game->legal(state, legal);
    for (uint32_t i = 0; i < n; i++) {
        if (legal[i] == action) {
            return true;
        }
    }
    return false;
}

/* Walk the moves. Returns how many positions can be searched: all, or up to the first whose move is none. */
static uint32_t walk_moves(struct run *run, uint32_t index)
{
    const struct replay_game *game = &run->games[index];
    const struct game *rules = run->replay->game;
    union game_state state;
    const char *why = NULL;

    if (!rules->init(&state, game->opening, &why)) {
        tell(run, index, REPLAY_WHOLE_GAME, "opening", game->opening, why == NULL ? "none" : why);
        return 0;
    }
    tell_number(run, index, REPLAY_WHOLE_GAME, "first_side", game->first_side,
                rules->side_to_move(&state));
    for (uint32_t ply = 0; ply < game->n_positions; ply++) {
        int value = 0;
        if (ply >= rules->max_plies || rules->over(&state, &value)) {
            tell(run, index, (int32_t)ply, "ply", "played", "the game is over before it");
            return ply;
        }
        if (!is_legal(rules, &state, game->positions[ply].action)) {
            char text[REPLAY_VALUE_TEXT];
            snprintf(text, sizeof text, "%u", game->positions[ply].action);
            tell(run, index, (int32_t)ply, "action", text, "not legal there");
            return ply + 1; /* its search can be made */
        }
        rules->play(&state, game->positions[ply].action);
    }
    return game->n_positions;
}

static const struct selfplay_settings *last_settings(const struct run *run, uint32_t index)
{
    const struct replay_game *game = &run->games[index];
    return game->n_positions == 0 ? &selfplay_settings_default
                                  : &run->searches[game->searches[game->n_positions - 1]].settings;
}

/* z, outcome, reason and resignation, by the settings under which the last move was played. */
static int check_end(struct run *run, uint32_t index, struct error *err)
{
    const struct replay_game *game = &run->games[index];
    struct replay *replay = run->replay;
    struct record_end end = {.reason = "goes on"};
    int r = set_up(replay, &replay->slot, game, game->n_positions, err);
    if (r < 0) {
        return r;
    }
    if (!game_slot_over(&replay->slot, last_settings(run, index), &end)) {
        tell(run, index, REPLAY_WHOLE_GAME, "reason", game->end.reason, end.reason);
        return 0;
    }
    if (strcmp(game->end.reason, end.reason) != 0) {
        tell(run, index, REPLAY_WHOLE_GAME, "reason", game->end.reason, end.reason);
    }
    tell_number(run, index, REPLAY_WHOLE_GAME, "first_player_outcome",
                game->end.first_player_outcome, end.first_player_outcome);
    tell_number(run, index, REPLAY_WHOLE_GAME, "plies", game->end.plies, end.plies);
    tell_number(run, index, REPLAY_WHOLE_GAME, "would_resign_ply", game->end.would_resign_ply,
                end.would_resign_ply);
    tell_number(run, index, REPLAY_WHOLE_GAME, "would_resign_side", game->end.would_resign_side,
                end.would_resign_side);
    for (uint32_t ply = 0; ply < game->n_positions; ply++) {
        bool first = (replay->slot.first_side + ply) % 2 == 0;
        tell_number(run, index, (int32_t)ply, "z", game->z[ply],
                    first ? end.first_player_outcome : -end.first_player_outcome);
    }
    return 0;
}

/* ---- jobs ---- */

static int by_circumstances(const void *a, const void *b)
{
    const struct job *x = a;
    const struct job *y = b;
    int order = strcmp(x->search->net_sha256, y->search->net_sha256);
    if (order != 0) {
        return order;
    }
    if (x->search->kernel != y->search->kernel) {
        return (uintptr_t)x->search->kernel < (uintptr_t)y->search->kernel ? -1 : 1;
    }
    if (x->search != y->search) {
        return x->search < y->search ? -1 : 1;
    }
    if (x->game != y->game) {
        return x->game < y->game ? -1 : 1;
    }
    return x->ply < y->ply ? -1 : x->ply > y->ply;
}

static int add_jobs(struct run *run, uint32_t index, uint32_t plies, struct error *err)
{
    const struct replay_game *game = &run->games[index];
    for (uint32_t ply = 0; ply < plies; ply++) {
        if (game->searches[ply] >= run->n_searches) {
            return error_set(err, ERROR_INVALID, "game %s, ply %u: no search %u", game->uid, ply,
                             game->searches[ply]);
        }
        run->jobs[run->n_jobs++] = (struct job){&run->searches[game->searches[ply]], index, ply};
    }
    return 0;
}

static int prepare(struct run *run, struct error *err)
{
    size_t n = 0;
    for (uint32_t i = 0; i < run->n_games; i++) {
        n += run->games[i].n_positions;
    }
    run->jobs = calloc(n + 1, sizeof *run->jobs);
    run->verdicts = calloc(run->n_games + 1, sizeof *run->verdicts);
    if (run->jobs == NULL || run->verdicts == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "no memory to replay %zu positions", n);
    }
    for (uint32_t i = 0; i < run->n_games; i++) {
        const struct replay_game *game = &run->games[i];
        uint32_t plies = walk_moves(run, i);
        bool whole = plies == game->n_positions && run->verdicts[i] != REPLAY_DIFFERENT;
        int r = add_jobs(run, i, plies, err);
        if (r == 0 && whole && game->ended) {
            r = check_end(run, i, err);
        }
        if (r < 0) {
            return r;
        }
    }
    qsort(run->jobs, run->n_jobs, sizeof *run->jobs, by_circumstances);
    return 0;
}

/* ---- searching again ---- */

static int set_net(struct run *run, const struct replay_search *search, struct error *err)
{
    struct replay *replay = run->replay;
    const char *sha256 = search->net_sha256;
    struct evaluator *evaluator = NULL;
    struct net *net = NULL;

    if (replay->evaluator != NULL && replay->kernel == search->kernel &&
        strcmp(replay->net_sha256, sha256) == 0) {
        return 0;
    }
    int r = run->callbacks->net(sha256, &net, run->callbacks->context, err);
    if (r == 0) {
        r = search->kernel == NULL
                ? evaluator_create(replay->game, net, replay->n_lanes, &evaluator, err)
                : evaluator_create_on(search->kernel, replay->game, net, replay->n_lanes,
                                      &evaluator, err);
    }
    net_destroy(net);
    if (r < 0) {
        return r;
    }
    pool_set_evaluator(replay->pool, evaluator); /* clears the cache */
    evaluator_destroy(replay->evaluator);
    replay->evaluator = evaluator;
    replay->kernel = search->kernel;
    snprintf(replay->net_sha256, sizeof replay->net_sha256, "%s", sha256);
    return 0;
}

/* Begin the next position of the group; false if there is none. */
static int lane_begin(struct run *run, struct lane *lane, struct error *err)
{
    if (run->next == run->end) {
        return false;
    }
    lane->job = (uint32_t)run->next++;
    const struct job *job = &run->jobs[lane->job];
    struct record_end end = {.reason = ""};
    int r = set_up(run->replay, &lane->slot, &run->games[job->game], job->ply, err);
    if (r < 0) {
        return r;
    }
    if (game_slot_over(&lane->slot, &job->search->settings, &end)) { /* by resignation */
        tell(run, job->game, (int32_t)job->ply, "ply", "played", end.reason);
    }
    game_slot_begin_move(&lane->slot, &job->search->settings);
    lane->busy = true;
    return true;
}

struct place {
    struct run *run;
    const struct job *job;
};

static void say_field(const char *field, const char *recorded, const char *replayed, void *context)
{
    const struct place *place = context;
    tell(place->run, place->job->game, (int32_t)place->job->ply, field, recorded, replayed);
}

static int lane_finish(struct run *run, struct lane *lane, struct error *err)
{
    const struct job *job = &run->jobs[lane->job];
    const struct replay_game *game = &run->games[job->game];
    struct place place = {run, job};
    lane->busy = false;
    int r = game_slot_finish_move(&lane->slot, &job->search->settings, &run->position, err);
    if (r < 0) {
        return r;
    }
    enum replay_verdict verdict =
        replay_compare(&game->positions[job->ply], &run->position,
                       job->search->bits ? NULL : &run->replay->tolerance, say_field, &place);
    if (verdict > run->verdicts[job->game]) {
        run->verdicts[job->game] = verdict;
    }
    run->counts->identical += verdict == REPLAY_IDENTICAL;
    run->counts->close += verdict == REPLAY_CLOSE;
    run->counts->different += verdict == REPLAY_DIFFERENT;
    run->done++;
    return 0;
}

/* Go on until the lane's search waits for the net or no position is left. */
static int lane_advance(struct run *run, struct lane *lane, struct error *err)
{
    for (;;) {
        int r = lane->busy ? true : lane_begin(run, lane, err);
        if (r <= 0) {
            return r;
        }
        enum search_status status = pool_advance(run->replay->pool, lane->slot.search);
        if (status == SEARCH_NEEDS_EVALUATION) {
            return 0;
        }
        if (status == SEARCH_NO_MEMORY) {
            return error_set(err, ERROR_NO_MEMORY, "no memory for a search");
        }
        r = lane_finish(run, lane, err);
        if (r < 0) {
            return r;
        }
    }
}

/* The jobs next .. end, which share net and settings. */
static int search_group(struct run *run, struct error *err)
{
    struct replay *replay = run->replay;
    const struct replay_callbacks *callbacks = run->callbacks;
    int r = set_net(run, run->jobs[run->next].search, err);
    while (r == 0) {
        if (callbacks->go_on != NULL &&
            !callbacks->go_on(run->done, run->n_jobs, callbacks->context)) {
            return error_set(err, ERROR_CANCELLED, "stopped on request after %zu of %zu positions",
                             run->done, run->n_jobs);
        }
        for (uint32_t i = 0; r == 0 && i < replay->n_lanes; i++) {
            r = lane_advance(run, &replay->lanes[i], err);
        }
        if (r == 0 && pool_run(replay->pool) == 0) {
            break;
        }
    }
    return r;
}

static int search_all(struct run *run, struct error *err)
{
    int r = 0;
    while (r == 0 && run->next < run->n_jobs) {
        run->end = run->next + 1;
        while (run->end < run->n_jobs &&
               run->jobs[run->end].search == run->jobs[run->next].search) {
            run->end++;
        }
        r = search_group(run, err);
    }
    if (r < 0) { /* leave nothing behind for the next call */
        pool_drop(run->replay->pool);
        for (uint32_t i = 0; i < run->replay->n_lanes; i++) {
            run->replay->lanes[i].busy = false;
        }
    }
    return r;
}

static void count_games(struct run *run)
{
    run->counts->games += run->n_games;
    run->counts->positions += run->n_jobs;
    for (uint32_t i = 0; i < run->n_games; i++) {
        run->counts->games_identical += run->verdicts[i] == REPLAY_IDENTICAL;
        run->counts->games_close += run->verdicts[i] == REPLAY_CLOSE;
        run->counts->games_different += run->verdicts[i] == REPLAY_DIFFERENT;
    }
}

int replay_run(struct replay *replay, const struct replay_search *searches, uint32_t n_searches,
               const struct replay_game *games, uint32_t n,
               const struct replay_callbacks *callbacks, struct replay_counts *counts,
               struct error *err)
{
    struct run run = {.replay = replay,
                      .searches = searches,
                      .n_searches = n_searches,
                      .games = games,
                      .n_games = n,
                      .callbacks = callbacks,
                      .counts = counts};
    uint64_t before = pool_counters(replay->pool)->evaluations;
    int r = prepare(&run, err);
    if (r == 0) {
        r = search_all(&run, err);
    }
    counts->evaluations += pool_counters(replay->pool)->evaluations - before;
    if (r == 0) {
        count_games(&run);
    }
    free(run.jobs);
    free(run.verdicts);
    return r;
}
