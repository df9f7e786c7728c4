/* The newest games, position by position. */
#include "daemon/doctor/doctor_read.h"

#include "storage/policy.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KNOWN_SEARCHES = 64, MAX_GAME_TEXT = 4096, V_FROM = 2, VARIANCE_FROM = 3 };

struct sums {
    double n, x, y, xx, yy, xy;
};

static void add(struct sums *sums, double x, double y)
{
    if (isnan(x) || isnan(y)) {
        return;
    }
    sums->n++;
    sums->x += x;
    sums->y += y;
    sums->xx += x * x;
    sums->yy += y * y;
    sums->xy += x * y;
}

static double variance_x(const struct sums *s)
{
    return s->n > 0 ? s->xx / s->n - s->x / s->n * (s->x / s->n) : NAN;
}

static double variance_y(const struct sums *s)
{
    return s->n > 0 ? s->yy / s->n - s->y / s->n * (s->y / s->n) : NAN;
}

static double correlation(const struct sums *s)
{
    double vx = variance_x(s);
    double vy = variance_y(s);

    if (!(vx > 1e-9) || !(vy > 1e-9)) {
        return NAN;
    }
    return (s->xy / s->n - s->x / s->n * (s->y / s->n)) / sqrt(vx * vy);
}

struct known_search {
    int64_t id, net_id;
    uint32_t generation;
};

struct row {
    int64_t search_id;
    uint16_t action;
    double q, v, z, kld;
    bool proven, full;
    const uint8_t *policy;
    size_t policy_size;
};

/* What is gathered over all games. */
struct sample {
    const struct doctor_source *source;
    const struct game *game;
    struct doctor_games *ret;
    struct doctor_sampled *sampled;
    struct sums vz[2], qz[2], next, variance;
    double won_q, kld, log_moves;
    double *entropies;
    size_t n_entropies, room;
    uint64_t whole[DOCTOR_SAMPLE_GAMES], from_start[DOCTOR_SAMPLE_GAMES],
        prefixes[DOCTOR_SAMPLE_GAMES];
    struct known_search searches[MAX_KNOWN_SEARCHES];
    uint32_t n_searches;
    int64_t oldest_at, newest_search;
};

struct game_row {
    int64_t id, finished_at;
    char opening[GAME_MAX_OPENING_TEXT];
    uint32_t first_side;
    bool won; /* by the last move that was played */
};

static int sql_error(struct sqlite3 *db, struct error *err)
{
    return error_set(err, ERROR_IO, "doctor: %s", sqlite3_errmsg(db));
}

static bool stopped(const struct doctor_source *source)
{
    return source->stop != NULL && atomic_load(source->stop);
}

/* ---- games as text, so that an opening's moves and moves that were played compare equal ---- */
static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325U; /* FNV-1a */

    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3U;
    }
    return hash;
}

static int compare_hashes(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return (*x > *y) - (*x < *y);
}

/* Sorts. Returns how many are different, and how often the most frequent one stands there. */
static uint32_t count_distinct(uint64_t *hashes, uint32_t n, uint32_t *ret_most)
{
    uint32_t distinct = 0;
    uint32_t run = 0;

    *ret_most = 0;
    qsort(hashes, n, sizeof(*hashes), compare_hashes);
    for (uint32_t i = 0; i < n; i++) {
        run = i > 0 && hashes[i] == hashes[i - 1] ? run + 1 : 1;
        distinct += run == 1;
        *ret_most = run > *ret_most ? run : *ret_most;
    }
    return distinct;
}

/* A game being played again, with its text so far and the hash of its first plies. */
struct replay {
    union game_state state;
    char text[MAX_GAME_TEXT];
    size_t used;
    uint64_t prefix;
    bool prefix_done, broken;
};

static void replay_look(const struct game *game, struct replay *replay)
{
    if (!replay->prefix_done && game->ply(&replay->state) >= DOCTOR_PREFIX_PLIES) {
        replay->prefix = hash_text(replay->text);
        replay->prefix_done = true;
    }
}

static bool replay_begin(const struct game *game, const char *opening, struct replay *replay)
{
    const char *why = NULL;

    replay->used = (size_t)snprintf(replay->text, sizeof(replay->text), "%s", opening);
    replay->prefix_done = false;
    replay->broken = !game->init(&replay->state, opening, &why);
    if (!replay->broken) {
        replay_look(game, replay);
    }
    return !replay->broken;
}

static bool replay_move(const struct game *game, struct replay *replay, uint16_t action)
{
    uint16_t legal[GAME_MAX_LEGAL];
    char text[GAME_MAX_ACTION_TEXT];
    uint32_t n = replay->broken ? 0 : game->legal(&replay->state, legal);

    replay->broken = true;
    for (uint32_t i = 0; i < n; i++) {
        replay->broken = replay->broken && legal[i] != action;
    }
    if (replay->broken) {
        return false;
    }
    game->action_format(&replay->state, action, text);
    if (replay->used + strlen(text) < sizeof(replay->text)) {
        memcpy(replay->text + replay->used, text, strlen(text) + 1);
        replay->used += strlen(text);
    }
    game->play(&replay->state, action);
    replay_look(game, replay);
    return true;
}

