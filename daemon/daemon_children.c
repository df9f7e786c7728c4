/* What workers say, and the games that they play. A record is looked at just enough to keep the table of
 * games, then handed to the storage thread, which checks it whole. */
#include "daemon/daemon_internal.h"

#include "daemon/game_rules.h"
#include "mcts/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- to workers ---- */
void daemon_start_worker(struct daemon *d, uint32_t index)
{
    struct error err = {.text = ""};

    if (supervisor_start(d->supervisor, ROLE_WORKER, index, &err) < 0) {
        daemon_note(d, SEVERITY_ERROR, "worker", "worker %u: %s", index, err.text);
        daemon_event(d, (struct scheduler_event){.kind = EVENT_WORKER_EXITED, .worker = index});
        return;
    }
    daemon_limit_child(d, ROLE_WORKER, index);
}

void daemon_configure_worker(struct daemon *d, uint32_t index)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__Configure configure = QZD__CONFIGURE__INIT;
    char *settings = selfplay_settings_json(&d->config.selfplay_settings);

    if (settings == NULL) {
        supervisor_kill(d->supervisor, ROLE_WORKER, index); /* it comes back and is told then */
        return;
    }
    configure.settings = settings;
    configure.games = d->games_per_worker;
    configure.cache_entries = d->config.selfplay.cache_entries;
    configure.game = d->config.game;
    configure.host = d->host;
    configure.worker = index;
    message.what_case = QZD__TO_CHILD__WHAT_CONFIGURE;
    message.configure = &configure;
    supervisor_send(d->supervisor, ROLE_WORKER, index, &message);
    free(settings);
}

void daemon_send_net(struct daemon *d, uint32_t index)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__SetNet set_net = QZD__SET_NET__INIT;
    char file[PATH_MAX + 160];

    (void)snprintf(file, sizeof(file), "%s/%s", d->state_dir, d->net.file);
    set_net.file = file;
    set_net.sha256 = d->net.sha256;
    message.what_case = QZD__TO_CHILD__WHAT_SET_NET;
    message.set_net = &set_net;
    supervisor_send(d->supervisor, ROLE_WORKER, index, &message);
}

void daemon_send_suspend(struct daemon *d, enum supervisor_role role, uint32_t index,
                         bool suspended)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__Suspend suspend = QZD__SUSPEND__INIT;

    suspend.suspended = suspended;
    message.what_case = QZD__TO_CHILD__WHAT_SUSPEND;
    message.suspend = &suspend;
    supervisor_send(d->supervisor, role, index, &message);
}

static bool send_game(struct daemon *d, uint32_t index, const struct active_game *game)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__NewGame new_game = QZD__NEW_GAME__INIT;
    uint32_t *actions = calloc(game->n_actions + 1, sizeof(*actions));

    if (actions == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < game->n_actions; i++) {
        actions[i] = game->actions[i];
    }
    new_game.uid = (char *)game->uid;
    new_game.seed = game->seed;
    new_game.opening = game->opening;
    new_game.n_actions = game->n_actions;
    new_game.actions = actions;
    new_game.n_q = game->n_actions;
    new_game.q = game->q;
    message.what_case = QZD__TO_CHILD__WHAT_NEW_GAME;
    message.new_game = &new_game;
    supervisor_send(d->supervisor, ROLE_WORKER, index, &message);
    free(actions);
    return true;
}

static struct active_game *new_game(struct daemon *d)
{
    char uid[RECORD_UID_BYTES];
    char opening[GAME_MAX_OPENING_TEXT];
    uint64_t number = d->next_game++;
    uint64_t seed = random_u64(d->seed, 0, RANDOM_GAME, number);

    record_uid_draw(uid);
    opening_draw(d->game, &d->config.selfplay.openings, seed, opening);
    return game_table_add(d->games, uid, number, (int64_t)seed, opening);
}

/* Unfinished games first, then new ones, as many as the worker plays side by side. */
static void hand_games(struct daemon *d, uint32_t index)
{
    uint32_t held = game_table_count(d->games, index);

    while (!d->stopping && held < d->games_per_worker) {
        struct active_game *game = game_table_waiting(d->games);
        if (game == NULL) {
            game = new_game(d);
        }
        if (game == NULL || !send_game(d, index, game)) {
            return; /* out of memory: the next end of a game tries again */
        }
        game_table_assign(d->games, game, index);
        held++;
    }
}

