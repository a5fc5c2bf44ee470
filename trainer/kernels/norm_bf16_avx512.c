/* Group norm with ReLU and pool, of bfloat16, with AVX-512. Declared in norm_rows.h. */
#define LK_LANES 16
#define LK_BF16 1
#define LK_NORM lk_norm_bf16_avx512
#include "trainer/kernels/norm_kernel.h"
