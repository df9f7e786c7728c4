#include "store_fixture.h"

#include "tests/unit/run_suite.h"

/* ---- games ---- */

static int take(struct store_game *game, void *context)
{
    *(struct store_game *)context = *game;
    *game = (struct store_game){0};
    return 0;
}

START_TEST(finished_game_comes_back_as_it_was_put)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct record_position positions[20];
    struct store_game game;
    open_with_net(f);
    struct record_start start = put_game(f, 7, 20, -1, positions);
    ck_ok(store_commit(f->store, &f->err));
    fixture_reopen(f, STORE_READ);
    ck_assert_int_eq(store_read_games(f->store, 0, 10, 5, take, &game, &f->err), 1);
    ck_assert_str_eq(game.uid, start.uid);
    ck_assert_str_eq(game.opening, start.opening);
    ck_assert_uint_eq(game.first_side, start.first_side);
    ck_assert_int_eq(game.seed, start.seed);
    ck_assert_int_eq(game.seq, 1);
    ck_assert_int_eq(game.first_player_outcome, -1);
    ck_assert(!game.held_out);
    ck_assert_uint_eq(game.n_positions, 20);
    for (int i = 0; i < 20; i++) {
        ck_assert(record_position_equal(&game.positions[i], &positions[i]));
        ck_assert_int_eq(game.net_ids[i], 1);
    }
    struct store_game again;
    ck_ok(store_get_game(f->store, game.id, &again, &f->err));
    ck_assert(record_position_equal(&again.positions[19], &positions[19]));
    ck_assert_int_eq(store_get_game(f->store, 99, &again, &f->err), ERROR_NOT_FOUND);
    store_game_finish(&again);
    store_game_finish(&game);
    fixture_close(f);
}
END_TEST

START_TEST(unknown_values_are_null_and_come_back_as_nan)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store_game game;
    open_with_net(f);
    struct record_start start = make_start(1);
    struct record_position p;
    start.kind = GAME_IMPORT;
    memset(&p, 0, sizeof p);
    p.q = p.d = p.best_q = p.best_d = p.greedy_q = p.greedy_d = p.played_q = p.played_d = NAN;
    p.v = p.v_d = p.m = p.kld = NAN;
    p.best_action = RECORD_NO_ACTION;
    p.proven = PROVEN_NONE;
    p.kind = POSITION_IMPORT;
    struct record_end end = make_end(1, 0, 4);
    ck_ok(store_put_start(f->store, &start, 1, &f->err));
    ck_ok(store_put_position(f->store, start.uid, NULL, &p, &f->err));
    ck_assert_int_eq(store_put_position(f->store, start.uid, NULL, &p, &f->err), STORE_KNOWN);
    ck_ok(store_put_end(f->store, start.uid, &end, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM positions WHERE q IS NULL AND d IS NULL"
                                      " AND best_action IS NULL AND proven IS NULL AND v IS NULL"
                                      " AND policy IS NULL AND search_id IS NULL AND kld IS NULL"),
                        1);
    ck_assert_int_eq(store_read_games(f->store, 0, 1, 1, take, &game, &f->err), 1);
    ck_assert(record_position_equal(&game.positions[0], &p));
    ck_assert(game.held_out);
    ck_assert_int_eq(game.net_ids[0], 0);
    store_game_finish(&game);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM net_tallies"), 0);
    ck_ok(store_check_tallies(f->store, &f->err));
    fixture_close(f);
}
END_TEST

/* The first of the design's five mistakes. */
START_TEST(z_alternates_and_is_one_at_the_winners_last_ply)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    open_with_net(f);
    for (uint64_t number = 0; number < 12; number++) {
        uint32_t plies = 5 + (uint32_t)number / 2;
        uint32_t first_side = make_start(number).first_side; /* 0 and 1 in turn */
        uint32_t last_mover = (first_side + plies - 1) % 2;
        int outcome = last_mover == 0 ? 1 : -1; /* the last mover wins */
        put_game(f, number, plies, outcome, NULL);
        char sql[200];
        snprintf(sql, sizeof sql, "SELECT z FROM positions WHERE game_id = %d AND ply = %u",
                 (int)number + 1, plies - 1);
        ck_assert_double_eq(sql_number(f, sql), 1);
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM positions a JOIN positions b USING(game_id)"
                 " WHERE game_id = %d AND b.ply = a.ply + 1 AND a.z = -b.z AND a.z <> 0",
                 (int)number + 1);
        ck_assert_double_eq(sql_number(f, sql), plies - 1);
    }
    put_game(f, 100, 6, 0, NULL);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM positions WHERE z = 0"), 6);
    put_game(f, 101, 6, 9, NULL); /* not ended */
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM positions WHERE z IS NULL"), 6);
    fixture_close(f);
}
END_TEST

