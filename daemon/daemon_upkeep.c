/* What keeps a long life bearable: limits of the children, so that others on the machine live too. */
#include "daemon/daemon_internal.h"

#include "daemon/resources.h"

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
    for (uint32_t i = 0; i < d->n_workers; i++) {
        daemon_limit_child(d, ROLE_WORKER, i);
    }
    daemon_limit_child(d, ROLE_TRAIN, 0);
    daemon_limit_child(d, ROLE_MATCH, 0);
}
