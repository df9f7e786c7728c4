/* What the store says at the start, before the storage thread has it: the net, the games and the training to
 * go on with, and the numbers that decide. The loop does not run yet, so waiting for the disk is fine
 * here and nowhere else. */
#include "daemon/daemon_internal.h"

#include "mcts/random.h"
#include "storage/store_matches.h"

#include <inttypes.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- small questions ---- */
static sqlite3_stmt *ask(struct daemon *d, const char *sql, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    sqlite3 *handle = store_handle(d->store);

    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK) {
        (void)error_set(err, ERROR_IO, "%s: %s", d->db_path, sqlite3_errmsg(handle));
        return NULL;
    }
    return statement;
}

static double real_or_nan(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? NAN
               : sqlite3_column_double(statement, column);
}

/* The one number that a question asks for; NaN for none. */
static double ask_number(struct daemon *d, const char *sql)
{
    sqlite3_stmt *statement = ask(d, sql, NULL);
    double value = NAN;

    if (statement != NULL && sqlite3_step(statement) == SQLITE_ROW) {
        value = real_or_nan(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return value;
}

/* ---- the run ---- */
static int set_run_number(struct daemon *d, const char *key, uint64_t value, struct error *err)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    return store_set_run(d->store, key, text, err);
}

/* Game and seed are fixed by the first start; games, nets and random numbers of the store follow from them. */
static int resume_run(struct daemon *d, bool *ret_first, struct error *err)
{
    char text[64] = "";
    int r = store_get_run(d->store, "game", text, sizeof(text), err);

    *ret_first = r == ERROR_NOT_FOUND;
    if (r == ERROR_NOT_FOUND) {
        d->seed = (uint64_t)d->config.seed;
        r = store_set_run(d->store, "game", d->config.game, err);
        if (r >= 0) {
            r = set_run_number(d, "seed", d->seed, err);
        }
        if (r >= 0) {
            r = set_run_number(d, "created_at", (uint64_t)daemon_wall_ms(), err);
        }
        return r;
    }
    if (r < 0) {
        return r;
    }
    if (strcmp(text, d->config.game) != 0) {
        return error_set(err, ERROR_INVALID,
                         "%s holds games of %s, but the configuration says %s; take another "
                         "state_dir for it",
                         d->state_dir, text, d->config.game);
    }
    r = store_get_run(d->store, "seed", text, sizeof(text), err);
    if (r < 0) {
        return r;
    }
    d->seed = strtoull(text, NULL, 10);
    if (d->seed != (uint64_t)d->config.seed) {
        daemon_say(d, SEVERITY_WARNING, "seed",
                   "this run began with seed %" PRIu64 " and keeps it; %" PRId64
                   " in the configuration has no effect",
                   d->seed, d->config.seed);
    }
    return 0;
}

/* ---- nets ---- */
void daemon_remember_net(struct daemon *d, const struct store_net *net)
{
    struct known_net *known = &d->nets[d->n_nets++ % DAEMON_MAX_NETS];

    *known = (struct known_net){.id = net->id, .generation = net->generation};
    (void)snprintf(known->sha256, sizeof(known->sha256), "%s", net->sha256);
    (void)snprintf(known->file, sizeof(known->file), "%s", net->file);
}

const struct known_net *daemon_find_net(const struct daemon *d, int64_t id)
{
    for (uint32_t i = 0; i < DAEMON_MAX_NETS && i < d->n_nets; i++) {
        if (d->nets[i].id == id) {
            return &d->nets[i];
        }
    }
    return NULL;
}

/* Write a net that nothing has trained into nets/ and the store, as generation 0 and the current net of its line. Takes the
 * net over, and what *row owns. */
static int enter_net(struct daemon *d, const char *line, const struct net_arch *arch,
                     struct net *net, struct store_net *row, struct error *err)
{
    char folder[PATH_MAX + 8];

    (void)snprintf(folder, sizeof(folder), "%s/nets", d->state_dir);
    int r = net_save_by_hash(net, folder, row->sha256, err);
    row->arch = net_arch_json(arch);
    net_destroy(net);
    if (r >= 0 && row->arch == NULL) {
        r = error_set(err, ERROR_NO_MEMORY, "the net of line %s: out of memory", line);
    }
    if (r >= 0) {
        (void)snprintf(row->line, sizeof(row->line), "%s", line);
        (void)snprintf(row->game, sizeof(row->game), "%s", d->game->name);
        (void)snprintf(row->origin, sizeof(row->origin), "new");
        (void)snprintf(row->state, sizeof(row->state), "current");
        (void)snprintf(row->file, sizeof(row->file), "nets/%s.safetensors", row->sha256);
        r = store_add_net(d->store, row, &row->id, err);
    }
    store_net_finish(row);
    return r;
}

static int make_first_net(struct daemon *d, struct error *err)
{
    struct net_arch arch;
    struct store_net row = {.created_at = daemon_wall_ms()};
    int r = config_net_arch(&d->config, d->game, &arch, err);

    if (r < 0) {
        return error_prefix(err, r, "network");
    }
    struct net *net = net_create(&arch);
    if (net == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "the first net: out of memory");
    }
    net_init(net, d->seed);
    return enter_net(d, "main", &arch, net, &row, err);
}

