/* Batches made ready ahead of the step: a thread of its own fills the next one while the model
 * works on the one before, so that the step never waits for a game to be replayed. Two batches,
 * taken in turns; what is in them depends on the caller's source alone, not on who was quicker. */
#ifndef TRAINER_FEED_H
#define TRAINER_FEED_H

#include "trainer/batch.h"
#include "trainer/window.h"

#include <stdbool.h>
#include <stdint.h>

struct feed;

/* Says what is in batch `index`: fills rows and, where rows are to be shown as said there and not
 * as their canonical image, flips, and sets *ret_flips. Returns how many rows, 1 .. max. Called
 * from the feed's thread, one call at a time. */
typedef uint32_t feed_source(void *context, uint64_t index, const struct window_row **rows,
                             bool *flips, bool *ret_flips);

/* For batches of at most `max` rows of the window, which is borrowed and must not change. 0,
 * ERROR_NO_MEMORY (or no thread to be had) or ERROR_UNSUPPORTED (batch_init). */
int feed_create(const struct window *window, uint32_t max, struct feed **ret);
void feed_destroy(struct feed *feed); /* NULL is allowed */
uint32_t feed_max(const struct feed *feed);

/* Begin with the batches [first, end) of a source; what was going on is dropped. */
void feed_begin(struct feed *feed, feed_source *source, void *context, uint64_t first,
                uint64_t end);
/* The next batch and its input for the model, the caller's until the next call of feed_next() or
 * feed_begin(). False: there are no more. */
bool feed_next(struct feed *feed, struct batch **ret_batch, const float **ret_planes);

#endif
