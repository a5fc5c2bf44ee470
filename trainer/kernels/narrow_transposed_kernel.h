/* Internal to trainer/kernels/narrow_transposed_*.c, which define LK_LANES, LK_BF16 and LK_NARROW_TRANSPOSED (the row), and
 * include this once.
 *
 * Tap (r, c) leads from pixel (y, x) to output pixel (2y-1+r, 2x-1+c): what belongs to a row of taps is 4 out numbers side by
 * side in the filters, in a row of the output, and in its gradient. Forward is pixels x filters, whose rows of taps are then laid
 * over each other; the data gradient patches x filters', where a pixel's patch is the 4x4 output pixels that it leads to; the
 * weight gradient patches' x pixels, where the sums of a band of rows are an item's, and bands are added up in their order.
 */
#include "trainer/kernels/gemm.h"
#include "trainer/kernels/memory.h"
#include "trainer/kernels/narrow_transposed.h"
#include "trainer/kernels/number.h"

enum {
    MOST_CHANNELS = 7,
    TAPS = 4,          /* in each dimension */
    PANELS_OF_ROW = 3, /* at most, that a row of taps has numbers in */
    BAND = 16          /* rows of a picture whose sums lie together */
};

typedef struct narrow_work {
    const lk_convolution3 *shape;
    const number *x, *dy, *gate; /* gate: forward's output behind a ReLU, or NULL */
    const float *filters;        /* packed for the direction */
    const float *bias;           /* for each number of a row of the output */
    number *out;
    float *dfilters;
    int strip, strips; /* seams of an item, items of a picture: forward's alone */
    float *sums;       /* [band][panel][columns][PANEL], then the bias' [out] */
    size_t sums_of_band;

    int columns;     /* taps of all outputs */
    int lines;       /* a row's pixels, and what the micro-kernel's rows hang over */
    int inputs;      /* a multiple of PANEL */
    size_t row_size; /* of the output with a pixel of zeros at either end, and a vector more */
    float *memory;
    size_t memory_of_lane;
} narrow_work;

enum { LAYERS = 2 * TAPS }; /* rows that forward lays over each other: those of even and of odd pixels, for each row of taps */

/* What a lane has: rows of the output or of its gradient, a row's pixels of x or of its gradient, their patches, and forward's
 * products. */
typedef struct lane_memory {
    float *rows, *pixels, *patches, *products;
} lane_memory;

static narrow_work work_of(const lk_team *team, const lk_convolution3 *s)
{
    narrow_work w = {.shape = s,
                     .columns = TAPS * TAPS * s->out,
                     .lines = round_up(s->width, GRAIN),
                     .inputs = round_up(s->in, PANEL),
                     .row_size = (size_t)round_up((2 * s->width + 2) * s->out + LANES, 16)};
    w.memory_of_lane = 2 * LAYERS * w.row_size + (size_t)w.lines * (size_t)(w.inputs + w.columns + panels_of(w.columns) * PANEL);
    w.memory = numbers((size_t)team->threads * w.memory_of_lane);
    return w;
}

static lane_memory memory_of(const narrow_work *w, int lane)
{
    lane_memory m = {.rows = w->memory + (size_t)lane * w->memory_of_lane};
    m.pixels = m.rows + 2 * LAYERS * w->row_size;
    m.patches = m.pixels + (size_t)w->lines * (size_t)w->inputs;
    m.products = m.patches + (size_t)w->lines * (size_t)w->columns;
    return m;
}

static size_t input_row(const narrow_work *w, int picture, int y)
{
    const lk_convolution3 *s = w->shape;
    return ((size_t)picture * (size_t)s->height + (size_t)y) * (size_t)s->width * (size_t)s->in;
}

static size_t output_row(const narrow_work *w, int picture, int y)
{
    const lk_convolution3 *s = w->shape;
    return ((size_t)picture * (size_t)s->height * 2 + (size_t)y) * (size_t)s->width * 2 * (size_t)s->out;
}