/* The net of line uniform: "all moves alike, an even game", as small as a net can be. A row and a file like
 * any other's, so that whoever plays it needs no special case. */
static int make_uniform_net(struct daemon *d, struct error *err)
{
    struct net_arch arch = {.blocks = 1,
                            .filters = 1,
                            .value_filters = 1,
                            .value_hidden = 1,
                            .value = d->config.network.value};
    struct store_net row = {.created_at = daemon_wall_ms()};
    int r = store_net_at(d->store, "uniform", 0, &row, err);

    if (r != ERROR_NOT_FOUND) {
        store_net_finish(&row);
        return r;
    }
    r = net_arch_for_game(&arch, d->game, err);
    struct net *net = r < 0 ? NULL : net_create(&arch);
    if (net == NULL) {
        return r < 0 ? r : error_set(err, ERROR_NO_MEMORY, "the uniform net: out of memory");
    }
    net_init(net, 0);
    return enter_net(d, "uniform", &arch, net, &row, err);
}

static int resume_trained(struct daemon *d, struct error *err)
{
    struct store_net net = {.id = 0};
    int r = store_trained_net(d->store, "main", &net, err);

    if (r == 0) {
        d->trained.id = net.id;
        memcpy(d->trained.file, net.file, sizeof(d->trained.file));
    }
    store_net_finish(&net);
    return r;
}

static int resume_net(struct daemon *d, struct error *err)
{
    int r = store_current_net(d->store, "main", &d->net, err);

    if (r == ERROR_NOT_FOUND) {
        r = make_first_net(d, err);
        if (r >= 0) {
            r = store_current_net(d->store, "main", &d->net, err);
        }
    }
    if (r >= 0) {
        r = make_uniform_net(d, err);
    }
    if (r >= 0) {
        r = resume_trained(d, err);
    }
    return r;
}

/* Nets of the main line without evaluations of the net alone, the newest SCHEDULER_MAX_PENDING of them, and the
 * newest one's with search. */
static int resume_evaluations(struct daemon *d, struct daemon_resume *resume, struct error *err)
{
    sqlite3_stmt *statement = ask(
        d,
        "SELECT id FROM (SELECT id FROM nets WHERE line = 'main' AND state IN ('current', 'old')"
        " AND NOT EXISTS(SELECT 1 FROM evaluations WHERE net_id = nets.id AND nodes = 0)"
        " ORDER BY id DESC LIMIT ?) ORDER BY id",
        err);
    int r = 0;

    if (statement == NULL) {
        return ERROR_IO;
    }
    (void)sqlite3_bind_int(statement, 1, SCHEDULER_MAX_PENDING);
    while (r >= 0 && sqlite3_step(statement) == SQLITE_ROW) {
        struct store_net net = {0};
        r = store_get_net(d->store, sqlite3_column_int64(statement, 0), &net, err);
        if (r >= 0) {
            daemon_remember_net(d, &net);
            resume->judge_net[resume->n_judge++] = net.id;
            store_net_finish(&net);
        }
    }
    (void)sqlite3_finalize(statement);
    if (daemon_find_net(d, d->net.id) == NULL) {
        daemon_remember_net(d, &d->net);
    }
    resume->judge_search = !(ask_number(d, "SELECT count(*) FROM evaluations WHERE nodes > 0 AND "
                                           "net_id = (SELECT id FROM nets WHERE line = 'main' AND "
                                           "state = 'current')") > 0);
    return r;
}

