/* Workers against the design's mistakes 1, 3 and 4: signs, records that are what the search did, and no
 * hidden state. Games are those of real (random) nets. */
#include "mcts/random.h"
#include "storage/policy.h"
#include "tests/unit/run_suite.h"
#include "worker_log.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

START_TEST(records_are_equal_with_cache_on_or_off_and_with_1_or_64_games)
{
    enum { N = 64, ALONE = 12 };
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, NET_VALUE_WDL, 7, 1.0);
    const struct selfplay_settings settings = quick_settings();
    struct log *many = play_with(game, net, &settings, 64, 1 << 14, N);
    struct log *few = play_with(game, net, &settings, 5, 100, N); /* a cache that forgets */
    struct log *alone = play_with(game, net, &settings, 1, 0, ALONE);
    struct log *alone_cached = play_with(game, net, &settings, 1, 1 << 14, ALONE);
    for (uint32_t i = 0; i < N; i++) {
        ck_assert_uint_eq(many->games[i].n, few->games[i].n);
        same_positions(&many->games[i], 0, &few->games[i], 0, many->games[i].n, i);
        same_end(&many->games[i], &few->games[i]);
    }
    for (uint32_t i = 0; i < ALONE; i++) {
        ck_assert_uint_eq(many->games[i].n, alone->games[i].n);
        same_positions(&many->games[i], 0, &alone->games[i], 0, many->games[i].n, i);
        same_positions(&many->games[i], 0, &alone_cached->games[i], 0, many->games[i].n, i);
        same_end(&many->games[i], &alone->games[i]);
        same_end(&many->games[i], &alone_cached->games[i]);
    }
    free(many);
    free(few);
    free(alone);
    free(alone_cached);
    net_destroy(net);
}
END_TEST

enum swap { SWAP_NET, SWAP_SETTINGS, SWAP_BOTH };

static void do_swap(struct worker *worker, enum swap swap, const struct net *net)
{
    struct selfplay_settings settings = quick_settings();
    settings.search.cpuct = 2.5F;
    if (swap != SWAP_SETTINGS) {
        set_net(worker, net, "b");
    }
    if (swap != SWAP_NET) {
        set_settings(worker, &settings);
    }
}

/* One game alone, without cache, in which net or settings change when it has played `ply` moves: in the
 * middle of the search of that ply, after `late` of its evaluations. */
static void play_with_swap(struct log *log, enum swap swap, const struct net *nets[2],
                           uint32_t number, uint32_t ply, int late)
{
    struct selfplay_settings settings = quick_settings();
    struct worker *worker = worker_of(game_find("connect4"), 1, 0, log);
    set_net(worker, nets[0], "a");
    set_settings(worker, &settings);
    struct worker_game game = numbered_game(number);
    add_game(worker, &game);
    while (log->games[number].n < ply) {
        ck_assert_int_eq(step(worker), 1);
    }
    for (int i = 0; i < late; i++) {
        ck_assert_int_eq(step(worker), 1);
    }
    ck_assert_uint_eq(log->games[number].n, ply);
    do_swap(worker, swap, nets[1]);
    while (worker_games(worker) > 0) {
        (void)step(worker);
    }
    worker_destroy(worker);
}

