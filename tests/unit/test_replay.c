/* Games of real (random) nets, recorded by a worker and played again. */
#include "selfplay/replay.h"

#include "storage/policy.h"
#include "tests/unit/run_suite.h"
#include "trainer/net/kernel.h"
#include "worker_log.h"

#include <check.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SEARCHES = 16, MAX_DIFFERENCES = 4096 };

static struct net *nets[2]; /* "a" and "b" */

static void make_nets(void)
{
    nets[0] = random_net(game_find("connect4"), NET_VALUE_WDL, 7, 1.0);
    nets[1] = random_net(game_find("connect4"), NET_VALUE_WDL, 8, 1.0);
}

static void free_nets(void)
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

static uint32_t search_of(struct recording *recording, const char *net, const char *settings)
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
static struct recording *record_games(struct log *log, uint32_t n)
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

static void free_recording(struct recording *recording)
{
    free(recording->log);
    free(recording);
}

/* ---- replaying ---- */

static int bring_net(const char *sha256, struct net **ret, void *context, struct error *err)
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

static void note(const struct replay_difference *difference, void *context)
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

static bool go_on(uint64_t done, uint64_t positions, void *context)
{
    const struct recording *recording = context;
    ck_assert_uint_le(done, positions);
    return recording->stop_behind == 0 || done < recording->stop_behind;
}

static int run_on(struct replay *replay, struct recording *recording, struct replay_counts *counts,
                  struct error *err)
{
    const struct replay_callbacks callbacks = {bring_net, note, go_on, recording};
    recording->n_differences = 0;
    return replay_run(replay, recording->searches, recording->n_searches, recording->games,
                      recording->n, &callbacks, counts, err);
}

static struct replay *replay_of(uint32_t lanes, size_t cache_entries)
{
    struct replay *replay = NULL;
    struct error err;
    ck_assert_int_eq(replay_create(game_find("connect4"), lanes, cache_entries,
                                   &replay_tolerance_default, &replay, &err),
                     0);
    return replay;
}

static struct replay_counts play_again(struct recording *recording, uint32_t lanes)
{
    struct replay_counts counts = {0};
    struct error err;
    struct replay *replay = replay_of(lanes, 1 << 12);
    ck_assert_msg(run_on(replay, recording, &counts, &err) == 0, "%s", err.text);
    replay_destroy(replay);
    return counts;
}

static void all_identical(struct recording *recording)
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
static struct worker_game game_with_opening(uint32_t number)
{
    struct worker_game game = numbered_game(number);
    game.opening = number % 3 == 1 ? "444" : "";
    return game;
}

/* Fast searches, resignation, openings. */
static struct selfplay_settings rich_settings(void)
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
static struct recording *record_with(struct selfplay_settings settings, uint32_t n, uint32_t swaps)
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

static struct recording *record_rich_games(uint32_t n, uint32_t swaps)
{
    return record_with(rich_settings(), n, swaps);
}

START_TEST(games_with_openings_fast_searches_resignation_and_nets_that_change_replay_bit_for_bit)
{
    struct recording *recording = record_rich_games(24, 5);
    uint32_t swapped = 0;
    uint32_t fast = 0;
    uint32_t resigned = 0;
    uint32_t played_out = 0;
    for (uint32_t i = 0; i < recording->n; i++) {
        const struct logged_game *game = &recording->log->games[i];
        resigned += strcmp(game->reason, "resign") == 0;
        played_out += strcmp(game->reason, "rules") == 0 && game->end.would_resign_ply >= 0;
        swapped += strcmp(game->nets[0], game->nets[game->n - 1]) != 0;
        for (uint32_t ply = 0; ply < game->n; ply++) {
            fast += game->positions[ply].kind == POSITION_FAST;
        }
    }
    ck_assert_msg(swapped > 3 && fast > 20 && resigned > 3 && played_out > 0,
                  "%u swapped, %u fast, %u resigned, %u played out", swapped, fast, resigned,
                  played_out);
    ck_assert_uint_ge(recording->n_searches, 3);
    all_identical(recording);
    ck_assert_int_eq(recording->nets_brought, 2); /* each once, however many settings */
    free_recording(recording);
}
END_TEST

