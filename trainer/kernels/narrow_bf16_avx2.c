/* A convolution of few input channels, of bfloat16, with AVX2. Declared in narrow.h. */
#define LK_LANES 8
#define LK_BF16 1
#define LK_NARROW lk_narrow_bf16_avx2
#include "trainer/kernels/narrow_kernel.h"
