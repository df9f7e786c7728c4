/* A crew of threads that do one piece of work together: the loops of a training step. The threads live
 * as long as the crew, because a step has a hundred such pieces. How work is divided depends on the
 * size of the crew alone, so that one worker, and any fixed number, always give the same bits. */
#ifndef TRAINER_CREW_H
#define TRAINER_CREW_H

#include <stddef.h>
#include <stdint.h>

struct crew;

/* Called once for each worker 0 .. n_workers - 1; worker 0 is the thread that called crew_run(). */
typedef void crew_task(void *context, uint32_t worker, uint32_t n_workers);

/* NULL: no memory or no thread to be had. n_workers >= 1. */
struct crew *crew_create(uint32_t n_workers);
void crew_destroy(struct crew *crew); /* NULL is allowed */
uint32_t crew_size(const struct crew *crew);
/* Returns when every worker has, and whatever waited was done before. */
void crew_run(struct crew *crew, crew_task *task, void *context);

/* Each piece of work ends with all workers waiting for the slowest. So what nobody needs soon is put off and done along
 * with another piece. `size` bytes of the context (at most CREW_CONTEXT) are copied, what they point to is not. */
enum { CREW_CONTEXT = 256 };
void crew_later(struct crew *crew, crew_task *task, const void *context, size_t size);
/* As crew_run(), with whatever waits, in one piece: for a task that needs nothing of that and writes nowhere there. */
void crew_run_beside(struct crew *crew, crew_task *task, void *context);
void crew_finish(struct crew *crew); /* what waits */

/* A worker's share of n items: [*ret_first, *ret_end). Worker 0 has some if there are any. */
static inline void crew_share(size_t n, uint32_t worker, uint32_t n_workers, size_t *ret_first,
                              size_t *ret_end)
{
    *ret_first = (n * worker + n_workers - 1) / n_workers;
    *ret_end = (n * (worker + 1) + n_workers - 1) / n_workers;
}

#endif
