/* match: two nets against each other, here and now; nothing of it is written anywhere. */
#include "daemon/build_id.h"
#include "daemon/qzctl/qzctl_search.h"

#include "selfplay/match.h"
#include "selfplay/sprt.h"
#include "storage/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OWN_GAMES, OWN_SPRT, N_OWN }; /* options that only match has */
enum { DEFAULT_GAMES = 100 };

struct match_options {
    struct search_options search;
    int64_t games; /* 0: not given */
    bool sprt;
};

/* A match being played. */
struct contest {
    const struct match_options *options;
    struct qzctl_net nets[2];
    uint32_t n_pairs; /* planned */
    struct match_tally tally;
    double llr;
    enum sprt_verdict verdict;
    bool shows_progress, interrupted, no_memory;
    int signals; /* of qzctl_signals_open() */
    double seconds;
};

/* ---- playing ---- */
static int64_t wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

static void show_progress(const struct contest *c)
{
    uint64_t pairs = pentanomial_n(&c->tally.pairs);
    fprintf(stderr, "\r%llu of %u pairs  +%llu =%llu -%llu ", (unsigned long long)pairs, c->n_pairs,
            (unsigned long long)c->tally.wins, (unsigned long long)c->tally.draws,
            (unsigned long long)c->tally.losses);
    if (c->options->sprt) {
        fprintf(stderr, " LLR %.2f (%.2f ... %.2f) ", c->llr, sprt_lower(&sprt_default),
                sprt_upper(&sprt_default));
    }
    fflush(stderr);
}

static bool take_pair(const struct match_pair *pair, void *context)
{
    struct contest *c = context;
    uint32_t half_points[2];
    const uint64_t fingerprints[2] = {pair->games[0].fingerprint, pair->games[1].fingerprint};

    match_pair_points(pair, half_points);
    if (match_tally_add(&c->tally, half_points, fingerprints) < 0) {
        c->no_memory = true;
        return false;
    }
    c->llr = sprt_llr(&sprt_default, &c->tally.pairs);
    c->verdict = sprt_verdict(&sprt_default, c->llr);
    if (c->shows_progress) {
        show_progress(c);
    }
    return !c->options->sprt || c->verdict == SPRT_OPEN;
}

/* Ctrl-C ends the match; what was played is still told. */
static bool interrupted(void *context)
{
    struct contest *c = context;
    c->interrupted = c->interrupted || qzctl_signals_take(c->signals) == QZCTL_SIGNAL_END;
    return c->interrupted;
}

static int choose_pairs(struct contest *c, const struct qzctl_command *command)
{
    struct error err = {""};
    uint32_t max = 0;
    int64_t games = c->options->games;

    if (match_max_pairs(c->nets[0].game, &max, &err) < 0) {
        return qzctl_fail("%s", err.text);
    }
    if (games % 2 != 0) {
        return qzctl_usage(command, "--games: games come in pairs, so their number is even");
    }
    if (games == 0) {
        games = c->options->sprt ? 2 * (int64_t)max : DEFAULT_GAMES;
        games = games > 2 * (int64_t)max ? 2 * (int64_t)max : games;
    }
    if (games / 2 > max) {
        return qzctl_fail("--games: %s has %u openings, none of which is played twice: at most %u "
                          "games",
                          c->nets[0].game->title, max, 2 * max);
    }
    c->n_pairs = (uint32_t)(games / 2);
    return QZCTL_OK;
}

static int play(struct contest *c)
{
    struct selfplay_settings settings = selfplay_settings_default;
    struct error err = {""};

    settings.search = c->options->search.params;
    const struct match_params params = {
        .game = c->nets[0].game,
        .a = {c->nets[0].net, c->nets[0].sha256},
        .b = {c->nets[1].net, c->nets[1].sha256},
        .settings = match_settings(&settings, c->options->search.nodes),
        .n_pairs = c->n_pairs,
        .cache_entries = QZCTL_CACHE_ENTRIES,
        .host = "",
        .build = build_id,
        .now = wall_ms,
    };
    c->signals = qzctl_signals_open();
    c->shows_progress = isatty(STDERR_FILENO) == 1;
    double began = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    int r = match_play(&params, take_pair, c, interrupted, c, &err);
    c->seconds = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - began;
    qzctl_signals_hold(false);
    if (c->shows_progress) {
        fputs("\r\033[K", stderr);
    }
    if (c->no_memory) {
        return qzctl_fail("out of memory");
    }
    return r < 0 && !(r == ERROR_CANCELLED && c->interrupted) ? qzctl_fail("%s", err.text)
                                                              : QZCTL_OK;
}

