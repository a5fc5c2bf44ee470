/* Internal to trainer/kernels/winograd_*.c: forward, and the data gradient, which is the same with other filters.
 *
 * Two orders of the loops, with the same digits. by_tiles: a thread takes a block of tiles through all three steps, its numbers
 * stay in its second-level cache, the filters stream by from the last level. by_panels, where the filters outgrow that: all
 * windows are transformed first, then a thread takes a panel of output channels, so that each filter is read and transformed
 * once.
 */
#ifndef LK_TRAINER_KERNELS_WINOGRAD_OUTPUT_H
#define LK_TRAINER_KERNELS_WINOGRAD_OUTPUT_H

#include "trainer/kernels/winograd_filters.h"

enum {
    BLOCK = 48,  /* tiles at most that go through by_tiles together: a multiple of ROWS and of GRAIN */
    CHUNK = 288, /* tiles at most whose windows by_panels keeps: a multiple of SHEAF */
    SHEAF = 24   /* of them whose windows lie together */
};

typedef struct output_work {
    const lk_convolution3 *shape;
    tiles tiles;
    source source;
    filters filters;
    const float *transformed; /* all panels, or NULL */
    const float *bias;
    bool relu, pool;
    number *out; /* [batch][height][width][filters.to] */
    uint8_t *choice;

    int lines; /* tiles of a block */
    int first; /* by_panels: where the chunk under way begins */
    float *windows, *products, *panels;
    size_t windows_of_block, products_of_lane, panels_of_lane;
} output_work;

/* ---- from the points to the pixels ---- */

INLINE void write_pixels(const output_work *w, place p, int c, vec y[TILE][TILE])
{
    const tiles *t = &w->tiles;
    int channels = w->filters.to;
    int down = t->height - p.y < TILE ? t->height - p.y : TILE, across = t->width - p.x < TILE ? t->width - p.x : TILE;
    size_t line = (size_t)p.picture * (size_t)t->height + (size_t)p.y, step = (size_t)t->width * (size_t)channels;
    number *first = w->out + (line * (size_t)t->width + (size_t)p.x) * (size_t)channels;
    UNROLL for (int k = 0; k < TILE * TILE; k++)
    {
        int i = k / TILE, j = k % TILE; /* known to the compiler, so that y need not lie in memory */
        if (i < down && j < across)
            number_store_at(first + (size_t)i * step + (size_t)j * (size_t)channels, c, channels, y[i][j]);
    }
}

INLINE void write_maxima(const output_work *w, place p, int c, vec y[TILE][TILE])
{
    const tiles *t = &w->tiles;
    int channels = w->filters.to, height = t->height / 2, width = t->width / 2;
    UNROLL for (int k = 0; k < TILE; k++)
    {
        int i = k / 2 * 2, j = k % 2 * 2;
        if (p.y + i + 1 >= t->height || p.x + j + 1 >= t->width)
            continue;
        vec best = y[i][j];
        vec_index choice = vec_index_zero();
        vec_take_greater(&best, &choice, y[i][j + 1], 1);
        vec_take_greater(&best, &choice, y[i + 1][j], 2);
        vec_take_greater(&best, &choice, y[i + 1][j + 1], 3);
        size_t line = (size_t)p.picture * (size_t)height + (size_t)((p.y + i) / 2);
        size_t at = (line * (size_t)width + (size_t)((p.x + j) / 2)) * (size_t)channels;
        number_store_at(w->out + at, c, channels, best);
        uint8_t few[LANES];
        vec_index_store(channels - c < LANES ? few : w->choice + at + c, choice);
        if (channels - c < LANES)
            memcpy(w->choice + at + c, few, (size_t)(channels - c));
    }
}

/* A' m A + bias of one panel's channels, for `count` tiles. */
static void finish_panel(const output_work *w, int panel, const float *products, size_t stride, int first, int count)
{
    for (int i = 0; i < count; i++) {
        place p = place_of(&w->tiles, first + i);
        for (int half = 0; half < PANEL && panel * PANEL + half < w->filters.to; half += LANES) {
            int c = panel * PANEL + half;
            vec y[TILE][TILE];
            vec bias = w->bias ? vec_load_at(w->bias, c, w->filters.to) : vec_zero();
            FROM_POINTS(transform_output, TILE, products + (size_t)i * PANEL + half, stride, y);
            UNROLL for (int k = 0; k < TILE * TILE; k++)
            {
                vec v = vec_add(y[k / TILE][k % TILE], bias);
                y[k / TILE][k % TILE] = w->relu ? vec_relu(v) : v;
            }
            if (w->pool)
                write_maxima(w, p, c, y);
            else
                write_pixels(w, p, c, y);
        }
    }
}

INLINE operand windows_at(const output_work *w, const float *windows, size_t stride, int point)
{
    return (operand){
        .values = windows + (size_t)point * stride, .row = PANEL, .line = 1, .next = (size_t)w->lines * PANEL, .span = PANEL};
}

/* ---- the two orders ---- */

static void block_item(void *context, int lane, int item)
{
    const output_work *w = context;
    int from = w->filters.from, to = w->filters.to, panels = panels_of(to), lines = w->lines, first = item * lines;
    int count = w->tiles.all - first < lines ? w->tiles.all - first : lines;
    float *windows = w->windows + (size_t)lane * w->windows_of_block;
    float *products = w->products + (size_t)lane * w->products_of_lane;
    size_t stride = point_stride(panels_of(from), lines), product_stride = point_stride(1, lines);
    size_t filter_stride = point_stride(panels, from);
    pack_windows(&w->source, &w->tiles, first, count, windows, lines, stride);
    for (int n = 0; n < panels; n++) {
        for (int point = 0; point < POINTS; point++)
            multiply(round_up(count, GRAIN), to - n * PANEL, windows_at(w, windows, stride, point), from,
                     w->transformed + (size_t)point * filter_stride + (size_t)n * (size_t)from * PANEL,
                     products + (size_t)point * product_stride, false);
        finish_panel(w, n, products, product_stride, first, count);
    }
}

