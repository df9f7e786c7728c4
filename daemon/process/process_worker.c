/* qzd worker: self-play. The daemon speaks to it over stdin (Configure, SetNet, NewGame, Suspend, Stop)
 * and hears Hello, records and Usage on stdout. Stop, SIGTERM, the end of stdin or the daemon's death
 * end it, at a batch boundary; its unfinished games go on elsewhere from their records. */
#include "daemon/build_id.h"
#include "daemon/process/process.h"

#include "selfplay/worker.h"
#include "storage/record_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USAGE_MS = 1000, HOLD_MS = 100 };

struct worker_process {
    struct process process;
    struct worker *worker; /* NULL before Configure */
    uint32_t index;        /* which of the daemon's workers */
    char net_sha256[RECORD_SHA256_BYTES];
    struct worker_counters reported;
    int64_t usage_at_ms;
    char *search_text; /* the last search that was sent, as one text */
};

/* ---- records ---- */
static void send_start(const struct record_start *start, void *context)
{
    struct worker_process *w = context;
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__GameStart record = QZD__GAME_START__INIT;

    record_start_to_message(start, &record);
    message.what_case = QZD__FROM_CHILD__WHAT_START;
    message.start = &record;
    process_send(&w->process, &message);
}

/* True once for each new set of circumstances. */
static bool search_is_news(struct worker_process *w, const struct record_search *search)
{
    char *text = NULL;

    if (asprintf(&text, "%s\n%s\n%s\n%s", search->net_sha256, search->build, search->kernel,
                 search->settings) < 0) {
        return true; /* to say it again does no harm */
    }
    if (w->search_text != NULL && strcmp(w->search_text, text) == 0) {
        free(text);
        return false;
    }
    free(w->search_text);
    w->search_text = text;
    return true;
}

static void send_position(const char *uid, const struct record_search *search,
                          const struct record_position *position, void *context)
{
    struct worker_process *w = context;
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__Position record = QZD__POSITION__INIT;
    Qzd__Search circumstances = QZD__SEARCH__INIT;

    record_position_to_message(uid, position, &record);
    record_search_to_message(search, &circumstances);
    record.search = search_is_news(w, search) ? &circumstances : NULL;
    message.what_case = QZD__FROM_CHILD__WHAT_POSITION;
    message.position = &record;
    process_send(&w->process, &message);
}

static void send_end(const char *uid, const struct record_end *end, void *context)
{
    struct worker_process *w = context;
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__GameEnd record = QZD__GAME_END__INIT;

    record_end_to_message(uid, end, &record);
    message.what_case = QZD__FROM_CHILD__WHAT_END;
    message.end = &record;
    process_send(&w->process, &message);
}

static int64_t wall_clock(void *context)
{
    (void)context;
    return process_wall_ms();
}

static void send_usage(struct worker_process *w)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__Usage usage = QZD__USAGE__INIT;

    w->usage_at_ms = process_monotonic_ms() + USAGE_MS;
    if (w->worker == NULL || w->net_sha256[0] == '\0') {
        return;
    }
    const struct worker_counters *now = worker_counters(w->worker);
    usage.net_sha256 = w->net_sha256;
    usage.evaluations = now->evaluations - w->reported.evaluations;
    usage.lookups = now->lookups - w->reported.lookups;
    usage.cache_hits = now->cache_hits - w->reported.cache_hits;
    usage.positions = now->positions - w->reported.positions;
    usage.busy_ms = (uint64_t)process_take_busy_ms(&w->process);
    usage.bytes = now->bytes;
    w->reported = *now;
    message.what_case = QZD__FROM_CHILD__WHAT_USAGE;
    message.usage = &usage;
    process_send(&w->process, &message);
}

/* ---- commands ---- */
static int configure(struct worker_process *w, const Qzd__Configure *configure, struct error *err)
{
    const struct game *game = game_find(configure->game);
    const struct worker_sink sink = {.start = send_start,
                                     .position = send_position,
                                     .end = send_end,
                                     .now = wall_clock,
                                     .context = w};
    struct selfplay_settings settings;
    int r = selfplay_settings_parse(configure->settings, &settings, err);

    if (r == 0 && game == NULL) {
        r = error_set(err, ERROR_UNSUPPORTED, "no game is called %s", configure->game);
    }
    if (r == 0 && w->worker == NULL) {
        const struct worker_params params = {.game = game,
                                             .games = configure->games,
                                             .cache_entries = configure->cache_entries,
                                             .host = configure->host,
                                             .worker = configure->worker,
                                             .build = build_id};
        w->index = configure->worker;
        r = worker_create(&params, &sink, &w->worker, err);
    }
    return r < 0 ? r : worker_set_settings(w->worker, &settings, err);
}

