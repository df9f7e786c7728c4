/* The checks, pure: figures in, states out. */
#include "daemon/doctor/doctor.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct doctor_figures f;
static struct doctor_report report;

/* Figures of generation 41 of a healthy run, and of the daemon behind it. */
static void setup(void)
{
    f = (struct doctor_figures){
        .at = 1700000000000,
        .generation = 41,
        .now = true,
        .games = {.games = 400,
                  .positions = 13200,
                  .corr_vz = {0.65, 0.64},
                  .corr_qz = {0.79, 0.78},
                  .n_vz = {400, 400},
                  .n_qz = {400, 400},
                  .corr_next = 0.99,
                  .n_next = 12800,
                  .won_q = 1,
                  .n_won = 300,
                  .variance_share = 0.4,
                  .n_variance = 13200,
                  .entropy = 0.5,
                  .kld = 0.3,
                  .log_moves = 1.7,
                  .n_entropy = 9000,
                  .noise_share = 0.25,
                  .temperature = 1,
                  .from_start = 200,
                  .distinct_from_start = 0.8,
                  .distinct = 0.9,
                  .prefixes = 0.5,
                  .common_prefix = 0.2,
                  .first_prefixes = 1,
                  .newest_at = 1700000000000,
                  .seconds = 600},
        .matches = {.n = 3, .distinct = 1},
        .resigns = {.on = true, .played = 200, .mistook = 4},
        .net = {.positions = 16, .difference = 1e-6, .generation = 41},
        .disk = {.known = true,
                 .free_bytes = 100e9,
                 .store_bytes = 1e9,
                 .wal_bytes = 1e6,
                 .bytes_per_day = 3e9},
        .live = {.known = true,
                 .uptime_s = 5000,
                 .queue = 10,
                 .queue_max = 4096,
                 .slots = 4,
                 .workers = 4,
                 .slots_used = 3.9,
                 .cores_used = 3.8,
                 .cores_held = 3.9},
    };
    struct doctor_learning *l = &f.learning;
    l->n_trainings = DOCTOR_TRAININGS;
    for (uint32_t i = 0; i < DOCTOR_TRAININGS; i++) {
        l->trainings[i] =
            (struct doctor_training){.generation = 41 - i,
                                     .started_at = 1699999000000 - 60000 * (int64_t)i,
                                     .finished_at = 1699999030000 - 60000 * (int64_t)i,
                                     .samples = 80000,
                                     .samples_per_position = 4,
                                     .new_positions = 20000,
                                     .all_positions = 900000 - 20000 * (int64_t)i,
                                     .policy_loss = 0.75,
                                     .policy_entropy = 0.55,
                                     .value_loss = 0.5,
                                     .held_out_policy_gap = 0.21,
                                     .held_out_value_loss = 0.55,
                                     .learning_rate = 0.002};
    }
    l->n_judged = DOCTOR_JUDGED;
    for (uint32_t i = 0; i < DOCTOR_JUDGED; i++) {
        l->judged[i] = (struct doctor_judged){.generation = 41 - i,
                                              .mistakes_net = 0.2 + 0.002 * i,
                                              .mistakes_search = 0.07,
                                              .n_net = 1000,
                                              .n_search = 1000};
    }
    l->first = (struct doctor_judged){
        .mistakes_net = 0.715, .mistakes_search = 0.236, .n_net = 1000, .n_search = 1000};
    l->samples = 3.6e6;
}

static const struct diagnosis *of(const char *check)
{
    doctor_diagnose(&f, &report);
    for (uint32_t i = 0; i < report.n; i++) {
        if (strcmp(report.checks[i].check, check) == 0) {
            return &report.checks[i];
        }
    }
    ck_abort_msg("no check \"%s\"", check);
    return NULL;
}

#define is(check, wanted)                                                                    \
    do {                                                                                     \
        const struct diagnosis *is_one = of(check);                                          \
        ck_assert_msg(strcmp(doctor_state_text(is_one->state), wanted) == 0, "%s is %s: %s", \
                      check, doctor_state_text(is_one->state), is_one->text);                \
    } while (0)

