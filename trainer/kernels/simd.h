/* Internal to trainer/kernels/: vectors of float32. A file that includes this defines LK_LANES: 16 for AVX-512, 8 for AVX2. */
#ifndef LK_TRAINER_KERNELS_SIMD_H
#define LK_TRAINER_KERNELS_SIMD_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#if LK_LANES == 16

enum { LANES = 16, ROWS = 8 }; /* numbers of a vector; rows of the micro-kernel (gemm.h) */
typedef __m512 vec;

#define vec_zero() _mm512_setzero_ps()
#define vec_all(x) _mm512_set1_ps(x)
#define vec_load(p) _mm512_loadu_ps(p)
#define vec_store(p, v) _mm512_storeu_ps(p, v)
#define vec_add(a, b) _mm512_add_ps(a, b)
#define vec_sub(a, b) _mm512_sub_ps(a, b)
#define vec_mul(a, b) _mm512_mul_ps(a, b)
#define vec_fma(a, b, c) _mm512_fmadd_ps(a, b, c)   /* a b + c */
#define vec_fnma(a, b, c) _mm512_fnmadd_ps(a, b, c) /* c - a b */

/* The first n numbers; the others are 0, or stay. */
INLINE vec vec_load_part(const float *p, int n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

INLINE void vec_store_part(float *p, vec v, int n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v);
}

/* max(v, 0); NaN stays. */
INLINE vec vec_relu(vec v)
{
    return _mm512_max_ps(vec_zero(), v);
}

/* v where gate > 0 or is NaN, else 0. */
INLINE vec vec_gated(vec v, vec gate)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(gate, vec_zero(), _CMP_NLE_UQ), v);
}

/* v where mask is -1, 0 where it is 0. */
INLINE vec vec_kept(vec v, int mask)
{
    return _mm512_maskz_mov_ps((__mmask16)mask, v);
}

/* v where bytes[i] is k, else 0. */
INLINE vec vec_chosen(vec v, const uint8_t *bytes, int k)
{
    __m128i b = _mm_loadu_si128((const __m128i *)bytes);
    return _mm512_maskz_mov_ps(_mm_cmpeq_epi8_mask(b, _mm_set1_epi8((char)k)), v);
}

/* Where v is greater than best or NaN: *best = v and *choice = k. */
typedef __m512i vec_index;
INLINE void vec_take_greater(vec *best, vec_index *choice, vec v, int k)
{
    __mmask16 m = _mm512_cmp_ps_mask(v, *best, _CMP_GT_OQ) | _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    *best = _mm512_mask_mov_ps(*best, m, v);
    *choice = _mm512_mask_set1_epi32(*choice, m, k);
}

#define vec_index_zero() _mm512_setzero_si512()

INLINE void vec_index_store(uint8_t *bytes, vec_index v)
{
    _mm_storeu_si128((__m128i *)bytes, _mm512_cvtepi32_epi8(v));
}

/* Row i, column k to row k, column i. */
INLINE void vec_transpose(vec r[LANES])
{
    vec t[LANES];
    UNROLL for (int i = 0; i < 16; i += 2)
    {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL for (int i = 0; i < 16; i += 4)
    {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    UNROLL for (int i = 0; i < 4; i++)
    {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    UNROLL for (int i = 0; i < 8; i++)
    {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
    }
}

#else

enum { LANES = 8, ROWS = 6 };
typedef __m256 vec;

#define vec_zero() _mm256_setzero_ps()
#define vec_all(x) _mm256_set1_ps(x)
#define vec_load(p) _mm256_loadu_ps(p)
#define vec_store(p, v) _mm256_storeu_ps(p, v)
#define vec_add(a, b) _mm256_add_ps(a, b)
#define vec_sub(a, b) _mm256_sub_ps(a, b)
#define vec_mul(a, b) _mm256_mul_ps(a, b)
#define vec_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vec_fnma(a, b, c) _mm256_fnmadd_ps(a, b, c)

INLINE __m256i vec_first(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE vec vec_load_part(const float *p, int n)
{
    return _mm256_maskload_ps(p, vec_first(n));
}

INLINE void vec_store_part(float *p, vec v, int n)
{
    _mm256_maskstore_ps(p, vec_first(n), v);
}

INLINE vec vec_relu(vec v)
{
    return _mm256_max_ps(vec_zero(), v);
}

INLINE vec vec_gated(vec v, vec gate)
{
    return _mm256_and_ps(_mm256_cmp_ps(gate, vec_zero(), _CMP_NLE_UQ), v);
}

INLINE vec vec_kept(vec v, int mask)
{
    return _mm256_and_ps(_mm256_castsi256_ps(_mm256_set1_epi32(mask)), v);
}

INLINE vec vec_chosen(vec v, const uint8_t *bytes, int k)
{
    __m256i b = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)bytes));
    return _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(b, _mm256_set1_epi32(k))), v);
}

typedef __m256i vec_index;
INLINE void vec_take_greater(vec *best, vec_index *choice, vec v, int k)
{
    __m256 m = _mm256_or_ps(_mm256_cmp_ps(v, *best, _CMP_GT_OQ), _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    *best = _mm256_blendv_ps(*best, v, m);
    *choice = _mm256_blendv_epi8(*choice, _mm256_set1_epi32(k), _mm256_castps_si256(m));
}

#define vec_index_zero() _mm256_setzero_si256()

INLINE void vec_index_store(uint8_t *bytes, vec_index v)
{
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i *)bytes, _mm_packus_epi16(words, words));
}

INLINE void vec_transpose(vec r[LANES])
{
    vec t[LANES];
    UNROLL for (int i = 0; i < 8; i += 2)
    {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL for (int i = 0; i < 8; i += 4)
    {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    UNROLL for (int i = 0; i < 4; i++)
    {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    UNROLL for (int i = 0; i < 8; i++) r[i] = t[i];
}

#endif

/* Numbers i ... of a row of `count`: all that a vector holds, or those that are left. */
INLINE vec vec_load_at(const float *row, int i, int count)
{
    return count - i >= LANES ? vec_load(row + i) : vec_load_part(row + i, count - i);
}

INLINE void vec_store_at(float *row, int i, int count, vec v)
{
    if (count - i >= LANES)
        vec_store(row + i, v);
    else
        vec_store_part(row + i, v, count - i);
}

#endif