/* ---- records ---- */
static void record_done(struct storage_task *task, int result, const struct error *err)
{
    struct daemon *d = task->context;
    const struct storage_record_task *record = (const struct storage_record_task *)task;
    const char *uid = storage_record_uid(record->message);

    if (result >= 0) {
        return;
    }
    d->refused++;
    if (daemon_may_say(d, ROLE_WORKER, record->worker)) {
        daemon_note(d, SEVERITY_ERROR, "record refused", "worker %u, game %s: %s", record->worker,
                    uid, err->text);
    }
    struct active_game *game = game_table_find(d->games, uid);
    if (game != NULL) {
        game_table_remove(d->games, game); /* what it still sends of it is dropped */
    }
    if (result != ERROR_CONFLICT) {
        daemon_put(d, storage_task_abandon(uid));
    }
    /* What sends one bad record may send nothing else: it begins anew, after the scheduler's delay. */
    supervisor_kill(d->supervisor, ROLE_WORKER, record->worker);
}

static void keep_record(struct daemon *d, uint32_t index, Qzd__FromChild *message,
                        uint64_t next_game)
{
    struct storage_task *task =
        storage_task_record(message, index, d->config.training.held_out, next_game, record_done, d);

    if (!storage_thread_put(d->storage, task)) {
        d->dropped++;
        daemon_say(d, SEVERITY_ERROR, "out of memory", "a record of worker %u is lost", index);
        supervisor_kill(d->supervisor, ROLE_WORKER, index);
    } else if (storage_thread_full(d->storage)) {
        supervisor_read(d->supervisor, false);
    }
}

/* Nothing of it is kept; the game goes on from its known moves in a new worker. */
static void refuse_record(struct daemon *d, uint32_t index, const struct active_game *game,
                          Qzd__FromChild *message, const struct error *err)
{
    d->refused++;
    if (daemon_may_say(d, ROLE_WORKER, index)) {
        daemon_note(d, SEVERITY_ERROR, "record refused",
                    "worker %u, game %s: %s; the worker is killed", index, game->uid, err->text);
    }
    qzd__from_child__free_unpacked(message, NULL);
    supervisor_kill(d->supervisor, ROLE_WORKER, index);
}

static void take_start(struct daemon *d, uint32_t index, struct active_game *game,
                       Qzd__FromChild *message)
{
    if (game->started) { /* its worker died between its start and its first position */
        qzd__from_child__free_unpacked(message, NULL);
        return;
    }
    struct error err = {.text = ""};
    if (game_rules_start(game, d->game, message->start, &err) < 0) {
        refuse_record(d, index, game, message, &err);
        return;
    }
    game->started = true;
    if (game->number + 1 > d->next_game_stored) {
        d->next_game_stored = game->number + 1;
    }
    keep_record(d, index, message, d->next_game_stored);
}

/* A position without a search has that of the last one on its connection: say it, so that each message
 * stands alone in the queue. */
static bool complete_search(struct worker_view *worker, Qzd__Position *position)
{
    if (position->search != NULL) {
        size_t size = qzd__search__get_packed_size(position->search);
        uint8_t *packed = realloc(worker->search, size);
        if (packed == NULL) {
            return false;
        }
        worker->search = packed;
        worker->search_size = qzd__search__pack(position->search, packed);
        return true;
    }
    if (worker->search != NULL) {
        position->search = qzd__search__unpack(NULL, worker->search_size, worker->search);
    }
    return position->search != NULL;
}

static void take_position(struct daemon *d, uint32_t index, struct active_game *game,
                          Qzd__FromChild *message)
{
    Qzd__Position *position = message->position;
    float q = position->has_q ? position->q : NAN;
    struct error err = {.text = ""};
    int r = game_rules_position(game, d->game, position, &err);

    if (r == 0 && !complete_search(&d->workers[index], position)) {
        r = error_set(&err, ERROR_INVALID, "ply %u: no search is given", position->ply);
    }
    if (r == 0 && game_table_play(game, position->ply, (uint16_t)position->action, q) < 0) {
        r = error_set(&err, ERROR_NO_MEMORY, "out of memory");
    }
    if (r < 0) {
        refuse_record(d, index, game, message, &err);
        return;
    }
    keep_record(d, index, message, 0);
}