START_TEST(healthy_figures_are_green_in_every_check)
{
    doctor_diagnose(&f, &report);
    ck_assert_uint_gt(report.n, 20);
    for (uint32_t i = 0; i < report.n; i++) {
        const struct diagnosis *one = &report.checks[i];
        ck_assert_msg(one->state == DOCTOR_GREEN, "%s: %s", one->check, one->text);
        ck_assert_msg(one->text[0] != '\0' && one->bound[0] != '\0', "%s", one->check);
        ck_assert_uint_lt(strlen(one->bound), sizeof(one->bound) - 1); /* nothing was cut off */
        ck_assert_uint_lt(strlen(one->text), sizeof(one->text) - 1);
        ck_assert_uint_gt(strlen(one->advice), 20);
        for (uint32_t k = 0; k < i; k++) {
            ck_assert_str_ne(report.checks[k].check, one->check);
        }
    }
}
END_TEST

START_TEST(figures_of_an_empty_store_are_unknown_and_never_red)
{
    const double nan = NAN;

    f = (struct doctor_figures){.now = true};
    f.games = (struct doctor_games){.corr_vz = {nan, nan},
                                    .corr_qz = {nan, nan},
                                    .corr_next = nan,
                                    .won_q = nan,
                                    .variance_share = nan,
                                    .entropy = nan,
                                    .kld = nan,
                                    .log_moves = nan,
                                    .noise_share = nan,
                                    .temperature = nan,
                                    .distinct_from_start = nan,
                                    .distinct = nan,
                                    .prefixes = nan,
                                    .common_prefix = nan,
                                    .first_prefixes = nan};
    f.matches.distinct = f.disk.bytes_per_day = nan;
    f.learning.first = (struct doctor_judged){.mistakes_net = nan, .mistakes_search = nan};
    doctor_diagnose(&f, &report);
    ck_assert_uint_eq(doctor_count(&report, DOCTOR_RED), 0);
    ck_assert_uint_eq(doctor_count(&report, DOCTOR_YELLOW), 0);
    ck_assert_uint_gt(doctor_count(&report, DOCTOR_UNKNOWN), 15);
    for (uint32_t i = 0; i < report.n; i++) {
        ck_assert_msg(strstr(report.checks[i].text, "nan") == NULL, "%s", report.checks[i].text);
    }
}
END_TEST

START_TEST(figure_that_is_no_number_is_unknown_in_words)
{
    struct diagnosis one;
    doctor_text(&one, "%.1f, then -%.1f%s and %f", (double)NAN, (double)NAN, "; nandu",
                -(double)NAN);
    ck_assert_str_eq(one.text, "unknown, then unknown; nandu and unknown");
    char longest[sizeof(one.text) + 10];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    doctor_text(&one, "%s", longest);
    ck_assert_uint_eq(strlen(one.text), sizeof(one.text) - 1);
    doctor_text(&one, "%.*s %f", (int)sizeof(one.text) - 6, longest, (double)NAN);
    ck_assert_str_eq(one.text + strlen(one.text) - 4, " nan"); /* no room for the word */
}
END_TEST

START_TEST(wrong_sign_of_either_side_is_red)
{
    f.games.corr_vz[1] = -0.4;
    is("value sign", "red");
    ck_assert_double_eq(of("value sign")->figure, -0.4);
    setup();
    f.games.corr_qz[0] = -0.3;
    is("value sign", "red");
    setup();
    f.games.corr_next = -0.9;
    is("value sign", "red");
    setup();
    f.games.won_q = -1;
    is("won moves", "red");
}
END_TEST

START_TEST(sign_of_a_net_that_knows_nothing_is_chance)
{
    f.games.corr_vz[0] = -0.05; /* one standard error of 400 games */
    is("value sign", "green");
    f.games.corr_vz[0] = -0.12;
    is("value sign", "yellow");
    f.games.distinct = 0.05; /* 20 different games: again chance */
    is("value sign", "green");
    f.games.n_vz[0] = f.games.n_vz[1] = 10; /* the newest net has hardly played */
    f.games.corr_vz[0] = -0.9;
    is("value sign", "green");
}
END_TEST

