/* Two nets, each with evaluator, cache and pool; a few pairs side by side, each of two game slots. A step
 * advances every game until its search waits for the net that is to move there, then both pools run.
 * Pairs sit in a ring by number: pair i + MATCH_SIDE_BY_SIDE begins when pair i has been handed out, so
 * they come out in order and none that began is left out. */
#include "selfplay/match.h"

#include "mcts/random.h"
#include "selfplay/game_slot.h"
#include "selfplay/opening.h"
#include "selfplay/pool.h"
#include "trainer/net/inference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seat { /* a net at the table */
    struct evaluator *evaluator;
    struct eval_cache *cache;
    struct pool *pool;
    const char *sha256;
};

struct table { /* a game in play */
    struct game_slot slot;
    uint32_t first_seat; /* who moves at ply 0 */
    bool over;
    struct record_position *positions; /* [game->max_plies] */
    struct record_end end;
    uint64_t fingerprint;
};

struct place { /* a pair in play */
    bool busy;
    uint32_t pair;
    struct table tables[2];
};

struct match {
    const struct match_params *params;
    const struct game *game;
    uint64_t seed;
    char *settings_json;
    struct opening_line *openings;
    size_t n_openings;
    struct seat seats[2];
    struct place places[MATCH_SIDE_BY_SIDE];
    uint32_t next_begin, next_out;
};

struct selfplay_settings match_settings(const struct selfplay_settings *settings, uint32_t nodes)
{
    struct selfplay_settings quiet = *settings;

    quiet.search.nodes = nodes;
    quiet.search.noise_share = 0.0F;
    quiet.temperature.start = 0.0F;
    quiet.temperature.floor = 0.0F;
    quiet.fast_share = 0.0F;
    quiet.resign_threshold = 0.0F;
    return quiet;
}

int match_max_pairs(const struct game *game, uint32_t *ret, struct error *err)
{
    struct opening_line *openings = NULL;
    size_t n = 0;

    if (opening_list(game, 0, &openings, &n) < 0) {
        return error_set(err, ERROR_NO_MEMORY, "openings of %s: out of memory", game->title);
    }
    free(openings);
    *ret = (uint32_t)n;
    return 0;
}

/* ---- setting up ---- */
/* The same whoever is named first. */
static uint64_t seed_of(const struct match_params *params)
{
    char digits[17] = "";
    uint64_t seed = 0;

    for (int i = 0; i < 2; i++) {
        const char *sha256 = i == 0 ? params->a.sha256 : params->b.sha256;
        (void)snprintf(digits, sizeof digits, "%.16s", sha256);
        seed ^= strtoull(digits, NULL, 16);
    }
    return seed;
}

static void match_finish(struct match *match)
{
    for (int i = 0; i < MATCH_SIDE_BY_SIDE; i++) {
        for (int k = 0; k < 2; k++) {
            game_slot_finish(&match->places[i].tables[k].slot);
            free(match->places[i].tables[k].positions);
        }
    }
    for (int i = 0; i < 2; i++) {
        pool_destroy(match->seats[i].pool);
        eval_cache_destroy(match->seats[i].cache);
        evaluator_destroy(match->seats[i].evaluator);
    }
    free(match->openings);
    free(match->settings_json);
    free(match);
}

static int take_seat(struct match *match, struct seat *seat, const struct match_side *side,
                     struct error *err)
{
    const struct game *game = match->game;
    int r = evaluator_create(game, side->net, 2 * MATCH_SIDE_BY_SIDE, &seat->evaluator, err);

    if (r < 0) {
        return error_prefix(err, r, "net %.12s", side->sha256);
    }
    seat->sha256 = side->sha256;
    if (match->params->cache_entries > 0) {
        seat->cache = eval_cache_create(match->params->cache_entries, game->max_legal);
    }
    seat->pool = pool_create(game, seat->evaluator, seat->cache, 2 * MATCH_SIDE_BY_SIDE);
    if (seat->pool == NULL || (seat->cache == NULL && match->params->cache_entries > 0)) {
        return error_set(err, ERROR_NO_MEMORY, "match: out of memory");
    }
    return 0;
}

static int set_tables(struct match *match)
{
    for (int i = 0; i < MATCH_SIDE_BY_SIDE; i++) {
        for (int k = 0; k < 2; k++) {
            struct table *table = &match->places[i].tables[k];
            table->positions = calloc(match->game->max_plies, sizeof *table->positions);
            if (table->positions == NULL || game_slot_init(&table->slot, match->game) < 0) {
                return ERROR_NO_MEMORY;
            }
        }
    }
    return 0;
}