/* A row of x as float32, pixels and a pixel's panels of channels so far apart. */
INLINE void read_pixels(const narrow_work *w, int picture, int y, int pixel, int panel, float *pixels)
{
    const lk_convolution3 *s = w->shape;
    const number *row = w->x + input_row(w, picture, y);
    for (int x = 0; x < s->width; x++, row += s->in, pixels += pixel)
        for (int c = 0; c < s->in; c += LANES)
            vec_store(pixels + (size_t)(c / PANEL) * (size_t)panel + c % PANEL, number_load_at(row, c, s->in));
}

/* ---- forward ---- */

/* A pixel's rows of taps are as wide as two pixels of the input are apart, so even ones fill a row without gap or overlap, and so
 * do odd ones. Layer 2r + x%2 of a row of pixels: what its pixels x give to a row of the output by row r of taps. */
INLINE void place_layers(int out, const narrow_work *w, const float *products, float *layers)
{
    for (int x = 0; x < w->shape->width; x++)
        UNROLL for (int r = 0; r < TAPS; r++)
        {
            float *layer = layers + (size_t)(2 * r + x % 2) * w->row_size + (size_t)(2 * x * out);
            int begin = r * TAPS * out, end = begin + TAPS * out;
            UNROLL for (int i = 0; i < PANELS_OF_ROW; i++)
            {
                int panel = begin / PANEL + i, from = i == 0 ? begin : panel * PANEL;
                int to = end < (panel + 1) * PANEL ? end : (panel + 1) * PANEL;
                if (from < to)
                    memcpy(layer + (from - begin), products + (size_t)(panel * w->lines + x) * PANEL + (from - panel * PANEL),
                           (size_t)(to - from) * sizeof *layer);
            }
        }
}

static float *layers_of(const narrow_work *w, int y, const lane_memory *m)
{
    return m->rows + (size_t)(y & 1) * LAYERS * w->row_size;
}

static void make_layers(const narrow_work *w, int picture, int y, const lane_memory *m)
{
    const lk_convolution3 *s = w->shape;
    operand pixels = {.values = m->pixels, .row = (size_t)w->inputs, .line = 1, .span = s->in};
    if (y < 0 || y >= s->height) {
        memset(layers_of(w, y, m), 0, LAYERS * w->row_size * sizeof(float));
        return;
    }
    read_pixels(w, picture, y, w->inputs, PANEL, m->pixels);
    for (int panel = 0; panel < panels_of(w->columns); panel++)
        multiply(w->lines, w->columns - panel * PANEL, pixels, s->in, w->filters + (size_t)panel * (size_t)s->in * PANEL,
                 m->products + (size_t)panel * (size_t)w->lines * PANEL, false);
    if (s->out == 3)
        place_layers(3, w, m->products, layers_of(w, y, m)); /* of a size that the compiler knows */
    else
        place_layers(s->out, w, m->products, layers_of(w, y, m));
}

/* Row r, 0 or 1, of the two rows of the output at a seam, to which the rows of pixels above and below lead. */
static void finish_row(const narrow_work *w, const float *above, const float *below, int r, number *out)
{
    const lk_convolution3 *s = w->shape;
    int count = 2 * s->width * s->out;
    above += (size_t)(2 * (r + 2)) * w->row_size + s->out;
    below += (size_t)(2 * r) * w->row_size + s->out;
    for (int i = 0; i < count; i += LANES) {
        vec v = vec_add(vec_add(vec_load(above + i), vec_load(above + w->row_size + i)),
                        vec_add(vec_load(below + i), vec_load(below + w->row_size + i)));
        v = vec_add(v, vec_load(w->bias + i));
        number_store_at(out, i, count, s->relu ? vec_relu(v) : v);
    }
}

