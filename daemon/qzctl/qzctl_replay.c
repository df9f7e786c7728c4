/* replay: recorded games played again, every number compared. It reads the store and the nets itself, beside a
 * daemon or without one, as analyse does. */
#include "daemon/qzctl/qzctl_replay.h"

#include "daemon/qzctl/qzctl_games.h"
#include "storage/clock.h"
#include "trainer/net/inference.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LANES = 64,
    CACHE_ENTRIES = 1 << 18,
    CHUNK = 256,          /* games in memory at a time */
    SAID_BY_DEFAULT = 20, /* differences */
};

enum {
    OPTION_ALL = 1,
    OPTION_LAST,
    OPTION_FROM,
    OPTION_TO,
    OPTION_EXACT,
    OPTION_TOLERANCE,
    OPTION_DIFFERENCES,
};

static int take_count(const char *name, const char *value, int64_t *ret)
{
    return qzctl_number(name, value, 1, INT64_MAX, ret);
}

static int take_option(int option, const char *value, void *context)
{
    struct replay_options *options = context;
    int64_t n = 0;
    double x = 0;
    switch (option) {
    case OPTION_ALL:
        options->all = true;
        return 0;
    case OPTION_EXACT:
        options->exact = true;
        return 0;
    case OPTION_LAST:
        return take_count("--last", value, &options->last);
    case OPTION_FROM:
        return take_count("--from", value, &options->from);
    case OPTION_TO:
        return take_count("--to", value, &options->to);
    case OPTION_TOLERANCE:
        if (qzctl_real("--tolerance", value, 0, 2, &x) != 0) {
            return -1;
        }
        options->tolerance.search = x;
        return 0;
    default:
        if (qzctl_number("--differences", value, 0, REPLAY_MAX_SAID, &n) != 0) {
            return -1;
        }
        options->said = (uint32_t)n;
        return 0;
    }
}

/* ---- which games ---- */

struct ids {
    int64_t *ids;
    size_t n;
};