/* A candidate that waits for its gate, and the net whose matches have begun; 0 for none. */
static void resume_matches(struct daemon *d, struct daemon_resume *resume)
{
    double candidate = ask_number(
        d, "SELECT id FROM nets WHERE line = 'main' AND state = 'candidate' ORDER BY id DESC");
    double match = ask_number(d, "SELECT max(net_a) FROM matches JOIN nets ON nets.id = net_a"
                                 " WHERE purpose = 'rating' AND nets.line = 'main'"
                                 " AND nets.state IN ('current', 'old')");

    resume->start.candidate = isnan(candidate) ? 0 : (int64_t)candidate;
    resume->start.match_begun = isnan(match) ? 0 : (int64_t)match;
    resume->rate = ask_number(d, "SELECT count(*) FROM matches WHERE verdict IS NOT NULL") > 0;
}

/* ---- games ---- */
static int resume_values(struct daemon *d, struct active_game *game)
{
    sqlite3_stmt *statement =
        ask(d,
            "SELECT ply, q FROM positions WHERE game_id = (SELECT id FROM games WHERE uid = ?)"
            " ORDER BY ply",
            NULL);

    if (statement == NULL) {
        return ERROR_IO;
    }
    (void)sqlite3_bind_text(statement, 1, game->uid, -1, SQLITE_STATIC);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        uint32_t ply = (uint32_t)sqlite3_column_int64(statement, 0);
        if (ply < game->n_actions) {
            game->q[ply] = (float)real_or_nan(statement, 1);
        }
    }
    (void)sqlite3_finalize(statement);
    return 0;
}

static int resume_game(const struct store_unfinished *unfinished, void *context)
{
    struct daemon *d = context;
    struct active_game *game =
        game_table_add(d->games, unfinished->uid, 0, unfinished->seed, unfinished->opening);

    if (game == NULL) {
        return ERROR_NO_MEMORY;
    }
    game->started = true;
    for (uint32_t i = 0; i < unfinished->n_actions; i++) {
        int r = game_table_play(game, i, unfinished->actions[i], NAN);
        if (r < 0) {
            return r;
        }
    }
    return resume_values(d, game);
}

/* ---- the training ---- */
static void fill_training(struct training_row *row, sqlite3_stmt *s)
{
    struct store_training *t = &row->training;

    *t = (struct store_training){.parent_id = sqlite3_column_int64(s, 0),
                                 .generation = (uint32_t)sqlite3_column_int64(s, 1),
                                 .started_at = sqlite3_column_int64(s, 2),
                                 .first_seq = sqlite3_column_int64(s, 3),
                                 .last_seq = sqlite3_column_int64(s, 4),
                                 .positions = sqlite3_column_int64(s, 5),
                                 .new_positions = sqlite3_column_int64(s, 6),
                                 .all_positions = sqlite3_column_int64(s, 7),
                                 .samples = sqlite3_column_int64(s, 8),
                                 .q_ratio = sqlite3_column_double(s, 9),
                                 .lambda = sqlite3_column_double(s, 10),
                                 .teacher_id = sqlite3_column_int64(s, 12),
                                 .teacher_policy = sqlite3_column_double(s, 13),
                                 .teacher_value = sqlite3_column_double(s, 14),
                                 .steps = sqlite3_column_int64(s, 15)};
    int kind = q_kind_parse((const char *)sqlite3_column_text(s, 11));
    t->q_kind = q_kind_text(kind < 0 ? Q_ROOT : (enum q_kind)kind);
    t->policy_loss = t->policy_entropy = t->value_loss = NAN;
    t->held_out_policy_loss = t->held_out_policy_entropy = t->held_out_value_loss = NAN;
    t->grad_norm = t->learning_rate = t->samples_per_s = NAN;
    t->settings = strdup((const char *)sqlite3_column_text(s, 16));
}

