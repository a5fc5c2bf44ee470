/* What this CPU can do at most, measured: products and sums out of registers, which no memory slows down. What a kernel reaches
 * is told as a share of it (likeness bench). */
#ifndef LK_TRAINER_KERNELS_PEAK_H
#define LK_TRAINER_KERNELS_PEAK_H

#include "trainer/kernels/team.h"

/* Of float32 by fused products and sums; of bfloat16 by AVX512_BF16's dot products (AMX has tiles, which reach more). */
typedef enum lk_peak_kind { LK_PEAK_F32, LK_PEAK_BF16 } lk_peak_kind;

/* On all threads of the team: 1e9 products and sums a second, the best of a few tenths of a second. 0: the CPU, or what
 * lk_cpu_detect() is allowed to see of it, has no such instructions. */
double lk_peak_gflops(const lk_team *team, lk_peak_kind kind);

#endif
