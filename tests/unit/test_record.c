#include "storage/record.h"

#include "store_fixture.h"
#include "tests/unit/run_suite.h"

START_TEST(uids_are_valid_and_differ)
{
    char a[RECORD_UID_BYTES];
    char b[RECORD_UID_BYTES];
    record_uid_draw(a);
    record_uid_draw(b);
    ck_assert(record_uid_valid(a) && record_uid_valid(b));
    ck_assert_str_ne(a, b);
}
END_TEST

START_TEST(uid_is_32_lower_case_hex_digits_and_nothing_else)
{
    ck_assert(record_uid_valid("0123456789abcdef0123456789abcdef"));
    ck_assert(!record_uid_valid("0123456789ABCDEF0123456789abcdef"));
    ck_assert(!record_uid_valid("0123456789abcdef0123456789abcde"));
    ck_assert(!record_uid_valid("0123456789abcdef0123456789abcdef0"));
    ck_assert(!record_uid_valid("0123456789abcdef 123456789abcdef"));
    ck_assert(!record_uid_valid(""));
    ck_assert(!record_uid_valid(NULL));
}
END_TEST

START_TEST(kinds_and_their_words_belong_together)
{
    for (int kind = GAME_SELFPLAY; kind <= GAME_HUMAN; kind++) {
        ck_assert_int_eq(game_kind_parse(game_kind_text((enum game_kind)kind)), kind);
    }
    for (int kind = POSITION_FULL; kind <= POSITION_IMPORT; kind++) {
        ck_assert_int_eq(position_kind_parse(position_kind_text((enum position_kind)kind)), kind);
    }
    ck_assert_int_eq(game_kind_parse("full"), -1);
    ck_assert_int_eq(game_kind_parse(NULL), -1);
    ck_assert_int_eq(position_kind_parse("Full"), -1);
}
END_TEST

/* 20,000 uids, one in 20: 1000 expected, standard deviation 31; five of them are let pass. */
START_TEST(about_one_game_in_n_is_held_out)
{
    int n_held_out = 0;
    uint64_t random = 11;
    for (int i = 0; i < 20000; i++) {
        char uid[RECORD_UID_BYTES];
        snprintf(uid, sizeof uid, "%016llx%016llx", (unsigned long long)draw(&random),
                 (unsigned long long)i);
        n_held_out += record_uid_held_out(uid, 20);
        ck_assert(!record_uid_held_out(uid, 0));
        ck_assert(record_uid_held_out(uid, 1));
    }
    ck_assert_msg(n_held_out > 845 && n_held_out < 1155, "%d of seed 11", n_held_out);
}
END_TEST

/* BLAKE2b-128 of these uids, first eight bytes as a little-endian number, computed elsewhere
 * (Python: hashlib.blake2b(uid, digest_size=16)). */
START_TEST(held_out_is_decided_by_blake2b)
{
    ck_assert_uint_eq(record_uid_held_out("00000000000000000000000000000000", 10), 0);
    ck_assert_uint_eq(record_uid_held_out("00000000000000000000000000000001", 10), 0);
    ck_assert_uint_eq(record_uid_held_out("00000000000000000000000000000003", 10), 1);
}
END_TEST

START_TEST(positions_are_equal_field_by_field)
{
    uint64_t random = 5;
    struct record_position a = make_position(&random, 3);
    struct record_position b = a;
    a.m = NAN;
    b.m = NAN;
    ck_assert(record_position_equal(&a, &b));
    a.q = 0.0F;
    b.q = -0.0F;
    ck_assert(record_position_equal(&a, &b));
    memset(b.policy + b.policy_bytes, 7, 4); /* behind its end */
    ck_assert(record_position_equal(&a, &b));
#define DIFFERS(change)                                               \
    do {                                                              \
        struct record_position c = a;                                 \
        change;                                                       \
        ck_assert_msg(!record_position_equal(&a, &c), "%s", #change); \
    } while (0)
    DIFFERS(c.ply++);
    DIFFERS(c.action++);
    DIFFERS(c.best_action++);
    DIFFERS(c.q = 0.5F);
    DIFFERS(c.d = NAN);
    DIFFERS(c.best_q += 0.001F);
    DIFFERS(c.best_d += 0.001F);
    DIFFERS(c.greedy_q += 0.001F);
    DIFFERS(c.greedy_d += 0.001F);
    DIFFERS(c.played_q += 0.001F);
    DIFFERS(c.played_d += 0.001F);
    DIFFERS(c.v += 0.001F);
    DIFFERS(c.v_d += 0.001F);
    DIFFERS(c.m = 1.0F);
    DIFFERS(c.nodes++);
    DIFFERS(c.kld += 0.001F);
    DIFFERS(c.proven = 0);
    DIFFERS(c.kind = POSITION_FAST);
    DIFFERS(c.policy_bytes--);
    DIFFERS(c.policy[2] ^= 1);
#undef DIFFERS
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record");
    TCase *tests = tcase_create("record");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, uids_are_valid_and_differ);
    tcase_add_test(tests, uid_is_32_lower_case_hex_digits_and_nothing_else);
    tcase_add_test(tests, kinds_and_their_words_belong_together);
    tcase_add_test(tests, about_one_game_in_n_is_held_out);
    tcase_add_test(tests, held_out_is_decided_by_blake2b);
    tcase_add_test(tests, positions_are_equal_field_by_field);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
