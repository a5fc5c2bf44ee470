/* Internal to trainer/kernels/winograd_*.c: the weight gradient, and the bias' beside it.
 *
 * The tiles are what is summed over. They are taken in chunks: first all threads transform the chunk's windows of x and tiles of
 * dy, then they add the chunk's products to the sums. Two orders of that, with the same digits. by_blocks, with one chunk alone:
 * a thread takes a block, a panel of output channels by a panel of input channels, at all points, and turns its sums into filters
 * at once. by_points: a thread takes one point for a panel of output channels, so that what was transformed is read once from
 * afar; sums become filters after the last chunk.
 */
#ifndef LK_TRAINER_KERNELS_WINOGRAD_WEIGHT_GRADIENT_H
#define LK_TRAINER_KERNELS_WINOGRAD_WEIGHT_GRADIENT_H

#include "trainer/kernels/winograd_transforms.h"

enum {
    MOST_BY_BLOCKS = 128, /* tiles */
    TILES_OF_ITEM = 8     /* that one item transforms; its sums of dy are the bias' */
};

/* Tiles of a chunk by_points: few enough to stay near, and enough to be worth calling the threads and going through the sums.
 * Whole chains of products, so that the digits are those of any other number. */
static int chunk_of(const lk_convolution3 *s)
{
    int times = 96 / (s->in + s->out);
    return DEPTH * (times > 1 ? times : 1);
}

typedef struct gradient_work {
    const lk_convolution3 *shape;
    tiles tiles;
    source x, dy;
    float *dfilters;

    int lines;               /* tiles of a chunk that there is memory for */
    int first, count;        /* the chunk under way */
    float *windows, *slopes; /* x and dy at the points */
    size_t window_stride, slope_stride;
    float *sums; /* by_blocks: [lane][point][output][PANEL]; by_points: [point][output panel][input panel][output][PANEL] */
    size_t sums_of_lane, sum_stride; /* from point to point */
    float *bias_sums;                /* [item of the chunk][output panels * PANEL] */
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
            vec taps[TAPS][TAPS];
            FROM_POINTS(transform_filter_gradient, TAPS, sums + (size_t)o * PANEL + half, stride, taps);
            float *row = w->dfilters + (size_t)(output + o) * TAPS * TAPS * (size_t)in;
            for (int k = 0; k < TAPS * TAPS; k++)
                vec_store_at(row + (size_t)k * (size_t)in, input + half, in, taps[k / TAPS][k % TAPS]);
        }
}

/* Output channels of a panel, a multiple of GRAIN. */
static int outputs_of(const gradient_work *w, int output)
{
    int left = w->shape->out - output * PANEL;
    return round_up(left < PANEL ? left : PANEL, GRAIN);
}

/* The chunk's products at a point, of a panel of outputs by a panel of inputs. */
static void multiply_block(const gradient_work *w, int point, int output, int input, float *sums)
{
    operand slopes = {.values = w->slopes + (size_t)point * w->slope_stride + (size_t)output * (size_t)w->lines * PANEL,
                      .row = 1,
                      .line = PANEL,
                      .span = w->lines};
    const float *windows = w->windows + (size_t)point * w->window_stride + (size_t)input * (size_t)w->lines * PANEL;
    multiply(outputs_of(w, output), w->x.channels - input * PANEL, slopes, w->count, windows, sums, w->first > 0);
}

static void block_of_one_chunk_item(void *context, int lane, int item)
{
    const gradient_work *w = context;
    int inputs = panels_of(w->x.channels), output = item / inputs, input = item % inputs;
    float *sums = w->sums + (size_t)lane * w->sums_of_lane;
    for (int point = 0; point < POINTS; point++)
        multiply_block(w, point, output, input, sums + (size_t)point * w->sum_stride);
    finish_filters(w, sums, w->sum_stride, output * PANEL, outputs_of(w, output), input * PANEL);
}

