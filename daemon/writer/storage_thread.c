#include "daemon/writer/storage_thread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Design. Three lists of tasks: `queue` (put, not yet taken; under the mutex), `batch` (applied in the
 * open group; the thread's own) and `finished` (durable or refused; under the mutex, until the loop
 * takes it). A task moves one way, and only a commit moves it out of the batch, so a rolled-back group
 * is simply applied again from the batch. What the loop is to be told beside tasks stands in `news`. */
struct list {
    struct storage_task *first, *last;
    uint32_t n;
};

struct news {
    bool committed, trouble, recovered, ended;
    struct store_counts counts;
    int trouble_code;
    struct error trouble_error;
    int64_t recovered_after_ms;
};

struct storage_thread {
    uv_thread_t thread;
    uv_async_t async;
    uv_mutex_t mutex;
    uv_cond_t wake;
    struct store *store;
    const struct storage_backend *backend;
    struct storage_callbacks callbacks;
    void (*closed)(uint32_t lost, void *context);
    void *closed_context;

    /* under the mutex */
    struct list queue, finished;
    struct news news;
    bool closing;
    bool end;   /* closing, and nothing is left: see end_if_all_done() */
    bool woken; /* by an urgent task or a long queue: the next look must not wait */

    atomic_uint outstanding; /* put and not yet finished */
    atomic_bool in_trouble;
    atomic_llong heartbeat_ms;

    /* the loop's own */
    bool was_full, close_asked;
    uint32_t in_flight; /* put, and done() not yet called */

    /* the thread's own */
    struct list batch;
    bool urgent;
    int64_t group_began_ms, trouble_began_ms, trimmed_ms, closing_since_ms;
    int64_t retry_delay_ms;
};

const struct storage_backend storage_backend_sqlite = {
    .commit = store_commit,
    .rollback = store_rollback,
    .pending = store_pending,
    .read_counts = store_read_counts,
    .trim_wal = store_trim_wal,
    .close = store_close,
};

static int64_t monotonic_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

static void list_append(struct list *list, struct storage_task *task)
{
    task->next = NULL;
    if (list->last == NULL) {
        list->first = task;
    } else {
        list->last->next = task;
    }
    list->last = task;
    list->n++;
}

static struct storage_task *list_take(struct list *list)
{
    struct storage_task *task = list->first;

    if (task != NULL) {
        list->first = task->next;
        list->last = list->first == NULL ? NULL : list->last;
        list->n--;
    }
    return task;
}

static void list_move(struct list *to, struct list *from)
{
    struct storage_task *task;

    while ((task = list_take(from)) != NULL) {
        list_append(to, task);
    }
}

static void beat(struct storage_thread *t)
{
    atomic_store(&t->heartbeat_ms, monotonic_ms());
}

/* Errors of the place rather than of the task: the same write may succeed later. */
static bool is_trouble(int code)
{
    switch (code) {
    case ERROR_FULL:
    case ERROR_IO:
    case ERROR_BUSY:
    case ERROR_NO_MEMORY:
    case ERROR_CORRUPT:
    case ERROR_PERMISSION:
    case ERROR_TIMEOUT:
        return true;
    default:
        return false;
    }
}

/* ---- the storage thread ---- */
static int apply(struct storage_thread *t, struct storage_task *task)
{
    task->error.text[0] = '\0';
    task->result = task->apply(task, t->store, &task->error);
    t->urgent = t->urgent || task->urgent;
    return is_trouble(task->result) ? task->result : 0;
}

static int commit(struct storage_thread *t, struct error *err)
{
    struct store_counts counts = {0};
    int r = t->backend->commit(t->store, err);

    beat(t);
    if (r == 0) {
        r = t->backend->read_counts(t->store, &counts, NULL);
    } else {
        return r;
    }
    uint32_t n = t->batch.n;
    uv_mutex_lock(&t->mutex);
    if (r == 0) {
        t->news.committed = true;
        t->news.counts = counts;
    }
    list_move(&t->finished, &t->batch);
    uv_mutex_unlock(&t->mutex);
    atomic_fetch_sub(&t->outstanding, n);
    t->urgent = false;
    (void)uv_async_send(&t->async);
    return 0;
}

static void tell_trouble(struct storage_thread *t, int code, const struct error *err)
{
    t->trouble_began_ms = monotonic_ms();
    t->retry_delay_ms = STORAGE_RETRY_FIRST_MS;
    atomic_store(&t->in_trouble, true);
    uv_mutex_lock(&t->mutex);
    t->news.trouble = true;
    t->news.trouble_code = code;
    t->news.trouble_error = *err;
    uv_mutex_unlock(&t->mutex);
    (void)uv_async_send(&t->async);
}

static void tell_recovery(struct storage_thread *t)
{
    atomic_store(&t->in_trouble, false);
    uv_mutex_lock(&t->mutex);
    t->news.recovered = true;
    t->news.recovered_after_ms = monotonic_ms() - t->trouble_began_ms;
    uv_mutex_unlock(&t->mutex);
    (void)uv_async_send(&t->async);
}

