#include "storage/sqlfunctions.h"
#include "store_fixture.h"
#include "tests/unit/run_suite.h"

/* ---- nets ---- */

START_TEST(nets_are_found_by_id_digits_and_line)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct store_net net = {0};
    char digits[RECORD_SHA256_BYTES];
    open_with_net(f);
    add_net(f, 1);
    ck_ok(store_get_net(f->store, 1, &net, &f->err));
    ck_assert_str_eq(net.state, "old"); /* 1 took its place */
    ck_assert_str_eq(net.arch, "{\"blocks\":4}");
    ck_assert_str_eq(net.sha256, f->sha256);
    ck_assert_int_eq(net.parent_id, 0);
    store_net_finish(&net);
    make_sha256(1, digits);
    ck_ok(store_find_net(f->store, digits, &net, &f->err));
    ck_assert_int_eq(net.id, 2);
    store_net_finish(&net);
    digits[8] = '\0';
    ck_ok(store_find_net(f->store, digits, &net, &f->err));
    ck_assert_int_eq(net.id, 2);
    ck_assert_uint_eq(net.generation, 1);
    ck_assert_str_eq(net.state, "current");
    store_net_finish(&net);
    ck_ok(store_current_net(f->store, "main", &net, &f->err));
    ck_assert_int_eq(net.id, 2);
    store_net_finish(&net);
    digits[7] = '\0';
    ck_assert_int_eq(store_find_net(f->store, digits, &net, &f->err), ERROR_INVALID);
    ck_assert_int_eq(store_find_net(f->store, "ffffffff", &net, &f->err), ERROR_NOT_FOUND);
    ck_assert_int_eq(store_find_net(f->store, "xxxxxxxx", &net, &f->err), ERROR_INVALID);
    ck_assert_int_eq(store_get_net(f->store, 9, &net, &f->err), ERROR_NOT_FOUND);
    ck_assert_int_eq(store_current_net(f->store, "side", &net, &f->err), ERROR_NOT_FOUND);
    fixture_close(f);
}
END_TEST

START_TEST(ambiguous_digits_and_second_nets_of_a_generation_are_refused)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t id = 0;
    struct store_net found = {0};
    open_with_net(f);
    struct store_net net = {.line = "main",
                            .generation = 5,
                            .game = "connect4",
                            .arch = "{}",
                            .origin = "training",
                            .file = "x",
                            .state = "current",
                            .parent_id = 1};
    snprintf(net.sha256, sizeof net.sha256, "%s", f->sha256);
    net.sha256[63] = 'f';
    ck_ok(store_add_net(f->store, &net, &id, &f->err));
    ck_assert_int_eq(id, 2);
    char digits[RECORD_SHA256_BYTES];
    snprintf(digits, sizeof digits, "%.12s", f->sha256);
    ck_assert_int_eq(store_find_net(f->store, digits, &found, &f->err), ERROR_INVALID);
    net.generation = 6;
    ck_assert_int_eq(store_add_net(f->store, &net, &id, &f->err), ERROR_CONFLICT);
    net.generation = 5;
    net.sha256[0] = 'e';
    ck_assert_int_eq(store_add_net(f->store, &net, &id, &f->err), ERROR_CONFLICT);
    ck_ok(store_current_net(f->store, "main", &found, &f->err));
    ck_assert_int_eq(found.id, 2); /* it was not made old by what failed */
    store_net_finish(&found);
    net.generation = 6;
    net.parent_id = 99;
    ck_assert_int_eq(store_add_net(f->store, &net, &id, &f->err), ERROR_INVALID);
    fixture_close(f);
}
END_TEST

/* ---- trainings, evaluations, log ---- */

