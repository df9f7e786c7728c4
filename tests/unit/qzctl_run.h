/* The real qzctl as a process on a scratch state directory: what its tests share. */
#ifndef TESTS_UNIT_QZCTL_RUN_H
#define TESTS_UNIT_QZCTL_RUN_H

#include "mcts/games/connect4.h"
#include "tests/unit/random_net.h"
#include "tests/unit/scratch_store.h"

#include <jansson.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define QZCTL BUILD_DIR "/qzctl"

static struct fixture fixture; /* folder is the state directory */
static char net_file[256];
static char text[1 << 20]; /* what the last run printed, standard error included */

static inline void make_state(void)
{
    char folder[128];
    char sha256[RECORD_SHA256_BYTES];
    fixture_open(&fixture);
    struct fixture *f = &fixture;
    snprintf(folder, sizeof folder, "%s/nets", fixture.folder);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    struct net *net = random_net(&connect4, NET_VALUE_WDL, 5, 0.3);
    ck_ok(net_save_by_hash(net, folder, sha256, &f->err));
    net_destroy(net);
    snprintf(net_file, sizeof net_file, "%s/%s.safetensors", folder, sha256);
    scratch_fill(&fixture, sha256);
    store_close(fixture.store);
    fixture.store = NULL;
}

static inline void remove_state(void)
{
    char folder[128];
    unlink(net_file);
    snprintf(folder, sizeof folder, "%s/nets", fixture.folder);
    rmdir(folder);
    fixture_close(&fixture);
}

/* Run "qzctl --state DIR ..." by the shell; its exit code, and its output in `text`. */
static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...)
{
    char arguments[1024];
    char command[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    snprintf(command, sizeof command, "%s --state %s 2>&1 %s", QZCTL, fixture.folder, arguments);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t n = fread(text, 1, sizeof text - 1, pipe);
    text[n] = '\0';
    int status = pclose(pipe);
    ck_assert_msg(WIFEXITED(status), "%s: killed by a signal: %s", command, text);
    return WEXITSTATUS(status);
}

#define ck_run(code, ...)                                                            \
    do {                                                                             \
        int ck_run_code = run(__VA_ARGS__);                                          \
        ck_assert_msg(ck_run_code == (code), "exit code %d: %s", ck_run_code, text); \
    } while (0)
#define ck_says(part) ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text)

static inline json_t *object(void)
{
    json_t *value = json_loads(text, 0, NULL);
    ck_assert_msg(json_is_object(value), "no JSON object: %s", text);
    return value;
}

#endif
