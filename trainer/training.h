/* A training in its parts, for those who run the loop themselves: train.c, and likeness bench. What it holds, how it is opened
 * and closed. One step is step.h, saving save.h.
 */
#ifndef LK_TRAINER_TRAINING_H
#define LK_TRAINER_TRAINING_H

#include "collectives/buckets.h"
#include "collectives/group.h"
#include "collectives/tree_sum.h"
#include "collectives/watchdog.h"
#include "configs/config.h"
#include "dataset/loader.h"
#include "dataset/shard.h"
#include "trainer/device.h"
#include "trainer/optimizer.h"
#include "trainer/order.h"
#include "trainer/placement.h"
#include "trainer/record/run.h"
#include "trainer/record/saver.h"
#include "trainer/task.h"

#include <stdbool.h>
#include <stdint.h>

/* Squares of the gradients, and of the statistics that travel with them. */
enum { LK_SUM_GRADIENTS, LK_SUM_STATISTICS, LK_SUM_LOSSES };

typedef struct lk_training {
    const lk_config *config;
    lk_process_group *group;
    char device[LK_DEVICE_TOLD]; /* where it computes (lk_choose_device) */
    lk_dataset *train_set, *validation_set;
    uint64_t data_hashes[2]; /* their contents */
    lk_task *task;
    lk_run *run;
    lk_buckets *buckets;
    float *gradients;          /* the buckets' buffer, on the device: laid out as the weights */
    lk_tree_accumulator *tree; /* sums micro-batches in a tree; NULL: one after the other */
    int micro_batch_number;    /* which of the step's own is in backward */
    lk_optimizer optimizer;
    lk_sums *sums; /* of a step: LK_SUM_... and, from LK_SUM_LOSSES on, LK_TASK_SUMS for each of its micro-batches */
    lk_training_order order;
    lk_loader *loader;
    lk_watchdog *dog;
    lk_saver *saver; /* rank 0 */
    char *config_yaml;
    lk_checkpoint_texts texts;
    int64_t total_steps;
    int64_t ended_at; /* the step with which the run that is resumed had ended; 0: it had not */
    lk_train_state state;
    bool resumed;           /* rank 0: from a checkpoint ... */
    bool own_checkpoint;    /* ... that stands in this run's folder */
    double saved_at;        /* clock of the last snapshot */
    lk_error deferred;      /* lk_training_defer */
    lk_placement placement; /* cores and threads */
} lk_training;

/* Opens data, task, run folder, buckets, optimizer; resumes as `resume` says (train.h); starts loader and watchdog. Every rank
 * must call; errors are everyone's. *finished: the run has ended before, there is nothing to do. */
lk_status lk_training_open(lk_training *t, const lk_config *config, lk_process_group *group, const char *resume, bool *finished);
void lk_training_close(lk_training *t);
/* Keeps a failure of this rank alone for the next exchange, which tells the others; the first one counts. */
void lk_training_defer(lk_training *t, lk_status status);
/* An exchange of nothing else: everyone's first failure that was deferred. Every rank must call. */
lk_status lk_training_agree(lk_training *t);

/* How many steps the configuration asks for. */
int64_t lk_training_length(const lk_config *config, const lk_training_order *order);

/* Whether the validation that belongs to this step has still to be done: behind some epochs, and at the end, which is also that
 * of a run that is made longer. */
bool lk_training_validation_due(const lk_training *t);

/* The buffers that a checkpoint holds, where training works on them. */
lk_training_buffers lk_training_live(lk_training *t);
/* The parts of it that others measure by themselves: the device of train.device for all tensors, with libtorch at its start
 * (lk_tensor_start; LK_DEVICE_TOLD bytes say which device), and how gradients travel there, but for `reproducible`. Every rank
 * must call the first. */
lk_status lk_training_start_device(const lk_config *config, lk_process_group *group, int threads, char told[LK_DEVICE_TOLD]);
lk_status lk_training_exchange(const lk_config *config, lk_buckets_options *out);

#endif