static void take_end(struct daemon *d, uint32_t index, struct active_game *game,
                     Qzd__FromChild *message)
{
    struct error err = {.text = ""};

    if (game_rules_end(game, d->game, message->end, &err) < 0) {
        refuse_record(d, index, game, message, &err);
        return;
    }
    game_table_remove(d->games, game);
    keep_record(d, index, message, 0);
    hand_games(d, index);
}

static void take_record(struct daemon *d, uint32_t index, Qzd__FromChild *message)
{
    struct active_game *game = game_table_find(d->games, storage_record_uid(message));

    if (game == NULL || game->worker != index) {
        d->dropped++; /* of a game that was given up */
        if (message->what_case == QZD__FROM_CHILD__WHAT_END) {
            hand_games(d, index);
        }
        qzd__from_child__free_unpacked(message, NULL);
        return;
    }
    switch (message->what_case) {
    case QZD__FROM_CHILD__WHAT_START:
        take_start(d, index, game, message);
        break;
    case QZD__FROM_CHILD__WHAT_POSITION:
        take_position(d, index, game, message);
        break;
    default:
        take_end(d, index, game, message);
        break;
    }
}

/* ---- other words of workers ---- */
static void take_usage(struct daemon *d, uint32_t index, const Qzd__Usage *usage)
{
    struct worker_view *worker = &d->workers[index];
    const struct store_usage stored = {.evaluations = (int64_t)usage->evaluations,
                                       .lookups = (int64_t)usage->lookups,
                                       .cache_hits = (int64_t)usage->cache_hits,
                                       .positions = (int64_t)usage->positions,
                                       .busy_ms = (int64_t)usage->busy_ms};

    rate_add(&worker->positions, (double)usage->positions);
    rate_add(&worker->evaluations, (double)usage->evaluations);
    worker->bytes = usage->bytes;
    if (usage->busy_ms > 0 || usage->lookups > 0) {
        daemon_put(d, storage_task_usage(usage->net_sha256, &stored));
    }
}

static void take_refusal(struct daemon *d, uint32_t index, const Qzd__Refused *refused)
{
    struct active_game *game = game_table_find(d->games, refused->uid);

    if (daemon_may_say(d, ROLE_WORKER, index)) {
        daemon_note(d, SEVERITY_ERROR, "game refused", "worker %u cannot play game %s: %s", index,
                    refused->uid, refused->why);
    }
    if (game != NULL) {
        if (game->started) {
            daemon_put(d, storage_task_abandon(game->uid));
        }
        game_table_remove(d->games, game);
    }
    hand_games(d, index);
}

static void worker_hello(struct daemon *d, uint32_t index, const Qzd__Hello *hello)
{
    if (hello->version != WIRE_VERSION) {
        daemon_note(d, SEVERITY_ERROR, "worker", "worker %u speaks version %u, not %d", index,
                    hello->version, WIRE_VERSION);
        supervisor_kill(d->supervisor, ROLE_WORKER, index);
        return;
    }
    d->workers[index].ready = true;
    daemon_configure_worker(d, index);
    daemon_send_net(d, index);
    daemon_event(d, (struct scheduler_event){.kind = EVENT_WORKER_READY, .worker = index});
    hand_games(d, index); /* behind a Suspend, if there is one */
}

static void take_event(struct daemon *d, const Qzd__Event *event)
{
    daemon_note(d, log_severity_parse(event->severity), event->what, "%s", event->detail);
}

