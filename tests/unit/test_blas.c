/* The proof of OpenBLAS: a right one passes fast; wrong, crashing and hanging ones are caught; the
 * program starts itself again with another kernel where it may. For the last this test program runs
 * itself as "test_blas prove MODE". */
#include "trainer/net/blas.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- products with one fault each; without a fault they are plain and right ---- */

enum fault {
    FAULT_NONE,
    FAULT_LAST_CELL,  /* C's last element is off by a thousandth */
    FAULT_TT_ONLY,    /* wrong only where both are transposed */
    FAULT_LARGE_ONLY, /* wrong only above 64 columns: a wide kernel's remainder */
    FAULT_BETA_NAN,   /* beta 0 multiplies instead of overwriting */
    FAULT_BETA,       /* beta ignored */
    FAULT_ALPHA,      /* alpha ignored */
    FAULT_PADDING,    /* writes behind a row */
    FAULT_GEMV,       /* sgemv takes the wrong transposition */
    FAULT_GEMV_BETA,  /* its beta is ignored */
    FAULT_CRASH,
    FAULT_HANG,
    N_FAULTS,
};
static enum fault fault;

static float start_of(float beta, float c)
{
    if (beta == 0.0F && fault != FAULT_BETA_NAN) {
        return 0.0F;
    }
    return fault == FAULT_BETA ? c : beta * c;
}

static void faulty_sgemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha,
                         const float *a, int lda, const float *b, int ldb, float beta, float *c,
                         int ldc)
{
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            float sum = 0.0F;
            for (int l = 0; l < k; l++) {
                sum += a[transpose_a ? l * lda + i : i * lda + l] *
                       b[transpose_b ? j * ldb + l : l * ldb + j];
            }
            float *to = &c[i * ldc + j];
            *to = (fault == FAULT_ALPHA ? sum : alpha * sum) + start_of(beta, *to);
        }
    }
    float *last = &c[(m - 1) * ldc + n - 1];
    if (fault == FAULT_LAST_CELL || (fault == FAULT_TT_ONLY && transpose_a && transpose_b) ||
        (fault == FAULT_LARGE_ONLY && n > 64)) {
        *last += 1e-3F;
    } else if (fault == FAULT_PADDING) {
        last[1] = 0.0F;
    } else if (fault == FAULT_CRASH) {
        signal(SIGSEGV, SIG_DFL); /* not the sanitizer's report, but what a user's program does */
        raise(SIGSEGV);
    } else if (fault == FAULT_HANG) {
        for (;;) {
            pause();
        }
    }
}

static void faulty_sgemv(bool transpose, int m, int n, float alpha, const float *a, int lda,
                         const float *x, float beta, float *y)
{
    bool columns = transpose != (fault == FAULT_GEMV && m == n);
    for (int i = 0; i < (transpose ? n : m); i++) {
        float sum = 0.0F;
        for (int l = 0; l < (transpose ? m : n); l++) {
            sum += a[columns ? l * lda + i : i * lda + l] * x[l];
        }
        y[i] = alpha * sum + (beta == 0.0F ? 0.0F : fault == FAULT_GEMV_BETA ? y[i] : beta * y[i]);
    }
}

static const struct blas_products faulty = {faulty_sgemm, faulty_sgemv};

/* ---- the check ---- */

START_TEST(this_machines_openblas_is_right_and_proven_fast)
{
    struct error err;
    struct timespec start;
    struct timespec end;
    blas_set_threads(1);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    int r = blas_check(&err);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    ck_assert_msg(r == 0, "%s", err.text);
    double ms =
        1e3 * (double)(end.tv_sec - start.tv_sec) + 1e-6 * (double)(end.tv_nsec - start.tv_nsec);
    printf("check: %.1f ms\n", ms);
    ck_assert_double_lt(ms, 2000.0); /* some 30 ms in a release build; this build may be any */
    ck_assert_int_gt((int)strlen(blas_corename()), 0);
}
END_TEST

