/* A transposed convolution of few output channels, of bfloat16, with AVX-512. Declared in narrow_transposed.h. */
#define LK_LANES 16
#define LK_BF16 1
#define LK_NARROW_TRANSPOSED lk_narrow_transposed_bf16_avx512
#include "trainer/kernels/narrow_transposed_kernel.h"
