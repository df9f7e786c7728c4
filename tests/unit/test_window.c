/* From recorded games to batches: replay, weights, mirror images, draws. */
#include "mcts/random.h"
#include "storage/policy.h"
#include "storage/store.h"
#include "tests/unit/run_suite.h"
#include "trainer/batch.h"
#include "trainer/buffer.h"
#include "trainer/conv.h"
#include "trainer/lanes.h"
#include "trainer/window.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEED = 8, MAX_PLIES = 64 };

struct record {
    struct store_game game;
    struct record_position positions[MAX_PLIES];
};

/* A game of random moves, to the end by the rules; visits are a function of (number, ply, move). */
static void play(struct record *record, const struct game *rules, uint64_t number)
{
    union game_state state;
    const char *why = NULL;
    int value = 0;

    memset(record, 0, sizeof(*record));
    snprintf(record->game.uid, sizeof(record->game.uid), "%032llx", (unsigned long long)number);
    record->game.positions = record->positions;
    ck_assert(rules->init(&state, "", &why));
    while (!rules->over(&state, &value)) {
        const uint32_t ply = record->game.n_positions++;
        struct record_position *position = &record->positions[ply];
        struct policy_entry entries[GAME_MAX_LEGAL];
        uint16_t legal[GAME_MAX_LEGAL];
        const uint32_t n = rules->legal(&state, legal);
        ck_assert_uint_gt(n, 0);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t visits = random_u64(SEED, ply, RANDOM_TEST, number * 16 + i) % 100;
            entries[i] = (struct policy_entry){legal[i], (uint32_t)visits + (i == 0 ? 1 : 0)};
        }
        int bytes = policy_encode(entries, n, position->policy);
        ck_assert_int_gt(bytes, 0);
        position->policy_bytes = (uint16_t)bytes;
        position->ply = ply;
        position->kind = POSITION_FULL;
        position->q = (float)random_uniform(SEED, ply, RANDOM_NOISE, number) - 0.5F;
        position->d = 0.25F;
        position->proven = PROVEN_NONE;
        position->action = legal[random_u64(SEED, ply, RANDOM_MOVE, number) % n];
        rules->play(&state, position->action);
    }
    record->game.first_player_outcome = (int8_t)(rules->side_to_move(&state) == 0 ? value : -value);
}

static const struct game *connect4(void)
{
    const struct game *game = game_find("connect4");
    ck_assert_ptr_nonnull(game);
    return game;
}

static struct window_params plain_params(void)
{
    return (struct window_params){.game = connect4()};
}

START_TEST(rows_are_the_states_visits_and_targets_of_the_games)
{
    struct window window;
    struct error err;
    struct window_params params = plain_params();
    params.targets.q_ratio = 0.25F;
    window_init(&window, &params);
    /* a state that is kept but every third ply must be found by replay */
    window.snapshot_every = 3;
    static struct record records[20];
    for (uint64_t g = 0; g < 20; g++) {
        play(&records[g], params.game, g);
        records[g].game.held_out = g % 5 == 0;
        ck_assert_int_eq(window_add(&window, &records[g].game, &err), 0);
    }
    uint32_t next[2] = {0, 0};
    for (uint64_t g = 0; g < 20; g++) {
        struct window_set *set = g % 5 == 0 ? &window.held_out : &window.drawn;
        struct wdl targets[MAX_PLIES];
        union game_state state;
        const char *why = NULL;
        targets_value(&records[g].game, 0, &params.targets, targets);
        params.game->init(&state, "", &why);
        for (uint32_t ply = 0; ply < records[g].game.n_positions; ply++) {
            const struct window_row *row = &set->rows[next[g % 5 == 0]++];
            union game_state got;
            struct policy_entry entries[GAME_MAX_LEGAL];
            window_state(&window, row, &got);
            ck_assert_mem_eq(&got, &state, params.game->state_bytes);
            ck_assert_mem_eq(&row->value, &targets[ply], sizeof(struct wdl));
            int n = policy_decode(records[g].positions[ply].policy,
                                  records[g].positions[ply].policy_bytes, entries, GAME_MAX_LEGAL);
            ck_assert_int_eq(n, row->n_policy);
            double total = 0.0;
            double shares = 0.0;
            for (int i = 0; i < n; i++) {
                total += entries[i].visits;
            }
            for (int i = 0; i < n; i++) {
                const uint32_t at = row->first_policy + (uint32_t)i;
                ck_assert_uint_eq(window.policy_actions[at], entries[i].action);
                ck_assert_double_eq_tol((double)window.policy_shares[at], entries[i].visits / total,
                                        1e-6);
                shares += (double)window.policy_shares[at];
            }
            ck_assert_double_eq_tol(shares, 1.0, 1e-5);
            params.game->play(&state, records[g].positions[ply].action);
        }
    }
    ck_assert_uint_eq(next[0], window.drawn.n);
    ck_assert_uint_eq(next[1], window.held_out.n);
    window_finish(&window);
}
END_TEST