START_TEST(resumed_game_replays_as_if_it_had_never_been_interrupted)
{
    enum { N = 6 };
    const struct selfplay_settings settings = rich_settings();
    struct log *log = log_create();
    struct worker *worker = worker_of(game_find("connect4"), N, 1 << 12, log);
    set_net(worker, nets[0], "a");
    set_settings(worker, &settings);
    for (uint32_t i = 0; i < N; i++) {
        struct worker_game game = game_with_opening(i);
        add_game(worker, &game);
    }
    for (uint32_t i = 0; i < 150; i++) {
        (void)step(worker);
    }
    worker_destroy(worker); /* a kill: running searches are lost */
    worker = worker_of(game_find("connect4"), N, 1 << 12, log);
    set_net(worker, nets[1], "b");
    set_settings(worker, &settings);
    uint32_t resumed = 0;
    for (uint32_t i = 0; i < N; i++) {
        struct logged_game *logged = &log->games[i];
        struct worker_game game = game_with_opening(i);
        uint16_t actions[MAX_PLIES];
        float q[MAX_PLIES];
        for (uint32_t ply = 0; ply < logged->n; ply++) {
            actions[ply] = logged->positions[ply].action;
            q[ply] = logged->positions[ply].q;
        }
        if (logged->n_ends == 0) {
            game.n_actions = logged->n;
            game.actions = actions;
            game.q = q;
            resumed += logged->n > 0;
            add_game(worker, &game);
        }
    }
    ck_assert_uint_ge(resumed, 2);
    while (worker_games(worker) > 0) {
        (void)step(worker);
    }
    worker_destroy(worker);
    struct recording *recording = record_games(log, N);
    all_identical(recording);
    free_recording(recording);
}
END_TEST

/* ---- what must be found ---- */

struct change {
    const char *field;
    size_t offset;
    char type; /* 'f'loat, 'a'ction, 'n'odes, 'p'roven, 'k'ind, 'v'isits */
};

#define AT(member) offsetof(struct record_position, member)
static const struct change changes[] = {
    {"action", AT(action), 'a'},
    {"best_action", AT(best_action), 'a'},
    {"q", AT(q), 'f'},
    {"d", AT(d), 'f'},
    {"best_q", AT(best_q), 'f'},
    {"best_d", AT(best_d), 'f'},
    {"greedy_q", AT(greedy_q), 'f'},
    {"greedy_d", AT(greedy_d), 'f'},
    {"played_q", AT(played_q), 'f'},
    {"played_d", AT(played_d), 'f'},
    {"v", AT(v), 'f'},
    {"v_d", AT(v_d), 'f'},
    {"kld", AT(kld), 'f'},
    {"nodes", 0, 'n'},
    {"proven", 0, 'p'},
    {"kind", 0, 'k'},
    {"policy", 0, 'v'},
};
enum { N_CHANGES = sizeof changes / sizeof changes[0] };

static void change_position(struct record_position *position, const struct change *change)
{
    uint16_t action;
    float real;
    struct policy_entry entries[16];
    int n;
    switch (change->type) {
    case 'f':
        memcpy(&real, (char *)position + change->offset, sizeof real);
        real = nextafterf(real, 2.0F);
        memcpy((char *)position + change->offset, &real, sizeof real);
        break;
    case 'a':
        memcpy(&action, (char *)position + change->offset, sizeof action);
        action = (uint16_t)(action == 3 ? 2 : 3);
        memcpy((char *)position + change->offset, &action, sizeof action);
        break;
    case 'n':
        position->nodes++;
        break;
    case 'p':
        position->proven = position->proven == 1 ? -1 : 1;
        break;
    case 'k':
        position->kind = position->kind == POSITION_FAST ? POSITION_FULL : POSITION_FAST;
        break;
    default:
        n = policy_decode(position->policy, position->policy_bytes, entries, 16);
        ck_assert_int_gt(n, 0);
        entries[n - 1].visits++;
        position->policy_bytes = (uint16_t)policy_encode(entries, (uint32_t)n, position->policy);
        break;
    }
}

/* _i: which field. The last position's, so that the game so far of no other one changes. */
START_TEST(changed_number_is_found_and_named_with_its_ply)
{
    struct recording *recording = record_rich_games(3, 1);
    struct logged_game *game = &recording->log->games[2];
    int32_t last = (int32_t)game->n - 1;
    game->reason[0] = '\0'; /* a changed move or value may change the end: not what is asked here */
    recording->games[2].ended = false;
    change_position(&game->positions[last], &changes[_i]);
    struct replay_counts counts = play_again(recording, 8);
    ck_assert_int_eq(recording->n_differences, 1);
    ck_assert_uint_eq(recording->differences[0].game, 2);
    ck_assert_int_eq(recording->differences[0].ply, last);
    ck_assert_str_eq(recording->differences[0].field, changes[_i].field);
    ck_assert_str_ne(recording->differences[0].recorded, recording->differences[0].replayed);
    ck_assert_uint_eq(counts.games_identical, 2);
    ck_assert_uint_eq(counts.games_different, 1);
    ck_assert_uint_eq(counts.different, 1);
    free_recording(recording);
}
END_TEST