START_TEST(equal_puts_are_known_and_change_nothing)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct record_position positions[6];
    open_with_net(f);
    struct record_search search = make_search(f->sha256);
    struct record_start start = put_game(f, 4, 6, 9, positions);
    struct record_end end = make_end(6, 1, 9);
    for (int ended = 0; ended < 2; ended++) {
        uint32_t pending = store_pending(f->store);
        ck_assert_int_eq(store_put_start(f->store, &start, 0, &f->err), STORE_KNOWN);
        for (int i = 5; i >= 0; i--) {
            ck_assert_int_eq(
                store_put_position(f->store, start.uid, &search, &positions[i], &f->err),
                STORE_KNOWN);
        }
        ck_assert_uint_eq(store_pending(f->store), pending);
        ck_assert_int_eq(store_put_end(f->store, start.uid, &end, &f->err),
                         ended == 0 ? STORE_ADDED : STORE_KNOWN);
        ck_ok(store_check_tallies(f->store, &f->err));
    }
    ck_assert_double_eq(sql_number(f, "SELECT games FROM net_tallies"), 1);
    ck_assert_double_eq(sql_number(f, "SELECT positions FROM net_tallies"), 6);
    fixture_close(f);
}
END_TEST

START_TEST(puts_with_other_content_are_conflicts_and_change_nothing)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct record_position positions[6];
    open_with_net(f);
    struct record_search search = make_search(f->sha256);
    struct record_start start = put_game(f, 4, 6, 1, positions);
    ck_ok(store_commit(f->store, &f->err));
    double changes = sql_number(f, "SELECT total_changes()");
#define CONFLICT(type, good, change, put)                      \
    do {                                                       \
        type m = (good);                                       \
        change;                                                \
        ck_assert_msg((put) == ERROR_CONFLICT, "%s", #change); \
    } while (0)
#define START(change) \
    CONFLICT(struct record_start, start, change, store_put_start(f->store, &m, 0, &f->err))
    START(m.kind = GAME_MATCH);
    START(m.game = "chess");
    START(m.host = "other");
    START(m.worker++);
    START(m.seed++);
    START(m.opening = "45");
    START(m.first_side ^= 1);
    START(m.started_at++);
#define POSITION(change)                                   \
    CONFLICT(struct record_position, positions[3], change, \
             store_put_position(f->store, start.uid, &search, &m, &f->err))
    POSITION(m.action ^= 1);
    POSITION(m.q = -m.q);
    POSITION(m.kind = POSITION_FAST);
    POSITION(m.policy[1] ^= 1);
#define SEARCH(change)                             \
    CONFLICT(struct record_search, search, change, \
             store_put_position(f->store, start.uid, &m, &positions[3], &f->err))
    SEARCH(m.build = "other");
    SEARCH(m.kernel = "other");
    SEARCH(m.settings = "{}");
    ck_assert_int_eq(store_put_position(f->store, start.uid, NULL, &positions[3], &f->err),
                     ERROR_CONFLICT);
    struct record_end end = make_end(6, 1, 5004);
    ck_assert_int_eq(store_put_end(f->store, start.uid, &end, &f->err), STORE_KNOWN);
#define END(change) \
    CONFLICT(struct record_end, end, change, store_put_end(f->store, start.uid, &m, &f->err))
    END(m.first_player_outcome = 0);
    END(m.reason = "resign");
    END(m.finished_at++);
    END(m.plies--);
    END((m.would_resign_ply = 3, m.would_resign_side = 0));
    ck_assert_double_eq(sql_number(f, "SELECT total_changes()"), changes);
    ck_assert_uint_eq(store_pending(f->store), 0);
    fixture_close(f);
}
END_TEST