static void point_item(void *context, int lane, int item)
{
    const gradient_work *w = context;
    int inputs = panels_of(w->x.channels), outputs = panels_of(w->dy.channels), point = item / outputs, output = item % outputs;
    float *sums = w->sums + (size_t)point * w->sum_stride + (size_t)(output * inputs) * PANEL * PANEL;
    (void)lane;
    for (int input = 0; input < inputs; input++, sums += PANEL * PANEL)
        multiply_block(w, point, output, input, sums);
}

static void finish_item(void *context, int lane, int item)
{
    const gradient_work *w = context;
    int inputs = panels_of(w->x.channels), output = item / inputs, input = item % inputs;
    (void)lane;
    finish_filters(w, w->sums + (size_t)item * PANEL * PANEL, w->sum_stride, output * PANEL, outputs_of(w, output),
                   input * PANEL);
}

static void add_bias(const gradient_work *w, double *totals)
{
    int items = (w->count + TILES_OF_ITEM - 1) / TILES_OF_ITEM, width = panels_of(w->dy.channels) * PANEL;
    for (int i = 0; i < items; i++)
        for (int c = 0; c < w->dy.channels; c++)
            totals[c] += (double)w->bias_sums[(size_t)i * (size_t)width + (size_t)c];
}

static void pack_chunk(const lk_team *team, gradient_work *w, int first, double *totals)
{
    int left = w->tiles.all - first;
    w->first = first;
    w->count = left < w->lines ? left : w->lines;
    lk_team_each(team, (w->count + TILES_OF_ITEM - 1) / TILES_OF_ITEM, pack_chunk_item, w);
    add_bias(w, totals);
}

static void by_blocks(const lk_team *team, gradient_work *w, double *totals)
{
    pack_chunk(team, w, 0, totals);
    lk_team_each(team, panels_of(w->x.channels) * panels_of(w->dy.channels), block_of_one_chunk_item, w);
}

static void by_points(const lk_team *team, gradient_work *w, double *totals)
{
    for (int first = 0; first < w->tiles.all; first += w->lines) {
        pack_chunk(team, w, first, totals);
        lk_team_each(team, POINTS * panels_of(w->dy.channels), point_item, w);
    }
    lk_team_each(team, panels_of(w->x.channels) * panels_of(w->dy.channels), finish_item, w);
}

static lk_status weight_gradient(const lk_team *team, const lk_convolution3 *s, const void *x, const lk_output_gradient *g,
                                 float *dfilters, float *dbias)
{
    gradient_work w = {.shape = s,
                       .tiles = tiles_of(s),
                       .x = {PLAIN, x, NULL, NULL, s->height, s->width, s->in},
                       .dy = gradient_source(s, g),
                       .dfilters = dfilters};
    int inputs = panels_of(s->in), outputs = panels_of(s->out);
    bool one_chunk = w.tiles.all <= MOST_BY_BLOCKS;
    w.lines = one_chunk ? w.tiles.all : chunk_of(s);
    w.window_stride = point_stride(inputs, w.lines);
    w.slope_stride = point_stride(outputs, w.lines);
    w.sum_stride = one_chunk ? point_stride(1, PANEL) : point_stride(inputs * outputs, PANEL);
    w.sums_of_lane = POINTS * w.sum_stride;
    w.windows = numbers(POINTS * w.window_stride);
    w.slopes = numbers(POINTS * w.slope_stride);
    w.sums = numbers((size_t)(one_chunk ? team->threads : 1) * w.sums_of_lane);
    w.bias_sums = numbers((size_t)((w.lines + TILES_OF_ITEM - 1) / TILES_OF_ITEM * outputs) * PANEL);
    double *totals = calloc((size_t)s->out, sizeof *totals);
    lk_status status = w.windows && w.slopes && w.sums && w.bias_sums && totals ? LK_OK : no_memory("a gradient's tiles");
    if (status == LK_OK) {
        (one_chunk ? by_blocks : by_points)(team, &w, totals);
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