static void one_difference(struct recording *recording, uint32_t game, int32_t ply,
                           const char *field)
{
    struct replay_counts counts = play_again(recording, 8);
    ck_assert_int_eq(recording->n_differences, 1);
    ck_assert_uint_eq(recording->differences[0].game, game);
    ck_assert_int_eq(recording->differences[0].ply, ply);
    ck_assert_str_eq(recording->differences[0].field, field);
    ck_assert_uint_eq(counts.games_different, 1);
}

START_TEST(another_end_is_found_and_named)
{
    struct recording *recording = record_rich_games(3, 1);
    struct replay_game *game = &recording->games[1];
    struct record_end end = game->end;

    game->end.reason = "plies";
    one_difference(recording, 1, REPLAY_WHOLE_GAME, "reason");
    game->end = end;
    game->end.first_player_outcome = (int8_t)(end.first_player_outcome == 1 ? 0 : 1);
    one_difference(recording, 1, REPLAY_WHOLE_GAME, "first_player_outcome");
    game->end = end;
    game->end.would_resign_ply += 1;
    one_difference(recording, 1, REPLAY_WHOLE_GAME, "would_resign_ply");
    game->end = end;
    game->end.would_resign_side = (int8_t)(1 - end.would_resign_side);
    one_difference(recording, 1, REPLAY_WHOLE_GAME, "would_resign_side");
    game->end = end;
    game->end.plies++;
    one_difference(recording, 1, REPLAY_WHOLE_GAME, "plies");
    game->end = end;
    recording->z[1][4] = (int8_t)(recording->z[1][4] == 1 ? 0 : 1);
    one_difference(recording, 1, 4, "z");
    recording->z[1][4] = recording->z[1][2];
    game->first_side = 1 - game->first_side;
    one_difference(recording, 1, REPLAY_WHOLE_GAME, "first_side");
    game->first_side = 1 - game->first_side;
    game->n_positions--; /* the last record is lost */
    play_again(recording, 8);
    ck_assert_int_eq(recording->n_differences, 1);
    ck_assert_str_eq(recording->differences[0].field, "reason");
    ck_assert_str_eq(recording->differences[0].replayed, "goes on");
    free_recording(recording);
}
END_TEST

/* The first game from `from` on of more than 8 plies and without opening. */
static uint32_t long_game(const struct recording *recording, uint32_t from)
{
    while (from < recording->n && (recording->games[from].n_positions <= 8 || from % 3 == 1)) {
        from++;
    }
    ck_assert_uint_lt(from, recording->n);
    return from;
}

START_TEST(game_that_breaks_the_rules_is_told_and_never_searched_beyond)
{
    struct recording *recording = record_with(quick_settings(), 12, 0); /* nobody resigns */
    uint32_t first = long_game(recording, 0);
    uint32_t second = long_game(recording, first + 1);
    struct replay_game *game = &recording->games[first];
    struct record_position *positions = recording->log->games[first].positions;
    for (uint32_t ply = 0; ply < 7; ply++) { /* the seventh stone has no room in its column */
        positions[ply].action = 3;
    }
    struct replay_counts counts = play_again(recording, 8);
    bool told = false;
    for (int i = 0; i < recording->n_differences; i++) {
        told = told || (recording->differences[i].ply == 6 &&
                        strcmp(recording->differences[i].replayed, "not legal there") == 0);
        ck_assert_int_le(recording->differences[i].ply, 6);
    }
    ck_assert(told);
    ck_assert_uint_eq(counts.games_different, 1);

    game->opening = "8";
    play_again(recording, 8);
    ck_assert_int_eq(recording->n_differences, 1);
    ck_assert_str_eq(recording->differences[0].field, "opening");

    game = &recording->games[second]; /* moves behind the end */
    positions = recording->log->games[second].positions;
    for (uint32_t ply = 0; ply < game->n_positions; ply++) {
        positions[ply].action = (uint16_t)(ply % 2);
    }
    play_again(recording, 8);
    told = false;
    for (int i = 0; i < recording->n_differences; i++) {
        ck_assert(recording->differences[i].game != second || recording->differences[i].ply <= 7);
        told = told ||
               (recording->differences[i].game == second && recording->differences[i].ply == 7 &&
                strcmp(recording->differences[i].field, "ply") == 0);
    }
    ck_assert(told);
    free_recording(recording);
}
END_TEST

START_TEST(another_seed_net_or_setting_is_not_taken_for_the_recorded_one)
{
    struct recording *recording = record_rich_games(2, 0);
    ck_assert_uint_eq(recording->n_searches, 1);
    recording->games[0].seed++;
    struct replay_counts counts = play_again(recording, 8);
    ck_assert_uint_eq(counts.games_different, 1);
    recording->games[0].seed--;
    recording->searches[0].net_sha256 = "b";
    counts = play_again(recording, 8);
    ck_assert_uint_eq(counts.games_different, 2);
    recording->searches[0].net_sha256 = "a";
    recording->searches[0].settings.search.cpuct = 3;
    counts = play_again(recording, 8);
    ck_assert_uint_eq(counts.games_different, 2);
    free_recording(recording);
}
END_TEST

