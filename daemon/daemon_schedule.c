/* The scheduler's hands: what the configuration means to it, and its commands carried out. */
#include "daemon/daemon_internal.h"

#include <inttypes.h>
#include <string.h>

static bool has_move_suite(const struct config *config)
{
    for (uint32_t i = 0; i < config->evaluation.n_suites; i++) {
        const char *ending = strrchr(config->evaluation.suites[i], '.');
        if (ending != NULL && strcmp(ending, ".mask") == 0) {
            return true;
        }
    }
    return false;
}

void daemon_scheduler_settings(const struct daemon *d, struct scheduler_settings *ret)
{
    const struct config *c = &d->config;
    uint32_t threads = c->training.params.threads;

    if (threads == CONFIG_AUTO) {
        threads = d->slots / 2 > 0 ? d->slots / 2 : 1;
    }
    *ret = (struct scheduler_settings){
        .slots = d->slots,
        .workers = d->n_workers,
        .training_threads = threads < d->slots ? threads : d->slots,
        .first_positions = c->training.first_positions,
        .every_min = c->training.every_min,
        .every_max = c->training.every_max,
        .every_share = c->training.every_share,
        .window_c = c->training.window.c,
        .window_alpha = c->training.window.alpha,
        .window_beta = c->training.window.beta,
        .evaluation_share = c->evaluation.share,
        .judges_net = c->evaluation.n_suites > 0,
        .judges_search = c->evaluation.share > 0 && c->evaluation.nodes >= 2 && has_move_suite(c),
        .plays_matches = c->evaluation.share > 0 && c->evaluation.opponents.n > 0,
    };
}

static void set_workers_net(struct daemon *d, uint32_t index)
{
    if (d->workers[index].ready) {
        daemon_send_net(d, index);
    }
}

static void start_evaluation(struct daemon *d, int64_t net, enum scheduler_evaluation evaluation)
{
    if (evaluation == EVALUATION_MATCH || evaluation == EVALUATION_GATE) {
        daemon_start_match(d, net, evaluation == EVALUATION_GATE);
    } else {
        daemon_start_evaluation(d, net, evaluation == EVALUATION_SEARCH);
    }
}

static void obey(struct daemon *d, const struct scheduler_command *command)
{
    switch (command->kind) {
    case COMMAND_START_WORKER:
        daemon_start_worker(d, command->worker);
        break;
    case COMMAND_SUSPEND_WORKER:
        daemon_send_suspend(d, ROLE_WORKER, command->worker, command->suspended);
        break;
    case COMMAND_SET_NET:
        set_workers_net(d, command->worker);
        break;
    case COMMAND_STOP_WORKER:
        supervisor_stop(d->supervisor, ROLE_WORKER, command->worker, DAEMON_GRACE_MS);
        break;
    case COMMAND_START_TRAINING:
        daemon_begin_training(d);
        break;
    case COMMAND_RESUME_TRAINING:
        daemon_resume_training(d);
        break;
    case COMMAND_GIVE_UP_TRAINING:
        daemon_give_up_training(d);
        break;
    case COMMAND_STOP_TRAINING:
        supervisor_stop(d->supervisor, ROLE_TRAIN, 0, DAEMON_GRACE_MS);
        break;
    case COMMAND_START_EVALUATION:
        start_evaluation(d, command->net, command->evaluation);
        break;
    case COMMAND_SUSPEND_EVALUATION:
        daemon_send_suspend(d, ROLE_MATCH, 0, command->suspended);
        break;
    case COMMAND_GIVE_UP_EVALUATION:
        daemon_note(d, SEVERITY_ERROR, "evaluation given up",
                    "net %" PRId64 " (%s): its process ended before its work again and again",
                    command->net, scheduler_evaluation_text(command->evaluation));
        if (command->evaluation == EVALUATION_GATE) {
            daemon_reject_candidate(d, command->net);
        }
        break;
    case COMMAND_SKIP_EVALUATION:
        daemon_say(d, SEVERITY_INFO, "evaluation skipped",
                   "net %" PRId64 " (%s): a newer one takes its place", command->net,
                   scheduler_evaluation_text(command->evaluation));
        break;
    case COMMAND_STOP_EVALUATION:
        supervisor_stop(d->supervisor, ROLE_MATCH, 0, DAEMON_GRACE_MS);
        break;
    }
}

void daemon_event(struct daemon *d, struct scheduler_event event)
{
    struct scheduler_command commands[SCHEDULER_MAX_COMMANDS];
    uint32_t n = scheduler_step(&d->scheduler, &event, daemon_now_ms(), commands);

    for (uint32_t i = 0; i < n; i++) {
        obey(d, &commands[i]);
    }
}
