#include "daemon/build_id.h"
#include "daemon/daemon_internal.h"

#include "daemon/notify.h"
#include "daemon/slots.h"
#include "selfplay/match.h"
#include "selfplay/speed.h"
#include "storage/clock.h"
#include "trainer/net/kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* How it ends: daemon_stop() closes the socket and tells the children; when the last of them is gone
 * (supervisor), what they said is in the queue and the storage thread is closed; when that is done the
 * remaining handles close and the loop has nothing left to run for. */
enum { TICK_MS = 1000, SECOND_SIGINT_MS = 500, EXIT_FAILED = 1, EXIT_BAD_CONFIG = 4 };
static const double measure_seconds = 1;

int64_t daemon_now_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

int64_t daemon_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

void daemon_say(struct daemon *d, enum log_severity severity, const char *what, const char *format,
                ...)
{
    char text[1536];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_event(d->log, severity, what, "%s", text);
}

void daemon_note(struct daemon *d, enum log_severity severity, const char *what, const char *format,
                 ...)
{
    char text[1536];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_event(d->log, severity, what, "%s", text);
    daemon_put(d, storage_task_event(daemon_wall_ms(), log_severity_text(severity), what, text));
    daemon_tell(d, severity, what, text);
}

void daemon_tell(struct daemon *d, enum log_severity severity, const char *what, const char *text)
{
    const struct event_exec_event event = {.at = daemon_wall_ms(),
                                           .severity = log_severity_text(severity),
                                           .what = what,
                                           .detail = text,
                                           .generation = d->net.generation,
                                           .state_dir = d->state_dir};

    if (severity >= d->config.events.severity && d->exec != NULL) {
        event_exec_put(d->exec, &event);
    }
}

/* The command's own troubles are events like others, but for the command. */
static void on_exec_trouble(const char *text, void *context)
{
    struct daemon *d = context;

    daemon_say(d, SEVERITY_WARNING, "events.exec", "%s", text);
    if (d->storage != NULL) {
        daemon_put(d, storage_task_event(daemon_wall_ms(), "warning", "events.exec", text));
    }
}

void daemon_put(struct daemon *d, struct storage_task *task)
{
    if (!storage_thread_put(d->storage, task)) {
        d->dropped++;
        daemon_say(d, SEVERITY_ERROR, "out of memory", "a note for the store is lost");
    }
}

/* ---- the storage thread's news ---- */
static void on_committed(const struct store_counts *counts, void *context)
{
    struct daemon *d = context;

    d->counts = *counts;
    if (!d->stopping) {
        daemon_event(
            d, (struct scheduler_event){.kind = EVENT_COUNTS, .positions = counts->positions});
    }
}

static void on_trouble(int code, const char *text, void *context)
{
    struct daemon *d = context;

    daemon_say(d, SEVERITY_ERROR, "store",
               "%s (%s); self-play waits, nothing is lost, trying again", text, error_text(code));
    daemon_tell(d, SEVERITY_ERROR, "store", text); /* an event cannot be written now */
    daemon_event(d, (struct scheduler_event){.kind = EVENT_BLOCKED});
}

static void on_recovered(int64_t after_ms, void *context)
{
    struct daemon *d = context;

    daemon_note(d, SEVERITY_WARNING, "store", "it can be written again after %.1f s",
                (double)after_ms / 1000);
    daemon_event(d, (struct scheduler_event){.kind = EVENT_FREE});
}

static void on_drained(void *context)
{
    struct daemon *d = context;

    supervisor_read(d->supervisor, true);
}

/* ---- timers and signals ---- */
static void beat(const struct daemon *d)
{
    /* systemd is to end a daemon that no longer writes, not one that waits for a full disk: the thread's
     * heart goes on beating while it tries again. */
    uint64_t watchdog_ms = notify_watchdog_ms();

    if (watchdog_ms > 0 && d->storage != NULL &&
        daemon_now_ms() - storage_thread_heartbeat(d->storage) < (int64_t)watchdog_ms + 5000) {
        notify_watchdog();
    }
}

