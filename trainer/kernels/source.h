/* Internal to trainer/kernels/: the numbers that a kernel reads, x or a gradient on its way back through pool and ReLU. */
#ifndef LK_TRAINER_KERNELS_SOURCE_H
#define LK_TRAINER_KERNELS_SOURCE_H

#include "trainer/kernels/kernels.h"
#include "trainer/kernels/number.h"

#include <stdbool.h>

/* PLAIN: the numbers themselves. GATED: a gradient with respect to the output of a ReLU, here of its input. POOLED: the same of a
 * 2x2 pool behind the ReLU; its arrays are half as high and wide. */
typedef enum source_kind { PLAIN, GATED, POOLED } source_kind;

typedef struct source {
    source_kind kind;
    const number *values, *gate;
    const uint8_t *choice;
    int height, width, channels; /* as read */
    int step, row, column;       /* of the array each step-th row and column is read, from these on; of POOLED all */
} source;

static inline source plain_source(const lk_convolution3 *s, const number *x)
{
    return (source){PLAIN, x, NULL, NULL, s->height, s->width, s->in, 1, 0, 0};
}

static inline source gradient_source(const lk_convolution3 *s, const lk_output_gradient *g)
{
    return (source){s->pool ? POOLED : (s->relu ? GATED : PLAIN), g->dy, g->y, g->choice, s->height, s->width, s->out, 1, 0, 0};
}

/* Where a row of a picture and a column of a row begin, in numbers. */
INLINE size_t pixel_row(const source *s, source_kind kind, int picture, int y)
{
    int half = kind == POOLED;
    size_t line = ((size_t)picture * (size_t)(s->height >> half) + (size_t)(y >> half)) * (size_t)s->step + (size_t)s->row;
    return line * (size_t)(s->width >> half) * (size_t)s->step * (size_t)s->channels;
}

INLINE size_t pixel_column(const source *s, source_kind kind, int x)
{
    return ((size_t)(x >> (kind == POOLED)) * (size_t)s->step + (size_t)s->column) * (size_t)s->channels;
}

/* Channels c ... of the pixel that begins at `at`; `quarter`: which of the four it is that a pool chose from. */
INLINE vec read_at(const source *s, source_kind kind, size_t at, int quarter, int c)
{
    vec v = number_load_at(s->values + at, c, s->channels);
    if (kind != PLAIN)
        v = vec_gated(v, number_load_at(s->gate + at, c, s->channels));
    if (kind == POOLED) {
        uint8_t few[LANES] = {0};
        const uint8_t *bytes = s->choice + at + c;
        if (s->channels - c < LANES)
            bytes = memcpy(few, bytes, (size_t)(s->channels - c));
        v = vec_chosen(v, bytes, quarter);
    }
    return v;
}

INLINE vec read_pixel(const source *s, source_kind kind, int picture, int y, int x, int c)
{
    return read_at(s, kind, pixel_row(s, kind, picture, y) + pixel_column(s, kind, x), 2 * (y & 1) + (x & 1), c);
}

/* size x size pixels from (y, x) on, of which some may lie outside of the picture: those are 0. Found once for all channels. */
enum { MOST_WINDOW = 6 };
typedef struct window {
    int y, x;
    size_t rows[MOST_WINDOW], columns[MOST_WINDOW];    /* where they begin, or the nearest that is in the picture */
    int has_row[MOST_WINDOW], has_column[MOST_WINDOW]; /* -1, or 0: it is outside */
    bool whole;                                        /* none is */
} window;

INLINE int clamped(int i, int count)
{
    return i < 0 ? 0 : (i < count ? i : count - 1);
}

INLINE window find_window(const source *s, source_kind kind, int size, int picture, int y, int x)
{
    window w = {.y = y, .x = x, .whole = y >= 0 && x >= 0 && y + size <= s->height && x + size <= s->width};
    UNROLL for (int i = 0; i < size; i++)
    {
        int row = clamped(y + i, s->height), column = clamped(x + i, s->width);
        w.rows[i] = pixel_row(s, kind, picture, row);
        w.columns[i] = pixel_column(s, kind, column);
        w.has_row[i] = -(row == y + i);
        w.has_column[i] = -(column == x + i);
    }
    return w;
}

INLINE vec window_at(const source *s, source_kind kind, const window *w, bool whole, int i, int j, int c)
{
    vec v = read_at(s, kind, w->rows[i] + w->columns[j], 2 * ((w->y + i) & 1) + ((w->x + j) & 1), c);
    return whole ? v : vec_kept(v, w->has_row[i] & w->has_column[j]);
}

INLINE void read_window_of(const source *s, source_kind kind, const window *w, bool whole, int size, int c, vec *out)
{
    UNROLL for (int i = 0; i < size; i++) UNROLL for (int j = 0; j < size; j++) out[i * size + j] =
        window_at(s, kind, w, whole, i, j, c);
}

INLINE void read_window(const source *s, source_kind kind, const window *w, int size, int c, vec *out)
{
    if (w->whole)
        read_window_of(s, kind, w, true, size, c, out);
    else
        read_window_of(s, kind, w, false, size, c, out);
}

#endif
