/* What keeps a long life bearable: limits of the children, so that others on the machine live too, and
 * retention, so that the store does not fill the disk. */
#include "daemon/daemon_internal.h"

#include "daemon/resources.h"
#include "daemon/writer/net_files.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    DROP_SECONDS = 5, /* between looks */
    DROP_MS = 50,     /* of the storage thread in one step; records wait so long */
    DROP_QUEUE = STORAGE_QUEUE_MAX / 2, /* its tasks above which it has better to do */
    DROP_TOLD_GAMES = 100,              /* the first event comes with so many at the latest, */
    DROP_TOLD_MS = 3600000              /* the next after so long */
};

void daemon_limit_child(struct daemon *d, enum supervisor_role role, uint32_t index)
{
    const struct resources resources = {.nice = d->config.resources.nice,
                                        .memory_mib = d->config.resources.memory_mib};
    struct error err = {.text = ""};
    int pid = supervisor_pid(d->supervisor, role, index);

    if (pid == 0 || resources_apply(pid, &resources, &err) >= 0 || d->limits_refused) {
        return;
    }
    d->limits_refused = true; /* once: each child would say the same */
    daemon_say(d, SEVERITY_WARNING, "resources",
               "%s %u: %s; in a service its unit sets this (Nice=, MemoryMax=)",
               supervisor_role_text(role), index, err.text);
}

void daemon_limit_children(struct daemon *d)
{
    d->limits_refused = false;
    d->upkeep.short_said = false; /* there may be other bytes now */
    for (uint32_t i = 0; i < d->n_workers; i++) {
        daemon_limit_child(d, ROLE_WORKER, i);
    }
    daemon_limit_child(d, ROLE_TRAIN, 0);
    daemon_limit_child(d, ROLE_MATCH, 0);
}

/* ---- retention ---- */
struct drop_task {
    struct storage_task task;
    struct store_retention what;
    struct store_dropped dropped;
};

static int apply_drop(struct storage_task *task, struct store *store, struct error *err)
{
    struct drop_task *drop = (struct drop_task *)task;

    drop->dropped = (struct store_dropped){0};
    return store_drop_oldest(store, &drop->what, &drop->dropped, err);
}

static void destroy_drop(struct storage_task *task)
{
    free(task);
}

static void begin_drop(struct daemon *d, bool urgent);

static void tell_dropped(struct daemon *d, const struct store_dropped *dropped)
{
    struct upkeep *upkeep = &d->upkeep;
    int64_t now_ms = daemon_now_ms();

    bool due = upkeep->told_ms == 0 ? !dropped->more || upkeep->games >= DROP_TOLD_GAMES
                                    : now_ms - upkeep->told_ms >= DROP_TOLD_MS;
    if (upkeep->games > 0 && dropped->last_seq > 0 && due) {
        daemon_note(d, SEVERITY_INFO, "retention",
                    "dropped the oldest %" PRId64 " games, %" PRId64
                    " positions, up to seq %" PRId64 "; qzd.db has %.1f MB",
                    upkeep->games, upkeep->positions, dropped->last_seq,
                    (double)dropped->file_bytes / 1e6);
        upkeep->told_ms = now_ms;
        upkeep->games = upkeep->positions = 0;
    }
    if (dropped->short_of_games && !upkeep->short_said && d->counts.positions_at_training > 0) {
        upkeep->short_said = true;
        daemon_note(d, SEVERITY_WARNING, "retention",
                    "qzd.db has %.1f MB, retention.bytes says %.1f: what trainings draw from takes "
                    "more than that and stays",
                    (double)dropped->file_bytes / 1e6, (double)d->config.retention.bytes / 1e6);
    }
}

static void dropped(struct storage_task *task, int result, const struct error *err)
{
    struct daemon *d = task->context;
    const struct drop_task *drop = (const struct drop_task *)task;

    d->upkeep.dropping = false;
    if (result < 0) {
        daemon_note(d, SEVERITY_ERROR, "retention", "%s", err->text);
        return;
    }
    d->upkeep.games += drop->dropped.games;
    d->upkeep.positions += drop->dropped.positions;
    tell_dropped(d, &drop->dropped);
    d->upkeep.behind = drop->dropped.more;
    if (drop->dropped.more && !d->stopping && storage_thread_queue(d->storage) < DROP_QUEUE) {
        begin_drop(d, true); /* an idle thread goes on at once; a busy one at the next tick */
    }
}

static void begin_drop(struct daemon *d, bool urgent)
{
    struct drop_task *drop = calloc(1, sizeof(*drop));

    if (drop == NULL) {
        return; /* the next tick asks again */
    }
    drop->task = (struct storage_task){.apply = apply_drop,
                                       .done = dropped,
                                       .destroy = destroy_drop,
                                       .urgent = urgent,
                                       .context = d};
    drop->what = (struct store_retention){.bytes = d->config.retention.bytes, .budget_ms = DROP_MS};
    d->upkeep.dropping = true;
    daemon_put(d, &drop->task);
}

/* ---- files of nets ---- */
static void swept(struct storage_task *task, int result, const struct error *err)
{
    struct daemon *d = task->context;
    const struct net_files_sweep *sweep = (const struct net_files_sweep *)task;

    d->upkeep.sweeping = false;
    d->upkeep.swept = true;
    if (result < 0) {
        daemon_note(d, SEVERITY_WARNING, "retention", "files of old nets stay: %s", err->text);
        return;
    }
    d->upkeep.files += sweep->removed;
    const int64_t now_ms = daemon_now_ms();
    if (d->upkeep.files > 0 &&
        (d->upkeep.files_told_ms == 0 || now_ms - d->upkeep.files_told_ms >= DROP_TOLD_MS)) {
        daemon_note(d, SEVERITY_INFO, "retention", "removed the files of %u old nets",
                    d->upkeep.files);
        d->upkeep.files_told_ms = now_ms;
        d->upkeep.files = 0;
    }
}

static void put_sweeping(struct daemon *d, struct storage_task *task)
{
    d->upkeep.sweeping = task != NULL; /* without memory the next tick tries again */
    if (task != NULL) {
        daemon_put(d, task);
    }
}

static void given_up(struct storage_task *task, int result, const struct error *err)
{
    struct daemon *d = task->context;

    d->upkeep.sweeping = false;
    if (result < 0) {
        daemon_note(d, SEVERITY_ERROR, "retention", "old nets: %s", err->text);
        return;
    }
    if (result < NET_FILES_STEP) { /* no more of them before the next net */
        d->upkeep.swept_generation = d->scheduler.generation;
    }
    if ((result > 0 || !d->upkeep.swept) && !d->stopping) {
        put_sweeping(d, net_files_sweep(d->state_dir, swept, d));
    }
}

static bool idle_enough(const struct daemon *d)
{
    return !d->stopping && !storage_thread_in_trouble(d->storage) &&
           storage_thread_queue(d->storage) < DROP_QUEUE;
}

void daemon_upkeep_tick(struct daemon *d)
{
    if ((d->upkeep.behind || d->ticks % DROP_SECONDS == 0) && d->config.retention.bytes > 0 &&
        !d->upkeep.dropping && idle_enough(d)) {
        begin_drop(d, false);
    }
    if (d->config.retention.nets > 0 && !d->upkeep.sweeping && idle_enough(d) &&
        (!d->upkeep.swept || d->upkeep.swept_generation != d->scheduler.generation)) {
        put_sweeping(d, net_files_give_up(&d->config, given_up, d));
    }
}
