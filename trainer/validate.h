/* Validation: the mean losses over a whole data set, each sample exactly once. */
#ifndef LK_TRAINER_VALIDATE_H
#define LK_TRAINER_VALIDATE_H

#include "base/error.h"
#include "collectives/group.h"
#include "collectives/watchdog.h"
#include "dataset/shard.h"
#include "trainer/task.h"

typedef struct lk_validation {
    int batch_size, threads; /* threads that read */
    lk_process_group *group;
    lk_watchdog *dog; /* told of every batch; may be NULL */
    int64_t step;
} lk_validation;

/* Means over the set, the same on every rank; sums are taken in the order of the set's batches, so they do not depend on the
 * number of ranks. *stop: why some rank is to stop (stop.h) where that broke it off between two batches; there are no means then.
 * Every rank must call; a failure of one is everyone's. */
lk_status lk_validate(lk_task *task, const lk_dataset *dataset, const lk_validation *how, lk_losses *mean, int *stop);

/* Draws the first `count` samples of the set. Any rank may call, after a validation. */
lk_status lk_draw_samples(lk_task *task, const lk_dataset *dataset, int count, lk_image *out);

#endif