static uint64_t replay_prefix(const struct replay *replay)
{
    return replay->prefix_done ? replay->prefix : hash_text(replay->text);
}

/* ---- positions ---- */
static const struct known_search *find_search(struct sample *s, int64_t id)
{
    struct known_search *place = &s->searches[s->n_searches % MAX_KNOWN_SEARCHES];
    uint32_t n = s->n_searches < MAX_KNOWN_SEARCHES ? s->n_searches : MAX_KNOWN_SEARCHES;
    sqlite3_stmt *statement = NULL;

    for (uint32_t i = 0; i < n; i++) {
        if (s->searches[i].id == id) {
            return &s->searches[i];
        }
    }
    *place = (struct known_search){.id = id};
    s->n_searches++;
    if (sqlite3_prepare_v2(s->source->db,
                           "SELECT nets.id, generation FROM searches JOIN nets "
                           "ON nets.id = net_id WHERE searches.id = ?1",
                           -1, &statement, NULL) == SQLITE_OK) {
        (void)sqlite3_bind_int64(statement, 1, id);
        if (sqlite3_step(statement) == SQLITE_ROW) {
            place->net_id = sqlite3_column_int64(statement, 0);
            place->generation = (uint32_t)sqlite3_column_int64(statement, 1);
        }
    }
    (void)sqlite3_finalize(statement);
    return place;
}

static double real(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? NAN
               : sqlite3_column_double(statement, column);
}

static void take_row(sqlite3_stmt *statement, struct row *ret)
{
    const char *kind = (const char *)sqlite3_column_text(statement, 6);

    *ret = (struct row){
        .search_id = sqlite3_column_int64(statement, 0),
        .action = (uint16_t)sqlite3_column_int(statement, 1),
        .q = real(statement, 2),
        .v = real(statement, 3),
        .z = real(statement, 4),
        .kld = real(statement, 5),
        .full = kind != NULL && strcmp(kind, "full") == 0,
        .proven = sqlite3_column_type(statement, 7) != SQLITE_NULL,
        .policy = sqlite3_column_blob(statement, 8),
        .policy_size = (size_t)sqlite3_column_bytes(statement, 8),
    };
}

