/* The configuration: one YAML file, the one source of settings, read at start and on reload. One schema
 * table (config_schema.c) types, ranges, defaults and documents every key; config.c walks libyaml's
 * document with it. The shipped etc/qzd.yaml shows every key with its default and a comment. */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "daemon/log.h"
#include "selfplay/opening.h"
#include "selfplay/settings.h"
#include "storage/error.h"
#include "trainer/net/net.h"
#include "trainer/train.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    CONFIG_MAX_SCHEDULE = 16,
    CONFIG_MAX_SUITES = 8,
    CONFIG_MAX_ARGUMENTS = 16,
    CONFIG_MAX_ARGUMENT = 512, /* bytes, with the NUL */
    CONFIG_AUTO = 0,
};

/* A number by generation of the net being trained: linear between points, constant outside them. A plain
 * number in YAML is one point. */
struct config_schedule {
    uint32_t n;
    uint32_t generation[CONFIG_MAX_SCHEDULE]; /* rising */
    double value[CONFIG_MAX_SCHEDULE];
};
/* A command with its arguments, for no shell. */
struct config_command {
    uint32_t n; /* 0: none */
    char argument[CONFIG_MAX_ARGUMENTS][CONFIG_MAX_ARGUMENT];
};
double config_schedule_at(const struct config_schedule *schedule, uint32_t generation);

/* Names of trainer/net/kernel.h; auto: the best that the processor can run. */
enum config_kernel {
    CONFIG_KERNEL_AUTO,
    CONFIG_KERNEL_AMX,
    CONFIG_KERNEL_AVX512,
    CONFIG_KERNEL_AVX2,
    CONFIG_KERNEL_PLAIN
};
/* Of trainer/net/kernel.h; auto: as kernel_choose() has it. */
enum config_precision { CONFIG_PRECISION_AUTO, CONFIG_PRECISION_FP32, CONFIG_PRECISION_BF16 };
/* The two as the file and the environment have them; ended by NULL. */
extern const char *const config_kernel_words[], *const config_precision_words[];
enum config_gate { CONFIG_GATE_NONE, CONFIG_GATE_ELO, CONFIG_GATE_SPRT };

/* Whom a new net meets: so many generations back, or one of these. Each once. */
enum { CONFIG_MAX_OPPONENTS = 8, CONFIG_OPPONENT_FIRST = 0 };
#define CONFIG_OPPONENT_UNIFORM UINT32_MAX
struct config_opponents {
    uint32_t n;
    uint32_t back[CONFIG_MAX_OPPONENTS];
};
enum config_role { CONFIG_ROLE_NONE };

struct config {
    char state_dir[PATH_MAX];
    char game[32];
    int64_t seed; /* of the run; fixed by the store at its first start */

    struct { /* network: used for a new net only */
        uint32_t blocks, filters, se_ratio, value_filters, value_hidden;
        enum net_value_head value;
    } network;

    struct selfplay_settings selfplay_settings; /* search: and selfplay.resign */

    struct {                       /* selfplay */
        uint32_t workers;          /* CONFIG_AUTO: one a core slot */
        uint32_t games_per_worker; /* CONFIG_AUTO: measured at the start */
        uint32_t cache_entries;    /* per worker */
        struct opening_params openings;
    } selfplay;

    struct { /* targets, teacher */
        struct config_schedule q_ratio;
        enum q_kind q;
        double lambda;
    } targets;
    struct {
        char net[PATH_MAX]; /* "none", a net id, a sha256 prefix or a file */
        struct config_schedule policy_ratio, value_ratio;
        double temperature;
    } teacher;

    struct {                        /* training */
        int64_t max_samples;        /* of one training; CONFIG_AUTO: twice every_max positions' */
        struct train_params params; /* threads CONFIG_AUTO: half of the slots, at least one */
        int64_t first_positions;    /* due at so many positions, */
        int64_t every_min;          /* then each max(every_min, every_share * all), */
        double every_share;
        int64_t every_max; /* but at most every_max */
        struct {           /* KataGo's growing window over N positions in all:
                                       W(N) = c (1 + beta ((N / c)^alpha - 1) / alpha), at most N */
            double c, alpha, beta;
        } window;
        uint32_t held_out; /* one game in so many is held out; 0 = none */
    } training;

    struct {          /* evaluation */
        double share; /* of the machine, as a debt account */
        uint32_t n_suites;
        char suites[CONFIG_MAX_SUITES][PATH_MAX];
        uint32_t nodes; /* of searches in suites and matches */
        struct config_opponents opponents;
        uint32_t match_pairs; /* against each of them */
        enum config_gate gate;
        uint32_t gate_pairs; /* at most */
    } evaluation;

    struct
    { /* patience: seconds without a word after which a process is killed and started again */
        int64_t worker_s, training_s; /* training_s: of an evaluation too */
    } patience;

    struct {                 /* resources */
        uint32_t nice;       /* of children, behind the daemon's own */
        uint32_t memory_mib; /* of each child; 0 = no limit */
        uint32_t cores;      /* core slots at most; CONFIG_AUTO: all that the daemon may use */
    } resources;

    struct {           /* retention */
        int64_t bytes; /* of the store's file; 0 = keep all */
        uint32_t nets; /* whose files are kept; 0 = of all */
    } retention;

    struct {                        /* events */
        struct config_command exec; /* run for each event */
        enum log_severity severity; /* ... of at least that */
        uint32_t seconds;           /* ... which it may take */
    } events;

    struct {                   /* control */
        char socket[PATH_MAX]; /* "auto" is resolved to <state_dir>/qzd.sock */
    } control;

    enum config_kernel inference_kernel;
    enum config_precision inference_precision;
    enum config_role cluster_role;
};

/* All that is wrong with a file, one line each ("file:line:column: what, and what would be right"). */
struct config_problems {
    uint32_t n;
    char *text; /* malloced; lines ended by \n */
};
void config_problems_finish(struct config_problems *problems);

/* Defaults alone: state in ./state, as `etc/start` runs it. */
void config_default(struct config *ret);
/* The shape of a new net as section network says: filters / se_ratio channels of squeeze-excitation, at least one. */
int config_net_arch(const struct config *config, const struct game *game, struct net_arch *ret,
                    struct error *err);
/* Take another state directory, as --state does: a socket that was "auto" goes along. False, with *config
 * unchanged: too long a path. */
bool config_set_state_dir(struct config *config, const char *state_dir);
/* Read a file; keys that are missing have their defaults. Relative paths in it count from the working directory.
 * Returns 0; ERROR_INVALID with every problem listed; ERROR_NOT_FOUND or ERROR_IO with one. *ret is
 * written on success only. */
int config_load(const char *path, struct config *ret, struct config_problems *ret_problems);
int config_parse(const char *text, size_t size, const char *name, struct config *ret,
                 struct config_problems *ret_problems);

/* What differs between two configurations, key by key in the schema's order: full key
 * ("targets.q_ratio"), both values as JSON, and whether the new one needs a restart to take effect. */
struct config_change {
    const char *key; /* static */
    char *old_value, *new_value;
    bool needs_restart;
};
/* Returns how many; *ret_changes is malloced, freed by config_changes_free. Negative: out of memory. */
int config_diff(const struct config *a, const struct config *b, struct config_change **ret_changes);
void config_changes_free(struct config_change *changes, int n);
/* The whole configuration as JSON, malloced; and one key's value (NULL: no such key). */
char *config_json(const struct config *config);
char *config_get_json(const struct config *config, const char *key);
/* Reference text: every key with type, range, default and meaning ("qzd check-config --keys"). */
char *config_reference(void);

#endif
