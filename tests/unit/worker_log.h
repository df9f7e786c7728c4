/* A sink that keeps what workers hand out, checking the order of calls, and short ways to drive a worker:
 * for the tests of workers. */
#ifndef TESTS_UNIT_WORKER_LOG_H
#define TESTS_UNIT_WORKER_LOG_H

#include "random_net.h"
#include "selfplay/worker.h"
#include "trainer/net/inference.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_GAMES = 64, MAX_PLIES = 64 };

struct logged_game {
    struct record_start start;
    int n_starts;
    struct record_position positions[MAX_PLIES];
    char nets[MAX_PLIES][RECORD_SHA256_BYTES];
    char settings[MAX_PLIES][512];
    uint32_t n; /* positions logged; the first one's ply is first_ply */
    uint32_t first_ply;
    struct record_end end;
    char reason[16];
    int n_ends;
};

struct log {
    struct logged_game games[MAX_GAMES];
    int64_t clock;
};

/* A game's uid is its number in hex. */
static inline struct logged_game *game_of(struct log *log, const char *uid)
{
    unsigned long number = strtoul(uid + 16, NULL, 16);
    ck_assert_uint_lt(number, MAX_GAMES);
    return &log->games[number];
}

static inline void log_start(const struct record_start *start, void *context)
{
    struct logged_game *game = game_of(context, start->uid);
    ck_assert_uint_eq(game->n, 0);
    ck_assert_int_eq(game->n_starts, 0);
    ck_assert_str_eq(start->game, "connect4"); /* lent for the call only */
    ck_assert_str_eq(start->host, "test-host");
    ck_assert(start->opening[0] == '\0' || strcmp(start->opening, "444") == 0);
    game->start = *start;
    game->n_starts++;
}

static inline void log_position(const char *uid, const struct record_search *search,
                                const struct record_position *position, void *context)
{
    struct logged_game *game = game_of(context, uid);
    ck_assert_int_eq(game->n_ends, 0);
    ck_assert_uint_lt(game->n, MAX_PLIES);
    if (game->n == 0) {
        game->first_ply = position->ply;
    }
    ck_assert_uint_eq(position->ply, game->first_ply + game->n);
    ck_assert_str_eq(search->build, "test-build");
    ck_assert_str_eq(search->kernel, inference_kernel());
    snprintf(game->nets[game->n], sizeof game->nets[0], "%s", search->net_sha256);
    snprintf(game->settings[game->n], sizeof game->settings[0], "%s", search->settings);
    game->positions[game->n++] = *position;
}

static inline void log_end(const char *uid, const struct record_end *end, void *context)
{
    struct logged_game *game = game_of(context, uid);
    ck_assert_int_eq(game->n_ends, 0);
    game->end = *end;
    snprintf(game->reason, sizeof game->reason, "%s", end->reason);
    game->n_ends++;
}

static inline int64_t log_now(void *context)
{
    return ++((struct log *)context)->clock;
}

static inline struct log *log_create(void)
{
    struct log *log = calloc(1, sizeof *log);
    ck_assert_ptr_nonnull(log);
    log->clock = 1000;
    return log;
}

static inline struct worker *worker_of(const struct game *game, uint32_t games,
                                       size_t cache_entries, struct log *log)
{
    const struct worker_params params = {game, games, cache_entries, "test-host", 3, "test-build"};
    const struct worker_sink sink = {log_start, log_position, log_end, log_now, log};
    struct worker *worker = NULL;
    struct error err;
    ck_assert_msg(worker_create(&params, &sink, &worker, &err) == 0, "%s", err.text);
    return worker;
}

static inline void set_net(struct worker *worker, const struct net *net, const char *name)
{
    struct error err;
    ck_assert_msg(worker_set_net(worker, net, name, &err) == 0, "%s", err.text);
}

static inline void set_settings(struct worker *worker, const struct selfplay_settings *settings)
{
    struct error err;
    ck_assert_msg(worker_set_settings(worker, settings, &err) == 0, "%s", err.text);
}

static inline struct worker_game numbered_game(uint32_t number)
{
    struct worker_game game = {.seed = 1000 + (int64_t)number, .opening = ""};
    snprintf(game.uid, sizeof game.uid, "%032x", number);
    return game;
}

static inline void add_game(struct worker *worker, const struct worker_game *game)
{
    struct error err;
    ck_assert_msg(worker_add_game(worker, game, &err) == 0, "%s", err.text);
}

static inline int step(struct worker *worker)
{
    struct error err;
    int n = worker_step(worker, &err);
    ck_assert_msg(n >= 0, "%s", err.text);
    return n;
}

static inline struct selfplay_settings quick_settings(void)
{
    struct selfplay_settings settings = selfplay_settings_default;
    settings.search.nodes = 40;
    return settings;
}

/* Games first .. first + n - 1, side by side as far as there is room. */
static inline void play_all(struct worker *worker, uint32_t first, uint32_t n)
{
    uint32_t next = first;
    for (;;) {
        while (next < first + n && worker_room(worker) > 0) {
            struct worker_game game = numbered_game(next++);
            add_game(worker, &game);
        }
        if (step(worker) == 0 && worker_games(worker) == 0 && next == first + n) {
            return;
        }
    }
}

static inline void same_positions(const struct logged_game *a, uint32_t a_from,
                                  const struct logged_game *b, uint32_t b_from, uint32_t n,
                                  uint32_t game)
{
    ck_assert_msg(a_from + n <= a->n && b_from + n <= b->n, "game %u", game);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_msg(record_position_equal(&a->positions[a_from + i], &b->positions[b_from + i]),
                      "game %u, ply %u differs", game, a->positions[a_from + i].ply);
        ck_assert_str_eq(a->nets[a_from + i], b->nets[b_from + i]);
        ck_assert_str_eq(a->settings[a_from + i], b->settings[b_from + i]);
    }
}

static inline void same_end(const struct logged_game *a, const struct logged_game *b)
{
    ck_assert_int_eq(a->n_ends, 1);
    ck_assert_int_eq(b->n_ends, 1);
    ck_assert_str_eq(a->reason, b->reason);
    ck_assert_int_eq(a->end.first_player_outcome, b->end.first_player_outcome);
    ck_assert_uint_eq(a->end.plies, b->end.plies);
    ck_assert_int_eq(a->end.would_resign_ply, b->end.would_resign_ply);
    ck_assert_int_eq(a->end.would_resign_side, b->end.would_resign_side);
}

static inline struct log *play_with(const struct game *game, const struct net *net,
                                    const struct selfplay_settings *settings, uint32_t side_by_side,
                                    size_t cache_entries, uint32_t n)
{
    struct log *log = log_create();
    struct worker *worker = worker_of(game, side_by_side, cache_entries, log);
    set_net(worker, net, "a");
    set_settings(worker, settings);
    play_all(worker, 0, n);
    worker_destroy(worker);
    return log;
}

#endif
