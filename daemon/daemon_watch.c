/* What can go wrong beside the daemon while it runs: a child that says nothing, one that says too much, a state directory
 * that is taken away. Looked at once a second. */
#include "daemon/daemon_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SAID_WINDOW_S = 10, /* lines and events of one child that are passed on in so many seconds: */
    SAID_MAX = 20,
    STATE_LOOK_S = 2,
};

static struct child_watch *watch_of(struct daemon *d, enum supervisor_role role, uint32_t index)
{
    switch (role) {
    case ROLE_WORKER:
        return &d->watches[index];
    case ROLE_TRAIN:
        return &d->watches[d->n_workers];
    case ROLE_MATCH:
        break;
    }
    return &d->watches[d->n_workers + 1];
}

static void name_child(enum supervisor_role role, uint32_t index, char *ret, size_t size)
{
    if (role == ROLE_WORKER) {
        (void)snprintf(ret, size, "worker %u", index);
    } else {
        (void)snprintf(ret, size, "the process of the %s",
                       role == ROLE_TRAIN ? "training" : "evaluation");
    }
}

/* ---- too little ---- */
void daemon_heard(struct daemon *d, enum supervisor_role role, uint32_t index)
{
    watch_of(d, role, index)->silent_s = 0;
}

/* Nobody is blamed who is not listened to or was told to wait. */
static bool is_excused(const struct daemon *d, enum supervisor_role role)
{
    return role == ROLE_WORKER ? storage_thread_full(d->storage)
                               : role == ROLE_MATCH && d->scheduler.evaluation_suspended;
}

/* Seconds are counted in ticks, so that a daemon that was itself stopped or slept blames nobody. */
static void look_at_silence(struct daemon *d, enum supervisor_role role, uint32_t index)
{
    struct child_watch *watch = watch_of(d, role, index);
    int64_t limit_s =
        role == ROLE_WORKER ? d->config.patience.worker_s : d->config.patience.training_s;
    char name[48];

    if (!supervisor_lives(d->supervisor, role, index) || is_excused(d, role)) {
        watch->silent_s = 0;
        return;
    }
    if (++watch->silent_s < limit_s) {
        return;
    }
    watch->silent_s = 0;
    name_child(role, index, name, sizeof(name));
    daemon_note(d, SEVERITY_ERROR, "silent process",
                "%s (%d) has said nothing for %" PRId64 " s: it is killed and started again", name,
                supervisor_pid(d->supervisor, role, index), limit_s);
    supervisor_kill(d->supervisor, role, index);
}

/* ---- too much ---- */
bool daemon_may_say(struct daemon *d, enum supervisor_role role, uint32_t index)
{
    struct child_watch *watch = watch_of(d, role, index);

    if (watch->said < SAID_MAX) {
        watch->said++;
        return true;
    }
    watch->unsaid++;
    return false;
}

static void look_at_talk(struct daemon *d, enum supervisor_role role, uint32_t index)
{
    struct child_watch *watch = watch_of(d, role, index);
    char name[48];

    if (watch->unsaid > 0) {
        name_child(role, index, name, sizeof(name));
        daemon_note(d, SEVERITY_WARNING, "left out",
                    "%s: %u lines and events beyond %d in %d s are not passed on", name,
                    watch->unsaid, SAID_MAX, SAID_WINDOW_S);
    }
    watch->said = watch->unsaid = 0;
}

/* ---- the state directory ---- */
void daemon_watch_begin(struct daemon *d)
{
    struct stat status;

    if (stat(d->db_path, &status) == 0) {
        d->store_device = status.st_dev;
        d->store_inode = status.st_ino;
    }
}

/* SQLite goes on writing a file that has lost its name, and nobody would ever find what it writes. */
static void look_at_state(struct daemon *d)
{
    struct stat status;

    if (stat(d->db_path, &status) == 0 && status.st_dev == d->store_device &&
        status.st_ino == d->store_inode) {
        return;
    }
    d->failed = true;
    daemon_say(
        d, SEVERITY_ERROR, "state directory",
        "%s is not the store any more that was opened (removed, moved or replaced): the daemon "
        "stops; put it back and start again",
        d->db_path);
    daemon_stop(d, "the store has gone");
}

void daemon_watch_tick(struct daemon *d)
{
    bool window_over = d->ticks % SAID_WINDOW_S == 0;

    if (d->stopping) {
        return;
    }
    for (uint32_t i = 0; i < d->n_workers + 2; i++) {
        enum supervisor_role role = i < d->n_workers    ? ROLE_WORKER
                                    : i == d->n_workers ? ROLE_TRAIN
                                                        : ROLE_MATCH;
        uint32_t index = i < d->n_workers ? i : 0;
        look_at_silence(d, role, index);
        if (window_over) {
            look_at_talk(d, role, index);
        }
    }
    if (d->ticks % STATE_LOOK_S == 0) {
        look_at_state(d);
    }
}
