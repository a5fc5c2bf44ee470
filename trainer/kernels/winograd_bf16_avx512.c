/* Winograd's convolution of bfloat16 with AVX-512. Declared in winograd.h. */
#define LK_LANES 16
#define LK_BF16 1
#define LK_WINOGRAD lk_winograd_bf16_avx512
#include "trainer/kernels/winograd_kernel.h"