static lk_status by_tiles(const lk_team *team, output_work *w)
{
    /* Blocks for every thread, where there are few tiles. */
    int share = round_up((w->tiles.all + 2 * team->threads - 1) / (2 * team->threads), GRAIN);
    w->lines = share < BLOCK ? share : BLOCK;
    w->windows_of_block = POINTS * point_stride(panels_of(w->filters.from), w->lines);
    w->products_of_lane = POINTS * point_stride(1, w->lines);
    w->windows = numbers((size_t)team->threads * w->windows_of_block);
    w->products = numbers((size_t)team->threads * w->products_of_lane);
    lk_status status = w->windows && w->products ? LK_OK : no_memory("a block of tiles");
    if (status == LK_OK)
        lk_team_each(team, (w->tiles.all + w->lines - 1) / w->lines, block_item, w);
    free(w->windows);
    free(w->products);
    return status;
}

static void pack_item(void *context, int lane, int item)
{
    const output_work *w = context;
    int first = item * w->lines, left = w->tiles.all - w->first - first, count = left < w->lines ? left : w->lines;
    (void)lane;
    pack_windows(&w->source, &w->tiles, w->first + first, count, w->windows + (size_t)item * w->windows_of_block, w->lines,
                 point_stride(panels_of(w->filters.from), w->lines));
}

static void panel_item(void *context, int lane, int panel)
{
    const output_work *w = context;
    int from = w->filters.from, left = w->tiles.all - w->first, count = left < CHUNK ? left : CHUNK;
    float *products = w->products + (size_t)lane * w->products_of_lane, *filter = w->panels + (size_t)lane * w->panels_of_lane;
    size_t stride = point_stride(panels_of(from), w->lines), product_stride = point_stride(1, CHUNK);
    size_t filter_stride = point_stride(1, DEPTH);
    for (int k = 0; k < from; k += DEPTH) {
        int slice = from - k < DEPTH ? from - k : DEPTH;
        transform_panel(&w->filters, panel, k, slice, filter, filter_stride);
        for (int point = 0; point < POINTS; point++)
            for (int done = 0; done < count; done += w->lines) {
                const float *windows = w->windows + (size_t)(done / w->lines) * w->windows_of_block;
                int rows = round_up(count - done < w->lines ? count - done : w->lines, GRAIN);
                multiply(rows, w->filters.to - panel * PANEL, from_column(windows_at(w, windows, stride, point), k), slice,
                         filter + (size_t)point * filter_stride, products + (size_t)point * product_stride + (size_t)done * PANEL,
                         k > 0);
            }
    }
    finish_panel(w, panel, products, product_stride, w->first, count);
}

static lk_status by_panels(const lk_team *team, output_work *w)
{
    int blocks = (w->tiles.all < CHUNK ? w->tiles.all + SHEAF - 1 : CHUNK) / SHEAF;
    w->lines = SHEAF;
    w->windows_of_block = POINTS * point_stride(panels_of(w->filters.from), w->lines);
    w->products_of_lane = POINTS * point_stride(1, CHUNK);
    w->panels_of_lane = POINTS * point_stride(1, DEPTH);
    w->windows = numbers((size_t)blocks * w->windows_of_block);
    w->products = numbers((size_t)team->threads * w->products_of_lane);
    w->panels = numbers((size_t)team->threads * w->panels_of_lane);
    lk_status status = w->windows && w->products && w->panels ? LK_OK : no_memory("the windows of a layer");
    for (w->first = 0; status == LK_OK && w->first < w->tiles.all; w->first += CHUNK) {
        int left = w->tiles.all - w->first, count = left < CHUNK ? left : CHUNK;
        lk_team_each(team, (count + SHEAF - 1) / SHEAF, pack_item, w);
        lk_team_each(team, panels_of(w->filters.to), panel_item, w);
    }
    free(w->windows);
    free(w->products);
    free(w->panels);
    return status;
}

/* ---- the two directions ---- */

static lk_status forward(const lk_team *team, const lk_convolution3 *s, const void *x, const lk_filters *f, const float *bias,
                         void *y, uint8_t *choice)
{
    output_work w = {.shape = s,
                     .tiles = tiles_of(s),
                     .source = plain_source(s, x),
                     .filters = filters_of(s, LK_FORWARD, f->values),
                     .transformed = f->transformed,
                     .bias = bias,
                     .relu = s->relu,
                     .pool = s->pool,
                     .out = y,
                     .choice = choice};
    return w.transformed ? by_tiles(team, &w) : by_panels(team, &w);
}

static lk_status data_gradient(const lk_team *team, const lk_convolution3 *s, const lk_output_gradient *g, const lk_filters *f,
                               void *dx)
{
    output_work w = {.shape = s,
                     .tiles = tiles_of(s),
                     .source = gradient_source(s, g),
                     .filters = filters_of(s, LK_DATA_GRADIENT, f->values),
                     .transformed = f->transformed,
                     .out = dx};
    return w.transformed ? by_tiles(team, &w) : by_panels(team, &w);
}

#endif