START_TEST(value_without_variance_has_collapsed_once_it_should_have_learnt)
{
    f.games.variance_share = 0.001;
    is("value collapsed", "red");
    f.learning.samples = 5000;
    is("value collapsed", "unknown");
}
END_TEST

START_TEST(play_without_noise_or_variety_is_red)
{
    f.games.noise_share = 0;
    is("exploration", "red");
    setup();
    f.games.temperature = 0;
    is("exploration", "yellow");
    setup();
    f.games.entropy = 0.02;
    is("exploration", "red");
    setup();
    f.games.distinct_from_start = 0.05;
    is("distinct games", "red");
    f.games.from_start = 0; /* all behind openings: judged as a whole */
    is("distinct games", "green");
    f.games.distinct = 0.4;
    is("distinct games", "red");
}
END_TEST

START_TEST(opening_collapse_is_judged_against_the_first_games)
{
    f.games.prefixes = 0.2;
    is("opening collapse", "red");
    f.games.first_prefixes = 0.3; /* tic-tac-toe has no more */
    is("opening collapse", "green");
    f.games.common_prefix = 0.7;
    is("opening collapse", "red");
}
END_TEST

START_TEST(search_that_adds_nothing_is_told)
{
    f.games.kld = 0.001;
    is("search adds", "red");
    setup();
    f.learning.judged[0].mistakes_search = 0.35;
    is("search adds", "red");
    setup();
    f.learning.judged[0].mistakes_search = NAN; /* the newest was not judged with search (yet) */
    is("search adds", "green");
}
END_TEST

START_TEST(net_that_plays_other_values_than_its_file_has_is_red)
{
    f.net.difference = 0.01;
    is("playing net", "red");
    f.net.rounding = DOCTOR_BF16_CELLS; /* that much it rounds */
    is("playing net", "green");
    f.net.difference = 0.2;
    is("playing net", "yellow");
    f.net.rounding = DOCTOR_BF16_POINTS;
    is("playing net", "green");
    f.net.difference = 0.9;
    is("playing net", "red");
    f.net.rounding = DOCTOR_FP32;
    f.net.difference = 0;
    (void)snprintf(f.net.trouble, sizeof(f.net.trouble), "truncated");
    is("playing net", "red");
    ck_assert_ptr_nonnull(strstr(of("playing net")->text, "truncated"));
    f.net = (struct doctor_net){.positions = 0};
    is("playing net", "unknown");
}
END_TEST

START_TEST(matches_of_equal_games_are_red)
{
    f.matches.distinct = 0.5;
    is("match games", "red");
}
END_TEST

START_TEST(false_resigns_must_be_certain_to_be_red)
{
    f.resigns.mistook = 14; /* 7 % of 200 */
    is("false resigns", "yellow");
    f.resigns.mistook = 30;
    is("false resigns", "red");
    f.resigns.played = 19;
    is("false resigns", "unknown");
    f.resigns.on = false;
    is("false resigns", "green");
}
END_TEST

START_TEST(too_many_samples_and_a_gap_to_held_out_games_are_told)
{
    for (int i = 0; i < 3; i++) {
        f.learning.trainings[i].samples = 50L * 20000;
    }
    is("samples per position", "red");
    setup();
    for (int i = 0; i < 3; i++) {
        f.learning.trainings[i].held_out_value_loss = 1.2;
    }
    is("overtraining", "red");
    setup();
    for (int i = 0; i < 3; i++) {
        f.learning.trainings[i].held_out_policy_gap = 0.45; /* 0.25 above the trained one */
    }
    is("overtraining", "yellow");
    f.learning.trainings[1].samples = 900;
    is("overtraining", "unknown");
}
END_TEST

START_TEST(value_that_has_turned_round_shows_in_the_suites_where_search_hides_it)
{
    for (uint32_t i = 0; i < DOCTOR_JUDGED; i++) {
        f.learning.judged[i].value_accuracy = 0.68;
    }
    is("value sign", "green");
    f.learning.judged[0].value_accuracy = 0.45;
    is("value sign", "yellow");
    f.learning.judged[0].value_accuracy = 0.25;
    is("value sign", "red");
    f.learning.judged[0].value_accuracy = NAN; /* the newest is not judged yet */
    is("value sign", "green");
}
END_TEST