static int match_begin(const struct match_params *params, struct match **ret, struct error *err)
{
    struct match *match = calloc(1, sizeof *match);
    int r = selfplay_settings_check(&params->settings, err);

    *ret = match;
    if (r < 0) {
        return r;
    }
    if (match == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "match: out of memory");
    }
    match->params = params;
    match->game = params->game;
    match->seed = seed_of(params);
    match->next_begin = match->next_out = params->first_pair;
    match->settings_json = selfplay_settings_json(&params->settings);
    if (match->settings_json == NULL || set_tables(match) < 0 ||
        opening_list(params->game, match->seed, &match->openings, &match->n_openings) < 0) {
        return error_set(err, ERROR_NO_MEMORY, "match: out of memory");
    }
    if (params->n_pairs > match->n_openings) {
        return error_set(err, ERROR_INVALID,
                         "%u pairs; %s has %zu openings of %d plies, and none is played twice",
                         params->n_pairs, params->game->title, match->n_openings,
                         OPENING_MATCH_PLIES);
    }
    r = take_seat(match, &match->seats[0], &params->a, err);
    return r < 0 ? r : take_seat(match, &match->seats[1], &params->b, err);
}

/* ---- playing ---- */
static int begin_pair(struct match *match, struct place *place, struct error *err)
{
    char opening[GAME_MAX_OPENING_TEXT];
    char uid[RECORD_UID_BYTES];
    int r = 0;

    place->pair = match->next_begin++;
    place->busy = true;
    opening_text(match->game, &match->openings[place->pair], opening);
    for (uint32_t k = 0; r == 0 && k < 2; k++) {
        struct table *table = &place->tables[k];
        int64_t seed = (int64_t)random_u64(match->seed, k, RANDOM_MATCH, place->pair);
        record_uid_draw(uid);
        table->first_seat = k;
        table->over = false;
        game_slot_clear(&table->slot);
        r = game_slot_start(&table->slot, uid, seed, opening, 0, NULL, NULL, match->params->now(),
                            err);
    }
    return r;
}

/* A hash over all positions of the game, each the one of its two mirror images that nets are shown. */
static uint64_t fingerprint(const struct match *match, const struct table *table)
{
    union game_state state;
    uint64_t hash = 0;

    (void)match->game->init(&state, table->slot.opening, NULL);
    for (uint32_t ply = 0; ply <= table->end.plies; ply++) {
        struct game_key key = opening_canonical_key(match->game, &state);
        hash = random_u64(hash ^ key.lo, ply, RANDOM_MATCH, key.hi);
        if (ply < table->end.plies) {
            match->game->play(&state, table->positions[ply].action);
        }
    }
    return hash;
}

