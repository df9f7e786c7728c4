/* The training part of `qzctl bench`: whole trainings (window read, decoded, stepped, checkpointed) on games that the net
 * has just played, in a state directory of their own that is removed again. */
#ifndef DAEMON_BENCH_TRAINING_H
#define DAEMON_BENCH_TRAINING_H

#include "daemon/config/config.h"
#include "mcts/game.h"

struct bench_training;

/* Play games into a new store below `folder` for about `seconds`. */
int bench_training_create(const char *folder, const struct game *game, const struct net *net,
                          const struct config *config, double seconds, struct bench_training **ret,
                          struct error *err);
void bench_training_destroy(struct bench_training *bench); /* removes the files; NULL is allowed */
/* Samples a second of wall-clock time of a training with so many threads, for about `seconds`. */
int bench_training_run(struct bench_training *bench, uint32_t threads, double seconds, double *ret,
                       struct error *err);

#endif
