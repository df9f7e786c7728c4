#include "daemon/writer/rate.h"

#include "selfplay/rating.h"

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct store_result *results; /* as read, in one go */
    size_t n_results, room;
    int64_t *nets; /* ids, ascending: the players */
    size_t n_nets;
    int64_t first;   /* generation 0 */
    int64_t uniform; /* the same player; 0 = there is none */
};

static int64_t ask_id(struct store *store, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t id = 0;

    if (sqlite3_prepare_v2(store_handle(store), sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        id = sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return id;
}

static int64_t player_of(const struct reading *reading, int64_t net)
{
    return net == reading->uniform ? reading->first : net;
}

/* ---- players ---- */
static int take_result(const struct store_result *result, void *context)
{
    struct reading *reading = context;

    if (player_of(reading, result->net_a) == player_of(reading, result->net_b)) {
        return 0; /* one function against itself */
    }
    if (reading->n_results == reading->room) {
        size_t room = reading->room == 0 ? 64 : 2 * reading->room;
        struct store_result *grown = reallocarray(reading->results, room, sizeof *grown);
        if (grown == NULL) {
            return ERROR_NO_MEMORY;
        }
        reading->results = grown;
        reading->room = room;
    }
    reading->results[reading->n_results++] = *result;
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x == y ? 0 : x < y ? -1 : 1;
}

/* Generation 0 and everybody who has played. */
static int list_nets(struct reading *reading)
{
    size_t n = 0;
    size_t kept = 0;

    reading->nets = calloc(2 * reading->n_results + 1, sizeof *reading->nets);
    if (reading->nets == NULL) {
        return ERROR_NO_MEMORY;
    }
    reading->nets[n++] = reading->first;
    for (size_t i = 0; i < reading->n_results; i++) {
        reading->nets[n++] = player_of(reading, reading->results[i].net_a);
        reading->nets[n++] = player_of(reading, reading->results[i].net_b);
    }
    qsort(reading->nets, n, sizeof *reading->nets, compare_ids);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || reading->nets[kept - 1] != reading->nets[i]) {
            reading->nets[kept++] = reading->nets[i];
        }
    }
    reading->n_nets = kept;
    return 0;
}

static uint32_t index_of(const struct reading *reading, int64_t net)
{
    int64_t player = player_of(reading, net);
    const int64_t *at =
        bsearch(&player, reading->nets, reading->n_nets, sizeof *reading->nets, compare_ids);

    return (uint32_t)(at - reading->nets); /* it is there: list_nets() saw every result */
}

static struct rating_match *make_matches(const struct reading *reading)
{
    struct rating_match *matches = calloc(reading->n_results + 1, sizeof *matches);

    for (size_t i = 0; matches != NULL && i < reading->n_results; i++) {
        const struct store_result *result = &reading->results[i];
        matches[i].a = index_of(reading, result->net_a);
        matches[i].b = index_of(reading, result->net_b);
        for (int k = 0; k < PAIR_OUTCOMES; k++) {
            matches[i].result.pairs[k] = result->pairs[k];
        }
    }
    return matches;
}

/* ---- the fit ---- */
static int fit(const struct reading *reading, struct store_rating **ret, size_t *ret_n,
               struct error *err)
{
    struct rating *fitted = calloc(reading->n_nets + 1, sizeof *fitted);
    struct store_rating *ratings = calloc(reading->n_nets + 2, sizeof *ratings);
    struct rating_match *matches = make_matches(reading);
    size_t n = 0;
    int r = ERROR_NO_MEMORY;

    if (fitted != NULL && ratings != NULL && matches != NULL) {
        r = rating_fit((uint32_t)reading->n_nets, index_of(reading, reading->first), matches,
                       reading->n_results, fitted);
    }
    free(matches);
    for (size_t i = 0; r == 0 && i < reading->n_nets; i++) {
        if (isnan(fitted[i].elo) || isnan(fitted[i].error)) {
            continue;
        }
        ratings[n] = (struct store_rating){.net_id = reading->nets[i],
                                           .elo = fitted[i].elo,
                                           .error = fitted[i].error,
                                           .games = fitted[i].games};
        n++;
        if (reading->nets[i] == reading->first && reading->uniform != 0) {
            ratings[n] = ratings[n - 1];
            ratings[n++].net_id = reading->uniform;
        }
    }
    free(fitted);
    if (r < 0) {
        free(ratings);
        return error_set(err, r, "ratings: %s", error_text(r));
    }
    *ret = ratings;
    *ret_n = n;
    return 0;
}

int rate_store(struct store *store, uint32_t nodes, struct store_rating **ret, size_t *ret_n,
               struct error *err)
{
    struct reading reading = {
        .first = ask_id(store, "SELECT id FROM nets WHERE line = 'main' AND generation = 0"
                               " AND state <> 'rejected'"),
        .uniform = ask_id(store, "SELECT u.id FROM nets u JOIN nets f ON f.line = 'main'"
                                 " AND f.generation = 0 AND f.origin = 'new'"
                                 " WHERE u.line = 'uniform'"),
    };
    *ret = NULL;
    *ret_n = 0;
    if (reading.first == 0) {
        return 0;
    }
    int r = store_read_results(store, nodes, take_result, &reading, err);
    if (r == 0 && reading.n_results > 0) {
        r = list_nets(&reading);
        r = r < 0 ? error_set(err, r, "ratings: out of memory") : fit(&reading, ret, ret_n, err);
    }
    free(reading.results);
    free(reading.nets);
    return r;
}
