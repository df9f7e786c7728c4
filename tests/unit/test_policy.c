#include "storage/policy.h"

#include "storage/record.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* At most max entries, actions ascending, a quarter of them without visits. */
static uint32_t draw_policy(uint64_t *random, uint32_t max, struct policy_entry *ret)
{
    uint32_t n = (uint32_t)(draw(random) % (max + 1));
    uint32_t action = 0;
    uint32_t i = 0;
    for (; i < n; i++) {
        action += (i > 0) + (uint32_t)(draw(random) % 40);
        if (action > UINT16_MAX) {
            break;
        }
        uint32_t visits = (uint32_t)(draw(random) >> (32 + draw(random) % 32));
        ret[i] = (struct policy_entry){(uint16_t)action, draw(random) % 4 == 0 ? 0 : visits};
    }
    return i;
}

START_TEST(random_policies_come_back_as_they_went)
{
    uint64_t random = 1;
    int n_deflated = 0;
    for (int round = 0; round < 1500; round++) {
        struct policy_entry in[224];
        struct policy_entry out[224];
        uint8_t bytes[RECORD_MAX_POLICY];
        uint32_t n = draw_policy(&random, round % 3 == 0 ? 224 : 7, in);
        if (round % 7 == 0) { /* many alike: these deflate well */
            for (uint32_t i = 0; i < n; i++) {
                in[i] = (struct policy_entry){(uint16_t)i, 1};
            }
        }
        int size = policy_encode(in, n, bytes);
        ck_assert_msg(size > 0, "round %d of seed 1: %d", round, size);
        n_deflated += bytes[0] == 1;
        int n_out = policy_decode(bytes, (size_t)size, out, 224);
        int at = 0;
        bool same = true;
        for (uint32_t i = 0; i < n; i++) {
            if (in[i].visits > 0) {
                same = same && at < n_out && out[at].action == in[i].action &&
                       out[at].visits == in[i].visits;
                at++;
            }
        }
        ck_assert_msg(same, "round %d of seed 1", round);
        ck_assert_int_eq(at, n_out);
    }
    ck_assert_int_gt(n_deflated, 40);
}
END_TEST

START_TEST(bytes_are_what_the_header_says)
{
    uint8_t bytes[RECORD_MAX_POLICY];
    const struct policy_entry entries[] = {{3, 120}, {5, 0}, {6, 300}};
    const uint8_t expected[] = {0, 3, 120, 3, 0xac, 0x02};
    ck_assert_int_eq(policy_encode(entries, 3, bytes), sizeof expected);
    ck_assert_mem_eq(bytes, expected, sizeof expected);
}
END_TEST

START_TEST(deflated_form_is_taken_where_it_is_smaller)
{
    struct policy_entry entries[200];
    uint8_t bytes[RECORD_MAX_POLICY];
    for (uint16_t i = 0; i < 200; i++) {
        entries[i] = (struct policy_entry){i, 4};
    }
    int size = policy_encode(entries, 200, bytes);
    ck_assert_int_eq(bytes[0], 1);
    ck_assert_int_lt(size, 60);
    ck_assert_int_eq(policy_encode(entries, 7, bytes), 15);
    ck_assert_int_eq(bytes[0], 0);
}
END_TEST

START_TEST(unordered_and_too_long_policies_are_refused)
{
    uint8_t bytes[RECORD_MAX_POLICY];
    const struct policy_entry twice[] = {{3, 1}, {3, 1}};
    const struct policy_entry falling[] = {{3, 0}, {2, 1}};
    ck_assert_int_eq(policy_encode(twice, 2, bytes), ERROR_INVALID);
    ck_assert_int_eq(policy_encode(falling, 2, bytes), ERROR_INVALID);
    struct policy_entry many[600];
    for (uint16_t i = 0; i < 600; i++) {
        many[i] = (struct policy_entry){i, 0x80000000U};
    }
    ck_assert_int_eq(policy_encode(many, 600, bytes), ERROR_INVALID);
}
END_TEST

