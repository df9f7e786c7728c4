#include "daemon/doctor/doctor_read.h"

#include "storage/clock.h"

#include <limits.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RESIGN_GAMES = 5000,
    GROWTH_GAMES = 100000,
    GROWTH_S = 1800,
    LENGTH_GAMES = 1000, /* whose length is that of games now */
    MATCHES = 10,
    REJECTED = 20,
    NETS_LOOKED_AT = 60
};

/* Where the figures end. */
struct horizon {
    int64_t at; /* Unix ms */
    int64_t last_seq, net_id, training_id;
    uint32_t generation;
};

static int sql_error(struct sqlite3 *db, struct error *err)
{
    return error_set(err, ERROR_IO, "doctor: %s", sqlite3_errmsg(db));
}

/* Prepare, with up to two numbers bound. */
static int prepare(struct sqlite3 *db, const char *sql, int64_t a, int64_t b, sqlite3_stmt **ret,
                   struct error *err)
{
    if (sqlite3_prepare_v2(db, sql, -1, ret, NULL) != SQLITE_OK) {
        return sql_error(db, err);
    }
    int n = sqlite3_bind_parameter_count(*ret);
    if (n > 0) {
        (void)sqlite3_bind_int64(*ret, 1, a);
    }
    if (n > 1) {
        (void)sqlite3_bind_int64(*ret, 2, b);
    }
    return 0;
}

/* Ends the statement; its error, if it ended with one. */
static int finish(struct sqlite3 *db, sqlite3_stmt *statement, struct error *err)
{
    return sqlite3_finalize(statement) == SQLITE_OK ? 0 : sql_error(db, err);
}

/* The first column of the first row; `missing` where there is none. */
static int one_number(struct sqlite3 *db, const char *sql, int64_t a, int64_t missing, int64_t *ret,
                      struct error *err)
{
    sqlite3_stmt *statement = NULL;
    int r = prepare(db, sql, a, 0, &statement, err);

    *ret = missing;
    if (r == 0 && sqlite3_step(statement) == SQLITE_ROW &&
        sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        *ret = sqlite3_column_int64(statement, 0);
    }
    return r == 0 ? finish(db, statement, err) : r;
}

