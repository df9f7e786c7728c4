/* The doctor: what a run's own figures say of its health. Pure: a struct of figures goes in, a list of diagnoses
 * comes out. doctor_read.h reads the figures from a store; what only a daemon knows it fills in itself.
 *
 * A check is green, yellow (look at it), red (something is broken) or unknown (the figures are not there (yet)). A part
 * that is switched off is green. Bounds hold from the first generations of a small net to late ones of a
 * large one: a false alarm costs more trust than a symptom found a generation later. Where they come from stands at each check. */
#ifndef DAEMON_DOCTOR_H
#define DAEMON_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum doctor_state { DOCTOR_UNKNOWN, DOCTOR_GREEN, DOCTOR_YELLOW, DOCTOR_RED };
const char *doctor_state_text(enum doctor_state state); /* "unknown", "green", ... */

enum {
    DOCTOR_SAMPLE_GAMES = 400, /* newest games that are looked at */
    DOCTOR_TRAININGS = 12,     /* newest trainings */
    DOCTOR_JUDGED = 10,        /* newest nets with a verdict of the suites */
    DOCTOR_PREFIX_PLIES = 8,
    DOCTOR_MAX_CHECKS = 32,
};

/* Of the newest games. A correlation is NaN where it is not defined; a share of nothing too. */
struct doctor_games {
    uint32_t games, positions;
    double corr_vz[2], corr_qz[2]; /* by side to move; v of nets of generation 2 and later */
    uint32_t n_vz[2], n_qz[2];     /* games behind them */
    double corr_next;              /* of q and the -q of the position that follows */
    uint32_t n_next;               /* pairs */
    double won_q;                  /* mean q where the move that won was played */
    uint32_t n_won;
    double variance_share; /* of v in that of z; v of nets of generation 3 and later */
    uint32_t n_variance;   /* positions */
    double entropy;        /* median of the visits' entropy at unproven roots, nats */
    double kld;            /* mean KL(visits || priors) there, nats */
    double log_moves;      /* mean log of the number of moves that were visited there */
    uint32_t n_entropy;
    double noise_share, temperature; /* of the newest search's settings; the highest temperature */
    uint32_t from_start;             /* games from the usual start, */
    double distinct_from_start;      /* share of different ones among them, */
    double distinct;                 /* among all */
    double prefixes;       /* different first DOCTOR_PREFIX_PLIES moves (opening included) a game */
    double common_prefix;  /* share of games that begin with the most frequent ones */
    double first_prefixes; /* `prefixes` among as many of the oldest games */
    int64_t newest_at;     /* Unix ms, of the newest game; 0: none */
    double seconds;        /* from the oldest of them to the newest */
};

struct doctor_training { /* NaN: not known */
    uint32_t generation;
    bool failed;
    int64_t started_at, finished_at; /* Unix ms */
    int64_t samples, new_positions, all_positions;
    double
        samples_per_position; /* as it was set; fewer are drawn where trainings cannot follow play */
    double policy_loss, policy_entropy, value_loss;
    double held_out_policy_gap, held_out_value_loss;
    double learning_rate; /* last */
    bool sgd;             /* its optimizer; else AdamW */
};

struct doctor_judged {
    uint32_t generation;
    double mistakes_net, mistakes_search; /* share; NaN: not judged (so) */
    int64_t n_net, n_search;
    double value_accuracy; /* share of the value suites' positions; NaN: not judged so */
};

struct doctor_learning {
    uint32_t n_trainings, n_judged; /* newest first */
    struct doctor_training trainings[DOCTOR_TRAININGS];
    struct doctor_judged judged[DOCTOR_JUDGED];
    struct doctor_judged first; /* generation 0 */
    char failure[160];          /* of the newest failed training */
    int64_t started_at;         /* the last time that a daemon went on with this store; 0: never */
    uint32_t rejected;          /* nets that the gate rejected in a row, newest last */
    double samples;             /* drawn in the life of the line */
    bool gate;                  /* it has ever rejected or there is one in the settings */
};

