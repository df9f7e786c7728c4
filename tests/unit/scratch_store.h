/* A small store with a bit of everything, for tests of what reads stores. */
#ifndef TESTS_UNIT_SCRATCH_STORE_H
#define TESTS_UNIT_SCRATCH_STORE_H

#include "tests/unit/store_fixture.h"

enum { SCRATCH_PLIES = 10, SCRATCH_GAMES = 6 };

/* Positions and end of one game by the net. */
static inline void scratch_game(struct fixture *f, uint64_t number, const char *sha256)
{
    uint64_t random = number;
    struct record_start start = make_start(number);
    struct record_search search = make_search(sha256);
    struct record_end end =
        make_end(SCRATCH_PLIES, number % 2 == 0 ? 1 : -1, 1700000100000 + (int64_t)number);
    ck_ok(store_put_start(f->store, &start, 0, &f->err));
    for (uint32_t ply = 0; ply < SCRATCH_PLIES; ply++) {
        struct record_position position = make_position(&random, ply);
        ck_ok(store_put_position(f->store, start.uid, &search, &position, &f->err));
    }
    ck_ok(store_put_end(f->store, start.uid, &end, &f->err));
}

/* Fill a store: generations 0 and 1, SCRATCH_GAMES games, evaluations and three events. sha256_1 is that of generation 1,
 * whose file the caller may have written; NULL: a made-up one. */
static inline void scratch_fill(struct fixture *f, const char *sha256_1)
{
    char sha256[RECORD_SHA256_BYTES];
    struct store_net net = {.line = "main",
                            .generation = 1,
                            .game = "connect4",
                            .arch = (char[]){"{\"blocks\":1}"},
                            .origin = "training",
                            .created_at = 1700000000000,
                            .state = "current"};
    int64_t id = 0;
    ck_ok(store_set_run(f->store, "game", "connect4", &f->err));
    net.parent_id = add_net(f, 0);
    make_sha256(0, sha256);
    for (uint64_t i = 0; i < SCRATCH_GAMES; i++) {
        scratch_game(f, i, sha256);
    }
    make_sha256(1, sha256);
    snprintf(net.sha256, sizeof net.sha256, "%s", sha256_1 == NULL ? sha256 : sha256_1);
    snprintf(net.file, sizeof net.file, "nets/%s.safetensors", net.sha256);
    ck_ok(store_add_net(f->store, &net, &id, &f->err));
    ck_ok(
        store_put_evaluation(f->store, id, "connect4", 0, "mistakes", 0.25, 1000, 1, 1.5, &f->err));
    for (int64_t i = 1; i <= 3; i++) {
        char detail[32];
        snprintf(detail, sizeof detail, "detail %lld", (long long)i);
        ck_ok(store_put_event(f->store, 1700000000000 + i, i == 2 ? "warning" : "info", "tested",
                              detail, &f->err));
    }
    ck_ok(store_commit(f->store, &f->err));
}

#endif