static int add_ids(struct replaying *r, const char *sql, struct ids *ids)
{
    sqlite3 *db = store_handle(r->store);
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t *more = reallocarray(ids->ids, ids->n + 1, sizeof *more);
        if (more == NULL) {
            code = SQLITE_NOMEM;
            break;
        }
        ids->ids = more;
        ids->ids[ids->n++] = sqlite3_column_int64(statement, 0);
        code = SQLITE_OK;
    }
    if (code != SQLITE_DONE) {
        qzctl_fail("looking for games: %s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? QZCTL_OK : QZCTL_FAILED;
}

static int find_named(struct replaying *r, const char *which, struct ids *ids)
{
    char condition[GAME_CONDITION_BYTES];
    char sql[GAME_CONDITION_BYTES + 64];
    size_t before = ids->n;
    if (!qzctl_game_condition(which, condition)) {
        return qzctl_fail("%s: neither \"last\", an id, nor 4 digits or more of a uid", which);
    }
    snprintf(sql, sizeof sql, "SELECT id FROM games WHERE %s LIMIT 2", condition);
    int code = add_ids(r, sql, ids);
    if (code == QZCTL_OK && ids->n != before + 1) {
        code = qzctl_fail(ids->n == before ? "%s: no such game" : "%s: more than one game", which);
    }
    return code;
}

static int find_range(struct replaying *r, struct ids *ids)
{
    const struct replay_options *options = r->options;
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT id FROM (SELECT id, seq FROM games WHERE state = 'finished' AND kind ="
             " 'selfplay' AND seq >= %lld AND seq <= %lld ORDER BY seq DESC LIMIT %lld)"
             " ORDER BY seq",
             (long long)options->from,
             options->to > 0 ? (long long)options->to : (long long)INT64_MAX,
             options->last > 0 ? (long long)options->last : -1LL);
    return add_ids(r, sql, ids);
}

/* ---- callbacks of the replay ---- */

static int bring_net(const char *sha256, struct net **ret, void *context, struct error *err)
{
    struct replaying *r = context;
    char path[PATH_MAX];
    char found[RECORD_SHA256_BYTES];
    const struct recorded_search *search = r->games.searches;
    while (strcmp(search->net_sha256, sha256) != 0) { /* it is one of them */
        search++;
    }
    if (snprintf(path, sizeof path, "%s/%s", r->qzctl->state_dir, search->net_file) >= PATH_MAX) {
        return error_set(err, ERROR_INVALID, "%s: the path is too long", search->net_file);
    }
    int code = net_load(path, ret, found, err);
    if (code == 0 && strcmp(found, sha256) != 0) {
        net_destroy(*ret);
        *ret = NULL;
        code = error_set(err, ERROR_CORRUPT, "%s: its sha256 is %s", path, found);
    }
    return code;
}

static bool show_progress(uint64_t done, uint64_t positions, void *context)
{
    struct replaying *r = context;
    unsigned long long all = r->done_base + done;
    (void)positions;
    if (r->progress && done % 16 == 0) {
        fprintf(stderr, "\r%llu positions", all);
    }
    return true;
}

/* ---- a chunk ---- */

static struct program *program_of(struct replaying *r, const struct recorded_search *search)
{
    for (size_t i = 0; i < r->n_programs; i++) {
        if (strcmp(r->programs[i].build, search->build) == 0 &&
            strcmp(r->programs[i].kernel, search->kernel) == 0) {
            return &r->programs[i];
        }
    }
    struct program *programs = reallocarray(r->programs, r->n_programs + 1, sizeof *programs);
    if (programs == NULL) {
        return NULL;
    }
    r->programs = programs;
    struct program *program = &programs[r->n_programs];
    *program = (struct program){strdup(search->build), strdup(search->kernel), 0};
    if (program->build == NULL || program->kernel == NULL) {
        free(program->build);
        free(program->kernel);
        return NULL;
    }
    r->n_programs++;
    return program;
}

static bool net_is_there(const struct replaying *r, const struct recorded_search *search)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", r->qzctl->state_dir, search->net_file);
    return !search->net_removed && n > 0 && n < PATH_MAX && access(path, F_OK) == 0;
}

/* Why a game cannot be replayed, or NULL. */
static const char *why_not(const struct replaying *r, const struct recorded_game *game,
                           const bool *nets_there, char ret_text[128])
{
    if (strcmp(game->kind, "selfplay") != 0) {
        snprintf(ret_text, 128, "its kind is %s; only self-play is a function of its record",
                 game->kind);
        return ret_text;
    }
    if (strcmp(game->title, r->game->name) != 0) {
        snprintf(ret_text, 128, "it is a game of %s, the first one of %s", game->title,
                 r->game->name);
        return ret_text;
    }
    for (uint32_t ply = 0; ply < game->game.n_positions; ply++) {
        uint32_t search = game->searches[ply];
        if (search == UINT32_MAX) {
            return "not all of its positions were searched";
        }
        if (!nets_there[search]) {
            snprintf(ret_text, 128, "net %lld (generation %lld), which played ply %u, has no file",
                     (long long)r->games.searches[search].net_id,
                     (long long)r->games.searches[search].generation, ply);
            return ret_text;
        }
    }
    return NULL;
}

static int begin_replay(struct replaying *r)
{
    struct error err = {""};
    if (r->games.n == 0 || r->replay != NULL) {
        return QZCTL_OK;
    }
    r->game = game_find(r->games.games[0].title);
    if (r->game == NULL) {
        return qzctl_fail("no game is called %s", r->games.games[0].title);
    }
    return replay_create(r->game, LANES, CACHE_ENTRIES, &r->options->tolerance, &r->replay, &err) <
                   0
               ? qzctl_fail("%s", err.text)
               : QZCTL_OK;
}