START_TEST(puts_out_of_order_are_refused)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct record_position positions[6];
    uint64_t random = 3;
    open_with_net(f);
    struct record_search search = make_search(f->sha256);
    struct record_position next = make_position(&random, 7);
    struct record_start unknown = make_start(50);
    struct record_end end = make_end(6, 1, 9);
    struct record_start start = put_game(f, 4, 6, 9, positions);
    /* a gap, then the wrong length */
    ck_assert_int_eq(store_put_position(f->store, start.uid, &search, &next, &f->err),
                     ERROR_INVALID);
    ck_assert_msg(strstr(f->err.text, start.uid) != NULL && strstr(f->err.text, "ply 6") != NULL,
                  "%s", f->err.text);
    end.plies = 7;
    ck_assert_int_eq(store_put_end(f->store, start.uid, &end, &f->err), ERROR_INVALID);
    /* a game that is not there, a uid that is none */
    ck_assert_int_eq(store_put_position(f->store, unknown.uid, &search, &next, &f->err),
                     ERROR_NOT_FOUND);
    ck_assert_int_eq(store_put_end(f->store, unknown.uid, &end, &f->err), ERROR_NOT_FOUND);
    ck_assert_int_eq(store_abandon_game(f->store, unknown.uid, &f->err), ERROR_NOT_FOUND);
    snprintf(unknown.uid, sizeof unknown.uid, "ABC");
    ck_assert_int_eq(store_put_start(f->store, &unknown, 0, &f->err), ERROR_INVALID);
    /* a search by a net that is not there */
    char other[RECORD_SHA256_BYTES];
    make_sha256(99, other);
    struct record_search foreign = make_search(other);
    next.ply = 6;
    ck_assert_int_eq(store_put_position(f->store, start.uid, &foreign, &next, &f->err),
                     ERROR_NOT_FOUND);
    /* behind the end */
    end.plies = 6;
    ck_ok(store_put_end(f->store, start.uid, &end, &f->err));
    ck_assert_int_eq(store_put_position(f->store, start.uid, &search, &next, &f->err),
                     ERROR_INVALID);
    ck_assert_int_eq(store_abandon_game(f->store, start.uid, &f->err), ERROR_INVALID);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM positions"), 6);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), 1);
    fixture_close(f);
}
END_TEST

START_TEST(seq_rises_without_gaps_in_the_order_of_ends)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    open_with_net(f);
    struct record_start first = put_game(f, 1, 3, 9, NULL);
    put_game(f, 2, 3, 1, NULL);
    struct record_start given_up = put_game(f, 3, 3, 9, NULL);
    ck_ok(store_abandon_game(f->store, given_up.uid, &f->err));
    put_game(f, 4, 3, 1, NULL);
    struct record_end end = make_end(3, 0, 9);
    ck_ok(store_put_end(f->store, first.uid, &end, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT seq FROM games WHERE id = 2"), 1);
    ck_assert_double_eq(sql_number(f, "SELECT seq FROM games WHERE id = 4"), 2);
    ck_assert_double_eq(sql_number(f, "SELECT seq FROM games WHERE id = 1"), 3);
    ck_assert(isnan(sql_number(f, "SELECT seq FROM games WHERE id = 3")));
    ck_assert_int_eq(store_put_end(f->store, given_up.uid, &end, &f->err), ERROR_INVALID);
    fixture_close(f);
}
END_TEST

struct seen {
    int n;
    uint16_t actions[8][8];
    struct store_unfinished games[8];
    int stop_at;
};

static int see(const struct store_unfinished *game, void *context)
{
    struct seen *seen = context;
    ck_assert_str_eq(game->opening, "44");
    memcpy(seen->actions[seen->n], game->actions, game->n_actions * sizeof *game->actions);
    seen->games[seen->n++] = *game;
    return seen->n == seen->stop_at ? 77 : 0;
}

START_TEST(unfinished_games_are_given_with_their_moves_oldest_first)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct record_position positions[2][6];
    struct seen seen = {0};
    open_with_net(f);
    struct record_start a = put_game(f, 9, 6, 9, positions[0]);
    put_game(f, 2, 3, 1, NULL);
    struct record_start b = put_game(f, 4, 0, 9, NULL);
    struct record_start gone = put_game(f, 5, 2, 9, NULL);
    ck_ok(store_abandon_game(f->store, gone.uid, &f->err));
    ck_ok(store_unfinished_games(f->store, see, &seen, &f->err));
    ck_assert_int_eq(seen.n, 2);
    ck_assert_str_eq(seen.games[0].uid, a.uid);
    ck_assert_str_eq(seen.games[1].uid, b.uid);
    ck_assert_uint_eq(seen.games[0].n_actions, 6);
    ck_assert_uint_eq(seen.games[1].n_actions, 0);
    ck_assert_uint_eq(seen.games[0].first_side, a.first_side);
    ck_assert_int_eq(seen.games[0].seed, a.seed);
    ck_assert_int_eq(seen.games[0].would_resign_ply, -1);
    for (int i = 0; i < 6; i++) {
        ck_assert_uint_eq(seen.actions[0][i], positions[0][i].action);
    }
    seen = (struct seen){.stop_at = 1};
    ck_assert_int_eq(store_unfinished_games(f->store, see, &seen, &f->err), 77);
    ck_assert_int_eq(seen.n, 1);
    fixture_close(f);
}
END_TEST