struct doctor_matches {
    uint32_t n;      /* newest matches looked at */
    double distinct; /* median of their shares of distinct games; NaN: no match */
};

struct doctor_resigns {
    bool on;          /* resignation is, in the newest settings */
    uint32_t played;  /* games played out though a side would have resigned */
    uint32_t mistook; /* which that side did not lose */
};

/* What the kernel that plays rounds to bf16, which the file's plain definition has not: nothing, the cells and weights of
 * convolutions (AMX), or sums of many of them, which are larger than what they stand for (Winograd's points). */
enum doctor_rounding { DOCTOR_FP32, DOCTOR_BF16_CELLS, DOCTOR_BF16_POINTS };

/* The newest net through the plain definition of its function against the v that were recorded. */
struct doctor_net {
    uint32_t positions; /* compared; 0: none */
    double difference;  /* largest */
    enum doctor_rounding rounding;
    uint32_t generation;
    char trouble[160]; /* why it could not be compared, "" */
};

struct doctor_disk {
    bool known;
    double free_bytes, store_bytes, wal_bytes;
    double bytes_per_day; /* as it grows now; NaN: not known */
};

/* What only a running daemon knows. Seconds are of its own time in which play should go on. */
struct doctor_live {
    bool known;
    bool paused, blocked;
    double uptime_s, blocked_s;
    uint32_t queue, queue_max;
    double queue_high_s; /* for so long it has been more than half full */
    uint32_t refused;    /* records */
    uint32_t slots, workers;
    double slots_used;             /* mean of the last minute */
    double cores_used;             /* processor time of its processes over time; NaN: not known */
    double cores_held;             /* slots given to them meanwhile */
    uint32_t backing_off, crashes; /* workers; most crashes in a row */
    uint32_t recent_exits;         /* of workers, in the last ten minutes */
    uint32_t silent_worker;
    double silent_s; /* the longest time since a worker that should be playing said anything */
    double game_s;   /* since a game has finished */
    bool training;
    double training_silent_s; /* since the running training said anything */
};

struct doctor_figures {
    int64_t at;          /* Unix ms */
    uint32_t generation; /* of the newest net */
    bool now;            /* else: as they were when that net had been made */
    struct doctor_games games;
    struct doctor_learning learning;
    struct doctor_matches matches;
    struct doctor_resigns resigns;
    struct doctor_net net;
    struct doctor_disk disk;
    struct doctor_live live;
};

struct diagnosis {
    const char *check; /* static: "value sign" */
    enum doctor_state state;
    double figure;      /* NaN: none */
    char text[192];     /* the figure in words */
    char bound[192];    /* what is yellow and red */
    const char *advice; /* static: what to do, if it is not green */
    bool live;          /* changes with the hour, not with the games: looked at again and again */
};

struct doctor_report {
    int64_t at;
    uint32_t generation;
    bool now;
    uint32_t n;
    struct diagnosis checks[DOCTOR_MAX_CHECKS];
};

/* All checks, always the same ones in the same order. */
void doctor_diagnose(const struct doctor_figures *figures, struct doctor_report *ret);
/* How many are so. */
uint32_t doctor_count(const struct doctor_report *report, enum doctor_state state);
/* {"at", "generation", "now", "state" (the worst), "green", "yellow", "red", "unknown": counts, "checks": [{"check",
 * "state", "figure", "text", "bound", "advice"}]}, malloced; NULL: out of memory. */
char *doctor_json(const struct doctor_report *report);

/* For the files of checks (doctor_*.c): judge a figure by bounds; above: more is worse. NaN is unknown. */
enum doctor_state doctor_judge(double figure, double yellow, double red, bool above);
struct doctor_check {
    const char *name;
    void (*run)(const struct doctor_figures *figures, struct diagnosis *ret);
    const char *advice;
    bool live;
};
extern const struct doctor_check doctor_play_checks[], doctor_learning_checks[],
    doctor_service_checks[]; /* ended by name NULL */
/* As printf; a figure that is NaN is "unknown". */
void doctor_text(struct diagnosis *ret, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void doctor_bound(struct diagnosis *ret, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
