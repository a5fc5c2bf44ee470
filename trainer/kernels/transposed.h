/* Internal to trainer/kernels/: the transposed convolution of 4x4 filters with stride 2 and padding 1, which doubles height and
 * width (the decoder's), compiled once for each instruction set and each format of numbers in memory.
 *
 * Output pixels of even and odd rows and columns are four phases, each of which is a 2x2 convolution of the input by taps of its
 * own; each is computed by Winograd's F(4x4, 2x2): 25 products where the convolution as it is written has 64. */
#ifndef LK_TRAINER_KERNELS_TRANSPOSED_H
#define LK_TRAINER_KERNELS_TRANSPOSED_H

#include "trainer/kernels/kernels.h"

extern const lk_kernel lk_transposed_avx2, lk_transposed_avx512, lk_transposed_bf16_avx2, lk_transposed_bf16_avx512;

#endif