/* Seam k lies between rows k-1 and k of pixels, and over the output's rows 2k-1 and 2k. */
static void forward_item(void *context, int lane, int item)
{
    const narrow_work *w = context;
    const lk_convolution3 *s = w->shape;
    lane_memory m = memory_of(w, lane);
    int picture = item / w->strips, first = item % w->strips * w->strip;
    memset(m.rows, 0, 2 * LAYERS * w->row_size * sizeof *m.rows); /* where no pixel leads to, at the ends */
    make_layers(w, picture, first - 1, &m);
    for (int k = first; k < first + w->strip && k <= s->height; k++) {
        make_layers(w, picture, k, &m);
        for (int r = 0; r < 2; r++)
            if (2 * k - 1 + r >= 0 && 2 * k - 1 + r < 2 * s->height)
                finish_row(w, layers_of(w, k - 1, &m), layers_of(w, k, &m), r, w->out + output_row(w, picture, 2 * k - 1 + r));
    }
}

/* [in][columns] to panels of columns. */
static void pack_columns(const narrow_work *w, const float *filters, float *packed)
{
    for (int i = 0; i < w->shape->in; i++)
        for (int k = 0; k < w->columns; k++)
            packed[((size_t)(k / PANEL) * (size_t)w->shape->in + (size_t)i) * PANEL + k % PANEL] = *filters++;
}

/* A strip's first row of pixels is computed by two items: they are as many as threads want, and no more. */
static void cut_strips(const lk_team *team, narrow_work *w)
{
    int seams = w->shape->height + 1, wanted = team->threads == 1 ? 1 : (4 * team->threads - 1) / w->shape->batch + 1;
    w->strip = wanted < seams ? (seams + wanted - 1) / wanted : 1;
    w->strips = (seams + w->strip - 1) / w->strip;
}

static lk_status forward(const lk_team *team, const lk_convolution3 *s, const void *x, const lk_filters *f, const float *bias,
                         void *y, uint8_t *choice)
{
    narrow_work w = work_of(team, s);
    float *filters = numbers((size_t)panels_of(w.columns) * (size_t)s->in * PANEL), *bias_row = numbers(w.row_size);
    (void)choice;
    w.x = x;
    w.filters = filters;
    w.bias = bias_row;
    w.out = y;
    lk_status status = filters && bias_row && w.memory ? LK_OK : no_memory("a row of a picture");
    if (status == LK_OK) {
        cut_strips(team, &w);
        pack_columns(&w, f->values, filters);
        for (int i = 0; i < 2 * s->width * s->out; i++)
            bias_row[i] = bias[i % s->out];
        lk_team_each(team, s->batch * w.strips, forward_item, &w);
    }
    free(filters);
    free(bias_row);
    free(w.memory);
    return status;
}

/* ---- patches of the gradient ---- */

/* Row y of dy with a pixel of zeros at either end; nothing but zeros outside. */
static void read_slopes(const narrow_work *w, int picture, int y, float *row)
{
    const lk_convolution3 *s = w->shape;
    int count = 2 * s->width * s->out;
    if (y < 0 || y >= 2 * s->height) {
        memset(row, 0, w->row_size * sizeof *row);
        return;
    }
    size_t at = output_row(w, picture, y);
    for (int c = 0; c < s->out; c++)
        row[c] = row[s->out + count + c] = 0;
    for (int i = 0; i < count; i += LANES) {
        vec v = number_load_at(w->dy + at, i, count);
        if (w->gate)
            v = vec_gated(v, number_load_at(w->gate + at, i, count));
        vec_store_at(row + s->out, i, count, v);
    }
}

INLINE void place_patches(int out, const narrow_work *w, const float *rows, float *patches)
{
    for (int x = 0; x < w->shape->width; x++)
        UNROLL for (int r = 0; r < TAPS; r++)
            memcpy(patches + (size_t)((x * TAPS + r) * TAPS * out), rows + (size_t)r * w->row_size + (size_t)(2 * x * out),
                   (size_t)(TAPS * out) * sizeof *patches);
}

