/* Internal to trainer/kernels/winograd_*.c: the weight gradient, and the bias' beside it.
 *
 * The tiles are what is summed over, in chunks: windows of x and tiles of dy are transformed, then their products are added to
 * the sums, block by block: a panel of output channels by a panel of input channels. The shape decides in which of three orders.
 *
 * by_groups, where a chunk fits into the second-level cache: a group of chunks has sums of its own, which are added up in the
 * end. A thread does all of a group, so that it reads nothing that another has just written: where cores are far from each other
 * that takes as long as the products. Of fewer groups than threads the blocks are shared out; each thread then transforms the
 * group's chunk for itself.
 * by_blocks, with one chunk alone: all threads transform it, then one takes a block at all points and turns its sums into filters
 * at once.
 * by_points: all threads transform a chunk, then one takes a point for a panel of output channels, so that what was transformed
 * is read once from afar; sums become filters after the last chunk.
 */
#ifndef LK_TRAINER_KERNELS_WINOGRAD_WEIGHT_GRADIENT_H
#define LK_TRAINER_KERNELS_WINOGRAD_WEIGHT_GRADIENT_H

#include "trainer/kernels/winograd_transforms.h"

enum {
    MOST_BY_GROUPS = 128 * DEPTH, /* tiles of a chunk times channels, in and out */
    MOST_GROUPS = 16,
    MOST_BY_BLOCKS = 128, /* tiles */
    TILES_OF_ITEM = 8     /* that one item transforms; its sums of dy are the bias' */
};

