/* Internal to trainer/kernels/transposed_*.c: forward and the data gradient.
 *
 * A thread takes a block of tiles: it transforms its windows for a phase, then, panel by panel of output channels, the panel's
 * taps, multiplies, and writes what comes out. So it reads nothing that another has just written, and mostly what is still in
 * its second-level cache. Forward, a phase's products become pixels of their own, and a phase is an item; in the data gradient
 * those of the four phases are added up first. Where there are few blocks threads share one's panels, and each transforms its
 * windows. */
#ifndef LK_TRAINER_KERNELS_TRANSPOSED_OUTPUT_H
#define LK_TRAINER_KERNELS_TRANSPOSED_OUTPUT_H

#include "trainer/kernels/transposed_transforms.h"

enum {
    BLOCK = 96,      /* tiles at most of an item: a multiple of ROWS and of GRAIN */
    MOST_PANELS = 4, /* of an item of the data gradient, whose products wait for the last phase */
};

typedef struct output_work {
    const lk_convolution3 *shape;
    lk_direction direction;
    tiles tiles;
    view views[PHASES];
    const float *filters; /* [in][4][4][out] */
    int from, to;         /* channels that are summed over, that come out */
    const float *bias;
    bool relu;
    number *out;

    int lines; /* tiles of a block */
    int parts; /* that the panels are shared out in */
    float *windows, *products, *taps;
    size_t windows_of_lane, products_of_panel, products_of_lane, taps_of_lane;
} output_work;

/* ---- taps ---- */

/* Of channel `from` to channels to ... to+LANES-1, which lie side by side. */
INLINE void straight_taps(const output_work *w, phase p, int from, int to, vec taps[TAPS][TAPS])
{
    const float *row = w->filters + (size_t)from * FILTER * FILTER * (size_t)w->to;
    UNROLL for (int i = 0; i < TAPS * TAPS; i++)
    {
        size_t tap = (size_t)tap_of(p, LK_FORWARD, i / TAPS, i % TAPS);
        taps[i / TAPS][i % TAPS] = vec_load_at(row + tap * (size_t)w->to, to, w->to);
    }
}

/* Of LANES channels from ... to LANES channels to ..., where the `from` ones lie side by side. */
INLINE void turned_taps(const output_work *w, phase p, int from, int to, vec taps[LANES][TAPS][TAPS])
{
    for (int i = 0; i < TAPS * TAPS; i++) {
        vec block[LANES];
        size_t tap = (size_t)tap_of(p, LK_DATA_GRADIENT, i / TAPS, i % TAPS);
        for (int k = 0; k < LANES; k++) {
            const float *row = w->filters + ((size_t)(to + k) * FILTER * FILTER + tap) * (size_t)w->from;
            block[k] = to + k < w->to ? vec_load_at(row, from, w->from) : vec_zero();
        }
        vec_transpose(block);
        for (int k = 0; k < LANES; k++)
            taps[k][i / TAPS][i % TAPS] = block[k];
    }
}

/* G g G' of one phase and panel: [point][from][PANEL]. */
static void transform_taps(const output_work *w, phase p, int panel, float *packed, size_t stride)
{
    for (int half = 0; half < PANEL; half += LANES) {
        int to = panel * PANEL + half;
        for (int from = 0; from < w->from; from += LANES) {
            vec taps[LANES][TAPS][TAPS], points[WINDOW][WINDOW];
            int count = w->from - from < LANES ? w->from - from : LANES;
            if (to >= w->to)
                memset(taps, 0, sizeof taps);
            else if (w->direction == LK_DATA_GRADIENT)
                turned_taps(w, p, from, to, taps);
            else
                for (int k = 0; k < count; k++)
                    straight_taps(w, p, from + k, to, taps[k]);
            for (int k = 0; k < count; k++) {
                BOTH_DIMENSIONS(transform_filter, TAPS, WINDOW, taps[k], points);
                store_points(packed + (size_t)(from + k) * PANEL + half, stride, points);
            }
        }
    }
}

/* ---- from the points to the pixels ---- */

/* Pixels of the input, or every second one of a picture that is twice as high and wide. */
INLINE void write_pixels(const output_work *w, phase p, place at, int c, vec y[TILE][TILE])
{
    const tiles *t = &w->tiles;
    int step = w->direction == LK_FORWARD ? 2 : 1;
    int down = t->height - at.y < TILE ? t->height - at.y : TILE, across = t->width - at.x < TILE ? t->width - at.x : TILE;
    for (int i = 0; i < down; i++) {
        size_t line = (size_t)(at.picture * t->height + at.y + i) * (size_t)step + (size_t)p.row;
        size_t pixel = line * (size_t)(t->width * step) + (size_t)(at.x * step + p.column);
        number *row = w->out + pixel * (size_t)w->to;
        for (int j = 0; j < across; j++)
            number_store_at(row + (size_t)(j * step) * (size_t)w->to, c, w->to, y[i][j]);
    }
}

