/* Internal to trainer/kernels/peak*.c: the loops, each in the file that is compiled for its instructions. */
#ifndef LK_TRAINER_KERNELS_PEAK_LOOPS_H
#define LK_TRAINER_KERNELS_PEAK_LOOPS_H

#include <stdint.h>

/* Sums under way at a time: more than any CPU needs to keep its units busy, and few enough for 16 registers. */
enum { LK_PEAK_SUMS = 12 };

/* numbers[0] and numbers[1] are multiplied; what came out is left in numbers[2], so that no compiler drops the work. Sums begin
 * with different numbers, or it would see that they are one. */
typedef void lk_peak_loop(int64_t rounds, float *numbers);

lk_peak_loop lk_peak_f32_avx2, lk_peak_f32_avx512, lk_peak_bf16_avx512;

#endif
