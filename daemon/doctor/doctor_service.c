/* What the daemon and its host say. Without a daemon most of it is unknown. */
#include "daemon/doctor/doctor.h"

#include <math.h>
#include <string.h>

static bool has_daemon(const struct doctor_figures *f, struct diagnosis *ret)
{
    if (!f->live.known) {
        doctor_text(ret, f->now ? "no daemon runs" : "only for the present");
    }
    return f->live.known;
}

/* What stops play on purpose is no stall. */
static bool waits(const struct doctor_live *live)
{
    return live->paused || live->blocked;
}

static void store_writable(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_live *live = &f->live;

    doctor_bound(ret, "red while it cannot be written");
    if (!has_daemon(f, ret)) {
        return;
    }
    ret->figure = live->blocked ? live->blocked_s : 0;
    ret->state = live->blocked ? DOCTOR_RED : DOCTOR_GREEN;
    if (live->blocked) {
        doctor_text(ret, "it cannot be written since %.0f s: self-play waits, nothing is lost",
                    live->blocked_s);
    } else {
        doctor_text(ret, "it is being written");
    }
}

/* KataGo warns of writers that are "struggling to keep up"; here a full queue stops reading from workers. */
static void writer_backlog(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_live *live = &f->live;

    doctor_bound(ret, "more than half full: yellow for 15 s, red for 60 s");
    if (!has_daemon(f, ret)) {
        return;
    }
    ret->figure = live->queue;
    ret->state = doctor_judge(live->queue_high_s, 15, 60, true);
    doctor_text(ret, "%u of %u places in the queue taken%s", live->queue, live->queue_max,
                live->queue_high_s > 0 ? ", more than half for a while" : "");
}

static void records(const struct doctor_figures *f, struct diagnosis *ret)
{
    doctor_bound(ret, "refused since the daemon began: yellow from 1 on, red from 20 on");
    if (!has_daemon(f, ret)) {
        return;
    }
    ret->figure = f->live.refused;
    ret->state = doctor_judge(ret->figure, 0.5, 19.5, true);
    doctor_text(ret, "%u records were refused", f->live.refused);
}

static void wal(const struct doctor_figures *f, struct diagnosis *ret)
{
    const double mib = 1 << 20;

    doctor_bound(ret, "yellow > 192 MiB, red > 512 MiB");
    if (!f->disk.known) {
        doctor_text(ret, "only for the present");
        return;
    }
    ret->figure = f->disk.wal_bytes;
    ret->state = doctor_judge(f->disk.wal_bytes, 192 * mib, 512 * mib, true);
    doctor_text(ret, "the write-ahead log holds %.1f MiB", f->disk.wal_bytes / mib);
}

/* Two days are a weekend. A rate is only known behind ten minutes of play. */
static void disk(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_disk *d = &f->disk;
    const double gib = 1 << 30;

    doctor_bound(ret, "days left: yellow < 7, red < 2; free: yellow < 1 GiB, red < 64 MiB");
    if (!d->known) {
        doctor_text(ret, "only for the present");
        return;
    }
    double days = d->bytes_per_day > 0 ? d->free_bytes / d->bytes_per_day : NAN;
    enum doctor_state by_days = doctor_judge(days, 7, 2, false);
    enum doctor_state by_bytes = doctor_judge(d->free_bytes, gib, gib / 16, false);
    ret->state = by_days > by_bytes ? by_days : by_bytes;
    ret->figure = days;
    if (isnan(days)) {
        doctor_text(ret, "%.1f GiB free, the store holds %.2f GiB", d->free_bytes / gib,
                    d->store_bytes / gib);
    } else {
        doctor_text(ret,
                    "%.1f GiB free, the store holds %.2f GiB and grows by %.2f GiB a day: "
                    "%.1f days left",
                    d->free_bytes / gib, d->store_bytes / gib, d->bytes_per_day / gib, days);
    }
}

