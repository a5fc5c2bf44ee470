/* Internal to trainer/kernels/winograd_*.c: the weight gradient, and the bias' beside it.
 *
 * The tiles are what is summed over. They are taken in chunks: first all threads transform the chunk's windows of x and tiles of
 * dy, then each takes blocks of (output channels) x (a panel of input channels), adds the chunk's products to the block's sums
 * at the 36 points, and after the last chunk turns them into filters. A sum is one chain of additions within a chunk, and chunks
 * depend on the shape alone.
 */
#ifndef LK_TRAINER_KERNELS_WINOGRAD_WEIGHT_GRADIENT_H
#define LK_TRAINER_KERNELS_WINOGRAD_WEIGHT_GRADIENT_H

#include "trainer/kernels/winograd_transforms.h"

enum {
    GRADIENT_CHUNK = 256, /* tiles */
    TILES_OF_ITEM = 8     /* that one item transforms; its sums of dy are the bias' */
};

typedef struct gradient_work {
    const lk_convolution3 *shape;
    tiles tiles;
    source x, dy;
    float *dfilters;

    int lines;        /* tiles of a chunk that there is memory for */
    int first, count; /* the chunk under way */
    bool last;
    float *windows, *slopes; /* x and dy at the points */
    size_t window_stride, slope_stride;
    float *sums; /* [item], each [point][output][PANEL]; with one chunk alone [lane] */
    size_t sums_of_item;
    bool one_chunk;
    float *bias_sums; /* [item of the chunk][output panels * PANEL] */
} gradient_work;

/* A dy A' of tiles; adds the tiles' numbers to bias[channel]. */
INLINE void pack_slopes_of(source_kind kind, const gradient_work *w, int first, int count, float *packed, float *bias)
{
    for (int c = 0; c < w->dy.channels; c += LANES) {
        vec total = vec_zero();
        for (int i = 0; i < count; i++) {
            vec tile[TILE][TILE], points[WINDOW][WINDOW];
            place p = place_of(&w->tiles, first + i);
            read_window(&w->dy, kind, TILE, p.picture, p.y, p.x, c, &tile[0][0]);
            UNROLL for (int k = 0; k < TILE * TILE; k++) total = vec_add(total, tile[k / TILE][k % TILE]);
            BOTH_DIMENSIONS(transform_gradient, TILE, WINDOW, tile, points);
            store_points(packed + ((size_t)(c / PANEL) * (size_t)w->lines + (size_t)i) * PANEL + c % PANEL, w->slope_stride,
                         points);
        }
        vec_store(bias + c, total);
    }
}

static void pack_slopes(const gradient_work *w, int first, int count, float *packed, float *bias)
{
    switch (w->dy.kind) {
    case PLAIN: pack_slopes_of(PLAIN, w, first, count, packed, bias); break;
    case GATED: pack_slopes_of(GATED, w, first, count, packed, bias); break;
    case POOLED: pack_slopes_of(POOLED, w, first, count, packed, bias); break;
    }
}

static void pack_chunk_item(void *context, int lane, int item)
{
    const gradient_work *w = context;
    int first = item * TILES_OF_ITEM, left = w->count - first, count = left < TILES_OF_ITEM ? left : TILES_OF_ITEM;
    (void)lane;
    pack_windows(&w->x, &w->tiles, w->first + first, count, w->windows + (size_t)first * PANEL, w->lines, w->window_stride);
    pack_slopes(w, w->first + first, count, w->slopes + (size_t)first * PANEL,
                w->bias_sums + (size_t)item * (size_t)panels_of(w->dy.channels) * PANEL);
}

/* G' u G of a block's outputs, into [out][3][3][in]. */
static void finish_filters(const gradient_work *w, const float *sums, size_t stride, int output, int outputs, int input)
{
    int in = w->shape->in;
    for (int o = 0; o < outputs && output + o < w->shape->out; o++)
        for (int half = 0; half < PANEL && input + half < in; half += LANES) {
            vec points[WINDOW][WINDOW], taps[TAPS][TAPS];
            load_points(sums + (size_t)o * PANEL + half, stride, points);
            BOTH_DIMENSIONS(transform_filter_gradient, WINDOW, TAPS, points, taps);
            float *row = w->dfilters + (size_t)(output + o) * TAPS * TAPS * (size_t)in;
            for (int k = 0; k < TAPS * TAPS; k++)
                vec_store_at(row + (size_t)k * (size_t)in, input + half, in, taps[k / TAPS][k % TAPS]);
        }
}

