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

#include "trainer/kernels/gemm.h"
#include "trainer/kernels/kernels.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { TILE = 4, WINDOW = 6, TAPS = 3, POINTS = WINDOW * WINDOW };

/* ---- one dimension ---- */

/* B' d */
INLINE void transform_input(const vec d[WINDOW], vec o[WINDOW])
{
    vec a = vec_fnma(vec_all(4), d[2], d[4]), b = vec_fnma(vec_all(4), d[1], d[3]);
    vec c = vec_sub(d[4], d[2]), e = vec_mul(vec_all(2), vec_sub(d[3], d[1]));
    o[0] = vec_fma(vec_all(4), d[0], vec_fnma(vec_all(5), d[2], d[4]));
    o[1] = vec_add(a, b);
    o[2] = vec_sub(a, b);
    o[3] = vec_add(c, e);
    o[4] = vec_sub(c, e);
    o[5] = vec_fma(vec_all(4), d[1], vec_fnma(vec_all(5), d[3], d[5]));
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

/* In both dimensions: out = T in T', T being one of the above, in[n][n] to out[m][m]. */
#define BOTH_DIMENSIONS(transform, n, m, in, out)                                                                                \
    do {                                                                                                                         \
        vec rows_[n][m];                                                                                                         \
        UNROLL for (int i_ = 0; i_ < (n); i_++) transform((in)[i_], rows_[i_]);                                                  \
        UNROLL for (int j_ = 0; j_ < (m); j_++)                                                                                  \
        {                                                                                                                        \
            vec column_[n], done_[m];                                                                                            \
            UNROLL for (int i_ = 0; i_ < (n); i_++) column_[i_] = rows_[i_][j_];                                                 \
            transform(column_, done_);                                                                                           \
            UNROLL for (int i_ = 0; i_ < (m); i_++)(out)[i_][j_] = done_[i_];                                                    \
        }                                                                                                                        \
    } while (0)

/* ---- where things lie ---- */

INLINE int round_up(int n, int to)
{
    return (n + to - 1) / to * to;
}

INLINE int panels_of(int channels)
{
    return (channels + PANEL - 1) / PANEL;
}

/* Numbers at the 36 points, in panels of channels: [point][panel][line][PANEL]. The points are set apart by some lines more, or
 * all of them would fall into the same few sets of a cache. */
enum { APART = 96 };

static inline size_t point_stride(int panels, int lines)
{
    return (size_t)panels * (size_t)lines * PANEL + APART;
}

INLINE void store_points(float *packed, size_t stride, vec points[WINDOW][WINDOW])
{
    UNROLL for (int i = 0; i < WINDOW; i++) UNROLL for (int j = 0; j < WINDOW; j++)
        vec_store(packed + (size_t)(i * WINDOW + j) * stride, points[i][j]);
}

INLINE void load_points(const float *packed, size_t stride, vec points[WINDOW][WINDOW])
{
    UNROLL for (int i = 0; i < WINDOW; i++) UNROLL for (int j = 0; j < WINDOW; j++) points[i][j] =
        vec_load(packed + (size_t)(i * WINDOW + j) * stride);
}

/* Tiles are counted picture by picture, row by row; those on the edge may hang over it. */
typedef struct tiles {
    int height, width; /* of a picture, in pixels */
    int across, of_picture, all;
} tiles;

static inline tiles tiles_of(const lk_convolution3 *s)
{
    int across = (s->width + TILE - 1) / TILE, down = (s->height + TILE - 1) / TILE;
    return (tiles){s->height, s->width, across, across * down, across * down * s->batch};
}

typedef struct place {
    int picture, y, x; /* of the first pixel */
} place;

INLINE place place_of(const tiles *t, int tile)
{
    int within = tile % t->of_picture;
    return (place){tile / t->of_picture, within / t->across * TILE, within % t->across * TILE};
}

/* ---- what is read ---- */

/* PLAIN: the numbers themselves. GATED: a gradient with respect to the output of a ReLU, here of its input. POOLED: the same of a
 * 2x2 pool behind the ReLU; its arrays are half as high and wide. */
typedef enum source_kind { PLAIN, GATED, POOLED } source_kind;

typedef struct source {
    source_kind kind;
    const float *values, *gate;
    const uint8_t *choice;
    int height, width, channels; /* as read */
} source;

static inline source gradient_source(const lk_convolution3 *s, const lk_output_gradient *g)
{
    return (source){s->pool ? POOLED : (s->relu ? GATED : PLAIN), g->dy, g->y, g->choice, s->height, s->width, s->out};
}

/* Channels c ... of the pixel. */
INLINE vec read_pixel(const source *s, source_kind kind, int picture, int y, int x, int c)
{
    int half = kind == POOLED;
    size_t line = (size_t)picture * (size_t)(s->height >> half) + (size_t)(y >> half);
    size_t at = (line * (size_t)(s->width >> half) + (size_t)(x >> half)) * (size_t)s->channels;
    vec v = vec_load_at(s->values + at, c, s->channels);
    if (kind != PLAIN)
        v = vec_gated(v, vec_load_at(s->gate + at, c, s->channels));
    if (kind == POOLED) {
        uint8_t few[LANES] = {0};
        const uint8_t *bytes = s->choice + at + c;
        if (s->channels - c < LANES)
            bytes = memcpy(few, bytes, (size_t)(s->channels - c));
        v = vec_chosen(v, bytes, 2 * (y & 1) + (x & 1));
    }
    return v;
}

/* The size x size window whose first pixel is at (y, x); 0 outside of the picture. */
INLINE void read_window(const source *s, source_kind kind, int size, int picture, int y, int x, int c, vec *out)
{
    if (y >= 0 && x >= 0 && y + size <= s->height && x + size <= s->width) {
        for (int i = 0; i < size; i++)
            UNROLL for (int j = 0; j < size; j++) out[i * size + j] = read_pixel(s, kind, picture, y + i, x + j, c);
        return;
    }
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            bool inside = y + i >= 0 && y + i < s->height && x + j >= 0 && x + j < s->width;
            out[i * size + j] = inside ? read_pixel(s, kind, picture, y + i, x + j, c) : vec_zero();
        }
}

