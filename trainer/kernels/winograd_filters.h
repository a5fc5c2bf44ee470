/* Internal to trainer/kernels/winograd_*.c: G g G' of filters.
 *
 * Transformed they are [point][panel of outputs][input][PANEL]: the right-hand matrix of the products, for the data gradient with
 * inputs and outputs changed over and the taps turned around.
 */
#ifndef LK_TRAINER_KERNELS_WINOGRAD_FILTERS_H
#define LK_TRAINER_KERNELS_WINOGRAD_FILTERS_H

#include "trainer/kernels/winograd_transforms.h"

/* Filters as a direction sees them: `from` channels are summed over, `to` come out. */
typedef struct filters {
    const float *values; /* [out][3][3][in] */
    int from, to;
    bool turned; /* data gradient: from is out, to is in */
} filters;

static inline filters filters_of(const lk_convolution3 *s, lk_direction direction, const float *values)
{
    bool turned = direction == LK_DATA_GRADIENT;
    return (filters){values, turned ? s->out : s->in, turned ? s->in : s->out, turned};
}

/* Filters come from main memory, in more places at a time than the CPU follows by itself: what the next LANES channels will read,
 * `ahead` numbers away, is asked for in time. */
INLINE void ask_for(const float *p, size_t ahead)
{
    _mm_prefetch((const char *)(p + ahead), _MM_HINT_T0);
}

/* Taps of channel `from` to channels to ... to+LANES-1. */
INLINE void turned_taps(const filters *f, int from, int to, vec taps[TAPS][TAPS])
{
    size_t to_all = (size_t)f->to, ahead = from + LANES < f->from ? LANES * TAPS * TAPS * to_all : 0;
    const float *row = f->values + (size_t)from * TAPS * TAPS * to_all;
    UNROLL for (int i = 0; i < TAPS * TAPS; i++, row += to_all)
    {
        taps[2 - i / TAPS][2 - i % TAPS] = vec_load_at(row, to, f->to);
        ask_for(row + to, ahead);
    }
}

/* Of LANES channels from ... to LANES channels to ...: the channels of a vector are the `from` ones in memory. */
INLINE void straight_taps(const filters *f, int from, int to, vec taps[LANES][TAPS][TAPS])
{
    size_t ahead = from + LANES < f->from ? LANES : 0;
    for (int i = 0; i < TAPS * TAPS; i++) {
        vec block[LANES];
        for (int k = 0; k < LANES; k++) {
            const float *row = f->values + ((size_t)(to + k) * TAPS * TAPS + (size_t)i) * (size_t)f->from;
            block[k] = vec_zero();
            if (to + k < f->to) {
                block[k] = vec_load_at(row, from, f->from);
                ask_for(row + from, ahead);
            }
        }
        vec_transpose(block);
        for (int k = 0; k < LANES; k++)
            taps[k][i / TAPS][i % TAPS] = block[k];
    }
}

/* Channels first ... first+count-1 of one panel into `packed`, whose points are `stride` apart. */
static void transform_panel(const filters *f, int panel, int first, int count, float *packed, size_t stride)
{
    for (int half = 0; half < PANEL; half += LANES) {
        int to = panel * PANEL + half;
        for (int done = 0; done < count; done += LANES) {
            vec taps[LANES][TAPS][TAPS], points[WINDOW][WINDOW];
            int from = first + done, some = count - done < LANES ? count - done : LANES;
            if (to >= f->to)
                memset(taps, 0, sizeof taps);
            else if (f->turned)
                for (int k = 0; k < some; k++)
                    turned_taps(f, from + k, to, taps[k]);
            else
                straight_taps(f, from, to, taps);
            for (int k = 0; k < some; k++) {
                BOTH_DIMENSIONS(transform_filter, TAPS, WINDOW, taps[k], points);
                store_points(packed + (size_t)(done + k) * PANEL + half, stride, points);
            }
        }
    }
}

/* ---- all panels, kept from step to step ---- */

typedef struct filter_work {
    filters filters;
    float *packed;
    size_t stride;
} filter_work;

static void transform_item(void *context, int lane, int panel)
{
    const filter_work *w = context;
    (void)lane;
    transform_panel(&w->filters, panel, 0, w->filters.from, w->packed + (size_t)panel * (size_t)w->filters.from * PANEL,
                    w->stride);
}

static void transform_filters(const lk_team *team, const lk_convolution3 *shape, lk_direction direction, const float *values,
                              float *packed)
{
    filter_work w = {.filters = filters_of(shape, direction, values), .packed = packed};
    w.stride = point_stride(panels_of(w.filters.to), w.filters.from);
    lk_team_each(team, panels_of(w.filters.to), transform_item, &w);
}

/* Four times the filters themselves: those of the largest layers are transformed a panel at a time by whoever uses it (by_panels
 * in winograd_output.h), which costs a hundredth of its products where there are a hundred tiles, and no memory. */
enum { LARGEST_KEPT = 16 << 20 }; /* bytes */

static size_t kept_filter_size(const lk_convolution3 *shape, lk_direction direction)
{
    filters f = filters_of(shape, direction, NULL);
    size_t size = POINTS * point_stride(panels_of(f.to), f.from);
    return size * sizeof(float) > LARGEST_KEPT ? 0 : size;
}

#endif
