#include "launch/serve/queue.h"

#include "base/thread.h"

#include <stdlib.h>

struct lk_queue {
    lk_queue_work work;
    pthread_mutex_t lock;
    pthread_cond_t came;
    void **ring; /* [room] */
    int room, first, count, busy, started;
    bool closing;
    pthread_t *threads;
};

static void *serve(void *context)
{
    lk_queue *q = context;
    pthread_mutex_lock(&q->lock);
    for (;;) {
        while (q->count == 0 && !q->closing)
            pthread_cond_wait(&q->came, &q->lock);
        if (q->count == 0)
            break;
        void *job = q->ring[q->first];
        q->first = (q->first + 1) % q->room;
        q->count--;
        q->busy++;
        pthread_mutex_unlock(&q->lock);
        if (q->work.waiting)
            q->work.waiting(q->work.context, -1);
        q->work.run(q->work.context, job);
        pthread_mutex_lock(&q->lock);
        q->busy--;
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

lk_status lk_queue_open(const lk_queue_work *work, lk_queue **out)
{
    *out = NULL;
    lk_queue *q = calloc(1, sizeof *q);
    if (!q)
        return lk_fail(LK_INTERNAL, "out of memory");
    q->work = *work;
    q->room = work->threads + work->most;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->came, NULL);
    q->ring = calloc((size_t)q->room, sizeof *q->ring);
    q->threads = calloc((size_t)work->threads, sizeof *q->threads);
    lk_status status = q->ring && q->threads ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for a queue");
    while (status == LK_OK && q->started < work->threads) {
        status = lk_thread_start(&q->threads[q->started], "worker", serve, q);
        q->started += status == LK_OK;
    }
    if (status == LK_OK) {
        *out = q;
        return LK_OK;
    }
    lk_queue_close(q);
    return status;
}

bool lk_queue_give(lk_queue *q, void *job)
{
    pthread_mutex_lock(&q->lock);
    bool room = q->count + q->busy < q->room; /* a thread that is free counts, also before it has woken up */
    if (room) {
        q->ring[(q->first + q->count++) % q->room] = job;
        if (q->work.waiting)
            q->work.waiting(q->work.context, 1);
        pthread_cond_signal(&q->came);
    }
    pthread_mutex_unlock(&q->lock);
    return room;
}

void lk_queue_close(lk_queue *q)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    q->closing = true;
    pthread_cond_broadcast(&q->came);
    pthread_mutex_unlock(&q->lock);
    for (int i = 0; i < q->started; i++)
        pthread_join(q->threads[i], NULL);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->came);
    free(q->ring);
    free(q->threads);
    free(q);
}