/* Wait up to ms, in pieces short enough for the heartbeat. Returns early when woken by a close. */
static void wait_ms(struct storage_thread *t, int64_t ms)
{
    int64_t until_ms = monotonic_ms() + ms;

    for (int64_t left = ms; left > 0; left = until_ms - monotonic_ms()) {
        uv_mutex_lock(&t->mutex);
        bool closing = t->closing;
        if (!closing) {
            (void)uv_cond_timedwait(&t->wake, &t->mutex,
                                    (uint64_t)(left < 500 ? left : 500) * 1000000);
        }
        uv_mutex_unlock(&t->mutex);
        beat(t);
        if (closing) {
            uv_sleep(10);
        }
    }
}

static bool given_up(struct storage_thread *t)
{
    uv_mutex_lock(&t->mutex);
    bool closing = t->closing;
    uv_mutex_unlock(&t->mutex);
    if (!closing) {
        return false;
    }
    if (t->closing_since_ms == 0) {
        t->closing_since_ms = monotonic_ms();
    }
    return monotonic_ms() - t->closing_since_ms >= STORAGE_CLOSE_MS;
}

/* Write the whole batch again until it holds. False: given up at close. */
static bool write_again(struct storage_thread *t)
{
    for (;;) {
        struct error err = {.text = ""};
        t->backend->rollback(t->store);
        if (given_up(t)) {
            return false;
        }
        wait_ms(t, t->retry_delay_ms);
        t->retry_delay_ms = t->retry_delay_ms * 2 < STORAGE_RETRY_MAX_MS ? t->retry_delay_ms * 2
                                                                         : STORAGE_RETRY_MAX_MS;
        int r = 0;
        for (struct storage_task *task = t->batch.first; task != NULL && r == 0;
             task = task->next) {
            r = apply(t, task);
            beat(t);
        }
        if (r == 0) {
            r = commit(t, &err);
        }
        if (r == 0) {
            tell_recovery(t);
            return true;
        }
    }
}

static bool commit_or_retry(struct storage_thread *t)
{
    struct error err = {.text = ""};
    int r = commit(t, &err);

    if (r == 0) {
        return true;
    }
    tell_trouble(t, r, &err);
    return write_again(t);
}

/* Apply what came, committing full groups on the way. False: given up at close. */
static bool take(struct storage_thread *t, struct list *came)
{
    struct storage_task *task;

    while ((task = list_take(came)) != NULL) {
        if (t->batch.n == 0) {
            t->group_began_ms = monotonic_ms();
        }
        list_append(&t->batch, task);
        int r = apply(t, task);
        beat(t);
        if (r < 0) {
            tell_trouble(t, r, &task->error);
            if (!write_again(t)) {
                return false;
            }
        } else if (t->backend->pending(t->store) >= STORAGE_GROUP_ROWS && !commit_or_retry(t)) {
            return false;
        }
    }
    return true;
}

static void trim_wal(struct storage_thread *t)
{
    int64_t now_ms = monotonic_ms();

    if (now_ms - t->trimmed_ms >= 10000) {
        t->trimmed_ms = now_ms;
        /* A reader may hold it: then next time. */
        (void)t->backend->trim_wal(t->store, STORAGE_WAL_BYTES, NULL);
        beat(t);
    }
}

static void run(void *argument)
{
    struct storage_thread *t = argument;
    bool ended = false;

    while (!ended) {
        struct list came = {0};
        uv_mutex_lock(&t->mutex);
        int64_t left_ms = STORAGE_LOOK_MS;
        if (t->batch.n > 0) {
            left_ms = t->group_began_ms + STORAGE_GROUP_MS - monotonic_ms();
            left_ms = left_ms > STORAGE_LOOK_MS ? STORAGE_LOOK_MS : left_ms;
        }
        if (!t->end && !t->woken && left_ms > 0 && !(t->closing && t->batch.n > 0)) {
            (void)uv_cond_timedwait(&t->wake, &t->mutex, (uint64_t)left_ms * 1000000);
        }
        t->woken = false;
        list_move(&came, &t->queue);
        bool closing = t->closing;
        bool end = t->end;
        uv_mutex_unlock(&t->mutex);
        beat(t);

        bool going_on = take(t, &came);
        bool due = t->batch.n > 0 &&
                   (closing || t->urgent || monotonic_ms() - t->group_began_ms >= STORAGE_GROUP_MS);
        if (going_on && due) {
            going_on = commit_or_retry(t);
        }
        if (going_on) {
            trim_wal(t);
        }
        list_move(&t->batch, &came); /* only if given up */
        ended = end || !going_on;
    }
    t->backend->close(t->store);
    uv_mutex_lock(&t->mutex);
    t->news.ended = true;
    uv_mutex_unlock(&t->mutex);
    (void)uv_async_send(&t->async);
}

/* ---- the loop's thread ---- */
/* What a task's done() puts in its turn is written too: a close ends the thread only when nothing is on its way. */
static void end_if_all_done(struct storage_thread *t)
{
    if (t->close_asked && t->in_flight == 0) {
        uv_mutex_lock(&t->mutex);
        t->end = true;
        uv_cond_signal(&t->wake);
        uv_mutex_unlock(&t->mutex);
    }
}