static void one_text(struct sqlite3 *db, const char *sql, int64_t a, char *ret, size_t size)
{
    sqlite3_stmt *statement = NULL;

    ret[0] = '\0';
    if (prepare(db, sql, a, 0, &statement, NULL) == 0 && sqlite3_step(statement) == SQLITE_ROW &&
        sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        (void)snprintf(ret, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    (void)sqlite3_finalize(statement);
}

static double real(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? NAN
               : sqlite3_column_double(statement, column);
}

/* ---- until when ---- */
static int find_horizon(const struct doctor_source *source, struct horizon *ret, struct error *err)
{
    struct sqlite3 *db = source->db;
    sqlite3_stmt *statement = NULL;
    bool now = source->generation < 0;
    int r = prepare(db,
                    now ? "SELECT generation, id, created_at FROM nets WHERE line = 'main' AND "
                          "state NOT IN ('rejected', 'candidate') ORDER BY generation DESC LIMIT 1"
                        : "SELECT generation, id, created_at FROM nets WHERE line = 'main' AND "
                          "state <> 'rejected' AND generation = ?1",
                    source->generation, 0, &statement, err);
    bool found = false;

    if (r == 0 && sqlite3_step(statement) == SQLITE_ROW) {
        found = true;
        ret->generation = (uint32_t)sqlite3_column_int64(statement, 0);
        ret->net_id = sqlite3_column_int64(statement, 1);
        ret->at = now ? clock_ms(CLOCK_REALTIME) : sqlite3_column_int64(statement, 2);
    }
    r = r == 0 ? finish(db, statement, err) : r;
    if (r == 0 && !found) {
        return now ? error_set(err, ERROR_NOT_FOUND, "the store has no net yet")
                   : error_set(err, ERROR_NOT_FOUND, "there is no generation %lld on the main line",
                               (long long)source->generation);
    }
    if (r == 0) {
        r = one_number(db,
                       now ? "SELECT max(seq) FROM games"
                           : "SELECT seq FROM games WHERE state = 'finished' AND finished_at <= ?1 "
                             "ORDER BY finished_at DESC LIMIT 1",
                       ret->at, 0, &ret->last_seq, err);
    }
    if (r == 0) {
        r = one_number(db,
                       now ? "SELECT max(id) FROM trainings"
                           : "SELECT max(id) FROM trainings WHERE net_id = ?1",
                       ret->net_id, 0, &ret->training_id, err);
    }
    return r;
}

/* ---- trainings ---- */
static void take_training(sqlite3_stmt *s, struct doctor_training *ret)
{
    const char *state = (const char *)sqlite3_column_text(s, 1);
    const char *optimizer = (const char *)sqlite3_column_text(s, 13);

    *ret = (struct doctor_training){
        .generation = (uint32_t)sqlite3_column_int64(s, 0),
        .failed = state != NULL && strcmp(state, "failed") == 0,
        .started_at = sqlite3_column_int64(s, 2),
        .finished_at = sqlite3_column_int64(s, 3),
        .samples = sqlite3_column_int64(s, 4),
        .new_positions = sqlite3_column_int64(s, 5),
        .all_positions = sqlite3_column_int64(s, 6),
        .policy_loss = real(s, 7),
        .policy_entropy = real(s, 8),
        .value_loss = real(s, 9),
        .held_out_policy_gap = real(s, 10),
        .held_out_value_loss = real(s, 11),
        .learning_rate = real(s, 12),
        .sgd = optimizer != NULL && strcmp(optimizer, "sgd") == 0,
        .samples_per_position = real(s, 15),
    };
}

static int read_trainings(struct sqlite3 *db, const struct horizon *horizon,
                          struct doctor_learning *ret, struct error *err)
{
    sqlite3_stmt *s = NULL;
    int r =
        prepare(db,
                "SELECT generation, state, started_at, finished_at, samples, new_positions, "
                "all_positions, policy_loss, policy_entropy, value_loss, held_out_policy_loss - "
                "held_out_policy_entropy, held_out_value_loss, learning_rate, "
                "json_extract(settings, '$.params.optimizer'), failure, "
                "json_extract(settings, '$.params.samples_per_position') FROM trainings "
                "WHERE id <= ?1 AND state <> 'running' ORDER BY id DESC LIMIT ?2",
                horizon->training_id, DOCTOR_TRAININGS, &s, err);

    while (r == 0 && ret->n_trainings < DOCTOR_TRAININGS && sqlite3_step(s) == SQLITE_ROW) {
        struct doctor_training *training = &ret->trainings[ret->n_trainings++];
        take_training(s, training);
        const char *failure = (const char *)sqlite3_column_text(s, 14);
        if (training->failed && ret->failure[0] == '\0' && failure != NULL) {
            (void)snprintf(ret->failure, sizeof(ret->failure), "%.159s", failure);
        }
    }
    return r == 0 ? finish(db, s, err) : r;
}

/* ---- what the suites said ---- */
static const char judged_sql[] =
    "SELECT generation, "
    "(SELECT sum(value * n) / sum(n) FROM evaluations e WHERE e.net_id = nets.id AND "
    "metric = 'mistakes' AND nodes = 0), "
    "(SELECT sum(n) FROM evaluations e WHERE e.net_id = nets.id AND metric = 'mistakes' AND "
    "nodes = 0), "
    "(SELECT sum(value * n) / sum(n) FROM evaluations e WHERE e.net_id = nets.id AND "
    "metric = 'mistakes' AND nodes > 0), "
    "(SELECT sum(n) FROM evaluations e WHERE e.net_id = nets.id AND metric = 'mistakes' AND "
    "nodes > 0), "
    "(SELECT sum(value * n) / sum(n) FROM evaluations e WHERE e.net_id = nets.id AND "
    "metric = 'value_accuracy' AND nodes = 0) "
    "FROM nets WHERE line = 'main' AND state <> 'rejected' AND generation <= ?1 "
    "ORDER BY generation DESC LIMIT ?2";

static void take_judged(sqlite3_stmt *s, struct doctor_judged *ret)
{
    *ret = (struct doctor_judged){.generation = (uint32_t)sqlite3_column_int64(s, 0),
                                  .mistakes_net = real(s, 1),
                                  .mistakes_search = real(s, 3),
                                  .n_net = sqlite3_column_int64(s, 2),
                                  .n_search = sqlite3_column_int64(s, 4),
                                  .value_accuracy = real(s, 5)};
}

static int read_judged(struct sqlite3 *db, const struct horizon *horizon,
                       struct doctor_learning *ret, struct error *err)
{
    sqlite3_stmt *s = NULL;
    int r = prepare(db, judged_sql, horizon->generation, NETS_LOOKED_AT, &s, err);

    while (r == 0 && ret->n_judged < DOCTOR_JUDGED && sqlite3_step(s) == SQLITE_ROW) {
        take_judged(s, &ret->judged[ret->n_judged]);
        ret->n_judged += isnan(ret->judged[ret->n_judged].mistakes_net) ? 0 : 1;
    }
    r = r == 0 ? finish(db, s, err) : r;
    ret->first = (struct doctor_judged){.mistakes_net = NAN, .mistakes_search = NAN};
    if (r == 0) {
        r = prepare(db, judged_sql, 0, 1, &s, err);
    }
    if (r == 0) {
        if (sqlite3_step(s) == SQLITE_ROW) {
            take_judged(s, &ret->first);
        }
        r = finish(db, s, err);
    }
    return r;
}

static int read_rejected(struct sqlite3 *db, const struct horizon *horizon,
                         struct doctor_learning *ret, struct error *err)
{
    sqlite3_stmt *s = NULL;
    bool now = true;
    int r =
        prepare(db,
                "SELECT state = 'rejected' FROM nets WHERE line = 'main' AND state <> 'candidate' "
                "AND created_at <= ?1 "
                "ORDER BY id DESC LIMIT ?2",
                horizon->at, REJECTED, &s, err);

    while (r == 0 && sqlite3_step(s) == SQLITE_ROW) {
        bool rejected = sqlite3_column_int(s, 0) != 0;
        now = now && rejected;
        ret->rejected += now;
        ret->gate = ret->gate || rejected;
    }
    return r == 0 ? finish(db, s, err) : r;
}

static int read_learning(struct sqlite3 *db, const struct horizon *horizon,
                         struct doctor_learning *ret, struct error *err)
{
    char word[32];
    int r = read_trainings(db, horizon, ret, err);

    r = r == 0 ? read_judged(db, horizon, ret, err) : r;
    r = r == 0 ? read_rejected(db, horizon, ret, err) : r;
    int64_t samples = 0;
    r = r == 0
            ? one_number(db,
                         "SELECT sum(samples) FROM trainings WHERE id <= ?1 AND state = 'finished'",
                         horizon->training_id, 0, &samples, err)
            : r;
    ret->samples = (double)samples;
    /* The newest start, unless it was the run's first one. */
    r = r == 0
            ? one_number(db,
                         "SELECT CASE WHEN id = (SELECT min(id) FROM events WHERE what = 'start') "
                         "THEN 0 ELSE at END FROM events WHERE what = 'start' AND at <= ?1 "
                         "ORDER BY id DESC LIMIT 1",
                         horizon->at, 0, &ret->started_at, err)
            : r;
    one_text(db, "SELECT new FROM settings_log WHERE key = 'evaluation.gate' ORDER BY id DESC", 0,
             word, sizeof(word));
    ret->gate = ret->gate || (word[0] != '\0' && strcmp(word, "\"none\"") != 0);
    return r;
}

/* ---- matches and resignations ---- */
static int read_matches(struct sqlite3 *db, const struct horizon *horizon,
                        struct doctor_matches *ret, struct error *err)
{
    sqlite3_stmt *s = NULL;
    int r = prepare(db,
                    "SELECT 1.0 * distinct_games / nullif(wins + draws + losses, 0) FROM matches "
                    "WHERE finished_at <= ?1 ORDER BY id DESC LIMIT ?2",
                    horizon->at, MATCHES, &s, err);

    double shares[MATCHES] = {0}; /* falling */
    while (r == 0 && sqlite3_step(s) == SQLITE_ROW) {
        double distinct = real(s, 0);
        uint32_t at = ret->n;
        if (isnan(distinct)) {
            continue;
        }
        for (; at > 0 && shares[at - 1] < distinct; at--) {
            shares[at] = shares[at - 1];
        }
        shares[at] = distinct;
        ret->n++;
    }
    ret->distinct = ret->n == 0 ? NAN : shares[ret->n / 2];
    return r == 0 ? finish(db, s, err) : r;
}

static int read_resigns(struct sqlite3 *db, const struct horizon *horizon,
                        struct doctor_resigns *ret, struct error *err)
{
    sqlite3_stmt *s = NULL;
    char threshold[32];
    int r = prepare(db,
                    "SELECT count(*), sum(first_player_outcome * (1 - 2 * would_resign_side) >= 0) "
                    "FROM games WHERE seq > ?1 AND seq <= ?2 AND would_resign_ply IS NOT NULL AND "
                    "reason <> 'resign'",
                    horizon->last_seq - RESIGN_GAMES, horizon->last_seq, &s, err);

    if (r == 0) {
        if (sqlite3_step(s) == SQLITE_ROW) {
            ret->played = (uint32_t)sqlite3_column_int64(s, 0);
            ret->mistook = (uint32_t)sqlite3_column_int64(s, 1);
        }
        r = finish(db, s, err);
    }
    one_text(db,
             "SELECT json_extract(settings, '$.resign.threshold') FROM searches ORDER BY id DESC "
             "LIMIT 1",
             0, threshold, sizeof(threshold));
    ret->on = strtod(threshold, NULL) > 0;
    return r;
}

/* ---- the newest net's file, the disk ---- */
static void read_net(const struct doctor_source *source, const struct game *game,
                     const struct doctor_sampled *sampled, struct doctor_net *ret)
{
    char file[160];
    char path[PATH_MAX];
    int64_t generation = 0;

    one_text(source->db, "SELECT file FROM nets WHERE id = ?1 AND state <> 'removed'",
             sampled->net_id, file, sizeof(file));
    if (sampled->n == 0 || file[0] == '\0' ||
        snprintf(path, sizeof(path), "%s/%s", source->state_dir, file) >= PATH_MAX) {
        return;
    }
    (void)one_number(source->db, "SELECT generation FROM nets WHERE id = ?1", sampled->net_id, 0,
                     &generation, NULL);
    ret->generation = (uint32_t)generation;
    int64_t rounding = DOCTOR_FP32; /* the coarsest of its searches, numbered as the enum is */
    (void)one_number(
        source->db,
        "SELECT max(CASE WHEN kernel LIKE 'direct-bf16/%' THEN 1 "
        "WHEN kernel LIKE '%-bf16/%' THEN 2 ELSE 0 END) FROM searches WHERE net_id = ?1",
        sampled->net_id, 0, &rounding, NULL);
    ret->rounding = (enum doctor_rounding)rounding;
    doctor_net_compare(game, path, sampled, ret);
}

static int read_disk(const struct doctor_source *source, const struct horizon *horizon,
                     struct doctor_figures *ret, struct error *err)
{
    const struct doctor_learning *l = &ret->learning;
    const struct doctor_games *g = &ret->games;
    const double day_s = 86400;
    char file[160];
    int64_t plies = 0; /* not positions: tallies count those that are searched in full alone */
    int64_t new_plies = 0;
    int64_t first_at = 0;
    double per_day = NAN;
    double nets_per_day = NAN;
    /* Over the newest thousands of games: a burst is no growth. */
    int64_t from = horizon->last_seq > GROWTH_GAMES ? horizon->last_seq - GROWTH_GAMES : 1;
    int64_t recent = horizon->last_seq > LENGTH_GAMES ? horizon->last_seq - LENGTH_GAMES : 0;
    int r =
        one_number(source->db, "SELECT finished_at FROM games WHERE seq >= ?1 ORDER BY seq LIMIT 1",
                   from, 0, &first_at, err);
    if (r == 0) {
        r = one_number(source->db, "SELECT sum(plies) FROM games WHERE seq > ?1", recent, 0,
                       &new_plies, err);
    }
    double seconds = first_at > 0 ? (double)(g->newest_at - first_at) / 1000 : 0;

    if (seconds > GROWTH_S && g->games > 0) {
        double games_per_day = (double)(horizon->last_seq - from) / seconds * day_s;
        per_day = games_per_day * (double)new_plies / (double)(horizon->last_seq - recent);
    }
    if (l->n_trainings > 1) {
        double span =
            (double)(l->trainings[0].finished_at - l->trainings[l->n_trainings - 1].finished_at);
        nets_per_day = span > 0 ? (l->n_trainings - 1) / (span / 1000) * day_s : NAN;
    }
    one_text(source->db, "SELECT file FROM nets WHERE id = ?1", horizon->net_id, file,
             sizeof(file));
    if (r == 0) {
        r = one_number(source->db, "SELECT sum(plies) FROM game_tallies", 0, 0, &plies, err);
    }
    char limit[32];
    one_text(source->db,
             "SELECT json_extract(value, '$.retention.bytes') FROM run WHERE key = 'config'", 0,
             limit, sizeof(limit));
    doctor_read_disk(source->state_dir, file, (double)plies, per_day, nets_per_day,
                     strtod(limit, NULL), &ret->disk);
    return r;
}

int doctor_read(const struct doctor_source *source, struct doctor_figures *ret, struct error *err)
{
    struct horizon horizon = {.at = 0};
    char name[32];
    struct doctor_sampled *sampled = calloc(1, sizeof(*sampled));
    int r = sampled == NULL ? error_set(err, ERROR_NO_MEMORY, "out of memory")
                            : find_horizon(source, &horizon, err);

    *ret = (struct doctor_figures){
        .at = horizon.at, .generation = horizon.generation, .now = source->generation < 0};
    if (r < 0) {
        free(sampled);
        return r;
    }
    one_text(source->db, "SELECT game FROM nets WHERE id = ?1", horizon.net_id, name, sizeof(name));
    const struct game *game = game_find(name);
    if (game == NULL) {
        r = error_set(err, ERROR_UNSUPPORTED, "no game is called \"%s\"", name);
    }
    r = r == 0 ? doctor_read_games(source, game, horizon.last_seq, &ret->games, sampled, err) : r;
    r = r == 0 ? read_learning(source->db, &horizon, &ret->learning, err) : r;
    r = r == 0 ? read_matches(source->db, &horizon, &ret->matches, err) : r;
    r = r == 0 ? read_resigns(source->db, &horizon, &ret->resigns, err) : r;
    if (r == 0) {
        read_net(source, game, sampled, &ret->net);
    }
    if (r == 0 && ret->now) {
        r = read_disk(source, &horizon, ret, err);
        if (source->live != NULL) {
            ret->live = *source->live;
        }
    }
    free(sampled);
    return r;
}

int doctor_read_alarms(struct sqlite3 *db, void (*each)(const char *check, void *context),
                       void *context, struct error *err)
{
    sqlite3_stmt *s = NULL;
    /* max() makes the other columns those of the row that has it (SQLite's documented rule). */
    int r = prepare(db,
                    "SELECT name, state, max(at) FROM diagnoses WHERE state IN ('red', 'green') "
                    "GROUP BY name",
                    0, 0, &s, err);

    while (r == 0 && sqlite3_step(s) == SQLITE_ROW) {
        if (strcmp((const char *)sqlite3_column_text(s, 1), "red") == 0) {
            each((const char *)sqlite3_column_text(s, 0), context);
        }
    }
    return r == 0 ? finish(db, s, err) : r;
}

int doctor_examine(const struct doctor_source *source, struct doctor_report *ret, struct error *err)
{
    struct doctor_figures *figures = malloc(sizeof(*figures));
    int r = figures == NULL ? error_set(err, ERROR_NO_MEMORY, "out of memory")
                            : doctor_read(source, figures, err);

    if (r == 0) {
        doctor_diagnose(figures, ret);
    }
    free(figures);
    return r;
}
