/* Internal to trainer/kernels/transposed_*.h: the transforms of F(4x4, 2x2), for LANES channels at a time, at the points 0, 1,
 * -1, 2 and infinity; and the four phases.
 *
 *     y  = A' [(G g G') . (B' d B)] A     forward, of each phase; the data gradient is the sum of four such convolutions of dy
 *     dg = G' [(B' d B) . (A dy A')] G    the weight gradient of each phase
 *
 * d is a 5x5 window, y a 4x4 tile of one phase, g its 2x2 taps, . the product of numbers in the same place, summed over channels
 * or tiles: at each of the 25 points one product of matrices.
 */
#ifndef LK_TRAINER_KERNELS_TRANSPOSED_TRANSFORMS_H
#define LK_TRAINER_KERNELS_TRANSPOSED_TRANSFORMS_H

#include "trainer/kernels/source.h"
#include "trainer/kernels/tiles.h"

enum { WINDOW = 5, TAPS = 2, POINTS = WINDOW * WINDOW, PHASES = 4, FILTER = 4 };

/* ---- one dimension ---- */

/* B' d */
INLINE void transform_input(const vec d[WINDOW], vec o[WINDOW])
{
    vec a = vec_sub(d[3], d[1]), b = vec_sub(d[2], d[0]);
    o[0] = vec_fnma(vec_all(2), b, a);
    o[1] = vec_sub(vec_fnma(vec_all(2), d[1], d[3]), d[2]);
    o[2] = vec_fnma(vec_all(3), d[2], vec_fma(vec_all(2), d[1], d[3]));
    o[3] = a;
    o[4] = vec_fnma(vec_all(2), a, vec_sub(d[4], d[2]));
}

/* A' m */
INLINE void transform_output(const vec m[WINDOW], vec o[TILE])
{
    vec a = vec_add(m[1], m[2]), b = vec_sub(m[1], m[2]);
    o[0] = vec_add(vec_add(m[0], a), m[3]);
    o[1] = vec_fma(vec_all(2), m[3], b);
    o[2] = vec_fma(vec_all(4), m[3], a);
    o[3] = vec_add(vec_fma(vec_all(8), m[3], b), m[4]);
}

/* A dy */
INLINE void transform_gradient(const vec y[TILE], vec o[WINDOW])
{
    vec a = vec_add(y[0], y[2]), b = vec_add(y[1], y[3]);
    o[0] = y[0];
    o[1] = vec_add(a, b);
    o[2] = vec_sub(a, b);
    o[3] = vec_add(vec_fma(vec_all(4), y[2], y[0]), vec_mul(vec_all(2), vec_fma(vec_all(4), y[3], y[1])));
    o[4] = y[3];
}

/* G g */
INLINE void transform_filter(const vec g[TAPS], vec o[WINDOW])
{
    o[0] = vec_mul(vec_all(0.5f), g[0]);
    o[1] = vec_mul(vec_all(-0.5f), vec_add(g[0], g[1]));
    o[2] = vec_mul(vec_all(1 / 6.f), vec_sub(g[1], g[0]));
    o[3] = vec_mul(vec_all(1 / 6.f), vec_fma(vec_all(2), g[1], g[0]));
    o[4] = g[1];
}

/* G' u */
INLINE void transform_filter_gradient(const vec u[WINDOW], vec o[TAPS])
{
    vec a = vec_mul(vec_all(0.5f), vec_sub(u[0], u[1]));
    o[0] = vec_fma(vec_all(1 / 6.f), vec_sub(u[3], u[2]), a);
    o[1] = vec_add(vec_fma(vec_all(1 / 6.f), vec_fma(vec_all(2), u[3], u[2]), vec_mul(vec_all(-0.5f), u[1])), u[4]);
}

INLINE void store_points(float *packed, size_t stride, vec points[WINDOW][WINDOW])
{
    UNROLL for (int i = 0; i < POINTS; i++) vec_store(packed + (size_t)i * stride, points[i / WINDOW][i % WINDOW]);
}

INLINE void load_points(const float *packed, size_t stride, vec points[WINDOW][WINDOW])
{
    UNROLL for (int i = 0; i < POINTS; i++) points[i / WINDOW][i % WINDOW] = vec_load(packed + (size_t)i * stride);
}

/* ---- the phases ---- */

/* Of output pixel 2m + p, p being the phase's row or column. Forward it is the sum over j < 2 of x[m - 1 + p + j] w[3 - p - 2j];
 * the data gradient dx[i] is the sum over p and j of dy[2 (i - p + j) + p] w[1 - p + 2j]. */
typedef struct phase {
    int row, column;
} phase;

INLINE phase phase_of(int i)
{
    return (phase){i / 2, i % 2};
}

/* Which of the filter's 4x4 numbers are tap i, j. */
INLINE int tap_of(phase p, lk_direction direction, int i, int j)
{
    bool back = direction == LK_DATA_GRADIENT;
    int row = back ? 1 - p.row + 2 * i : 3 - p.row - 2 * i, column = back ? 1 - p.column + 2 * j : 3 - p.column - 2 * j;
    return row * FILTER + column;
}

/* Pictures as a phase sees them: x, or those pixels of dy that are the phase's. */
typedef struct view {
    source source;
    int up, left; /* the window of a tile begins so much before it */
} view;

static inline view input_view(const lk_convolution3 *s, const number *x, int i)
{
    phase p = phase_of(i);
    return (view){plain_source(s, x), 1 - p.row, 1 - p.column};
}

static inline view gradient_view(const lk_convolution3 *s, const lk_output_gradient *g, int i)
{
    phase p = phase_of(i);
    source dy = gradient_source(s, g);
    dy.step = 2;
    dy.row = p.row;
    dy.column = p.column;
    return (view){dy, p.row, p.column};
}

/* B' d B of tiles first ... first+count-1 into lines 0 ... of `packed`, for all channels. */
INLINE void pack_windows_of(source_kind kind, const view *v, const tiles *t, int first, int count, float *packed, int lines,
                            size_t stride)
{
    for (int i = 0; i < count; i++) {
        place p = place_of(t, first + i);
        window w = find_window(&v->source, kind, WINDOW, p.picture, p.y - v->up, p.x - v->left);
        for (int c = 0; c < v->source.channels; c += LANES) {
            vec pixels[WINDOW][WINDOW], points[WINDOW][WINDOW];
            read_window(&v->source, kind, &w, WINDOW, c, &pixels[0][0]);
            BOTH_DIMENSIONS(transform_input, WINDOW, WINDOW, pixels, points);
            store_points(packed + ((size_t)(c / PANEL) * (size_t)lines + (size_t)i) * PANEL + c % PANEL, stride, points);
        }
    }
}

static void pack_windows(const view *v, const tiles *t, int first, int count, float *packed, int lines, size_t stride)
{
    if (v->source.kind == GATED)
        pack_windows_of(GATED, v, t, first, count, packed, lines, stride);
    else
        pack_windows_of(PLAIN, v, t, first, count, packed, lines, stride);
}

#endif