/* _i: enum swap */
START_TEST(net_swap_at_some_ply_leaves_no_trace_of_cache_company_or_the_search_under_way)
{
    enum { N = 24 };
    const struct game *game = game_find("connect4");
    struct net *nets[2] = {random_net(game, NET_VALUE_WDL, 7, 1.0),
                           random_net(game, NET_VALUE_WDL, 8, 1.0)};
    struct selfplay_settings settings = quick_settings();
    struct log *many = log_create();
    struct log *alone = log_create();
    struct worker *worker = worker_of(game, N, 1 << 14, many);
    uint32_t swapped_at[N];
    set_net(worker, nets[0], "a");
    set_settings(worker, &settings);
    for (uint32_t i = 0; i < N; i++) {
        struct worker_game next = numbered_game(i);
        add_game(worker, &next);
    }
    bool one_is_there = false; /* at ply 10; the others are somewhere near */
    while (!one_is_there) {
        ck_assert_int_gt(step(worker), 0);
        for (uint32_t i = 0; i < N; i++) {
            one_is_there = one_is_there || (many->games[i].n == 10 && many->games[i].n_ends == 0);
        }
    }
    for (uint32_t i = 0; i < N; i++) {
        swapped_at[i] = many->games[i].n_ends == 0 ? many->games[i].n : UINT32_MAX;
    }
    do_swap(worker, (enum swap)_i, nets[1]);
    while (worker_games(worker) > 0) {
        (void)step(worker);
    }
    worker_destroy(worker);
    int compared = 0;
    for (uint32_t i = 0; i < N; i++) {
        if (swapped_at[i] == UINT32_MAX) {
            continue;
        }
        play_with_swap(alone, (enum swap)_i, (const struct net **)nets, i, swapped_at[i],
                       (int)i % 20);
        const struct logged_game *one = &alone->games[i];
        ck_assert_uint_eq(one->n, many->games[i].n);
        same_positions(one, 0, &many->games[i], 0, one->n, i);
        same_end(one, &many->games[i]);
        ck_assert_str_eq(one->nets[swapped_at[i] - 1], "a");
        ck_assert_str_eq(one->nets[swapped_at[i]], _i == SWAP_SETTINGS ? "a" : "b");
        compared++;
    }
    ck_assert_int_gt(compared, 8);
    free(many);
    free(alone);
    net_destroy(nets[0]);
    net_destroy(nets[1]);
}
END_TEST

/* Resignation on, so that its bookkeeping has to come through as well. */
START_TEST(game_interrupted_at_a_random_ply_goes_on_as_if_it_had_not_been)
{
    enum { N = 40 };
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, NET_VALUE_WDL, 14, 3.0);
    struct selfplay_settings settings = quick_settings();
    settings.resign_threshold = 0.2F;
    settings.resign_plies = 2;
    settings.resign_playout = 0.5F;
    settings.fast_share = 0.3F;
    settings.fast_nodes = 12;
    struct log *whole = play_with(game, net, &settings, 16, 1 << 12, N);
    struct log *rest = log_create();
    struct worker *worker = worker_of(game, 7, 1 << 12, rest);
    int n_resigned = 0;
    int n_would = 0;
    set_net(worker, net, "a");
    set_settings(worker, &settings);
    for (uint32_t i = 0; i < N; i++) {
        const struct logged_game *played = &whole->games[i];
        uint16_t actions[MAX_PLIES];
        float q[MAX_PLIES];
        uint32_t known = 1 + (uint32_t)random_u64(4, i, RANDOM_TEST, 0) % played->n;
        for (uint32_t ply = 0; ply < known; ply++) {
            actions[ply] = played->positions[ply].action;
            q[ply] = played->positions[ply].q;
        }
        struct worker_game resumed = numbered_game(i);
        resumed.n_actions = known;
        resumed.actions = actions;
        resumed.q = q;
        while (worker_room(worker) == 0) {
            (void)step(worker);
        }
        add_game(worker, &resumed);
        n_resigned += strcmp(played->reason, "resign") == 0;
        n_would += played->end.would_resign_ply >= 0;
    }
    while (worker_games(worker) > 0) {
        (void)step(worker);
    }
    worker_destroy(worker);
    for (uint32_t i = 0; i < N; i++) {
        const struct logged_game *played = &whole->games[i];
        const struct logged_game *resumed = &rest->games[i];
        uint32_t known = 1 + (uint32_t)random_u64(4, i, RANDOM_TEST, 0) % played->n;
        ck_assert_int_eq(resumed->n_starts, 0);
        ck_assert_uint_eq(resumed->n, played->n - known);
        same_positions(played, known, resumed, 0, resumed->n, i);
        same_end(played, resumed);
    }
    ck_assert_int_gt(n_resigned, 3); /* both kinds were there */
    ck_assert_int_gt(n_would, n_resigned + 3);
    free(whole);
    free(rest);
    net_destroy(net);
}
END_TEST

struct replay {
    const struct game *game;
    bool solver;
    union game_state state;
};

