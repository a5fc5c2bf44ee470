/* Internal to trainer/kernels/: the numbers that a kernel reads, x or a gradient on its way back through pool and ReLU. */
#ifndef LK_TRAINER_KERNELS_SOURCE_H
#define LK_TRAINER_KERNELS_SOURCE_H

#include "trainer/kernels/kernels.h"
#include "trainer/kernels/number.h"

/* PLAIN: the numbers themselves. GATED: a gradient with respect to the output of a ReLU, here of its input. POOLED: the same of a
 * 2x2 pool behind the ReLU; its arrays are half as high and wide. */
typedef enum source_kind { PLAIN, GATED, POOLED } source_kind;

typedef struct source {
    source_kind kind;
    const number *values, *gate;
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
    vec v = number_load_at(s->values + at, c, s->channels);
    if (kind != PLAIN)
        v = vec_gated(v, number_load_at(s->gate + at, c, s->channels));
    if (kind == POOLED) {
        uint8_t few[LANES] = {0};
        const uint8_t *bytes = s->choice + at + c;
        if (s->channels - c < LANES)
            bytes = memcpy(few, bytes, (size_t)(s->channels - c));
        v = vec_chosen(v, bytes, 2 * (y & 1) + (x & 1));
    }
    return v;
}

#endif
