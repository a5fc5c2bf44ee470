/* The reducer on MPI's allreduce (reducer_kind.h), for buffers in host memory. */
#include "base/bfloat.h"
#include "collectives/backend.h"
#include "collectives/reducer_kind.h"
#include "collectives/reducer_thread.h"

#include <stdlib.h>

static lk_status allreduce(lk_reducer *r, float *buffer, size_t count)
{
    uint16_t *narrow = r->state; /* [largest], what travels as bfloat16; NULL: float32 does */
    if (!narrow) {
        r->group.backend->sum_f32(&r->group, buffer, count);
        return LK_OK;
    }
    for (size_t i = 0; i < count; i++)
        narrow[i] = lk_float_to_bfloat(buffer[i]);
    r->group.backend->sum_bf16(&r->group, narrow, count);
    for (size_t i = 0; i < count; i++)
        buffer[i] = lk_bfloat_to_float(narrow[i]);
    return LK_OK;
}

static lk_status open_mpi(lk_reducer *r)
{
    if (r->options.bf16 && !(r->state = malloc(r->options.largest * sizeof(uint16_t) + 1)))
        return lk_fail(LK_INTERNAL, "out of memory for a bucket of %zu gradients", r->options.largest);
    return lk_reducer_thread_start(r, allreduce);
}

static void close_mpi(lk_reducer *r)
{
    lk_reducer_thread_stop(r);
    free(r->state);
}

const lk_reducer_kind lk_reducer_mpi = {.open = open_mpi,
                                        .close = close_mpi,
                                        .sum = lk_reducer_thread_sum,
                                        .wait = lk_reducer_thread_wait,
                                        .finish = lk_reducer_thread_finish};
