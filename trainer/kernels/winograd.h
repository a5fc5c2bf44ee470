/* Internal to trainer/kernels/: Winograd's F(4x4, 3x3) (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016;
 * its matrices A, B, G are in winograd_transforms.h), compiled once for each instruction set. */
#ifndef LK_TRAINER_KERNELS_WINOGRAD_H
#define LK_TRAINER_KERNELS_WINOGRAD_H

#include "trainer/kernels/kernels.h"

extern const lk_kernel lk_winograd_avx2, lk_winograd_avx512;

#endif
