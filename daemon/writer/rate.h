/* Ratings of a store's nets from its matches: reading, the fit (selfplay/rating.h), rows to write. Slow enough to
 * stay out of the loop's thread: some milliseconds for hundreds of nets, seconds for thousands. */
#ifndef DAEMON_RATE_H
#define DAEMON_RATE_H

#include "storage/store_matches.h"

/* All nets that a chain of matches with so many nodes joins to generation 0 of line main, which has 0. If that net
 * is a new one it says "all moves alike, an even game", as the net of line uniform does: the two are the same
 * player then. *ret is malloced (NULL for none), ordered by net. */
int rate_store(struct store *store, uint32_t nodes, struct store_rating **ret, size_t *ret_n,
               struct error *err);

#endif