/* The patches of a row of pixels, [pixel][columns], and rows 2y-1 ... 2y+2 of dy themselves. */
static void make_patches(const narrow_work *w, int picture, int y, const lane_memory *m)
{
    for (int r = 0; r < TAPS; r++)
        read_slopes(w, picture, 2 * y - 1 + r, m->rows + (size_t)r * w->row_size);
    if (w->shape->out == 3)
        place_patches(3, w, m->rows, m->patches);
    else
        place_patches(w->shape->out, w, m->rows, m->patches);
}

/* ---- the data gradient ---- */

static void data_gradient_item(void *context, int lane, int item)
{
    const narrow_work *w = context;
    const lk_convolution3 *s = w->shape;
    lane_memory m = memory_of(w, lane);
    operand patches = {.values = m.patches, .row = (size_t)w->columns, .line = 1, .span = w->columns};
    make_patches(w, item / s->height, item % s->height, &m);
    for (int panel = 0; panel < panels_of(s->in); panel++)
        multiply(w->lines, s->in - panel * PANEL, patches, w->columns, w->filters + (size_t)(panel * w->columns) * PANEL,
                 m.pixels + (size_t)(panel * w->lines) * PANEL, false);
    number *out = w->out + input_row(w, 0, item);
    for (int x = 0; x < s->width; x++, out += s->in)
        for (int c = 0; c < s->in; c += LANES)
            number_store_at(out, c, s->in, vec_load(m.pixels + (size_t)(c / PANEL * w->lines + x) * PANEL + c % PANEL));
}

/* [in][columns] to panels of inputs. */
static void pack_inputs(const narrow_work *w, const float *filters, float *packed)
{
    for (int i = 0; i < w->shape->in; i++)
        for (int k = 0; k < w->columns; k++)
            packed[((size_t)(i / PANEL) * (size_t)w->columns + (size_t)k) * PANEL + i % PANEL] = *filters++;
}

static lk_status data_gradient(const lk_team *team, const lk_convolution3 *s, const lk_output_gradient *g, const lk_filters *f,
                               void *dx)
{
    narrow_work w = work_of(team, s);
    float *filters = numbers((size_t)w.columns * (size_t)w.inputs);
    w.dy = g->dy;
    w.gate = s->relu ? g->y : NULL;
    w.filters = filters;
    w.out = dx;
    lk_status status = filters && w.memory ? LK_OK : no_memory("the patches of a picture");
    if (status == LK_OK) {
        pack_inputs(&w, f->values, filters);
        lk_team_each(team, s->batch * s->height, data_gradient_item, &w);
    }
    free(filters);
    free(w.memory);
    return status;
}

/* ---- the weight gradient ---- */

static int bands_of(const lk_convolution3 *s)
{
    return (s->height + BAND - 1) / BAND;
}

/* Adds up the numbers of a band's rows of dy one below the other, then those of each channel. */
static void add_row(const narrow_work *w, const float *row, float *total)
{
    for (size_t i = 0; i < w->row_size; i += LANES)
        vec_store(total + i, vec_add(vec_load(total + i), vec_load(row + i)));
}

static void add_channels(const narrow_work *w, const float *row, float *bias)
{
    const lk_convolution3 *s = w->shape;
    for (int c = 0; c < s->out; c++) {
        double total = 0;
        for (int x = 1; x <= 2 * s->width; x++)
            total += (double)row[x * s->out + c];
        bias[c] = (float)total;
    }
}

