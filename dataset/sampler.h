/* Sampler: which samples a step takes. One permutation per (seed, epoch), computed by a Feistel network with cycle walking
 * (no memory per sample), independent of the number of ranks: global batch g of an epoch is always the same samples in the
 * same order, and ranks take slices of it.
 *
 * With `block` N > 1 the samples of a run of N neighbours come close to each other, so that a disk is asked for runs and not for
 * single samples. Three permutations of the epoch's positions follow each other, each a function of the position alone:
 *
 *     lanes     a global batch is cut into up to LK_SAMPLER_LANES equal parts. Lane l of all batches in a row goes through the
 *               l-th part of the epoch's runs: a rank has whole lanes, so that hosts do not read each other's runs.
 *     windows   `window` runs of a lane at a time are mixed, sample by sample. Lanes begin their windows one after the other, so
 *               that the disk has as much to do in one step as in the next.
 *     runs      stand in random order; the last, shorter one of the set anywhere between them.
 *
 * After MosaicML Streaming's elastic determinism (canonical nodes: here lanes) and block shuffles.
 */
#ifndef LK_DATASET_SAMPLER_H
#define LK_DATASET_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

enum { LK_SAMPLER_LANES = 64, LK_SAMPLER_WINDOW = 16 };

typedef struct lk_sampler {
    int64_t count;
    uint64_t seed;
    bool shuffle; /* false: sample i stands at position i in every epoch */
    int block;    /* neighbours of a run; 0 and 1: every sample goes its own way, and what is below means nothing */
    int window;   /* runs that are mixed; 0: runs stay as they are */
    int batch;    /* samples of a step, for the lanes; 0: one lane */
} lk_sampler;

/* The sample at `position` (0 .. count-1) of `epoch`. */
int64_t lk_sampler_at(const lk_sampler *sampler, int64_t epoch, int64_t position);

#endif
