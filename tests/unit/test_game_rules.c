#include "daemon/game_rules.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <string.h>

static const struct game *connect4;
static struct game_table *table;
static struct active_game *active;
static struct error err;

static void setup(void)
{
    connect4 = game_find("connect4");
    table = game_table_create();
    ck_assert_ptr_nonnull(table);
    active = game_table_add(table, "00000000000000000000000000000001", 1, 7, "44");
    ck_assert_ptr_nonnull(active);
    err.text[0] = '\0';
}

static void teardown(void)
{
    game_table_destroy(table);
}

/* Column 1 to 7 at a ply, visits for one column (0: none). */
static int say(uint32_t ply, uint32_t column, uint8_t visited)
{
    Qzd__Position position = QZD__POSITION__INIT;
    uint8_t policy[] = {0, (uint8_t)(visited - 1), 5};

    position.ply = ply;
    position.action = column - 1;
    if (visited > 0) {
        position.policy.data = policy;
        position.policy.len = sizeof(policy);
    }
    return game_rules_position(active, connect4, &position, &err);
}

static void play(const char *columns)
{
    for (; *columns != '\0'; columns++) {
        uint32_t column = (uint32_t)(*columns - '0');
        ck_assert_msg(say(active->n_actions, column, (uint8_t)column) == 0, "%s", err.text);
        ck_assert_int_eq(game_table_play(active, active->n_actions, (uint16_t)(column - 1), NAN),
                         0);
    }
}

static int end(uint32_t plies, int outcome, char *reason)
{
    Qzd__GameEnd message = QZD__GAME_END__INIT;

    message.plies = plies;
    message.first_player_outcome = outcome;
    message.reason = reason;
    return game_rules_end(active, connect4, &message, &err);
}

START_TEST(moves_and_visits_must_be_legal_behind_the_opening_and_the_known_moves)
{
    ck_assert_int_eq(say(0, 8, 0), ERROR_INVALID);
    ck_assert_int_eq(say(0, 60000, 0), ERROR_INVALID);
    ck_assert_int_eq(say(0, 4, 8), ERROR_INVALID);
    ck_assert_int_eq(say(1, 4, 4), ERROR_CONFLICT);
    play("4444"); /* with the opening, column 4 is full */
    ck_assert_int_eq(say(4, 4, 0), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "ply 4: move 3 is not legal"));
    ck_assert_int_eq(say(4, 1, 4), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "visits of move 3"));
    ck_assert_int_eq(say(4, 1, 1), 0);
}
END_TEST

START_TEST(start_must_be_the_one_that_was_handed_out)
{
    Qzd__GameStart start = QZD__GAME_START__INIT;
    start.game = (char[]){"connect4"};
    start.kind = (char[]){"selfplay"};
    start.opening = (char[]){"44"};
    start.seed = 7;
    ck_assert_int_eq(game_rules_start(active, connect4, &start, &err), 0);
    start.first_side = 1;
    ck_assert_int_eq(game_rules_start(active, connect4, &start, &err), ERROR_INVALID);
    start.first_side = 0;
    start.seed = 8;
    ck_assert_int_eq(game_rules_start(active, connect4, &start, &err), ERROR_INVALID);
    start.seed = 7;
    start.opening = (char[]){"4"};
    ck_assert_int_eq(game_rules_start(active, connect4, &start, &err), ERROR_INVALID);
    start.opening = (char[]){"44"};
    start.kind = (char[]){"match"};
    ck_assert_int_eq(game_rules_start(active, connect4, &start, &err), ERROR_INVALID);
    start.kind = (char[]){"selfplay"};
    start.game = (char[]){"tictactoe"};
    ck_assert_int_eq(game_rules_start(active, connect4, &start, &err), ERROR_INVALID);
}
END_TEST

START_TEST(asking_changes_nothing)
{
    play("12");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(say(2, 1, 1), 0);
        ck_assert_int_lt(say(3, 1, 1), 0);
    }
    ck_assert_uint_eq(active->n_actions, 2);
}
END_TEST

START_TEST(end_by_the_rules_must_be_one)
{
    play("1213"); /* the first player has 4, 1 and 1 */
    ck_assert_int_lt(end(4, 1, "rules"), 0);
    ck_assert_int_eq(end(4, -1, "resign"), 0);
    ck_assert_int_lt(end(5, -1, "resign"), 0);
    play("151"); /* four in column 1 */
    ck_assert_int_eq(end(7, 1, "rules"), 0);
    ck_assert_int_lt(end(7, -1, "rules"), 0);
    ck_assert_int_lt(end(7, 0, "rules"), 0);
    ck_assert_int_lt(end(7, -1, "resign"), 0);
    ck_assert_int_lt(say(7, 2, 2), 0);
}
END_TEST

