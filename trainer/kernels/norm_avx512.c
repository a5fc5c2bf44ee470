/* Group norm with ReLU and pool with AVX-512. Declared in norm_rows.h. */
#define LK_LANES 16
#define LK_BF16 0
#define LK_NORM lk_norm_avx512
#include "trainer/kernels/norm_kernel.h"
