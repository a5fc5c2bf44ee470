/* The reducer on MPI's allreduce (reducer_kind.h), for buffers in host memory. */
#include "collectives/backend.h"
#include "collectives/reducer_kind.h"
#include "collectives/reducer_thread.h"

static lk_status allreduce(lk_reducer *r, float *buffer, size_t count)
{
    r->group.backend->sum_f32(&r->group, buffer, count);
    return LK_OK;
}

static lk_status open_mpi(lk_reducer *r)
{
    return lk_reducer_thread_start(r, allreduce, (lk_reducer_thread **)&r->state);
}

static void close_mpi(lk_reducer *r)
{
    lk_reducer_thread_stop(r->state);
}

static lk_status sum(lk_reducer *r, int64_t number, float *buffer, size_t count, lk_mark *after)
{
    (void)after; /* the CPU has passed it */
    lk_reducer_thread_ask(r->state, number, buffer, count);
    return LK_OK;
}

static lk_status wait(lk_reducer *r)
{
    return lk_reducer_thread_wait(r->state);
}

static lk_status times(lk_reducer *r, double *exposed, double *busy)
{
    lk_reducer_thread_times(r->state, exposed, busy);
    return LK_OK;
}

const lk_reducer_kind lk_reducer_mpi = {.open = open_mpi, .close = close_mpi, .sum = sum, .wait = wait, .times = times};