static int resume_training(struct daemon *d, struct daemon_resume *resume, struct error *err)
{
    struct training_row *row = &d->training.row;
    int r = store_running_training(d->store, &row->id, err);

    if (r == ERROR_NOT_FOUND) {
        row->id = 0;
        return 0;
    }
    sqlite3_stmt *statement =
        r < 0 ? NULL
              : ask(d,
                    "SELECT parent_id, generation, started_at, first_seq, last_seq, positions,"
                    " new_positions, all_positions, samples, q_ratio, lambda, q_kind, teacher_id,"
                    " teacher_policy, teacher_value, steps, settings FROM trainings WHERE id = ?",
                    err);
    if (statement == NULL) {
        return r < 0 ? r : ERROR_IO;
    }
    (void)sqlite3_bind_int64(statement, 1, row->id);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        fill_training(row, statement);
    }
    (void)sqlite3_finalize(statement);
    if (row->training.settings == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "training %" PRId64 ": out of memory", row->id);
    }
    if (row->training.parent_id != d->trained.id) {
        /* The parent is no longer the newest net: what it would make has no place in the line. */
        r = store_finish_training(d->store, row->id, &row->training, 0,
                                  "its parent is not the newest net any more", err);
        training_row_finish(row);
        return r;
    }
    resume->start.training_known = true;
    return 0;
}

static void resume_judgement(struct daemon *d)
{
    struct judgement *last = &d->last;
    sqlite3_stmt *statement =
        ask(d,
            "SELECT policy_loss, policy_loss - policy_entropy, value_loss,"
            " held_out_policy_loss - held_out_policy_entropy, held_out_value_loss"
            " FROM trainings WHERE state = 'finished' ORDER BY id DESC LIMIT 1",
            NULL);

    *last = (struct judgement){.policy_loss = NAN,
                               .policy_gap = NAN,
                               .value_loss = NAN,
                               .held_out_policy_gap = NAN,
                               .held_out_value_loss = NAN};
    if (statement != NULL && sqlite3_step(statement) == SQLITE_ROW) {
        last->policy_loss = real_or_nan(statement, 0);
        last->policy_gap = real_or_nan(statement, 1);
        last->value_loss = real_or_nan(statement, 2);
        last->held_out_policy_gap = real_or_nan(statement, 3);
        last->held_out_value_loss = real_or_nan(statement, 4);
    }
    (void)sqlite3_finalize(statement);
    last->mistakes_net = ask_number(
        d,
        "SELECT value FROM evaluations WHERE metric = 'mistakes' AND nodes = 0 ORDER BY at DESC");
    last->mistakes_search = ask_number(
        d,
        "SELECT value FROM evaluations WHERE metric = 'mistakes' AND nodes > 0 ORDER BY at DESC");
    last->value_accuracy = ask_number(d, "SELECT value FROM evaluations WHERE metric = "
                                         "'value_accuracy' AND nodes = 0 ORDER BY at DESC");
}

int daemon_resume(struct daemon *d, struct daemon_resume *ret, struct error *err)
{
    char account[48] = "0";
    char paused[8] = "no";
    int r = resume_run(d, &ret->first_start, err);

    if (r >= 0) {
        r = resume_net(d, err);
    }
    if (r >= 0) {
        r = store_read_counts(d->store, &d->counts, err);
    }
    if (r >= 0) {
        r = store_unfinished_games(d->store, resume_game, d, err);
    }
    if (r >= 0) {
        r = resume_training(d, ret, err);
    }
    if (r >= 0) {
        r = resume_evaluations(d, ret, err);
    }
    if (r >= 0) {
        r = store_commit(d->store, err);
    }
    if (r < 0) {
        return r;
    }
    resume_judgement(d);
    resume_matches(d, ret);
    (void)store_get_run(d->store, "evaluation_account_ms", account, sizeof(account), NULL);
    (void)store_get_run(d->store, "paused", paused, sizeof(paused), NULL);
    ret->paused = strcmp(paused, "yes") == 0;
    double failed_at =
        ask_number(d, "SELECT max(all_positions) FROM trainings WHERE state = 'failed' AND id > "
                      "coalesce((SELECT max(id) FROM trainings WHERE state = 'finished'), 0)");
    ret->start.positions = d->counts.positions;
    ret->start.positions_at_training = d->counts.positions_at_training;
    ret->start.positions_at_failure = isnan(failed_at) ? 0 : (int64_t)failed_at;
    ret->start.generation = d->net.generation;
    ret->start.account_ms = strtod(account, NULL);
    d->next_game = d->next_game_stored = d->counts.next_game;
    return 0;
}
