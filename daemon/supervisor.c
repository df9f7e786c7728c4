#include "daemon/supervisor.h"

#include <stdlib.h>

struct place {
    struct supervisor *supervisor;
    enum supervisor_role role;
    uint32_t index;
    struct child *child; /* NULL: free */
    bool stopped;
};

struct supervisor {
    uv_loop_t *loop;
    struct supervisor_callbacks callbacks;
    bool reading, stopping_all;
    uint32_t n_places; /* the workers, then the training, then the match */
    struct place places[];
};

const char *supervisor_role_text(enum supervisor_role role)
{
    switch (role) {
    case ROLE_WORKER:
        return "worker";
    case ROLE_TRAIN:
        return "train";
    case ROLE_MATCH:
        return "match";
    }
    return "?";
}

struct supervisor *supervisor_create(uv_loop_t *loop, uint32_t workers,
                                     const struct supervisor_callbacks *callbacks)
{
    uint32_t n = workers + 2;
    struct supervisor *supervisor =
        calloc(1, sizeof(*supervisor) + (size_t)n * sizeof(struct place));

    if (supervisor == NULL) {
        return NULL;
    }
    supervisor->loop = loop;
    supervisor->callbacks = *callbacks;
    supervisor->reading = true;
    supervisor->n_places = n;
    for (uint32_t i = 0; i < n; i++) {
        enum supervisor_role role = ROLE_WORKER;
        if (i >= workers) {
            role = i == workers ? ROLE_TRAIN : ROLE_MATCH;
        }
        supervisor->places[i] =
            (struct place){.supervisor = supervisor, .role = role, .index = i < workers ? i : 0};
    }
    return supervisor;
}

void supervisor_destroy(struct supervisor *supervisor)
{
    free(supervisor);
}

static struct place *place_of(struct supervisor *supervisor, enum supervisor_role role,
                              uint32_t index)
{
    switch (role) {
    case ROLE_WORKER:
        return &supervisor->places[index];
    case ROLE_TRAIN:
        return &supervisor->places[supervisor->n_places - 2];
    case ROLE_MATCH:
        break;
    }
    return &supervisor->places[supervisor->n_places - 1];
}

static bool all_free(const struct supervisor *supervisor)
{
    for (uint32_t i = 0; i < supervisor->n_places; i++) {
        if (supervisor->places[i].child != NULL) {
            return false;
        }
    }
    return true;
}

static void take_message(Qzd__FromChild *message, void *context)
{
    const struct place *place = context;
    const struct supervisor *s = place->supervisor;

    s->callbacks.message(place->role, place->index, message, s->callbacks.context);
}

static void take_line(const char *line, void *context)
{
    const struct place *place = context;
    const struct supervisor *s = place->supervisor;

    s->callbacks.line(place->role, place->index, line, s->callbacks.context);
}

static void take_end(bool clean, const char *how, void *context)
{
    struct place *place = context;
    struct supervisor *s = place->supervisor;
    bool stopped = place->stopped;

    place->child = NULL;
    place->stopped = false;
    s->callbacks.ended(place->role, place->index, clean, stopped, how, s->callbacks.context);
    if (s->stopping_all && all_free(s)) {
        s->stopping_all = false;
        s->callbacks.all_ended(s->callbacks.context);
    }
}

int supervisor_start(struct supervisor *supervisor, enum supervisor_role role, uint32_t index,
                     struct error *err)
{
    struct place *place = place_of(supervisor, role, index);
    const char *const args[] = {"qzd", supervisor_role_text(role), NULL};
    const struct child_callbacks callbacks = {
        .message = take_message, .line = take_line, .ended = take_end, .context = place};

    if (place->child != NULL) {
        return error_set(err, ERROR_BUSY, "%s %u runs already", supervisor_role_text(role), index);
    }
    int r = child_spawn(supervisor->loop, args, &callbacks, &place->child, err);
    if (r == 0 && role == ROLE_WORKER && !supervisor->reading) {
        child_read(place->child, false);
    }
    return r;
}

bool supervisor_lives(const struct supervisor *supervisor, enum supervisor_role role,
                      uint32_t index)
{
    return place_of((struct supervisor *)supervisor, role, index)->child != NULL;
}

int supervisor_pid(const struct supervisor *supervisor, enum supervisor_role role, uint32_t index)
{
    const struct place *place = place_of((struct supervisor *)supervisor, role, index);

    return place->child == NULL ? 0 : child_pid(place->child);
}

void supervisor_send(struct supervisor *supervisor, enum supervisor_role role, uint32_t index,
                     const Qzd__ToChild *message)
{
    struct place *place = place_of(supervisor, role, index);

    if (place->child != NULL) {
        child_send(place->child, message);
    }
}

static void stop_place(struct place *place, uint32_t grace_ms)
{
    if (place->child != NULL) {
        place->stopped = true;
        child_read(place->child, true); /* it may be waiting to be read */
        child_stop(place->child, grace_ms);
    }
}

void supervisor_stop(struct supervisor *supervisor, enum supervisor_role role, uint32_t index,
                     uint32_t grace_ms)
{
    stop_place(place_of(supervisor, role, index), grace_ms);
}

void supervisor_kill(struct supervisor *supervisor, enum supervisor_role role, uint32_t index)
{
    struct place *place = place_of(supervisor, role, index);

    if (place->child != NULL) {
        child_kill(place->child);
    }
}

void supervisor_read(struct supervisor *supervisor, bool reading)
{
    if (supervisor->reading == reading) {
        return;
    }
    supervisor->reading = reading;
    for (uint32_t i = 0; i + 2 < supervisor->n_places; i++) {
        if (supervisor->places[i].child != NULL) {
            child_read(supervisor->places[i].child, reading);
        }
    }
}

void supervisor_stop_all(struct supervisor *supervisor, uint32_t grace_ms)
{
    supervisor->stopping_all = true;
    for (uint32_t i = 0; i < supervisor->n_places; i++) {
        stop_place(&supervisor->places[i], grace_ms);
    }
    if (all_free(supervisor)) {
        supervisor->stopping_all = false;
        supervisor->callbacks.all_ended(supervisor->callbacks.context);
    }
}

void supervisor_kill_all(struct supervisor *supervisor)
{
    for (uint32_t i = 0; i < supervisor->n_places; i++) {
        if (supervisor->places[i].child != NULL) {
            child_kill(supervisor->places[i].child);
        }
    }
}
