/* The communication thread of a reducer whose sums the host does: what was asked for waits in line, and is done one after the
 * other beside whatever computes. Inside of collectives/ only.
 */
#ifndef LK_COLLECTIVES_REDUCER_THREAD_H
#define LK_COLLECTIVES_REDUCER_THREAD_H

#include "collectives/reducer.h"

/* Sums `count` floats over the ranks, in place; returns when that is done. */
typedef lk_status lk_reducer_work(lk_reducer *reducer, float *buffer, size_t count);

/* Sets reducer->thread. */
lk_status lk_reducer_thread_start(lk_reducer *reducer, lk_reducer_work *work);
/* What is still in line is dropped. Also where the start failed. */
void lk_reducer_thread_stop(lk_reducer *reducer);

/* The kind's own (reducer_kind.h). */
lk_status lk_reducer_thread_sum(lk_reducer *reducer, int64_t number, float *buffer, size_t count, lk_mark *after);
lk_status lk_reducer_thread_wait(lk_reducer *reducer);
lk_status lk_reducer_thread_finish(lk_reducer *reducer, double *exposed, double *busy);

#endif
