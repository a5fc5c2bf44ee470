/* Internal to trainer/kernels/transposed_*.c: the weight gradient, and the bias' beside it.
 *
 * One phase after the other, whose taps are its own. The tiles are what is summed over, in chunks: first all threads transform
 * the chunk's windows of x and tiles of dy, then each takes blocks of (a panel of input channels) x (a panel of output channels),
 * adds the chunk's products to the block's sums at the 25 points, and after the last chunk turns them into taps. A sum is one
 * chain of additions within a chunk, and chunks depend on the shape alone. */
#ifndef LK_TRAINER_KERNELS_TRANSPOSED_WEIGHT_GRADIENT_H
#define LK_TRAINER_KERNELS_TRANSPOSED_WEIGHT_GRADIENT_H

#include "trainer/kernels/transposed_transforms.h"

enum {
    GRADIENT_CHUNK = 256, /* tiles */
    TILES_OF_ITEM = 8     /* that one item transforms; its sums of dy are the bias' */
};

typedef struct gradient_work {
    const lk_convolution3 *shape;
    tiles tiles;
    phase phase;
    view x, dy;
    float *dfilters;

    int lines;        /* tiles of a chunk that there is memory for */
    int first, count; /* the chunk under way */
    bool last;
    float *windows, *slopes; /* x and dy at the points */
    size_t window_stride, slope_stride;
    float *sums; /* [item], each [point][input][PANEL] */
    size_t sums_of_item;
    float *bias_sums; /* [item of the chunk][output panels * PANEL] */
} gradient_work;

/* A dy A' of tiles; the tiles' numbers are added up in bias[channel]. */
INLINE void pack_slopes_of(source_kind kind, const gradient_work *w, int first, int count, float *packed, float *bias)
{
    for (int c = 0; c < w->dy.source.channels; c += LANES) {
        vec total = vec_zero();
        for (int i = 0; i < count; i++) {
            vec tile[TILE][TILE], points[WINDOW][WINDOW];
            place p = place_of(&w->tiles, first + i);
            window from = find_window(&w->dy.source, kind, TILE, p.picture, p.y, p.x);
            read_window(&w->dy.source, kind, &from, TILE, c, &tile[0][0]);
            UNROLL for (int k = 0; k < TILE * TILE; k++) total = vec_add(total, tile[k / TILE][k % TILE]);
            BOTH_DIMENSIONS(transform_gradient, TILE, WINDOW, tile, points);
            store_points(packed + ((size_t)(c / PANEL) * (size_t)w->lines + (size_t)i) * PANEL + c % PANEL, w->slope_stride,
                         points);
        }
        vec_store(bias + c, total);
    }
}

static void pack_chunk_item(void *context, int lane, int item)
{
    const gradient_work *w = context;
    int first = item * TILES_OF_ITEM, left = w->count - first, count = left < TILES_OF_ITEM ? left : TILES_OF_ITEM;
    float *slopes = w->slopes + (size_t)first * PANEL;
    float *bias = w->bias_sums + (size_t)item * (size_t)panels_of(w->dy.source.channels) * PANEL;
    (void)lane;
    pack_windows(&w->x, &w->tiles, w->first + first, count, w->windows + (size_t)first * PANEL, w->lines, w->window_stride);
    if (w->dy.source.kind == GATED)
        pack_slopes_of(GATED, w, w->first + first, count, slopes, bias);
    else
        pack_slopes_of(PLAIN, w, w->first + first, count, slopes, bias);
}

/* G' u G of a block's inputs, into [in][4][4][out]. */
static void finish_taps(const gradient_work *w, const float *sums, size_t stride, int input, int output)
{
    const lk_convolution3 *s = w->shape;
    for (int i = 0; i < PANEL && input + i < s->in; i++)
        for (int half = 0; half < PANEL && output + half < s->out; half += LANES) {
            vec points[WINDOW][WINDOW], taps[TAPS][TAPS];
            load_points(sums + (size_t)i * PANEL + half, stride, points);
            BOTH_DIMENSIONS(transform_filter_gradient, WINDOW, TAPS, points, taps);
            float *row = w->dfilters + (size_t)(input + i) * FILTER * FILTER * (size_t)s->out;
            UNROLL for (int k = 0; k < TAPS * TAPS; k++)
            {
                size_t tap = (size_t)tap_of(w->phase, LK_WEIGHT_GRADIENT, k / TAPS, k % TAPS);
                vec_store_at(row + tap * (size_t)s->out, output + half, s->out, taps[k / TAPS][k % TAPS]);
            }
        }
}