START_TEST(plain_products_pass)
{
    struct error err;
    fault = FAULT_NONE;
    ck_assert_msg(blas_check_products(&faulty, &err) == 0, "%s", err.text);
}
END_TEST

START_TEST(each_fault_is_caught_and_named)
{
    struct error err;
    fault = (enum fault)_i;
    ck_assert_int_eq(blas_check_products(&faulty, &err), ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, blas_corename()));
    bool gemv = fault == FAULT_GEMV || fault == FAULT_GEMV_BETA;
    ck_assert_msg(strstr(err.text, gemv ? "sgemv " : "sgemm ") != NULL, "%s", err.text);
    if (fault == FAULT_TT_ONLY) {
        ck_assert_msg(strstr(err.text, "1x1x1 TT") != NULL, "%s", err.text);
    }
    if (fault == FAULT_LARGE_ONLY) {
        ck_assert_msg(strstr(err.text, "x65x") != NULL || strstr(err.text, "x80x") != NULL ||
                          strstr(err.text, "x200x") != NULL,
                      "%s", err.text);
    }
}
END_TEST

START_TEST(child_tells_its_parent_what_was_wrong)
{
    struct error err;
    fault = FAULT_NONE;
    ck_assert_int_eq(blas_check_in_child(&faulty, 60, &err), 0);
    fault = FAULT_LAST_CELL;
    ck_assert_int_eq(blas_check_in_child(&faulty, 60, &err), ERROR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "sgemm 1x1x1") != NULL, "%s", err.text);
}
END_TEST

START_TEST(crash_and_hang_of_the_child_count_as_failing)
{
    struct error err;
    fault = FAULT_CRASH;
    ck_assert_int_eq(blas_check_in_child(&faulty, 60, &err), ERROR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "crashed") != NULL, "%s", err.text);
    fault = FAULT_HANG;
    ck_assert_int_eq(blas_check_in_child(&faulty, 1, &err), ERROR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "did not finish its check in 1 s") != NULL, "%s", err.text);
}
END_TEST

/* ---- starting again ---- */

/* The line that "test_blas prove MODE" prints under that environment. */
static void run_prove(const char *environment, const char *mode, char *ret, size_t size)
{
    char self[PATH_MAX];
    char command[PATH_MAX + 256];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    ck_assert(length > 0);
    self[length] = '\0';
    snprintf(command, sizeof command,
             "env -u OPENBLAS_CORETYPE -u QZD_BLAS_PROVEN -u QZD_BLAS_TRIED %s '%s' prove %s",
             environment, self, mode);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    ck_assert_ptr_nonnull(fgets(ret, (int)size, pipe));
    ck_assert_int_eq(pclose(pipe), 0);
}

START_TEST(right_kernel_is_proven_without_starting_again)
{
    char line[600];
    run_prove("", "right", line, sizeof line);
    ck_assert_msg(strncmp(line, "0 tried=none coretype=none proven=", 34) == 0, "%s", line);
    ck_assert_msg(strstr(line, "OpenBLAS") != NULL, "%s", line);
}
END_TEST

START_TEST(wrong_kernel_is_replaced_once_by_the_first_that_passes)
{
    char line[600];
    run_prove("", "wrong-at-first", line, sizeof line);
    ck_assert_msg(strncmp(line, "0 tried=1 coretype=", 19) == 0, "%s", line);
    /* The library really runs the kernel that was chosen for it. */
    ck_assert_msg(strstr(line, "agrees=1") != NULL, "%s", line);
}
END_TEST

START_TEST(crashing_kernel_is_replaced_too)
{
    char line[600];
    run_prove("", "crash-at-first", line, sizeof line);
    ck_assert_msg(strncmp(line, "0 tried=1 coretype=", 19) == 0, "%s", line);
}
END_TEST