/* A panel of outputs by a panel of inputs. */
static void multiply_item(void *context, int lane, int item)
{
    const gradient_work *w = context;
    int inputs = panels_of(w->x.channels), output = item / inputs, input = item % inputs;
    int left = w->shape->out - output * PANEL, outputs = round_up(left < PANEL ? left : PANEL, GRAIN);
    float *sums = w->sums + (size_t)(w->one_chunk ? lane : item) * w->sums_of_item;
    size_t stride = point_stride(1, PANEL);
    for (int point = 0; point < POINTS; point++) {
        operand slopes = {.values = w->slopes + (size_t)point * w->slope_stride + (size_t)output * (size_t)w->lines * PANEL,
                          .row = 1,
                          .line = PANEL,
                          .span = w->lines};
        const float *windows = w->windows + (size_t)point * w->window_stride + (size_t)input * (size_t)w->lines * PANEL;
        multiply(outputs, slopes, w->count, windows, sums + (size_t)point * stride, w->first > 0);
    }
    if (w->last)
        finish_filters(w, sums, stride, output * PANEL, outputs, input * PANEL);
}

static void add_bias(const gradient_work *w, double *totals)
{
    int items = (w->count + TILES_OF_ITEM - 1) / TILES_OF_ITEM, width = panels_of(w->dy.channels) * PANEL;
    for (int i = 0; i < items; i++)
        for (int c = 0; c < w->dy.channels; c++)
            totals[c] += (double)w->bias_sums[(size_t)i * (size_t)width + (size_t)c];
}

static void run_chunks(const lk_team *team, gradient_work *w, double *totals)
{
    int items = panels_of(w->x.channels) * panels_of(w->dy.channels);
    for (w->first = 0; w->first < w->tiles.all; w->first += GRADIENT_CHUNK) {
        int left = w->tiles.all - w->first;
        w->last = left <= GRADIENT_CHUNK;
        w->count = w->last ? left : GRADIENT_CHUNK;
        lk_team_each(team, (w->count + TILES_OF_ITEM - 1) / TILES_OF_ITEM, pack_chunk_item, w);
        lk_team_each(team, items, multiply_item, w);
        add_bias(w, totals);
    }
}

static lk_status weight_gradient(const lk_team *team, const lk_convolution3 *s, const float *x, const lk_output_gradient *g,
                                 float *dfilters, float *dbias)
{
    gradient_work w = {.shape = s,
                       .tiles = tiles_of(s),
                       .x = {PLAIN, x, NULL, NULL, s->height, s->width, s->in},
                       .dy = gradient_source(s, g),
                       .dfilters = dfilters};
    int inputs = panels_of(s->in), outputs = panels_of(s->out);
    w.one_chunk = w.tiles.all <= GRADIENT_CHUNK;
    w.lines = w.one_chunk ? w.tiles.all : GRADIENT_CHUNK;
    w.window_stride = point_stride(inputs, w.lines);
    w.slope_stride = point_stride(outputs, w.lines);
    w.sums_of_item = POINTS * point_stride(1, PANEL);
    w.windows = zeros(POINTS * w.window_stride);
    w.slopes = zeros(POINTS * w.slope_stride);
    w.sums = numbers((size_t)(w.one_chunk ? team->threads : inputs * outputs) * w.sums_of_item);
    w.bias_sums = numbers((size_t)(GRADIENT_CHUNK / TILES_OF_ITEM * outputs) * PANEL);
    double *totals = calloc((size_t)s->out, sizeof *totals);
    lk_status status = w.windows && w.slopes && w.sums && w.bias_sums && totals ? LK_OK : no_memory("a gradient's tiles");
    if (status == LK_OK) {
        run_chunks(team, &w, totals);
        for (int c = 0; c < s->out; c++)
            dbias[c] = (float)totals[c];
    }
    free(w.windows);
    free(w.slopes);
    free(w.sums);
    free(w.bias_sums);
    free(totals);
    return status;
}

#endif
