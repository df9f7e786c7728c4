#include "daemon/writer/net_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct give_up_task {
    struct storage_task task;
    uint32_t keep;
    char teacher[PATH_MAX];
};

static int apply_give_up(struct storage_task *task, struct store *store, struct error *err)
{
    const struct give_up_task *give_up = (const struct give_up_task *)task;

    return store_give_up_nets(store, give_up->keep, give_up->teacher, NET_FILES_STEP, err);
}

static void destroy(struct storage_task *task)
{
    free(task);
}

/* What still needs an old net: whoever is compared with it, and whoever waits to be judged. */
static uint32_t kept_generations(const struct config *config)
{
    uint32_t keep =
        config->retention.nets < NET_FILES_LEAST ? NET_FILES_LEAST : config->retention.nets;

    for (uint32_t i = 0; i < config->evaluation.opponents.n; i++) {
        const uint32_t back = config->evaluation.opponents.back[i];
        if (back != CONFIG_OPPONENT_UNIFORM && back + NET_FILES_LEAST > keep) {
            keep = back + NET_FILES_LEAST;
        }
    }
    return keep;
}

struct storage_task *net_files_give_up(const struct config *config, storage_done *done,
                                       void *context)
{
    struct give_up_task *give_up = calloc(1, sizeof(*give_up));

    if (give_up == NULL) {
        return NULL;
    }
    give_up->task = (struct storage_task){
        .apply = apply_give_up, .done = done, .destroy = destroy, .context = context};
    give_up->keep = kept_generations(config);
    (void)snprintf(give_up->teacher, sizeof(give_up->teacher), "%s", config->teacher.net);
    return &give_up->task;
}

/* ---- sweep ---- */
/* The sha256 that a file's name states; false: it is no net's. */
static bool hash_of(const char *name, char ret[RECORD_SHA256_BYTES])
{
    const size_t digits = RECORD_SHA256_BYTES - 1;

    if (strspn(name, "0123456789abcdef") != digits || strcmp(name + digits, ".safetensors") != 0) {
        return false;
    }
    memcpy(ret, name, digits);
    ret[digits] = '\0';
    return true;
}

static int sweep_folder(struct net_files_sweep *sweep, DIR *folder, struct store *store,
                        struct error *err)
{
    char sha256[RECORD_SHA256_BYTES];
    const struct dirent *entry;

    while ((entry = readdir(folder)) != NULL) {
        if (!hash_of(entry->d_name, sha256)) {
            continue;
        }
        int r = store_net_given_up(store, sha256, err);
        if (r < 0) {
            return r;
        }
        if (r == 1 && unlinkat(dirfd(folder), entry->d_name, 0) < 0 && errno != ENOENT) {
            return error_set(err, ERROR_PERMISSION, "%s/%s: %s", sweep->folder, entry->d_name,
                             strerror(errno));
        }
        sweep->removed += r == 1 ? 1 : 0;
    }
    return 0;
}

/* Its errors are not ERROR_IO, which the storage thread would take for its store's and try again for ever. */
static int apply_sweep(struct storage_task *task, struct store *store, struct error *err)
{
    struct net_files_sweep *sweep = (struct net_files_sweep *)task;

    sweep->removed = 0;
    DIR *folder = opendir(sweep->folder);
    if (folder == NULL) {
        return error_set(err, ERROR_PERMISSION, "%s: %s", sweep->folder, strerror(errno));
    }
    int r = sweep_folder(sweep, folder, store, err);
    closedir(folder);
    return r;
}

struct storage_task *net_files_sweep(const char *state_dir, storage_done *done, void *context)
{
    struct net_files_sweep *sweep = calloc(1, sizeof(*sweep));

    if (sweep == NULL) {
        return NULL;
    }
    sweep->task = (struct storage_task){
        .apply = apply_sweep, .done = done, .destroy = destroy, .context = context};
    int n = snprintf(sweep->folder, sizeof(sweep->folder), "%s/nets", state_dir);
    if (n < 0 || (size_t)n >= sizeof(sweep->folder)) {
        free(sweep);
        return NULL;
    }
    return &sweep->task;
}