/* ---- telling ---- */
static void put_real(json_t *object, const char *key, double value)
{
    (void)json_object_set_new(object, key, isfinite(value) ? json_real(value) : json_null());
}

static int print_json(const struct contest *c)
{
    uint64_t pairs = pentanomial_n(&c->tally.pairs);
    bool counts = rating_counts(c->tally.distinct, 2 * pairs) && pairs > 0;
    struct rating rating = rating_of_match(&c->tally.pairs);
    json_t *by_points = json_array();
    for (int k = 0; k < PAIR_OUTCOMES; k++) {
        (void)json_array_append_new(by_points, json_integer((json_int_t)c->tally.pairs.pairs[k]));
    }
    json_t *object = json_pack(
        "{s:s, s:i, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:I, s:b}", "game", c->nets[0].game->name,
        "nodes", (int)c->options->search.nodes, "a", qzctl_net_json(&c->nets[0]), "b",
        qzctl_net_json(&c->nets[1]), "pairs", (json_int_t)pairs, "wins", (json_int_t)c->tally.wins,
        "draws", (json_int_t)c->tally.draws, "losses", (json_int_t)c->tally.losses, "pentanomial",
        by_points, "distinct_games", (json_int_t)c->tally.distinct, "refused",
        (int)(pairs > 0 && !counts));
    put_real(object, "score", pentanomial_score(&c->tally.pairs));
    put_real(object, "elo", counts ? rating.elo : (double)NAN);
    put_real(object, "elo_error", counts ? rating.error : (double)NAN);
    put_real(object, "llr", counts ? c->llr : (double)NAN);
    if (c->options->sprt) {
        (void)json_object_set_new(object, "sprt",
                                  json_string(sprt_verdict_text(counts ? c->verdict : SPRT_OPEN)));
    }
    (void)json_object_set_new(object, "interrupted", json_boolean(c->interrupted));
    put_real(object, "seconds", c->seconds);
    char *text = json_dumps(object, JSON_REAL_PRECISION(9));
    int r = text == NULL ? qzctl_fail("out of memory") : qzctl_put_json(text);
    free(text);
    json_decref(object);
    return r;
}

static void print_net(const char *label, const struct qzctl_net *net)
{
    printf("%s: net %.12s", label, net->sha256);
    if (net->generation >= 0) {
        printf(" (generation %lld)", (long long)net->generation);
    }
    printf("\n");
}

static void print_sprt(const struct contest *c)
{
    static const char *const meaning[] = {[SPRT_OPEN] = "not decided",
                                          [SPRT_ACCEPTS_H0] = "H0 accepted: A is not stronger",
                                          [SPRT_ACCEPTS_H1] = "H1 accepted: A is stronger"};
    printf("SPRT [%g, %g]:      LLR %.2f (%.2f ... %.2f): %s\n", sprt_default.elo0,
           sprt_default.elo1, c->llr, sprt_lower(&sprt_default), sprt_upper(&sprt_default),
           meaning[c->verdict]);
}

static int print_text(const struct contest *c)
{
    const struct match_tally *tally = &c->tally;
    uint64_t pairs = pentanomial_n(&tally->pairs);
    print_net("A", &c->nets[0]);
    print_net("B", &c->nets[1]);
    printf("%s, %u nodes: %llu of %u pairs of games%s\n", c->nets[0].game->title,
           c->options->search.nodes, (unsigned long long)pairs, c->n_pairs,
           c->interrupted ? ", interrupted" : "");
    if (pairs == 0) {
        return qzctl_flush();
    }
    printf("A won, drew, lost:  %llu, %llu, %llu  (score %.1f %%)\n",
           (unsigned long long)tally->wins, (unsigned long long)tally->draws,
           (unsigned long long)tally->losses, 100 * pentanomial_score(&tally->pairs));
    printf("pairs by points:    0: %llu, 1/2: %llu, 1: %llu, 3/2: %llu, 2: %llu\n",
           (unsigned long long)tally->pairs.pairs[0], (unsigned long long)tally->pairs.pairs[1],
           (unsigned long long)tally->pairs.pairs[2], (unsigned long long)tally->pairs.pairs[3],
           (unsigned long long)tally->pairs.pairs[4]);
    unsigned long long games = 2 * pairs;
    printf("distinct games:     %llu of %llu\n", (unsigned long long)tally->distinct, games);
    if (!rating_counts(tally->distinct, games)) {
        printf("Elo:                refused: under nine tenths of the games are distinct, so their "
               "number says nothing\n");
    } else {
        struct rating rating = rating_of_match(&tally->pairs);
        printf("Elo:                %+.0f +- %.0f (one standard error)\n", rating.elo,
               rating.error);
        if (c->options->sprt) {
            print_sprt(c);
        }
    }
    printf("time:               %.1f s of processor time\n", c->seconds);
    return qzctl_flush();
}

