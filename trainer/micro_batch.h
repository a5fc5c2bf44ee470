/* train.micro_batch: auto. */
#ifndef LK_TRAINER_MICRO_BATCH_H
#define LK_TRAINER_MICRO_BATCH_H

#include "configs/config.h"

#include <stddef.h>

/* How many samples a rank of so many takes at once: the largest divisor of its share of the global batch, which must be a whole
 * number, that fits. On the CPU (memory 0) at most 16 fit: larger ones are no faster. On a GPU with so many bytes of its own, as
 * many as an estimate of what a sample keeps for backward leaves room for: small micro-batches cost a factor of two there, and
 * the estimate is on the safe side by half. It depends on the card, not on what else is on it, so that a resumed run takes the
 * same. */
int lk_choose_micro_batch(const lk_config *config, int ranks, size_t memory);

#endif
