/* qzd run: one daemon on one state directory. A libuv loop that never computes, blocks or queries; it
 * hands records from the children to the storage thread, asks the scheduler what is to be done, and
 * answers on the control socket.
 *
 *     daemon.c            begin and end, signals, the tick         <- start here, at daemon_run()
 *     daemon_resume.c     what the store says at the start, generation 0
 *     daemon_schedule.c   what the scheduler is told of the settings, what becomes of its commands
 *     daemon_children.c   what workers say, the games they play
 *     daemon_trainings.c  trainings and evaluations
 *     daemon_matches.c    matches for ratings and gates
 *     daemon_watch.c      children that fall silent
 *     daemon_control.c    commands of a person, reload
 *     daemon_doctor.c     when the doctor looks, and what becomes of what it finds
 *     daemon_upkeep.c     limits of the children, retention of games and nets
 *     daemon_status.c     what it says of itself: status, terminal, systemd */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

struct daemon_options {
    const char *config_path; /* NULL: the defaults */
    const char *state_dir;   /* NULL: the configuration's */
};

/* Run until stopped. Returns the process's exit status: 0 after a clean stop, 1 if it could not begin or had
 * to give up, 4 if the configuration is bad. Says why on stderr. */
int daemon_run(const struct daemon_options *options);

#endif
