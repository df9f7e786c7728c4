#include "daemon/writer/training_tasks.h"

#include "store_fixture.h"
#include "tests/unit/run_suite.h"

static void done(struct storage_task *task, int result, const struct error *err)
{
    (void)task;
    (void)result;
    (void)err;
}

/* Begin a training on what is committed and return its row; `samples_per_position` 4. */
static struct training_row begin(struct fixture *f, int64_t max_samples, int64_t every_max,
                                 int64_t *ret_counted)
{
    static struct config config;
    config_default(&config);
    config.training.max_samples = max_samples;
    config.training.every_max = every_max;
    config.training.params.samples_per_position = 4;
    const struct scheduler_settings settings = {
        .window_c = 1, .window_alpha = 0.75, .window_beta = 0.4};
    struct training_begin_task *task = training_begin_create(&config, &settings, done, NULL);
    ck_assert_ptr_nonnull(task);
    snprintf(task->state_dir, sizeof task->state_dir, "/nowhere");
    snprintf(task->parent_file, sizeof task->parent_file, "nets/0.safetensors");
    task->parent_id = 1;
    task->generation = 1;
    task->threads = 1;
    ck_ok(task->task.apply(&task->task, f->store, &f->err));
    struct training_row row = task->row;
    task->row = (struct training_row){0};
    task->task.destroy(&task->task);

    struct train_job_file *file = NULL;
    ck_ok(train_job_parse(row.training.settings, "/nowhere", &file, &f->err));
    *ret_counted = file->job.new_positions;
    free(file);
    return row;
}

START_TEST(samples_are_those_of_the_new_positions_up_to_a_bound)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t counted = 0;

    open_with_net(f);
    for (unsigned i = 0; i < 10; i++) {
        put_game(f, i, 30, 1, NULL);
    }
    const int64_t fresh = (int64_t)sql_number(f, "SELECT sum(full_positions) FROM games");
    ck_assert_int_ge(fresh, 100);
    const struct {
        int64_t max_samples, every_max, samples;
    } cases[] = {
        {CONFIG_AUTO, 20000, 4 * fresh}, /* far from the bound */
        {CONFIG_AUTO, fresh / 4,
         8 * (fresh / 4)},         /* twice as many positions as a training waits for at most */
        {4 * fresh, 1, 4 * fresh}, /* just at it */
        {4 * fresh - 4, 20000, 4 * fresh - 4},
        {1, 20000, 4}, /* one position at least */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct training_row row = begin(f, cases[i].max_samples, cases[i].every_max, &counted);
        ck_assert_int_eq(row.training.samples, cases[i].samples);
        ck_assert_int_eq(row.training.new_positions, fresh); /* counted as they are, all the same */
        ck_assert_int_ge(row.training.positions, fresh);     /* and in the window */
        ck_assert_int_eq(4 * counted, cases[i].samples);
        ck_ok(store_finish_training(f->store, row.id, &row.training, 0, "the next case", &f->err));
        training_row_finish(&row);
    }
    fixture_close(f);
}
END_TEST

START_TEST(training_without_new_games_does_not_begin)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    static struct config config;
    const struct scheduler_settings settings = {
        .window_c = 1, .window_alpha = 0.75, .window_beta = 0.4};

    open_with_net(f);
    config_default(&config);
    struct training_begin_task *task = training_begin_create(&config, &settings, done, NULL);
    ck_assert_int_eq(task->task.apply(&task->task, f->store, &f->err), ERROR_INVALID);
    task->task.destroy(&task->task);
    fixture_close(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training_tasks");
    TCase *tests = tcase_create("training_tasks");
    tcase_add_test(tests, samples_are_those_of_the_new_positions_up_to_a_bound);
    tcase_add_test(tests, training_without_new_games_does_not_begin);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
