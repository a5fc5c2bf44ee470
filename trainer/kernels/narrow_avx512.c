/* A convolution of few input channels with AVX-512. Declared in narrow.h. */
#define LK_LANES 16
#define LK_BF16 0
#define LK_NARROW lk_narrow_avx512
#include "trainer/kernels/narrow_kernel.h"
