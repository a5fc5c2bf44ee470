/* Speed of the exchange of gradients. */
#ifndef LK_LAUNCH_BENCH_COLLECTIVES_H
#define LK_LAUNCH_BENCH_COLLECTIVES_H

#include "base/error.h"
#include "collectives/group.h"

#include <stddef.h>

/* Sums `bytes` of gradients in buckets of `bucket_bytes`, `repeats` times each (the median counts), and prints on rank 0, one
 * line for MPI's allreduce and one for the reproducible tree (where the number of ranks allows it):
 *
 * - milliseconds of the exchange by itself, and GB/s of gradients;
 * - compute: milliseconds of arithmetic by itself, as much as the exchange takes; together: both, with gradients becoming ready
 *   along the arithmetic as in backward; hidden: the share of the exchange that cost no time, 1 - (together - compute)/exchange.
 *
 * The arithmetic is one thread of each rank. With fewer cores than two a rank nothing can be hidden. Every rank must call. */
lk_status lk_bench_collectives(lk_process_group *group, size_t bytes, size_t bucket_bytes, int repeats);

#endif
