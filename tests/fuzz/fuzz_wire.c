/* What a child may say to its daemon. The first byte chooses the role (worker, training, suites, match) and the size of the
 * pieces in which the bytes come; the rest is what it writes. The daemon is the real one but for its processes and its
 * thread: tasks are applied to a real store between messages, and rolled back at the end. */
#include "tests/fuzz/fuzz.h"

#include "daemon/daemon_internal.h"
#include "storage/store_matches.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

/* ---- the outside world, by the linker's --wrap ---- */
static struct storage_task *first_task, *last_task;

bool __wrap_storage_thread_put(struct storage_thread *thread, struct storage_task *task);
bool __wrap_storage_thread_put(struct storage_thread *thread, struct storage_task *task)
{
    (void)thread;
    FUZZ_CHECK(task != NULL);
    task->next = NULL;
    if (last_task != NULL) {
        last_task->next = task;
    } else {
        first_task = task;
    }
    last_task = task;
    return true;
}

bool __wrap_storage_thread_full(struct storage_thread *thread);
bool __wrap_storage_thread_full(struct storage_thread *thread)
{
    (void)thread;
    return false;
}

uint32_t __wrap_storage_thread_queue(const struct storage_thread *thread);
uint32_t __wrap_storage_thread_queue(const struct storage_thread *thread)
{
    (void)thread;
    return 0;
}

bool __wrap_storage_thread_in_trouble(const struct storage_thread *thread);
bool __wrap_storage_thread_in_trouble(const struct storage_thread *thread)
{
    (void)thread;
    return false;
}

int __wrap_supervisor_start(struct supervisor *supervisor, enum supervisor_role role,
                            uint32_t index, struct error *err);
int __wrap_supervisor_start(struct supervisor *supervisor, enum supervisor_role role,
                            uint32_t index, struct error *err)
{
    (void)supervisor;
    (void)role;
    (void)index;
    (void)err;
    return 0;
}

/* The doctor's looks: not here. */
int __wrap_uv_queue_work(uv_loop_t *loop, uv_work_t *request, uv_work_cb work,
                         uv_after_work_cb done);
int __wrap_uv_queue_work(uv_loop_t *loop, uv_work_t *request, uv_work_cb work,
                         uv_after_work_cb done)
{
    (void)loop;
    (void)request;
    (void)work;
    (void)done;
    return UV_ENOMEM;
}

void __wrap_log_event(struct log *log, enum log_severity severity, const char *what,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
void __wrap_log_event(struct log *log, enum log_severity severity, const char *what,
                      const char *format, ...)
{
    char text[64];
    va_list args;

    (void)log;
    FUZZ_CHECK(log_severity_text(severity)[0] != '\0' && what != NULL);
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
}

/* ---- a daemon ---- */
enum { WORKERS = 2 };

static struct store *open_store(void)
{
    static struct store *store;
    char path[96];
    struct error err = {.text = ""};
    struct store_net net = {.line = "main",
                            .game = "connect4",
                            .arch = (char[]){"{}"},
                            .origin = "new",
                            .created_at = 1,
                            .state = "current"};
    int64_t id = 0;

    if (store != NULL) {
        return store;
    }
    (void)snprintf(path, sizeof(path), "%s/qzd.db", fuzz_folder());
    FUZZ_CHECK(store_open(path, STORE_CREATE, &store, &err) == 0);
    memset(net.sha256, '0', RECORD_SHA256_BYTES - 1);
    (void)snprintf(net.file, sizeof(net.file), "nets/%s.safetensors", net.sha256);
    FUZZ_CHECK(store_add_net(store, &net, &id, &err) == 0);
    (void)snprintf(net.line, sizeof(net.line), "uniform");
    memset(net.sha256, '2', RECORD_SHA256_BYTES - 1);
    (void)snprintf(net.file, sizeof(net.file), "nets/%s.safetensors", net.sha256);
    FUZZ_CHECK(store_add_net(store, &net, &id, &err) == 0 && store_commit(store, &err) == 0);
    return store;
}

static void add_game(struct daemon *d, const char *uid, uint64_t number, uint32_t worker)
{
    struct active_game *game = game_table_add(d->games, uid, number, 7, "");
    FUZZ_CHECK(game != NULL);
    game_table_assign(d->games, game, worker);
}

static void begin_training(struct daemon *d, struct store *store)
{
    struct error err = {.text = ""};
    struct store_training *t = &d->training.row.training;

    *t = (struct store_training){.parent_id = d->net.id,
                                 .generation = 1,
                                 .started_at = 1,
                                 .first_seq = 1,
                                 .last_seq = 1,
                                 .q_kind = "root",
                                 .settings = strdup("{}")};
    FUZZ_CHECK(store_begin_training(store, t, &d->training.row.id, &err) == 0);
}

/* Of the first net against the other one, with pairs to come. */
static void begin_match(struct daemon *d, struct store *store)
{
    struct error err = {.text = ""};
    const struct store_match match = {.net_a = d->net.id,
                                      .net_b = d->net.id + 1,
                                      .nodes = 800,
                                      .planned_pairs = 4,
                                      .started_at = 1,
                                      .settings = (char[]){"{}"}};

    d->evaluation.kind = EVALUATION_MATCH;
    d->evaluation.net_id = d->net.id;
    FUZZ_CHECK(store_begin_match(store, &match, &d->evaluation.match.id, &err) == 0);
}

static struct daemon *make_daemon(uv_loop_t *loop, struct store *store)
{
    struct supervisor_callbacks callbacks = daemon_supervisor_callbacks;
    struct scheduler_settings settings;
    const struct scheduler_start start = {.generation = 0};
    struct error err = {.text = ""};
    struct daemon *d = calloc(1, sizeof(*d));

    FUZZ_CHECK(d != NULL && uv_loop_init(loop) == 0);
    config_default(&d->config);
    callbacks.context = d;
    d->game = game_find("connect4");
    d->slots = 2;
    d->n_workers = WORKERS;
    d->games_per_worker = 3;
    d->next_game = 4;
    d->games = game_table_create();
    d->supervisor = supervisor_create(loop, WORKERS, &callbacks);
    d->workers = calloc(WORKERS + 1, sizeof(*d->workers));
    d->watches = calloc(WORKERS + 2, sizeof(*d->watches));
    FUZZ_CHECK(d->games != NULL && d->supervisor != NULL && d->workers != NULL &&
               d->watches != NULL);
    FUZZ_CHECK(store_current_net(store, "main", &d->net, &err) == 0);
    daemon_remember_net(d, &d->net);
    begin_training(d, store);
    d->evaluation.net = d->nets[0];
    daemon_scheduler_settings(d, &settings);
    scheduler_init(&d->scheduler, &settings, &start, 1);
    add_game(d, "00000000000000000000000000000001", 1, 0);
    add_game(d, "00000000000000000000000000000002", 2, 1); /* another's */
    add_game(d, "00000000000000000000000000000003", 3, 0);
    return d;
}

static void end_daemon(struct daemon *d, uv_loop_t *loop)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        free(d->workers[i].search);
    }
    free(d->workers);
    free(d->watches);
    supervisor_destroy(d->supervisor);
    game_table_destroy(d->games);
    training_row_finish(&d->training.row);
    store_net_finish(&d->net);
    (void)uv_loop_close(loop);
    free(d);
}

