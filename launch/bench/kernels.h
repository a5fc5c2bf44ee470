/* The kernels' part of `likeness bench`: every convolution of both models, by every kernel that suits it and by libtorch's
 * operators, forward and both gradients. */
#ifndef LK_LAUNCH_BENCH_KERNELS_H
#define LK_LAUNCH_BENCH_KERNELS_H

#include "base/error.h"
#include "configs/config.h"
#include "launch/bench/peak.h"

#include <stdbool.h>

/* One layer, in one direction, by one way of computing it. */
typedef struct lk_kernel_speed {
    const char *layer; /* the name of its weights; layers of the same shape are told once */
    int layers;        /* how many there are of that shape */
    const char *precision;
    int batch, size, in, out; /* the input's height and width, and channels */
    bool transposed, relu, pool;
    const char *direction;    /* "forward", "data gradient", "weight gradient" */
    const char *kernel;       /* "torch", or the name of ours */
    const char *instructions; /* ours: what it is compiled for; libtorch's: "" */
    bool chosen;              /* what training takes */
    double ms;                /* the best of some */
    double gflops;            /* counted as sums and products of the convolution as it is written down */
    double share;             /* of the measured peak; ways that need fewer products may exceed 1 */
    double error;             /* norm of the difference to float64's result, of the norm of that */
} lk_kernel_speed;

/* The texts live as long as the call. */
typedef void lk_kernel_tell(const lk_kernel_speed *row, void *context);

/* The layers of the configuration's models, at its micro-batch and precision; NULL: those of full size (128 px, width 1, batch 8)
 * and of the demo (64 px, width 1/4, batch 16), in float32 and bfloat16. `peaks` as lk_bench_peak() measured them. */
lk_status lk_bench_kernels(const lk_config *config, const lk_peaks *peaks, lk_kernel_tell *tell, void *context);

#endif
