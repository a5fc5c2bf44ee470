#include "dataset/align/warp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3 };

lk_point lk_similarity_apply(const lk_similarity *map, lk_point p)
{
    return (lk_point){map->a * p.x - map->b * p.y + map->x, map->b * p.x + map->a * p.y + map->y};
}

lk_similarity lk_similarity_compose(const lk_similarity *outer, const lk_similarity *inner)
{
    lk_point move = lk_similarity_apply(outer, (lk_point){inner->x, inner->y});
    return (lk_similarity){outer->a * inner->a - outer->b * inner->b, outer->a * inner->b + outer->b * inner->a, move.x, move.y};
}

double lk_similarity_scale(const lk_similarity *map)
{
    return hypot(map->a, map->b);
}

/* Index i of a row of n pixels that is continued by its reflection: ... 1 0 | 0 1 ... n-1 | n-1 n-2 ... */
static int reflect(int64_t i, int n)
{
    int64_t period = 2 * (int64_t)n;
    i %= period;
    if (i < 0)
        i += period;
    return (int)(i < n ? i : period - 1 - i);
}

/* A pixel as three lanes of 16 bits, so that one multiplication scales all of them: lane times weight is at most 255 * 256. */
typedef uint64_t lanes;
static const lanes lane_half = 0x0000008000800080u, lane_mask = 0x000000ff00ff00ffu;

static inline lanes to_lanes(unsigned red, unsigned green, unsigned blue)
{
    return red | (lanes)green << 16 | (lanes)blue << 32;
}

/* (1 - f) a + f b in 256ths, rounded. */
static inline lanes mix(lanes a, lanes b, unsigned f)
{
    return ((a * (256 - f) + b * f + lane_half) >> 8) & lane_mask;
}

/* The part of a picture that a crop needs: pixels of [left, left + width) x [top, top + height), reflection included. */
typedef struct window {
    int64_t left, top;
    int width, height;
    lanes *pixels;
} window;

static void bounds(const lk_similarity *map, int size, double margin, double low[2], double high[2])
{
    low[0] = low[1] = INFINITY;
    high[0] = high[1] = -INFINITY;
    for (int corner = 0; corner < 4; corner++) {
        lk_point p = lk_similarity_apply(map, (lk_point){corner & 1 ? size : 0, corner & 2 ? size : 0});
        double at[2] = {p.x, p.y};
        for (int axis = 0; axis < 2; axis++) {
            low[axis] = fmin(low[axis], at[axis] - margin);
            high[axis] = fmax(high[axis], at[axis] + margin);
        }
    }
}

/* One row of the window: each pixel is the mean of a square of 2^halvings pixels. columns[] are byte offsets in a row. */
static void fill_row(const lk_image *picture, const int *columns, int64_t first_row, int halvings, uint32_t *sums, int width,
                     lanes *out)
{
    int step = 1 << halvings;
    size_t stride = (size_t)picture->width * CHANNELS;
    if (halvings == 0) {
        const uint8_t *row = picture->pixels + (size_t)reflect(first_row, picture->height) * stride;
        for (int x = 0; x < width; x++)
            out[x] = to_lanes(row[columns[x]], row[columns[x] + 1], row[columns[x] + 2]);
        return;
    }
    memset(sums, 0, (size_t)width * CHANNELS * sizeof *sums);
    for (int j = 0; j < step; j++) {
        const uint8_t *row = picture->pixels + (size_t)reflect(first_row + j, picture->height) * stride;
        for (int x = 0; x < width * step; x++)
            for (int c = 0; c < CHANNELS; c++)
                sums[CHANNELS * (x >> halvings) + c] += row[columns[x] + c];
    }
    uint32_t half = 1u << (2 * halvings - 1);
    for (int x = 0; x < width; x++, sums += CHANNELS)
        out[x] = to_lanes((sums[0] + half) >> 2 * halvings, (sums[1] + half) >> 2 * halvings, (sums[2] + half) >> 2 * halvings);
}

/* Copies what the crop shows, halved `halvings` times, with a margin for the bilinear samples. Free w->pixels. */
static lk_status take_window(const lk_image *picture, const lk_similarity *map, int size, int halvings, window *w)
{
    int step = 1 << halvings;
    double low[2], high[2];
    bounds(map, size, 2.0 * step, low, high);
    w->left = (int64_t)floor(low[0] / step);
    w->top = (int64_t)floor(low[1] / step);
    w->width = (int)((int64_t)ceil(high[0] / step) - w->left);
    w->height = (int)((int64_t)ceil(high[1] / step) - w->top);
    w->pixels = malloc((size_t)w->width * (size_t)w->height * sizeof *w->pixels);
    int *columns = malloc((size_t)w->width * (size_t)step * sizeof *columns);
    uint32_t *sums = malloc((size_t)w->width * CHANNELS * sizeof *sums);
    lk_status status = LK_OK;
    if (!w->pixels || !columns || !sums) {
        status = lk_fail(LK_INTERNAL, "out of memory for a crop of %d x %d", size, size);
        free(w->pixels);
        goto done;
    }
    for (int x = 0; x < w->width * step; x++)
        columns[x] = CHANNELS * reflect(w->left * step + x, picture->width);
    for (int y = 0; y < w->height; y++)
        fill_row(picture, columns, (w->top + y) * step, halvings, sums, w->width, w->pixels + (size_t)y * (size_t)w->width);
done:
    free(columns);
    free(sums);
    return status;
}