START_TEST(missing_net_or_a_stop_ends_the_replay_which_can_be_asked_again)
{
    struct recording *recording = record_rich_games(4, 1);
    struct replay *replay = replay_of(8, 0);
    struct replay_counts counts = {0};
    struct error err;
    recording->stop_behind = 10;
    ck_assert_int_eq(run_on(replay, recording, &counts, &err), ERROR_CANCELLED);
    recording->stop_behind = 0;
    const char *sha256 = recording->searches[0].net_sha256;
    recording->searches[0].net_sha256 = "c";
    ck_assert_int_eq(run_on(replay, recording, &counts, &err), ERROR_NOT_FOUND);
    recording->searches[0].net_sha256 = sha256;
    recording->game_searches[0][3] = MAX_SEARCHES;
    ck_assert_int_eq(run_on(replay, recording, &counts, &err), ERROR_INVALID);
    recording->game_searches[0][3] = recording->game_searches[0][2];
    counts = (struct replay_counts){0};
    ck_assert_int_eq(run_on(replay, recording, &counts, &err), 0);
    ck_assert_uint_eq(counts.games_identical, 4);
    replay_destroy(replay);
    free_recording(recording);
}
END_TEST

/* ---- tolerance ---- */

START_TEST(within_the_tolerance_is_close_and_beyond_it_is_different)
{
    struct recording *recording = record_rich_games(2, 0);
    struct record_position *position = &recording->log->games[0].positions[4];
    struct record_position was = *position;
    recording->searches[0].bits = false;
    struct replay_counts counts = play_again(recording, 8);
    ck_assert_uint_eq(counts.games_identical, 2); /* identical all the same */

    position->v += 5e-4F;
    counts = play_again(recording, 8);
    ck_assert_int_eq(recording->n_differences, 0);
    ck_assert_uint_eq(counts.close, 1);
    ck_assert_uint_eq(counts.games_close, 1);

    position->v = was.v + 5e-3F;
    one_difference(recording, 0, 4, "v");
    *position = was;
    position->q += 0.1F;
    one_difference(recording, 0, 4, "q");
    *position = was;
    position->greedy_q += 0.5F; /* hangs on the last leaf of one line */
    counts = play_again(recording, 8);
    ck_assert_uint_eq(counts.games_close, 1);
    free_recording(recording);
}
END_TEST

START_TEST(search_is_searched_again_by_the_kernel_that_it_names)
{
    const char *why = NULL;
    const struct kernel *plain = kernel_by_id("winograd-fp32/plain");
    ck_assert_ptr_nonnull(plain);
    ck_assert_str_eq(plain->name, "plain");
    ck_assert_ptr_null(kernel_by_id("winograd-fp32/abacus"));
    ck_assert_int_eq(setenv("QZD_KERNEL", "plain", 1), 0);
    struct recording *recording = record_rich_games(6, 1);
    ck_assert_int_eq(unsetenv("QZD_KERNEL"), 0);
    for (uint32_t i = 0; i < recording->n_searches; i++) {
        recording->searches[i].kernel = plain;
    }
    all_identical(recording);
    if (kernel_best(KERNEL_FP32, &why) != plain) { /* it rounds otherwise */
        for (uint32_t i = 0; i < recording->n_searches; i++) {
            recording->searches[i].kernel = NULL;
        }
        struct replay_counts counts = play_again(recording, 8);
        ck_assert_uint_lt(counts.identical, counts.positions);
    }
    free_recording(recording);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replay");
    TCase *tests = tcase_create("replay");
    tcase_add_checked_fixture(tests, make_nets, free_nets);
    tcase_set_timeout(tests, 120);
    tcase_add_test(
        tests,
        games_with_openings_fast_searches_resignation_and_nets_that_change_replay_bit_for_bit);
    tcase_add_test(tests, resumed_game_replays_as_if_it_had_never_been_interrupted);
    tcase_add_loop_test(tests, changed_number_is_found_and_named_with_its_ply, 0, N_CHANGES);
    tcase_add_test(tests, another_end_is_found_and_named);
    tcase_add_test(tests, game_that_breaks_the_rules_is_told_and_never_searched_beyond);
    tcase_add_test(tests, another_seed_net_or_setting_is_not_taken_for_the_recorded_one);
    tcase_add_test(tests, missing_net_or_a_stop_ends_the_replay_which_can_be_asked_again);
    tcase_add_test(tests, within_the_tolerance_is_close_and_beyond_it_is_different);
    tcase_add_test(tests, search_is_searched_again_by_the_kernel_that_it_names);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
