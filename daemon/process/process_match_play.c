/* A match inside qzd match: what is left of it is played, each pair told as soon as those before it are, so that
 * the daemon has stored all but those in play when this process dies. */
#include "daemon/build_id.h"
#include "daemon/gate.h"
#include "daemon/process/process.h"

#include "storage/record_message.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MATCH_CACHE_ENTRIES = 1 << 17 };

struct playing {
    struct process *process;
    const Qzd__MatchJob *job;
    enum config_gate gate;
    struct match_tally tally;
    enum gate_verdict verdict;
    double llr;
    bool no_memory;
};

/* ---- telling ---- */
/* A game as a message; everything but the positions borrows from the record. */
struct told_game {
    Qzd__Game game;
    Qzd__GameStart start;
    Qzd__GameEnd end;
    Qzd__Search search[2];
    Qzd__Position *positions;
    Qzd__Position **list;
};

static bool tell_game(const struct match_game *record, struct told_game *ret)
{
    uint32_t plies = record->end.plies;

    qzd__game__init(&ret->game);
    ret->positions = calloc(plies + 1, sizeof *ret->positions);
    ret->list = calloc(plies + 1, sizeof(void *));
    if (ret->positions == NULL || ret->list == NULL) {
        return false;
    }
    record_start_to_message(&record->start, &ret->start);
    record_end_to_message(record->start.uid, &record->end, &ret->end);
    record_search_to_message(&record->search[0], &ret->search[0]);
    record_search_to_message(&record->search[1], &ret->search[1]);
    for (uint32_t ply = 0; ply < plies; ply++) {
        record_position_to_message(record->start.uid, &record->positions[ply],
                                   &ret->positions[ply]);
        ret->positions[ply].search = &ret->search[ply % 2];
        ret->list[ply] = &ret->positions[ply];
    }
    ret->game.start = &ret->start;
    ret->game.end = &ret->end;
    ret->game.n_positions = plies;
    ret->game.positions = ret->list;
    return true;
}

static bool tell_pair(struct playing *playing, const struct match_pair *pair,
                      uint32_t half_points[2], uint64_t fingerprints[2])
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__MatchPair wire = QZD__MATCH_PAIR__INIT;
    struct told_game told[2] = {{.list = NULL}};
    Qzd__Game *games[2] = {&told[0].game, &told[1].game};
    bool complete = tell_game(&pair->games[0], &told[0]) && tell_game(&pair->games[1], &told[1]);

    if (complete) {
        wire.match_id = playing->job->match_id;
        wire.pair = pair->pair;
        wire.n_half_points = 2;
        wire.half_points = half_points;
        wire.n_fingerprints = 2;
        wire.fingerprints = fingerprints;
        wire.n_games = 2;
        wire.games = games;
        message.what_case = QZD__FROM_CHILD__WHAT_MATCH_PAIR;
        message.match_pair = &wire;
        process_send_core_time(playing->process);
        process_send(playing->process, &message);
    }
    for (int k = 0; k < 2; k++) {
        free(told[k].positions);
        free(told[k].list);
    }
    return complete;
}

static void tell_result(struct playing *playing)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__MatchResult wire = QZD__MATCH_RESULT__INIT;
    struct rating rating = rating_of_match(&playing->tally.pairs);

    wire.match_id = playing->job->match_id;
    wire.verdict = (char *)gate_verdict_text(playing->verdict);
    wire.has_llr = isfinite(playing->llr) ? 1 : 0;
    wire.llr = wire.has_llr != 0 ? playing->llr : 0;
    wire.elo = rating.elo;
    wire.elo_error = rating.error;
    wire.pairs = (uint32_t)pentanomial_n(&playing->tally.pairs);
    message.what_case = QZD__FROM_CHILD__WHAT_MATCH_RESULT;
    message.match_result = &wire;
    process_send_core_time(
        playing->process); /* first: with the result the daemon is done with us */
    process_send(playing->process, &message);
}

