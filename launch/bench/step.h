/* The training step's part of `likeness bench`: the real loop of trainer/training.h on random faces, against a decoder with
 * random weights. */
#ifndef LK_LAUNCH_BENCH_STEP_H
#define LK_LAUNCH_BENCH_STEP_H

#include "base/error.h"
#include "collectives/group.h"
#include "configs/config.h"

#include <stdint.h>

typedef struct lk_bench_plan {
    const char *folder; /* shards in train/, decoder.safetensors and the run land here; all ranks must see it */
    const char *config; /* NULL: the demo's encoder in float32, 16 faces a rank */
    const char *const *sets;
    int set_count;
    int steps; /* timed, after two that warm up */
} lk_bench_plan;

typedef struct lk_step_speed {
    int size, ranks, threads, global_batch, micro_batch;
    double width, decoder_width;
    const char *norm, *precision;
    double median_ms, best_ms, samples_per_s;
    double cpu_ms; /* of the median step by this: computing time of all its threads, which others on the machine change less */
    int64_t page_faults;                /* at most in a timed step */
    double data_wait_share, exposed_ms; /* of the median step: waiting for data, exchange that backward did not hide */
    double first_step_s; /* from the start of the process to the end of the first step, less the making of the faces */
    double peak_mb;      /* greatest resident memory of a rank so far, 2^20 bytes */
} lk_step_speed;

/* The plan's configuration, with its data, weights and run in the plan's folder. */
lk_status lk_bench_config(const lk_bench_plan *plan, int ranks, lk_config **out);

/* Every rank must call; all get the same numbers of time and memory, those of the slowest and largest rank. */
lk_status lk_bench_step(lk_process_group *group, const lk_bench_plan *plan, lk_step_speed *out);

#endif
