/* Internal to trainer/kernels/winograd_*.h: the transforms of F(4x4, 3x3), for LANES channels at a time.
 *
 *     y  = A' [(G g G') . (B' d B)] A     forward; the data gradient is the same with turned filters
 *     dg = G' [(B' d B) . (A dy A')] G    the weight gradient
 *
 * d is a 6x6 window of x, y a 4x4 tile, g a 3x3 filter, . the product of numbers in the same place, summed over channels or
 * tiles: at each of the 36 points one product of matrices.
 */
#ifndef LK_TRAINER_KERNELS_WINOGRAD_TRANSFORMS_H
#define LK_TRAINER_KERNELS_WINOGRAD_TRANSFORMS_H

#include "trainer/kernels/source.h"
#include "trainer/kernels/tiles.h"

enum { WINDOW = 6, TAPS = 3, POINTS = WINDOW * WINDOW };

/* ---- one dimension ---- */

/* B' d, the first or the last half of it: neither half needs all of d, and both together would need more registers than there
 * are. */
INLINE void transform_input_half(int half, const vec d[WINDOW], vec o[WINDOW / 2])
{
    if (half == 0) {
        vec a = vec_fnma(vec_all(4), d[2], d[4]), b = vec_fnma(vec_all(4), d[1], d[3]);
        o[0] = vec_fma(vec_all(4), d[0], vec_fnma(vec_all(5), d[2], d[4]));
        o[1] = vec_add(a, b);
        o[2] = vec_sub(a, b);
    } else {
        vec c = vec_sub(d[4], d[2]), e = vec_mul(vec_all(2), vec_sub(d[3], d[1]));
        o[0] = vec_add(c, e);
        o[1] = vec_sub(c, e);
        o[2] = vec_fma(vec_all(4), d[1], vec_fnma(vec_all(5), d[3], d[5]));
    }
}

INLINE void transform_input(const vec d[WINDOW], vec o[WINDOW])
{
    transform_input_half(0, d, o);
    transform_input_half(1, d, o + WINDOW / 2);
}

/* A' m */
INLINE void transform_output(const vec m[WINDOW], vec o[TILE])
{
    vec a = vec_add(m[1], m[2]), b = vec_sub(m[1], m[2]);
    vec c = vec_add(m[3], m[4]), d = vec_sub(m[3], m[4]);
    o[0] = vec_add(vec_add(m[0], a), c);
    o[1] = vec_fma(vec_all(2), d, b);
    o[2] = vec_fma(vec_all(4), c, a);
    o[3] = vec_add(vec_fma(vec_all(8), d, b), m[5]);
}

/* A dy */
INLINE void transform_gradient(const vec y[TILE], vec o[WINDOW])
{
    vec a = vec_add(y[0], y[2]), b = vec_add(y[1], y[3]);
    vec c = vec_fma(vec_all(4), y[2], y[0]), d = vec_mul(vec_all(2), vec_fma(vec_all(4), y[3], y[1]));
    o[0] = y[0];
    o[1] = vec_add(a, b);
    o[2] = vec_sub(a, b);
    o[3] = vec_add(c, d);
    o[4] = vec_sub(c, d);
    o[5] = y[3];
}

/* G g */
INLINE void transform_filter(const vec g[TAPS], vec o[WINDOW])
{
    vec a = vec_mul(vec_all(-1 / 6.f), vec_add(g[0], g[2])), b = vec_mul(vec_all(1 / 6.f), g[1]);
    vec c = vec_fma(vec_all(1 / 24.f), g[0], vec_mul(vec_all(1 / 6.f), g[2])), d = vec_mul(vec_all(1 / 12.f), g[1]);
    o[0] = vec_mul(vec_all(0.25f), g[0]);
    o[1] = vec_sub(a, b);
    o[2] = vec_add(a, b);
    o[3] = vec_add(c, d);
    o[4] = vec_sub(c, d);
    o[5] = g[2];
}

/* G' u */
INLINE void transform_filter_gradient(const vec u[WINDOW], vec o[TAPS])
{
    vec a = vec_mul(vec_all(-1 / 6.f), vec_add(u[1], u[2])), b = vec_add(u[3], u[4]), c = vec_sub(u[3], u[4]);
    o[0] = vec_add(vec_fma(vec_all(0.25f), u[0], a), vec_mul(vec_all(1 / 24.f), b));
    o[1] = vec_fma(vec_all(1 / 6.f), vec_sub(u[2], u[1]), vec_mul(vec_all(1 / 12.f), c));
    o[2] = vec_add(vec_fma(vec_all(1 / 6.f), b, a), u[5]);
}

