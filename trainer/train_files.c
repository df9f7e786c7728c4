#include "trainer/train_files.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int name_file(char ret[PATH_MAX], const char *folder, const char *name, const char *ending,
                     struct error *err)
{
    if (snprintf(ret, PATH_MAX, "%s/%s%s", folder, name, ending) >= PATH_MAX) {
        return error_set(err, ERROR_INVALID, "%s/%s: the path is too long", folder, name);
    }
    return 0;
}

static int make_folder(const char *path, struct error *err)
{
    if (mkdir(path, 0770) < 0 && errno != EEXIST) {
        return error_set(err, error_from_errno(errno), "%s: cannot make this folder: %s", path,
                         strerror(errno));
    }
    return 0;
}

int train_files_init(struct train_files *files, const struct train_job *job, struct error *err)
{
    char checkpoints[PATH_MAX];
    int r = 0;

    memset(files, 0, sizeof(*files));
    if (job->line[0] == '\0' || strchr(job->line, '/') != NULL) {
        return error_set(err, ERROR_INVALID, "\"%s\" cannot name a line", job->line);
    }
    r = r < 0 ? r : name_file(checkpoints, job->state_dir, "checkpoints", "", err);
    r = r < 0 ? r : name_file(files->nets, job->state_dir, "nets", "", err);
    r = r < 0 ? r : name_file(files->store, job->state_dir, "qzd.db", "", err);
    r = r < 0 ? r : name_file(files->parent, job->state_dir, job->parent_file, "", err);
    r = r < 0 ? r : name_file(files->finished, checkpoints, job->line, ".ckpt", err);
    r = r < 0 ? r : name_file(files->previous, checkpoints, job->line, ".previous.ckpt", err);
    r = r < 0 ? r : name_file(files->running, checkpoints, job->line, ".running.ckpt", err);
    if (r == 0 && job->teacher_file != NULL) {
        bool absolute = job->teacher_file[0] == '/';
        r = name_file(files->teacher, absolute ? "" : job->state_dir,
                      job->teacher_file + (absolute ? 1 : 0), "", err);
    }
    r = r < 0 ? r : make_folder(checkpoints, err);
    return r < 0 ? r : make_folder(files->nets, err);
}

void train_job_identity(const struct train_job *job, const char *parent_sha256,
                        const char *teacher_sha256, char ret[RECORD_SHA256_BYTES])
{
    const struct train_params *p = &job->params;
    const struct target_params *t = &job->targets;
    unsigned char hash[crypto_hash_sha256_BYTES];
    char text[4096];
    size_t n = 0;

    n += (size_t)snprintf(text + n, sizeof(text) - n,
                          "%s %u %lld %lld %lld %lld %llu\n%a %a %d %a %a %a %s\n", parent_sha256,
                          job->generation, (long long)job->first_seq, (long long)job->last_seq,
                          (long long)job->new_positions, (long long)job->samples_before,
                          (unsigned long long)job->seed, (double)t->q_ratio, (double)t->lambda,
                          (int)t->q, (double)t->teacher_value, (double)job->teacher_policy,
                          (double)job->teacher_temperature, teacher_sha256);
    n += (size_t)snprintf(
        text + n, sizeof(text) - n, "%u %a %d %lld %a %a %a %a %a %a %a %a %d %a %u %a\n", p->batch,
        p->samples_per_position, (int)p->optimizer, (long long)p->warmup_samples, p->weight_decay,
        p->momentum, p->beta1, p->beta2, p->clip_norm, p->value_weight, p->fast_policy_weight,
        p->fast_value_weight, p->mirror, p->average_decay, p->refresh_positions, p->max_loss);
    for (uint32_t i = 0; i < p->learning_rate.n; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%lld %a\n",
                              (long long)p->learning_rate.samples[i], p->learning_rate.rate[i]);
    }
    crypto_hash_sha256(hash, (const unsigned char *)text, n);
    sodium_bin2hex(ret, RECORD_SHA256_BYTES, hash, sizeof(hash));
}

bool train_files_done(const struct train_files *files, const char *identity,
                      struct train_result *ret)
{
    struct checkpoint_head head;
    char net[PATH_MAX];

    if (checkpoint_peek(files->finished, &head, NULL) < 0 || !head.finished ||
        strcmp(head.job, identity) != 0 ||
        name_file(net, files->nets, head.result.net_sha256, ".safetensors", NULL) < 0 ||
        access(net, R_OK) != 0) {
        return false;
    }
    *ret = head.result;
    return true;
}

/* Look at a checkpoint; one that is there and cannot be read is written down, the first of them. */
static bool peek(const char *path, struct checkpoint_head *ret, struct error *damage)
{
    struct error err = {.text = ""};
    int r = checkpoint_peek(path, ret, &err);

    if (r < 0 && r != ERROR_NOT_FOUND && damage->text[0] == '\0') {
        *damage = err;
    }
    return r == 0;
}

enum train_start train_files_begin(const struct train_files *files, const char *identity,
                                   const char *parent_sha256, struct checkpoint *checkpoint,
                                   struct error *ret_damage)
{
    const char *const left[] = {files->finished, files->previous};
    struct checkpoint_head head;

    ret_damage->text[0] = '\0';
    if (peek(files->running, &head, ret_damage) && strcmp(head.job, identity) == 0 &&
        checkpoint_load(files->running, checkpoint, NULL) == 0) {
        return TRAIN_RESUMED;
    }
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        if (peek(left[i], &head, ret_damage) && head.finished &&
            strcmp(head.result.net_sha256, parent_sha256) == 0 &&
            checkpoint_load(left[i], checkpoint, NULL) == 0) {
            return TRAIN_CONTINUED;
        }
    }
    return TRAIN_AFRESH;
}

int train_files_end(const struct train_files *files, const struct checkpoint *checkpoint,
                    struct error *err)
{
    if (rename(files->finished, files->previous) < 0 && errno != ENOENT) {
        return error_set(err, error_from_errno(errno), "%s: cannot rename: %s", files->finished,
                         strerror(errno));
    }
    int r = checkpoint_save(checkpoint, files->finished, err);
    if (r == 0) {
        unlink(files->running);
    }
    return r;
}