START_TEST(only_full_searches_and_imports_are_drawn_unless_fast_ones_weigh)
{
    struct record record;
    struct error err;
    play(&record, connect4(), 3);
    ck_assert_uint_gt(record.game.n_positions, 6);
    record.positions[0].kind = POSITION_FAST;
    record.positions[1].kind = POSITION_FORCED;
    record.positions[2].kind = POSITION_IMPORT;
    record.positions[3].q = NAN;
    record.positions[4].policy_bytes = 0;
    for (int weighed = 0; weighed < 2; weighed++) {
        struct window window;
        struct window_params params = plain_params();
        params.fast_value_weight = weighed ? 0.5F : 0.0F;
        window_init(&window, &params);
        ck_assert_int_eq(window_add(&window, &record.game, &err), 0);
        ck_assert_uint_eq(window.drawn.n, record.game.n_positions - (weighed ? 1 : 2));
        ck_assert_int_eq(window.rows_without_q, 1);
        if (weighed) {
            ck_assert_float_eq(window.drawn.rows[0].policy_weight, 0.0F);
            ck_assert_float_eq(window.drawn.rows[0].value_weight, 0.5F);
        } else {
            ck_assert_uint_eq(window.drawn.rows[0].ply, 2);
        }
        for (uint32_t i = 0; i < window.drawn.n; i++) {
            if (window.drawn.rows[i].ply == 4) {
                ck_assert_float_eq(window.drawn.rows[i].policy_weight, 0.0F);
                ck_assert_float_eq(window.drawn.rows[i].value_weight, 1.0F);
            }
        }
        window_finish(&window);
    }
}
END_TEST

static void assert_refused(const struct record *record, const char *place, const char *what)
{
    struct window window;
    struct error err;
    struct window_params params = plain_params();
    struct record good;
    play(&good, params.game, 1);
    window_init(&window, &params);
    ck_assert_int_eq(window_add(&window, &good.game, &err), 0);
    const struct window before = window;
    ck_assert_int_lt(window_add(&window, &record->game, &err), 0);
    ck_assert_msg(strstr(err.text, record->game.uid) != NULL, "no uid: %s", err.text);
    ck_assert_msg(strstr(err.text, place) != NULL, "no %s: %s", place, err.text);
    ck_assert_msg(strstr(err.text, what) != NULL, "no %s: %s", what, err.text);
    ck_assert_uint_eq(window.drawn.n, before.drawn.n);
    ck_assert_uint_eq(window.n_policy, before.n_policy);
    ck_assert_uint_eq(window.n_actions, before.n_actions);
    ck_assert_int_eq(window_add(&window, &good.game, &err), 0);
    union game_state state;
    window_state(&window, &window.drawn.rows[window.drawn.n - 1], &state);
    window_finish(&window);
}

START_TEST(what_the_rules_forbid_is_refused_with_game_and_ply)
{
    struct record record;
    play(&record, connect4(), 2);
    record.positions[5].action = 7;
    assert_refused(&record, "ply 5", "not legal");

    play(&record, connect4(), 2);
    struct policy_entry entry = {9, 3};
    record.positions[2].policy_bytes =
        (uint16_t)policy_encode(&entry, 1, record.positions[2].policy);
    assert_refused(&record, "ply 2", "action 9");

    play(&record, connect4(), 2);
    record.positions[3].policy[0] = 7;
    assert_refused(&record, "ply 3", "policy");

    play(&record, connect4(), 2);
    record.positions[4].ply = 5;
    assert_refused(&record, "ply 4", "ply 5");

    play(&record, connect4(), 2);
    record.game.first_player_outcome = (int8_t)(record.game.first_player_outcome > 0 ? -1 : 1);
    assert_refused(&record, "ply", "rules say");

    play(&record, connect4(), 2);
    record.game.opening = "9";
    assert_refused(&record, "opening", "\"9\"");
}
END_TEST

