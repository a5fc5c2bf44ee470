/* Internal to trainer/kernels/: Winograd's F(4x4, 3x3) (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016;
 * its matrices A, B, G are in winograd_transforms.h), compiled once for each instruction set and each format of numbers in
 * memory.
 *
 * It computes in float32 whatever the format: F(2x2) with products of bfloat16 (vdpbf16ps) would need 4/2.25 times as many, at
 * twice the speed, an eighth faster at most; but what it rounds before the products is then made 2.8 times as large (in variance)
 * by A and G, so that errors are 1.6 to 2.6 times those of a direct convolution in bfloat16. This one's are the direct one's. */
#ifndef LK_TRAINER_KERNELS_WINOGRAD_H
#define LK_TRAINER_KERNELS_WINOGRAD_H

#include "trainer/kernels/kernels.h"

extern const lk_kernel lk_winograd_avx2, lk_winograd_avx512, lk_winograd_bf16_avx2, lk_winograd_bf16_avx512;

#endif
