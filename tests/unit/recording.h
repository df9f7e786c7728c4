/* Games of two random nets, recorded by a worker, in the form in which a store would give them, and a replay of them: for
 * the tests of replays. */
#ifndef TESTS_UNIT_RECORDING_H
#define TESTS_UNIT_RECORDING_H

#include "selfplay/replay.h"
#include "worker_log.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SEARCHES = 16, MAX_DIFFERENCES = 4096 };

static struct net *nets[2]; /* "a" and "b" */

static inline void make_nets(void)
{
    nets[0] = random_net(game_find("connect4"), NET_VALUE_WDL, 7, 1.0);
    nets[1] = random_net(game_find("connect4"), NET_VALUE_WDL, 8, 1.0);
}

static inline void free_nets(void)
{
    net_destroy(nets[0]);
    net_destroy(nets[1]);
}

/* What was logged, in the form in which a store would give it. */
struct recording {
    struct log *log;
    uint32_t n_searches;
    struct replay_search searches[MAX_SEARCHES];
    const char *settings[MAX_SEARCHES];
    uint32_t n;
    struct replay_game games[MAX_GAMES];
    uint32_t game_searches[MAX_GAMES][MAX_PLIES];
    int8_t z[MAX_GAMES][MAX_PLIES];
    /* of the replay */
    int nets_brought;
    int n_differences;
    struct {
        uint32_t game;
        int32_t ply;
        char field[32], recorded[REPLAY_VALUE_TEXT], replayed[REPLAY_VALUE_TEXT];
    } differences[MAX_DIFFERENCES];
    uint64_t stop_behind; /* positions; 0: never */
};

static inline uint32_t search_of(struct recording *recording, const char *net, const char *settings)
{
    struct error err;
    for (uint32_t i = 0; i < recording->n_searches; i++) {
        if (strcmp(recording->searches[i].net_sha256, net) == 0 &&
            strcmp(recording->settings[i], settings) == 0) {
            return i;
        }
    }
    ck_assert_uint_lt(recording->n_searches, MAX_SEARCHES);
    struct replay_search *search = &recording->searches[recording->n_searches];
    *search = (struct replay_search){.net_sha256 = net, .bits = true};
    ck_assert_int_eq(selfplay_settings_parse(settings, &search->settings, &err), 0);
    recording->settings[recording->n_searches] = settings;
    return recording->n_searches++;
}

/* The first n games of the log, which it takes over. */
static inline struct recording *record_games(struct log *log, uint32_t n)
{
    struct recording *recording = calloc(1, sizeof *recording);
    ck_assert_ptr_nonnull(recording);
    recording->log = log;
    recording->n = n;
    for (uint32_t i = 0; i < n; i++) {
        struct logged_game *logged = &log->games[i];
        ck_assert_int_eq(logged->n_ends, 1);
        ck_assert_uint_eq(logged->first_ply, 0);
        for (uint32_t ply = 0; ply < logged->n; ply++) {
            recording->game_searches[i][ply] =
                search_of(recording, logged->nets[ply], logged->settings[ply]);
            bool first = (logged->start.first_side + ply) % 2 == 0;
            recording->z[i][ply] = (int8_t)(first ? logged->end.first_player_outcome
                                                  : -logged->end.first_player_outcome);
        }
        recording->games[i] = (struct replay_game){.uid = logged->start.uid,
                                                   .opening = i % 3 == 1 ? "444" : "",
                                                   .first_side = logged->start.first_side,
                                                   .seed = logged->start.seed,
                                                   .ended = true,
                                                   .n_positions = logged->n,
                                                   .positions = logged->positions,
                                                   .searches = recording->game_searches[i],
                                                   .z = recording->z[i],
                                                   .end = logged->end};
        recording->games[i].end.reason = logged->reason;
    }
    return recording;
}

static inline void free_recording(struct recording *recording)
{
    free(recording->log);
    free(recording);
}

/* ---- replaying ---- */

static inline int bring_net(const char *sha256, struct net **ret, void *context, struct error *err)
{
    struct recording *recording = context;
    recording->nets_brought++;
    if (strcmp(sha256, "a") != 0 && strcmp(sha256, "b") != 0) {
        return error_set(err, ERROR_NOT_FOUND, "no net %s", sha256);
    }
    *ret = net_copy(nets[sha256[0] - 'a']);
    ck_assert_ptr_nonnull(*ret);
    return 0;
}

