/* Internal to trainer/tensor/group_norm*.c: the loops of group norm, compiled for more than one instruction set. Sums and
 * products are taken in the same order and never fused, so that the digits are the same whichever is chosen. */
#ifndef LK_TRAINER_TENSOR_GROUP_NORM_LOOPS_H
#define LK_TRAINER_TENSOR_GROUP_NORM_LOOPS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct lk_norm_job {
    const void *x, *dy;
    void *out; /* y, or dx */
    int64_t pixels, channels, groups;
    double eps;
    double *scale, *shift;     /* [channels] */
    double *mean, *rstd;       /* [samples, groups] */
    double *products, *totals; /* backward: [samples, channels], sums over pixels of dy x and of dy */
    bool *out_of_memory;
} lk_norm_job;

/* Computes samples begin..end-1 of the lk_norm_job that `context` is. */
typedef void lk_norm_loop(int64_t begin, int64_t end, void *context);

typedef struct lk_norm_loops {
    lk_norm_loop *forward_f32, *forward_f64, *forward_bf16;
    lk_norm_loop *backward_f32, *backward_f64, *backward_bf16;
} lk_norm_loops;

extern const lk_norm_loops lk_norm_loops_plain;  /* for what the whole program is compiled for (make ARCH=) */
extern const lk_norm_loops lk_norm_loops_avx512; /* x86-64-v4: AVX-512 F, BW, CD, DQ, VL */

/* The fastest that this CPU runs. */
const lk_norm_loops *lk_norm_loops_choose(void);

#endif
