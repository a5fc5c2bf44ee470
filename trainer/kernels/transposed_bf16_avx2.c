/* Transposed convolutions of bfloat16, with AVX2. Declared in transposed.h. */
#define LK_LANES 8
#define LK_BF16 1
#define LK_TRANSPOSED lk_transposed_bf16_avx2
#include "trainer/kernels/transposed_kernel.h"
