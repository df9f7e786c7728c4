/* The doctor in the daemon: what only it knows, when it looks, and what becomes of what it finds.
 *
 * It reads the store (in a thread of the pool) when a net has been made, at the start and each ten minutes; the hour's
 * figures - disk, workers, queue - it looks at each ten seconds. All checks of a new generation stand in
 * `diagnoses`, and so does each turn to or from yellow and red in between. An event comes when a check turns red and when it
 * turns green again, not while it stays so and not for yellow; after a restart it is known what had been said. */
#include "daemon/daemon_internal.h"

#include "daemon/doctor/doctor_read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_S = 10, READ_S = 600, MINUTE_S = 60, RECENT_MS = 600000 };

/* ---- what only the daemon knows ---- */
static bool should_play(const struct daemon *d, uint32_t index)
{
    const struct scheduler_worker *worker = &d->scheduler.workers[index];

    return (worker->state == PROCESS_RUNNING || worker->state == PROCESS_STARTING) &&
           !worker->suspended;
}

/* Nobody is read from while the queue is emptied: workers then wait at their pipes. */
static bool holds_play(const struct daemon *d)
{
    return d->scheduler.paused || d->scheduler.blocked || d->stopping ||
           (d->storage != NULL && storage_thread_queue(d->storage) >= STORAGE_QUEUE_MAX / 2);
}

static void count_workers(struct daemon *d)
{
    bool held = holds_play(d);

    for (uint32_t i = 0; i < d->n_workers; i++) {
        struct worker_view *worker = &d->workers[i];
        worker->silent_s = held || !should_play(d, i) ? 0 : worker->silent_s + 1;
    }
}

static double slots_held(const struct daemon *d)
{
    const struct scheduler *s = &d->scheduler;
    double held = scheduler_active_workers(s);

    held += s->training == PROCESS_RUNNING ? s->settings.training_threads : 0;
    return held + (s->evaluation == PROCESS_RUNNING && !s->evaluation_suspended ? 1 : 0);
}

static void count_second(struct daemon *d)
{
    struct doctor_watch *watch = &d->doctor;
    const struct scheduler *s = &d->scheduler;
    bool full = d->storage != NULL && storage_thread_queue(d->storage) > STORAGE_QUEUE_MAX / 2;

    watch->blocked_s = s->blocked ? watch->blocked_s + 1 : 0;
    watch->queue_high_s = full ? watch->queue_high_s + 1 : 0;
    watch->training_silent_s = s->training == PROCESS_RUNNING ? watch->training_silent_s + 1 : 0;
    /* While a training takes all slots, no game is expected to end. */
    bool trains_alone = s->training == PROCESS_RUNNING && scheduler_active_workers(s) == 0;
    if (d->counts.games != watch->games) {
        watch->games = d->counts.games;
        watch->game_s = 0;
    } else if (!holds_play(d) && !trains_alone) {
        watch->game_s++;
    }
    watch->slots_used += (slots_held(d) - watch->slots_used) / MINUTE_S;
    count_workers(d);
}

void daemon_doctor_worker_ended(struct daemon *d)
{
    struct doctor_watch *watch = &d->doctor;

    watch->exits_ms[watch->n_exits++ % DAEMON_KEPT_EXITS] = daemon_now_ms();
}

static uint32_t recent_exits(const struct doctor_watch *watch)
{
    uint32_t kept = watch->n_exits < DAEMON_KEPT_EXITS ? watch->n_exits : DAEMON_KEPT_EXITS;
    uint32_t n = 0;

    for (uint32_t i = 0; i < kept; i++) {
        n += daemon_now_ms() - watch->exits_ms[i] < RECENT_MS;
    }
    return n;
}