/* So that a kill does not forgive the evaluations' debt. Written when it has moved. */
static void keep_account(struct daemon *d)
{
    char text[48];

    if (d->ticks % 10 != 0 || d->stopping ||
        fabs(d->scheduler.account_ms - d->stored_account_ms) < 1000) {
        return;
    }
    d->stored_account_ms = d->scheduler.account_ms;
    (void)snprintf(text, sizeof(text), "%.0f", d->stored_account_ms);
    daemon_put(d, storage_task_run("evaluation_account_ms", text));
}

static void on_tick(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    int64_t now_ms = daemon_now_ms();
    double seconds = (double)(now_ms - d->ticked_ms) / 1000;

    d->ticked_ms = now_ms;
    d->ticks++;
    for (uint32_t i = 0; i < d->n_workers; i++) {
        rate_tick(&d->workers[i].positions, seconds);
        rate_tick(&d->workers[i].evaluations, seconds);
    }
    daemon_event(d, (struct scheduler_event){.kind = EVENT_TICK});
    keep_account(d);
    daemon_doctor_tick(d);
    daemon_watch_tick(d);
    daemon_upkeep_tick(d);
    beat(d);
    daemon_show(d);
}

static void on_end_signal(uv_signal_t *handle, int number)
{
    struct daemon *d = handle->data;

    if (d->stopping && number == SIGINT && !d->forced) {
        if (daemon_now_ms() - d->stopping_ms < SECOND_SIGINT_MS) {
            return; /* the same Ctrl-C once more, passed on by a wrapper */
        }
        d->forced = true;
        daemon_say(d, SEVERITY_WARNING, "stop", "at once: what runs is killed");
        supervisor_kill_all(d->supervisor);
        return;
    }
    daemon_stop(d, number == SIGINT ? "SIGINT" : "SIGTERM");
}

static void on_hangup(uv_signal_t *handle, int number)
{
    struct daemon *d = handle->data;

    (void)number;
    if (!d->stopping) {
        (void)daemon_reload(d, "SIGHUP", NULL);
    }
}

static void http_closed(void *context)
{
    struct daemon *d = context;

    d->http = NULL;
}

void daemon_stop(struct daemon *d, const char *why)
{
    if (d->stopping) {
        return;
    }
    d->stopping = true;
    d->stopping_ms = daemon_now_ms();
    atomic_store(&d->doctor.stop, true);
    notify_stopping();
    daemon_note(d, SEVERITY_INFO, "stop", "%s: %" PRId64 " games, generation %u", why,
                d->counts.games, d->net.generation);
    daemon_event(d, (struct scheduler_event){.kind = EVENT_STOP});
    if (d->http != NULL) {
        http_close(d->http, http_closed, d);
    }
    supervisor_stop_all(d->supervisor, DAEMON_GRACE_MS);
}

/* ---- beginning ---- */
static int make_folders(struct daemon *d, struct error *err)
{
    static const char *const names[] = {"nets", "checkpoints"};
    char path[PATH_MAX + 16];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", d->state_dir, names[i]);
        if (mkdir(path, 0750) < 0 && errno != EEXIST) {
            return error_set(err, error_from_errno(errno), "%s: cannot be made: %s", path,
                             strerror(errno));
        }
    }
    return 0;
}

/* Children and qzctl may work elsewhere: every path is absolute from here on. */
static int find_paths(struct daemon *d, struct error *err)
{
    struct lock *probe = NULL;
    int r = lock_take(d->config.state_dir, NULL, &probe, err); /* makes the directory too */

    if (r < 0) {
        return r;
    }
    char *absolute = realpath(d->config.state_dir, NULL);
    if (absolute == NULL || strlen(absolute) + 16 > sizeof(d->db_path) ||
        !config_set_state_dir(&d->config, absolute)) {
        r = error_set(err, ERROR_INVALID, "%s: not a usable path", d->config.state_dir);
    } else {
        (void)snprintf(d->state_dir, sizeof(d->state_dir), "%s", absolute);
        (void)snprintf(d->db_path, sizeof(d->db_path), "%s/qzd.db", absolute);
    }
    free(absolute);
    lock_release(probe);
    return r;
}

