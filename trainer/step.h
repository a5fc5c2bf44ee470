/* One step of a training: micro-batches, gradients summed over ranks, update. */
#ifndef LK_TRAINER_STEP_H
#define LK_TRAINER_STEP_H

#include "base/error.h"
#include "trainer/training.h"

typedef struct lk_step_report {
    lk_losses mean;
    double lr, gradient_norm;
    double seconds, data_wait, exposed;
    int stop; /* a signal that some rank got, or -1: its time is up */
} lk_step_report;

/* Every rank must call; errors are everyone's. */
lk_status lk_training_step(lk_training *t, lk_step_report *report);

#endif