static void band_item(void *context, int lane, int item)
{
    const narrow_work *w = context;
    const lk_convolution3 *s = w->shape;
    lane_memory m = memory_of(w, lane);
    int picture = item / bands_of(s), first = item % bands_of(s) * BAND;
    float *sums = w->sums + (size_t)item * w->sums_of_band, *total = m.rows + TAPS * w->row_size;
    operand patches = {.values = m.patches, .row = 1, .line = (size_t)w->columns, .span = s->width};
    memset(sums, 0, w->sums_of_band * sizeof *sums);
    memset(m.rows, 0, (TAPS + 1) * w->row_size * sizeof *m.rows);
    for (int y = first; y < first + BAND && y < s->height; y++) {
        make_patches(w, picture, y, &m);
        read_pixels(w, picture, y, PANEL, s->width * PANEL, m.pixels);
        for (int panel = 0; panel < panels_of(s->in); panel++)
            multiply(w->columns, s->in - panel * PANEL, patches, s->width, m.pixels + (size_t)(panel * s->width) * PANEL,
                     sums + (size_t)(panel * w->columns) * PANEL, true);
        add_row(w, m.rows + w->row_size, total);
        add_row(w, m.rows + 2 * w->row_size, total);
    }
    add_channels(w, total, sums + (size_t)w->columns * (size_t)w->inputs);
}

/* The bands' sums of a column, into [in][columns]. */
static void add_bands_item(void *context, int lane, int column)
{
    const narrow_work *w = context;
    const lk_convolution3 *s = w->shape;
    int bands = s->batch * bands_of(s);
    (void)lane;
    for (int c = 0; c < s->in; c += LANES) {
        const float *sums = w->sums + (size_t)(c / PANEL * w->columns + column) * PANEL + c % PANEL;
        float totals[LANES];
        vec total = vec_zero();
        for (int i = 0; i < bands; i++)
            total = vec_add(total, vec_load(sums + (size_t)i * w->sums_of_band));
        vec_store(totals, total);
        for (int i = 0; i < LANES && c + i < s->in; i++)
            w->dfilters[(size_t)(c + i) * (size_t)w->columns + (size_t)column] = totals[i];
    }
}

static void add_biases(const narrow_work *w, float *dbias)
{
    const lk_convolution3 *s = w->shape;
    const float *sums = w->sums + (size_t)w->columns * (size_t)w->inputs;
    for (int c = 0; c < s->out; c++) {
        double total = 0;
        for (int i = 0; i < s->batch * bands_of(s); i++)
            total += (double)sums[(size_t)i * w->sums_of_band + (size_t)c];
        dbias[c] = (float)total;
    }
}

static lk_status weight_gradient(const lk_team *team, const lk_convolution3 *s, const void *x, const lk_output_gradient *g,
                                 float *dfilters, float *dbias)
{
    narrow_work w = work_of(team, s);
    w.x = x;
    w.dy = g->dy;
    w.gate = s->relu ? g->y : NULL;
    w.dfilters = dfilters;
    w.sums_of_band = (size_t)w.columns * (size_t)w.inputs + (size_t)round_up(s->out, 16);
    w.sums = numbers((size_t)(s->batch * bands_of(s)) * w.sums_of_band);
    lk_status status = w.memory && w.sums ? LK_OK : no_memory("the patches of a picture");
    if (status == LK_OK) {
        lk_team_each(team, s->batch * bands_of(s), band_item, &w);
        lk_team_each(team, w.columns, add_bands_item, &w);
        add_biases(&w, dbias);
    }
    free(w.memory);
    free(w.sums);
    return status;
}

/* ---- the row ---- */

static bool suits(const lk_convolution3 *s)
{
    return s->transposed && s->bf16 == LK_BF16 && s->out <= MOST_CHANNELS && !s->pool;
}

static size_t filter_size(const lk_convolution3 *s, lk_direction direction)
{
    (void)s, (void)direction;
    return 0;
}

const lk_kernel LK_NARROW_TRANSPOSED = {
    .name = "narrow-4x4",
    .instructions = LK_LANES == 16 ? "avx512" : "avx2",
    .needs = LK_LANES == 16 ? LK_CPU_AVX512 : LK_CPU_AVX2,
    .yields_to = LK_BF16 ? LK_CPU_AMX : 0,
    .suits = suits,
    .filter_size = filter_size,
    .forward = forward,
    .data_gradient = data_gradient,
    .weight_gradient = weight_gradient,
};
