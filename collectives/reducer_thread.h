/* The communication thread of a reducer whose sums the host does: what was asked for waits in line, and is done one after the
 * other beside whatever computes. Inside of collectives/ only.
 */
#ifndef LK_COLLECTIVES_REDUCER_THREAD_H
#define LK_COLLECTIVES_REDUCER_THREAD_H

#include "collectives/reducer.h"

typedef struct lk_reducer_thread lk_reducer_thread;

/* Sums `count` floats over the ranks, in place; returns when that is done. */
typedef lk_status lk_reducer_work(lk_reducer *reducer, float *buffer, size_t count);

lk_status lk_reducer_thread_start(lk_reducer *reducer, lk_reducer_work *work, lk_reducer_thread **out);
/* What is still in line is dropped. NULL is fine. */
void lk_reducer_thread_stop(lk_reducer_thread *thread);

void lk_reducer_thread_ask(lk_reducer_thread *thread, int64_t number, float *buffer, size_t count);
/* Waits until nothing is in line; the first failure since the start is told here. */
lk_status lk_reducer_thread_wait(lk_reducer_thread *thread);
/* lk_reducer_finish. */
void lk_reducer_thread_times(lk_reducer_thread *thread, double *exposed, double *busy);

#endif
