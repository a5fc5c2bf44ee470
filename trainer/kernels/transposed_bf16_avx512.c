/* Transposed convolutions of bfloat16, with AVX-512. Declared in transposed.h. */
#define LK_LANES 16
#define LK_BF16 1
#define LK_TRANSPOSED lk_transposed_bf16_avx512
#include "trainer/kernels/transposed_kernel.h"
