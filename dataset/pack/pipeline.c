#include "dataset/pack/pipeline.h"

#include "base/thread.h"

#include <stdint.h>
#include <stdlib.h>

typedef struct slot {
    void *job;
    bool finished;
} slot;

typedef struct worker {
    lk_pipeline *pipeline;
    int number;
    pthread_t thread;
} worker;

struct lk_pipeline {
    pthread_mutex_t lock;
    pthread_cond_t given, finished;
    lk_work_function *work;
    void *context;
    slot *slots; /* a ring: jobs taken .. given-1 are inside, those before `started` have a worker */
    int64_t depth, given_count, started_count, taken_count;
    bool stop;
    int threads;
    worker *workers;
};

static void *run(void *argument)
{
    worker *self = argument;
    lk_pipeline *p = self->pipeline;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->stop && p->started_count == p->given_count)
            pthread_cond_wait(&p->given, &p->lock);
        if (p->stop)
            break;
        slot *s = &p->slots[p->started_count++ % p->depth];
        pthread_mutex_unlock(&p->lock);
        p->work(p->context, s->job, self->number);
        pthread_mutex_lock(&p->lock);
        s->finished = true;
        pthread_cond_signal(&p->finished);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Fewer threads than asked for do the same work. */
static lk_status start_threads(lk_pipeline *p, int wanted)
{
    lk_status status = LK_OK;
    while (p->threads < wanted && status == LK_OK) {
        worker *w = &p->workers[p->threads];
        *w = (worker){.pipeline = p, .number = p->threads};
        status = lk_thread_start(&w->thread, "pack", run, w);
        p->threads += status == LK_OK;
    }
    return p->threads > 0 ? LK_OK : status;
}

lk_status lk_pipeline_start(int threads, int depth, lk_work_function *work, void *context, lk_pipeline **out)
{
    *out = NULL;
    lk_pipeline *p = calloc(1, sizeof *p);
    if (!p)
        return lk_fail(LK_INTERNAL, "out of memory for %d threads", threads);
    *p = (lk_pipeline){.lock = PTHREAD_MUTEX_INITIALIZER,
                       .given = PTHREAD_COND_INITIALIZER,
                       .finished = PTHREAD_COND_INITIALIZER,
                       .work = work,
                       .context = context,
                       .depth = depth};
    p->slots = calloc((size_t)depth, sizeof *p->slots);
    p->workers = calloc((size_t)threads, sizeof *p->workers);
    lk_status status =
        p->slots && p->workers ? start_threads(p, threads) : lk_fail(LK_INTERNAL, "out of memory for %d threads", threads);
    if (status == LK_OK)
        *out = p;
    else
        lk_pipeline_stop(p);
    return status;
}

bool lk_pipeline_full(const lk_pipeline *p)
{
    return p->given_count - p->taken_count == p->depth;
}

void lk_pipeline_give(lk_pipeline *p, void *job)
{
    pthread_mutex_lock(&p->lock);
    p->slots[p->given_count++ % p->depth] = (slot){.job = job};
    pthread_cond_signal(&p->given);
    pthread_mutex_unlock(&p->lock);
}

void *lk_pipeline_take(lk_pipeline *p)
{
    if (p->taken_count == p->given_count)
        return NULL;
    pthread_mutex_lock(&p->lock);
    slot *s = &p->slots[p->taken_count % p->depth];
    while (!s->finished)
        pthread_cond_wait(&p->finished, &p->lock);
    p->taken_count++;
    void *job = s->job;
    pthread_mutex_unlock(&p->lock);
    return job;
}

void lk_pipeline_stop(lk_pipeline *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->given);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->threads; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->given);
    pthread_cond_destroy(&p->finished);
    free(p->slots);
    free(p->workers);
    free(p);
}
