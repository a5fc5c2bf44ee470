/* The training loop: datasets -> batches -> forward, backward, gradients summed over ranks -> update; validation, metrics,
 * pictures, checkpoints, weights at the end. docs/architecture.md follows a sample through it.
 */
#ifndef LK_TRAINER_TRAIN_H
#define LK_TRAINER_TRAIN_H

#include "base/error.h"
#include "collectives/group.h"
#include "configs/config.h"

/* Trains the stage of the configuration into config->run.dir. `resume`: "auto" goes on from the newest valid checkpoint, starts
 * fresh where the run never had one, and does nothing where the run is done; "never" refuses a folder that holds a run; else the
 * path of a checkpoint. LK_REQUEUE: stopped on request (a signal of run.signals, train.max_minutes) with everything saved.
 * Every rank must call. Errors are the same on all ranks. */
lk_status lk_train(const lk_config *config, lk_process_group *group, const char *resume);

#endif