START_TEST(when_all_kernels_are_wrong_it_gives_up_and_says_so)
{
    char line[600];
    run_prove("", "wrong", line, sizeof line);
    ck_assert_msg(strncmp(line, "-10 ", 4) == 0, "%s", line);
    ck_assert_msg(strstr(line, "no kernel of this OpenBLAS") != NULL, "%s", line);
    ck_assert_msg(strstr(line, "sgemm 1x1x1") != NULL, "%s", line);
}
END_TEST

START_TEST(users_own_choice_is_tested_but_never_replaced)
{
    char line[600];
    run_prove("OPENBLAS_CORETYPE=Nehalem", "right", line, sizeof line);
    ck_assert_msg(strncmp(line, "0 tried=none coretype=Nehalem", 29) == 0, "%s", line);
    run_prove("OPENBLAS_CORETYPE=Nehalem", "wrong", line, sizeof line);
    ck_assert_msg(strncmp(line, "-10 tried=none coretype=Nehalem", 31) == 0, "%s", line);
    ck_assert_msg(strstr(line, "OPENBLAS_CORETYPE=Nehalem chose it") != NULL, "%s", line);
}
END_TEST

START_TEST(verdict_is_inherited_only_by_what_it_names)
{
    char line[600];
    run_prove("", "twice", line, sizeof line); /* the second time with wrong products, unasked */
    ck_assert_msg(strncmp(line, "0 tried=none", 12) == 0, "%s", line);
    run_prove("QZD_BLAS_PROVEN='Another OpenBLAS 9.9'", "wrong-at-first", line, sizeof line);
    ck_assert_msg(strncmp(line, "0 tried=1", 9) == 0, "%s", line);
}
END_TEST

static const char *or_none(const char *text)
{
    return text == NULL ? "none" : text;
}

static int prove_main(char **argv)
{
    struct error err = {{0}};
    const char *mode = argv[2];
    bool again = getenv("QZD_BLAS_TRIED") != NULL;
    fault = FAULT_NONE;
    if (strcmp(mode, "wrong") == 0 || (strcmp(mode, "wrong-at-first") == 0 && !again)) {
        fault = FAULT_LAST_CELL;
    } else if (strcmp(mode, "crash-at-first") == 0 && !again) {
        fault = FAULT_CRASH;
    }
    int r = strcmp(mode, "right") == 0 ? blas_prove(argv, &err)
                                       : blas_prove_products(&faulty, argv, &err);
    if (r == 0 && strcmp(mode, "twice") == 0) {
        fault = FAULT_LAST_CELL;
        r = blas_prove_products(&faulty, argv, &err);
    }
    const char *coretype = getenv("OPENBLAS_CORETYPE");
    printf("%d tried=%s coretype=%s proven=%s agrees=%d %s\n", r, or_none(getenv("QZD_BLAS_TRIED")),
           or_none(coretype), or_none(getenv("QZD_BLAS_PROVEN")),
           coretype != NULL && strcmp(coretype, blas_corename()) == 0, r < 0 ? err.text : "");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "prove") == 0) {
        return prove_main(argv);
    }
    Suite *suite = suite_create("blas");
    TCase *tests = tcase_create("blas");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, this_machines_openblas_is_right_and_proven_fast);
    tcase_add_test(tests, plain_products_pass);
    tcase_add_loop_test(tests, each_fault_is_caught_and_named, FAULT_NONE + 1, FAULT_CRASH);
    tcase_add_test(tests, child_tells_its_parent_what_was_wrong);
    tcase_add_test(tests, crash_and_hang_of_the_child_count_as_failing);
    tcase_add_test(tests, right_kernel_is_proven_without_starting_again);
    tcase_add_test(tests, wrong_kernel_is_replaced_once_by_the_first_that_passes);
    tcase_add_test(tests, crashing_kernel_is_replaced_too);
    tcase_add_test(tests, when_all_kernels_are_wrong_it_gives_up_and_says_so);
    tcase_add_test(tests, users_own_choice_is_tested_but_never_replaced);
    tcase_add_test(tests, verdict_is_inherited_only_by_what_it_names);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