/* Mistake 3: what can be said of a record from the game's rules alone. */
static void check_record(const struct replay *replay, const struct record_position *position,
                         uint32_t nodes)
{
    uint16_t legal[GAME_MAX_LEGAL];
    struct policy_entry entries[GAME_MAX_LEGAL];
    uint32_t n_legal = replay->game->legal(&replay->state, legal);
    int n = policy_decode(position->policy, position->policy_bytes, entries, GAME_MAX_LEGAL);
    uint64_t visits = 0;
    bool played_is_there = false;
    uint32_t at = 0;

    ck_assert_int_gt(n, 0);
    for (int i = 0; i < n; i++) {
        while (at < n_legal && legal[at] != entries[i].action) {
            at++;
        }
        ck_assert_msg(at < n_legal, "action %u is not legal", entries[i].action);
        ck_assert_uint_gt(entries[i].visits, 0);
        visits += entries[i].visits;
        played_is_there = played_is_there || entries[i].action == position->action;
    }
    ck_assert(played_is_there);
    if (position->proven == PROVEN_NONE) {
        ck_assert_uint_eq(position->nodes, nodes);
        if (!replay->solver) { /* proofs below the root take visits from losing moves */
            ck_assert_uint_eq(visits, position->nodes - 1);
        }
    } else {
        ck_assert(replay->solver);
        ck_assert_float_eq(position->q, position->proven);
        ck_assert_float_eq(position->best_q, position->proven);
        ck_assert_float_eq(position->greedy_q, position->proven);
    }
    const float pairs[][2] = {{position->q, position->d},
                              {position->best_q, position->best_d},
                              {position->greedy_q, position->greedy_d},
                              {position->played_q, position->played_d},
                              {position->v, position->v_d}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        ck_assert_msg(pairs[i][1] >= 0 && 1 - pairs[i][1] - fabsf(pairs[i][0]) >= -1e-6F,
                      "pair %zu: q %g, d %g", i, (double)pairs[i][0], (double)pairs[i][1]);
    }
    ck_assert(position->kld >= 0);
}

/* Mistake 1: z is what the rules say of the game's end, +1 for whoever moved last if that won. */
static void check_end(const struct logged_game *game, const struct replay *end)
{
    int value = 9;
    ck_assert_int_eq(game->n_ends, 1);
    ck_assert_uint_eq(game->end.plies, game->n);
    ck_assert_str_eq(game->reason, "rules");
    ck_assert(end->game->over(&end->state, &value));
    int z = (game->n - 1) % 2 == 0 ? game->end.first_player_outcome
                                   : -game->end.first_player_outcome; /* of the last mover */
    ck_assert_int_eq(z, -value);
    ck_assert_int_ge(z, 0); /* nobody loses by their own move in these games */
    ck_assert_int_eq(z == 0, game->n == end->game->max_plies);
}

/* _i: solver off, on. */
START_TEST(records_replay_by_the_rules_and_say_what_a_search_may_say)
{
    enum { N = 32 };
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, _i == 0 ? NET_VALUE_WDL : NET_VALUE_SCALAR, 11, 1.0);
    struct selfplay_settings settings = quick_settings();
    settings.search.solver = _i == 1;
    struct log *log = play_with(game, net, &settings, 16, 1 << 12, N);
    char *json = selfplay_settings_json(&settings);
    int n_proven = 0;
    for (uint32_t i = 0; i < N; i++) {
        const struct logged_game *played = &log->games[i];
        struct replay replay = {.game = game, .solver = settings.search.solver};
        ck_assert_int_eq(played->n_starts, 1);
        ck_assert_uint_eq(played->start.worker, 3);
        ck_assert_int_eq(played->start.seed, 1000 + (int64_t)i);
        ck_assert_uint_eq(played->start.first_side, 0);
        ck_assert_int_eq(played->start.kind, GAME_SELFPLAY);
        ck_assert_int_lt(played->start.started_at, played->end.finished_at);
        ck_assert(game->init(&replay.state, "", NULL));
        for (uint32_t ply = 0; ply < played->n; ply++) {
            check_record(&replay, &played->positions[ply], settings.search.nodes);
            ck_assert_str_eq(played->settings[ply], json);
            n_proven += played->positions[ply].proven != PROVEN_NONE;
            game->play(&replay.state, played->positions[ply].action);
        }
        check_end(played, &replay);
    }
    ck_assert(_i == 0 ? n_proven == 0 : n_proven > N);
    free(json);
    free(log);
    net_destroy(net);
}
END_TEST

