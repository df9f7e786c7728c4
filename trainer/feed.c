#include "trainer/feed.h"
#include "trainer/buffer.h"
#include "trainer/conv.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOTS = 2 };

struct slot {
    struct batch batch;
    float *planes;
};

/* Batches are numbered; number i lies in slot i % SLOTS. n_filled and n_taken are numbers of the
 * next one to fill and of the next one to give out: n_taken <= n_filled <= n_taken + SLOTS - 1
 * while one is given out. */
struct feed {
    const struct window *window;
    uint32_t max;
    struct slot slots[SLOTS];
    const struct window_row **rows;
    bool *flips;

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex;  /* of all that follows */
    pthread_cond_t changed; /* any of it */
    feed_source *source;
    void *context;
    uint64_t end, n_filled, n_taken;
    bool lent;    /* the caller has batch n_taken - 1 */
    bool filling; /* the thread is at n_filled, without the mutex */
    bool quits;
};

static bool has_room(const struct feed *feed)
{
    const uint64_t held = feed->n_filled - feed->n_taken + (feed->lent ? 1 : 0);
    return feed->source != NULL && feed->n_filled < feed->end && held < SLOTS;
}

static void fill(struct feed *feed, feed_source *source, void *context, uint64_t index)
{
    struct slot *slot = &feed->slots[index % SLOTS];
    bool flips = false;
    const uint32_t n = source(context, index, feed->rows, feed->flips, &flips);
    batch_fill(&slot->batch, feed->window, feed->rows, flips ? feed->flips : NULL, n, slot->planes);
}

static void *feed_main(void *argument)
{
    struct feed *feed = argument;

    pthread_mutex_lock(&feed->mutex);
    while (!feed->quits) {
        if (!has_room(feed)) {
            pthread_cond_wait(&feed->changed, &feed->mutex);
            continue;
        }
        feed_source *source = feed->source;
        void *context = feed->context;
        const uint64_t index = feed->n_filled;
        feed->filling = true;
        pthread_mutex_unlock(&feed->mutex);
        fill(feed, source, context, index);
        pthread_mutex_lock(&feed->mutex);
        feed->filling = false;
        feed->n_filled++;
        pthread_cond_broadcast(&feed->changed);
    }
    pthread_mutex_unlock(&feed->mutex);
    return NULL;
}

int feed_create(const struct window *window, uint32_t max, struct feed **ret)
{
    const struct game *game = window->params.game;
    struct feed *feed = calloc(1, sizeof(*feed));
    int r = 0;

    if (feed == NULL) {
        return ERROR_NO_MEMORY;
    }
    feed->window = window;
    feed->max = max;
    pthread_mutex_init(&feed->mutex, NULL);
    pthread_cond_init(&feed->changed, NULL);
    feed->rows = calloc(max, sizeof(const struct window_row *));
    feed->flips = calloc(max, sizeof(*feed->flips));
    if (feed->rows == NULL || feed->flips == NULL) {
        r = ERROR_NO_MEMORY;
    }
    for (int i = 0; i < SLOTS && r == 0; i++) {
        struct slot *slot = &feed->slots[i];
        r = batch_init(&slot->batch, game, max);
        slot->planes = activation_create(game->n_planes, max, (size_t)game->height * game->width);
        if (r == 0 && slot->planes == NULL) {
            r = ERROR_NO_MEMORY;
        }
    }
    if (r == 0) {
        feed->has_thread = pthread_create(&feed->thread, NULL, feed_main, feed) == 0;
        r = feed->has_thread ? 0 : ERROR_NO_MEMORY;
    }
    if (r < 0) {
        feed_destroy(feed);
        return r;
    }
    *ret = feed;
    return 0;
}

void feed_destroy(struct feed *feed)
{
    if (feed == NULL) {
        return;
    }
    if (feed->has_thread) {
        pthread_mutex_lock(&feed->mutex);
        feed->quits = true;
        pthread_cond_broadcast(&feed->changed);
        pthread_mutex_unlock(&feed->mutex);
        pthread_join(feed->thread, NULL);
    }
    for (int i = 0; i < SLOTS; i++) {
        batch_finish(&feed->slots[i].batch);
        buffer_destroy(feed->slots[i].planes);
    }
    pthread_cond_destroy(&feed->changed);
    pthread_mutex_destroy(&feed->mutex);
    free(feed->rows);
    free(feed->flips);
    free(feed);
}

uint32_t feed_max(const struct feed *feed)
{
    return feed->max;
}

void feed_begin(struct feed *feed, feed_source *source, void *context, uint64_t first, uint64_t end)
{
    pthread_mutex_lock(&feed->mutex);
    feed->end = 0; /* no other is begun */
    while (feed->filling) {
        pthread_cond_wait(&feed->changed, &feed->mutex);
    }
    feed->source = source;
    feed->context = context;
    feed->n_filled = feed->n_taken = first;
    feed->end = end;
    feed->lent = false;
    pthread_cond_broadcast(&feed->changed);
    pthread_mutex_unlock(&feed->mutex);
}

bool feed_next(struct feed *feed, struct batch **ret_batch, const float **ret_planes)
{
    pthread_mutex_lock(&feed->mutex);
    feed->lent = false;
    pthread_cond_broadcast(&feed->changed);
    const bool more = feed->n_taken < feed->end;
    if (more) {
        while (feed->n_filled == feed->n_taken) {
            pthread_cond_wait(&feed->changed, &feed->mutex);
        }
        struct slot *slot = &feed->slots[feed->n_taken % SLOTS];
        feed->n_taken++;
        feed->lent = true;
        *ret_batch = &slot->batch;
        *ret_planes = slot->planes;
    }
    pthread_mutex_unlock(&feed->mutex);
    return more;
}
