#include "daemon/game_table.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void uid_of(uint32_t i, char ret[RECORD_UID_BYTES])
{
    (void)snprintf(ret, RECORD_UID_BYTES, "%032x", i * 2654435761U);
}

START_TEST(games_are_found_played_and_removed)
{
    struct game_table *table = game_table_create();
    char uid[RECORD_UID_BYTES];
    for (uint32_t i = 0; i < 1200; i++) {
        uid_of(i, uid);
        ck_assert_ptr_nonnull(game_table_add(table, uid, i, (int64_t)i, "44"));
    }
    for (uint32_t i = 0; i < 1200; i++) {
        uid_of(i, uid);
        struct active_game *game = game_table_find(table, uid);
        ck_assert_ptr_nonnull(game);
        ck_assert_uint_eq(game->number, i);
        int r = 0;
        for (uint32_t ply = 0; ply < 70 && r == 0; ply++) {
            r = game_table_play(game, ply, (uint16_t)(ply % 7), 0.5F);
        }
        ck_assert_int_eq(r, 0);
        ck_assert_int_eq(game_table_play(game, 69, 0, 0), ERROR_CONFLICT);
        ck_assert_int_eq(game_table_play(game, 71, 0, 0), ERROR_CONFLICT);
        ck_assert_uint_eq(game->actions[69], 69 % 7);
        if (i % 3 != 0) {
            game_table_remove(table, game);
            ck_assert_ptr_null(game_table_find(table, uid));
        }
    }
    ck_assert_uint_eq(game_table_count(table, GAME_TABLE_WAITING), 400);
    game_table_destroy(table);
}
END_TEST

START_TEST(games_of_a_dead_worker_wait_again_oldest_first)
{
    struct game_table *table = game_table_create();
    char uid[RECORD_UID_BYTES];
    for (uint32_t i = 0; i < 6; i++) {
        uid_of(i, uid);
        struct active_game *game = game_table_add(table, uid, i, 0, "");
        game_table_assign(table, game, i % 2);
    }
    ck_assert_ptr_null(game_table_waiting(table));
    ck_assert_uint_eq(game_table_release(table, 1), 3);
    ck_assert_uint_eq(game_table_count(table, 0), 3);
    for (uint64_t number = 1; number < 6; number += 2) {
        struct active_game *game = game_table_waiting(table);
        ck_assert_uint_eq(game->number, number);
        game_table_assign(table, game, 0);
    }
    ck_assert_ptr_null(game_table_waiting(table));
    game_table_destroy(table);
    game_table_destroy(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("game_table");
    TCase *tcase = tcase_create("game_table");

    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, games_are_found_played_and_removed);
    tcase_add_test(tcase, games_of_a_dead_worker_wait_again_oldest_first);
    return run_suite(suite);
}
