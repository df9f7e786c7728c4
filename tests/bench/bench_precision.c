/* What a precision costs in strength: a net plays itself, one side computed in bf16 and one in fp32, in pairs of games
 * from one opening with both colours; openings, search and choice of moves are those of matches (selfplay/match.h),
 * 800 nodes a move.
 *     bench_precision NET.safetensors [PAIRS [NODES]]
 * Prints wins, draws and losses of bf16, its Elo above fp32 with one standard error, and the processor time of
 * both sides. A net that is refused bf16 (trainer/net/precision.h) is not played. */
#include "selfplay/opening.h"
#include "selfplay/rating.h"
#include "selfplay/suite.h"
#include "storage/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_BY_SIDE = 64, CACHE_ENTRIES = 1 << 18 };

struct table {
    union game_state state;
    uint32_t ply;
    uint32_t first; /* which player moves on even plies */
    bool done;
    int half_points; /* of player 0 */
};

struct bench {
    const struct game *game;
    struct player *players[2]; /* bf16, fp32 */
    double seconds[2];
    struct search_params params;
    struct table *tables;
    uint32_t n_tables;
};

static int open_player(struct bench *b, uint32_t i, const struct net *net, struct error *err)
{
    (void)setenv("QZD_PRECISION", i == 0 ? "bf16" : "fp32", 1);
    int r = player_create(b->game, net, SIDE_BY_SIDE, CACHE_ENTRIES, &b->players[i], err);
    const struct precision_report *precision = r < 0 ? NULL : player_precision(b->players[i]);
    if (precision != NULL && !precision->passed) {
        char text[PRECISION_TEXT];
        precision_say(precision, text);
        return error_set(err, ERROR_UNSUPPORTED, "%s", text);
    }
    return r;
}

/* Both games of each pair. */
static int set_tables(struct bench *b, uint32_t n_pairs, struct error *err)
{
    struct opening_line *openings = NULL;
    size_t n_openings = 0;
    const char *why;
    if (b->game == NULL || n_pairs == 0) {
        return error_set(err, ERROR_INVALID, "no game, or no pairs");
    }
    int r = opening_list(b->game, 1, &openings, &n_openings);
    if (r < 0 || n_openings == 0) {
        return error_set(err, r < 0 ? r : ERROR_INVALID, "no openings");
    }
    n_pairs = n_pairs < n_openings ? n_pairs : (uint32_t)n_openings;
    b->n_tables = 2 * n_pairs;
    b->tables = calloc(b->n_tables, sizeof *b->tables);
    for (uint32_t i = 0; b->tables != NULL && i < b->n_tables; i++) {
        char text[GAME_MAX_OPENING_TEXT];
        opening_text(b->game, &openings[i / 2], text);
        (void)b->game->init(&b->tables[i].state, text, &why);
        b->tables[i].first = i % 2;
    }
    free(openings);
    return b->tables == NULL ? error_set(err, ERROR_NO_MEMORY, "no memory for tables") : 0;
}

static uint32_t mover(const struct table *table)
{
    return (table->first + table->ply) % 2;
}

static void play(struct bench *b, struct table *table, uint16_t action)
{
    int value = 0;
    b->game->play(&table->state, action);
    table->ply++;
    if (b->game->over(&table->state, &value)) { /* from the view of the side to move */
        table->done = true;
        table->half_points = 1 + (mover(table) == 0 ? value : -value);
    }
}

/* One move at each table where `side` is to move. Returns how many there were. */
static uint32_t play_side(struct bench *b, uint32_t side, struct search_result *results,
                          const void **states, struct table **at, struct error *err)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n_tables; i++) {
        if (!b->tables[i].done && mover(&b->tables[i]) == side) {
            at[n] = &b->tables[i];
            states[n++] = &b->tables[i].state;
        }
    }
    double start = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    if (n > 0 && player_search(b->players[side], &b->params, b->params.nodes, states, n, results,
                               NULL, NULL, err) < 0) {
        fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
    b->seconds[side] += clock_seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    for (uint32_t i = 0; i < n; i++) {
        play(b, at[i], results[i].best_action);
    }
    return n;
}

static void play_all(struct bench *b, struct error *err)
{
    if (b->n_tables == 0) {
        return;
    }
    struct search_result *results = calloc(b->n_tables, sizeof *results);
    const void **states = calloc(b->n_tables, sizeof(void *));
    struct table **at = calloc(b->n_tables, sizeof(void *));
    if (results == NULL || states == NULL || at == NULL) {
        abort();
    }
    while (play_side(b, 0, results, states, at, err) + play_side(b, 1, results, states, at, err) >
           0) {
    }
    free(results);
    free((void *)states);
    free(at);
}

static void print(const struct bench *b)
{
    struct pentanomial pairs = {0};
    uint32_t games[3] = {0}; /* lost, drawn, won by bf16 */
    for (uint32_t i = 0; i < b->n_tables; i += 2) {
        pairs.pairs[b->tables[i].half_points + b->tables[i + 1].half_points]++;
        games[b->tables[i].half_points]++;
        games[b->tables[i + 1].half_points]++;
    }
    struct rating rating = rating_of_match(&pairs);
    printf("{\"bench\": \"precision\", \"nodes\": %u, \"pairs\": %u, \"wins\": %u, \"draws\": %u, "
           "\"losses\": %u, \"pairs_by_half_points\": [%llu, %llu, %llu, %llu, %llu], "
           "\"elo\": %.1f, \"elo_error\": %.1f, \"bf16_s\": %.1f, \"fp32_s\": %.1f}\n",
           b->params.nodes, b->n_tables / 2, games[2], games[1], games[0],
           (unsigned long long)pairs.pairs[0], (unsigned long long)pairs.pairs[1],
           (unsigned long long)pairs.pairs[2], (unsigned long long)pairs.pairs[3],
           (unsigned long long)pairs.pairs[4], rating.elo, rating.error, b->seconds[0],
           b->seconds[1]);
}

int main(int argc, char **argv)
{
    struct bench b = {.params = search_params_default};
    struct error err = {.text = "which net?"};
    struct net *net = NULL;
    uint32_t n_pairs = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 100;
    b.params.nodes = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 800;
    b.params.noise_share = 0;
    int r = argc < 2 ? -1 : net_load(argv[1], &net, NULL, &err);
    b.game = r < 0 ? NULL : game_find(net->arch.game);
    if (r == 0 && b.game == NULL) {
        r = error_set(&err, ERROR_UNSUPPORTED, "no game is called %s", net->arch.game);
    }
    for (uint32_t i = 0; i < 2 && r == 0; i++) {
        r = open_player(&b, i, net, &err);
    }
    r = r < 0 ? r : set_tables(&b, n_pairs, &err);
    if (r == 0) {
        play_all(&b, &err);
        print(&b);
    } else {
        fprintf(stderr, "%s\n", err.text);
    }
    player_destroy(b.players[0]);
    player_destroy(b.players[1]);
    net_destroy(net);
    free(b.tables);
    return r == 0 ? 0 : 1;
}