START_TEST(trainings_run_and_end_once)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t id = 0;
    int64_t running = 0;
    open_with_net(f);
    int64_t net_id = add_net(f, 1);
    ck_assert_int_eq(store_running_training(f->store, &running, &f->err), ERROR_NOT_FOUND);
    struct store_training training = make_training();
    training.policy_loss = NAN;
    ck_ok(store_begin_training(f->store, &training, &id, &f->err));
    ck_ok(store_running_training(f->store, &running, &f->err));
    ck_assert_int_eq(running, id);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM trainings WHERE state = 'running' AND"
                                      " finished_at IS NULL AND policy_loss IS NULL"),
                        1);
    struct store_training_step step = {10, 640, 1.5, 0.5, 2, 0.001};
    ck_ok(store_put_training_step(f->store, id, &step, &f->err));
    step.policy_loss = 1.25; /* the same step again, after a restart */
    ck_ok(store_put_training_step(f->store, id, &step, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT sum(policy_loss) FROM training_steps"), 1.25);
    ck_assert_int_eq(store_put_training_step(f->store, 99, &step, &f->err), ERROR_INVALID);
    training = make_training();
    ck_ok(store_finish_training(f->store, id, &training, net_id, NULL, &f->err));
    ck_assert_int_eq(store_finish_training(f->store, id, &training, net_id, NULL, &f->err),
                     ERROR_NOT_FOUND);
    ck_assert_double_eq(
        sql_number(f, "SELECT count(*) FROM trainings WHERE state = 'finished' AND net_id = 2 AND"
                      " parent_id = 1 AND generation = 1 AND started_at = 10 AND finished_at = 20"
                      " AND first_seq = 1 AND last_seq = 4 AND positions = 100 AND"
                      " new_positions = 50 AND all_positions = 12 AND samples = 400 AND"
                      " q_ratio = 0.5 AND lambda = 0.25 AND q_kind = 'best' AND teacher_id IS NULL"
                      " AND steps = 7 AND rows_without_q = 3 AND policy_loss = 1.5 AND"
                      " policy_entropy = 1.25 AND value_loss = 0.75 AND held_out_positions = 9 AND"
                      " held_out_policy_loss IS NULL AND grad_norm = 2 AND learning_rate = 0.002"
                      " AND samples_per_s = 1000 AND settings = '{}' AND failure IS NULL"),
        1);
    ck_ok(store_begin_training(f->store, &training, &id, &f->err));
    ck_ok(store_finish_training(f->store, id, &training, 0, "loss is NaN", &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM trainings WHERE state = 'failed' AND"
                                      " failure = 'loss is NaN' AND net_id IS NULL"),
                        1);
    fixture_close(f);
}
END_TEST

START_TEST(log_and_counters_keep_what_they_are_told)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    char text[8] = "before";
    open_with_net(f);
    ck_ok(store_put_event(f->store, 1, "warning", "worker exited", "signal 9", &f->err));
    ck_assert_int_eq(store_put_event(f->store, 1, "loud", "x", "y", &f->err), ERROR_INVALID);
    ck_ok(store_put_setting(f->store, 2, "targets.q_ratio", NULL, "0.5", "start", &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM events"), 1);
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM settings_log WHERE old IS NULL"), 1);
    ck_assert_int_eq(store_get_run(f->store, "seed", text, sizeof text, &f->err), ERROR_NOT_FOUND);
    ck_assert_str_eq(text, "before");
    ck_ok(store_set_run(f->store, "seed", "1", &f->err));
    ck_ok(store_set_run(f->store, "seed", "1234567", &f->err));
    ck_ok(store_get_run(f->store, "seed", text, sizeof text, &f->err));
    ck_assert_str_eq(text, "1234567");
    ck_ok(store_set_run(f->store, "seed", "12345678", &f->err));
    ck_assert_int_eq(store_get_run(f->store, "seed", text, sizeof text, &f->err), ERROR_INVALID);
    struct store_usage usage = {100, 200, 50, 10, 3000};
    ck_ok(store_add_usage(f->store, f->sha256, &usage, &f->err));
    ck_ok(store_add_usage(f->store, f->sha256, &usage, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT count(*) FROM net_usage WHERE evaluations = 200 AND"
                                      " lookups = 400 AND cache_hits = 100 AND positions = 20 AND"
                                      " busy_ms = 6000"),
                        1);
    ck_assert_int_eq(store_add_usage(f->store, "abc", &usage, &f->err), ERROR_NOT_FOUND);
    ck_ok(store_add_core_time(f->store, "training", 5, &f->err));
    ck_ok(store_add_core_time(f->store, "training", 6, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT ms FROM core_time"), 11);
    ck_ok(store_put_evaluation(f->store, 1, "s", 0, "mistakes", 0.5, 10, 1, 2, &f->err));
    ck_ok(store_put_evaluation(f->store, 1, "s", 0, "mistakes", 0.25, 10, 1, 2, &f->err));
    ck_assert_double_eq(sql_number(f, "SELECT sum(value) FROM evaluations"), 0.25);
    fixture_close(f);
}
END_TEST

START_TEST(wal_is_truncated_above_its_limit)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    open_with_net(f);
    put_game(f, 1, 30, 1, NULL);
    ck_ok(store_commit(f->store, &f->err));
    char wal[128];
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    FILE *file = fopen(wal, "rb");
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    ck_assert_int_gt(size, 0);
    ck_ok(store_trim_wal(f->store, size, &f->err)); /* not above */
    fseek(file, 0, SEEK_END);
    ck_assert_int_eq(ftell(file), size);
    ck_ok(store_trim_wal(f->store, size - 1, &f->err));
    fseek(file, 0, SEEK_END);
    ck_assert_int_eq(ftell(file), 0);
    fclose(file);
    fixture_close(f);
}
END_TEST

START_TEST(policy_functions_read_the_policy_column)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    open_with_net(f);
    ck_ok(sqlfunctions_register(store_handle(f->store), &f->err));
    ck_assert_double_eq(
        sql_number(f, "SELECT policy_json(x'00037803ac02') ="
                      " '[{\"action\":3,\"visits\":120},{\"action\":6,\"visits\":300}]'"),
        1);
    ck_assert_double_eq(sql_number(f, "SELECT policy_visits(x'00037803ac02')"), 420);
    ck_assert_double_eq(sql_number(f, "SELECT policy_json(x'00') = '[]'"), 1);
    ck_assert_double_eq(sql_number(f, "SELECT policy_json(NULL) IS NULL"), 1);
    ck_assert_double_eq(sql_number(f, "SELECT policy_visits(NULL) IS NULL"), 1);
    ck_assert_int_ne(
        sqlite3_exec(store_handle(f->store), "SELECT policy_json(x'0001')", NULL, NULL, NULL),
        SQLITE_OK);
    ck_assert_int_ne(
        sqlite3_exec(store_handle(f->store), "SELECT policy_visits('text')", NULL, NULL, NULL),
        SQLITE_OK);
    fixture_close(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_nets");
    TCase *tests = tcase_create("store_nets");
    tcase_set_timeout(tests, 200);
    tcase_add_test(tests, nets_are_found_by_id_digits_and_line);
    tcase_add_test(tests, ambiguous_digits_and_second_nets_of_a_generation_are_refused);
    tcase_add_test(tests, trainings_run_and_end_once);
    tcase_add_test(tests, log_and_counters_keep_what_they_are_told);
    tcase_add_test(tests, wal_is_truncated_above_its_limit);
    tcase_add_test(tests, policy_functions_read_the_policy_column);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