struct correlation {
    double n, x, y, xx, yy, xy;
};

static void correlation_add(struct correlation *c, double x, double y)
{
    c->n += 1;
    c->x += x;
    c->y += y;
    c->xx += x * x;
    c->yy += y * y;
    c->xy += x * y;
}

static double correlation_of(const struct correlation *c)
{
    return (c->n * c->xy - c->x * c->y) /
           sqrt((c->n * c->xx - c->x * c->x) * (c->n * c->yy - c->y * c->y));
}

/* _i: the uniform net, whose q comes from the ends of games alone, and a random one. Moves are mostly the
 * best ones: a random net's q is worth little behind a move that temperature threw away. */
START_TEST(q_turns_its_sign_from_ply_to_ply_and_agrees_with_z_near_the_end)
{
    enum { N = 32 };
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, NET_VALUE_WDL, 14, (double)_i);
    struct selfplay_settings settings = quick_settings();
    settings.search.nodes = 100;
    settings.temperature.start = 0.2F;
    settings.search.solver = false; /* proofs would hide a wrong sign in what visits back up */
    struct log *log = play_with(game, net, &settings, 32, 1 << 14, N);
    struct correlation next = {0};
    struct correlation last = {0};
    struct correlation played = {0};
    for (uint32_t i = 0; i < N; i++) {
        const struct logged_game *g = &log->games[i];
        for (uint32_t ply = 0; ply < g->n; ply++) {
            const struct record_position *position = &g->positions[ply];
            double z = ply % 2 == 0 ? g->end.first_player_outcome : -g->end.first_player_outcome;
            if (ply + 1 < g->n) {
                correlation_add(&next, (double)position->q, -(double)position[1].q);
                correlation_add(&played, (double)position->played_q, -(double)position[1].q);
            }
            if (ply + 6 >= g->n) {
                correlation_add(&last, (double)position->q, z);
            }
        }
    }
    ck_assert_msg(correlation_of(&next) > 0.5, "corr(q_t, -q_t+1) is %g", correlation_of(&next));
    ck_assert_msg(correlation_of(&played) > 0.5, "corr(played_q_t, -q_t+1) is %g",
                  correlation_of(&played));
    ck_assert_msg(correlation_of(&last) > 0.5, "corr(q, z) is %g", correlation_of(&last));
    free(log);
    net_destroy(net);
}
END_TEST

START_TEST(resigned_games_are_lost_by_the_resigner_and_the_rest_say_who_would_have)
{
    enum { N = 48 };
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, NET_VALUE_WDL, 14, 3.0);
    struct selfplay_settings settings = quick_settings();
    settings.resign_threshold = 0.2F;
    settings.resign_plies = 2;
    settings.resign_playout = 0.3F;
    struct log *log = play_with(game, net, &settings, 48, 1 << 12, N);
    int n_resigned = 0;
    for (uint32_t i = 0; i < N; i++) {
        const struct logged_game *played = &log->games[i];
        int32_t first = -1; /* by the settings, from the records alone */
        for (int32_t ply = 2; first < 0 && ply < (int32_t)played->n; ply++) {
            first = played->positions[ply].q <= -0.2F && played->positions[ply - 2].q <= -0.2F ? ply
                                                                                               : -1;
        }
        ck_assert_int_eq(played->end.would_resign_ply, first);
        ck_assert_int_eq(played->end.would_resign_side, first < 0 ? -1 : first % 2);
        bool played_out = random_uniform(1000 + i, 0, RANDOM_RESIGN, 0) < 0.3F;
        if (first >= 0 && !played_out) {
            ck_assert_uint_eq(played->n, (uint32_t)first + 1);
        }
        if (strcmp(played->reason, "resign") == 0) {
            n_resigned++;
            ck_assert(!played_out);
            ck_assert_int_eq(played->end.first_player_outcome, first % 2 == 0 ? -1 : 1);
        }
    }
    ck_assert_int_gt(n_resigned, 5);
    ck_assert_int_lt(n_resigned, N);
    free(log);
    net_destroy(net);
}
END_TEST