/* Slots are held by processes; whether the machine gives them the time is another question. */
static void core_slots(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_live *live = &f->live;

    doctor_bound(ret, "slots held: yellow < 85 %%, red < 50 %% where there are workers for all; "
                      "processor time: yellow < 50 %% of the slots held");
    if (!has_daemon(f, ret)) {
        return;
    }
    if (waits(live) || live->uptime_s < 90) {
        ret->state = waits(live) ? DOCTOR_GREEN : DOCTOR_UNKNOWN;
        doctor_text(ret, waits(live) ? "self-play waits" : "the daemon has only begun");
        return;
    }
    double held = live->slots_used / (live->slots > 0 ? live->slots : 1);
    enum doctor_state used = doctor_judge(held, 0.85, 0.5, false);
    if (used == DOCTOR_RED && live->workers < live->slots) {
        used = DOCTOR_YELLOW; /* so few were asked for */
    }
    double got = live->cores_held > 0 ? live->cores_used / live->cores_held : NAN;
    enum doctor_state time = doctor_judge(got, 0.5, -1, false);
    ret->figure = held;
    ret->state = used > time ? used : time;
    if (isnan(got)) {
        doctor_text(ret, "%.1f of %u slots held", live->slots_used, live->slots);
    } else {
        doctor_text(ret, "%.1f of %u slots held, which got %.0f %% of a core each",
                    live->slots_used, live->slots, 100 * got);
    }
}

static void workers(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_live *live = &f->live;

    doctor_bound(ret, "ended in 10 minutes: yellow from 1 on, red from 10 on; red: 3 crashes in a "
                      "row");
    if (!has_daemon(f, ret)) {
        return;
    }
    enum doctor_state exits = doctor_judge(live->recent_exits, 0.5, 9.5, true);
    enum doctor_state row = live->crashes >= 3 ? DOCTOR_RED : DOCTOR_GREEN;
    ret->figure = live->recent_exits;
    ret->state = exits > row ? exits : row;
    doctor_text(ret,
                "%u ended by themselves in the last ten minutes, %u wait to start again, at "
                "most %u crashes in a row",
                live->recent_exits, live->backing_off, live->crashes);
}

/* A worker speaks once a second. */
static void worker_silence(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_live *live = &f->live;

    doctor_bound(ret, "a worker that should be playing: yellow > 10 s, red > 30 s");
    if (!has_daemon(f, ret)) {
        return;
    }
    ret->figure = live->silent_s;
    ret->state = doctor_judge(live->silent_s, 10, 30, true);
    if (ret->state == DOCTOR_GREEN) {
        doctor_text(ret, "all that should be playing speak");
    } else {
        doctor_text(ret, "worker %u has said nothing for %.0f s", live->silent_worker,
                    live->silent_s);
    }
}

/* Mean time between games of the sample; a run's first game may take its time. */
static void stall(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_live *live = &f->live;
    const struct doctor_games *g = &f->games;

    doctor_bound(ret, "no finished game: yellow for 10 times the mean interval, red for 20 times "
                      "and 120 s (3600 s before there are 20); a training's silence: 300 s, 900 s");
    if (!has_daemon(f, ret)) {
        return;
    }
    if (waits(live)) {
        ret->state = DOCTOR_GREEN;
        doctor_text(ret, "self-play waits");
        return;
    }
    double interval = g->games < 20 ? 180 : g->seconds / (g->games - 1);
    double yellow = fmax(10 * interval, 60);
    double red = fmax(20 * interval, 120);
    enum doctor_state training =
        live->training ? doctor_judge(live->training_silent_s, 300, 900, true) : DOCTOR_GREEN;
    enum doctor_state game = doctor_judge(live->game_s, yellow, red, true);
    ret->figure = live->game_s;
    ret->state = training > game ? training : game;
    if (training > game) {
        doctor_text(ret, "the running training has said nothing for %.0f s",
                    live->training_silent_s);
    } else {
        doctor_text(ret, "%.0f s of play since the last finished game, usual are %.1f s",
                    live->game_s, interval);
    }
}

const struct doctor_check doctor_service_checks[] = {
    {"store", store_writable,
     "make room on the disk of state_dir (or mend its rights); the daemon goes on by itself", true},
    {"writer backlog", writer_backlog,
     "the disk is slower than play: a faster one, fewer workers, or more search.nodes", true},
    {"records", records,
     "a worker sent records that cannot be: see `qzctl events`; mixed versions of qzd?", true},
    {"write-ahead log", wal,
     "something reads without end and keeps the log from shrinking: an open sqlite3 or a backup",
     true},
    {"disk", disk, "free or add space; old nets and games grow without end unless retention is set",
     true},
    {"core slots", core_slots,
     "unused: selfplay.workers: auto; little processor time: other programs or a quota take it, or "
     "OpenBLAS has more threads than there are cores (training.threads)",
     true},
    {"workers", workers, "workers crash: `qzctl events` and the journal say how they ended", true},
    {"worker silence", worker_silence,
     "a worker is stopped or hangs: kill it, the daemon starts another that goes on with its games",
     true},
    {"stall", stall,
     "nothing comes of the work: `qzctl status`, the journal; a restart loses nothing", true},
    {.name = NULL},
};
