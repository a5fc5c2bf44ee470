/* The reducer: sums float buffers over ranks. It is the data plane of the collectives, gradients by the megabyte, in the memory of
 * a device; the process group (group.h) is the control plane beside it, a few bytes in host memory.
 *
 * What carries the sums is chosen once: MPI's allreduce, or a fixed tree over MPI. Both are the work of a thread with a
 * communicator of its own.
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

typedef struct lk_reducer lk_reducer;

typedef struct lk_reducer_options {
    bool reproducible; /* sum in a fixed tree, every element as (r0+r1) + (r2+r3) ...: what tree_sum.h begins within a rank */
    bool bf16;         /* numbers travel as bfloat16, and each addition is rounded to it; not with `reproducible` */
    size_t largest;    /* floats of the largest buffer that will be summed */
    int most;          /* sums that will be asked for between two waits */
} lk_reducer_options;

/* `group` is used during the call alone: the reducer owns a duplicate. `device` is where the buffers lie and must outlive it.
 * LK_BAD_CONFIG if `reproducible` does not go with the number of ranks, which must then be a power of two, or with bf16. Every rank must call
 * with the same arguments, and gets the same status. */
lk_status lk_reducer_open(lk_process_group *group, lk_device *device, lk_reducer_options options, lk_reducer **out);
/* Not between sum and wait. NULL is fine. Every rank must call. */
void lk_reducer_close(lk_reducer *reducer);

/* Asks for the sum over ranks of `count` floats at `buffer` of the device's memory, in place, and returns at once. It begins when
 * the device has passed `after`. The buffer belongs to the reducer until the wait. `bucket` is a name for
 * people, in the flight recorder. Sums are done in the order of asking, which must be the same on every rank, and are the same bits
 * on every rank. One thread at a time. Every rank must call. */
lk_status lk_reducer_sum(lk_reducer *reducer, int bucket, float *buffer, size_t count, lk_mark *after);
/* What the device's stream is asked for from here on comes after all sums so far; on the CPU that means waiting for them. A
 * failure of any of them is told here. Every rank must call. */
lk_status lk_reducer_wait(lk_reducer *reducer);
/* Of the sums between the last two waits: *exposed, the seconds for which computing stood still in the last one; *busy, what the
 * sums took. */
lk_status lk_reducer_times(lk_reducer *reducer, double *exposed, double *busy);

/* For the watchdog's thread, beside all others. How far this rank is; */
void lk_reducer_where(lk_reducer *reducer, lk_flight_position *position);
/* and its last collectives, written to FOLDER/rank-N.jsonl (lk_flight_write). The folder is made. */
lk_status lk_reducer_record(lk_reducer *reducer, const char *folder);

#endif
