/* A scheduler on a bench: its clock, and what it said last. For its tests. */
#ifndef TESTS_UNIT_SCHEDULER_BENCH_H
#define TESTS_UNIT_SCHEDULER_BENCH_H

#include "daemon/scheduler.h"

#include <check.h>
#include <string.h>

static const struct scheduler_settings usual = {.slots = 4,
                                                .workers = 4,
                                                .training_threads = 2,
                                                .first_positions = 8000,
                                                .every_min = 8000,
                                                .every_max = 20000,
                                                .every_share = 0.04,
                                                .window_c = 20000,
                                                .window_alpha = 0.75,
                                                .window_beta = 0.4,
                                                .evaluation_share = 0.1,
                                                .judges_net = true,
                                                .judges_search = true};

struct bench {
    struct scheduler s;
    struct scheduler_command commands[SCHEDULER_MAX_COMMANDS];
    uint32_t n;
    int64_t now_ms;
};

static inline void step(struct bench *b, struct scheduler_event event)
{
    b->n = scheduler_step(&b->s, &event, b->now_ms, b->commands);
}

static inline void tick(struct bench *b, int64_t ms)
{
    b->now_ms += ms;
    step(b, (struct scheduler_event){.kind = EVENT_TICK});
}

static inline uint32_t count(const struct bench *b, enum scheduler_command_kind kind)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        n += b->commands[i].kind == kind ? 1U : 0U;
    }
    return n;
}

static inline const struct scheduler_command *find(const struct bench *b,
                                                   enum scheduler_command_kind kind)
{
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->commands[i].kind == kind) {
            return &b->commands[i];
        }
    }
    return NULL;
}

static inline void begin(struct bench *b, const struct scheduler_settings *settings,
                         const struct scheduler_start *start)
{
    memset(b, 0, sizeof(*b));
    b->now_ms = 1000000;
    scheduler_init(&b->s, settings, start, b->now_ms);
    tick(b, 0);
}

/* All workers have said hello. */
static inline void begin_ready(struct bench *b, const struct scheduler_settings *settings,
                               const struct scheduler_start *start)
{
    begin(b, settings, start);
    for (uint32_t i = 0; i < settings->workers; i++) {
        step(b, (struct scheduler_event){.kind = EVENT_WORKER_READY, .worker = i});
    }
}

static inline void positions(struct bench *b, int64_t n)
{
    step(b, (struct scheduler_event){.kind = EVENT_COUNTS, .positions = n});
}

#endif