static int take_state(struct daemon *d, struct daemon_resume *resume, struct error *err)
{
    size_t size = sizeof(d->host);
    int r = find_paths(d, err);

    if (r >= 0) {
        r = lock_take(d->state_dir, d->config.control.socket, &d->lock, err);
    }
    if (r >= 0) {
        r = make_folders(d, err);
    }
    if (r >= 0) {
        r = store_open(d->db_path, STORE_CREATE, &d->store, err);
    }
    if (r >= 0) {
        d->games = game_table_create();
        r = d->games == NULL ? error_set(err, ERROR_NO_MEMORY, "out of memory") : 0;
    }
    if (r >= 0 && uv_os_gethostname(d->host, &size) != 0) {
        (void)snprintf(d->host, sizeof(d->host), "localhost");
    }
    return r < 0 ? r : daemon_resume(d, resume, err);
}

static void watch_signal(struct daemon *d, uv_signal_t *handle, int number, uv_signal_cb callback)
{
    (void)uv_signal_init(&d->loop, handle);
    handle->data = d;
    (void)uv_signal_start(handle, callback, number);
}

static int open_parts(struct daemon *d, struct error *err)
{
    struct http_callbacks http = daemon_http_callbacks;
    struct supervisor_callbacks supervisor = daemon_supervisor_callbacks;
    const struct storage_callbacks storage = {.committed = on_committed,
                                              .trouble = on_trouble,
                                              .recovered = on_recovered,
                                              .drained = on_drained,
                                              .context = d};

    http.context = d;
    supervisor.context = d;
    d->workers = calloc(d->n_workers + 1, sizeof(*d->workers));
    d->watches = calloc(d->n_workers + 2, sizeof(*d->watches));
    d->supervisor = supervisor_create(&d->loop, d->n_workers, &supervisor);
    const struct event_exec_callbacks exec = {.trouble = on_exec_trouble, .context = d};
    d->exec = event_exec_create(&d->loop, &exec);
    if (d->workers == NULL || d->watches == NULL || d->supervisor == NULL || d->exec == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    /* The socket before the thread: if it is refused, nothing has to be undone. */
    int r = http_open(&d->loop, d->config.control.socket, d->db_path, &http, &d->http, err);
    if (r < 0) {
        return r;
    }
    r = storage_thread_open(&d->loop, d->store, &storage_backend_sqlite, &storage, &d->storage,
                            err);
    if (r < 0) {
        return r;
    }
    d->store = NULL; /* the thread's now */
    watch_signal(d, &d->signal_term, SIGTERM, on_end_signal);
    watch_signal(d, &d->signal_int, SIGINT, on_end_signal);
    watch_signal(d, &d->signal_hup, SIGHUP, on_hangup);
    (void)uv_timer_init(&d->loop, &d->tick);
    d->tick.data = d;
    (void)uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS);
    return 0;
}

static void begin(struct daemon *d, const struct daemon_resume *resume, const char *previous)
{
    struct scheduler_settings settings;

    d->started_ms = daemon_now_ms();
    daemon_watch_begin(d);
    event_exec_set(d->exec, &d->config.events.exec, d->config.events.seconds);
    d->ticked_ms = daemon_now_ms();
    daemon_scheduler_settings(d, &settings);
    scheduler_init(&d->scheduler, &settings, &resume->start, daemon_now_ms());
    daemon_log_settings(d, previous);
    daemon_note(d, SEVERITY_INFO, "start",
                "%s %s: %s in %s, generation %u, %" PRId64 " games, %u core slots, socket %s",
                resume->first_start ? "qzd begins" : "qzd", build_id, d->game->title, d->state_dir,
                d->net.generation, d->counts.games, d->slots, d->config.control.socket);
    for (uint32_t i = 0; i < resume->n_judge; i++) {
        daemon_event(d, (struct scheduler_event){.kind = EVENT_JUDGE, .net = resume->judge_net[i]});
    }
    if (resume->judge_search) {
        daemon_event(d, (struct scheduler_event){.kind = EVENT_JUDGE,
                                                 .net = d->net.id,
                                                 .evaluation = EVALUATION_SEARCH});
    }
    daemon_event(d, (struct scheduler_event){
                        .kind = EVENT_JUDGE, .net = d->net.id, .evaluation = EVALUATION_MATCH});
    if (resume->rate) {
        daemon_rate(d);
    }
    if (resume->paused) {
        daemon_say(d, SEVERITY_WARNING, "paused", "as it was before; qzctl resume goes on");
        daemon_event(d, (struct scheduler_event){.kind = EVENT_PAUSE});
    }
    daemon_event(d, (struct scheduler_event){.kind = EVENT_TICK});
    daemon_doctor_begin(d);
    notify_ready();
    daemon_show(d);
}

