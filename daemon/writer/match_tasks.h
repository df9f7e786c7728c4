/* Matches as storage tasks: what is to be played next, a pair that was played, the end, and the ratings that
 * follow from all. */
#ifndef DAEMON_MATCH_TASKS_H
#define DAEMON_MATCH_TASKS_H

#include "daemon/config/config.h"
#include "daemon/gate.h"
#include "daemon/writer/storage_tasks.h"
#include "storage/store_matches.h"

struct planned_net {
    int64_t id;
    uint32_t generation;
    bool is_new; /* untrained: it says "all moves alike, an even game" */
    char line[32];
    char sha256[RECORD_SHA256_BYTES];
    char file[128];
};

/* Look for the next match of a net: the one that is under way, else the first opponent that it has not met, for
 * which a row is begun. A gate's opponent is the current net of line main. */
struct match_plan_task {
    struct storage_task task;
    /* Asked: filled in by the caller. */
    int64_t net_id, at;
    bool gate;
    struct config_opponents opponents;
    uint32_t pairs, nodes;
    char *settings; /* JSON, malloced: the task's */
    /* Found. match.id 0: none is left. */
    struct store_match match;
    struct planned_net a, b;
    size_t n_known, room;  /* pairs played before */
    uint32_t *half_points; /* [2 n_known] */
    uint64_t *fingerprints;
};
struct match_plan_task *match_plan_create(storage_done *done, void *context);

/* A pair of games, as the match process told it; the message is copied. */
struct storage_task *match_pair_create(const Qzd__MatchPair *pair, storage_done *done,
                                       void *context);

/* The end of a match. Of a gate's, what becomes of the candidate stands in the same commit, and `net` is the
 * candidate's row then. match_id 0: there was no match, the candidate is rejected for another reason. */
struct match_end_task {
    struct storage_task task;
    int64_t match_id, candidate, at; /* candidate 0: a match for ratings */
    enum gate_verdict verdict;
    double llr, elo, elo_error;
    uint32_t pairs;
    struct store_net net;
};
struct match_end_task *match_end_create(storage_done *done, void *context);

/* Takes over `ratings`, also on failure. */
struct storage_task *match_ratings_create(struct store_rating *ratings, size_t n, int64_t at);

#endif
