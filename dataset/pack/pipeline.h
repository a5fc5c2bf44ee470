/* Pipeline: work on several threads whose results come out in the order in which it went in.
 *
 *     if (lk_pipeline_full(p))
 *         oldest = lk_pipeline_take(p);       // waits for it
 *     lk_pipeline_give(p, job);
 *
 * One thread gives and takes; `work` runs on the pipeline's own threads. A job is taken only when the pipeline is full or the
 * giver chooses so, never because it happened to be ready: so what the giver does, and in which order, depends on the jobs alone
 * and not on the number of threads.
 */
#ifndef LK_DATASET_PACK_PIPELINE_H
#define LK_DATASET_PACK_PIPELINE_H

#include "base/error.h"

#include <stdbool.h>

/* `worker` is 0 .. threads-1, for scratch memory. What goes wrong is kept in the job. */
typedef void lk_work_function(void *context, void *job, int worker);

typedef struct lk_pipeline lk_pipeline;
/* At most `depth` jobs are inside. The threads block all signals. */
lk_status lk_pipeline_start(int threads, int depth, lk_work_function *work, void *context, lk_pipeline **out);
bool lk_pipeline_full(const lk_pipeline *pipeline);
/* Must not be full. */
void lk_pipeline_give(lk_pipeline *pipeline, void *job);
/* The oldest job, finished; NULL if none is inside. */
void *lk_pipeline_take(lk_pipeline *pipeline);
/* Joins the threads; the caller has taken all jobs. NULL is fine. */
void lk_pipeline_stop(lk_pipeline *pipeline);

#endif
