/* Validation: the mean losses over a whole data set, each sample exactly once. */
#ifndef LK_TRAINER_VALIDATE_H
#define LK_TRAINER_VALIDATE_H

#include "base/error.h"
#include "collectives/group.h"
#include "dataset/shard.h"
#include "trainer/task.h"

/* Means over the set, the same on every rank; sums are taken in the order of the set's batches, so they do not depend on the
 * number of ranks. Every rank must call; a failure of one is everyone's. */
lk_status lk_validate(lk_task *task, const lk_dataset *dataset, int batch_size, int threads, lk_process_group *group,
                      lk_losses *mean);

/* Draws the first `count` samples of the set into a PNG. Rank 0 alone calls, after a validation. */
lk_status lk_draw_samples(lk_task *task, const lk_dataset *dataset, int count, const char *path);

#endif
