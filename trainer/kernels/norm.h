/* Group norm (Wu and He 2018) with the ReLU and the 2x2 pool behind it, in two readings of a map forward and two backward: a row
 * for each instruction set and format of numbers, with the same digits, as those of convolutions (kernels.h).
 *
 *     y = scale (x - mean) rstd + shift, mean and rstd over a group's pixels and channels
 *     dx = scale rstd dy + s x - s mean - rstd/m sum(scale dy),  s = (mean sum(scale dy) - sum(scale dy x)) rstd^3 / m
 *
 * Nothing between norm and pool is written: backward finds its way by y, and behind a pool by a byte for each of its numbers.
 */
#ifndef LK_TRAINER_KERNELS_NORM_H
#define LK_TRAINER_KERNELS_NORM_H

#include "trainer/kernels/kernels.h"

typedef struct lk_norm_shape {
    int batch, height, width, channels; /* of x */
    int groups;                         /* of channels side by side, all alike */
    bool bf16;                          /* x, y and their gradients are bfloat16; else float32 */
    bool relu;
    bool pool; /* behind relu only; height and width are even */
} lk_norm_shape;

typedef struct lk_norm_kernel {
    const char *instructions;
    unsigned needs; /* of lk_cpu */
    bool bf16;

    /* LK_INTERNAL where memory is short. mean and rstd [batch][groups] are kept for backward, and choice of a pool. */
    lk_status (*forward)(const lk_team *team, const lk_norm_shape *shape, const void *x, const float *scale, const float *shift,
                         double eps, void *y, uint8_t *choice, double *mean, double *rstd);
    lk_status (*backward)(const lk_team *team, const lk_norm_shape *shape, const lk_output_gradient *gradient, const void *x,
                          const float *scale, const double *mean, const double *rstd, void *dx, float *dscale, float *dshift);
} lk_norm_kernel;

/* The rows, in the order of preference; NULL past the last. */
const lk_norm_kernel *lk_norm_kernel_at(int index);
/* NULL: none suits. */
const lk_norm_kernel *lk_norm_kernel_choose(const lk_norm_shape *shape, unsigned cpu);

#endif
