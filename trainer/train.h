/* A training: from a net and a window of the store to the next net. Runs in a process of its own
 * (daemon/process/process_train.c) or inside a test; it talks to its surroundings through the callbacks.
 * Killed and resumed from its checkpoint equals never killed, bit for bit on one thread. */
#ifndef TRAINER_TRAIN_H
#define TRAINER_TRAIN_H

#include "storage/error.h"
#include "storage/record.h"
#include "trainer/targets.h"

#include <stdbool.h>
#include <stdint.h>

enum optimizer_kind { OPTIMIZER_ADAMW, OPTIMIZER_SGD };

enum { TRAIN_MAX_SCHEDULE = 16 };

/* Learning rate by samples drawn over the life of the line: rate[i] from samples[i] on (samples[0] =
 * 0), constant between. */
struct rate_schedule {
    uint32_t n;
    int64_t samples[TRAIN_MAX_SCHEDULE];
    double rate[TRAIN_MAX_SCHEDULE];
};

struct train_params {
    uint32_t batch;              /* samples a step, 1 .. 8192 */
    double samples_per_position; /* samples drawn = this x new positions */
    enum optimizer_kind optimizer;
    struct rate_schedule learning_rate;
    int64_t warmup_samples; /* of each training: rate rises linearly from 0 over these */
    double weight_decay;    /* decoupled; not on batch norm and biases */
    double momentum;        /* SGD, Nesterov */
    double beta1, beta2;    /* AdamW */
    double clip_norm;       /* global gradient norm; 0 = off */
    double value_weight;    /* of the value loss; policy has 1 */
    double fast_policy_weight, fast_value_weight; /* of fast searches' positions; 0 = not drawn */
    bool mirror;                                  /* mirror each sample with probability 1/2 */
    double average_decay;       /* exponential average of weights per step; 0 = off */
    uint32_t refresh_positions; /* window positions that refresh the averaged net's batch norm */
    uint32_t threads;           /* >= 1 */
    double max_loss;            /* a step's loss above this, or NaN: the training has diverged */
    uint32_t report_every;      /* steps between progress reports */
    int64_t checkpoint_seconds; /* between checkpoints of a running training */
};
extern const struct train_params train_params_default;

struct train_job {
    const char *state_dir;       /* qzd.db, nets/, checkpoints/ */
    const char *line;            /* names the checkpoint: checkpoints/<line>.ckpt */
    const char *parent_file;     /* the current net, path relative to state_dir */
    uint32_t generation;         /* of the net being made */
    int64_t first_seq, last_seq; /* window: finished games of these seqs */
    int64_t new_positions; /* of the window's, for which samples are drawn: the new ones, or as many
                                    of them as training.max_samples allows */
    int64_t samples_before; /* drawn by earlier trainings of the line */
    uint64_t seed;          /* of the run; sampling is f(seed, generation, index) */
    struct target_params targets;
    float teacher_policy, teacher_temperature;
    const char *teacher_file; /* NULL: no teacher */
    struct train_params params;
};

struct train_progress { /* means since the last report */
    int64_t step, steps, samples;
    double policy_loss, policy_entropy, value_loss, grad_norm, learning_rate, samples_per_s;
};

/* What a training began with. */
enum train_start {
    TRAIN_AFRESH,    /* the parent's weights and no moments */
    TRAIN_CONTINUED, /* what the training that made the parent has left */
    TRAIN_RESUMED,   /* its own checkpoint */
};

struct train_result {
    enum train_start start;
    char net_sha256[RECORD_SHA256_BYTES]; /* file nets/<sha256>.safetensors is there and fsynced */
    int64_t steps, samples, positions, rows_without_q;
    double policy_loss, policy_entropy, value_loss; /* last tenth of the steps */
    int64_t held_out_positions;
    double held_out_policy_loss, held_out_policy_entropy,
        held_out_value_loss; /* NaN: none held out */
    double grad_norm, learning_rate, samples_per_s;
};

struct train_callbacks {
    void (*progress)(const struct train_progress *progress, void *context); /* may be NULL */
    /* Something that a person should know and that does not end the training. May be NULL. */
    void (*warn)(const char *text, void *context);
    bool (*should_stop)(void *context); /* asked at each step; then a checkpoint is written and
                                           ERROR_CANCELLED returned. May be NULL */
    void *context;
};

/* The optimizer's state (weights, moments, average, batch-norm statistics, step count) goes from one
 * training of a line to the next through checkpoints/<line>.ckpt; a job that runs keeps its own position
 * in checkpoints/<line>.running.ckpt. A checkpoint that is not of this job's parent or architecture
 * starts afresh from the parent's weights; one that cannot be read (damaged, of another program) is warned of. A job that has been finished before (its daemon died before
 * it heard) gives the same result again without work. On ERROR_DIVERGED or any other failure no net is
 * written and the checkpoint of the training before is as it was. */
int train_run(const struct train_job *job, const struct train_callbacks *callbacks,
              struct train_result *ret, struct error *err);

#endif
