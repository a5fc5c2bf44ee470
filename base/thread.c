#include "base/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

lk_status lk_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *context)
{
    /* A thread begins with the mask of the one that starts it. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return lk_fail(LK_INTERNAL, "cannot start the %s thread: %s", name, strerror(error));
    pthread_setname_np(*thread, name);
    return LK_OK;
}

typedef struct team {
    lk_item_function *item;
    void *context;
    int64_t count;
    atomic_int_least64_t next;
    atomic_bool stop;
    pthread_mutex_t lock;
    int64_t failed_item;
    lk_error error;
} team;

typedef struct member {
    team *team;
    int worker;
    pthread_t thread;
} member;

static void *work(void *argument)
{
    member *self = argument;
    team *t = self->team;
    while (!atomic_load(&t->stop)) {
        int64_t i = atomic_fetch_add(&t->next, 1);
        if (i >= t->count)
            break;
        lk_status status = t->item(t->context, i, self->worker);
        if (status == LK_OK)
            continue;
        pthread_mutex_lock(&t->lock);
        if (t->error.status == LK_OK || i < t->failed_item) {
            t->failed_item = i;
            lk_error_take(&t->error, status);
        }
        pthread_mutex_unlock(&t->lock);
        atomic_store(&t->stop, true);
    }
    return NULL;
}

lk_status lk_parallel_for(int threads, int64_t count, lk_item_function *item, void *context)
{
    team t = {.item = item, .context = context, .count = count, .lock = PTHREAD_MUTEX_INITIALIZER};
    if (threads < 1)
        threads = 1;
    member *members = calloc((size_t)threads, sizeof *members);
    if (!members)
        return lk_fail(LK_INTERNAL, "out of memory for %d threads", threads);
    int started = 1;
    for (int i = 0; i < threads; i++)
        members[i] = (member){.team = &t, .worker = i};
    while (started < threads && lk_thread_start(&members[started].thread, "worker", work, &members[started]) == LK_OK)
        started++; /* fewer threads than asked for still finish the work */
    work(&members[0]);
    for (int i = 1; i < started; i++)
        pthread_join(members[i].thread, NULL);
    free(members);
    pthread_mutex_destroy(&t.lock);
    return t.error.status == LK_OK ? LK_OK : lk_error_put(&t.error);
}

int lk_core_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}