static int run_match(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                     char **argv)
{
    static const struct option own[] = {[OWN_GAMES] = {"games", required_argument, NULL, 0},
                                        [OWN_SPRT] = {"sprt", no_argument, NULL, 0},
                                        [N_OWN] = {0}};
    const char *given[N_OWN] = {NULL};
    struct match_options options = {.games = 0};
    struct contest c = {.options = &options};
    int first = 0;
    int r = search_options_parse(qzctl, command, argc, argv, own, given, &options.search, &first);
    if (r >= 0) {
        return r;
    }
    if (given[OWN_GAMES] != NULL && qzctl_number("--games", given[OWN_GAMES], 2,
                                                 2 * (int64_t)UINT32_MAX, &options.games) != 0) {
        return QZCTL_USAGE;
    }
    options.sprt = given[OWN_SPRT] != NULL;
    if (argc - first != 2 || options.search.net != NULL) {
        return qzctl_usage(command, "two nets are needed");
    }
    if (options.search.nodes < 2) {
        return qzctl_usage(command, "--nodes: a match needs 2 or more");
    }
    r = qzctl_net_load(qzctl, argv[first], &c.nets[0]);
    r = r != QZCTL_OK ? r : qzctl_net_load(qzctl, argv[first + 1], &c.nets[1]);
    if (r == QZCTL_OK && c.nets[0].game != c.nets[1].game) {
        r = qzctl_fail("%s plays %s, %s plays %s", argv[first], c.nets[0].game->title,
                       argv[first + 1], c.nets[1].game->title);
    }
    r = r != QZCTL_OK ? r : choose_pairs(&c, command);
    r = r != QZCTL_OK ? r : play(&c);
    if (r == QZCTL_OK) {
        r = qzctl->json ? print_json(&c) : print_text(&c);
    }
    match_tally_finish(&c.tally);
    qzctl_net_finish(&c.nets[0]);
    qzctl_net_finish(&c.nets[1]);
    return r;
}

const struct qzctl_command qzctl_match = {
    "match",
    "A B",
    "let two nets play each other",
    "  --games N            an even number (default 100; with --sprt as many as there are "
    "openings)\n"
    "  --sprt               stop as soon as it is known whether A is 0 or 20 Elo stronger, with "
    "an\n"
    "                       error of 5 % either way\n"
    "  --nodes N            visits of each search (default 800)\n"
    "  --cpuct X            exploration (default 1.5)\n"
    "  --fpu-reduction X    of moves without a visit, but not at the root (default 0.2)\n"
    "  --solver on|off      whether proofs propagate (default on)\n"
    "\n"
    "A and B are nets: a .safetensors file, or in the store an id (12), a generation (g80), the "
    "first\n"
    "8 or more digits of a sha256, or \"uniform\". Each pair of games begins from one opening of "
    "four\n"
    "plies, with both colours; no noise, best moves. Openings differ, and come in an order drawn "
    "for\n"
    "these two nets, so the same match gives the same games. Elo is A above B, its error from the\n"
    "variance of pairs. Nothing is written to the store; Ctrl-C ends it and tells what was "
    "played.\n"
    "\n"
    "Examples:\n"
    "  qzctl match g80 g0 --games 100\n"
    "  qzctl match --sprt new.safetensors old.safetensors\n"
    "  qzctl match 81 80 --nodes 200 --json\n",
    run_match,
};