START_TEST(seeds_make_distinct_games_and_counters_add_up)
{
    enum { N = 64 };
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, NET_VALUE_WDL, 13, 1.0);
    const struct selfplay_settings settings = quick_settings();
    struct log *log = log_create();
    struct worker *worker = worker_of(game, 16, 1 << 14, log);
    uint64_t evaluated = 0;
    uint64_t positions = 0;
    int distinct = 0;
    set_net(worker, net, "a");
    set_settings(worker, &settings);
    for (uint32_t next = 0;;) {
        while (next < N && worker_room(worker) > 0) {
            struct worker_game one = numbered_game(next++);
            add_game(worker, &one);
        }
        evaluated += (uint64_t)step(worker);
        if (worker_games(worker) == 0 && next == N) {
            break;
        }
    }
    for (uint32_t i = 0; i < N; i++) {
        bool seen = false;
        positions += log->games[i].n;
        for (uint32_t k = 0; k < i && !seen; k++) {
            seen = log->games[k].n == log->games[i].n;
            for (uint32_t ply = 0; seen && ply < log->games[i].n; ply++) {
                seen = log->games[k].positions[ply].action == log->games[i].positions[ply].action;
            }
        }
        distinct += !seen;
    }
    ck_assert_int_gt(distinct, N * 9 / 10);
    const struct worker_counters *counters = worker_counters(worker);
    ck_assert_uint_eq(counters->games, N);
    ck_assert_uint_eq(counters->positions, positions);
    ck_assert_uint_eq(counters->evaluations, evaluated);
    ck_assert_uint_eq(counters->lookups,
                      counters->evaluations + counters->cache_hits + counters->shared);
    ck_assert_uint_gt(counters->cache_hits, counters->lookups / 20);
    ck_assert_uint_gt(counters->batches, evaluated / 16);
    ck_assert_uint_gt(counters->bytes, (1 << 14) * sizeof(float) * 7);
    worker_destroy(worker);
    free(log);
    net_destroy(net);
}
END_TEST

START_TEST(openings_are_played_from_and_their_side_is_told)
{
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, NET_VALUE_WDL, 14, 1.0);
    const struct selfplay_settings settings = quick_settings();
    struct log *log = log_create();
    struct worker *worker = worker_of(game, 1, 0, log);
    struct worker_game from = numbered_game(1);
    const struct logged_game *played = &log->games[1];
    union game_state state;
    int value = 0;
    from.opening = "444";
    set_net(worker, net, "a");
    set_settings(worker, &settings);
    add_game(worker, &from);
    from.opening = "changed"; /* the worker has its own copy */
    while (worker_games(worker) > 0) {
        (void)step(worker);
    }
    ck_assert_uint_eq(played->start.first_side, 1);
    ck_assert(game->init(&state, "444", NULL));
    for (uint32_t ply = 0; ply < played->n; ply++) {
        game->play(&state, played->positions[ply].action);
    }
    ck_assert(game->over(&state, &value));
    ck_assert_int_eq(played->end.first_player_outcome,
                     game->side_to_move(&state) == 0 ? value : -value);
    ck_assert_uint_eq(played->end.plies, played->n);
    worker_destroy(worker);
    free(log);
    net_destroy(net);
}
END_TEST

static void not_added(struct worker *worker, const struct worker_game *game, const char *because)
{
    struct error err = {""};
    uint32_t games = worker_games(worker);
    ck_assert_int_eq(worker_add_game(worker, game, &err), ERROR_INVALID);
    ck_assert_msg(strstr(err.text, because) != NULL, "\"%s\" lacks \"%s\"", err.text, because);
    ck_assert_uint_eq(worker_games(worker), games);
}

