/* One predictor for many threads: what waits at the same time goes through the networks together.
 *
 * The predictor belongs to one thread of its own. It takes the faces that wait, up to LK_BATCH_MOST, computes them in one pass,
 * and hands the results out; those who came meanwhile are the next batch. So a single request waits for nothing, and under load
 * a pass is shared by as many as wait.
 */
#ifndef LK_LAUNCH_SERVE_BATCH_H
#define LK_LAUNCH_SERVE_BATCH_H

#include "base/error.h"
#include "launch/serve/counts.h"
#include "trainer/evaluate/predictor.h"

enum { LK_BATCH_MOST = 16 };

typedef struct lk_batch lk_batch;

/* `predictor` and `counts` must outlive it; `threads` is libtorch's. */
lk_status lk_batch_open(lk_predictor *predictor, int threads, lk_counts *counts, lk_batch **out);
/* After the last lk_batch_predict has returned. NULL is fine. */
void lk_batch_close(lk_batch *batch);

/* One face: crop [S,S,3] -> its parameters as lk_predict gives them, and D(p) into decoded [S,S,3] unless that is NULL. Waits
 * until it is done. Any number of threads. */
lk_status lk_batch_predict(lk_batch *batch, const uint8_t *crop, float *continuous, uint8_t *discrete, float *certainty,
                           uint8_t *decoded);

#endif