/* Cut anywhere, a policy is refused or, where the cut falls between pairs, is the shorter policy. */
START_TEST(every_truncation_is_refused_or_a_shorter_policy)
{
    uint64_t random = 2;
    for (int round = 0; round < 60; round++) {
        struct policy_entry in[224];
        struct policy_entry whole[224];
        struct policy_entry out[224];
        uint8_t bytes[RECORD_MAX_POLICY];
        uint32_t n = draw_policy(&random, 100, in);
        for (uint32_t i = 0; round % 2 == 0 && i < n; i++) {
            in[i] = (struct policy_entry){(uint16_t)i, 9};
        }
        int size = policy_encode(in, n, bytes);
        int n_whole = policy_decode(bytes, (size_t)size, whole, 224);
        for (int cut = 1; cut < size; cut++) {
            uint8_t *copy = malloc((size_t)cut); /* so that ASan sees any byte read behind it */
            memcpy(copy, bytes, (size_t)cut);
            int n_out = policy_decode(copy, (size_t)cut, out, 224);
            free(copy);
            ck_assert_msg(n_out == ERROR_CORRUPT || (bytes[0] == 0 && n_out < n_whole),
                          "round %d of seed 2, cut at %d of %d: %d", round, cut, size, n_out);
            for (int i = 0; i < n_out; i++) {
                ck_assert(out[i].action == whole[i].action && out[i].visits == whole[i].visits);
            }
        }
    }
}
END_TEST

START_TEST(random_bytes_decode_to_a_valid_policy_or_not_at_all)
{
    uint64_t random = 3;
    int n_good = 0;
    for (int round = 0; round < 30000; round++) {
        uint8_t bytes[96];
        struct policy_entry out[16];
        size_t size = draw(&random) % sizeof bytes;
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)draw(&random);
        }
        if (size > 3) {
            bytes[0] = (uint8_t)(draw(&random) % 3);
            if (bytes[0] == 1 && round % 2 == 0) { /* a true head lets inflate get further */
                bytes[1] = 0x18;
                bytes[2] = 0x95;
            }
        }
        int n = policy_decode(bytes, size, out, 16);
        bool good = n <= 16 && (n >= 0 || n == ERROR_CORRUPT);
        n_good += n > 0;
        for (int i = 0; i < n; i++) {
            good = good && out[i].visits > 0 && (i == 0 || out[i].action > out[i - 1].action);
        }
        if (!good) {
            ck_abort_msg("round %d of seed 3: %d", round, n);
        }
    }
    ck_assert_int_gt(n_good, 0);
}
END_TEST

START_TEST(more_entries_than_room_are_refused)
{
    uint8_t bytes[RECORD_MAX_POLICY];
    struct policy_entry out[3];
    const struct policy_entry entries[] = {{0, 1}, {1, 1}, {2, 1}};
    int size = policy_encode(entries, 3, bytes);
    ck_assert_int_eq(policy_decode(bytes, (size_t)size, out, 3), 3);
    ck_assert_int_eq(policy_decode(bytes, (size_t)size, out, 2), ERROR_CORRUPT);
    ck_assert_int_eq(policy_decode(bytes, 0, out, 2), 0);
}
END_TEST

START_TEST(strange_encodings_are_refused)
{
    struct policy_entry out[8];
    const uint8_t overlong[] = {0, 0x83, 0x00, 1};
    const uint8_t no_visits[] = {0, 3, 0};
    const uint8_t same_action[] = {0, 3, 1, 0, 1};
    const uint8_t above_16_bits[] = {0, 0xff, 0xff, 0x03, 1, 1, 1};
    const uint8_t above_32_bits[] = {0, 1, 0xff, 0xff, 0xff, 0xff, 0x1f};
    const uint8_t form_2[] = {2, 3, 1};
    ck_assert_int_eq(policy_decode(overlong, sizeof overlong, out, 8), ERROR_CORRUPT);
    ck_assert_int_eq(policy_decode(no_visits, sizeof no_visits, out, 8), ERROR_CORRUPT);
    ck_assert_int_eq(policy_decode(same_action, sizeof same_action, out, 8), ERROR_CORRUPT);
    ck_assert_int_eq(policy_decode(above_16_bits, sizeof above_16_bits, out, 8), ERROR_CORRUPT);
    ck_assert_int_eq(policy_decode(above_32_bits, sizeof above_32_bits, out, 8), ERROR_CORRUPT);
    ck_assert_int_eq(policy_decode(form_2, sizeof form_2, out, 8), ERROR_CORRUPT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *tests = tcase_create("policy");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, random_policies_come_back_as_they_went);
    tcase_add_test(tests, bytes_are_what_the_header_says);
    tcase_add_test(tests, deflated_form_is_taken_where_it_is_smaller);
    tcase_add_test(tests, unordered_and_too_long_policies_are_refused);
    tcase_add_test(tests, every_truncation_is_refused_or_a_shorter_policy);
    tcase_add_test(tests, random_bytes_decode_to_a_valid_policy_or_not_at_all);
    tcase_add_test(tests, more_entries_than_room_are_refused);
    tcase_add_test(tests, strange_encodings_are_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