/* ---- windows and counts ---- */

struct seqs {
    int n;
    int64_t seq[64];
    int stop_at;
};

static int note_seq(struct store_game *game, void *context)
{
    struct seqs *seqs = context;
    seqs->seq[seqs->n++] = game->seq;
    return seqs->n == seqs->stop_at ? -50 : 0;
}

START_TEST(games_are_read_by_seq_and_matches_left_out)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct seqs seqs = {0};
    open_with_net(f);
    for (uint64_t i = 0; i < 10; i++) {
        if (i == 4) { /* a match game has a seq, but no window wants it */
            struct record_start match = make_start(i);
            struct record_end end = make_end(0, 0, 3);
            match.kind = GAME_MATCH;
            ck_ok(store_put_start(f->store, &match, 0, &f->err));
            ck_ok(store_put_end(f->store, match.uid, &end, &f->err));
        } else {
            put_game(f, i, 2, 1, NULL);
        }
    }
    ck_assert_int_eq(store_read_games(f->store, 2, 8, 3, note_seq, &seqs, &f->err), 3);
    ck_assert_int_eq(store_read_games(f->store, seqs.seq[2], 8, 3, note_seq, &seqs, &f->err), 2);
    const int64_t expected[] = {3, 4, 6, 7, 8};
    ck_assert_int_eq(seqs.n, 5);
    ck_assert_mem_eq(seqs.seq, expected, sizeof expected);
    ck_assert_int_eq(store_read_games(f->store, 10, 99, 3, note_seq, &seqs, &f->err), 0);
    seqs = (struct seqs){.stop_at = 2};
    ck_assert_int_eq(store_read_games(f->store, 0, 99, 9, note_seq, &seqs, &f->err), -50);
    ck_assert_int_eq(seqs.n, 2);
    fixture_close(f);
}
END_TEST

START_TEST(window_holds_whole_games_and_at_most_its_positions)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t first = 0;
    int64_t n = 0;
    open_with_net(f);
    ck_ok(store_window(f->store, 0, 100, &first, &n, &f->err));
    ck_assert(first == 1 && n == 0);
    const uint32_t plies[] = {4, 3, 5, 2, 6}; /* seqs 1 to 5 */
    for (uint64_t i = 0; i < 5; i++) {
        put_game(f, i, plies[i], 1, NULL);
    }
    /* last_seq, positions asked; first seq, positions given */
    const int64_t cases[][4] = {{5, 100, 1, 20}, {5, 20, 1, 20}, {5, 19, 2, 16},
                                {5, 8, 4, 8},    {5, 7, 5, 6},   {5, 5, 6, 0},
                                {4, 10, 2, 10},  {4, 9, 3, 7},   {1, 4, 1, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_ok(store_window(f->store, cases[i][0], cases[i][1], &first, &n, &f->err));
        ck_assert_msg(first == cases[i][2] && n == cases[i][3], "case %zu: %lld, %lld", i,
                      (long long)first, (long long)n);
    }
    fixture_close(f);
}
END_TEST

START_TEST(counts_are_of_finished_games_and_trainings)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store_counts counts;
    int64_t id = 0;
    open_with_net(f);
    ck_ok(store_read_counts(f->store, &counts, &f->err));
    ck_assert(counts.last_seq == 0 && counts.positions == 0 && counts.positions_at_training == 0 &&
              counts.games == 0 && counts.unfinished == 0 && counts.next_game == 0 &&
              counts.samples == 0);
    put_game(f, 1, 4, 1, NULL);
    put_game(f, 2, 8, 1, NULL);
    put_game(f, 3, 3, 9, NULL);
    ck_ok(store_set_run(f->store, "next_game", "17", &f->err));
    struct store_training training = make_training();
    ck_ok(store_begin_training(f->store, &training, &id, &f->err));
    ck_ok(store_finish_training(f->store, id, &training, add_net(f, 1), NULL, &f->err));
    training.all_positions = 99; /* a later one that failed, and one that runs: they do not count */
    ck_ok(store_begin_training(f->store, &training, &id, &f->err));
    ck_ok(store_finish_training(f->store, id, &training, 0, "NaN", &f->err));
    ck_ok(store_begin_training(f->store, &training, &id, &f->err));
    ck_ok(store_read_counts(f->store, &counts, &f->err));
    ck_assert_int_eq(counts.last_seq, 2);
    ck_assert_int_eq(counts.positions, 12);
    ck_assert_int_eq(counts.positions_at_training, 12);
    ck_assert_int_eq(counts.games, 2);
    ck_assert_int_eq(counts.unfinished, 1);
    ck_assert_uint_eq(counts.next_game, 17);
    ck_assert_int_eq(counts.samples, 400);
    fixture_close(f);
}
END_TEST