static bool add_entropy(struct sample *s, const struct row *row)
{
    struct policy_entry entries[POLICY_MAX_ENTRIES];
    int n = row->policy == NULL
                ? 0
                : policy_decode(row->policy, row->policy_size, entries, POLICY_MAX_ENTRIES);
    double sum = 0;
    double entropy = 0;

    for (int i = 0; i < n; i++) {
        sum += entries[i].visits;
    }
    if (n < 2 || sum <= 0) { /* with one legal move there is nothing to explore */
        return true;
    }
    for (int i = 0; i < n; i++) {
        double p = entries[i].visits / sum;
        entropy -= p > 0 ? p * log(p) : 0;
    }
    if (s->n_entropies == s->room) {
        size_t room = s->room == 0 ? 4096 : 2 * s->room;
        double *grown = realloc(s->entropies, room * sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        s->entropies = grown;
        s->room = room;
    }
    s->entropies[s->n_entropies++] = entropy;
    s->kld += isnan(row->kld) ? 0 : row->kld;
    s->log_moves += log(n);
    return true;
}

/* Every fifth position of the newest net, from a few games each. */
static void keep_for_net(struct sample *s, const struct known_search *search,
                         const struct replay *replay, const struct row *row, uint32_t ply)
{
    struct doctor_sampled *kept = s->sampled;

    if (kept == NULL || search->net_id == 0 || isnan(row->v) || kept->n == DOCTOR_COMPARED ||
        (ply + s->ret->games) % 5 != 0 || replay->broken) {
        return;
    }
    if (kept->net_id == 0) {
        kept->net_id = search->net_id;
    }
    if (kept->net_id == search->net_id) {
        memcpy(&kept->states[kept->n], &replay->state, sizeof(replay->state));
        kept->v[kept->n++] = row->v;
    }
}

static bool add_row(struct sample *s, const struct row *row, const struct known_search *search,
                    uint32_t side)
{
    s->ret->positions++;
    add(&s->qz[side], row->q, row->z);
    if (search->generation >= V_FROM) {
        add(&s->vz[side], row->v, row->z);
    }
    if (search->generation >= VARIANCE_FROM) {
        add(&s->variance, row->v, row->z);
    }
    return !row->full || row->proven || add_entropy(s, row);
}

/* One game's positions, in one short read. */
static int add_positions(struct sample *s, sqlite3_stmt *statement, const struct game_row *game)
{
    struct replay replay;
    struct row row = {.q = NAN};
    struct row before = {.q = NAN};
    double n_vz[2] = {s->vz[0].n, s->vz[1].n};
    double n_qz[2] = {s->qz[0].n, s->qz[1].n};
    uint32_t ply = 0;
    int code = SQLITE_ROW;

    (void)sqlite3_reset(statement);
    (void)sqlite3_bind_int64(statement, 1, game->id);
    (void)replay_begin(s->game, game->opening, &replay);
    for (; (code = sqlite3_step(statement)) == SQLITE_ROW; ply++) {
        take_row(statement, &row);
        const struct known_search *search = find_search(s, row.search_id);
        if (s->newest_search == 0) {
            s->newest_search = row.search_id;
        }
        keep_for_net(s, search, &replay, &row, ply);
        if (!add_row(s, &row, search, (game->first_side + ply) % 2)) {
            return SQLITE_NOMEM;
        }
        if (ply > 0) {
            add(&s->next, before.q, -row.q);
        }
        before = row;
        (void)replay_move(s->game, &replay, row.action);
    }
    (void)sqlite3_reset(statement);
    for (int side = 0; side < 2; side++) {
        s->ret->n_vz[side] += s->vz[side].n > n_vz[side];
        s->ret->n_qz[side] += s->qz[side].n > n_qz[side];
    }
    if (ply > 0 && game->won && row.full && !isnan(row.q)) {
        s->won_q += row.q;
        s->ret->n_won++;
    }
    uint64_t whole = hash_text(replay.text);
    s->whole[s->ret->games] = whole;
    s->prefixes[s->ret->games] = replay_prefix(&replay);
    if (game->opening[0] == '\0') {
        s->from_start[s->ret->from_start++] = whole;
    }
    s->ret->games++;
    return code;
}

static int each_game(struct sample *s, int64_t last_seq, struct error *err)
{
    struct sqlite3 *db = s->source->db;
    sqlite3_stmt *games = NULL;
    sqlite3_stmt *positions = NULL;
    int r = 0;
    /* The ids first, so that no statement is open while the positions are read. */
    struct game_row *rows = calloc(DOCTOR_SAMPLE_GAMES, sizeof(*rows));
    uint32_t n = 0;

    if (rows == NULL ||
        sqlite3_prepare_v2(db,
                           "SELECT id, finished_at, opening, first_side, reason = 'rules' AND "
                           "first_player_outcome <> 0 FROM games "
                           "WHERE seq <= ?1 AND kind = 'selfplay' ORDER BY seq DESC LIMIT ?2",
                           -1, &games, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db,
                           "SELECT search_id, action, q, v, z, kld, kind, proven, policy "
                           "FROM positions WHERE game_id = ?1 ORDER BY ply",
                           -1, &positions, NULL) != SQLITE_OK) {
        r = rows == NULL ? error_set(err, ERROR_NO_MEMORY, "out of memory") : sql_error(db, err);
        goto out;
    }
    (void)sqlite3_bind_int64(games, 1, last_seq);
    (void)sqlite3_bind_int(games, 2, DOCTOR_SAMPLE_GAMES);
    while (n < DOCTOR_SAMPLE_GAMES && sqlite3_step(games) == SQLITE_ROW) {
        struct game_row *row = &rows[n++];
        const char *opening = (const char *)sqlite3_column_text(games, 2);
        row->id = sqlite3_column_int64(games, 0);
        row->finished_at = sqlite3_column_int64(games, 1);
        (void)snprintf(row->opening, sizeof(row->opening), "%s", opening == NULL ? "" : opening);
        row->first_side = (uint32_t)sqlite3_column_int(games, 3) % 2;
        row->won = sqlite3_column_int(games, 4) != 0;
    }
    (void)sqlite3_reset(games);
    for (uint32_t i = 0; i < n && r == 0; i++) {
        if (stopped(s->source)) {
            r = error_set(err, ERROR_CANCELLED, "stopped: the daemon is going down");
        } else if (add_positions(s, positions, &rows[i]) != SQLITE_DONE) {
            r = sql_error(db, err);
        }
    }
    if (n > 0) {
        s->ret->newest_at = rows[0].finished_at;
        s->oldest_at = rows[n - 1].finished_at;
    }
out:
    (void)sqlite3_finalize(games);
    (void)sqlite3_finalize(positions);
    free(rows);
    return r;
}

/* How varied the first games' beginnings were, among as many as there are now. */
static int first_prefixes(struct sample *s, struct error *err)
{
    struct sqlite3 *db = s->source->db;
    sqlite3_stmt *statement = NULL;
    struct replay replay = {.broken = true};
    int64_t at = 0;
    uint32_t n = 0;
    uint32_t most = 0;

    if (sqlite3_prepare_v2(db,
                           "SELECT g.id, g.opening, p.action FROM (SELECT id, opening, seq FROM "
                           "games WHERE seq IS NOT NULL AND kind = 'selfplay' ORDER BY seq LIMIT "
                           "?1) g JOIN positions p ON p.game_id = g.id AND p.ply < ?2 "
                           "ORDER BY g.seq, p.ply",
                           -1, &statement, NULL) != SQLITE_OK) {
        return sql_error(db, err);
    }
    (void)sqlite3_bind_int64(statement, 1, s->ret->games);
    (void)sqlite3_bind_int(statement, 2, DOCTOR_PREFIX_PLIES);
    while (n < s->ret->games && sqlite3_step(statement) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(statement, 0);
        if (id != at) {
            if (at != 0) {
                s->whole[n++] = replay_prefix(&replay); /* its own content has been counted */
            }
            at = id;
            (void)replay_begin(s->game, (const char *)sqlite3_column_text(statement, 1), &replay);
        }
        (void)replay_move(s->game, &replay, (uint16_t)sqlite3_column_int(statement, 2));
    }
    if (at != 0 && n < s->ret->games) {
        s->whole[n++] = replay_prefix(&replay);
    }
    (void)sqlite3_finalize(statement);
    s->ret->first_prefixes = n == 0 ? NAN : (double)count_distinct(s->whole, n, &most) / n;
    return 0;
}

static int compare_reals(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

static void finish(struct sample *s)
{
    struct doctor_games *ret = s->ret;
    uint32_t most = 0;

    for (int side = 0; side < 2; side++) {
        ret->corr_vz[side] = correlation(&s->vz[side]);
        ret->corr_qz[side] = correlation(&s->qz[side]);
    }
    ret->corr_next = correlation(&s->next);
    ret->n_next = (uint32_t)s->next.n;
    ret->won_q = ret->n_won == 0 ? NAN : s->won_q / ret->n_won;
    double z = variance_y(&s->variance);
    ret->variance_share = z > 1e-9 ? variance_x(&s->variance) / z : NAN;
    ret->n_variance = (uint32_t)s->variance.n;
    ret->n_entropy = (uint32_t)s->n_entropies;
    if (s->n_entropies > 0) {
        qsort(s->entropies, s->n_entropies, sizeof(*s->entropies), compare_reals);
        ret->entropy = s->entropies[s->n_entropies / 2];
        ret->kld = s->kld / (double)s->n_entropies;
        ret->log_moves = s->log_moves / (double)s->n_entropies;
    }
    if (ret->games > 0) {
        ret->distinct = (double)count_distinct(s->whole, ret->games, &most) / ret->games;
        ret->prefixes = (double)count_distinct(s->prefixes, ret->games, &most) / ret->games;
        ret->common_prefix = (double)most / ret->games;
        ret->seconds = (double)(ret->newest_at - s->oldest_at) / 1000;
    }
    if (ret->from_start > 0) {
        ret->distinct_from_start =
            (double)count_distinct(s->from_start, ret->from_start, &most) / ret->from_start;
    }
}

static void read_noise(struct sample *s)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(
            s->source->db,
            "SELECT json_extract(settings, '$.noise.share'), max(json_extract(settings, "
            "'$.temperature.start'), json_extract(settings, '$.temperature.floor')) "
            "FROM searches WHERE id = ?1",
            -1, &statement, NULL) == SQLITE_OK) {
        (void)sqlite3_bind_int64(statement, 1, s->newest_search);
        if (sqlite3_step(statement) == SQLITE_ROW) {
            s->ret->noise_share = real(statement, 0);
            s->ret->temperature = real(statement, 1);
        }
    }
    (void)sqlite3_finalize(statement);
}

int doctor_read_games(const struct doctor_source *source, const struct game *game, int64_t last_seq,
                      struct doctor_games *ret, struct doctor_sampled *sampled, struct error *err)
{
    struct sample *s = calloc(1, sizeof(*s));

    *ret = (struct doctor_games){.corr_next = NAN,
                                 .won_q = NAN,
                                 .variance_share = NAN,
                                 .entropy = NAN,
                                 .kld = NAN,
                                 .log_moves = NAN,
                                 .noise_share = NAN,
                                 .temperature = NAN,
                                 .distinct_from_start = NAN,
                                 .distinct = NAN,
                                 .prefixes = NAN,
                                 .common_prefix = NAN,
                                 .first_prefixes = NAN};
    if (s == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    s->source = source;
    s->game = game;
    s->ret = ret;
    s->sampled = sampled;
    int r = each_game(s, last_seq, err);
    if (r == 0) {
        finish(s);
        read_noise(s);
        r = first_prefixes(s, err);
    }
    free(s->entropies);
    free(s);
    return r;
}
