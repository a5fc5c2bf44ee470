/* Gradient buckets: sums gradients over ranks while backward still runs.
 *
 * The gradients of a model lie in one float buffer, in the order in which backward finishes them; the buffer is cut at
 * parameter boundaries into buckets of about bucket_bytes. When the last gradient of a bucket is ready, a communication thread
 * with its own communicator reduces it, in the same order on every rank.
 *
 *     lk_buckets_create(group, sizes, n, bucket_bytes, &buckets);
 *     float *gradients = lk_buckets_data(buckets);
 *     each step:  lk_buckets_begin(buckets);
 *                 ... backward writes gradient i, then lk_buckets_ready(buckets, i) ... (each i once, any order)
 *                 lk_buckets_wait(buckets, &exposed_seconds);
 */
#ifndef LK_COLLECTIVES_BUCKETS_H
#define LK_COLLECTIVES_BUCKETS_H

#include "base/error.h"
#include "collectives/group.h"

#include <stddef.h>

typedef struct lk_buckets lk_buckets;

/* sizes[i]: floats of gradient i. Every rank must call with the same arguments. */
lk_status lk_buckets_create(lk_process_group *group, const size_t *sizes, int count, size_t bucket_bytes, lk_buckets **out);
void lk_buckets_free(lk_buckets *buckets); /* every rank must call */

/* The whole buffer, and where gradient i begins in it. */
float *lk_buckets_data(lk_buckets *buckets);
size_t lk_buckets_total(const lk_buckets *buckets);
float *lk_buckets_gradient(lk_buckets *buckets, int i);
int lk_buckets_count(const lk_buckets *buckets); /* how many buckets it was cut into */

/* Opens a step. The buffer belongs to the caller until each gradient is declared ready; from then to the end of wait it
 * belongs to the communication thread. Every rank must call begin, all of ready, and wait. */
void lk_buckets_begin(lk_buckets *buckets);
void lk_buckets_ready(lk_buckets *buckets, int i);
/* Waits until all buckets hold the sum over ranks. *exposed: seconds that this call waited, *busy: seconds the
 * communication thread spent reducing in this step (either may be NULL). */
lk_status lk_buckets_wait(lk_buckets *buckets, double *exposed, double *busy);

#endif
