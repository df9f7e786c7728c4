/* OpenBLAS reads OPENBLAS_CORETYPE in its constructor, before main: another kernel needs another
 * process image. So blas_prove() walks the list of kernels by executing itself; where it stands in
 * the list is in the environment:
 *
 *     no CORETYPE --check fails--> CORETYPE=list[0], QZD_BLAS_TRIED=1 --check fails--> list[1], 2 ...
 *     CORETYPE without QZD_BLAS_TRIED is the user's own: checked, never replaced. */
#include "trainer/net/blas.h"

#include <cblas.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CORETYPE_VARIABLE "OPENBLAS_CORETYPE"
#define PROVEN_VARIABLE   "QZD_BLAS_PROVEN"
#define TRIED_VARIABLE    "QZD_BLAS_TRIED"

enum { CHILD_SECONDS = 10, MAX_LIST = 4 };

static void openblas_sgemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha,
                           const float *a, int lda, const float *b, int ldb, float beta, float *c,
                           int ldc)
{
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c,
                ldc);
}

static void openblas_sgemv(bool transpose, int m, int n, float alpha, const float *a, int lda,
                           const float *x, float beta, float *y)
{
    cblas_sgemv(CblasRowMajor, transpose ? CblasTrans : CblasNoTrans, m, n, alpha, a, lda, x, 1,
                beta, y, 1);
}

static const struct blas_products openblas = {openblas_sgemm, openblas_sgemv};

const char *blas_corename(void)
{
    return openblas_get_corename();
}

void blas_set_threads(int n)
{
    openblas_set_num_threads(n);
}

int blas_check(struct error *err)
{
    return blas_check_products(&openblas, err);
}

/* The child's side: the sentence goes through the pipe, the code is the exit status. */
static _Noreturn void child_main(const struct blas_products *products, unsigned seconds, int fd)
{
    struct error err = {0};
    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
    alarm(seconds);
    int r = blas_check_products(products, &err);
    if (r < 0 && write(fd, err.text, strlen(err.text)) < 0) {
        _exit(2);
    }
    _exit(r < 0 ? 1 : 0);
}

static size_t read_all(int fd, char *text, size_t size)
{
    size_t n = 0;
    while (n < size) {
        ssize_t got = read(fd, text + n, size - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    return n;
}

static int judge_child(int status, const char *text, unsigned seconds, struct error *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return 0;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        return error_set(err, ERROR_UNSUPPORTED,
                         "OpenBLAS kernel %s did not finish its check in %u s", blas_corename(),
                         seconds);
    }
    if (WIFSIGNALED(status)) {
        return error_set(err, ERROR_UNSUPPORTED, "OpenBLAS kernel %s crashed in its check: %s",
                         blas_corename(), strsignal(WTERMSIG(status)));
    }
    return error_set(err, ERROR_UNSUPPORTED, "%s",
                     text[0] != '\0' ? text : "OpenBLAS ended the process that checked it");
}

int blas_check_in_child(const struct blas_products *products, unsigned seconds, struct error *err)
{
    int fds[2];
    if (pipe(fds) < 0) {
        return error_set(err, error_from_errno(errno), "checking OpenBLAS: no pipe: %s",
                         strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        child_main(products, seconds, fds[1]);
    }
    int fork_error = errno;
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return error_set(err, error_from_errno(fork_error), "checking OpenBLAS: no process: %s",
                         strerror(fork_error));
    }
    char text[sizeof err->text] = "";
    text[read_all(fds[0], text, sizeof text - 1)] = '\0';
    close(fds[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return judge_child(status, text, seconds, err);
}

/* Kernels to fall back on, fastest first, that this processor has the instructions for. */
static int list_kernels(const char *ret[MAX_LIST])
{
    int n = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        ret[n++] = "Haswell";
        ret[n++] = "Zen";
    }
    if (__builtin_cpu_supports("avx")) {
        ret[n++] = "Sandybridge";
    }
    ret[n++] = "Nehalem";
#elif defined(__aarch64__)
    ret[n++] = "ARMV8";
#endif
    return n;
}

static void verdict(char *text, size_t size)
{
    snprintf(text, size, "%s %s", blas_corename(), openblas_get_config());
}

/* Execute this program again with the next kernel; comes back only when there is none or on failure. */
static int execute_again(long tried, char *const argv[], struct error *err)
{
    const char *kernels[MAX_LIST];
    char number[24];
    if (tried >= list_kernels(kernels)) {
        return error_prefix(
            err, ERROR_UNSUPPORTED,
            "no kernel of this OpenBLAS computes rightly on this processor; install "
            "another OpenBLAS");
    }
    snprintf(number, sizeof number, "%ld", tried + 1);
    if (setenv(CORETYPE_VARIABLE, kernels[tried], 1) < 0 || setenv(TRIED_VARIABLE, number, 1) < 0) {
        return error_set(err, ERROR_NO_MEMORY, "no memory for %s", CORETYPE_VARIABLE);
    }
    execv("/proc/self/exe", argv);
    int code = error_from_errno(errno);
    return error_prefix(err, code, "cannot start again with another kernel (%s)", strerror(errno));
}

int blas_prove_products(const struct blas_products *products, char *const argv[], struct error *err)
{
    char running[512];
    const char *proven = getenv(PROVEN_VARIABLE);
    const char *chosen = getenv(CORETYPE_VARIABLE);
    const char *tried = getenv(TRIED_VARIABLE);

    blas_set_threads(1);
    verdict(running, sizeof running);
    if (proven != NULL && strcmp(proven, running) == 0) {
        return 0;
    }
    struct error why;
    int r = blas_check_in_child(products, CHILD_SECONDS, &why);
    if (r == 0) {
        if (setenv(PROVEN_VARIABLE, running, 1) < 0) {
            return error_set(err, ERROR_NO_MEMORY, "no memory for %s", PROVEN_VARIABLE);
        }
        return 0;
    }
    if (r != ERROR_UNSUPPORTED) {
        return error_set(err, r, "%s", why.text);
    }
    if (chosen != NULL && tried == NULL) {
        return error_set(err, r, "%s; %s=%s chose it: unset that", why.text, CORETYPE_VARIABLE,
                         chosen);
    }
    r = execute_again(tried == NULL ? 0 : strtol(tried, NULL, 10), argv, &why);
    return error_set(err, r, "%s", why.text);
}

int blas_prove(char *const argv[], struct error *err)
{
    return blas_prove_products(&openblas, argv, err);
}
