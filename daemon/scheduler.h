/* The scheduler: which process runs when, as a pure state machine: (state, event, now) -> (state,
 * commands). It owns no file, clock, socket or process, so days of daemon life run in a test in
 * milliseconds. The supervisor does what the commands say and reports what came of it as events.
 *
 * It deals in core slots: a worker takes one, a match process one, a training `training_threads`.
 * Trainings go before evaluations, evaluations before workers; workers beyond the slots are suspended
 * at a batch boundary, their games kept, and take turns, so that no game waits for long; an evaluation
 * for which a training leaves no room is suspended too.
 *
 * Evaluations claim the one process for them in this order: a gate's match, on which a candidate waits, and
 * suites for nets alone, whatever the account says; then, while the account is not in debt, suites with
 * search and matches for ratings, whichever of the two has had less time. The newest net goes first and an
 * older one that waits is skipped; but a net whose matches have begun plays all of them, because it is their
 * sum that rates it.
 *
 * With a gate a trained net is a candidate: workers keep the current net and no training begins until its
 * match is decided. Accepted, it is the current net, as a trained one is without gates. Rejected, it is
 * forgotten here.
 *
 *   worker      STOPPED -> STARTING -> RUNNING          any exit -> BACKING_OFF -> STARTING
 *   training    IDLE -> RUNNING -> IDLE                 crash -> BACKING_OFF -> RUNNING (the same job)
 *   evaluation  IDLE -> RUNNING -> IDLE                 crash -> BACKING_OFF -> RUNNING (the same net) */
#ifndef DAEMON_SCHEDULER_H
#define DAEMON_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SCHEDULER_MAX_WORKERS = 256,
    SCHEDULER_MAX_COMMANDS = 2 * SCHEDULER_MAX_WORKERS + 16,
    SCHEDULER_MAX_PENDING = 16,      /* nets that wait for their net-alone suites */
    SCHEDULER_FIRST_DELAY_MS = 1000, /* back-off, doubling */
    SCHEDULER_MAX_DELAY_MS = 60000,
    SCHEDULER_HEALTHY_MS = 60000, /* a process that lived so long starts at the first delay again */
    SCHEDULER_TURN_MS = 20000,    /* workers take turns where there are more than slots */
    SCHEDULER_SAVED_MS = 600000,  /* evaluation time is saved up for so long at most */
    SCHEDULER_MAX_CRASHES = 5,    /* in a row, then a training or evaluation is given up */
};

struct scheduler_settings {
    uint32_t slots;            /* N, >= 1 */
    uint32_t workers;          /* <= SCHEDULER_MAX_WORKERS */
    uint32_t training_threads; /* 1 .. N */
    int64_t first_positions;   /* the first training is due at so many full positions, */
    int64_t every_min;         /* the next ones after max(every_min, every_share * all) new ones, */
    int64_t every_max;         /* at most every_max */
    double every_share;
    double window_c, window_alpha, window_beta;
    double evaluation_share; /* of the N slots */
    bool judges_net;         /* there are suites for the net alone, */
    bool judges_search;      /* and suites for its search, */
    bool plays_matches;      /* and opponents to be rated against */
};

/* KataGo's growing window: c (1 + beta ((n / c)^alpha - 1) / alpha), within 1 .. n. */
int64_t scheduler_window(const struct scheduler_settings *settings, int64_t positions);

enum scheduler_process {
    PROCESS_STOPPED, /* or idle */
    PROCESS_STARTING,
    PROCESS_RUNNING,
    PROCESS_BACKING_OFF,
};
const char *scheduler_process_text(enum scheduler_process state);

struct scheduler_backoff {
    uint32_t crashes; /* in a row */
    int64_t started_ms, retry_ms;
};
struct scheduler_worker {
    enum scheduler_process state;
    bool suspended;
    struct scheduler_backoff backoff;
};

enum scheduler_evaluation {
    EVALUATION_NET,    /* suites for the net alone */
    EVALUATION_SEARCH, /* suites with search */
    EVALUATION_MATCH,  /* one match for the rating; the net's others follow */
    EVALUATION_GATE,   /* the match of a candidate */
};
const char *scheduler_evaluation_text(enum scheduler_evaluation evaluation);

/* Read it freely; change it through scheduler_init and scheduler_step only. */
struct scheduler {
    struct scheduler_settings settings;
    int64_t now_ms;
    bool paused, blocked, stopping, train_now;

    /* From the store. */
    int64_t positions;             /* full positions of finished games, ever */
    int64_t positions_at_training; /* when the last finished training began */
    int64_t positions_at_failure;  /* when a training after that one failed, or 0 */
    uint32_t generation;           /* of the current net */

    struct scheduler_worker workers[SCHEDULER_MAX_WORKERS];

    enum scheduler_process training;
    struct scheduler_backoff training_backoff;
    bool training_known; /* a begun job is there and is gone on with */

