/* The files of a training, and which job they belong to. */
#ifndef TRAINER_TRAIN_FILES_H
#define TRAINER_TRAIN_FILES_H

#include "trainer/checkpoint.h"

struct train_files {
    char finished
        [PATH_MAX]; /* checkpoints/<line>.ckpt: as the line's newest net left the optimizer */
    char previous[PATH_MAX]; /* <line>.previous.ckpt: the one before, should that net be rejected */
    char running[PATH_MAX];  /* <line>.running.ckpt: the training under way */
    char nets[PATH_MAX];     /* nets/ */
    char parent[PATH_MAX], store[PATH_MAX];
    char teacher[PATH_MAX]; /* "": none */
};

/* Name them, and make the folders that are missing. */
int train_files_init(struct train_files *files, const struct train_job *job, struct error *err);

/* Hash of all that decides a training's outcome on one thread. teacher_sha256: "" for none. */
void train_job_identity(const struct train_job *job, const char *parent_sha256,
                        const char *teacher_sha256, char ret[RECORD_SHA256_BYTES]);

/* Whether the line's newest net was made by this very job and is still there: a training that ended
 * just before its daemon did. Then *ret is its result. */
bool train_files_done(const struct train_files *files, const char *identity,
                      struct train_result *ret);
/* Where the job begins: its own running checkpoint, else what the training that made the parent has
 * left, else the parent's weights, which *checkpoint holds already. *ret_damage: the first file that is
 * there and could not be read, "" if there is none such. */
enum train_start train_files_begin(const struct train_files *files, const char *identity,
                                   const char *parent_sha256, struct checkpoint *checkpoint,
                                   struct error *ret_damage);
/* The job is done: its checkpoint becomes the line's. */
int train_files_end(const struct train_files *files, const struct checkpoint *checkpoint,
                    struct error *err);

#endif
