#include "storage/store_speed.h"

#include "storage/clock.h"
#include "storage/policy.h"
#include "storage/store.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLIES = 30, GROUP_POSITIONS = 500, VISITS = 799 };

static const char sha256[] = "00000000000000000000000000000000"
                             "00000000000000000000000000000000";

static int add_net(struct store *store, struct error *err)
{
    int64_t id = 0;
    struct store_net net = {.line = "main",
                            .game = "connect4",
                            .arch = (char[]){"{}"},
                            .origin = "new",
                            .file = "nets/none",
                            .state = "current"};

    memcpy(net.sha256, sha256, sizeof(sha256));
    return store_add_net(store, &net, &id, err);
}

/* A position as large as one of Connect Four. */
static int make_position(uint32_t ply, struct record_position *ret, struct error *err)
{
    struct policy_entry entries[7];

    *ret = (struct record_position){.ply = ply,
                                    .kind = POSITION_FULL,
                                    .proven = PROVEN_NONE,
                                    .action = 3,
                                    .best_action = 3,
                                    .nodes = VISITS + 1,
                                    .m = NAN};
    for (uint16_t i = 0; i < 7; i++) {
        entries[i] = (struct policy_entry){i, i == 3 ? VISITS - 6 * 20 : 20};
    }
    int size = policy_encode(entries, 7, ret->policy);
    if (size < 0) {
        return error_set(err, ERROR_INVALID, "a policy that does not encode");
    }
    ret->policy_bytes = (uint16_t)size;
    return 0;
}

/* One game of PLIES positions; a commit behind each `group` of rows, counted in *commits. */
static int put_game(struct store *store, uint32_t group, uint64_t *commits, struct error *err)
{
    const struct record_search search = {sha256, "bench", "bench", "{}"};
    struct record_start start = {
        .kind = GAME_SELFPLAY, .game = "connect4", .host = "bench", .opening = ""};
    const struct record_end end = {
        .reason = "rules", .plies = PLIES, .would_resign_ply = -1, .would_resign_side = -1};
    struct record_position position;

    record_uid_draw(start.uid);
    int r = store_put_start(store, &start, 0, err);
    for (uint32_t ply = 0; ply < PLIES && r >= 0; ply++) {
        r = make_position(ply, &position, err);
        r = r < 0 ? r : store_put_position(store, start.uid, &search, &position, err);
        if (r >= 0 && store_pending(store) >= group) {
            r = store_commit(store, err);
            (*commits)++;
        }
    }
    return r < 0 ? r : store_put_end(store, start.uid, &end, err);
}

static int fill(struct store *store, double seconds, uint32_t group, double *ret_commits,
                double *ret_positions, struct error *err)
{
    const double begin = clock_seconds(CLOCK_MONOTONIC);
    uint64_t commits = 0;
    uint64_t games = 0;
    int r = 0;

    do {
        r = put_game(store, group, &commits, err);
        games++;
    } while (r >= 0 && clock_seconds(CLOCK_MONOTONIC) - begin < seconds);
    r = r < 0 ? r : store_commit(store, err);
    const double took = clock_seconds(CLOCK_MONOTONIC) - begin;
    *ret_commits = (double)commits / took;
    *ret_positions = (double)(games * PLIES) / took;
    return r;
}

static void remove_folder(const char *folder)
{
    static const char *const files[] = {"qzd.db", "qzd.db-wal", "qzd.db-shm"};
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

int store_measure(const char *folder, double seconds, struct store_speed *ret, struct error *err)
{
    char own[PATH_MAX - 16];
    char path[PATH_MAX];
    struct store *store = NULL;
    double unused = 0;

    int n = snprintf(own, sizeof(own), "%s/qzd-bench-XXXXXX", folder);
    if (n < 0 || (size_t)n >= sizeof(own)) {
        return error_set(err, ERROR_INVALID, "%s: the path is too long", folder);
    }
    if (mkdtemp(own) == NULL) {
        return error_set(err, error_from_errno(errno), "%s: %s", folder, strerror(errno));
    }
    (void)snprintf(path, sizeof(path), "%s/qzd.db", own);
    int r = store_open(path, STORE_CREATE, &store, err);
    r = r < 0 ? r : add_net(store, err);
    r = r < 0 ? r : fill(store, seconds / 2, 1, &ret->commits, &unused, err);
    r = r < 0 ? r : fill(store, seconds / 2, GROUP_POSITIONS, &unused, &ret->positions, err);
    store_close(store);
    remove_folder(own);
    return r;
}
