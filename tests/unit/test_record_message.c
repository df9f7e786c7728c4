#include "storage/record_message.h"

#include "store_fixture.h"
#include "tests/unit/run_suite.h"

static char sha256[RECORD_SHA256_BYTES];

static void make_sha(void)
{
    make_sha256(1, sha256);
}

START_TEST(positions_survive_the_way_through_bytes)
{
    uint64_t random = 21;
    for (uint32_t i = 0; i < 500; i++) {
        struct record_position in = make_position(&random, i);
        struct record_position out;
        struct error err = {""};
        float *const values[] = {&in.q,        &in.d,        &in.best_q,   &in.best_d,
                                 &in.greedy_q, &in.greedy_d, &in.played_q, &in.played_d,
                                 &in.v,        &in.v_d,      &in.m,        &in.kld};
        for (size_t j = 0; j < sizeof values / sizeof values[0]; j++) {
            *values[j] = draw_below(&random, 4) == 0 ? NAN : *values[j];
        }
        in.proven = (int8_t)((int)draw_below(&random, 4) - 1);
        in.kind = (enum position_kind)draw_below(&random, 4);
        in.best_action = i % 5 == 0 ? RECORD_NO_ACTION : in.best_action;
        Qzd__Position message;
        record_position_to_message("0123456789abcdef0123456789abcdef", &in, &message);
        uint8_t bytes[8192];
        size_t size = qzd__position__pack(&message, bytes);
        Qzd__Position *back = qzd__position__unpack(NULL, size, bytes);
        ck_assert_ptr_nonnull(back);
        ck_assert_int_eq(record_position_from_message(back, &out, &err), 0);
        qzd__position__free_unpacked(back, NULL);
        ck_assert_msg(record_position_equal(&in, &out), "position %u of seed 21", i);
    }
}
END_TEST

START_TEST(starts_searches_and_ends_survive_the_way_through_bytes)
{
    struct error err = {""};
    uint8_t bytes[1024];
    struct record_start start = make_start(9);
    struct record_start start_back;
    Qzd__GameStart start_message;
    record_start_to_message(&start, &start_message);
    size_t size = qzd__game_start__pack(&start_message, bytes);
    Qzd__GameStart *s = qzd__game_start__unpack(NULL, size, bytes);
    ck_assert_int_eq(record_start_from_message(s, &start_back, &err), 0);
    ck_assert_str_eq(start_back.uid, start.uid);
    ck_assert_int_eq(start_back.kind, start.kind);
    ck_assert_str_eq(start_back.game, start.game);
    ck_assert_str_eq(start_back.host, start.host);
    ck_assert_uint_eq(start_back.worker, start.worker);
    ck_assert_int_eq(start_back.seed, start.seed);
    ck_assert_str_eq(start_back.opening, start.opening);
    ck_assert_uint_eq(start_back.first_side, start.first_side);
    ck_assert_int_eq(start_back.started_at, start.started_at);
    qzd__game_start__free_unpacked(s, NULL);

    struct record_search search = make_search(sha256);
    struct record_search search_back;
    Qzd__Search search_message;
    record_search_to_message(&search, &search_message);
    ck_assert_int_eq(record_search_from_message(&search_message, &search_back, &err), 0);
    ck_assert_str_eq(search_back.net_sha256, search.net_sha256);
    ck_assert_str_eq(search_back.build, search.build);
    ck_assert_str_eq(search_back.kernel, search.kernel);
    ck_assert_str_eq(search_back.settings, search.settings);

    for (int i = 0; i < 2; i++) {
        struct record_end end = make_end(30, -1, 77);
        struct record_end end_back;
        Qzd__GameEnd end_message;
        end.would_resign_ply = i == 0 ? -1 : 12;
        end.would_resign_side = i == 0 ? -1 : 1;
        record_end_to_message(start.uid, &end, &end_message);
        ck_assert_int_eq(record_end_from_message(&end_message, &end_back, &err), 0);
        ck_assert_int_eq(end_back.first_player_outcome, -1);
        ck_assert_str_eq(end_back.reason, "rules");
        ck_assert_int_eq(end_back.finished_at, 77);
        ck_assert_uint_eq(end_back.plies, 30);
        ck_assert_int_eq(end_back.would_resign_ply, end.would_resign_ply);
        ck_assert_int_eq(end_back.would_resign_side, end.would_resign_side);
    }
}
END_TEST