/* Leave out what cannot be replayed, saying so. Returns how many remain, or -1 without memory. */
static int64_t choose_games(struct replaying *r)
{
    uint32_t n = 0;
    bool *nets_there = calloc(r->games.n_searches + 1, sizeof *nets_there);
    if (nets_there == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < r->games.n_searches; i++) {
        nets_there[i] = net_is_there(r, &r->games.searches[i]);
        r->games.replay_searches[i].kernel = qzctl_replay_kernel(r->games.searches[i].kernel);
        r->games.replay_searches[i].bits =
            r->options->exact ||
            qzctl_replay_is_this(r->games.searches[i].build, r->games.searches[i].kernel);
    }
    for (uint32_t i = 0; i < r->games.n; i++) {
        char text[128];
        const struct recorded_game *game = &r->games.games[i];
        const char *why = why_not(r, game, nets_there, text);
        if (why != NULL) {
            qzctl_replay_clear_progress(r);
            fprintf(stderr, "qzctl: game %lld is left out: %s\n", (long long)game->game.id, why);
            r->skipped++;
            continue;
        }
        for (uint32_t ply = 0; ply < game->game.n_positions; ply++) {
            r->games.searches[game->searches[ply]].positions++;
        }
        r->indices[n] = i;
        r->replay_games[n] = recorded_games_replay(&r->games, i);
        n++;
    }
    free(nets_there);
    return n;
}

static int replay_chunk(struct replaying *r, const int64_t *ids, uint32_t n)
{
    struct error err = {""};
    const struct replay_callbacks callbacks = {bring_net, qzctl_replay_note, show_progress, r};
    int code = recorded_games_read(r->store, ids, n, &r->games, &err) < 0
                   ? qzctl_fail("%s", err.text)
                   : begin_replay(r);
    if (code == QZCTL_OK) {
        int64_t chosen = choose_games(r);
        if (chosen < 0) {
            code = qzctl_fail("out of memory");
        } else if (replay_run(r->replay, r->games.replay_searches, r->games.n_searches,
                              r->replay_games, (uint32_t)chosen, &callbacks, &r->counts,
                              &err) < 0) {
            qzctl_replay_clear_progress(r);
            code = qzctl_fail("%s", err.text);
        }
    }
    for (uint32_t i = 0; code == QZCTL_OK && i < r->games.n_searches; i++) {
        struct program *program = program_of(r, &r->games.searches[i]);
        if (program == NULL) {
            code = qzctl_fail("out of memory");
        } else {
            program->positions += r->games.searches[i].positions;
        }
    }
    if (code == QZCTL_OK) {
        qzctl_replay_put_differences(r);
        code = r->no_memory ? qzctl_fail("out of memory") : QZCTL_OK;
    }
    r->done_base = r->counts.positions;
    recorded_games_finish(&r->games);
    return code;
}

static int replay_all(struct replaying *r, const struct ids *ids)
{
    int code = QZCTL_OK;
    r->began = clock_seconds(CLOCK_MONOTONIC);
    r->indices = calloc(CHUNK, sizeof *r->indices);
    r->replay_games = calloc(CHUNK, sizeof *r->replay_games);
    r->differences = json_array();
    if (r->indices == NULL || r->replay_games == NULL || r->differences == NULL) {
        code = qzctl_fail("out of memory");
    }
    for (size_t i = 0; code == QZCTL_OK && i < ids->n; i += CHUNK) {
        size_t n = ids->n - i < CHUNK ? ids->n - i : CHUNK;
        code = replay_chunk(r, ids->ids + i, (uint32_t)n);
    }
    qzctl_replay_clear_progress(r);
    if (code == QZCTL_OK) {
        code = r->qzctl->json ? qzctl_replay_put_json(r) : qzctl_replay_put_text(r);
    }
    return code;
}

static void finish(struct replaying *r)
{
    for (size_t i = 0; i < r->n_programs; i++) {
        free(r->programs[i].build);
        free(r->programs[i].kernel);
    }
    free(r->programs);
    free(r->noted);
    free(r->indices);
    free(r->replay_games);
    json_decref(r->differences);
    replay_destroy(r->replay);
    store_close(r->store);
}

