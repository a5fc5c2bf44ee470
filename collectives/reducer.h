/* The reducer: sums float buffers over ranks. It is the data plane of the collectives, gradients by the megabyte, in the memory
 * of a device; the process group (group.h) is the control plane beside it, a few bytes in host memory.
 *
 * What carries the sums is chosen once, by the device: on the CPU MPI's allreduce, or a fixed tree over MPI, which is the work
 * of a thread with a communicator of its own; on CUDA NCCL, on a stream of its own, with its allreduce or the same tree.
 *
 *     lk_reducer_open(group, device, (lk_reducer_options){.largest = n, .most = 8}, &reducer);
 *     each step:  lk_mark_record(mark, lk_device_stream(device));
 *                 lk_reducer_sum(reducer, 0, buffer, n, mark); asked for; what comes after the mark is no part of it
 *                 ...
 *                 lk_reducer_wait(reducer);                       what is computed from here on sees the sums
 */
#ifndef LK_COLLECTIVES_REDUCER_H
#define LK_COLLECTIVES_REDUCER_H

#include "base/device/device.h"
#include "base/error.h"
#include "collectives/flight_recorder.h"
#include "collectives/group.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lk_reducer lk_reducer;

/* What NCCL leaves to others: three loops over memory of a CUDA device, which are asked for on that stream. `narrow` rounds to
 * bfloat16 (base/bfloat.h), `widen` takes it back. */
typedef struct lk_reducer_kernels {
    lk_status (*add)(lk_device *device, void *stream, float *sum, const float *term, size_t count);
    lk_status (*narrow)(lk_device *device, void *stream, uint16_t *out, const float *in, size_t count);
    lk_status (*widen)(lk_device *device, void *stream, float *out, const uint16_t *in, size_t count);
} lk_reducer_kernels;

typedef struct lk_reducer_options {
    bool reproducible; /* sum in a fixed tree, every element as (r0+r1) + (r2+r3) ...: what tree_sum.h begins within a rank */
    bool bf16;         /* numbers travel as bfloat16, and each addition is rounded to it; not with `reproducible` */
    const lk_reducer_kernels *kernels; /* on CUDA, for reproducible and bf16; must outlive the reducer */
    size_t largest;                    /* floats of the largest buffer that will be summed */
    int most;                          /* sums that will be asked for between two waits */
} lk_reducer_options;

/* `group` is used during the call alone: the reducer owns a duplicate. `device` is where the buffers lie and must outlive it.
 * LK_BAD_CONFIG if `reproducible` does not go with the number of ranks, which must then be a power of two, or with bf16. Every
 * rank must call with the same arguments, and gets the same status. */
lk_status lk_reducer_open(lk_process_group *group, lk_device *device, lk_reducer_options options, lk_reducer **out);
/* Not between sum and wait. NULL is fine. Every rank must call. */
void lk_reducer_close(lk_reducer *reducer);

/* Asks for the sum over ranks of `count` floats at `buffer` of the device's memory, in place, and returns at once. It begins
 * when the device has passed `after`. The buffer belongs to the reducer until the wait. `bucket` is a name for people, in the
 * flight recorder. Sums are done in the order of asking, which must be the same on every rank, and are the same bits on every
 * rank. One thread at a time. Every rank must call. */
lk_status lk_reducer_sum(lk_reducer *reducer, int bucket, float *buffer, size_t count, lk_mark *after);
/* What the device's stream is asked for from here on comes after all sums so far; on the CPU that means waiting for them. A
 * failure of any of them is told here. Every rank must call. */
lk_status lk_reducer_wait(lk_reducer *reducer);
/* Here the host waits for the sums before the last wait, and is told whether they are good: they may have come to an end
 * because one failed or was aborted, so nothing that outlives the step may be made of them before. *exposed: seconds for which
 * computing stood still in that wait; *busy: what the sums took. */
lk_status lk_reducer_finish(lk_reducer *reducer, double *exposed, double *busy);

/* For the watchdog's threads, beside all others. How far this rank is, */
void lk_reducer_where(lk_reducer *reducer, lk_flight_position *position);
/* whether a sum has failed by now, for whatever reason: then no sum will end any more, here or elsewhere; */
lk_status lk_reducer_poll(lk_reducer *reducer);
/* the last collectives, written to FOLDER/rank-N.jsonl (lk_flight_write), where the folder is made; */
lk_status lk_reducer_record(lk_reducer *reducer, const char *folder);
/* the end of sums under way, without their results. Nothing may be asked of the reducer any more; it is not closed. May block. */
void lk_reducer_abort(lk_reducer *reducer);

#endif
