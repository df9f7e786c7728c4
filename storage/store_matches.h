/* Matches and ratings in the store: tables matches, match_pairs, ratings. Everything here follows the rules of
 * storage/store.h: puts are savepoints in the open group, ERROR_FULL and ERROR_IO lose the group. */
#ifndef STORAGE_STORE_MATCHES_H
#define STORAGE_STORE_MATCHES_H

#include "storage/store.h"

struct store_match { /* strings borrowed when put; owned when read: store_match_finish() */
    int64_t id, net_a, net_b;
    bool gate; /* purpose */
    uint32_t nodes, planned_pairs, pairs;
    int64_t started_at;
    char *settings; /* JSON of every key that shapes its games */
};
void store_match_finish(struct store_match *match);

int store_begin_match(struct store *store, const struct store_match *match, int64_t *ret_id,
                      struct error *err);
/* The match of two nets, whoever is named first: 1 and *ret filled if it is under way, 0 if it has ended,
 * ERROR_NOT_FOUND if they never met. A gate counts as a meeting. */
int store_find_match(struct store *store, int64_t net_a, int64_t net_b, struct store_match *ret,
                     struct error *err);

/* One game as a message or a struct brings it. */
struct store_match_game {
    struct record_start start;
    struct record_search search[2];          /* of even plies, of odd plies */
    const struct record_position *positions; /* [end.plies] */
    struct record_end end;
};
struct store_pair {
    uint32_t pair;
    uint32_t half_points[2];  /* net_a's in the first and second game: 0, 1, 2 */
    uint64_t fingerprints[2]; /* selfplay/match.h */
};
/* The pair and its two games, all of it or nothing; the match's counts move in the same savepoint. Pairs come
 * in order. STORE_ADDED, STORE_KNOWN, ERROR_CONFLICT as other puts; ERROR_INVALID: the match has ended, or
 * another pair is due. */
int store_put_pair(struct store *store, int64_t match_id, const struct store_pair *pair,
                   const struct store_match_game games[2], struct error *err);
/* The pairs of a match in order. A non-zero return ends the walk and is returned. */
int store_read_pairs(struct store *store, int64_t match_id,
                     int (*each)(const struct store_pair *pair, void *context), void *context,
                     struct error *err);
/* verdict: counts, refused, accepted, rejected; llr NaN: none. STORE_KNOWN if it has ended before. */
int store_end_match(struct store *store, int64_t match_id, const char *verdict, double llr,
                    int64_t finished_at, struct error *err);

/* A net's state: "current" makes the one before it on its line "old". */
int store_set_net_state(struct store *store, int64_t net_id, const char *state, struct error *err);
/* The newest net that training made on a line, whatever became of it (its file is there); the first net if
 * none was trained. ERROR_NOT_FOUND: the line is empty. */
int store_trained_net(struct store *store, const char *line, struct store_net *ret,
                      struct error *err);

/* ---- ratings ---- */
struct store_result { /* all that two nets have played with so many nodes and that counts */
    int64_t net_a, net_b;
    uint64_t pairs[5]; /* by net_a's half points */
};
/* In order of (net_a, net_b). A non-zero return ends the walk. */
int store_read_results(struct store *store, uint32_t nodes,
                       int (*each)(const struct store_result *result, void *context), void *context,
                       struct error *err);
struct store_rating {
    int64_t net_id;
    double elo, error;
    uint64_t games;
};
/* Replace all ratings. */
int store_put_ratings(struct store *store, const struct store_rating *ratings, size_t n, int64_t at,
                      struct error *err);

#endif
