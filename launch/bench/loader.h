/* The loader's part of `likeness bench`: how many samples a second it delivers, checksums verified, to a consumer that only
 * takes and releases batches. */
#ifndef LK_LAUNCH_BENCH_LOADER_H
#define LK_LAUNCH_BENCH_LOADER_H

#include "base/error.h"
#include "dataset/shard.h"

#include <stdbool.h>
#include <stdint.h>

/* Writes `count` samples of random pixels and labels (100 continuous, 8 groups) into shards under `folder`, which is made;
 * jpeg_quality as in lk_shard_create (random pixels hardly compress: smooth ones are written then). */
lk_status lk_bench_make_shards(const char *folder, int size, int64_t count, int jpeg_quality);

typedef struct lk_loader_plan {
    int batch, threads, prefetch;
    int block;      /* data.block */
    double seconds; /* about; not of a cold pass */
    bool cold;      /* one pass over the set, which the page cache has been made to forget */
} lk_loader_plan;

enum { LK_BENCH_MIXED = 256 }; /* samples of the step by which shuffling is judged */

typedef struct lk_loader_speed {
    int64_t samples; /* delivered within the time */
    double samples_per_s;
    double bytes_per_s;    /* of decoded pictures */
    double first_batch_ms; /* from the start of the threads to the first batch */
    double disk_share;     /* cold: bytes that came from the disk, for each byte of the pictures */
    /* How well it is shuffled, means of an epoch's steps of LK_BENCH_MIXED samples: */
    double runs; /* of `block` neighbours that a step has samples of */
    double met;  /* the share of its samples whose next neighbour in the set is of the step, too */
} lk_loader_speed;

/* Shuffled batches after one pass over the set that warms the page cache, or cold. */
lk_status lk_bench_loader(const lk_dataset *dataset, const lk_loader_plan *plan, lk_loader_speed *out);

#endif
