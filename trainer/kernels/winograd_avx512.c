/* The same with AVX-512; the Makefile compiles this file alone for it. Declared in winograd.h. */
#define LK_LANES 16
#define LK_BF16 0
#define LK_WINOGRAD lk_winograd_avx512
#include "trainer/kernels/winograd_kernel.h"