/* A panel of inputs by a panel of outputs. */
static void multiply_item(void *context, int lane, int item)
{
    const gradient_work *w = context;
    int outputs = panels_of(w->shape->out), input = item / outputs, output = item % outputs;
    int left = w->shape->in - input * PANEL, rows = round_up(left < PANEL ? left : PANEL, GRAIN);
    float *sums = w->sums + (size_t)item * w->sums_of_item;
    size_t stride = point_stride(1, PANEL);
    (void)lane;
    for (int point = 0; point < POINTS; point++) {
        operand windows = {.values = w->windows + (size_t)point * w->window_stride + (size_t)input * (size_t)w->lines * PANEL,
                           .row = 1,
                           .line = PANEL,
                           .span = w->lines};
        const float *slopes = w->slopes + (size_t)point * w->slope_stride + (size_t)output * (size_t)w->lines * PANEL;
        multiply(rows, w->shape->out - output * PANEL, windows, w->count, slopes, sums + (size_t)point * stride, w->first > 0);
    }
    if (w->last)
        finish_taps(w, sums, stride, input * PANEL, output * PANEL);
}

static void add_bias(const gradient_work *w, double *totals)
{
    int items = (w->count + TILES_OF_ITEM - 1) / TILES_OF_ITEM, width = panels_of(w->dy.source.channels) * PANEL;
    for (int i = 0; i < items; i++)
        for (int c = 0; c < w->dy.source.channels; c++)
            totals[c] += (double)w->bias_sums[(size_t)i * (size_t)width + (size_t)c];
}

static void run_phase(const lk_team *team, gradient_work *w, double *totals)
{
    int items = panels_of(w->x.source.channels) * panels_of(w->dy.source.channels);
    for (w->first = 0; w->first < w->tiles.all; w->first += GRADIENT_CHUNK) {
        int left = w->tiles.all - w->first;
        w->last = left <= GRADIENT_CHUNK;
        w->count = w->last ? left : GRADIENT_CHUNK;
        lk_team_each(team, (w->count + TILES_OF_ITEM - 1) / TILES_OF_ITEM, pack_chunk_item, w);
        lk_team_each(team, items, multiply_item, w);
        add_bias(w, totals);
    }
}

static lk_status weight_gradient(const lk_team *team, const lk_convolution3 *s, const void *x, const lk_output_gradient *g,
                                 float *dfilters, float *dbias)
{
    gradient_work w = {.shape = s, .tiles = tiles_of(s), .dfilters = dfilters};
    int inputs = panels_of(s->in), outputs = panels_of(s->out);
    w.lines = w.tiles.all < GRADIENT_CHUNK ? w.tiles.all : GRADIENT_CHUNK;
    w.window_stride = point_stride(inputs, w.lines);
    w.slope_stride = point_stride(outputs, w.lines);
    w.sums_of_item = POINTS * point_stride(1, PANEL);
    w.windows = numbers(POINTS * w.window_stride);
    w.slopes = numbers(POINTS * w.slope_stride);
    w.sums = numbers((size_t)(inputs * outputs) * w.sums_of_item);
    w.bias_sums = numbers((size_t)(GRADIENT_CHUNK / TILES_OF_ITEM * outputs) * PANEL);
    double *totals = calloc((size_t)s->out, sizeof *totals);
    lk_status status = w.windows && w.slopes && w.sums && w.bias_sums && totals ? LK_OK : no_memory("a gradient's tiles");
    for (int i = 0; status == LK_OK && i < PHASES; i++) {
        w.phase = phase_of(i);
        w.x = input_view(s, x, i);
        w.dy = gradient_view(s, g, i);
        run_phase(team, &w, totals);
    }
    for (int c = 0; status == LK_OK && c < s->out; c++)
        dbias[c] = (float)totals[c];
    free(w.windows);
    free(w.slopes);
    free(w.sums);
    free(w.bias_sums);
    free(totals);
    return status;
}

#endif