/* A' m A + bias of a panel's channels, for `count` tiles. */
static void finish_panel(const output_work *w, phase p, int panel, const float *products, size_t stride, int first, int count)
{
    for (int half = 0; half < PANEL && panel * PANEL + half < w->to; half += LANES) {
        int c = panel * PANEL + half;
        vec bias = w->bias ? vec_load_at(w->bias, c, w->to) : vec_zero();
        for (int i = 0; i < count; i++) {
            vec points[WINDOW][WINDOW], y[TILE][TILE];
            load_points(products + (size_t)i * PANEL + half, stride, points);
            BOTH_DIMENSIONS(transform_output, WINDOW, TILE, points, y);
            UNROLL for (int k = 0; k < TILE * TILE; k++)
            {
                vec v = vec_add(y[k / TILE][k % TILE], bias);
                y[k / TILE][k % TILE] = w->relu ? vec_relu(v) : v;
            }
            write_pixels(w, p, place_of(&w->tiles, first + i), c, y);
        }
    }
}

/* ---- items ---- */

/* What a lane works in, and the tiles. */
typedef struct block {
    int first, count;
    float *windows, *products, *taps;
} block;

static void multiply_phase(const output_work *w, const block *b, int i, int panel, float *products, bool add)
{
    size_t window_stride = point_stride(panels_of(w->from), w->lines), tap_stride = point_stride(1, w->from);
    transform_taps(w, phase_of(i), panel, b->taps, tap_stride);
    for (int point = 0; point < POINTS; point++) {
        operand windows = {.values = b->windows + (size_t)point * window_stride,
                           .row = PANEL,
                           .line = 1,
                           .next = (size_t)w->lines * PANEL,
                           .span = PANEL};
        multiply(round_up(b->count, GRAIN), w->to - panel * PANEL, windows, w->from, b->taps + (size_t)point * tap_stride,
                 products + (size_t)point * point_stride(1, w->lines), add);
    }
}

static void block_item(void *context, int lane, int item)
{
    const output_work *w = context;
    bool forward = w->direction == LK_FORWARD;
    int panels = panels_of(w->to), part = item % w->parts, begin = panels * part / w->parts, end = panels * (part + 1) / w->parts;
    item /= w->parts;
    int begun = forward ? item % PHASES : 0, phases = forward ? 1 : PHASES, first = (forward ? item / PHASES : item) * w->lines;
    int left = w->tiles.all - first;
    block b = {.first = first,
               .count = left < w->lines ? left : w->lines,
               .windows = w->windows + (size_t)lane * w->windows_of_lane,
               .products = w->products + (size_t)lane * w->products_of_lane,
               .taps = w->taps + (size_t)lane * w->taps_of_lane};
    for (int i = begun; i < begun + phases; i++) {
        pack_windows(&w->views[i], &w->tiles, first, b.count, b.windows, w->lines, point_stride(panels_of(w->from), w->lines));
        for (int panel = begin; panel < end; panel++) {
            float *products = b.products + (size_t)(forward ? 0 : panel - begin) * w->products_of_panel;
            multiply_phase(w, &b, i, panel, products, i > begun);
            if (i == begun + phases - 1)
                finish_panel(w, phase_of(begun), panel, products, point_stride(1, w->lines), first, b.count);
        }
    }
}

static lk_status compute_output(const lk_team *team, output_work *w)
{
    bool forward = w->direction == LK_FORWARD;
    int panels = panels_of(w->to), rounds = forward ? PHASES : 1;
    w->lines = w->tiles.all < BLOCK ? round_up(w->tiles.all, GRAIN) : BLOCK;
    int items = (w->tiles.all + w->lines - 1) / w->lines * rounds;
    int least = forward ? 1 : (panels + MOST_PANELS - 1) / MOST_PANELS, wanted = lk_team_parts(team, items, panels);
    w->parts = wanted > least ? wanted : least;
    w->windows_of_lane = POINTS * point_stride(panels_of(w->from), w->lines);
    w->products_of_panel = POINTS * point_stride(1, w->lines);
    w->products_of_lane = w->products_of_panel * (size_t)(forward ? 1 : MOST_PANELS);
    w->taps_of_lane = POINTS * point_stride(1, w->from);
    w->windows = numbers((size_t)team->threads * w->windows_of_lane);
    w->products = numbers((size_t)team->threads * w->products_of_lane);
    w->taps = numbers((size_t)team->threads * w->taps_of_lane);
    lk_status status = w->windows && w->products && w->taps ? LK_OK : no_memory("the windows of a layer");
    if (status == LK_OK)
        lk_team_each(team, items * w->parts, block_item, w);
    free(w->windows);
    free(w->products);
    free(w->taps);
    return status;
}

/* ---- the two directions ---- */

static lk_status forward(const lk_team *team, const lk_convolution3 *s, const void *x, const lk_filters *f, const float *bias,
                         void *y, uint8_t *choice)
{
    output_work w = {.shape = s,
                     .direction = LK_FORWARD,
                     .tiles = tiles_of(s),
                     .filters = f->values,
                     .from = s->in,
                     .to = s->out,
                     .bias = bias,
                     .relu = s->relu,
                     .out = y};
    (void)choice;
    for (int i = 0; i < PHASES; i++)
        w.views[i] = input_view(s, x, i);
    return compute_output(team, &w);
}

static lk_status data_gradient(const lk_team *team, const lk_convolution3 *s, const lk_output_gradient *g, const lk_filters *f,
                               void *dx)
{
    output_work w = {.shape = s,
                     .direction = LK_DATA_GRADIENT,
                     .tiles = tiles_of(s),
                     .filters = f->values,
                     .from = s->out,
                     .to = s->in,
                     .out = dx};
    for (int i = 0; i < PHASES; i++)
        w.views[i] = gradient_view(s, g, i);
    return compute_output(team, &w);
}

#endif
