/* The daemon's state, shared by the daemon_*.c files and nobody else. All of it belongs to the loop's
 * thread. */
#ifndef DAEMON_DAEMON_INTERNAL_H
#define DAEMON_DAEMON_INTERNAL_H

#include "daemon/config/config.h"
#include "daemon/control/http.h"
#include "daemon/daemon.h"
#include "daemon/doctor/doctor.h"
#include "daemon/event_exec.h"
#include "daemon/game_table.h"
#include "daemon/lock.h"
#include "daemon/log.h"
#include "daemon/scheduler.h"
#include "daemon/supervisor.h"
#include "daemon/writer/storage_tasks.h"
#include "daemon/writer/storage_thread.h"
#include "daemon/writer/training_tasks.h"

#include <stdatomic.h>

#include <sys/types.h>

enum {
    DAEMON_GRACE_MS = 5000,       /* for a child to end by itself */
    DAEMON_GAMES_PER_WORKER = 32, /* where auto cannot be measured */
    DAEMON_MAX_NETS = 64,         /* nets remembered by id */
};

/* A figure that is counted and told as a rate: an exponential average over about 30 seconds. */
struct rate {
    double per_s;
    double since_tick;
    bool seen;
};

struct worker_view {
    bool ready;      /* has said hello */
    uint8_t *search; /* packed: of its last position that named one */
    size_t search_size;
    struct rate positions, evaluations;
    uint64_t bytes;
    uint32_t restarts;
    uint32_t silent_s; /* of seconds in which it should be playing, since it said anything */
};

/* One of the workers, the training or the evaluation (daemon_watch.c). */
struct child_watch {
    uint32_t silent_s;     /* since it said anything, in ticks */
    uint32_t said, unsaid; /* lines and events passed on, and not, in this window */
};

struct known_net {
    int64_t id;
    uint32_t generation;
    char sha256[RECORD_SHA256_BYTES];
    char file[128];
};

/* The training that has been begun; row.id 0: none. */
struct training_now {
    struct training_row row;
    bool told;     /* the process has said how it ended; its end is on its way to the store */
    bool recorded; /* and stands there: the scheduler hears of it when the process has gone too */
    struct scheduler_event outcome;
    struct train_progress progress; /* NaN before the first */
    struct train_result result;
};

/* The match that is being played. */
struct match_now {
    int64_t id;
    char opponent_line[32];
    uint32_t opponent_generation;
    uint32_t pairs, planned_pairs;
    bool told;     /* the process has said how it ended */
    bool recorded; /* and that stands in the store */
    bool failed;   /* it cannot be played */
};

struct evaluation_now {
    enum scheduler_evaluation kind;
    int64_t net_id;
    struct known_net net; /* of a match: once it is planned */
    struct match_now match;
    uint32_t next_suite; /* index into config.evaluation.suites */
    bool done;           /* all suites are through */
};

/* The net that training made last, from which the next one goes on: the current one, a candidate, or one
 * that its gate has rejected. */
struct trained_net {
    int64_t id;
    char file[128];
};

/* What the newest training and suites said; NaN: not yet. */
struct judgement {
    double policy_loss, policy_gap, value_loss;
    double held_out_policy_gap, held_out_value_loss;
    double mistakes_net, mistakes_search, value_accuracy;
    uint32_t net_generation, search_generation; /* of the nets that were judged */
};

/* The doctor between its looks (daemon_doctor.c). Seconds are ticks, so that a machine that slept alarms nobody. */
enum { DAEMON_KEPT_EXITS = 16, DAEMON_MAX_CHILDREN = SCHEDULER_MAX_WORKERS + 2 };
struct doctor_watch {
    struct doctor_figures figures; /* as last read; live and disk are newer */
    struct doctor_report report;
    bool alarmed[DOCTOR_MAX_CHECKS]; /* red was said, green was not yet */
    bool alarms_known;               /* ... and those of the time before this start */
    bool looking, generation_due;
    atomic_bool stop;
    uint32_t to_look_s, to_read_s; /* until the next look at the hour's figures; at all */
    uint32_t blocked_s, queue_high_s, game_s, training_silent_s;
    int64_t games;                 /* finished, when game_s began */
    double slots_used;             /* exponential mean over a minute */
    double cores_used, cores_held; /* likewise; NaN: not yet */
    int64_t exits_ms[DAEMON_KEPT_EXITS];
    uint32_t n_exits;
    int64_t measured_ms; /* when the processor times below were read; 0: never */
    uint32_t n_children;
    int child_pid[DAEMON_MAX_CHILDREN];
    int64_t child_ms[DAEMON_MAX_CHILDREN];
    char summary[200]; /* "doctor: red: exploration, stall (qzctl doctor)"; "": none is red */
};

