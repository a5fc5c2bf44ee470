#include "collectives/reducer_thread.h"

#include "base/clock.h"
#include "base/thread.h"
#include "collectives/reducer_kind.h"

#include <stdlib.h>

typedef struct job {
    int64_t number;
    float *buffer;
    size_t count;
} job;

struct lk_reducer_thread {
    lk_reducer *reducer;
    lk_reducer_work *work;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock: */
    bool stop;
    job *line;       /* [options.most], a ring */
    int first, jobs; /* the one that is worked on counts */
    double busy;     /* since the last wait */
    double exposed_last, busy_last;
    lk_error error;
};

static void *communicate(void *argument)
{
    lk_reducer_thread *t = argument;
    pthread_mutex_lock(&t->lock);
    for (;;) {
        while (!t->stop && t->jobs == 0)
            pthread_cond_wait(&t->changed, &t->lock);
        if (t->stop)
            break;
        job now = t->line[t->first];
        pthread_mutex_unlock(&t->lock);
        lk_flight_begin(t->reducer->flight, now.number, lk_wall_clock());
        double start = lk_clock();
        lk_status status = t->work(t->reducer, now.buffer, now.count);
        double end = lk_clock();
        lk_flight_end(t->reducer->flight, now.number, lk_wall_clock());
        pthread_mutex_lock(&t->lock);
        if (status != LK_OK && t->error.status == LK_OK)
            lk_error_take(&t->error, status);
        t->busy += end - start;
        t->first = (t->first + 1) % t->reducer->options.most;
        t->jobs--;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void free_thread(lk_reducer_thread *t)
{
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t->line);
    free(t);
}

lk_status lk_reducer_thread_start(lk_reducer *reducer, lk_reducer_work *work)
{
    lk_reducer_thread *t = calloc(1, sizeof *t);
    if (!t)
        return lk_fail(LK_INTERNAL, "out of memory");
    t->reducer = reducer;
    t->work = work;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    lk_status status = LK_OK;
    if (!(t->line = calloc((size_t)reducer->options.most, sizeof *t->line)))
        status = lk_fail(LK_INTERNAL, "out of memory for %d sums in line", reducer->options.most);
    if (status == LK_OK)
        status = lk_thread_start(&t->thread, "communication", communicate, t);
    if (status == LK_OK)
        reducer->thread = t;
    else
        free_thread(t);
    return status;
}

void lk_reducer_thread_stop(lk_reducer *reducer)
{
    lk_reducer_thread *t = reducer->thread;
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    free_thread(t);
}

lk_status lk_reducer_thread_sum(lk_reducer *reducer, int64_t number, float *buffer, size_t count, lk_mark *after)
{
    lk_reducer_thread *t = reducer->thread;
    (void)after; /* the CPU has passed it */
    pthread_mutex_lock(&t->lock);
    t->line[(t->first + t->jobs++) % t->reducer->options.most] = (job){number, buffer, count};
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return LK_OK;
}

lk_status lk_reducer_thread_wait(lk_reducer *reducer)
{
    lk_reducer_thread *t = reducer->thread;
    double start = lk_clock();
    pthread_mutex_lock(&t->lock);
    while (t->jobs > 0)
        pthread_cond_wait(&t->changed, &t->lock);
    t->exposed_last = lk_clock() - start;
    t->busy_last = t->busy;
    t->busy = 0;
    lk_error error = t->error;
    pthread_mutex_unlock(&t->lock);
    return error.status == LK_OK ? LK_OK : lk_error_put(&error);
}

lk_status lk_reducer_thread_finish(lk_reducer *reducer, double *exposed, double *busy)
{
    lk_reducer_thread *t = reducer->thread;
    pthread_mutex_lock(&t->lock);
    *exposed = t->exposed_last;
    *busy = t->busy_last;
    pthread_mutex_unlock(&t->lock);
    return LK_OK;
}
