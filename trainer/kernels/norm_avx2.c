/* Group norm with ReLU and pool with AVX2. Declared in norm_rows.h. */
#define LK_LANES 8
#define LK_BF16 0
#define LK_NORM lk_norm_avx2
#include "trainer/kernels/norm_kernel.h"
