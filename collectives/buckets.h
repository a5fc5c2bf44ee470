/* Gradient buckets: sums gradients over ranks while backward still runs.
 *
 * The gradients of a model lie in one float buffer of the device, in the order in which backward finishes them; the buffer is cut
 * at parameter boundaries into buckets of about bucket_bytes. When the last gradient of a bucket is ready, a reducer (reducer.h)
 * is asked for its sum. It is asked in the order 0, 1, 2 ... on every rank, whatever the order of the calls to ready: a late
 * gradient of bucket 0 holds up the others. On one rank there is nothing to do and, unless `alone`, no reducer.
 *
 *     lk_buckets_create(group, device, sizes, n, (lk_buckets_options){.bucket_bytes = 25 << 20}, &buckets);
 *     float *gradients = lk_buckets_data(buckets);
 *     each step:  lk_buckets_begin(buckets);
 *                 ... backward writes gradient i, then lk_buckets_ready(buckets, i) ... (each i once, any order)
 *                 lk_buckets_wait(buckets);
 *                 ... results of the step are asked for and waited for ...
 *                 lk_buckets_finish(buckets, &exposed, &busy);
 */
#ifndef LK_COLLECTIVES_BUCKETS_H
#define LK_COLLECTIVES_BUCKETS_H

#include "base/device/device.h"
#include "base/error.h"
#include "collectives/group.h"
#include "collectives/reducer.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct lk_buckets lk_buckets;

typedef struct lk_buckets_options {
    size_t bucket_bytes;               /* a bucket holds whole gradients, at most this much unless one alone is larger */
    bool reproducible;                 /* sum in a fixed tree (tree_sum.h); the number of ranks must be a power of two */
    bool alone;                        /* also on one rank, where there is nothing to sum: to measure what it costs */
    bool bf16;                         /* what travels is bfloat16 (reducer.h) */
    const lk_reducer_kernels *kernels; /* of a CUDA device (reducer.h) */
} lk_buckets_options;

/* sizes[i]: floats of gradient i, in the order in which backward finishes them. `group` is only used during the call; `device`
 * is where the buffer lies, and must outlive the buckets. The buffer starts as zeros. LK_BAD_CONFIG if `reproducible` does not
 * go with the number of ranks. Every rank must call with the same arguments. */
lk_status lk_buckets_create(lk_process_group *group, lk_device *device, const size_t *sizes, int count,
                            lk_buckets_options options, lk_buckets **out);
/* Not between begin and wait. NULL is fine. Every rank must call. */
void lk_buckets_free(lk_buckets *buckets);

/* The whole buffer, in the device's memory, and where gradient i begins in it. */
float *lk_buckets_data(lk_buckets *buckets);
size_t lk_buckets_total(const lk_buckets *buckets);
float *lk_buckets_gradient(lk_buckets *buckets, int i);
int lk_buckets_count(const lk_buckets *buckets);     /* how many buckets it was cut into */
lk_reducer *lk_buckets_reducer(lk_buckets *buckets); /* for the watchdog; NULL on one rank */

/* Opens a step. The buffer belongs to the caller until each gradient is declared ready, which means: asked for on the device's
 * stream. From then to the end of wait it belongs to the reducer. Every rank must call begin, then ready for each gradient once,
 * then wait. ready may be called from any thread; begin and wait from one. A failure of ready is told by wait. */
void lk_buckets_begin(lk_buckets *buckets);
void lk_buckets_ready(lk_buckets *buckets, int i);
/* What the device's stream is asked for from here on sees the sums over ranks; on the CPU that means waiting for them. */
lk_status lk_buckets_wait(lk_buckets *buckets);
/* Here the host waits for the sums, and is told whether they are good (lk_reducer_finish); so call it when the step's results
 * were waited for, and before anything is made of them. Seconds: *exposed, for which computing stood still in wait; *busy, what
 * the sums took. */
lk_status lk_buckets_finish(lk_buckets *buckets, double *exposed, double *busy);

#endif
