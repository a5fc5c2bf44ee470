/* Internal to trainer/kernels/narrow_*.c, which define LK_LANES, LK_BF16 and LK_NARROW (the row), and include this once.
 *
 * Forward is patches x filters, a row of pixels at a time; the weight gradient patches' x dy, where the sums of a band of rows
 * are an item's, and bands are added up in their order. There is no data gradient: pictures need none.
 */
#include "trainer/kernels/gemm.h"
#include "trainer/kernels/memory.h"
#include "trainer/kernels/narrow.h"
#include "trainer/kernels/source.h"

enum {
    MOST_CHANNELS = 7,
    BAND = 16 /* rows of a picture whose sums lie together */
};

typedef struct narrow_work {
    const lk_convolution3 *shape;
    const number *x;
    const float *filters; /* [panel][tap and input channel][PANEL] */
    const float *bias;
    number *out;
    source dy;
    float *sums; /* [band][panel][columns][PANEL], then the bias' [panel][PANEL] */
    size_t sums_of_band;
    int depth;   /* 9 in */
    int columns; /* the same, a multiple of GRAIN */
    float *memory;
    size_t memory_of_lane;
} narrow_work;

/* What a lane has: 3 rows of the picture, the patches of a row of pixels, and a row of PANEL numbers each for them. */
typedef struct lane_memory {
    float *rows, *patches, *products;
} lane_memory;

static size_t row_size(const lk_convolution3 *s)
{
    return (size_t)(s->width + 2) * (size_t)s->in;
}

/* Lines for pixels, of which there must be some for all rows of the micro-kernel. */
static size_t lines_of(const lk_convolution3 *s)
{
    return (size_t)round_up(s->width, GRAIN);
}

static lane_memory memory_of(const narrow_work *w, int lane)
{
    float *rows = w->memory + (size_t)lane * w->memory_of_lane, *patches = rows + round_up((int)(3 * row_size(w->shape)), 16);
    return (lane_memory){rows, patches, patches + lines_of(w->shape) * (size_t)w->columns};
}

/* Row y of a picture with a pixel of zeros at either end; nothing but zeros outside. */
static void read_row(const lk_convolution3 *s, const number *picture, int y, float *row)
{
    int count = s->width * s->in;
    const number *line = picture + (size_t)y * (size_t)count;
    for (int c = 0; c < s->in; c++)
        row[c] = row[count + s->in + c] = 0;
    for (int i = 0; i < count; i += LANES)
        vec_store_at(row + s->in, i, count, y >= 0 && y < s->height ? number_load_at(line, i, count) : vec_zero());
}

INLINE void place_patches(int in, int width, const float *rows, size_t row_size, float *patches, int columns)
{
    for (int x = 0; x < width; x++)
        UNROLL for (int r = 0; r < 3; r++)
            memcpy(patches + (size_t)x * (size_t)columns + r * 3 * in, rows + (size_t)r * row_size + (size_t)x * (size_t)in,
                   (size_t)(3 * in) * sizeof *patches);
}

/* The patches of row y of a picture. */
static void make_patches(const narrow_work *w, int picture, int y, const lane_memory *m)
{
    const lk_convolution3 *s = w->shape;
    const number *from = w->x + (size_t)picture * (size_t)s->height * (size_t)s->width * (size_t)s->in;
    for (int r = 0; r < 3; r++)
        read_row(s, from, y + r - 1, m->rows + (size_t)r * row_size(s));
    if (s->in == 3)
        place_patches(3, s->width, m->rows, row_size(s), m->patches, w->columns); /* of a size that the compiler knows */
    else
        place_patches(s->in, s->width, m->rows, row_size(s), m->patches, w->columns);
}

/* ---- forward ---- */

static void finish_row(const narrow_work *w, int panel, const float *products, number *out)
{
    const lk_convolution3 *s = w->shape;
    for (int half = 0; half < PANEL && panel * PANEL + half < s->out; half += LANES) {
        int c = panel * PANEL + half;
        vec bias = vec_load_at(w->bias, c, s->out);
        for (int x = 0; x < s->width; x++) {
            vec v = vec_add(vec_load(products + (size_t)x * PANEL + half), bias);
            number_store_at(out + (size_t)x * (size_t)s->out, c, s->out, s->relu ? vec_relu(v) : v);
        }
    }
}

static void forward_item(void *context, int lane, int row)
{
    const narrow_work *w = context;
    const lk_convolution3 *s = w->shape;
    lane_memory m = memory_of(w, lane);
    operand patches = {.values = m.patches, .row = (size_t)w->columns, .line = 1, .span = w->depth};
    make_patches(w, row / s->height, row % s->height, &m);
    for (int panel = 0; panel < panels_of(s->out); panel++) {
        multiply((int)lines_of(s), s->out - panel * PANEL, patches, w->depth,
                 w->filters + (size_t)panel * (size_t)w->depth * PANEL, m.products, false);
        finish_row(w, panel, m.products, w->out + (size_t)row * (size_t)s->width * (size_t)s->out);
    }
}

/* [out][9 in] to panels. */
static void pack_filters(const narrow_work *w, const float *filters, float *packed)
{
    for (int o = 0; o < w->shape->out; o++)
        for (int k = 0; k < w->depth; k++)
            packed[((size_t)(o / PANEL) * (size_t)w->depth + (size_t)k) * PANEL + o % PANEL] =
                filters[(size_t)o * (size_t)w->depth + (size_t)k];
}

static narrow_work work_of(const lk_team *team, const lk_convolution3 *s, const number *x)
{
    narrow_work w = {.shape = s, .x = x, .depth = 9 * s->in, .columns = round_up(9 * s->in, GRAIN)};
    w.memory_of_lane = (size_t)round_up((int)(3 * row_size(s)), 16) + lines_of(s) * (size_t)(w.columns + PANEL);
    w.memory = numbers((size_t)team->threads * w.memory_of_lane);
    return w;
}