/* The bilinear sample at (x, y) of the window, in 2^-32 pixels from the centre of its first pixel. */
static inline lanes sample(const window *w, int64_t x, int64_t y)
{
    const lanes *p = w->pixels + (y >> 32) * w->width + (x >> 32);
    unsigned fx = (unsigned)(x >> 24 & 255), fy = (unsigned)(y >> 24 & 255);
    return mix(mix(p[0], p[1], fx), mix(p[w->width], p[w->width + 1], fx), fy);
}

/* Draws one row of the crop from grid x grid samples a pixel. `start` is where its first pixel's corner lies in the window and
 * `across`, `down` are the steps of a crop pixel, in window pixels. */
static void draw_row(const window *w, lk_point start, lk_point across, lk_point down, int grid, int size, uint8_t *out)
{
    static const double fixed = 4294967296.0; /* 2^32 */
    int64_t step_x = llrint(across.x * fixed), step_y = llrint(across.y * fixed);
    int64_t at_x[4], at_y[4];
    for (int k = 0; k < grid * grid; k++) {
        double u = (k % grid + 0.5) / grid, v = ((double)(k / grid) + 0.5) / grid;
        at_x[k] = llrint((start.x + u * across.x + v * down.x - 0.5) * fixed);
        at_y[k] = llrint((start.y + u * across.y + v * down.y - 0.5) * fixed);
    }
    if (grid == 1) {
        for (int u = 0; u < size; u++, out += CHANNELS) {
            lanes value = sample(w, at_x[0] + u * step_x, at_y[0] + u * step_y);
            for (int c = 0; c < CHANNELS; c++)
                out[c] = (uint8_t)(value >> 16 * c);
        }
        return;
    }
    for (int u = 0; u < size; u++, out += CHANNELS) {
        lanes sum = 0x0000000200020002u;
        for (int k = 0; k < 4; k++)
            sum += sample(w, at_x[k] + u * step_x, at_y[k] + u * step_y);
        for (int c = 0; c < CHANNELS; c++)
            out[c] = (uint8_t)(sum >> (16 * c + 2));
    }
}

/* Up to a shrinkage of `sharp`, one bilinear sample a pixel is taken, above it 2 x 2. */
static lk_status warp(const lk_image *picture, const lk_similarity *map, int size, double sharp, uint8_t *crop)
{
    double scale = lk_similarity_scale(map);
    if (!(scale > 1e-6 && scale * size < 1e6) || !(fabs(map->x) < 1e7 && fabs(map->y) < 1e7))
        return lk_fail(LK_BAD_DATA, "a crop that shows %g pixels of a picture of %d x %d", scale * size, picture->width,
                       picture->height);
    int halvings = 0;
    while (scale / (1 << halvings) >= 2.0)
        halvings++;
    int grid = scale / (1 << halvings) > sharp ? 2 : 1;
    window w;
    LK_TRY(take_window(picture, map, size, halvings, &w));
    double shrink = 1.0 / (1 << halvings);
    lk_point across = {map->a * shrink, map->b * shrink}, down = {-map->b * shrink, map->a * shrink};
    for (int v = 0; v < size; v++) {
        lk_point p = lk_similarity_apply(map, (lk_point){0, v});
        lk_point start = {p.x * shrink - (double)w.left, p.y * shrink - (double)w.top};
        draw_row(&w, start, across, down, grid, size, crop + (size_t)v * (size_t)size * CHANNELS);
    }
    free(w.pixels);
    return LK_OK;
}

lk_status lk_warp(const lk_image *picture, const lk_similarity *map, int size, uint8_t *crop)
{
    return warp(picture, map, size, 1.25, crop); /* between 1 and that, bilinear samples miss next to nothing */
}

lk_status lk_warp_rough(const lk_image *picture, const lk_similarity *map, int size, uint8_t *crop)
{
    return warp(picture, map, size, 2.0, crop);
}

lk_status lk_resize(const lk_image *picture, int size, uint8_t *out)
{
    if (picture->width == size && picture->height == size) {
        memcpy(out, picture->pixels, (size_t)size * (size_t)size * CHANNELS);
        return LK_OK;
    }
    lk_similarity map = {.a = (double)picture->width / size};
    return lk_warp(picture, &map, size, out);
}

lk_status lk_take_crop(const lk_image *picture, int size, const char *origin, uint8_t *out)
{
    if (picture->width != picture->height)
        return lk_fail(LK_BAD_DATA, "%s: has %d x %d pixels; an aligned crop is square", origin, picture->width, picture->height);
    return lk_resize(picture, size, out);
}

void lk_luma(const uint8_t *rgb, size_t count, uint8_t *grey)
{
    for (size_t i = 0; i < count; i++, rgb += CHANNELS)
        grey[i] = (uint8_t)((77u * rgb[0] + 150u * rgb[1] + 29u * rgb[2] + 128u) >> 8);
}