/* ---- playing ---- */
static void look(struct playing *playing)
{
    playing->verdict =
        gate_judge(playing->gate, &playing->tally, playing->job->pairs, &playing->llr);
}

static bool take_pair(const struct match_pair *pair, void *context)
{
    struct playing *playing = context;
    uint32_t half_points[2];
    uint64_t fingerprints[2] = {pair->games[0].fingerprint, pair->games[1].fingerprint};

    match_pair_points(pair, half_points);
    if (match_tally_add(&playing->tally, half_points, fingerprints) < 0 ||
        !tell_pair(playing, pair, half_points, fingerprints)) {
        playing->no_memory = true;
        return false;
    }
    look(playing);
    return playing->verdict == GATE_OPEN;
}

/* What was played before. */
static int take_known(struct playing *playing, struct error *err)
{
    const Qzd__MatchJob *job = playing->job;

    if (job->n_half_points % 2 != 0 || job->n_fingerprints != job->n_half_points) {
        return error_set(err, ERROR_INVALID, "match %lld: its known pairs are incomplete",
                         (long long)job->match_id);
    }
    for (size_t i = 0; i < job->n_half_points; i += 2) {
        if (job->half_points[i] > 2 || job->half_points[i + 1] > 2) {
            return error_set(err, ERROR_INVALID, "match %lld: a game of %u half points",
                             (long long)job->match_id, job->half_points[i]);
        }
        if (match_tally_add(&playing->tally, &job->half_points[i], &job->fingerprints[i]) < 0) {
            return error_set(err, ERROR_NO_MEMORY, "match: out of memory");
        }
    }
    return 0;
}

static int load_net(const char *file, const char *expected, struct net **ret, struct error *err)
{
    char sha256[RECORD_SHA256_BYTES];
    int r = net_load(file, ret, sha256, err);

    if (r == 0 && strcmp(sha256, expected) != 0) {
        r = error_set(err, ERROR_CORRUPT, "%s: its sha256 is %s, not %s", file, sha256, expected);
    }
    return r;
}

static int play(struct playing *playing, const struct net *a, const struct net *b,
                struct error *err)
{
    const Qzd__MatchJob *job = playing->job;
    struct match_params params = {.game = game_find(job->game),
                                  .a = {a, job->net_a_sha256},
                                  .b = {b, job->net_b_sha256},
                                  .first_pair = (uint32_t)(job->n_half_points / 2),
                                  .n_pairs = job->pairs,
                                  .cache_entries = MATCH_CACHE_ENTRIES,
                                  .host = job->host,
                                  .build = build_id,
                                  .now = process_wall_ms};
    if (params.game == NULL) {
        return error_set(err, ERROR_UNSUPPORTED, "no game is called %s", job->game);
    }
    int r = selfplay_settings_parse(job->settings, &params.settings, err);
    if (r == 0) {
        params.settings = match_settings(&params.settings, params.settings.search.nodes);
        r = match_play(&params, take_pair, playing, process_should_stop, playing->process, err);
    }
    return r == 0 && playing->no_memory ? error_set(err, ERROR_NO_MEMORY, "match: out of memory")
                                        : r;
}

int process_play_match(struct process *process, const Qzd__MatchJob *job, struct error *err)
{
    struct playing playing = {.process = process, .job = job, .gate = gate_parse(job->gate)};
    struct net *a = NULL;
    struct net *b = NULL;
    int r = take_known(&playing, err);

    look(&playing);
    if (r == 0 && playing.verdict == GATE_OPEN) {
        r = load_net(job->net_a_file, job->net_a_sha256, &a, err);
        r = r < 0 ? r : load_net(job->net_b_file, job->net_b_sha256, &b, err);
        r = r < 0 ? r : play(&playing, a, b, err);
    }
    if (r == 0) {
        look(&playing);
        tell_result(&playing);
    }
    net_destroy(a);
    net_destroy(b);
    match_tally_finish(&playing.tally);
    return r;
}