void daemon_doctor_live(struct doctor_live *ret, void *context)
{
    const struct daemon *d = context;
    const struct doctor_watch *watch = &d->doctor;
    const struct scheduler *s = &d->scheduler;

    *ret = (struct doctor_live){
        .known = true,
        .paused = s->paused,
        .blocked = s->blocked,
        .uptime_s = (double)(daemon_now_ms() - d->started_ms) / 1000,
        .blocked_s = watch->blocked_s,
        .queue = d->storage == NULL ? 0 : storage_thread_queue(d->storage),
        .queue_max = STORAGE_QUEUE_MAX,
        .queue_high_s = watch->queue_high_s,
        .refused = d->refused,
        .slots = d->slots,
        .workers = d->n_workers,
        .slots_used = watch->slots_used,
        .cores_used = watch->cores_used,
        .cores_held = watch->cores_held,
        .recent_exits = recent_exits(watch),
        .game_s = watch->game_s,
        .training = s->training == PROCESS_RUNNING,
        .training_silent_s = watch->training_silent_s,
    };
    for (uint32_t i = 0; i < d->n_workers; i++) {
        const struct scheduler_worker *worker = &s->workers[i];
        ret->backing_off += worker->state == PROCESS_BACKING_OFF;
        if (worker->backoff.crashes > ret->crashes) {
            ret->crashes = worker->backoff.crashes;
        }
        if (d->workers[i].silent_s > ret->silent_s) {
            ret->silent_s = d->workers[i].silent_s;
            ret->silent_worker = i;
        }
    }
}

/* ---- a look, in a thread of the pool ---- */
struct look {
    uv_work_t work;
    struct daemon *d; /* not for the thread, but for its stop flag */
    bool reads, generation, wants_alarms, has_alarms;
    char db_path[PATH_MAX], state_dir[PATH_MAX];
    struct doctor_live live;
    struct doctor_figures figures; /* in: of the last reading; out */
    struct doctor_report report;
    char alarms[DOCTOR_MAX_CHECKS][48];
    uint32_t n_alarms;
    uint32_t n_children;
    int child_pid[DAEMON_MAX_CHILDREN];
    int64_t child_ms[DAEMON_MAX_CHILDREN];
    int result;
    struct error err;
};

static void take_alarm(const char *check, void *context)
{
    struct look *look = context;

    if (look->n_alarms < DOCTOR_MAX_CHECKS) {
        (void)snprintf(look->alarms[look->n_alarms++], sizeof(look->alarms[0]), "%s", check);
    }
}

static int read_store(struct look *look)
{
    struct store *store = NULL;
    int r = store_open(look->db_path, STORE_READ, &store, &look->err);

    if (r < 0) {
        return r;
    }
    const struct doctor_source source = {.db = store_handle(store),
                                         .state_dir = look->state_dir,
                                         .generation = -1,
                                         .live = &look->live,
                                         .stop = &look->d->doctor.stop};
    if (look->wants_alarms) {
        look->has_alarms = doctor_read_alarms(source.db, take_alarm, look, NULL) == 0;
    }
    r = doctor_read(&source, &look->figures, &look->err);
    store_close(store);
    return r;
}

static void look_around(uv_work_t *work)
{
    struct look *look = work->data;

    for (uint32_t i = 0; i < look->n_children; i++) {
        look->child_ms[i] = doctor_process_ms(look->child_pid[i]);
    }
    if (look->reads) {
        look->result = read_store(look);
    } else {
        doctor_look_at_disk(look->state_dir, &look->figures.disk);
        look->figures.live = look->live;
    }
    if (look->result == 0) {
        doctor_diagnose(&look->figures, &look->report);
    }
}

/* ---- what is found ---- */
static void write_summary(struct doctor_watch *watch)
{
    size_t used = 0;

    watch->summary[0] = '\0';
    for (uint32_t i = 0; i < watch->report.n; i++) {
        if (watch->report.checks[i].state == DOCTOR_RED && used < sizeof(watch->summary) - 64) {
            int n = snprintf(watch->summary + used, sizeof(watch->summary) - used, "%s%s",
                             used == 0 ? "doctor: red: " : ", ", watch->report.checks[i].check);
            used += n > 0 ? (size_t)n : 0;
        }
    }
    if (used > 0) {
        (void)snprintf(watch->summary + used, sizeof(watch->summary) - used, " (qzctl doctor)");
    }
}