/* Each change alone is refused, with the field named. */
#define REFUSED(type, from, good, change, field)                                       \
    do {                                                                               \
        type m = (good);                                                               \
        struct error err = {""};                                                       \
        change;                                                                        \
        ck_assert_msg(from(&m, &ret, &err) == ERROR_INVALID, "%s", #change);           \
        ck_assert_msg(strstr(err.text, (field)) != NULL, "%s: %s", #change, err.text); \
    } while (0)

START_TEST(positions_out_of_range_are_refused_by_field)
{
    uint64_t random = 22;
    struct record_position position = make_position(&random, 4);
    struct record_position ret;
    Qzd__Position good;
    record_position_to_message("0123456789abcdef0123456789abcdef", &position, &good);
    good.has_m = 1;
    uint8_t bad_policy[] = {0, 1};
#define BAD(change, field) REFUSED(Qzd__Position, record_position_from_message, good, change, field)
    BAD(m.uid = (char[]){"xyz"}, "uid");
    BAD(m.ply = RECORD_MAX_PLIES, "ply");
    BAD(m.action = 65535, "action");
    BAD(m.best_action = 70000, "best_action");
    BAD(m.q = 1.001F, "q is");
    BAD(m.q = NAN, "q is");
    BAD(m.d = -0.001F, "d is");
    BAD(m.best_q = -1.5F, "best_q");
    BAD(m.best_d = 1.5F, "best_d");
    BAD(m.greedy_q = INFINITY, "greedy_q");
    BAD(m.greedy_d = 2.0F, "greedy_d");
    BAD(m.played_q = -2.0F, "played_q");
    BAD(m.played_d = -INFINITY, "played_d");
    BAD(m.v = 1.1F, "v is");
    BAD(m.v_d = 1.1F, "v_d");
    BAD(m.m = -1.0F, "m is");
    BAD(m.kld = -0.5F, "kld");
    BAD(m.kld = INFINITY, "kld");
    BAD(m.nodes = UINT32_MAX, "nodes");
    BAD((m.has_proven = 1, m.proven = 2), "proven");
    BAD(m.kind = (char[]){"slow"}, "kind");
    BAD((m.policy.data = bad_policy, m.policy.len = 2), "policy");
    BAD(m.policy.len = 1 << 20, "policy");
#undef BAD
    struct error err = {""};
    ck_assert_int_eq(record_position_from_message(&good, &ret, &err), 0);
}
END_TEST

START_TEST(starts_out_of_range_are_refused_by_field)
{
    struct record_start start = make_start(3);
    struct record_start ret;
    Qzd__GameStart good;
    char long_text[2000];
    memset(long_text, 'a', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    record_start_to_message(&start, &good);
#define BAD(change, field) REFUSED(Qzd__GameStart, record_start_from_message, good, change, field)
    BAD(m.uid = (char[]){""}, "uid");
    BAD(m.kind = (char[]){"blitz"}, "kind");
    BAD(m.game = (char[]){""}, "game");
    BAD(m.game = long_text, "game");
    BAD(m.host = long_text, "host");
    BAD(m.host = (char[]){"a\nb"}, "host");
    BAD(m.host = (char[]){"\xff"}, "host");
    BAD(m.host = (char[]){"\xc3"}, "host");             /* cut off */
    BAD(m.host = (char[]){"\xc0\xaf"}, "host");         /* overlong */
    BAD(m.host = (char[]){"\xed\xa0\x80"}, "host");     /* surrogate */
    BAD(m.host = (char[]){"\xf4\x90\x80\x80"}, "host"); /* above U+10FFFF */
    BAD(m.opening = long_text, "opening");
    BAD(m.first_side = 2, "first_side");
    BAD(m.started_at = -1, "started_at");
#undef BAD
    struct error err = {""};
    good.host = (char[]){"m\xc3\xbcller \xe2\x82\xac \xf0\x9f\x99\x82"};
    ck_assert_int_eq(record_start_from_message(&good, &ret, &err), 0);
}
END_TEST

START_TEST(searches_out_of_range_are_refused_by_field)
{
    struct record_search search = make_search(sha256);
    struct record_search ret;
    Qzd__Search good;
    record_search_to_message(&search, &good);
#define BAD(change, field) REFUSED(Qzd__Search, record_search_from_message, good, change, field)
    BAD(m.net_sha256 = (char[]){"abc"}, "net_sha256");
    BAD(m.net_sha256 = NULL, "net_sha256");
    BAD(m.build = (char[]){""}, "build");
    BAD(m.kernel = NULL, "kernel");
    BAD(m.settings = (char[]){"{"}, "settings");
#undef BAD
}
END_TEST

START_TEST(ends_out_of_range_are_refused_by_field)
{
    struct record_end end = make_end(30, 1, 5);
    struct record_end ret;
    Qzd__GameEnd good;
    record_end_to_message("0123456789abcdef0123456789abcdef", &end, &good);
#define BAD(change, field) REFUSED(Qzd__GameEnd, record_end_from_message, good, change, field)
    BAD(m.uid = NULL, "uid");
    BAD(m.first_player_outcome = 2, "first_player_outcome");
    BAD(m.first_player_outcome = -2, "first_player_outcome");
    BAD(m.reason = (char[]){"bored"}, "reason");
    BAD(m.finished_at = -5, "finished_at");
    BAD(m.plies = RECORD_MAX_PLIES + 1, "plies");
    BAD(m.has_would_resign_ply = 1, "would_resign");
    BAD((m.has_would_resign_ply = m.has_would_resign_side = 1, m.would_resign_ply = 31),
        "would_resign");
    BAD((m.has_would_resign_ply = m.has_would_resign_side = 1, m.would_resign_side = 2),
        "would_resign");
#undef BAD
}
END_TEST

int main(void)
{
    make_sha();
    Suite *suite = suite_create("record_message");
    TCase *tests = tcase_create("record_message");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, positions_survive_the_way_through_bytes);
    tcase_add_test(tests, starts_searches_and_ends_survive_the_way_through_bytes);
    tcase_add_test(tests, positions_out_of_range_are_refused_by_field);
    tcase_add_test(tests, starts_out_of_range_are_refused_by_field);
    tcase_add_test(tests, searches_out_of_range_are_refused_by_field);
    tcase_add_test(tests, ends_out_of_range_are_refused_by_field);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
