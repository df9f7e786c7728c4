/* qzd train: one training. The daemon sends it a TrainJob over stdin and hears TrainProgress, CoreTime and
 * at last a TrainResult or a Failure on stdout. Stop, SIGTERM or the end of stdin make it write a checkpoint and end
 * (Failure with ERROR_CANCELLED); the same job then goes on from there. */
#include "daemon/process/process.h"

#include "daemon/train_job.h"
#include "trainer/net/blas.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void send_progress(const struct train_progress *progress, void *context)
{
    struct process *process = context;
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__TrainProgress wire = QZD__TRAIN_PROGRESS__INIT;

    wire.step = progress->step;
    wire.steps = progress->steps;
    wire.samples = progress->samples;
    wire.policy_loss = progress->policy_loss;
    wire.policy_entropy = progress->policy_entropy;
    wire.value_loss = progress->value_loss;
    wire.grad_norm = progress->grad_norm;
    wire.learning_rate = progress->learning_rate;
    wire.samples_per_s = progress->samples_per_s;
    message.what_case = QZD__FROM_CHILD__WHAT_TRAIN_PROGRESS;
    message.train_progress = &wire;
    process_send(process, &message);
    process_send_core_time(process);
}

static void send_warning(const char *text, void *context)
{
    process_send_event(context, "warning", "training", text);
}

static int send_result(struct process *process, const struct train_result *result,
                       struct error *err)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__TrainResult wire = QZD__TRAIN_RESULT__INIT;
    char *json = train_result_json(result);

    if (json == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "training result: out of memory");
    }
    process_send_core_time(process);
    wire.result = json;
    message.what_case = QZD__FROM_CHILD__WHAT_TRAIN_RESULT;
    message.train_result = &wire;
    process_send(process, &message);
    free(json);
    return 0;
}

static int train(struct process *process, const Qzd__TrainJob *message, struct error *err)
{
    struct train_job_file *file = NULL;
    struct train_result result = {0};
    const struct train_callbacks callbacks = {.progress = send_progress,
                                              .warn = send_warning,
                                              .should_stop = process_should_stop,
                                              .context = process};
    int r = train_job_parse(message->job, message->state_dir, &file, err);

    if (r < 0) {
        return r;
    }
    blas_set_threads((int)file->job.params.threads);
    r = train_run(&file->job, &callbacks, &result, err);
    free(file);
    return r < 0 ? r : send_result(process, &result, err);
}

int process_train_main(char *argv[])
{
    struct process process;
    struct error err = {.text = ""};
    Qzd__ToChild *message = NULL;
    int r = process_open(&process, argv, &err);

    if (r < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    while (message == NULL && !process.stopping) {
        process_receive(&process, -1);
        message = process_next(&process);
    }
    if (message != NULL && message->what_case == QZD__TO_CHILD__WHAT_TRAIN_JOB) {
        r = train(&process, message->train_job, &err);
    } else if (message != NULL) {
        r = error_set(&err, ERROR_INVALID, "a command that is not for a training");
    }
    if (r < 0) {
        process_send_core_time(&process);
        process_send_failure(&process, r, err.text);
    }
    qzd__to_child__free_unpacked(message, NULL);
    process_finish(&process);
    return 0; /* what went wrong was said in a Failure; another status is a crash */
}
