/* The same with AVX-512; the Makefile compiles this file alone for it. Declared in transposed.h. */
#define LK_LANES 16
#define LK_BF16 0
#define LK_TRANSPOSED lk_transposed_avx512
#include "trainer/kernels/transposed_kernel.h"
