#include "storage/record_file.h"

#include "storage/record_message.h"
#include "store_fixture.h"
#include "tests/unit/run_suite.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* A game of n positions made from the seed. */
static void append_game(struct record_file *file, uint64_t number, uint32_t n)
{
    uint64_t random = number;
    struct record_start start = make_start(number);
    struct record_end end = make_end(n, 1, 9);
    struct record_position positions[8];
    Qzd__Position messages[8];
    Qzd__Position *pointers[8];
    Qzd__GameStart start_message;
    Qzd__GameEnd end_message;
    struct error err = {""};
    record_start_to_message(&start, &start_message);
    record_end_to_message(start.uid, &end, &end_message);
    for (uint32_t i = 0; i < n; i++) {
        positions[i] = make_position(&random, i);
        record_position_to_message(start.uid, &positions[i], &messages[i]);
        pointers[i] = &messages[i];
    }
    Qzd__Game game = QZD__GAME__INIT;
    game.start = &start_message;
    game.end = &end_message;
    game.n_positions = n;
    game.positions = pointers;
    ck_assert_msg(record_file_append(file, &game, &err) == 0, "%s", err.text);
}

/* Read all games; returns how many were good, *ret is what ended it. */
static int read_all(const char *path, int *ret, struct error *err)
{
    struct record_file *file = NULL;
    int n = 0;
    *ret = record_file_read(path, &file, err);
    if (*ret < 0) {
        return 0;
    }
    Qzd__Game *game = NULL;
    while ((*ret = record_file_next(file, &game, err)) == 1) {
        struct record_start expected = make_start((uint64_t)n + 1);
        ck_assert_str_eq(game->start->uid, expected.uid);
        ck_assert_uint_eq(game->n_positions, (size_t)n + 2);
        qzd__game__free_unpacked(game, NULL);
        n++;
    }
    record_file_close(file);
    return n;
}

static void write_games(struct fixture *f, int64_t *ret_ends)
{
    struct record_file *file = NULL;
    struct stat status;
    fixture_folder(f);
    for (uint32_t i = 0; i < 3; i++) { /* each time anew: appending goes behind what is there */
        ck_ok(record_file_append_to(f->path, &file, &f->err));
        append_game(file, i + 1, i + 2);
        ck_ok(record_file_sync(file, &f->err));
        record_file_close(file);
        ck_assert_int_eq(stat(f->path, &status), 0);
        ret_ends[i] = status.st_size;
    }
}

START_TEST(games_come_back_in_order)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t ends[3];
    int r = 0;
    write_games(f, ends);
    ck_assert_int_eq(read_all(f->path, &r, &f->err), 3);
    ck_assert_int_eq(r, 0);
    fixture_close(f);
}
END_TEST

START_TEST(every_truncation_is_refused_with_its_offset_and_left_alone)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t ends[3];
    write_games(f, ends);
    for (int64_t size = ends[2] - 1; size > 0; size--) {
        struct record_file *file = NULL;
        struct stat status;
        char offset[32];
        int r = 0;
        ck_assert_int_eq(truncate(f->path, size), 0);
        int n = read_all(f->path, &r, &f->err);
        int n_whole = size >= ends[1] ? 2 : size >= ends[0] ? 1 : 0;
        bool between = size == ends[1] || size == ends[0] || size == 8;
        ck_assert_int_eq(n, n_whole);
        ck_assert_msg(r == (between    ? 0
                            : size < 8 ? ERROR_INVALID
                                       : ERROR_CORRUPT),
                      "%lld bytes: %d", (long long)size, r);
        if (r == ERROR_CORRUPT) {
            snprintf(offset, sizeof offset,
                     "byte %lld:", (long long)(n_whole == 0 ? 8 : ends[n_whole - 1]));
            ck_assert_msg(strstr(f->err.text, offset) != NULL, "%s", f->err.text);
        }
        int appended = record_file_append_to(f->path, &file, &f->err);
        ck_assert_int_eq(appended, r);
        record_file_close(file);
        ck_assert_int_eq(stat(f->path, &status), 0);
        ck_assert_int_eq(status.st_size, size);
    }
    fixture_close(f);
}
END_TEST

START_TEST(every_changed_byte_is_seen)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    int64_t ends[3];
    write_games(f, ends);
    FILE *file = fopen(f->path, "r+b");
    for (long at = 0; at < ends[2]; at++) {
        int r = 0;
        fseek(file, at, SEEK_SET);
        int byte = fgetc(file);
        fseek(file, at, SEEK_SET);
        fputc(byte ^ 0x10, file);
        fflush(file);
        int n = read_all(f->path, &r, &f->err);
        ck_assert_msg(r < 0 && n == (at < ends[0]   ? 0
                                     : at < ends[1] ? 1
                                                    : 2),
                      "byte %ld: %d games, %d", at, n, r);
        fseek(file, at, SEEK_SET);
        fputc(byte, file);
        fflush(file);
    }
    fclose(file);
    fixture_close(f);
}
END_TEST

START_TEST(other_files_and_missing_ones_are_refused)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct record_file *file = NULL;
    fixture_folder(f);
    ck_assert_int_eq(record_file_read(f->path, &file, &f->err), ERROR_NOT_FOUND);
    FILE *stream = fopen(f->path, "wb");
    fputs("SQLite format 3", stream);
    fclose(stream);
    ck_assert_int_eq(record_file_read(f->path, &file, &f->err), ERROR_INVALID);
    ck_assert_int_eq(record_file_append_to(f->path, &file, &f->err), ERROR_INVALID);
    ck_assert_ptr_null(file);
    fixture_close(f);
}
END_TEST

START_TEST(full_disk_says_so)
{
    struct record_file *file = NULL;
    struct error err = {""};
    ck_assert_int_eq(record_file_append_to("/dev/full", &file, &err), ERROR_FULL);
    ck_assert_ptr_null(file);
}
END_TEST

/* A limit of the file's size stands for a disk that fills up within a frame. */
START_TEST(game_that_cannot_be_written_whole_leaves_nothing)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct record_file *file = NULL;
    struct stat status;
    int64_t ends[3];
    int r = 0;
    write_games(f, ends);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {(rlim_t)ends[2] + 40, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_ok(record_file_append_to(f->path, &file, &f->err));
    Qzd__GameStart start = QZD__GAME_START__INIT;
    Qzd__GameEnd end = QZD__GAME_END__INIT;
    char text[200];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    start.uid = start.kind = start.game = start.host = start.opening = text;
    end.uid = end.reason = text;
    Qzd__Game game = QZD__GAME__INIT;
    game.start = &start;
    game.end = &end;
    ck_assert_int_lt(record_file_append(file, &game, &f->err), 0);
    ck_assert_int_eq(stat(f->path, &status), 0);
    ck_assert_int_eq(status.st_size, ends[2]);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    append_game(file, 4, 5);
    record_file_close(file);
    ck_assert_int_eq(read_all(f->path, &r, &f->err), 4);
    ck_assert_int_eq(r, 0);
    fixture_close(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record_file");
    TCase *tests = tcase_create("record_file");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, games_come_back_in_order);
    tcase_add_test(tests, every_truncation_is_refused_with_its_offset_and_left_alone);
    tcase_add_test(tests, every_changed_byte_is_seen);
    tcase_add_test(tests, other_files_and_missing_ones_are_refused);
    tcase_add_test(tests, full_disk_says_so);
    tcase_add_test(tests, game_that_cannot_be_written_whole_leaves_nothing);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