static void worker_message(struct daemon *d, uint32_t index, Qzd__FromChild *message)
{
    d->workers[index].silent_s = 0;
    switch (message->what_case) {
    case QZD__FROM_CHILD__WHAT_START:
    case QZD__FROM_CHILD__WHAT_POSITION:
    case QZD__FROM_CHILD__WHAT_END:
        take_record(d, index, message);
        return;
    case QZD__FROM_CHILD__WHAT_HELLO:
        worker_hello(d, index, message->hello);
        break;
    case QZD__FROM_CHILD__WHAT_USAGE:
        take_usage(d, index, message->usage);
        break;
    case QZD__FROM_CHILD__WHAT_REFUSED:
        take_refusal(d, index, message->refused);
        break;
    case QZD__FROM_CHILD__WHAT_FAILURE:
        if (daemon_may_say(d, ROLE_WORKER, index)) {
            daemon_note(d, SEVERITY_ERROR, "worker failed", "worker %u: %s", index,
                        message->failure->text);
        }
        break;
    case QZD__FROM_CHILD__WHAT_EVENT:
        if (daemon_may_say(d, ROLE_WORKER, index)) {
            take_event(d, message->event);
        }
        break;
    default:
        daemon_note(d, SEVERITY_ERROR, "worker", "worker %u sent what is not a worker's to say",
                    index);
        supervisor_kill(d->supervisor, ROLE_WORKER, index);
        break;
    }
    qzd__from_child__free_unpacked(message, NULL);
}

static void worker_ended(struct daemon *d, uint32_t index, bool stopped, const char *how)
{
    struct worker_view *worker = &d->workers[index];
    uint32_t games = game_table_release(d->games, index);

    free(worker->search);
    *worker = (struct worker_view){.restarts = worker->restarts + 1};
    if (!stopped) {
        daemon_doctor_worker_ended(d);
        daemon_note(d, SEVERITY_WARNING, "worker exited",
                    "worker %u: %s; its %u games go on in a new one", index, how, games);
    }
    daemon_event(d, (struct scheduler_event){.kind = EVENT_WORKER_EXITED, .worker = index});
}

/* ---- by role ---- */
static void on_message(enum supervisor_role role, uint32_t index, Qzd__FromChild *message,
                       void *context)
{
    struct daemon *d = context;

    daemon_heard(d, role, index);
    switch (role) {
    case ROLE_WORKER:
        worker_message(d, index, message);
        if (storage_thread_full(d->storage)) { /* whatever it was that filled the queue */
            supervisor_read(d->supervisor, false);
        }
        return;
    case ROLE_TRAIN:
        daemon_train_message(d, message);
        break;
    case ROLE_MATCH:
        daemon_match_message(d, message);
        break;
    }
    qzd__from_child__free_unpacked(message, NULL);
}

static void on_line(enum supervisor_role role, uint32_t index, const char *line, void *context)
{
    struct daemon *d = context;

    if (!daemon_may_say(d, role, index)) {
        return;
    }
    if (role == ROLE_WORKER) {
        daemon_say(d, SEVERITY_WARNING, "worker", "%u: %s", index, line);
    } else {
        daemon_say(d, SEVERITY_WARNING, supervisor_role_text(role), "%s", line);
    }
}

static void on_ended(enum supervisor_role role, uint32_t index, bool clean, bool stopped,
                     const char *how, void *context)
{
    struct daemon *d = context;

    (void)clean;
    switch (role) {
    case ROLE_WORKER:
        worker_ended(d, index, stopped, how);
        break;
    case ROLE_TRAIN:
        daemon_train_ended(d, stopped, how);
        break;
    case ROLE_MATCH:
        daemon_match_ended(d, stopped, how);
        break;
    }
}

static void storage_closed(uint32_t lost, void *context)
{
    struct daemon *d = context;

    d->storage = NULL;
    if (lost > 0) {
        d->failed = true;
        daemon_say(d, SEVERITY_ERROR, "not written",
                   "%u records and notes could not be written before the end", lost);
    }
    event_exec_close(d->exec);
    d->exec = NULL;
    uv_close((uv_handle_t *)&d->tick, NULL);
    uv_close((uv_handle_t *)&d->signal_term, NULL);
    uv_close((uv_handle_t *)&d->signal_int, NULL);
    uv_close((uv_handle_t *)&d->signal_hup, NULL);
}

/* The last child is gone: everything that they said is in the queue. */
static void on_all_ended(void *context)
{
    struct daemon *d = context;

    storage_thread_close(d->storage, storage_closed, d);
}

const struct supervisor_callbacks daemon_supervisor_callbacks = {
    .message = on_message, .line = on_line, .ended = on_ended, .all_ended = on_all_ended};