    enum scheduler_process evaluation;
    struct scheduler_backoff evaluation_backoff;
    int64_t evaluation_net;
    enum scheduler_evaluation evaluation_kind; /* of the running one */
    bool evaluation_suspended;
    int64_t pending_nets[SCHEDULER_MAX_PENDING]; /* for the net alone, oldest first */
    uint32_t n_pending;
    int64_t pending_search;      /* newest net to be judged with search, 0 = none */
    int64_t pending_match;       /* the net that plays matches next, 0 = none */
    int64_t next_match;          /* the newest net behind it, 0 = none */
    int64_t candidate;           /* waits for its gate, 0 = none */
    bool match_begun;            /* pending_match has played some: it is not skipped */
    bool gate_due;               /* the candidate's match is to begin */
    int64_t search_ms, match_ms; /* core time that these two have had */
    double account_ms;           /* core time that evaluations may use; negative: a debt */
};

/* What the store says when a daemon begins. */
struct scheduler_start {
    int64_t positions, positions_at_training, positions_at_failure;
    uint32_t generation;
    bool training_known;
    int64_t candidate;   /* 0 = none */
    int64_t match_begun; /* the net whose matches go on, 0 = none */
    double account_ms;
};
void scheduler_init(struct scheduler *scheduler, const struct scheduler_settings *settings,
                    const struct scheduler_start *start, int64_t now_ms);

enum scheduler_event_kind {
    EVENT_TICK,              /* time has passed: at least once a second */
    EVENT_SETTINGS,          /* settings; workers and slots stay as they are */
    EVENT_COUNTS,            /* positions */
    EVENT_JUDGE,             /* net, evaluation: a net lacks (some of) it */
    EVENT_WORKER_READY,      /* worker: has said hello */
    EVENT_WORKER_EXITED,     /* worker: or could not be started */
    EVENT_TRAINING_FINISHED, /* net, positions (when it began): the new net is committed and current,
                                or, if candidate is set, waits for its gate */
    EVENT_TRAINING_FAILED,   /* no net came of it and none will: the old one stays */
    EVENT_TRAINING_EXITED,   /* crashed or could not be started: the job goes on later */
    EVENT_EVALUATION_FINISHED, /* more: of a net's matches others may be left */
    EVENT_EVALUATION_FAILED,   /* cannot be done: not tried again */
    EVENT_EVALUATION_EXITED,
    EVENT_CANDIDATE_ACCEPTED, /* net: committed as the current one */
    EVENT_CANDIDATE_REJECTED,
    EVENT_PAUSE,
    EVENT_RESUME,
    EVENT_TRAIN_NOW,
    EVENT_BLOCKED, /* the store takes nothing more for now */
    EVENT_FREE,
    EVENT_STOP,
};
struct scheduler_event {
    enum scheduler_event_kind kind;
    uint32_t worker;
    int64_t net;
    enum scheduler_evaluation evaluation;
    bool candidate, more;
    int64_t positions;
    const struct scheduler_settings *settings;
};

enum scheduler_command_kind {
    COMMAND_START_WORKER,
    COMMAND_SUSPEND_WORKER, /* suspended: or go on */
    COMMAND_SET_NET,        /* worker: to the current net */
    COMMAND_STOP_WORKER,
    COMMAND_START_TRAINING,   /* choose its window and begin */
    COMMAND_RESUME_TRAINING,  /* start the begun job again */
    COMMAND_GIVE_UP_TRAINING, /* it crashed too often: record it as failed */
    COMMAND_STOP_TRAINING,
    COMMAND_START_EVALUATION, /* net, evaluation */
    COMMAND_SUSPEND_EVALUATION,
    COMMAND_GIVE_UP_EVALUATION, /* net, evaluation; of a gate: decide without its match */
    COMMAND_SKIP_EVALUATION,    /* net: a newer one takes its place */
    COMMAND_STOP_EVALUATION,
};
struct scheduler_command {
    int64_t net;
    enum scheduler_command_kind kind;
    uint32_t worker;
    bool suspended;
    enum scheduler_evaluation evaluation;
};

/* Take one event at now_ms (never before the last one's: such a time counts as the last one's) and write what
 * is to be done into ret, which has room for SCHEDULER_MAX_COMMANDS. Returns how many. */
uint32_t scheduler_step(struct scheduler *scheduler, const struct scheduler_event *event,
                        int64_t now_ms, struct scheduler_command *ret);

/* New positions that the next training needs in all, and those that are there. */
int64_t scheduler_training_threshold(const struct scheduler *scheduler);
int64_t scheduler_new_positions(const struct scheduler *scheduler);
/* What EVENT_TRAIN_NOW would lead to: a training begins at once, or as soon as it can. */
enum scheduler_train_now {
    TRAIN_NOW_BEGINS,
    TRAIN_NOW_AFTER_RUNNING,  /* when the one that runs has ended and a game has finished */
    TRAIN_NOW_AFTER_NEXT_GAME /* nothing is new yet */
};
enum scheduler_train_now scheduler_ask_train_now(const struct scheduler *scheduler);
uint32_t scheduler_active_workers(const struct scheduler *scheduler); /* running, not suspended */

#endif