static void keep(struct daemon *d, const struct doctor_report *report, const struct diagnosis *one)
{
    const struct store_diagnosis row = {.at = report->at,
                                        .generation = report->generation,
                                        .name = one->check,
                                        .state = doctor_state_text(one->state),
                                        .figure = isfinite(one->figure) ? one->figure : NAN,
                                        .detail = one->text,
                                        .bound = one->bound};

    daemon_put(d, storage_task_diagnosis(&row));
}

static void alarm_or_calm(struct daemon *d, uint32_t i)
{
    struct doctor_watch *watch = &d->doctor;
    const struct diagnosis *one = &watch->report.checks[i];

    if (one->state == DOCTOR_RED && !watch->alarmed[i]) {
        watch->alarmed[i] = true;
        daemon_note(d, SEVERITY_ERROR, "diagnosis", "%s is red: %s (%s): %s", one->check, one->text,
                    one->bound, one->advice);
    } else if (one->state == DOCTOR_GREEN && watch->alarmed[i]) {
        watch->alarmed[i] = false;
        daemon_note(d, SEVERITY_INFO, "diagnosis", "%s is green again: %s", one->check, one->text);
    }
}

static bool alarming(enum doctor_state state)
{
    return state == DOCTOR_RED || state == DOCTOR_YELLOW;
}

/* Take the checks that this look is about, and do what their change asks for. */
static void take_report(struct daemon *d, const struct look *look)
{
    struct doctor_watch *watch = &d->doctor;
    const struct doctor_report *report = &look->report;

    watch->report.at = report->at;
    watch->report.generation = report->generation;
    watch->report.now = true;
    watch->report.n = report->n;
    for (uint32_t i = 0; i < report->n; i++) {
        const struct diagnosis *new = &report->checks[i];
        enum doctor_state before = watch->report.checks[i].state;
        if (!look->reads && !new->live) {
            continue;
        }
        watch->report.checks[i] = *new;
        bool turned = before != new->state && (alarming(before) || alarming(new->state));
        if (new->state != DOCTOR_UNKNOWN && (look->generation || turned)) {
            keep(d, report, new);
        }
        alarm_or_calm(d, i);
    }
    write_summary(watch);
}

/* Which of the checks are in alarm since before this start. */
static void take_alarms(struct doctor_watch *watch, const struct look *look)
{
    watch->alarms_known = true;
    for (uint32_t i = 0; i < look->report.n; i++) {
        for (uint32_t k = 0; k < look->n_alarms; k++) {
            watch->alarmed[i] =
                watch->alarmed[i] || strcmp(look->report.checks[i].check, look->alarms[k]) == 0;
        }
    }
}

/* Processor time since the last look, of children that lived at both. */
static void take_cores(struct doctor_watch *watch, const struct look *look)
{
    int64_t now_ms = daemon_now_ms();
    double seconds = (double)(now_ms - watch->measured_ms) / 1000;
    double spent_ms = 0;

    for (uint32_t i = 0; i < look->n_children; i++) {
        for (uint32_t k = 0; k < watch->n_children; k++) {
            if (look->child_pid[i] == watch->child_pid[k] && look->child_ms[i] >= 0 &&
                watch->child_ms[k] >= 0) {
                spent_ms += (double)(look->child_ms[i] - watch->child_ms[k]);
            }
        }
    }
    if (watch->measured_ms > 0 && seconds > 1) {
        double used = spent_ms / 1000 / seconds;
        double weight = isnan(watch->cores_used) ? 1 : 1 - exp(-seconds / MINUTE_S);
        double before = isnan(watch->cores_used) ? 0 : watch->cores_used;
        watch->cores_used = before + weight * (used - before);
        watch->cores_held = watch->slots_used;
    }
    watch->measured_ms = now_ms;
    watch->n_children = look->n_children;
    memcpy(watch->child_pid, look->child_pid, sizeof(look->child_pid));
    memcpy(watch->child_ms, look->child_ms, sizeof(look->child_ms));
}