START_TEST(trainings_that_fall_behind_play_are_told)
{
    for (int i = 0; i < 4; i++) {
        f.learning.trainings[i].new_positions = 40000; /* of which half the samples were drawn */
    }
    is("training pace", "yellow");
    for (int i = 0; i < 4; i++) {
        f.learning.trainings[i].new_positions = 200000;
    }
    is("training pace", "red");
    for (int i = 0; i < 4; i++) {
        f.learning.trainings[i].new_positions = i == 0 ? 30000 : 20000; /* one long wait is none */
    }
    is("training pace", "green");
    f.learning.n_trainings = 3;
    is("training pace", "unknown");
}
END_TEST

START_TEST(losses_that_are_no_number_or_worse_than_nothing_are_red)
{
    f.learning.trainings[0].value_loss = NAN;
    is("loss", "red");
    setup();
    f.learning.trainings[0].policy_loss = 1.9;
    is("loss", "red");
    f.learning.trainings[0].generation = 2; /* that is how they begin */
    is("loss", "green");
    setup();
    f.learning.trainings[0].failed = true;
    (void)snprintf(f.learning.failure, sizeof(f.learning.failure), "loss 51 is above 50");
    is("loss", "red");
    ck_assert_ptr_nonnull(strstr(of("loss")->text, "loss 51 is above 50"));
}
END_TEST

START_TEST(learning_rate_is_judged_by_itself_and_by_what_it_does)
{
    f.learning.trainings[0].learning_rate = 0.06;
    is("learning rate", "red");
    f.learning.trainings[0].sgd = true; /* where it is usual */
    is("learning rate", "green");
    setup();
    f.learning.trainings[0].policy_loss = 0.55 + 0.5;
    is("learning rate", "red");
}
END_TEST

START_TEST(nets_that_get_worse_are_told)
{
    for (int i = 0; i < 3; i++) {
        f.learning.judged[i].mistakes_net = 0.3;
    }
    is("strength", "red");
    setup();
    for (int i = 0; i < 3; i++) {
        f.learning.judged[i].mistakes_net = 0.25;
    }
    is("strength", "yellow");
    setup();
    for (uint32_t i = 0; i < f.learning.n_judged; i++) {
        f.learning.judged[i].mistakes_net = 0.72;
    }
    is("strength", "red"); /* no better than generation 0 */
    f.learning.n_judged = 5;
    is("strength", "unknown");
}
END_TEST

START_TEST(jump_of_the_loss_over_a_start_and_miscounted_positions_are_resume_damage)
{
    f.learning.started_at = f.learning.trainings[2].started_at - 1;
    is("resume", "green");
    for (int i = 0; i < 3; i++) {
        f.learning.trainings[i].policy_loss = 0.75 + 0.3;
    }
    is("resume", "red");
    f.learning.started_at = 0; /* the same without an interruption is something else */
    is("resume", "green");
    f.learning.trainings[4].new_positions += 5000;
    is("resume", "red");
}
END_TEST

START_TEST(gate_that_rejects_all_is_told)
{
    f.learning.gate = true;
    f.learning.rejected = 2;
    is("gate", "green");
    f.learning.rejected = 3;
    is("gate", "yellow");
    f.learning.rejected = 5;
    is("gate", "red");
}
END_TEST

START_TEST(daemon_that_cannot_write_or_keep_up_is_red)
{
    f.live.blocked = true;
    f.live.blocked_s = 3;
    is("store", "red");
    setup();
    f.live.queue_high_s = 61;
    is("writer backlog", "red");
    setup();
    f.live.refused = 20;
    is("records", "red");
    setup();
    f.disk.wal_bytes = 600e6;
    is("write-ahead log", "red");
}
END_TEST

