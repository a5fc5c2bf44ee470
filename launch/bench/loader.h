/* The loader's part of `likeness bench`: how many samples a second it delivers, checksums verified, to a consumer that only
 * takes and releases batches. */
#ifndef LK_LAUNCH_BENCH_LOADER_H
#define LK_LAUNCH_BENCH_LOADER_H

#include "base/error.h"
#include "dataset/shard.h"

#include <stdint.h>

/* Writes `count` samples of random pixels and labels (100 continuous, 8 groups) into shards under `folder`, which is made;
 * jpeg_quality as in lk_shard_create (random pixels hardly compress: smooth ones are written then). */
lk_status lk_bench_make_shards(const char *folder, int size, int64_t count, int jpeg_quality);

typedef struct lk_loader_speed {
    int64_t samples; /* delivered within the time */
    double samples_per_s;
    double bytes_per_s;    /* of decoded pictures */
    double first_batch_ms; /* from the start of the threads to the first batch */
} lk_loader_speed;

/* Shuffled batches for about `seconds`, after one pass over the set that warms the page cache. */
lk_status lk_bench_loader(const lk_dataset *dataset, int batch_size, int threads, int prefetch, double seconds,
                          lk_loader_speed *out);

#endif