/* B' d B of tiles first ... first+count-1 into lines 0 ... of `packed`, for all channels. */
INLINE void pack_windows_of(source_kind kind, const source *s, const tiles *t, int first, int count, float *packed, int lines,
                            size_t stride)
{
    for (int i = 0; i < count; i++) {
        place p = place_of(t, first + i);
        for (int c = 0; c < s->channels; c += LANES) {
            vec window[WINDOW][WINDOW], points[WINDOW][WINDOW];
            read_window(s, kind, WINDOW, p.picture, p.y - 1, p.x - 1, c, &window[0][0]);
            BOTH_DIMENSIONS(transform_input, WINDOW, WINDOW, window, points);
            store_points(packed + ((size_t)(c / PANEL) * (size_t)lines + (size_t)i) * PANEL + c % PANEL, stride, points);
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

/* Memory for vectors, in huge pages where it is large: its parts are far from each other. Whoever gets NULL says so. */
enum { HUGE_PAGE = 2 << 20 };
static inline float *numbers(size_t count)
{
    size_t size = count * sizeof(float), page = size >= 2 * HUGE_PAGE ? HUGE_PAGE : 64;
    size = (size + page - 1) / page * page;
    float *memory = aligned_alloc(page, size);
    if (memory && page == HUGE_PAGE)
        madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

/* Where not every line of a panel is written, what stands there is computed with all the same, and dropped. */
static inline float *zeros(size_t count)
{
    float *memory = numbers(count);
    if (memory)
        memset(memory, 0, count * sizeof *memory);
    return memory;
}

static inline lk_status no_memory(const char *what)
{
    return lk_fail(LK_INTERNAL, "out of memory for %s", what);
}

#endif
