/* The doctor's figures from a store, in short reads: each statement is its own read transaction and sees the newest few
 * hundred rows at most, so that it takes as long on ten million positions as on ten thousand. */
#ifndef DAEMON_DOCTOR_READ_H
#define DAEMON_DOCTOR_READ_H

#include "daemon/doctor/doctor.h"
#include "mcts/game.h"
#include "storage/error.h"

#include <stdatomic.h>

struct sqlite3;

struct doctor_source { /* all borrowed */
    struct sqlite3 *db;
    const char *state_dir;
    int64_t generation; /* as it was when that net of line main had been made; < 0: now */
    const struct doctor_live *live; /* NULL: no daemon runs */
    const atomic_bool *stop;        /* ends it with ERROR_CANCELLED; may be NULL */
};
/* ERROR_NOT_FOUND: there is no such generation. */
int doctor_read(const struct doctor_source *source, struct doctor_figures *ret, struct error *err);

/* Read and diagnose. */
int doctor_examine(const struct doctor_source *source, struct doctor_report *ret,
                   struct error *err);

/* ---- the parts ---- */
/* Positions of the newest net, for doctor_net_compare(). */
enum { DOCTOR_COMPARED = 16 };
struct doctor_sampled {
    int64_t net_id; /* 0: none */
    uint32_t n;
    union game_state states[DOCTOR_COMPARED];
    double v[DOCTOR_COMPARED];
};
/* Games up to last_seq (doctor_sample.c). `sampled` may be NULL. */
int doctor_read_games(const struct doctor_source *source, const struct game *game, int64_t last_seq,
                      struct doctor_games *ret, struct doctor_sampled *sampled, struct error *err);
/* Load the net and compute v of the positions by the plain definition of its function. What goes wrong is a
 * finding: it stands in ret->trouble. */
void doctor_net_compare(const struct game *game, const char *path,
                        const struct doctor_sampled *sampled, struct doctor_net *ret);
/* Free space, sizes and growth. plies: of the games in the store; per_day: of these and of nets, NaN: not known;
 * limit: the size at which retention ends the store's growth, 0: none. */
void doctor_read_disk(const char *state_dir, const char *net_file, double plies,
                      double plies_per_day, double nets_per_day, double limit,
                      struct doctor_disk *ret);
/* The same sizes again, its growth left alone. */
void doctor_look_at_disk(const char *state_dir, struct doctor_disk *disk);
/* Names of the checks whose newest word was red, by the store: calls each of them. */
int doctor_read_alarms(struct sqlite3 *db, void (*each)(const char *check, void *context),
                       void *context, struct error *err);
/* Processor time of a process in ms, all its threads; -1: it is not there. */
int64_t doctor_process_ms(int pid);

#endif
