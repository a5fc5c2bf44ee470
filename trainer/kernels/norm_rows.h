/* Internal to trainer/kernels/norm*.c: the rows of norm.c's table. */
#ifndef LK_TRAINER_KERNELS_NORM_ROWS_H
#define LK_TRAINER_KERNELS_NORM_ROWS_H

#include "trainer/kernels/norm.h"

extern const lk_norm_kernel lk_norm_avx2, lk_norm_avx512, lk_norm_bf16_avx2, lk_norm_bf16_avx512;

#endif
