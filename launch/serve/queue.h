/* Jobs that wait for threads: a bounded queue, first come, first served. */
#ifndef LK_LAUNCH_SERVE_QUEUE_H
#define LK_LAUNCH_SERVE_QUEUE_H

#include "base/error.h"

#include <stdbool.h>

typedef struct lk_queue lk_queue;

/* Each job is run by one of `threads` threads; at most `most` wait. `waiting` (any thread, NULL is fine) is told how their number
 * changed. */
typedef struct lk_queue_work {
    int threads, most;
    void (*run)(void *context, void *job);
    void (*waiting)(void *context, int change);
    void *context;
} lk_queue_work;

lk_status lk_queue_open(const lk_queue_work *work, lk_queue **out);
/* False: all threads are busy, and `most` wait already. */
bool lk_queue_give(lk_queue *queue, void *job);
/* Runs what waits, then ends. NULL is fine. */
void lk_queue_close(lk_queue *queue);

#endif