static int set_net(struct worker_process *w, const Qzd__SetNet *set_net, struct error *err)
{
    char sha256[RECORD_SHA256_BYTES];
    struct net *net = NULL;

    if (w->worker == NULL) {
        return error_set(err, ERROR_INVALID, "a net before any configuration");
    }
    send_usage(w); /* what was done so far was the old net's */
    int r = net_load(set_net->file, &net, sha256, err);
    if (r < 0) {
        return r;
    }
    if (strcmp(sha256, set_net->sha256) != 0) {
        r = error_set(err, ERROR_CORRUPT, "%s: its sha256 is %s, not %s", set_net->file, sha256,
                      set_net->sha256);
    } else {
        r = worker_set_net(w->worker, net, sha256, err);
    }
    net_destroy(net);
    if (r == 0) {
        memcpy(w->net_sha256, sha256, sizeof(sha256));
        if (w->index == 0) { /* all come to the same verdict: one of them tells */
            process_send_precision(&w->process, sha256, worker_precision(w->worker));
        }
    }
    return r;
}

static void refuse(struct worker_process *w, const char *uid, const char *why)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__Refused refused = QZD__REFUSED__INIT;

    refused.uid = (char *)uid;
    refused.why = (char *)why;
    message.what_case = QZD__FROM_CHILD__WHAT_REFUSED;
    message.refused = &refused;
    process_send(&w->process, &message);
}

static int add_game(struct worker_process *w, const Qzd__NewGame *message, struct error *err)
{
    struct worker_game game = {.seed = message->seed,
                               .opening = message->opening,
                               .n_actions = (uint32_t)message->n_actions,
                               .q = message->n_q == message->n_actions ? message->q : NULL};
    struct error why = {.text = ""};

    if (w->worker == NULL) {
        return error_set(err, ERROR_INVALID, "a game before any configuration");
    }
    if (!record_uid_valid(message->uid)) {
        return error_set(err, ERROR_INVALID, "a game without a uid");
    }
    uint16_t *actions = calloc(message->n_actions + 1, sizeof(*actions));
    if (actions == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    memcpy(game.uid, message->uid, sizeof(game.uid));
    for (size_t i = 0; i < message->n_actions; i++) {
        actions[i] = message->actions[i] > UINT16_MAX ? UINT16_MAX : (uint16_t)message->actions[i];
    }
    game.actions = actions;
    int r = worker_add_game(w->worker, &game, &why);
    free(actions);
    if (r < 0) {
        refuse(w, message->uid, why.text);
    }
    return 0;
}

static int obey(struct worker_process *w, const Qzd__ToChild *message, struct error *err)
{
    switch (message->what_case) {
    case QZD__TO_CHILD__WHAT_CONFIGURE:
        return configure(w, message->configure, err);
    case QZD__TO_CHILD__WHAT_SET_NET:
        return set_net(w, message->set_net, err);
    case QZD__TO_CHILD__WHAT_NEW_GAME:
        return add_game(w, message->new_game, err);
    default:
        return error_set(err, ERROR_INVALID, "a command that is not for a worker");
    }
}

static int play(struct worker_process *w, struct error *err)
{
    bool idle = true;
    int r = 0;

    while (r >= 0 && !w->process.stopping) {
        int64_t until_usage_ms = w->usage_at_ms - process_monotonic_ms();
        process_receive(&w->process, idle && until_usage_ms > 0 ? (int)until_usage_ms : 0);
        Qzd__ToChild *message;
        while (r >= 0 && (message = process_next(&w->process)) != NULL) {
            r = obey(w, message, err);
            qzd__to_child__free_unpacked(message, NULL);
        }
        idle = true;
        if (r >= 0 && w->worker != NULL && !w->process.suspended && !w->process.stopping) {
            r = worker_step(w->worker, err);
            idle = r == 0 && worker_games(w->worker) == 0;
        }
        int64_t now_ms = process_monotonic_ms();
        if (now_ms >= w->usage_at_ms) {
            send_usage(w);
        }
        if (w->process.held_since_ms > 0 &&
            (idle || w->process.suspended || now_ms - w->process.held_since_ms >= HOLD_MS)) {
            process_flush(&w->process);
        }
    }
    return r;
}

int process_worker_main(char *argv[])
{
    struct worker_process w = {.worker = NULL};
    struct error err = {.text = ""};
    int r = process_open(&w.process, argv, &err);

    if (r < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    w.process.holds = true;
    w.usage_at_ms = process_monotonic_ms() + USAGE_MS;
    r = play(&w, &err);
    if (r < 0) {
        process_send_failure(&w.process, r, err.text);
    }
    send_usage(&w);
    process_flush(&w.process);
    worker_destroy(w.worker);
    free(w.search_text);
    process_finish(&w.process);
    return r < 0 ? 1 : 0;
}
