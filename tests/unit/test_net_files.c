#include "daemon/writer/net_files.h"

#include "storage/store_matches.h"
#include "store_fixture.h"
#include "tests/unit/run_suite.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void done(struct storage_task *task, int result, const struct error *err)
{
    (void)task;
    (void)result;
    (void)err;
}

static void file_of(const struct fixture *f, uint32_t generation, char *ret, size_t size)
{
    char sha256[RECORD_SHA256_BYTES];
    make_sha256(generation, sha256);
    snprintf(ret, size, "%s/nets/%s.safetensors", f->folder, sha256);
}

static bool has_file(const struct fixture *f, uint32_t generation)
{
    char path[PATH_MAX];
    file_of(f, generation, path, sizeof path);
    return access(path, F_OK) == 0;
}

static void touch(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

/* Generations 0 .. newest, each with a file; the newest is current. */
static void open_with_files(struct fixture *f, uint32_t newest)
{
    char path[PATH_MAX];
    fixture_open(f);
    snprintf(path, sizeof path, "%s/nets", f->folder);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    for (uint32_t generation = 0; generation <= newest; generation++) {
        ck_assert_int_eq(add_net(f, generation), generation + 1);
        file_of(f, generation, path, sizeof path);
        touch(path);
    }
}

static int run(struct fixture *f, struct storage_task *task)
{
    ck_assert_ptr_nonnull(task);
    int r = task->apply(task, f->store, &f->err);
    task->destroy(task);
    return r;
}

static int give_up(struct fixture *f, uint32_t keep, const char *teacher)
{
    static struct config config;
    config_default(&config);
    config.retention.nets = keep;
    config.evaluation.opponents = (struct config_opponents){.n = 1, .back = {1}};
    snprintf(config.teacher.net, sizeof config.teacher.net, "%s", teacher);
    return run(f, net_files_give_up(&config, done, NULL));
}

static void sweep(struct fixture *f)
{
    ck_ok(run(f, net_files_sweep(f->folder, done, NULL)));
}

/* Folders of the fixture must be empty for its end. */
static void close_with_files(struct fixture *f)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -r '%s/nets'", f->folder);
    ck_assert_int_eq(system(command), 0);
    fixture_close(f);
}

START_TEST(old_nets_go_but_for_the_newest_the_first_and_those_in_use)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    char sha256[RECORD_SHA256_BYTES];
    char teacher[PATH_MAX];
    int64_t match = 0;

    open_with_files(f, 60);
    make_sha256(7, sha256);
    snprintf(teacher, sizeof teacher, "%.12s", sha256);
    ck_ok(store_set_net_state(f->store, 1 + 9, "rejected", &f->err));
    const struct store_match row = {
        .net_a = 61, .net_b = 1 + 5, .nodes = 8, .planned_pairs = 1, .settings = (char[]){"{}"}};
    ck_ok(store_begin_match(f->store, &row, &match, &f->err));

    ck_assert_int_eq(give_up(f, 30, teacher), 28); /* 1 .. 30 less 5 and 7 */
    ck_assert(has_file(f, 2));
    sweep(f);
    for (uint32_t generation = 0; generation <= 60; generation++) {
        const bool kept = generation == 0 || generation == 5 || generation == 7 || generation > 30;
        ck_assert_msg(has_file(f, generation) == kept, "generation %u", generation);
    }
    ck_assert(sql_number(f, "SELECT count(*) FROM nets WHERE state = 'removed'") == 27);
    ck_assert(sql_number(f, "SELECT count(*) FROM nets WHERE state = 'rejected' AND file = ''") ==
              1);
    ck_assert_int_eq(give_up(f, 30, teacher), 0);

    ck_assert_int_ge(store_end_match(f->store, match, "counts", NAN, 9, &f->err), 0);
    ck_assert_int_eq(give_up(f, 30, "8"),
                     1); /* id 8 is generation 7: still in use, now by its id */
    sweep(f);
    ck_assert(!has_file(f, 5));
    ck_assert(has_file(f, 7));
    close_with_files(f);
}
END_TEST

START_TEST(twenty_generations_stay_in_any_case)
{
    struct fixture fixture;
    struct fixture *f = &fixture;

    open_with_files(f, 30);
    ck_assert_int_eq(give_up(f, 1, "none"), 9); /* 1 .. 9; 21 = 1 + 20 behind the newest stay */
    close_with_files(f);
}
END_TEST

START_TEST(sweep_leaves_what_is_no_net_of_the_store)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    char path[PATH_MAX];

    open_with_files(f, 30);
    snprintf(path, sizeof path, "%s/nets/notes.txt", f->folder);
    touch(path);
    char stranger[PATH_MAX];
    file_of(f, 999, stranger, sizeof stranger); /* written, and its row not yet */
    touch(stranger);
    ck_assert_int_gt(give_up(f, 20, "none"), 0);
    sweep(f);
    sweep(f); /* again: nothing more */
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_eq(access(stranger, F_OK), 0);
    ck_assert(!has_file(f, 1));

    snprintf(path, sizeof path, "%s/no-such-folder", f->folder);
    ck_assert_int_eq(run(f, net_files_sweep(path, done, NULL)), ERROR_PERMISSION);
    close_with_files(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net_files");
    TCase *tests = tcase_create("net_files");
    tcase_add_test(tests, old_nets_go_but_for_the_newest_the_first_and_those_in_use);
    tcase_add_test(tests, twenty_generations_stay_in_any_case);
    tcase_add_test(tests, sweep_leaves_what_is_no_net_of_the_store);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