static int open_store(struct replaying *r)
{
    char path[PATH_MAX];
    struct error err = {""};
    qzctl_db_path(r->qzctl, path);
    if (store_open(path, STORE_READ, &r->store, &err) < 0) {
        return qzctl_fail("%s", err.text);
    }
    return QZCTL_OK;
}

static int run_replay(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                      char **argv)
{
    static const struct option own[] = {
        {"all", no_argument, NULL, OPTION_ALL},
        {"last", required_argument, NULL, OPTION_LAST},
        {"from", required_argument, NULL, OPTION_FROM},
        {"to", required_argument, NULL, OPTION_TO},
        {"exact", no_argument, NULL, OPTION_EXACT},
        {"tolerance", required_argument, NULL, OPTION_TOLERANCE},
        {"differences", required_argument, NULL, OPTION_DIFFERENCES},
        {0},
    };
    struct replay_options options = {.said = SAID_BY_DEFAULT,
                                     .tolerance = replay_tolerance_default};
    struct ids ids = {0};
    int first = 0;
    int code = qzctl_parse(qzctl, command, argc, argv, own, take_option, &options, &first);
    if (code >= 0) {
        return code;
    }
    bool range = options.all || options.last > 0 || options.from > 0 || options.to > 0;
    if (range == (first < argc)) {
        return qzctl_usage(command, "which games? Either GAME... or --last N, --from, --to, --all");
    }
    struct replaying r = {.qzctl = qzctl,
                          .options = &options,
                          .progress = isatty(STDERR_FILENO) == 1 && !qzctl->json};
    code = open_store(&r);
    for (int i = first; code == QZCTL_OK && i < argc; i++) {
        code = find_named(&r, argv[i], &ids);
    }
    if (code == QZCTL_OK && range) {
        code = find_range(&r, &ids);
    }
    if (code == QZCTL_OK && ids.n == 0) {
        code = qzctl_fail("no finished game of self-play is there");
    }
    if (code == QZCTL_OK) {
        code = replay_all(&r, &ids);
    }
    if (code == QZCTL_OK &&
        (r.counts.games_different > 0 || r.counts.games == 0 || (!range && r.skipped > 0))) {
        code = QZCTL_FAILED;
    }
    free(ids.ids);
    finish(&r);
    return code;
}

const struct qzctl_command qzctl_replay = {
    "replay",
    "GAME... | --last N | --all",
    "play recorded games again and compare every number",
    "  --last N          the newest N finished games of self-play\n"
    "  --from N, --to N  those whose games.seq is in that range; with --last the newest of them\n"
    "  --all             every finished one\n"
    "  --differences N   tell at most so many (default 20)\n"
    "  --tolerance X     of q and d where another build or kernel recorded (default 0.05)\n"
    "  --exact           compare bit for bit, whoever recorded\n"
    "\n"
    "GAME is an id, the first 4 digits or more of a uid, or \"last\". Every position is searched\n"
    "again with the net, settings, seed and moves that its record names (a net may change in the\n"
    "middle of a game); action, values, visits, z and the end are compared bit for bit. Games\n"
    "recorded by another build or kernel (searches.build, .kernel) are compared within a\n"
    "tolerance, and it is said: v and v_d, the net's word, within 0.001, q and d within "
    "--tolerance;\n"
    "another kernel rounds otherwise, and a last bit may send a search another way. Each position\n"
    "is searched by the kernel that its record names, if this processor can run it; $QZD_KERNEL\n"
    "and $QZD_PRECISION (fp32, bf16, auto) choose another one. Nets are read from DIR/nets.\n"
    "Exit code 1: there is a difference, or a GAME cannot be replayed.\n"
    "\n"
    "Examples:\n"
    "  qzctl replay last\n"
    "  qzctl replay --last 200\n"
    "  qzctl replay --json 3f2a | jq '.differences[0]'\n",
    run_replay,
};