/* Retention at work. */
struct upkeep {
    bool dropping;            /* a step is with the storage thread */
    bool behind;              /* the last step left something to do */
    bool short_said;          /* that retention.bytes is too small for what must stay */
    int64_t games, positions; /* dropped since it was last told */
    int64_t told_ms;          /* monotonic; 0: never */
    bool sweeping;            /* files of nets: a task is with the storage thread, */
    bool swept;               /* a sweep has been done since the daemon began, */
    uint32_t files;           /* removed since it was last told */
    int64_t files_told_ms;    /* monotonic; 0: never */
    int64_t swept_generation; /* and nothing was to be given up then */
};

struct daemon {
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t signal_term, signal_int, signal_hup;
    const char *config_path;   /* NULL: the defaults */
    const char *state_option;  /* NULL: the configuration's */
    struct config config;      /* in effect: restart keys as they were at the start */
    struct config file_config; /* as last read */
    char state_dir[PATH_MAX];  /* absolute */
    char db_path[PATH_MAX];
    char host[256];
    const struct game *game;
    uint64_t seed;
    uint32_t slots, n_workers, games_per_worker;
    uint32_t max_pairs; /* of a match: openings of the game */
    uint64_t next_game, next_game_stored;

    struct lock *lock;
    struct log *log;
    struct terminal *terminal;
    struct store *store; /* until the storage thread has it */
    struct storage_thread *storage;
    struct supervisor *supervisor;
    struct http *http;
    struct event_exec *exec; /* events.exec */
    struct game_table *games;
    struct scheduler scheduler;
    struct worker_view *workers; /* [n_workers] */
    struct child_watch *watches; /* [n_workers + 2]: the workers, the training, the evaluation */
    dev_t store_device;          /* of qzd.db as it was opened */
    ino_t store_inode;

    struct store_net net; /* the current one */
    struct trained_net trained;
    struct store_counts counts;
    struct known_net nets[DAEMON_MAX_NETS];
    uint32_t n_nets; /* ever remembered; the newest DAEMON_MAX_NETS are there */
    struct training_now training;
    struct evaluation_now evaluation;
    struct judgement last;
    struct doctor_watch doctor;

    double stored_account_ms;
    int64_t started_ms;  /* monotonic */
    int64_t stopping_ms; /* monotonic */
    int64_t ticked_ms;   /* monotonic */
    uint32_t ticks, refused, dropped;
    bool stopping, forced, failed;
    bool limits_refused; /* and said so */
    struct upkeep upkeep;
    bool rating, rate_again; /* ratings are being fitted; and must be once more */
};

/* daemon.c */
int64_t daemon_now_ms(void);  /* monotonic */
int64_t daemon_wall_ms(void); /* Unix */
/* Feed the scheduler and do what it says. */
void daemon_event(struct daemon *d, struct scheduler_event event);
void daemon_stop(struct daemon *d, const char *why);
/* Log a line; daemon_note also writes it into the store's events. */
void daemon_say(struct daemon *d, enum log_severity severity, const char *what, const char *format,
                ...) __attribute__((format(printf, 4, 5)));
void daemon_note(struct daemon *d, enum log_severity severity, const char *what, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));
/* Run events.exec for it, if it is severe enough; daemon_note does. */
void daemon_tell(struct daemon *d, enum log_severity severity, const char *what, const char *text);
void daemon_put(struct daemon *d, struct storage_task *task);
void daemon_scheduler_settings(const struct daemon *d, struct scheduler_settings *ret);