/* ---- groups ---- */

START_TEST(nothing_stays_without_commit)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    open_with_net(f);
    ck_ok(store_commit(f->store, &f->err));
    put_game(f, 1, 4, 1, NULL);
    ck_assert_uint_eq(store_pending(f->store), 6);
    store_rollback(f->store);
    ck_assert_uint_eq(store_pending(f->store), 0);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), 0);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM searches"), 0);
    put_game(f, 1, 4, 1, NULL); /* the search's id is looked up anew */
    fixture_reopen(f, STORE_WRITE);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), 0);
    put_game(f, 1, 4, 1, NULL);
    ck_ok(store_commit(f->store, &f->err));
    ck_ok(store_commit(f->store, &f->err)); /* nothing to do */
    fixture_reopen(f, STORE_WRITE);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM games"), 1);
    ck_ok(store_check_integrity(f->store, &f->err));
    fixture_close(f);
}
END_TEST

START_TEST(failed_put_leaves_the_group_as_it_was)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    open_with_net(f);
    struct record_start start = put_game(f, 1, 4, 9, NULL);
    uint32_t pending = store_pending(f->store);
    /* the end fails in its last step: the tallies that came before must go again */
    ck_assert_int_eq(sqlite3_exec(store_handle(f->store),
                                  "CREATE TEMP TRIGGER t BEFORE UPDATE OF seq ON games"
                                  " BEGIN SELECT raise(ABORT, 'no'); END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    struct record_end end = make_end(4, 1, 9);
    ck_assert_int_lt(store_put_end(f->store, start.uid, &end, &f->err), 0);
    ck_assert_uint_eq(store_pending(f->store), pending);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM value_tallies"), 0);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM positions WHERE z IS NULL"), 4);
    sqlite3_exec(store_handle(f->store), "DROP TRIGGER t", NULL, NULL, NULL);
    ck_ok(store_put_end(f->store, start.uid, &end, &f->err));
    ck_ok(store_commit(f->store, &f->err));
    ck_ok(store_check_tallies(f->store, &f->err));
    fixture_close(f);
}
END_TEST

START_TEST(reader_sees_commits_and_cannot_write)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store *reader = NULL;
    struct store_counts counts;
    open_with_net(f);
    ck_ok(store_commit(f->store, &f->err));
    ck_ok(store_open(f->path, STORE_READ, &reader, &f->err));
    put_game(f, 1, 4, 1, NULL);
    ck_ok(store_read_counts(reader, &counts, &f->err));
    ck_assert_int_eq(counts.games, 0);
    ck_ok(store_commit(f->store, &f->err));
    ck_ok(store_read_counts(reader, &counts, &f->err));
    ck_assert_int_eq(counts.games, 1);
    ck_assert_int_eq(store_set_run(reader, "a", "b", &f->err), ERROR_PERMISSION);
    ck_assert_int_ne(sqlite3_exec(store_handle(reader), "DELETE FROM nets", NULL, NULL, NULL),
                     SQLITE_OK);
    store_close(reader);
    fixture_close(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");
    tcase_set_timeout(tests, 200);
    tcase_add_test(tests, finished_game_comes_back_as_it_was_put);
    tcase_add_test(tests, unknown_values_are_null_and_come_back_as_nan);
    tcase_add_test(tests, z_alternates_and_is_one_at_the_winners_last_ply);
    tcase_add_test(tests, equal_puts_are_known_and_change_nothing);
    tcase_add_test(tests, puts_with_other_content_are_conflicts_and_change_nothing);
    tcase_add_test(tests, puts_out_of_order_are_refused);
    tcase_add_test(tests, seq_rises_without_gaps_in_the_order_of_ends);
    tcase_add_test(tests, unfinished_games_are_given_with_their_moves_oldest_first);
    tcase_add_test(tests, games_are_read_by_seq_and_matches_left_out);
    tcase_add_test(tests, window_holds_whole_games_and_at_most_its_positions);
    tcase_add_test(tests, counts_are_of_finished_games_and_trainings);
    tcase_add_test(tests, nothing_stays_without_commit);
    tcase_add_test(tests, failed_put_leaves_the_group_as_it_was);
    tcase_add_test(tests, reader_sees_commits_and_cannot_write);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
