/* Mixture: which samples a step takes out of several data sets. Without shares all sets are one, and each sample comes
 * once an epoch. With shares a set gives that part of each epoch's samples, whatever its size: small sets are gone
 * through more often than large ones, each sample as often as any other of its set.
 *
 * The sequence follows from (seed, epoch, position) alone, with no memory a sample, so that it is the same for any
 * number of ranks and after a resume.
 *
 * With `block` set (dataset/sampler.h) runs of neighbours come close to each other. With shares the runs of an epoch's slots and
 * those of a set do not begin at the same samples: a run of slots touches two or three of a set's.
 */
#ifndef LK_DATASET_MIXTURE_H
#define LK_DATASET_MIXTURE_H

#include "base/error.h"
#include "dataset/sampler.h"

#include <stdbool.h>
#include <stdint.h>

enum { LK_MIXTURE_PARTS = 16 };

typedef struct lk_mixture_part {
    int64_t first, count; /* its samples in the joint data set */
    int64_t slots;        /* of an epoch */
} lk_mixture_part;

typedef struct lk_mixture {
    int64_t count; /* samples of an epoch: those of all sets */
    uint64_t seed;
    bool shuffle;
    int block, batch; /* for the caller to set, as in lk_sampler; 0: none */
    int parts;        /* 0: no shares */
    lk_mixture_part part[LK_MIXTURE_PARTS];
} lk_mixture;

/* `counts` [parts]: the sets' sizes in their order; `shares` [parts] positive, relative to each other, or NULL. LK_BAD_CONFIG if
 * a share is so small that its set would give no sample. */
lk_status lk_mixture_make(int parts, const int64_t *counts, const double *shares, uint64_t seed, bool shuffle, lk_mixture *out);

/* The sample at `position` (0 .. count-1) of `epoch`, in the joint data set. */
int64_t lk_mixture_at(const lk_mixture *mixture, int64_t epoch, int64_t position);

#endif