/* daemon_resume.c */
struct daemon_resume {
    struct scheduler_start start;
    int64_t
        judge_net[SCHEDULER_MAX_PENDING]; /* nets that lack their net-alone suites, oldest first */
    uint32_t n_judge;
    bool judge_search; /* the current net lacks its suites with search */
    bool rate;         /* matches have been played */
    bool first_start;
    bool paused; /* by a person, before the last end */
};
/* Read what is to go on from d->store, make generation 0 if there is no net. */
int daemon_resume(struct daemon *d, struct daemon_resume *ret, struct error *err);
void daemon_remember_net(struct daemon *d, const struct store_net *net);
const struct known_net *daemon_find_net(const struct daemon *d, int64_t id); /* NULL: unknown */

/* daemon_children.c */
void daemon_start_worker(struct daemon *d, uint32_t index);
void daemon_configure_worker(struct daemon *d, uint32_t index);
void daemon_send_net(struct daemon *d, uint32_t index);
void daemon_send_suspend(struct daemon *d, enum supervisor_role role, uint32_t index,
                         bool suspended);
extern const struct supervisor_callbacks daemon_supervisor_callbacks; /* context: the daemon */

/* daemon_watch.c */
void daemon_watch_begin(struct daemon *d);
void daemon_watch_tick(struct daemon *d); /* each second */
/* A child has begun or has said something. */
void daemon_heard(struct daemon *d, enum supervisor_role role, uint32_t index);
/* Whether a line or event of a child is still to be passed on, or is only counted. */
bool daemon_may_say(struct daemon *d, enum supervisor_role role, uint32_t index);

/* daemon_upkeep.c */
/* Niceness and memory as the configuration says; that it is refused is said once. */
void daemon_limit_child(struct daemon *d, enum supervisor_role role, uint32_t index);
void daemon_limit_children(struct daemon *d);
void daemon_upkeep_tick(struct daemon *d); /* each second: retention */

/* daemon_trainings.c */
void daemon_begin_training(struct daemon *d);
void daemon_resume_training(struct daemon *d);
void daemon_give_up_training(struct daemon *d);
void daemon_train_message(struct daemon *d, const Qzd__FromChild *message);
void daemon_train_ended(struct daemon *d, bool stopped, const char *how);
void daemon_start_evaluation(struct daemon *d, int64_t net, bool search);
void daemon_take_core_time(struct daemon *d, const char *what, uint64_t ms);
void daemon_match_message(struct daemon *d, const Qzd__FromChild *message);
void daemon_match_ended(struct daemon *d, bool stopped, const char *how);

/* daemon_matches.c */
void daemon_start_match(struct daemon *d, int64_t net, bool gate);
void daemon_play_message(struct daemon *d, const Qzd__FromChild *message);
void daemon_play_ended(struct daemon *d, bool stopped, const char *how);
/* Its match cannot be played. */
void daemon_reject_candidate(struct daemon *d, int64_t net);
/* Fit the ratings anew from what is committed. */
void daemon_rate(struct daemon *d);

/* daemon_control.c */
extern const struct http_callbacks daemon_http_callbacks; /* context: the daemon */
/* Read the configuration file again. Returns an HTTP status; *ret_json (may be NULL) as http.h wants it. */
int daemon_reload(struct daemon *d, const char *by, char **ret_json);
/* Log in settings_log what differs from the last start; `previous` is the store's "config", NULL: none. */
void daemon_log_settings(struct daemon *d, const char *previous);

/* daemon_doctor.c */
void daemon_doctor_begin(struct daemon *d);
void daemon_doctor_tick(struct daemon *d);       /* each second */
void daemon_doctor_generation(struct daemon *d); /* a net has been made */
void daemon_doctor_worker_ended(struct daemon *d);
void daemon_doctor_live(struct doctor_live *ret, void *context); /* the daemon */

/* daemon_status.c */
char *daemon_status(void *context);    /* the daemon */
void daemon_show(struct daemon *d);    /* each second: terminal and systemd */
void daemon_say_net(struct daemon *d); /* one line a generation */
void rate_add(struct rate *rate, double n);
void rate_tick(struct rate *rate, double seconds);

#endif
