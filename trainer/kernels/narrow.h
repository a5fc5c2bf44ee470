/* Internal to trainer/kernels/: a convolution of few input channels, as the first layer's 3: the product of patches, 3x3 pixels
 * of all channels in a line, and filters. Compiled once for each instruction set and each format of numbers in memory. */
#ifndef LK_TRAINER_KERNELS_NARROW_H
#define LK_TRAINER_KERNELS_NARROW_H

#include "trainer/kernels/kernels.h"

extern const lk_kernel lk_narrow_avx2, lk_narrow_avx512, lk_narrow_bf16_avx2, lk_narrow_bf16_avx512;

#endif
