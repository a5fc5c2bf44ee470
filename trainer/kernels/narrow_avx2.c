/* A convolution of few input channels with AVX2. Declared in narrow.h. */
#define LK_LANES 8
#define LK_BF16 0
#define LK_NARROW lk_narrow_avx2
#include "trainer/kernels/narrow_kernel.h"