typedef struct gradient_work {
    const lk_convolution3 *shape;
    tiles tiles;
    source x, dy;
    float *dfilters;

    int lines;               /* tiles of a chunk that there is memory for */
    int first, count;        /* the chunk under way */
    float *windows, *slopes; /* x and dy at the points */
    size_t window_stride, slope_stride;
    /* by_blocks: [lane][point][output][PANEL]; by_points: [point][output panel][input panel][output][PANEL]; by_groups:
     * [group][output panel][input panel][point][output][PANEL], with one group alone as by_blocks. */
    float *sums;
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
            window from = find_window(&w->dy, kind, TILE, p.picture, p.y, p.x);
            read_window(&w->dy, kind, &from, TILE, c, &tile[0][0]);
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

static int items_of(const gradient_work *w)
{
    return (w->count + TILES_OF_ITEM - 1) / TILES_OF_ITEM;
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
static void multiply_block(const gradient_work *w, int point, int output, int input, float *sums, bool add)
{
    operand slopes = {.values = w->slopes + (size_t)point * w->slope_stride + (size_t)output * (size_t)w->lines * PANEL,
                      .row = 1,
                      .line = PANEL,
                      .span = w->lines};
    const float *windows = w->windows + (size_t)point * w->window_stride + (size_t)input * (size_t)w->lines * PANEL;
    multiply(outputs_of(w, output), w->x.channels - input * PANEL, slopes, w->count, windows, sums, add);
}

static void add_bias(const gradient_work *w, double *totals)
{
    int width = panels_of(w->dy.channels) * PANEL;
    for (int i = 0; i < items_of(w); i++)
        for (int c = 0; c < w->dy.channels; c++)
            totals[c] += (double)w->bias_sums[(size_t)i * (size_t)width + (size_t)c];
}

/* ---- by_groups ---- */

typedef struct group_work {
    gradient_work all; /* whose windows, slopes and bias_sums are the lanes': they follow each other */
    size_t windows_of_lane, slopes_of_lane, bias_sums_of_lane, sums_of_group;
    int groups, chunks; /* chunks of a group at most */
    int parts;          /* that the blocks of a group are shared out in */
    int *held;          /* [lane]: the first tile of the chunk that it has; -1: none */
    float *bias_sums;   /* of all chunks */
} group_work;

/* The chunk of the lane's work, transformed unless it was. Part 0 hands on what it adds to the bias. */
static void hold_chunk(const group_work *g, gradient_work *w, int lane, int part)
{
    size_t width = (size_t)panels_of(w->dy.channels) * PANEL, items = (size_t)items_of(w);
    if (g->held[lane] != w->first)
        for (int i = 0; i < items_of(w); i++)
            pack_chunk_item(w, lane, i);
    g->held[lane] = w->first;
    if (part == 0)
        memcpy(g->bias_sums + (size_t)(w->first / TILES_OF_ITEM) * width, w->bias_sums, items * width * sizeof(float));
}

static void group_item(void *context, int lane, int item)
{
    const group_work *g = context;
    gradient_work w = g->all;
    int inputs = panels_of(w.x.channels), blocks = inputs * panels_of(w.dy.channels);
    int group = item / g->parts, part = item % g->parts, begin = blocks * part / g->parts, end = blocks * (part + 1) / g->parts;
    size_t sums_of_block = POINTS * w.sum_stride;
    w.windows += (size_t)lane * g->windows_of_lane;
    w.slopes += (size_t)lane * g->slopes_of_lane;
    w.bias_sums += (size_t)lane * g->bias_sums_of_lane;
    w.sums += (size_t)(g->groups == 1 ? lane : group) * g->sums_of_group;
    for (int chunk = 0; chunk < g->chunks && (group * g->chunks + chunk) * w.lines < w.tiles.all; chunk++) {
        w.first = (group * g->chunks + chunk) * w.lines;
        w.count = w.tiles.all - w.first < w.lines ? w.tiles.all - w.first : w.lines;
        hold_chunk(g, &w, lane, part);
        for (int block = begin; block < end; block++) {
            int output = block / inputs, input = block % inputs;
            float *sums = w.sums + (g->groups == 1 ? 0 : (size_t)block * sums_of_block);
            for (int point = 0; point < POINTS; point++)
                multiply_block(&w, point, output, input, sums + (size_t)point * w.sum_stride, chunk > 0);
            if (g->groups == 1)
                finish_filters(&w, sums, w.sum_stride, output * PANEL, outputs_of(&w, output), input * PANEL);
        }
    }
}

/* GRAIN outputs of a block: the first group's sums become those of all. */
static void add_groups_item(void *context, int lane, int item)
{
    const group_work *g = context;
    const gradient_work *w = &g->all;
    int slices = PANEL / GRAIN, block = item / slices, first = item % slices * GRAIN, inputs = panels_of(w->x.channels);
    int output = block / inputs, input = block % inputs, width = w->x.channels - input * PANEL > LANES ? PANEL : LANES;
    float *sums = w->sums + (size_t)block * POINTS * w->sum_stride + (size_t)first * PANEL;
    (void)lane;
    if (first >= outputs_of(w, output))
        return;
    for (int point = 0; point < POINTS; point++)
        for (int i = 0; i < GRAIN; i++)
            for (int k = 0; k < width; k += LANES) {
                float *to = sums + (size_t)point * w->sum_stride + (size_t)(i * PANEL + k);
                vec sum = vec_load(to);
                for (int group = 1; group < g->groups; group++)
                    sum = vec_add(sum, vec_load(to + (size_t)group * g->sums_of_group));
                vec_store(to, sum);
            }
    finish_filters(w, sums, w->sum_stride, output * PANEL + first, GRAIN, input * PANEL);
}

static bool suits_groups(const tiles *t, const lk_convolution3 *s)
{
    return (t->all < DEPTH ? t->all : DEPTH) * (s->in + s->out) <= MOST_BY_GROUPS;
}

static lk_status by_groups(const lk_team *team, gradient_work *w, double *totals)
{
    int inputs = panels_of(w->x.channels), outputs = panels_of(w->dy.channels), blocks = inputs * outputs;
    size_t threads = (size_t)team->threads, width = (size_t)outputs * PANEL;
    w->lines = w->tiles.all < DEPTH ? w->tiles.all : DEPTH;
    w->window_stride = point_stride(inputs, w->lines);
    w->slope_stride = point_stride(outputs, w->lines);
    w->sum_stride = point_stride(1, PANEL);
    int chunks = (w->tiles.all + w->lines - 1) / w->lines, chunks_of_group = (chunks + MOST_GROUPS - 1) / MOST_GROUPS;
    group_work g = {.windows_of_lane = POINTS * w->window_stride,
                    .slopes_of_lane = POINTS * w->slope_stride,
                    .bias_sums_of_lane = (size_t)((w->lines + TILES_OF_ITEM - 1) / TILES_OF_ITEM) * width,
                    .groups = (chunks + chunks_of_group - 1) / chunks_of_group,
                    .chunks = chunks_of_group};
    g.sums_of_group = (size_t)(g.groups == 1 ? 1 : blocks) * POINTS * w->sum_stride;
    g.parts = lk_team_parts(team, g.groups, blocks);
    w->windows = numbers(threads * g.windows_of_lane);
    w->slopes = numbers(threads * g.slopes_of_lane);
    w->bias_sums = numbers(threads * g.bias_sums_of_lane);
    w->sums = numbers((g.groups == 1 ? threads : (size_t)g.groups) * g.sums_of_group);
    g.bias_sums = numbers((size_t)((w->tiles.all + TILES_OF_ITEM - 1) / TILES_OF_ITEM) * width);
    g.held = malloc(threads * sizeof *g.held);
    bool enough = w->windows && w->slopes && w->bias_sums && w->sums && g.bias_sums && g.held;
    if (enough) {
        g.all = *w;
        for (int i = 0; i < team->threads; i++)
            g.held[i] = -1;
        lk_team_each(team, g.groups * g.parts, group_item, &g);
        if (g.groups > 1)
            lk_team_each(team, blocks * (PANEL / GRAIN), add_groups_item, &g);
        g.all.count = w->tiles.all;
        g.all.bias_sums = g.bias_sums;
        add_bias(&g.all, totals);
    }
    free(g.bias_sums);
    free(g.held);
    return enough ? LK_OK : no_memory("a gradient's tiles");
}

/* ---- by_blocks, by_points ---- */

static void block_of_one_chunk_item(void *context, int lane, int item)
{
    const gradient_work *w = context;
    int inputs = panels_of(w->x.channels), output = item / inputs, input = item % inputs;
    float *sums = w->sums + (size_t)lane * w->sums_of_lane;
    for (int point = 0; point < POINTS; point++)
        multiply_block(w, point, output, input, sums + (size_t)point * w->sum_stride, false);
    finish_filters(w, sums, w->sum_stride, output * PANEL, outputs_of(w, output), input * PANEL);
}

static void point_item(void *context, int lane, int item)
{
    const gradient_work *w = context;
    int inputs = panels_of(w->x.channels), outputs = panels_of(w->dy.channels), point = item / outputs, output = item % outputs;
    float *sums = w->sums + (size_t)point * w->sum_stride + (size_t)(output * inputs) * PANEL * PANEL;
    (void)lane;
    for (int input = 0; input < inputs; input++, sums += PANEL * PANEL)
        multiply_block(w, point, output, input, sums, w->first > 0);
}

static void finish_item(void *context, int lane, int item)
{
    const gradient_work *w = context;
    int inputs = panels_of(w->x.channels), output = item / inputs, input = item % inputs;
    (void)lane;
    finish_filters(w, w->sums + (size_t)item * PANEL * PANEL, w->sum_stride, output * PANEL, outputs_of(w, output),
                   input * PANEL);
}

static void pack_chunk(const lk_team *team, gradient_work *w, int first, double *totals)
{
    int left = w->tiles.all - first;
    w->first = first;
    w->count = left < w->lines ? left : w->lines;
    lk_team_each(team, items_of(w), pack_chunk_item, w);
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

static lk_status by_chunks(const lk_team *team, gradient_work *w, double *totals)
{
    int inputs = panels_of(w->x.channels), outputs = panels_of(w->dy.channels);
    bool one_chunk = w->tiles.all <= MOST_BY_BLOCKS;
    w->lines = one_chunk ? w->tiles.all : DEPTH;
    w->window_stride = point_stride(inputs, w->lines);
    w->slope_stride = point_stride(outputs, w->lines);
    w->sum_stride = one_chunk ? point_stride(1, PANEL) : point_stride(inputs * outputs, PANEL);
    w->sums_of_lane = POINTS * w->sum_stride;
    w->windows = numbers(POINTS * w->window_stride);
    w->slopes = numbers(POINTS * w->slope_stride);
    w->sums = numbers((size_t)(one_chunk ? team->threads : 1) * w->sums_of_lane);
    w->bias_sums = numbers((size_t)((w->lines + TILES_OF_ITEM - 1) / TILES_OF_ITEM * outputs) * PANEL);
    if (!w->windows || !w->slopes || !w->sums || !w->bias_sums)
        return no_memory("a gradient's tiles");
    (one_chunk ? by_blocks : by_points)(team, w, totals);
    return LK_OK;
}

static lk_status weight_gradient(const lk_team *team, const lk_convolution3 *s, const void *x, const lk_output_gradient *g,
                                 float *dfilters, float *dbias)
{
    gradient_work w = {
        .shape = s, .tiles = tiles_of(s), .x = plain_source(s, x), .dy = gradient_source(s, g), .dfilters = dfilters};
    double *totals = calloc((size_t)s->out, sizeof *totals);
    lk_status status =
        totals ? (suits_groups(&w.tiles, s) ? by_groups : by_chunks)(team, &w, totals) : no_memory("a gradient's tiles");
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
