/* The reducer on MPI's allreduce (reducer_kind.h), for buffers in host memory. */
#include "base/bfloat.h"
#include "collectives/backend.h"
#include "collectives/reducer_kind.h"
#include "collectives/reducer_thread.h"

#include <stdlib.h>

typedef struct carrier {
    lk_reducer_thread *thread;
    uint16_t *narrow; /* [largest], what travels as bfloat16; NULL: float32 does */
} carrier;

static lk_status allreduce(lk_reducer *r, float *buffer, size_t count)
{
    const carrier *c = r->state;
    if (!c->narrow) {
        r->group.backend->sum_f32(&r->group, buffer, count);
        return LK_OK;
    }
    for (size_t i = 0; i < count; i++)
        c->narrow[i] = lk_float_to_bfloat(buffer[i]);
    r->group.backend->sum_bf16(&r->group, c->narrow, count);
    for (size_t i = 0; i < count; i++)
        buffer[i] = lk_bfloat_to_float(c->narrow[i]);
    return LK_OK;
}

static lk_status open_mpi(lk_reducer *r)
{
    carrier *c = r->state = calloc(1, sizeof *c);
    if (!c || (r->options.bf16 && !(c->narrow = malloc(r->options.largest * sizeof *c->narrow + 1))))
        return lk_fail(LK_INTERNAL, "out of memory for a bucket of %zu gradients", r->options.largest);
    return lk_reducer_thread_start(r, allreduce, &c->thread);
}

static void close_mpi(lk_reducer *r)
{
    carrier *c = r->state;
    if (!c)
        return;
    lk_reducer_thread_stop(c->thread);
    free(c->narrow);
    free(c);
}

static lk_status sum(lk_reducer *r, int64_t number, float *buffer, size_t count, lk_mark *after)
{
    const carrier *c = r->state;
    (void)after; /* the CPU has passed it */
    lk_reducer_thread_ask(c->thread, number, buffer, count);
    return LK_OK;
}

static lk_status wait(lk_reducer *r)
{
    const carrier *c = r->state;
    return lk_reducer_thread_wait(c->thread);
}

static lk_status finish(lk_reducer *r, double *exposed, double *busy)
{
    const carrier *c = r->state;
    lk_reducer_thread_times(c->thread, exposed, busy);
    return LK_OK;
}

const lk_reducer_kind lk_reducer_mpi = {.open = open_mpi, .close = close_mpi, .sum = sum, .wait = wait, .finish = finish};
