/* Internal to trainer/kernels/: a transposed 4x4 convolution of stride 2 with few output channels, as the decoder's last layer
 * has, which makes colours: the product of pixels and the 16 taps of all outputs, 48 columns for three. Fewer products, as
 * Winograd's (transposed.h) are, would leave most of a vector empty. Compiled once for each instruction set and each format of
 * numbers in memory. */
#ifndef LK_TRAINER_KERNELS_NARROW_TRANSPOSED_H
#define LK_TRAINER_KERNELS_NARROW_TRANSPOSED_H

#include "trainer/kernels/kernels.h"

extern const lk_kernel lk_narrow_transposed_avx2, lk_narrow_transposed_avx512;
extern const lk_kernel lk_narrow_transposed_bf16_avx2, lk_narrow_transposed_bf16_avx512;

#endif
