#include "trainer/teacher.h"
#include "trainer/net/evaluator.h"

#include <math.h>
#include <stdlib.h>

struct teacher {
    struct evaluator *evaluator;
    struct evaluator_request *requests;
    struct evaluation *evaluations;
    float policy, value, temperature;
};

int teacher_create(const struct game *game, const struct net *net, uint32_t max_batch, float policy,
                   float value, float temperature, struct teacher **ret, struct error *err)
{
    struct teacher *teacher = calloc(1, sizeof(*teacher));
    if (teacher != NULL) {
        teacher->requests = calloc(max_batch, sizeof(*teacher->requests));
        teacher->evaluations = calloc(max_batch, sizeof(*teacher->evaluations));
    }
    if (teacher == NULL || teacher->requests == NULL || teacher->evaluations == NULL) {
        teacher_destroy(teacher);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    int r = evaluator_create(game, net, max_batch, &teacher->evaluator, err);
    if (r < 0) {
        teacher_destroy(teacher);
        return r;
    }
    teacher->policy = policy;
    teacher->value = value;
    teacher->temperature = temperature;
    *ret = teacher;
    return 0;
}

void teacher_destroy(struct teacher *teacher)
{
    if (teacher == NULL) {
        return;
    }
    evaluator_destroy(teacher->evaluator);
    free(teacher->requests);
    free(teacher->evaluations);
    free(teacher);
}

/* target = (1 - share) target + share softmax(log priors / T) */
static void mix_policy(const float *priors, uint32_t n, float share, float temperature,
                       float *target)
{
    double tempered[GAME_MAX_LEGAL];
    double total = 0.0;

    for (uint32_t i = 0; i < n; i++) {
        tempered[i] = pow((double)priors[i], 1.0 / (double)temperature);
        total += tempered[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        target[i] = (1.0F - share) * target[i] + share * (float)(tempered[i] / total);
    }
}

void teacher_apply(struct teacher *teacher, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->n; i++) {
        const struct batch_sample *sample = &batch->samples[i];
        teacher->requests[i] = (struct evaluator_request){
            .state = sample->state, .n_legal = sample->n_legal, .legal = sample->legal};
    }
    evaluator_run(teacher->evaluator, teacher->requests, batch->n, teacher->evaluations);
    for (uint32_t i = 0; i < batch->n; i++) {
        struct batch_sample *sample = &batch->samples[i];
        const struct evaluation *word = &teacher->evaluations[i];
        sample->value = targets_mix(sample->value, teacher->value, wdl_from_qd(word->v, word->d));
        if (teacher->policy > 0.0F && sample->policy_weight > 0.0F) {
            mix_policy(word->priors, sample->n_legal, teacher->policy, teacher->temperature,
                       sample->policy);
        }
    }
}
