/* The peak's part of `likeness bench`: what this machine computes at most while it runs, for other figures to be set beside. */
#ifndef LK_LAUNCH_BENCH_PEAK_H
#define LK_LAUNCH_BENCH_PEAK_H

#include "base/error.h"

typedef struct lk_peaks {
    int threads;
    double f32, bf16; /* trainer/kernels/peak.h, of all threads together */
} lk_peaks;

/* Sets the threads of libtorch's pool, too. */
lk_status lk_bench_peak(int threads, lk_peaks *out);

#endif
