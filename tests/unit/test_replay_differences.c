/* What a replay must find: any number, move, rule, seed or net that is not the recorded one. */
#include "recording.h"
#include "storage/policy.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

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

int main(void)
{
    Suite *suite = suite_create("replay_differences");
    TCase *tests = tcase_create("replay_differences");
    tcase_add_checked_fixture(tests, make_nets, free_nets);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, changed_number_is_found_and_named_with_its_ply, 0, N_CHANGES);
    tcase_add_test(tests, another_end_is_found_and_named);
    tcase_add_test(tests, game_that_breaks_the_rules_is_told_and_never_searched_beyond);
    tcase_add_test(tests, another_seed_net_or_setting_is_not_taken_for_the_recorded_one);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
