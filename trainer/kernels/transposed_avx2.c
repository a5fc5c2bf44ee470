/* Transposed convolutions with AVX2, which every CPU has that the program runs on. Declared in transposed.h. */
#define LK_LANES 8
#define LK_BF16 0
#define LK_TRANSPOSED lk_transposed_avx2
#include "trainer/kernels/transposed_kernel.h"