static void apply_tasks(struct store *store)
{
    while (first_task != NULL) {
        struct storage_task *task = first_task;
        struct error err = {.text = ""};
        first_task = task->next;
        last_task = first_task == NULL ? NULL : last_task;
        int r = task->apply(task, store, &err);
        FUZZ_CHECK(r >= 0 || err.text[0] != '\0');
        /* Nothing that a child says may look like a disk that fails: it would be tried for ever. */
        FUZZ_CHECK(r != ERROR_IO && r != ERROR_FULL && r != ERROR_BUSY && r != ERROR_CORRUPT);
        if (task->done != NULL) {
            task->done(task, r, &err);
        }
        task->destroy(task);
    }
}

static void say(struct daemon *d, enum supervisor_role role, const uint8_t *data, size_t size,
                size_t piece, struct store *store)
{
    struct wire_decoder decoder = {0};
    struct error err = {.text = ""};
    const uint8_t *frame = NULL;
    size_t frame_size = 0;
    int r = 0;

    for (size_t at = 0; r >= 0 && at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        FUZZ_CHECK(wire_decoder_feed(&decoder, data + at, n, &err) == 0);
        while ((r = wire_decoder_next(&decoder, &frame, &frame_size, &err)) == 1) {
            Qzd__FromChild *message = qzd__from_child__unpack(NULL, frame_size, frame);
            if (message == NULL) {
                r = ERROR_INVALID;
                break;
            }
            daemon_supervisor_callbacks.message(role, 0, message, d);
            apply_tasks(store);
        }
    }
    wire_decoder_finish(&decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store *store = open_store();
    struct error err = {.text = ""};
    uv_loop_t loop;

    if (size == 0) {
        return 0;
    }
    struct daemon *d = make_daemon(&loop, store);
    const enum supervisor_role roles[] = {ROLE_WORKER, ROLE_TRAIN, ROLE_MATCH, ROLE_MATCH};
    if (data[0] % 4 == 3) {
        begin_match(d, store);
    }
    say(d, roles[data[0] % 4], data + 1, size - 1, 1 + (size_t)data[0] / 4 * 49, store);
    char *status = daemon_status(d);
    json_t *json = status == NULL ? NULL : json_loads(status, 0, NULL);
    FUZZ_CHECK(json != NULL);
    json_decref(json);
    free(status);
    daemon_supervisor_callbacks.ended(roles[data[0] % 4], 0, false, false, "it ended", d);
    apply_tasks(store);
    if (size % 16 == 0) { /* slow */
        FUZZ_CHECK(store_check_tallies(store, &err) == 0);
    }
    end_daemon(d, &loop);
    store_rollback(store);
    return 0;
}
