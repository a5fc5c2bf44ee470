/* Speed of the exchange of gradients. */
#ifndef LK_LAUNCH_BENCH_COLLECTIVES_H
#define LK_LAUNCH_BENCH_COLLECTIVES_H

#include "base/error.h"
#include "collectives/buckets.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct lk_exchange_plan {
    lk_device *device;          /* whose sums: MPI's on the CPU, NCCL's on a GPU */
    size_t bytes;               /* of gradients */
    int repeats;                /* the median counts; at most 101 */
    double patience;            /* seconds of an exchange after which the process ends (collectives/deadline.h); 0: never */
    lk_buckets_options options; /* but for `reproducible` */
} lk_exchange_plan;

typedef struct lk_exchange_speed {
    bool reproducible;  /* the tree; else an allreduce */
    double exchange_ms; /* by itself */
    double compute_ms;  /* arithmetic by itself, as much as the exchange takes */
    double together_ms; /* both, gradients becoming ready along the arithmetic as in backward */
    double hidden;      /* the share of the exchange that cost no time: 1 - (together - compute) / exchange */
} lk_exchange_speed;

/* Sums gradients through an allreduce and, where the number of ranks is a power of two and float32 travels, through the
 * reproducible tree. *count of out[2] are filled in: none on one rank, which exchanges nothing unless options.alone. The
 * arithmetic is one thread of each rank, with fewer cores than two a rank nothing can be hidden; where tensors are on a GPU it
 * is passes over memory there. Every rank must call. */
lk_status lk_bench_collectives(lk_process_group *group, const lk_exchange_plan *plan, lk_exchange_speed out[2], int *count);

#endif