static int read_config(struct daemon *d)
{
    struct config_problems problems = {0};
    int r = 0;

    if (d->config_path == NULL) {
        config_default(&d->config);
    } else {
        r = config_load(d->config_path, &d->config, &problems);
    }
    if (r < 0) {
        (void)fprintf(stderr, "%s", problems.text != NULL ? problems.text : "qzd: bad config\n");
    } else if (d->state_option != NULL && !config_set_state_dir(&d->config, d->state_option)) {
        (void)fprintf(stderr, "qzd: %s: the path is too long\n", d->state_option);
        r = ERROR_INVALID;
    }
    config_problems_finish(&problems);
    d->file_config = d->config;
    return r;
}

/* OpenBLAS begins its threads before main() does. They block no signal, so that a SIGTERM would end a child through one
 * of them in the middle of a message. Children ask for threads where they use some. */
static int forbid_early_threads(struct error *err)
{
    return setenv("OPENBLAS_NUM_THREADS", "1", 1) < 0
               ? error_set(err, ERROR_NO_MEMORY, "no memory for the children's environment")
               : 0;
}

/* The children learn of inference.kernel and inference.precision through their environment. */
static int choose_kernel(const struct daemon *d, struct error *err)
{
    const struct kernel *kernel = NULL;

    if ((d->config.inference_kernel != CONFIG_KERNEL_AUTO &&
         setenv("QZD_KERNEL", config_kernel_words[d->config.inference_kernel], 1) < 0) ||
        setenv("QZD_PRECISION", config_precision_words[d->config.inference_precision], 1) < 0) {
        return error_set(err, ERROR_NO_MEMORY, "no memory for the children's environment");
    }
    int r = kernel_choose(&kernel, err);
    return r < 0 ? error_prefix(err, r, "inference") : 0;
}

/* games_per_worker: auto is as many as make the fastest batches of this net on this processor: each game adds one position
 * to a batch. Measured before the loop begins, which never computes. */
static void choose_games(struct daemon *d)
{
    struct speed_batches batches = speed_batches_usual;
    struct error err = {.text = ""};
    struct net *net = NULL;
    char path[PATH_MAX + 256];
    char rates[256] = "";
    size_t length = 0;

    d->games_per_worker = d->config.selfplay.games_per_worker;
    if (d->games_per_worker != CONFIG_AUTO) {
        return;
    }
    d->games_per_worker = DAEMON_GAMES_PER_WORKER;
    (void)snprintf(path, sizeof(path), "%s/%s", d->state_dir, d->net.file);
    int r = net_load(path, &net, NULL, &err);
    r = r < 0 ? r : speed_evaluations(d->game, net, measure_seconds, &batches, &err);
    net_destroy(net);
    if (r < 0) { /* whoever plays says so too, and louder */
        daemon_say(d, SEVERITY_WARNING, "selfplay", "%u games a worker, unmeasured: %s",
                   d->games_per_worker, err.text);
        return;
    }
    d->games_per_worker = speed_choose(&batches);
    for (uint32_t i = 0; i < batches.n; i++) {
        int n = snprintf(rates + length, sizeof(rates) - length, "%s%.1f k at %u",
                         i > 0 ? ", " : "", batches.rate[i] / 1000, batches.batch[i]);
        length += n > 0 && (size_t)n < sizeof(rates) - length ? (size_t)n : 0;
    }
    daemon_say(d, SEVERITY_INFO, "selfplay",
               "%u games a worker: evaluations/s of a core by batch: %s", d->games_per_worker,
               rates);
}

