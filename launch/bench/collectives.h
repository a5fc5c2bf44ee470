/* Speed of the exchange of gradients. */
#ifndef LK_LAUNCH_BENCH_COLLECTIVES_H
#define LK_LAUNCH_BENCH_COLLECTIVES_H

#include "base/error.h"
#include "collectives/group.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct lk_exchange_speed {
    bool reproducible;  /* the tree; else MPI's allreduce */
    double exchange_ms; /* by itself */
    double compute_ms;  /* arithmetic by itself, as much as the exchange takes */
    double together_ms; /* both, gradients becoming ready along the arithmetic as in backward */
    double hidden;      /* the share of the exchange that cost no time: 1 - (together - compute) / exchange */
} lk_exchange_speed;

/* Sums `bytes` of gradients in buckets of `bucket_bytes`, `repeats` times each (the median counts; at most 101), through
 * MPI's allreduce and, where the number of ranks is a power of two, through the reproducible tree. *count of out[2] are filled
 * in: none on one rank, which exchanges nothing. The arithmetic is one thread of each rank; with fewer cores than two a rank
 * nothing can be hidden. Every rank must call. */
lk_status lk_bench_collectives(lk_process_group *group, size_t bytes, size_t bucket_bytes, int repeats, lk_exchange_speed out[2],
                               int *count);

#endif
