/* Winograd's convolution with AVX2, which every CPU has that the program runs on. Declared in winograd.h. */
#define LK_LANES 8
#define LK_BF16 0
#define LK_WINOGRAD lk_winograd_avx2
#include "trainer/kernels/winograd_kernel.h"