static void finish_tasks(struct storage_thread *t, struct list *finished)
{
    struct storage_task *task;

    while ((task = list_take(finished)) != NULL) {
        t->in_flight--;
        if (task->done != NULL) {
            task->done(task, task->result, &task->error);
        }
        task->destroy(task);
    }
}

static uint32_t destroy_tasks(struct list *list)
{
    struct storage_task *task;
    uint32_t n = list->n;

    while ((task = list_take(list)) != NULL) {
        task->destroy(task);
    }
    return n;
}

static void async_closed(uv_handle_t *handle)
{
    struct storage_thread *t = handle->data;
    uint32_t lost = destroy_tasks(&t->batch) + destroy_tasks(&t->queue);

    uv_mutex_destroy(&t->mutex);
    uv_cond_destroy(&t->wake);
    t->closed(lost, t->closed_context);
    free(t);
}

static void deliver(uv_async_t *async)
{
    struct storage_thread *t = async->data;
    struct list finished = {0};

    uv_mutex_lock(&t->mutex);
    struct news news = t->news;
    t->news = (struct news){0};
    list_move(&finished, &t->finished);
    uv_mutex_unlock(&t->mutex);

    if (news.trouble) {
        t->callbacks.trouble(news.trouble_code, news.trouble_error.text, t->callbacks.context);
    }
    if (news.committed) {
        t->callbacks.committed(&news.counts, t->callbacks.context);
    }
    finish_tasks(t, &finished);
    if (news.recovered) {
        t->callbacks.recovered(news.recovered_after_ms, t->callbacks.context);
    }
    if (t->was_full && atomic_load(&t->outstanding) <= STORAGE_QUEUE_MAX / 2) {
        t->was_full = false;
        t->callbacks.drained(t->callbacks.context);
    }
    if (news.ended) {
        (void)uv_thread_join(&t->thread);
        uv_close((uv_handle_t *)&t->async, async_closed);
        return;
    }
    end_if_all_done(t);
}

int storage_thread_open(uv_loop_t *loop, struct store *store, const struct storage_backend *backend,
                        const struct storage_callbacks *callbacks, struct storage_thread **ret,
                        struct error *err)
{
    struct storage_thread *t = calloc(1, sizeof(*t));

    if (t == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "storage thread: out of memory");
    }
    t->store = store;
    t->backend = backend;
    t->callbacks = *callbacks;
    t->async.data = t;
    t->trimmed_ms = monotonic_ms();
    beat(t);
    /* These fail for lack of memory or threads only, before anything runs. */
    if (uv_mutex_init(&t->mutex) != 0) {
        free(t);
        return error_set(err, ERROR_NO_MEMORY, "storage thread: no mutex");
    }
    if (uv_cond_init(&t->wake) != 0) {
        uv_mutex_destroy(&t->mutex);
        free(t);
        return error_set(err, ERROR_NO_MEMORY, "storage thread: no condition");
    }
    if (uv_async_init(loop, &t->async, deliver) != 0 || uv_thread_create(&t->thread, run, t) != 0) {
        /* The loop may know the handle: the process gives up anyway, so it is left to it. */
        return error_set(err, ERROR_NO_MEMORY, "storage thread: cannot be started");
    }
    *ret = t;
    return 0;
}

bool storage_thread_put(struct storage_thread *thread, struct storage_task *task)
{
    if (task == NULL) {
        return false;
    }
    atomic_fetch_add(&thread->outstanding, 1);
    thread->in_flight++;
    uv_mutex_lock(&thread->mutex);
    list_append(&thread->queue, task);
    /* Records wait for the thread's next look, so that it wakes a few times a second, not for each. */
    if (task->urgent || thread->closing || thread->queue.n >= STORAGE_GROUP_ROWS / 4) {
        thread->woken = true;
        uv_cond_signal(&thread->wake);
    }
    uv_mutex_unlock(&thread->mutex);
    return true;
}

bool storage_thread_full(struct storage_thread *thread)
{
    bool full = atomic_load(&thread->outstanding) >= STORAGE_QUEUE_MAX;

    thread->was_full = thread->was_full || full;
    return full;
}

uint32_t storage_thread_queue(const struct storage_thread *thread)
{
    return atomic_load(&thread->outstanding);
}

bool storage_thread_in_trouble(const struct storage_thread *thread)
{
    return atomic_load(&thread->in_trouble);
}

int64_t storage_thread_heartbeat(const struct storage_thread *thread)
{
    return atomic_load(&thread->heartbeat_ms);
}

void storage_thread_close(struct storage_thread *thread,
                          void (*closed)(uint32_t lost, void *context), void *context)
{
    thread->closed = closed;
    thread->closed_context = context;
    thread->close_asked = true;
    uv_mutex_lock(&thread->mutex);
    thread->closing = true;
    uv_cond_signal(&thread->wake);
    uv_mutex_unlock(&thread->mutex);
    end_if_all_done(thread);
}
