/* The loops of group norm for AVX-512; the Makefile compiles this file alone for it. Declared in group_norm_loops.h. */
#define LOOPS lk_norm_loops_avx512
#include "trainer/tensor/group_norm_formats.h"
