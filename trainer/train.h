/* The training loop: datasets -> batches -> forward, backward, gradients summed over ranks -> update; validation, metrics,
 * pictures, weights at the end. docs/architecture.md follows a sample through it.
 */
#ifndef LK_TRAINER_TRAIN_H
#define LK_TRAINER_TRAIN_H

#include "base/error.h"
#include "collectives/group.h"
#include "configs/config.h"

/* Trains the stage of the configuration into config->run.dir. Every rank must call. Errors are the same on all ranks. */
lk_status lk_train(const lk_config *config, lk_process_group *group);

#endif