/* Where each move's share went, and what the input shows, with and without the mirror. */
static void check_batch(const struct window *window, const struct window_row *const *rows,
                        const bool *flips, uint32_t n)
{
    const struct game *game = window->params.game;
    const size_t cells = (size_t)game->height * game->width;
    struct batch batch;
    float *planes = activation_create(game->n_planes, n, cells);
    ck_assert_ptr_nonnull(planes);
    ck_assert_int_eq(batch_init(&batch, game, n), 0);
    batch_fill(&batch, window, rows, flips, n, planes);
    for (uint32_t i = 0; i < n; i++) {
        union game_state state;
        union game_state shown;
        float wanted[3 * 6 * 7];
        window_state(window, rows[i], &state);
        bool flip = flips != NULL ? flips[i] : !game->is_canonical(&state);
        memcpy(&shown, &state, sizeof(state));
        if (flip) {
            game->mirror(&state, &shown);
        }
        game->planes(&shown, wanted);
        for (size_t p = 0; p < game->n_planes; p++) {
            for (size_t cell = 0; cell < cells; cell++) {
                ck_assert_float_eq(planes[lanes_at(game->n_planes, cells, i, p, cell)],
                                   wanted[p * cells + cell]);
            }
        }
        const struct batch_sample *sample = &batch.samples[i];
        for (uint32_t j = 0; j < sample->n_legal; j++) {
            uint16_t action = flip ? game->mirror_action(sample->legal[j]) : sample->legal[j];
            float share = 0.0F;
            for (uint32_t k = 0; k < rows[i]->n_policy; k++) {
                if (window->policy_actions[rows[i]->first_policy + k] == action) {
                    share = window->policy_shares[rows[i]->first_policy + k];
                }
            }
            ck_assert_float_eq(sample->policy[j], share);
            uint32_t index = game->policy_index(&shown, sample->legal[j]);
            ck_assert_uint_eq(sample->offsets[j], lanes_at(1, cells, i, 0, index));
        }
    }
    batch_finish(&batch);
    buffer_destroy(planes);
}

START_TEST(mirrored_samples_have_mirrored_input_and_policy)
{
    enum { N = 50 };
    struct window window;
    struct error err;
    struct window_params params = plain_params();
    struct record record;
    const struct window_row *rows[N];
    bool flips[N];
    window_init(&window, &params);
    for (uint64_t g = 0; g < 10; g++) {
        play(&record, params.game, g);
        ck_assert_int_eq(window_add(&window, &record.game, &err), 0);
    }
    for (uint32_t i = 0; i < N; i++) {
        rows[i] = &window.drawn.rows[(size_t)i * 3];
        flips[i] = i % 3 == 0;
    }
    check_batch(&window, rows, flips, N);
    check_batch(&window, rows, NULL, N);
    window_finish(&window);
}
END_TEST

START_TEST(every_row_is_drawn_once_before_any_comes_again)
{
    const uint64_t sizes[] = {1, 2, 7, 64, 1000};
    for (size_t s = 0; s < 5; s++) {
        const uint64_t n = sizes[s];
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            bool *seen = calloc(n, sizeof(bool));
            ck_assert_ptr_nonnull(seen);
            for (uint64_t i = 0; i < n; i++) {
                uint64_t row = batch_draw(SEED, 4, n, epoch * n + i);
                ck_assert_uint_lt(row, n);
                ck_assert_msg(!seen[row], "row %llu of %llu twice (seed %d)",
                              (unsigned long long)row, (unsigned long long)n, SEED);
                seen[row] = true;
            }
            free(seen);
        }
    }
    /* another time round, another generation, another seed: another order */
    int same[3] = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t row = batch_draw(SEED, 4, 1000, i);
        same[0] += row == batch_draw(SEED, 4, 1000, 1000 + i);
        same[1] += row == batch_draw(SEED, 5, 1000, i);
        same[2] += row == batch_draw(SEED + 1, 4, 1000, i);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_lt(same[i], 20);
    }
    /* and the first tenth of an order reaches all parts of the window */
    int quarter[4] = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        quarter[batch_draw(SEED, 4, 10000, i) / 2500]++;
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_gt(quarter[i], 180);
        ck_assert_int_lt(quarter[i], 320);
    }
}
END_TEST