/* Go on with a game until its search waits for a net or the game has ended. */
static int advance(struct match *match, struct table *table, struct error *err)
{
    const struct selfplay_settings *settings = &match->params->settings;
    struct game_slot *slot = &table->slot;

    while (!table->over) {
        if (!slot->searching) {
            if (game_slot_over(slot, settings, &table->end)) {
                table->end.finished_at = match->params->now();
                table->fingerprint = fingerprint(match, table);
                table->over = true;
                break;
            }
            game_slot_begin_move(slot, settings);
        }
        uint32_t seat = (table->first_seat + slot->ply) % 2;
        enum search_status status = pool_advance(match->seats[seat].pool, slot->search);
        if (status == SEARCH_NEEDS_EVALUATION) {
            break;
        }
        if (status == SEARCH_NO_MEMORY) {
            return error_set(err, ERROR_NO_MEMORY, "match: no memory for a search of %u nodes",
                             settings->search.nodes);
        }
        int r = game_slot_finish_move(slot, settings, &table->positions[slot->ply], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* ---- handing out ---- */
static struct record_search search_of(const struct match *match, uint32_t seat)
{
    return (struct record_search){.net_sha256 = match->seats[seat].sha256,
                                  .build = match->params->build,
                                  .kernel = evaluator_kernel(match->seats[seat].evaluator),
                                  .settings = match->settings_json};
}

static void fill_game(const struct match *match, const struct table *table, struct match_game *ret)
{
    const struct game_slot *slot = &table->slot;

    *ret = (struct match_game){
        .start = {.kind = GAME_MATCH,
                  .game = match->game->name,
                  .host = match->params->host,
                  .seed = slot->seed,
                  .opening = slot->opening,
                  .first_side = slot->first_side,
                  .started_at = slot->started_at},
        .search = {search_of(match, table->first_seat), search_of(match, 1 - table->first_seat)},
        .positions = table->positions,
        .end = table->end,
        .fingerprint = table->fingerprint,
    };
    memcpy(ret->start.uid, slot->uid, sizeof ret->start.uid);
}

void match_pair_points(const struct match_pair *pair, uint32_t ret_half_points[2])
{
    for (int k = 0; k < 2; k++) {
        const struct match_game *game = &pair->games[k];
        /* The side that moves first behind the opening is net a's in game 0, net b's in game 1. */
        int sign = (game->start.first_side == 0) == (k == 0) ? 1 : -1;
        ret_half_points[k] = (uint32_t)(1 + sign * game->end.first_player_outcome);
    }
}

/* Hand out what is ready, in order. False: the taker has had enough. */
static bool hand_out(struct match *match, match_take *take, void *take_context)
{
    for (;;) {
        struct place *place = &match->places[match->next_out % MATCH_SIDE_BY_SIDE];
        if (!place->busy || !place->tables[0].over || !place->tables[1].over) {
            return true;
        }
        struct match_pair pair = {.pair = place->pair};
        uint32_t half_points[2];
        fill_game(match, &place->tables[0], &pair.games[0]);
        fill_game(match, &place->tables[1], &pair.games[1]);
        match_pair_points(&pair, half_points);
        pair.points = half_points[0] + half_points[1];
        place->busy = false;
        match->next_out++;
        if (!take(&pair, take_context)) {
            return false;
        }
    }
}

static int play_on(struct match *match, struct error *err)
{
    for (int i = 0; i < MATCH_SIDE_BY_SIDE; i++) {
        struct place *place = &match->places[match->next_begin % MATCH_SIDE_BY_SIDE];
        if (match->next_begin < match->params->n_pairs && !place->busy) {
            int r = begin_pair(match, place, err);
            if (r < 0) {
                return r;
            }
        }
    }
    for (int i = 0; i < 2 * MATCH_SIDE_BY_SIDE; i++) {
        struct place *place = &match->places[i / 2];
        int r = place->busy ? advance(match, &place->tables[i % 2], err) : 0;
        if (r < 0) {
            return r;
        }
    }
    (void)pool_run(match->seats[0].pool);
    (void)pool_run(match->seats[1].pool);
    return 0;
}

int match_play(const struct match_params *params, match_take *take, void *take_context,
               bool (*should_stop)(void *context), void *context, struct error *err)
{
    struct match *match = NULL;
    int r = match_begin(params, &match, err);

    while (r == 0 && match->next_out < params->n_pairs) {
        if (should_stop != NULL && should_stop(context)) {
            r = error_set(err, ERROR_CANCELLED, "stopped on request after %u of %u pairs",
                          match->next_out, params->n_pairs);
            break;
        }
        r = play_on(match, err);
        if (r == 0 && !hand_out(match, take, take_context)) {
            break;
        }
    }
    if (match != NULL) {
        match_finish(match);
    }
    return r;
}

/* ---- counting ---- */
static bool add_fingerprint(struct match_tally *tally, uint64_t fingerprint)
{
    uint64_t low = 0;
    uint64_t high = tally->distinct;

    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (tally->fingerprints[middle] < fingerprint) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < tally->distinct && tally->fingerprints[low] == fingerprint) {
        return false;
    }
    memmove(&tally->fingerprints[low + 1], &tally->fingerprints[low],
            (tally->distinct - low) * sizeof *tally->fingerprints);
    tally->fingerprints[low] = fingerprint;
    tally->distinct++;
    return true;
}

int match_tally_add(struct match_tally *tally, const uint32_t half_points[2],
                    const uint64_t fingerprints[2])
{
    if (tally->distinct + 2 > tally->room) {
        size_t room = tally->room == 0 ? 64 : 2 * tally->room;
        uint64_t *grown = reallocarray(tally->fingerprints, room, sizeof *grown);
        if (grown == NULL) {
            return ERROR_NO_MEMORY;
        }
        tally->fingerprints = grown;
        tally->room = room;
    }
    for (int k = 0; k < 2; k++) {
        tally->wins += half_points[k] == 2 ? 1U : 0U;
        tally->draws += half_points[k] == 1 ? 1U : 0U;
        tally->losses += half_points[k] == 0 ? 1U : 0U;
        (void)add_fingerprint(tally, fingerprints[k]);
    }
    tally->pairs.pairs[half_points[0] + half_points[1]]++;
    return 0;
}

void match_tally_finish(struct match_tally *tally)
{
    free(tally->fingerprints);
    *tally = (struct match_tally){.fingerprints = NULL};
}