static int prepare(struct daemon *d, struct daemon_resume *resume, char *previous, size_t size,
                   struct error *err)
{
    d->game = game_find(d->config.game);
    if (d->game == NULL) {
        return error_set(err, ERROR_UNSUPPORTED, "no game is called %s", d->config.game);
    }
    int r = match_max_pairs(d->game, &d->max_pairs, err);
    if (r < 0) {
        return r;
    }
    d->slots = slots_count();
    if (d->config.resources.cores != CONFIG_AUTO && d->config.resources.cores < d->slots) {
        d->slots = d->config.resources.cores;
    }
    d->n_workers =
        d->config.selfplay.workers == CONFIG_AUTO ? d->slots : d->config.selfplay.workers;
    if (d->n_workers > SCHEDULER_MAX_WORKERS) {
        d->n_workers = SCHEDULER_MAX_WORKERS;
    }
    r = forbid_early_threads(err);
    if (r == 0) {
        r = choose_kernel(d, err);
    }
    if (r == 0) {
        r = take_state(d, resume, err);
    }
    if (r >= 0) {
        choose_games(d);
    }
    if (r >= 0 && store_get_run(d->store, "config", previous, size, NULL) < 0) {
        previous[0] = '\0';
    }
    return r < 0 ? r : open_parts(d, err);
}

static void finish(struct daemon *d)
{
    for (uint32_t i = 0; d->workers != NULL && i < d->n_workers; i++) {
        free(d->workers[i].search);
    }
    free(d->workers);
    free(d->watches);
    supervisor_destroy(d->supervisor);
    game_table_destroy(d->games);
    training_row_finish(&d->training.row);
    store_net_finish(&d->net);
    event_exec_close(d->exec); /* only where the daemon could not begin: nothing runs */
    store_close(d->store);
    lock_release(d->lock);
    terminal_destroy(d->terminal);
    log_destroy(d->log);
    free(d);
}

/* A terminal gets the live block, on stderr where the lines are, or on stdout if only that is one. */
static void open_voice(struct daemon *d)
{
    if (getenv("JOURNAL_STREAM") == NULL) {
        d->terminal = terminal_create(STDERR_FILENO);
    }
    d->log = log_create(d->terminal);
}

int daemon_run(const struct daemon_options *options)
{
    enum { PREVIOUS_BYTES = 65536 };
    struct error err = {.text = ""};
    struct daemon_resume resume = {.n_judge = 0};
    struct daemon *d = calloc(1, sizeof(*d));
    char *previous = calloc(1, PREVIOUS_BYTES);
    int status = EXIT_FAILED;

    if (d == NULL || previous == NULL) {
        (void)fprintf(stderr, "qzd: out of memory\n");
        free(d);
        free(previous);
        return status;
    }
    d->config_path = options->config_path;
    d->state_option = options->state_dir;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is met like a full disk */
    (void)uv_loop_init(&d->loop);
    open_voice(d);
    if (d->log == NULL) {
        (void)fprintf(stderr, "qzd: out of memory\n");
    } else if (read_config(d) < 0) {
        status = EXIT_BAD_CONFIG;
    } else if (prepare(d, &resume, previous, PREVIOUS_BYTES, &err) < 0) {
        (void)fprintf(stderr, "qzd: %s\n", err.text);
        if (d->http != NULL) {
            http_close(d->http, http_closed, d);
            (void)uv_run(&d->loop, UV_RUN_DEFAULT);
        }
    } else {
        begin(d, &resume, previous[0] == '\0' ? NULL : previous);
        (void)uv_run(&d->loop, UV_RUN_DEFAULT);
        status = d->failed ? EXIT_FAILED : 0;
        daemon_show(d);
        log_event(d->log, SEVERITY_INFO, "stopped", "%s",
                  d->failed ? "not everything could be written" : "everything is committed");
    }
    (void)uv_loop_close(&d->loop);
    free(previous);
    finish(d);
    return status;
}
