/* Internal to trainer/kernels/: numbers of x, y and their gradients as they lie in memory: float32, or bfloat16 where the file
 * that includes this defines LK_BF16 as 1. Whatever they are, vectors are float32: what is computed is rounded once, when it is
 * stored.
 */
#ifndef LK_TRAINER_KERNELS_NUMBER_H
#define LK_TRAINER_KERNELS_NUMBER_H

#include "trainer/kernels/simd.h"

#if !LK_BF16

typedef float number;

#define number_load(p) vec_load(p)

/* Numbers i ... of a row of `count`: all that a vector holds, or those that are left; the others are 0, or stay. */
INLINE vec number_load_at(const number *row, int i, int count)
{
    return vec_load_at(row, i, count);
}

INLINE void number_store_at(number *row, int i, int count, vec v)
{
    vec_store_at(row, i, count, v);
}

#else

typedef uint16_t number; /* the upper half of a float32 */

/* To the nearest, halves to even; NaN stays NaN. In whole numbers, so that every CPU gives the same bits. */
#if LK_LANES == 16

typedef __m256i packed_numbers;

INLINE vec widened(packed_numbers v)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

INLINE packed_numbers rounded(vec v)
{
    __m512i bits = _mm512_castps_si512(v), one = _mm512_set1_epi32(1);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
    __m512i up = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    up = _mm512_mask_mov_epi32(up, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), _mm512_set1_epi32(0x7fc00000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(up, 16));
}

#define numbers_load(p) _mm256_loadu_si256((const __m256i *)(p))
#define numbers_store(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define numbers_load_part(p, n) _mm256_maskz_loadu_epi16((__mmask16)((1u << (n)) - 1), p)
#define numbers_store_part(p, v, n) _mm256_mask_storeu_epi16(p, (__mmask16)((1u << (n)) - 1), v)

#else

typedef __m128i packed_numbers;

INLINE vec widened(packed_numbers v)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}

INLINE packed_numbers rounded(vec v)
{
    __m256i bits = _mm256_castps_si256(v), one = _mm256_set1_epi32(1);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), one);
    __m256i up = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    __m256i unordered = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    up = _mm256_srli_epi32(_mm256_blendv_epi8(up, _mm256_set1_epi32(0x7fc00000), unordered), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(up), _mm256_extracti128_si256(up, 1));
}

#define numbers_load(p) _mm_loadu_si128((const __m128i *)(p))
#define numbers_store(p, v) _mm_storeu_si128((__m128i *)(p), v)

INLINE packed_numbers numbers_load_part(const number *p, int n)
{
    number few[LANES] = {0};
    memcpy(few, p, (size_t)n * sizeof *p);
    return numbers_load(few);
}

INLINE void numbers_store_part(number *p, packed_numbers v, int n)
{
    number few[LANES];
    numbers_store(few, v);
    memcpy(p, few, (size_t)n * sizeof *p);
}

#endif

#define number_load(p) widened(numbers_load(p))

INLINE vec number_load_at(const number *row, int i, int count)
{
    return widened(count - i >= LANES ? numbers_load(row + i) : numbers_load_part(row + i, count - i));
}

INLINE void number_store_at(number *row, int i, int count, vec v)
{
    if (count - i >= LANES)
        numbers_store(row + i, rounded(v));
    else
        numbers_store_part(row + i, rounded(v), count - i);
}

#endif

#endif