static lk_status forward(const lk_team *team, const lk_convolution3 *s, const void *x, const lk_filters *f, const float *bias,
                         void *y, uint8_t *choice)
{
    narrow_work w = work_of(team, s, x);
    float *filters = numbers((size_t)panels_of(s->out) * (size_t)w.depth * PANEL);
    (void)choice;
    w.filters = filters;
    w.bias = bias;
    w.out = y;
    lk_status status = filters && w.memory ? LK_OK : no_memory("the patches of a picture");
    if (status == LK_OK) {
        pack_filters(&w, f->values, filters);
        lk_team_each(team, s->batch * s->height, forward_item, &w);
    }
    free(filters);
    free(w.memory);
    return status;
}

/* ---- the weight gradient ---- */

/* A panel of a row of dy; adds it up to `bias`. */
INLINE void read_slopes_of(source_kind kind, const narrow_work *w, int picture, int y, int panel, float *slopes, float *bias)
{
    for (int half = 0; half < PANEL && panel * PANEL + half < w->shape->out; half += LANES) {
        vec total = vec_zero();
        for (int x = 0; x < w->shape->width; x++) {
            vec v = read_pixel(&w->dy, kind, picture, y, x, panel * PANEL + half);
            vec_store(slopes + (size_t)x * PANEL + half, v);
            total = vec_add(total, v);
        }
        vec_store(bias + half, vec_add(vec_load(bias + half), total));
    }
}

static void read_slopes(const narrow_work *w, int picture, int y, int panel, float *slopes, float *bias)
{
    if (w->dy.kind == GATED)
        read_slopes_of(GATED, w, picture, y, panel, slopes, bias);
    else
        read_slopes_of(PLAIN, w, picture, y, panel, slopes, bias);
}

static int bands_of(const lk_convolution3 *s)
{
    return (s->height + BAND - 1) / BAND;
}

static void band_item(void *context, int lane, int item)
{
    const narrow_work *w = context;
    const lk_convolution3 *s = w->shape;
    lane_memory m = memory_of(w, lane);
    int picture = item / bands_of(s), first = item % bands_of(s) * BAND;
    float *sums = w->sums + (size_t)item * w->sums_of_band, *bias = sums + (size_t)(panels_of(s->out) * w->columns) * PANEL;
    operand patches = {.values = m.patches, .row = 1, .line = (size_t)w->columns, .span = s->width};
    memset(sums, 0, w->sums_of_band * sizeof *sums);
    for (int y = first; y < first + BAND && y < s->height; y++) {
        make_patches(w, picture, y, &m);
        for (int panel = 0; panel < panels_of(s->out); panel++) {
            read_slopes(w, picture, y, panel, m.products, bias + (size_t)panel * PANEL);
            multiply(w->columns, s->out - panel * PANEL, patches, s->width, m.products,
                     sums + (size_t)(panel * w->columns) * PANEL, true);
        }
    }
}

/* The bands' sums of a panel, into [out][9 in]. */
static void add_bands(const narrow_work *w, int panel, float *dfilters, float *dbias)
{
    const lk_convolution3 *s = w->shape;
    int bands = s->batch * bands_of(s), outputs = s->out - panel * PANEL < PANEL ? s->out - panel * PANEL : PANEL;
    for (int k = 0; k <= w->depth; k++)
        for (int o = 0; o < outputs; o++) {
            bool is_bias = k == w->depth;
            const float *sums =
                w->sums + (size_t)(is_bias ? panels_of(s->out) * w->columns + panel : panel * w->columns + k) * PANEL;
            double total = 0;
            for (int i = 0; i < bands; i++)
                total += (double)sums[(size_t)i * w->sums_of_band + (size_t)o];
            if (is_bias)
                dbias[panel * PANEL + o] = (float)total;
            else
                dfilters[(size_t)(panel * PANEL + o) * (size_t)w->depth + (size_t)k] = (float)total;
        }
}

static lk_status weight_gradient(const lk_team *team, const lk_convolution3 *s, const void *x, const lk_output_gradient *g,
                                 float *dfilters, float *dbias)
{
    narrow_work w = work_of(team, s, x);
    w.dy = gradient_source(s, g);
    w.sums_of_band = (size_t)(panels_of(s->out) * (w.columns + 1)) * PANEL;
    w.sums = numbers((size_t)(s->batch * bands_of(s)) * w.sums_of_band);
    lk_status status = w.memory && w.sums ? LK_OK : no_memory("the patches of a picture");
    if (status == LK_OK) {
        lk_team_each(team, s->batch * bands_of(s), band_item, &w);
        for (int panel = 0; panel < panels_of(s->out); panel++)
            add_bands(&w, panel, dfilters, dbias);
    }
    free(w.memory);
    free(w.sums);
    return status;
}

/* ---- the row ---- */

static bool suits(const lk_convolution3 *s)
{
    return !s->transposed && s->bf16 == LK_BF16 && s->first && s->in <= MOST_CHANNELS && !s->pool;
}

static size_t filter_size(const lk_convolution3 *s, lk_direction direction)
{
    (void)s, (void)direction;
    return 0;
}

const lk_kernel LK_NARROW = {
    .name = "narrow",
    .instructions = LK_LANES == 16 ? "avx512" : "avx2",
    .needs = LK_LANES == 16 ? LK_CPU_AVX512 : LK_CPU_AVX2,
    .suits = suits,
    .filter_size = filter_size,
    .forward = forward,
    .weight_gradient = weight_gradient,
};