static inline void note(const struct replay_difference *difference, void *context)
{
    struct recording *recording = context;
    ck_assert_int_lt(recording->n_differences, MAX_DIFFERENCES);
    int i = recording->n_differences++;
    recording->differences[i].game = difference->game;
    recording->differences[i].ply = difference->ply;
    snprintf(recording->differences[i].field, 32, "%s", difference->field);
    snprintf(recording->differences[i].recorded, REPLAY_VALUE_TEXT, "%s", difference->recorded);
    snprintf(recording->differences[i].replayed, REPLAY_VALUE_TEXT, "%s", difference->replayed);
}

static inline bool go_on(uint64_t done, uint64_t positions, void *context)
{
    const struct recording *recording = context;
    ck_assert_uint_le(done, positions);
    return recording->stop_behind == 0 || done < recording->stop_behind;
}

static inline int run_on(struct replay *replay, struct recording *recording,
                         struct replay_counts *counts, struct error *err)
{
    const struct replay_callbacks callbacks = {bring_net, note, go_on, recording};
    recording->n_differences = 0;
    return replay_run(replay, recording->searches, recording->n_searches, recording->games,
                      recording->n, &callbacks, counts, err);
}

static inline struct replay *replay_of(uint32_t lanes, size_t cache_entries)
{
    struct replay *replay = NULL;
    struct error err;
    ck_assert_int_eq(replay_create(game_find("connect4"), lanes, cache_entries,
                                   &replay_tolerance_default, &replay, &err),
                     0);
    return replay;
}

static inline struct replay_counts play_again(struct recording *recording, uint32_t lanes)
{
    struct replay_counts counts = {0};
    struct error err;
    struct replay *replay = replay_of(lanes, 1 << 12);
    ck_assert_msg(run_on(replay, recording, &counts, &err) == 0, "%s", err.text);
    replay_destroy(replay);
    return counts;
}

static inline void all_identical(struct recording *recording)
{
    struct replay_counts counts = play_again(recording, 32);
    if (recording->n_differences > 0) {
        ck_abort_msg("game %u, ply %d: %s is %s, again %s", recording->differences[0].game,
                     recording->differences[0].ply, recording->differences[0].field,
                     recording->differences[0].recorded, recording->differences[0].replayed);
    }
    ck_assert_uint_eq(counts.games, recording->n);
    ck_assert_uint_eq(counts.games_identical, recording->n);
    ck_assert_uint_eq(counts.identical, counts.positions);
    ck_assert_uint_gt(counts.positions, 5 * (uint64_t)recording->n);
    ck_assert_uint_gt(counts.evaluations, counts.positions);
}

/* Every third game begins behind an opening. */
static inline struct worker_game game_with_opening(uint32_t number)
{
    struct worker_game game = numbered_game(number);
    game.opening = number % 3 == 1 ? "444" : "";
    return game;
}

/* Fast searches, resignation, openings. */
static inline struct selfplay_settings rich_settings(void)
{
    struct selfplay_settings settings = quick_settings();
    settings.fast_share = 0.3F;
    settings.fast_nodes = 12;
    settings.resign_threshold = 0.15F;
    settings.resign_plies = 1;
    settings.resign_playout = 0.3F;
    return settings;
}

/* n games, in the middle of which net and settings change `swaps` times. */
static inline struct recording *record_with(struct selfplay_settings settings, uint32_t n,
                                            uint32_t swaps)
{
    struct log *log = log_create();
    struct worker *worker = worker_of(game_find("connect4"), n, 1 << 12, log);
    set_net(worker, nets[0], "a");
    set_settings(worker, &settings);
    for (uint32_t i = 0; i < n; i++) {
        struct worker_game game = game_with_opening(i);
        add_game(worker, &game);
    }
    for (uint32_t i = 1; worker_games(worker) > 0; i++) {
        (void)step(worker);
        if (i % 150 == 0 && i / 150 <= swaps) {
            uint32_t swap = i / 150;
            uint32_t step_of_cpuct = swap / 2;
            set_net(worker, nets[swap % 2], swap % 2 == 0 ? "a" : "b");
            settings.search.cpuct = 1.5F + 0.25F * (float)step_of_cpuct;
            set_settings(worker, &settings);
        }
    }
    worker_destroy(worker);
    return record_games(log, n);
}

static inline struct recording *record_rich_games(uint32_t n, uint32_t swaps)
{
    return record_with(rich_settings(), n, swaps);
}

static inline void one_difference(struct recording *recording, uint32_t game, int32_t ply,
                                  const char *field)
{
    struct replay_counts counts = play_again(recording, 8);
    ck_assert_int_eq(recording->n_differences, 1);
    ck_assert_uint_eq(recording->differences[0].game, game);
    ck_assert_int_eq(recording->differences[0].ply, ply);
    ck_assert_str_eq(recording->differences[0].field, field);
    ck_assert_uint_eq(counts.games_different, 1);
}

#endif