static void put_game(struct store *store, const struct record *record)
{
    struct error err;
    struct record_start start = {
        .kind = GAME_IMPORT, .game = "connect4", .host = "here", .opening = ""};
    memcpy(start.uid, record->game.uid, sizeof(start.uid));
    int r = store_put_start(store, &start, 4, &err);
    ck_assert_msg(r == STORE_ADDED, "%s", err.text);
    for (uint32_t i = 0; i < record->game.n_positions; i++) {
        r = store_put_position(store, record->game.uid, NULL, &record->positions[i], &err);
        ck_assert_msg(r == STORE_ADDED, "%s", err.text);
    }
    const struct record_end end = {.first_player_outcome = record->game.first_player_outcome,
                                   .reason = "rules",
                                   .plies = record->game.n_positions,
                                   .would_resign_ply = -1,
                                   .would_resign_side = -1};
    r = store_put_end(store, record->game.uid, &end, &err);
    ck_assert_msg(r == STORE_ADDED, "%s", err.text);
}

START_TEST(window_holds_exactly_the_games_of_its_range)
{
    enum { GAMES = 210 }; /* more than one short read */
    char folder[] = "/tmp/qzd-window-XXXXXX";
    char path[64];
    struct store *store = NULL;
    struct error err;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/qzd.db", folder);
    ck_assert_msg(store_open(path, STORE_CREATE, &store, &err) == 0, "%s", err.text);
    static struct record records[GAMES];
    for (uint64_t g = 0; g < GAMES; g++) {
        play(&records[g], connect4(), g);
        for (uint32_t i = 0; i < records[g].game.n_positions; i++) {
            records[g].positions[i].kind = POSITION_IMPORT;
        }
        put_game(store, &records[g]);
    }
    ck_assert_msg(store_commit(store, &err) == 0, "%s", err.text);
    const int64_t ranges[][2] = {{1, GAMES}, {3, 3}, {10, 205}};
    for (size_t k = 0; k < 3; k++) {
        struct window window;
        struct window_params params = plain_params();
        uint32_t wanted = 0;
        uint32_t held_out = 0;
        for (int64_t seq = ranges[k][0]; seq <= ranges[k][1]; seq++) {
            wanted += records[seq - 1].game.n_positions;
            if (record_uid_held_out(records[seq - 1].game.uid, 4)) {
                held_out += records[seq - 1].game.n_positions;
            }
        }
        window_init(&window, &params);
        int r = window_read(&window, store, ranges[k][0], ranges[k][1], &err);
        ck_assert_msg(r == 0, "%s", err.text);
        ck_assert_int_eq(window.n_games, ranges[k][1] - ranges[k][0] + 1);
        ck_assert_uint_eq(window.drawn.n + window.held_out.n, wanted);
        ck_assert_uint_eq(window.held_out.n, held_out);
        window_finish(&window);
    }
    store_close(store);
    char command[96];
    snprintf(command, sizeof(command), "%s", path);
    unlink(command);
    snprintf(command, sizeof(command), "%s-wal", path);
    unlink(command);
    snprintf(command, sizeof(command), "%s-shm", path);
    unlink(command);
    rmdir(folder);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("window");
    TCase *tc = tcase_create("window");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, rows_are_the_states_visits_and_targets_of_the_games);
    tcase_add_test(tc, only_full_searches_and_imports_are_drawn_unless_fast_ones_weigh);
    tcase_add_test(tc, what_the_rules_forbid_is_refused_with_game_and_ply);
    tcase_add_test(tc, mirrored_samples_have_mirrored_input_and_policy);
    tcase_add_test(tc, every_row_is_drawn_once_before_any_comes_again);
    tcase_add_test(tc, window_holds_exactly_the_games_of_its_range);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
