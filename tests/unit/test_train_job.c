#include "daemon/train_job.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct train_job usual(void)
{
    struct train_job job = {
        .state_dir = "/somewhere",
        .line = "main",
        .parent_file = "nets/aa.safetensors",
        .generation = 12,
        .first_seq = 100,
        .last_seq = 9000000000,
        .new_positions = 8123,
        .samples_before = 123456789012,
        .seed = UINT64_MAX - 5,
        .targets = {.q_ratio = 0.3F, .lambda = 0.9F, .q = Q_GREEDY, .teacher_value = 0.1F},
        .teacher_policy = 0.7F,
        .teacher_temperature = 1.3F,
        .teacher_file = "/nets/teacher",
        .params = train_params_default};
    job.params.learning_rate.n = 3;
    for (uint32_t i = 0; i < 3; i++) {
        job.params.learning_rate.samples[i] = 1000000 * (int64_t)i;
        job.params.learning_rate.rate[i] = 0.1 / (1 + i);
    }
    job.params.optimizer = OPTIMIZER_SGD;
    job.params.threads = 3;
    job.params.mirror = !job.params.mirror;
    return job;
}

static void check_equal(const struct train_job *a, const struct train_job *b)
{
    ck_assert_str_eq(a->line, b->line);
    ck_assert_str_eq(a->parent_file, b->parent_file);
    ck_assert_uint_eq(a->generation, b->generation);
    ck_assert_int_eq(a->first_seq, b->first_seq);
    ck_assert_int_eq(a->last_seq, b->last_seq);
    ck_assert_int_eq(a->new_positions, b->new_positions);
    ck_assert_int_eq(a->samples_before, b->samples_before);
    ck_assert_uint_eq(a->seed, b->seed);
    ck_assert(a->targets.q_ratio == b->targets.q_ratio && a->targets.lambda == b->targets.lambda);
    ck_assert(a->targets.q == b->targets.q && a->targets.teacher_value == b->targets.teacher_value);
    ck_assert(a->teacher_policy == b->teacher_policy);
    ck_assert(a->teacher_temperature == b->teacher_temperature);
}

START_TEST(job_comes_back_as_it_was_and_says_the_same_again)
{
    struct train_job job = usual();
    struct train_job_file *file = NULL;
    struct error err = {.text = ""};
    char *json = train_job_json(&job);
    ck_assert_ptr_nonnull(json);
    ck_assert_ptr_null(strstr(json, "somewhere"));
    ck_assert_ptr_nonnull(strstr(json, "\"q_ratio\":0.3,")); /* not 0.30000001192092896 */
    ck_assert_msg(train_job_parse(json, "/elsewhere", &file, &err) == 0, "%s", err.text);
    check_equal(&file->job, &job);
    ck_assert_str_eq(file->job.state_dir, "/elsewhere");
    ck_assert_str_eq(file->job.teacher_file, "/nets/teacher");
    char *again = train_job_json(&file->job); /* covers every parameter */
    ck_assert_str_eq(json, again);
    free(again);
    free(file);

    job.teacher_file = NULL;
    char *alone = train_job_json(&job);
    ck_assert_int_eq(train_job_parse(alone, "/x", &file, &err), 0);
    ck_assert_ptr_null(file->job.teacher_file);
    free(file);
    free(alone);
    free(json);
}
END_TEST

START_TEST(job_cut_off_anywhere_is_refused)
{
    struct train_job job = usual();
    char *json = train_job_json(&job);
    for (size_t n = 0; n < strlen(json); n++) {
        struct train_job_file *file = NULL;
        struct error err = {.text = ""};
        char *cut = strndup(json, n);
        ck_assert_int_eq(train_job_parse(cut, "/x", &file, &err), ERROR_INVALID);
        ck_assert(err.text[0] != '\0');
        free(cut);
    }
    free(json);
}
END_TEST

START_TEST(job_with_a_value_out_of_range_is_refused)
{
    static const char *const changes[][2] = {{"\"threads\":3", "\"threads\":0"},
                                             {"\"optimizer\":\"sgd\"", "\"optimizer\":\"x\""},
                                             {"\"q\":\"greedy\"", "\"q\":\"mean\""},
                                             {"\"generation\":12", "\"generation\":-1"},
                                             {"\"generation\":12", "\"generation\":\"\""},
                                             {"\"q_ratio\":0.3", "\"q_ratio\":1.3"},
                                             {"\"lambda\":0.9", "\"lambda\":-0.9"},
                                             {"\"temperature\":1.3", "\"temperature\":0"},
                                             {"\"temperature\":1.3", "\"temperature\":3e77"}};
    struct train_job job = usual();
    char *json = train_job_json(&job);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct train_job_file *file = NULL;
        char changed[4096] = "";
        const char *at = strstr(json, changes[i][0]);
        ck_assert_msg(at != NULL, "%s not in %s", changes[i][0], json);
        (void)snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - json), json, changes[i][1],
                       at + strlen(changes[i][0]));
        ck_assert_msg(train_job_parse(changed, "/x", &file, NULL) == ERROR_INVALID, "%s",
                      changes[i][1]);
    }
    free(json);
}
END_TEST

START_TEST(result_comes_back_with_its_unknown_figures_unknown)
{
    struct train_result result = {.steps = 12,
                                  .samples = 3000,
                                  .positions = 4,
                                  .rows_without_q = 5,
                                  .policy_loss = 1.25,
                                  .policy_entropy = 1,
                                  .value_loss = 0.5,
                                  .held_out_positions = 0,
                                  .held_out_policy_loss = NAN,
                                  .held_out_policy_entropy = NAN,
                                  .held_out_value_loss = NAN,
                                  .grad_norm = 0.1,
                                  .learning_rate = 0.002,
                                  .samples_per_s = 1e5};
    struct train_result got;
    memset(result.net_sha256, 'a', sizeof(result.net_sha256) - 1);
    char *json = train_result_json(&result);
    ck_assert_int_eq(train_result_parse(json, &got, NULL), 0);
    ck_assert_str_eq(got.net_sha256, result.net_sha256);
    ck_assert(got.steps == 12 && got.samples == 3000 && got.positions == 4);
    ck_assert(got.rows_without_q == 5 && got.policy_loss == 1.25 && got.value_loss == 0.5);
    ck_assert(isnan(got.held_out_policy_loss) && isnan(got.held_out_value_loss));
    ck_assert(got.learning_rate == 0.002 && got.samples_per_s == 1e5 && got.grad_norm == 0.1);
    free(json);
    ck_assert_int_eq(train_result_parse("{\"net_sha256\": \"abc\"}", &got, NULL), ERROR_INVALID);
    ck_assert_int_eq(train_result_parse("nothing", &got, NULL), ERROR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train_job");
    TCase *tcase = tcase_create("train_job");

    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, job_comes_back_as_it_was_and_says_the_same_again);
    tcase_add_test(tcase, job_cut_off_anywhere_is_refused);
    tcase_add_test(tcase, job_with_a_value_out_of_range_is_refused);
    tcase_add_test(tcase, result_comes_back_with_its_unknown_figures_unknown);
    return run_suite(suite);
}
