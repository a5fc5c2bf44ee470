/* Which samples a rank's batches hold. Training: global batch g of an epoch is positions g*B .. (g+1)*B-1 of the epoch's
 * mixture; rank r takes the r-th contiguous slice of it, cut into micro-batches. Validation: batches of fixed size over the
 * whole set in order, rank r takes a contiguous run of batches, so every sample is seen exactly once and batch boundaries do not
 * depend on the number of ranks.
 */
#ifndef LK_TRAINER_ORDER_H
#define LK_TRAINER_ORDER_H

#include "base/error.h"
#include "configs/config.h"
#include "dataset/mixture.h"
#include "dataset/shard.h"

#include <stdint.h>

typedef struct lk_training_order {
    lk_mixture mixture;
    int global_batch, micro_batch;
    int rank, ranks;
    int64_t steps_per_epoch; /* whole global batches: the tail of an epoch is left out */
    int accumulation;        /* micro-batches a rank takes in one step */
} lk_training_order;

/* lk_order_functions for the loader; batch `number` is micro-batch number % accumulation of step number / accumulation. */
int lk_training_indices(const void *order, int64_t number, int batch_size, int64_t *indices);
int64_t lk_training_epoch(const void *order, int64_t number); /* lk_epoch_function */

typedef struct lk_validation_order {
    int64_t count;      /* samples in the set */
    int64_t first, end; /* this rank's batches */
    int64_t batches;    /* in all */
} lk_validation_order;

lk_validation_order lk_validation_order_make(int64_t count, int batch_size, int rank, int ranks);
int lk_validation_batch(const void *order, int64_t number, int batch_size, int64_t *indices);

/* Opens the folders of a data.* key, or, unless `staged` is NULL, their copies in that stage (dataset/stage.h), in which the set
 * has the key's last word for its name. */
lk_status lk_open_configured(const lk_paths *paths, const char *staged, const char *name, lk_dataset **out);

#endif