static void start_look(struct daemon *d, bool reads, bool generation);

static void looked(uv_work_t *work, int status)
{
    struct look *look = work->data;
    struct daemon *d = look->d;
    struct doctor_watch *watch = &d->doctor;

    watch->looking = false;
    if (status == 0 && !d->stopping) {
        take_cores(watch, look);
        if (look->result < 0) {
            if (look->result != ERROR_CANCELLED) {
                daemon_say(d, SEVERITY_WARNING, "doctor", "%s", look->err.text);
            }
        } else {
            if (look->has_alarms) {
                take_alarms(watch, look);
            }
            if (look->reads) {
                watch->figures = look->figures;
            }
            take_report(d, look);
        }
        if (watch->generation_due) {
            watch->generation_due = false;
            start_look(d, true, true);
        }
    }
    free(look);
}

static void list_children(const struct daemon *d, struct look *look)
{
    for (uint32_t i = 0; i < d->n_workers; i++) {
        look->child_pid[look->n_children++] = supervisor_pid(d->supervisor, ROLE_WORKER, i);
    }
    look->child_pid[look->n_children++] = supervisor_pid(d->supervisor, ROLE_TRAIN, 0);
    look->child_pid[look->n_children++] = supervisor_pid(d->supervisor, ROLE_MATCH, 0);
    for (uint32_t i = 0; i < look->n_children;) {
        if (look->child_pid[i] > 0) {
            i++;
        } else {
            look->child_pid[i] = look->child_pid[--look->n_children];
        }
    }
}

static void start_look(struct daemon *d, bool reads, bool generation)
{
    struct doctor_watch *watch = &d->doctor;

    if (watch->looking) {
        watch->generation_due = watch->generation_due || generation;
        return;
    }
    struct look *look = calloc(1, sizeof(*look));
    if (look == NULL) {
        return; /* the next look comes soon */
    }
    look->d = d;
    look->work.data = look;
    look->reads = reads;
    look->generation = generation;
    look->wants_alarms = reads && !watch->alarms_known;
    (void)snprintf(look->db_path, sizeof(look->db_path), "%s", d->db_path);
    (void)snprintf(look->state_dir, sizeof(look->state_dir), "%s", d->state_dir);
    daemon_doctor_live(&look->live, d);
    look->figures = watch->figures;
    look->figures.at = daemon_wall_ms();
    look->figures.generation = d->net.generation;
    look->figures.now = true;
    list_children(d, look);
    if (uv_queue_work(&d->loop, &look->work, look_around, looked) != 0) {
        free(look);
        return;
    }
    watch->looking = true;
    watch->to_look_s = LOOK_S;
    if (reads) {
        watch->to_read_s = READ_S;
    }
}

/* ---- when ---- */
void daemon_doctor_begin(struct daemon *d)
{
    struct doctor_watch *watch = &d->doctor;

    watch->cores_used = NAN;
    watch->games = d->counts.games;
    watch->slots_used = d->slots; /* until it is known better */
    start_look(d, true, false);
}

void daemon_doctor_generation(struct daemon *d)
{
    start_look(d, true, true);
}

void daemon_doctor_tick(struct daemon *d)
{
    struct doctor_watch *watch = &d->doctor;

    if (d->stopping) {
        return;
    }
    count_second(d);
    watch->to_look_s -= watch->to_look_s > 0;
    watch->to_read_s -= watch->to_read_s > 0;
    if (watch->to_read_s == 0) {
        start_look(d, true, false);
    } else if (watch->to_look_s == 0) {
        start_look(d, false, false);
    }
}
