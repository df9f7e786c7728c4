#include "trainer/crew.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct hand { /* one thread besides the caller */
    struct crew *crew;
    uint32_t worker;
    pthread_t thread;
};

struct crew {
    uint32_t n_workers;
    uint32_t n_started; /* hands whose threads run */
    pthread_mutex_t mutex;
    pthread_cond_t begin, done;
    uint64_t round; /* pieces of work begun so far */
    uint32_t n_busy;
    bool quits;
    crew_task *task;
    void *context;
    struct hand hands[];
};

static void *hand_main(void *argument)
{
    struct hand *hand = argument;
    struct crew *crew = hand->crew;
    uint64_t round = 0;

    pthread_mutex_lock(&crew->mutex);
    for (;;) {
        while (crew->round == round && !crew->quits) {
            pthread_cond_wait(&crew->begin, &crew->mutex);
        }
        if (crew->quits) {
            break;
        }
        round = crew->round;
        crew_task *task = crew->task;
        void *context = crew->context;
        pthread_mutex_unlock(&crew->mutex);
        task(context, hand->worker, crew->n_workers);
        pthread_mutex_lock(&crew->mutex);
        if (--crew->n_busy == 0) {
            pthread_cond_signal(&crew->done);
        }
    }
    pthread_mutex_unlock(&crew->mutex);
    return NULL;
}

struct crew *crew_create(uint32_t n_workers)
{
    struct crew *crew = calloc(1, sizeof(*crew) + (n_workers - 1) * sizeof(crew->hands[0]));
    if (crew == NULL) {
        return NULL;
    }
    crew->n_workers = n_workers;
    pthread_mutex_init(&crew->mutex, NULL);
    pthread_cond_init(&crew->begin, NULL);
    pthread_cond_init(&crew->done, NULL);
    for (uint32_t i = 0; i < n_workers - 1; i++) {
        crew->hands[i].crew = crew;
        crew->hands[i].worker = i + 1;
        if (pthread_create(&crew->hands[i].thread, NULL, hand_main, &crew->hands[i]) != 0) {
            crew_destroy(crew);
            return NULL;
        }
        crew->n_started++;
    }
    return crew;
}

void crew_destroy(struct crew *crew)
{
    if (crew == NULL) {
        return;
    }
    pthread_mutex_lock(&crew->mutex);
    crew->quits = true;
    pthread_cond_broadcast(&crew->begin);
    pthread_mutex_unlock(&crew->mutex);
    for (uint32_t i = 0; i < crew->n_started; i++) {
        pthread_join(crew->hands[i].thread, NULL);
    }
    pthread_cond_destroy(&crew->done);
    pthread_cond_destroy(&crew->begin);
    pthread_mutex_destroy(&crew->mutex);
    free(crew);
}

uint32_t crew_size(const struct crew *crew)
{
    return crew->n_workers;
}

void crew_run(struct crew *crew, crew_task *task, void *context)
{
    if (crew->n_workers == 1) {
        task(context, 0, 1);
        return;
    }
    pthread_mutex_lock(&crew->mutex);
    crew->task = task;
    crew->context = context;
    crew->n_busy = crew->n_workers - 1;
    crew->round++;
    pthread_cond_broadcast(&crew->begin);
    pthread_mutex_unlock(&crew->mutex);

    task(context, 0, crew->n_workers);

    pthread_mutex_lock(&crew->mutex);
    while (crew->n_busy > 0) {
        pthread_cond_wait(&crew->done, &crew->mutex);
    }
    pthread_mutex_unlock(&crew->mutex);
}