START_TEST(what_cannot_be_played_is_refused_and_changes_nothing)
{
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, NET_VALUE_WDL, 15, 1.0);
    struct net *foreign = random_net(game_find("tictactoe"), NET_VALUE_WDL, 15, 1.0);
    struct selfplay_settings settings = quick_settings();
    struct log *log = log_create();
    struct worker *worker = worker_of(game, 2, 100, log);
    struct worker_game one = numbered_game(1);
    struct error err;

    ck_assert_int_eq(step(worker), 0); /* no net, no settings, no game */
    add_game(worker, &one);
    not_added(worker, &one, "already in play");
    one = numbered_game(2);
    one.uid[5] = 'x';
    not_added(worker, &one, "32 hex digits");
    memset(one.uid, 'a', sizeof one.uid); /* not even ended */
    not_added(worker, &one, "32 hex digits");
    one = numbered_game(2);
    one.opening = "9";
    not_added(worker, &one, "opening");
    one.opening = "";
    one.actions = (uint16_t[]){0, 9};
    one.n_actions = 2;
    not_added(worker, &one, "ply 1: action 9");
    one.n_actions = 0;
    add_game(worker, &one);
    one = numbered_game(3);
    not_added(worker, &one, "taken");
    ck_assert_uint_eq(worker_room(worker), 0);

    ck_assert_int_eq(step(worker), 0); /* still neither net nor settings */
    set_net(worker, net, "a");
    ck_assert_int_eq(step(worker), 0);
    set_settings(worker, &settings);
    ck_assert_int_eq(step(worker), 1); /* two games, but both at the start: one evaluation */
    ck_assert_int_eq(worker_set_net(worker, foreign, "b", &err), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "tictactoe"));
    settings.search.cpuct = -1;
    ck_assert_int_eq(worker_set_settings(worker, &settings, &err), ERROR_INVALID);
    while (worker_games(worker) > 0) {
        (void)step(worker);
    }
    ck_assert_str_eq(log->games[1].nets[0], "a"); /* the old ones stayed */
    ck_assert_ptr_nonnull(strstr(log->games[2].settings[0], "\"cpuct\":1.5"));
    worker_destroy(worker);
    worker_destroy(NULL);
    free(log);
    net_destroy(net);
    net_destroy(foreign);
}
END_TEST

START_TEST(game_whose_end_was_lost_just_ends)
{
    const struct game *game = game_find("connect4");
    struct net *net = random_net(game, NET_VALUE_WDL, 16, 1.0);
    const struct selfplay_settings settings = quick_settings();
    struct log *log = log_create();
    struct worker *worker = worker_of(game, 1, 0, log);
    struct worker_game one = numbered_game(1);
    one.actions = (uint16_t[]){0, 1, 0, 1, 0, 1, 0};
    one.n_actions = 7;
    set_net(worker, net, "a");
    set_settings(worker, &settings);
    add_game(worker, &one);
    ck_assert_int_eq(step(worker), 0);
    ck_assert_uint_eq(worker_room(worker), 1);
    ck_assert_int_eq(log->games[1].n_ends, 1);
    ck_assert_int_eq(log->games[1].end.first_player_outcome, 1);
    ck_assert_uint_eq(log->games[1].end.plies, 7);
    ck_assert_uint_eq(log->games[1].n, 0);
    worker_destroy(worker);
    free(log);
    net_destroy(net);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("worker");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, records_are_equal_with_cache_on_or_off_and_with_1_or_64_games);
    tcase_add_test(cases,
                   net_swap_at_some_ply_leaves_no_trace_of_cache_company_or_the_search_under_way);
    tcase_add_test(cases, game_interrupted_at_a_random_ply_goes_on_as_if_it_had_not_been);
    tcase_add_loop_test(cases, records_replay_by_the_rules_and_say_what_a_search_may_say, 0, 2);
    tcase_add_loop_test(cases, q_turns_its_sign_from_ply_to_ply_and_agrees_with_z_near_the_end, 0,
                        2);
    tcase_add_test(cases, resigned_games_are_lost_by_the_resigner_and_the_rest_say_who_would_have);
    tcase_add_test(cases, seeds_make_distinct_games_and_counters_add_up);
    tcase_add_test(cases, openings_are_played_from_and_their_side_is_told);
    tcase_add_test(cases, what_cannot_be_played_is_refused_and_changes_nothing);
    tcase_add_test(cases, game_whose_end_was_lost_just_ends);
    Suite *suite = suite_create("worker");
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
