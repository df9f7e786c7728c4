/* The time of a clock as one number. CLOCK_REALTIME dates what is stored, CLOCK_MONOTONIC measures waits,
 * CLOCK_PROCESS_CPUTIME_ID and CLOCK_THREAD_CPUTIME_ID measure work on a machine that others use too. */
#ifndef STORAGE_CLOCK_H
#define STORAGE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline double clock_seconds(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now); /* cannot fail for these clocks */
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline int64_t clock_ms(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