/* p + stride, worked out where it is needed: compilers would rather find the addresses of all 36 points before a loop, and then
 * have no registers for them. */
INLINE float *stepped(const float *p, size_t stride)
{
    p += stride;
    __asm__("" : "+r"(p));
    return (float *)(uintptr_t)p;
}

/* Out of points, which lie `stride` apart from `packed` on. */
#define FROM_POINTS(transform, m, packed, stride, out)                                                                           \
    do {                                                                                                                         \
        vec rows_[WINDOW][m];                                                                                                    \
        const float *from_ = packed;                                                                                             \
        UNROLL for (int i_ = 0; i_ < WINDOW; i_++)                                                                               \
        {                                                                                                                        \
            vec row_[WINDOW];                                                                                                    \
            UNROLL for (int j_ = 0; j_ < WINDOW; j_++, from_ = stepped(from_, stride)) row_[j_] = vec_load(from_);               \
            transform(row_, rows_[i_]);                                                                                          \
        }                                                                                                                        \
        UNROLL for (int j_ = 0; j_ < (m); j_++)                                                                                  \
        {                                                                                                                        \
            vec column_[WINDOW], done_[m];                                                                                       \
            UNROLL for (int i_ = 0; i_ < WINDOW; i_++) column_[i_] = rows_[i_][j_];                                              \
            transform(column_, done_);                                                                                           \
            UNROLL for (int i_ = 0; i_ < (m); i_++)(out)[i_][j_] = done_[i_];                                                    \
        }                                                                                                                        \
    } while (0)

/* ---- where things lie ---- */

INLINE void store_points(float *packed, size_t stride, vec points[WINDOW][WINDOW])
{
    UNROLL for (int i = 0; i < WINDOW; i++) UNROLL for (int j = 0; j < WINDOW; j++, packed = stepped(packed, stride))
        vec_store(packed, points[i][j]);
}

/* ---- what is read ---- */

/* B' d B, to one line of a panel. Of PLAIN sources pixels are taken from memory as they are wanted, twice some of them. */
INLINE void transform_window(const source *s, source_kind kind, const window *w, bool whole, int c, float *packed, size_t stride)
{
    vec copy[WINDOW * WINDOW];
    if (kind != PLAIN)
        read_window_of(s, kind, w, whole, WINDOW, c, copy);
    UNROLL for (int half = 0; half < 2; half++)
    {
        vec rows[WINDOW][WINDOW / 2];
        UNROLL for (int i = 0; i < WINDOW; i++)
        {
            vec d[WINDOW];
            UNROLL for (int j = half; j < half + WINDOW - 1; j++) d[j] =
                kind == PLAIN ? window_at(s, kind, w, whole, i, j, c) : copy[i * WINDOW + j];
            transform_input_half(half, d, rows[i]);
        }
        UNROLL for (int j = 0; j < WINDOW / 2; j++)
        {
            vec column[WINDOW], points[WINDOW];
            UNROLL for (int i = 0; i < WINDOW; i++) column[i] = rows[i][j];
            transform_input(column, points);
            float *to = packed + (size_t)(half * WINDOW / 2 + j) * stride;
            UNROLL for (int i = 0; i < WINDOW; i++, to = stepped(to, WINDOW * stride)) vec_store(to, points[i]);
        }
    }
}

/* Of tiles first ... first+count-1 into lines 0 ... of `packed`, for all channels. */
INLINE void pack_windows_of(source_kind kind, const source *s, const tiles *t, int first, int count, float *packed, int lines,
                            size_t stride)
{
    for (int i = 0; i < count; i++) {
        place p = place_of(t, first + i);
        window w = find_window(s, kind, WINDOW, p.picture, p.y - 1, p.x - 1);
        for (int c = 0; c < s->channels; c += LANES) {
            float *line = packed + ((size_t)(c / PANEL) * (size_t)lines + (size_t)i) * PANEL + c % PANEL;
            if (w.whole)
                transform_window(s, kind, &w, true, c, line, stride);
            else
                transform_window(s, kind, &w, false, c, line, stride);
        }
    }
}

static void pack_windows(const source *s, const tiles *t, int first, int count, float *packed, int lines, size_t stride)
{
    switch (s->kind) {
    case PLAIN: pack_windows_of(PLAIN, s, t, first, count, packed, lines, stride); break;
    case GATED: pack_windows_of(GATED, s, t, first, count, packed, lines, stride); break;
    case POOLED: pack_windows_of(POOLED, s, t, first, count, packed, lines, stride); break;
    }
}

#endif