START_TEST(game_that_goes_on_after_a_restart_is_known_by_its_moves)
{
    static const uint16_t moves[] = {0, 1, 0};
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_int_eq(game_table_play(active, i, moves[i], NAN), 0);
    }
    ck_assert_int_eq(say(3, 1, 1), 0);
    struct active_game *broken = game_table_add(table, "02", 2, 7, "");
    for (uint32_t i = 0; i < 7; i++) {
        ck_assert_int_eq(game_table_play(broken, i, 0, NAN), 0);
    }
    active = broken;
    ck_assert_int_eq(say(7, 2, 0), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "ply 6: its move 0 is not legal"));
}
END_TEST

/* ---- matches: both games of a pair behind "44"; the first player wins game 0 in column 1, the second game 1 in column 2 */
struct pair_told {
    Qzd__MatchPair pair;
    Qzd__Game games[2], *list[2];
    Qzd__GameStart starts[2];
    Qzd__GameEnd ends[2];
    Qzd__Position positions[2][16], *position_list[2][16];
    uint32_t half_points[2];
    uint64_t fingerprints[2];
};

static void tell_pair(struct pair_told *t)
{
    static const char *const moves[2] = {"1212121", "12121232"};
    static const int outcomes[2] = {1, -1};
    static char uids[2][RECORD_UID_BYTES] = {"000000000000000000000000000000aa",
                                             "000000000000000000000000000000bb"};

    memset(t, 0, sizeof *t);
    qzd__match_pair__init(&t->pair);
    for (int k = 0; k < 2; k++) {
        qzd__game__init(&t->games[k]);
        qzd__game_start__init(&t->starts[k]);
        qzd__game_end__init(&t->ends[k]);
        t->starts[k].uid = uids[k];
        t->starts[k].game = "connect4";
        t->starts[k].kind = "match";
        t->starts[k].opening = "44";
        t->starts[k].seed = 3;
        t->games[k].n_positions = strlen(moves[k]);
        for (uint32_t i = 0; moves[k][i] != '\0'; i++) {
            qzd__position__init(&t->positions[k][i]);
            t->positions[k][i].ply = i;
            t->positions[k][i].action = (uint32_t)(moves[k][i] - '1');
            t->position_list[k][i] = &t->positions[k][i];
        }
        t->ends[k].plies = (uint32_t)strlen(moves[k]);
        t->ends[k].first_player_outcome = outcomes[k];
        t->ends[k].reason = "rules";
        t->games[k].start = &t->starts[k];
        t->games[k].end = &t->ends[k];
        t->games[k].positions = t->position_list[k];
        t->list[k] = &t->games[k];
        t->half_points[k] = 2; /* net a has the other side in the second game */
    }
    t->pair.n_games = t->pair.n_half_points = t->pair.n_fingerprints = 2;
    t->pair.games = t->list;
    t->pair.half_points = t->half_points;
    t->pair.fingerprints = t->fingerprints;
}

static void refuse_pair(const struct pair_told *t, const char *why)
{
    ck_assert_int_eq(game_rules_pair(connect4, &t->pair, &err), ERROR_INVALID);
    ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
}

START_TEST(match_pairs_are_two_games_by_the_rules_with_the_points_that_follow)
{
    struct pair_told t;

    tell_pair(&t);
    ck_assert_msg(game_rules_pair(connect4, &t.pair, &err) == 0, "%s", err.text);
    t.half_points[1] = 0;
    refuse_pair(&t, "game 2: 0 half points");
    tell_pair(&t);
    t.positions[0][3].action = 7;
    refuse_pair(&t, "game 1: ply 3: move 7");
    tell_pair(&t);
    t.positions[1][3].ply = 2;
    ck_assert_int_eq(game_rules_pair(connect4, &t.pair, &err), ERROR_CONFLICT);
    tell_pair(&t);
    t.ends[0].first_player_outcome = -1;
    refuse_pair(&t, "which the rules do not say");
    tell_pair(&t);
    t.games[0].n_positions = t.ends[0].plies = 6; /* it is not over there */
    refuse_pair(&t, "which the rules do not say");
    t.ends[0].reason = "resign";
    refuse_pair(&t, "it ends by \"resign\"");
    tell_pair(&t);
    t.starts[1].opening = "43";
    refuse_pair(&t, "game 2: its start speaks of another game");
    tell_pair(&t);
    t.starts[0].kind = "selfplay";
    refuse_pair(&t, "game 1: its start speaks of another game");
    tell_pair(&t);
    t.starts[0].uid = (char[]){"short"};
    refuse_pair(&t, "without a name");
    tell_pair(&t);
    t.pair.n_games = 1;
    refuse_pair(&t, "is not two games");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("game_rules");
    TCase *tcase = tcase_create("game_rules");

    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, moves_and_visits_must_be_legal_behind_the_opening_and_the_known_moves);
    tcase_add_test(tcase, start_must_be_the_one_that_was_handed_out);
    tcase_add_test(tcase, asking_changes_nothing);
    tcase_add_test(tcase, end_by_the_rules_must_be_one);
    tcase_add_test(tcase, game_that_goes_on_after_a_restart_is_known_by_its_moves);
    tcase_add_test(tcase, match_pairs_are_two_games_by_the_rules_with_the_points_that_follow);
    return run_suite(suite);
}
