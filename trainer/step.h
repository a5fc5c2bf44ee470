/* One step of a training: micro-batches, gradients summed over ranks, update. */
#ifndef LK_TRAINER_STEP_H
#define LK_TRAINER_STEP_H

#include "base/error.h"
#include "trainer/training.h"

typedef struct lk_step_report {
    lk_losses mean;
    double lr, gradient_norm;
    double seconds, data_wait, exposed;
    int stop; /* why some rank is to stop (stop.h), or 0 */
} lk_step_report;

/* Every rank must call. Errors are everyone's; one in the update of a single rank is told by the next exchange
 * (lk_training_defer). */
lk_status lk_training_step(lk_training *t, lk_step_report *report);

/* What train.nonfinite says to `what` of this step, which is not finite: LK_OK if it is left out, counted and told; else
 * LK_BAD_DATA. All ranks decide the same. */
lk_status lk_training_skip(lk_training *t, int64_t step, const char *what);

#endif
