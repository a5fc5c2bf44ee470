/* Sampler: which samples a step takes. One permutation per (seed, epoch), computed by a Feistel network with cycle walking
 * (no memory per sample), independent of the number of ranks: global batch g of an epoch is always the same samples in the
 * same order, and ranks take slices of it.
 */
#ifndef LK_DATASET_SAMPLER_H
#define LK_DATASET_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct lk_sampler {
    int64_t count;
    uint64_t seed;
    bool shuffle; /* false: sample i stands at position i in every epoch */
} lk_sampler;

/* The sample at `position` (0 .. count-1) of `epoch`. */
int64_t lk_sampler_at(const lk_sampler *sampler, int64_t epoch, int64_t position);

#endif