START_TEST(disk_is_judged_by_days_and_by_bytes)
{
    f.disk.free_bytes = 5e9;
    is("disk", "red");
    f.disk.bytes_per_day = NAN;
    is("disk", "green");
    f.disk.free_bytes = 0.5e9;
    is("disk", "yellow");
    f.disk.free_bytes = 1e6;
    is("disk", "red");
}
END_TEST

START_TEST(unused_slots_and_stolen_time_are_told_but_not_while_play_waits)
{
    f.live.slots_used = 1.5;
    is("core slots", "red");
    f.live.workers = 2; /* so few were asked for */
    is("core slots", "yellow");
    f.live.paused = true;
    is("core slots", "green");
    setup();
    f.live.cores_used = 1;
    is("core slots", "yellow");
    f.live.cores_used = NAN;
    is("core slots", "green");
}
END_TEST

START_TEST(workers_that_crash_or_say_nothing_are_told)
{
    f.live.recent_exits = 1;
    is("workers", "yellow");
    f.live.crashes = 3;
    is("workers", "red");
    setup();
    f.live.silent_s = 12;
    is("worker silence", "yellow");
    f.live.silent_s = 31;
    is("worker silence", "red");
}
END_TEST

START_TEST(stall_is_measured_by_the_runs_own_pace)
{
    f.live.game_s = 59; /* usual are 1.5 s */
    is("stall", "green");
    f.live.game_s = 61;
    is("stall", "yellow");
    f.live.game_s = 121;
    is("stall", "red");
    f.games.seconds = 40000; /* usual are 100 s */
    is("stall", "green");
    f.live.game_s = 2100;
    is("stall", "red");
    f.live.paused = true;
    is("stall", "green");
    setup();
    f.games.games = 0; /* the first game of a large net takes its time */
    f.live.game_s = 1500;
    is("stall", "green");
    f.live.game_s = 4000;
    is("stall", "red");
    setup();
    f.live.training = true;
    f.live.training_silent_s = 901;
    is("stall", "red");
}
END_TEST

START_TEST(report_as_json_has_every_check_and_the_worst_state)
{
    f.live.silent_s = 40;
    doctor_diagnose(&f, &report);
    char *text = doctor_json(&report);
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(json_string_value(json_object_get(json, "state")), "red");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "red")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "generation")), 41);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "checks")), report.n);
    json_decref(json);
    free(text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        healthy_figures_are_green_in_every_check,
        figures_of_an_empty_store_are_unknown_and_never_red,
        figure_that_is_no_number_is_unknown_in_words,
        wrong_sign_of_either_side_is_red,
        sign_of_a_net_that_knows_nothing_is_chance,
        value_without_variance_has_collapsed_once_it_should_have_learnt,
        play_without_noise_or_variety_is_red,
        opening_collapse_is_judged_against_the_first_games,
        search_that_adds_nothing_is_told,
        net_that_plays_other_values_than_its_file_has_is_red,
        matches_of_equal_games_are_red,
        false_resigns_must_be_certain_to_be_red,
        too_many_samples_and_a_gap_to_held_out_games_are_told,
        value_that_has_turned_round_shows_in_the_suites_where_search_hides_it,
        trainings_that_fall_behind_play_are_told,
        losses_that_are_no_number_or_worse_than_nothing_are_red,
        learning_rate_is_judged_by_itself_and_by_what_it_does,
        nets_that_get_worse_are_told,
        jump_of_the_loss_over_a_start_and_miscounted_positions_are_resume_damage,
        gate_that_rejects_all_is_told,
        daemon_that_cannot_write_or_keep_up_is_red,
        disk_is_judged_by_days_and_by_bytes,
        unused_slots_and_stolen_time_are_told_but_not_while_play_waits,
        workers_that_crash_or_say_nothing_are_told,
        stall_is_measured_by_the_runs_own_pace,
        report_as_json_has_every_check_and_the_worst_state,
    };
    Suite *suite = suite_create("doctor");
    TCase *checks = tcase_create("doctor");
    tcase_add_checked_fixture(checks, setup, NULL);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        tcase_add_test(checks, tests[i]);
    }
    suite_add_tcase(suite, checks);
    return run_suite(suite);
}
