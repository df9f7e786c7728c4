/* Checkpoints: all that a training needs to go on as if it had not been stopped. A file holds the raw
 * weights, the average, the optimizer's moments and step, the job's own position, and whose it is;
 * behind it stands the SHA-256 of what is before. Written whole, fsynced, renamed. It is read on the
 * machine that wrote it, so numbers stand as they are in memory. */
#ifndef TRAINER_CHECKPOINT_H
#define TRAINER_CHECKPOINT_H

#include "storage/error.h"
#include "trainer/net/net.h"
#include "trainer/optimizer.h"
#include "trainer/step.h"
#include "trainer/train.h"

#include <limits.h>

/* Everything but vectors, as it stands in the file. */
struct checkpoint_head {
    char job
        [RECORD_SHA256_BYTES]; /* which job was or is at work: hash of all that decides its outcome */
    enum optimizer_kind optimizer; /* whose moments these are */
    bool finished;                 /* then result.net_sha256 is the net that it made */
    int64_t step;                  /* steps of the job done */
    int64_t optimizer_step;
    int64_t average_step;          /* steps in the average */
    struct step_sums tail, report; /* the last tenth of the steps; since the last report */
    struct train_result result;
};

struct checkpoint {
    struct checkpoint_head head;
    struct net *net; /* raw weights */
    struct net *average;
    struct optimizer optimizer;
};

/* A net's own beginning: average = weights, no moments. The net is copied. ERROR_NO_MEMORY. */
int checkpoint_init(struct checkpoint *checkpoint, const struct net *net);
void checkpoint_finish(struct checkpoint *checkpoint); /* of a zeroed struct: nothing */

int checkpoint_save(const struct checkpoint *checkpoint, const char *path, struct error *err);
/* *checkpoint, which checkpoint_init() has made for a net of the wanted architecture, is overwritten
 * on success only. ERROR_NOT_FOUND; ERROR_CORRUPT; ERROR_VERSION: of another architecture or program. */
int checkpoint_load(const char *path, struct checkpoint *checkpoint, struct error *err);
/* The head alone, of a whole and undamaged file. */
int checkpoint_peek(const char *path, struct checkpoint_head *ret, struct error *err);

#endif
