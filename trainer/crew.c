/* A step has a hundred pieces of work and more, many of them shorter than it takes to wake a thread that sleeps.
 * So whoever waits looks a while before it sleeps. */
#include "trainer/crew.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKS = 4000 /* some 50 us */, MAX_WAITING = 4 };

struct waiting {
    crew_task *task;
    char context[CREW_CONTEXT] __attribute__((aligned(16)));
};

struct hand { /* one thread besides the caller */
    struct crew *crew;
    uint32_t worker;
    pthread_t thread;
};

struct crew {
    uint32_t n_workers;
    uint32_t n_started; /* hands whose threads run */
    crew_task *task;    /* of the round */
    void *context;
    atomic_uint_least64_t round; /* pieces of work begun so far; written under the mutex */
    atomic_uint n_busy;          /* hands that have not done their part of it */
    atomic_bool quits;           /* set before the last round begins */
    pthread_mutex_t mutex;       /* of those who sleep */
    pthread_cond_t begin, done;
    uint32_t n_asleep; /* hands that wait for `begin` */
    bool caller_sleeps;
    struct waiting waiting[MAX_WAITING]; /* the caller's, but while a piece is done */
    uint32_t n_waiting;
    struct hand hands[];
};

static void look_again(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Wait for the round after `round`. */
static void wait_for_work(struct crew *crew, uint64_t round)
{
    for (int i = 0; i < LOOKS; i++) {
        if (atomic_load(&crew->round) != round) {
            return;
        }
        look_again();
    }
    pthread_mutex_lock(&crew->mutex);
    crew->n_asleep++;
    while (atomic_load(&crew->round) == round) {
        pthread_cond_wait(&crew->begin, &crew->mutex);
    }
    crew->n_asleep--;
    pthread_mutex_unlock(&crew->mutex);
}

static void begin_round(struct crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    atomic_fetch_add(&crew->round, 1);
    if (crew->n_asleep > 0) {
        pthread_cond_broadcast(&crew->begin);
    }
    pthread_mutex_unlock(&crew->mutex);
}

static void do_piece(struct crew *crew, uint32_t worker)
{
    for (uint32_t i = 0; i < crew->n_waiting; i++) {
        crew->waiting[i].task(crew->waiting[i].context, worker, crew->n_workers);
    }
    if (crew->task != NULL) {
        crew->task(crew->context, worker, crew->n_workers);
    }
}

static void *hand_main(void *argument)
{
    struct hand *hand = argument;
    struct crew *crew = hand->crew;

    for (uint64_t round = 0;; round++) {
        wait_for_work(crew, round);
        if (atomic_load(&crew->quits)) {
            return NULL;
        }
        do_piece(crew, hand->worker);
        if (atomic_fetch_sub(&crew->n_busy, 1) == 1) {
            pthread_mutex_lock(&crew->mutex);
            if (crew->caller_sleeps) {
                pthread_cond_signal(&crew->done);
            }
            pthread_mutex_unlock(&crew->mutex);
        }
    }
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
    atomic_store(&crew->quits, true);
    begin_round(crew);
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

/* The hands are done, or nearly. */
static void wait_for_hands(struct crew *crew)
{
    for (int i = 0; i < LOOKS; i++) {
        if (atomic_load(&crew->n_busy) == 0) {
            return;
        }
        look_again();
    }
    pthread_mutex_lock(&crew->mutex);
    crew->caller_sleeps = true;
    while (atomic_load(&crew->n_busy) > 0) {
        pthread_cond_wait(&crew->done, &crew->mutex);
    }
    crew->caller_sleeps = false;
    pthread_mutex_unlock(&crew->mutex);
}

void crew_run_beside(struct crew *crew, crew_task *task, void *context)
{
    crew->task = task;
    crew->context = context;
    if (crew->n_workers > 1) {
        atomic_store(&crew->n_busy, crew->n_workers - 1);
        begin_round(crew);
    }
    do_piece(crew, 0);
    if (crew->n_workers > 1) {
        wait_for_hands(crew);
    }
    crew->n_waiting = 0;
}

void crew_finish(struct crew *crew)
{
    if (crew->n_waiting > 0) {
        crew_run_beside(crew, NULL, NULL);
    }
}

void crew_run(struct crew *crew, crew_task *task, void *context)
{
    crew_finish(crew);
    crew_run_beside(crew, task, context);
}

void crew_later(struct crew *crew, crew_task *task, const void *context, size_t size)
{
    if (crew->n_waiting == MAX_WAITING) {
        crew_finish(crew);
    }
    struct waiting *waiting = &crew->waiting[crew->n_waiting++];
    waiting->task = task;
    memcpy(waiting->context, context, size);
}
