/* A run of "qzctl replay": what its parts share. */
#ifndef DAEMON_QZCTL_REPLAY_H
#define DAEMON_QZCTL_REPLAY_H

#include "daemon/qzctl/qzctl.h"
#include "daemon/qzctl/recorded_games.h"

enum { REPLAY_MAX_SAID = 100000 }; /* differences told, and kept of a chunk */

struct replay_options {
    bool all, exact;
    int64_t last;     /* 0: not given */
    int64_t from, to; /* seq; 0: not given */
    uint32_t said;
    struct replay_tolerance tolerance;
};

/* A difference that is going to be told. */
struct noted {
    uint32_t game; /* index of the chunk's games */
    int32_t ply;
    uint32_t nth; /* as it came: keeps the order of a position's fields */
    char field[24], recorded[REPLAY_VALUE_TEXT], replayed[REPLAY_VALUE_TEXT];
};

/* Who recorded, and how many positions. */
struct program {
    char *build;
    char *kernel;
    uint64_t positions;
};

struct replaying {
    struct qzctl *qzctl;
    const struct replay_options *options;
    struct store *store;
    const struct game *game; /* NULL: not known yet */
    struct replay *replay;
    struct recorded_games games; /* of the chunk */
    uint32_t *indices;           /* [CHUNK] of the chunk's games that are replayed */
    struct replay_game *replay_games;
    bool progress;      /* on standard error, a terminal */
    uint64_t done_base; /* positions of the chunks before */
    uint64_t n_differences, skipped;
    struct noted *noted; /* of the chunk */
    uint32_t n_noted;
    uint32_t n_said;
    bool no_memory;
    json_t *differences; /* with --json */
    struct program *programs;
    size_t n_programs;
    struct replay_counts counts;
    double began; /* CLOCK_MONOTONIC */
};

/* ---- qzctl_replay_say.c ---- */
void qzctl_replay_clear_progress(const struct replaying *r);
/* What a search that was recorded by a kernel of that id is searched again by: the same, if this processor can run it and
 * the environment asks for none; else NULL, for the one that the environment chooses. */
const struct kernel *qzctl_replay_kernel(const char *id);
/* Whether this very build recorded, by the kernel that searches again. */
bool qzctl_replay_is_this(const char *build, const char *kernel);
/* Note a difference of the chunk: a callback of the replay. */
void qzctl_replay_note(const struct replay_difference *difference, void *context);
/* Tell those noted, in the order of games and plies, as many as are wanted. */
void qzctl_replay_put_differences(struct replaying *r);
/* The outcome; an exit code. */
int qzctl_replay_put_json(const struct replaying *r);
int qzctl_replay_put_text(const struct replaying *r);

#endif
