/* The loops of peak_loops.h with AVX-512; the Makefile compiles this file alone for it. */
#include "trainer/kernels/peak_loops.h"

#define LK_LANES 16
#include "trainer/kernels/simd.h"

void lk_peak_f32_avx512(int64_t rounds, float *numbers)
{
    vec sums[LK_PEAK_SUMS], x = vec_all(numbers[0]), y = vec_all(numbers[1]);
    UNROLL for (int i = 0; i < LK_PEAK_SUMS; i++) sums[i] = vec_all(numbers[0] + (float)i);
    for (int64_t r = 0; r < rounds; r++)
        UNROLL for (int i = 0; i < LK_PEAK_SUMS; i++) sums[i] = vec_fma(x, y, sums[i]);
    UNROLL for (int i = 1; i < LK_PEAK_SUMS; i++) sums[0] = vec_add(sums[0], sums[i]);
    numbers[2] = _mm512_reduce_add_ps(sums[0]);
}

__attribute__((target("avx512bf16"))) void lk_peak_bf16_avx512(int64_t rounds, float *numbers)
{
    __m512 sums[LK_PEAK_SUMS];
    __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(numbers[0]), _mm512_set1_ps(numbers[0]));
    __m512bh y = _mm512_cvtne2ps_pbh(_mm512_set1_ps(numbers[1]), _mm512_set1_ps(numbers[1]));
    UNROLL for (int i = 0; i < LK_PEAK_SUMS; i++) sums[i] = _mm512_set1_ps(numbers[0] + (float)i);
    for (int64_t r = 0; r < rounds; r++)
        UNROLL for (int i = 0; i < LK_PEAK_SUMS; i++) sums[i] = _mm512_dpbf16_ps(sums[i], x, y);
    UNROLL for (int i = 1; i < LK_PEAK_SUMS; i++) sums[0] = _mm512_add_ps(sums[0], sums[i]);
    numbers[2] = _mm512_reduce_add_ps(sums[0]);
}
