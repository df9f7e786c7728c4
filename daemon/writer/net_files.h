/* Files of old nets (retention.nets), as storage tasks: first nets are given up in the store, then, when that is
 * durable, their files are removed. Whatever is killed between the two, the files go the next time. */
#ifndef DAEMON_NET_FILES_H
#define DAEMON_NET_FILES_H

#include "daemon/config/config.h"
#include "daemon/writer/storage_tasks.h"

enum {
    NET_FILES_LEAST =
        20, /* generations that are kept in any case: they may still wait for a verdict */
    NET_FILES_STEP = 64, /* nets given up in one task */
};

/* Give up what config->retention.nets does not keep; the result is how many (store_give_up_nets). */
struct storage_task *net_files_give_up(const struct config *config, storage_done *done,
                                       void *context);
/* Remove from state_dir/nets the files of nets that have been given up. `removed` counts them. */
struct net_files_sweep {
    struct storage_task task;
    char folder[PATH_MAX];
    uint32_t removed;
};
struct storage_task *net_files_sweep(const char *state_dir, storage_done *done, void *context);

#endif
