/* Internal to trainer/kernels/norm_*.c, which define LK_LANES, LK_BF16 and LK_NORM (the row), and include this once.
 *
 * A picture is an item. Sums over a band of rows are taken in float32, those of bands in float64, each channel's in the order of
 * its pixels: the same for any vectors' width.
 */
#include "trainer/kernels/memory.h"
#include "trainer/kernels/norm_rows.h"
#include "trainer/kernels/source.h"

#include <math.h>

enum {
    BAND = 128, /* pixels at least whose sums are float32 */
    CHAINS = 4, /* of additions that are under way at a time: pixels side by side take turns */
    FACTORS = 3
};

typedef struct norm_work {
    const lk_norm_shape *shape;
    source_kind kind; /* of dy, forward of x: how the numbers come that are summed */
    const number *x, *dy, *y;
    number *out; /* y, or dx */
    uint8_t *choice;
    const float *scale, *shift;
    double eps;
    double *mean, *rstd;       /* [batch][groups] */
    double *products, *totals; /* [batch][channels], sums over pixels: of dy x and of dy; forward: of x x and of x */
    float *factors;            /* [lane][FACTORS][row]: y = a x + k, dx = a dy + b x + k */
    size_t row;                /* channels, a multiple of LANES */
} norm_work;

/* ---- places ---- */

/* Of a picture's row, of x or of what the pool makes of two of them. */
static size_t row_at(const lk_norm_shape *s, bool pooled, int picture, int y)
{
    return ((size_t)picture * (size_t)(s->height >> pooled) + (size_t)y) * (size_t)(s->width >> pooled) * (size_t)s->channels;
}

/* A call for channels c ..., of which there are `count`: a number that the compiler knows wherever a vector is full. */
#define FOR_LANES(channels, c, count, call)                                                                                      \
    for (int c = 0; c < (channels); c += LANES) {                                                                                \
        if ((channels)-c >= LANES) {                                                                                             \
            enum { count = LANES };                                                                                              \
            call;                                                                                                                \
        } else {                                                                                                                 \
            int count = (channels)-c;                                                                                            \
            call;                                                                                                                \
        }                                                                                                                        \
    }

INLINE vec gradient_at(source_kind kind, const number *dy, const number *y, int count)
{
    vec v = number_load_at(dy, 0, count);
    return kind == PLAIN ? v : vec_gated(v, number_load_at(y, 0, count));
}

/* The bytes of `count` choices, as many as a vector has numbers. */
INLINE const uint8_t *choices_at(const uint8_t *choice, int count, uint8_t few[LANES])
{
    if (count >= LANES)
        return choice;
    return memcpy(few, choice, (size_t)count % LANES); /* as a compiler sees it, count could be anything */
}

/* ---- sums ---- */

typedef struct chains {
    vec product[CHAINS], total[CHAINS];
} chains;

INLINE void add_to_chain(chains *sums, int chain, vec u, vec v)
{
    sums->product[chain] = vec_fma(u, v, sums->product[chain]);
    sums->total[chain] = vec_add(sums->total[chain], u);
}

INLINE void sum_pixels(source_kind kind, const number *u, const number *gate, const number *v, int pixels, size_t step, int count,
                       chains *sums)
{
    for (; pixels >= CHAINS; pixels -= CHAINS)
        UNROLL for (int k = 0; k < CHAINS; k++, u += step, gate += step, v += step)
            add_to_chain(sums, k, gradient_at(kind, u, gate, count), number_load_at(v, 0, count));
    for (int k = 0; k < pixels; k++, u += step, gate += step, v += step)
        add_to_chain(sums, 0, gradient_at(kind, u, gate, count), number_load_at(v, 0, count));
}

/* Behind a pool: what was not chosen has no gradient. x: four pixels' worth, in two rows that are `down` apart. */
INLINE void sum_squares(const number *dy, const number *y, const uint8_t *choice, const number *x, int squares, size_t step,
                        size_t down, int count, chains *sums)
{
    for (int i = 0; i < squares; i++, dy += step, y += step, choice += step, x += 2 * step) {
        uint8_t few[LANES] = {0};
        const uint8_t *bytes = choices_at(choice, count, few);
        vec chosen = vec_zero();
        UNROLL for (int k = 0; k < 4; k++)
        {
            vec v = number_load_at(x + (size_t)(k / 2) * down + (size_t)(k % 2) * step, 0, count);
            chosen = vec_add(chosen, vec_chosen(v, bytes, k));
        }
        add_to_chain(sums, 0, gradient_at(GATED, dy, y, count), chosen);
    }
}

INLINE void sum_rows(source_kind kind, const norm_work *w, int picture, int first, int end, int c, int count)
{
    const lk_norm_shape *s = w->shape;
    size_t step = (size_t)s->channels, down = step * (size_t)s->width, at = row_at(s, kind == POOLED, picture, first) + (size_t)c;
    const number *x = w->x + row_at(s, false, picture, kind == POOLED ? 2 * first : first) + c;
    chains sums;
    UNROLL for (int k = 0; k < CHAINS; k++) sums.product[k] = sums.total[k] = vec_zero();
    if (kind != POOLED)
        sum_pixels(kind, w->dy + at, w->y + at, x, (end - first) * s->width, step, count, &sums);
    for (int y = first; kind == POOLED && y < end; y++, at += down / 2, x += 2 * down)
        sum_squares(w->dy + at, w->y + at, w->choice + at, x, s->width / 2, step, down, count, &sums);
    float few[2][LANES];
    vec_store(few[0], vec_add(vec_add(sums.product[0], sums.product[1]), vec_add(sums.product[2], sums.product[3])));
    vec_store(few[1], vec_add(vec_add(sums.total[0], sums.total[1]), vec_add(sums.total[2], sums.total[3])));
    double *products = w->products + (size_t)picture * step + c, *totals = w->totals + (size_t)picture * step + c;
    for (int i = 0; i < count; i++) {
        products[i] += (double)few[0][i];
        totals[i] += (double)few[1][i];
    }
}

INLINE void sum_picture_of(source_kind kind, const norm_work *w, int picture)
{
    const lk_norm_shape *s = w->shape;
    int height = kind == POOLED ? s->height / 2 : s->height, rows = (BAND + s->width - 1) / s->width;
    for (int y = 0; y < height; y += rows)
        FOR_LANES(s->channels, c, count, sum_rows(kind, w, picture, y, y + rows < height ? y + rows : height, c, count))
}

static void sum_picture(const norm_work *w, int picture)
{
    switch (w->kind) {
    case PLAIN: sum_picture_of(PLAIN, w, picture); break;
    case GATED: sum_picture_of(GATED, w, picture); break;
    case POOLED: sum_picture_of(POOLED, w, picture); break;
    }
}

/* ---- forward ---- */

static void forward_factors(const norm_work *w, int picture, float *a, float *k)
{
    const lk_norm_shape *s = w->shape;
    int width = s->channels / s->groups;
    const double *squares = w->products + (size_t)picture * (size_t)s->channels;
    const double *totals = w->totals + (size_t)picture * (size_t)s->channels;
    double count = (double)s->height * s->width * width;
    for (int g = 0; g < s->groups; g++) {
        double sum = 0, square = 0;
        for (int c = g * width; c < (g + 1) * width; c++) {
            sum += totals[c];
            square += squares[c];
        }
        double mean = sum / count, variance = square / count - mean * mean;
        double rstd = 1 / sqrt((variance < 0 ? 0 : variance) + w->eps);
        w->mean[picture * s->groups + g] = mean;
        w->rstd[picture * s->groups + g] = rstd;
        for (int c = g * width; c < (g + 1) * width; c++) {
            a[c] = (float)((double)w->scale[c] * rstd);
            k[c] = (float)((double)w->shift[c] - (double)w->scale[c] * rstd * mean);
        }
    }
}

INLINE vec output_at(bool relu, const number *x, int count, vec a, vec k)
{
    vec v = vec_fma(a, number_load_at(x, 0, count), k);
    return relu ? vec_relu(v) : v;
}

INLINE void write_row(bool relu, const number *x, number *y, int pixels, size_t step, int count, vec a, vec k)
{
    for (int i = 0; i < pixels; i++, x += step, y += step)
        number_store_at(y, 0, count, output_at(relu, x, count, a, k));
}

/* x as in sum_squares(). */
INLINE void write_maxima(const number *x, number *y, uint8_t *choice, int squares, size_t step, size_t down, int count, vec a,
                         vec k)
{
    for (int i = 0; i < squares; i++, x += 2 * step, y += step, choice += step) {
        vec best = output_at(true, x, count, a, k);
        vec_index which = vec_index_zero();
        UNROLL for (int n = 1; n < 4; n++)
            vec_take_greater(&best, &which, output_at(true, x + (size_t)(n / 2) * down + (size_t)(n % 2) * step, count, a, k), n);
        number_store_at(y, 0, count, best);
        uint8_t few[LANES];
        vec_index_store(count == LANES ? choice : few, which);
        if (count < LANES)
            memcpy(choice, few, (size_t)count);
    }
}

/* y: of the output. */
INLINE void write_outputs(const norm_work *w, int picture, int y, int c, int count, const float *factors)
{
    const lk_norm_shape *s = w->shape;
    size_t step = (size_t)s->channels, at = row_at(s, s->pool, picture, y) + (size_t)c;
    const number *x = w->x + row_at(s, false, picture, s->pool ? 2 * y : y) + c;
    vec a = vec_load(factors + c), k = vec_load(factors + w->row + c);
    if (s->pool)
        write_maxima(x, w->out + at, w->choice + at, s->width / 2, step, step * (size_t)s->width, count, a, k);
    else if (s->relu)
        write_row(true, x, w->out + at, s->width, step, count, a, k);
    else
        write_row(false, x, w->out + at, s->width, step, count, a, k);
}

static void forward_item(void *context, int lane, int picture)
{
    const norm_work *w = context;
    const lk_norm_shape *s = w->shape;
    float *factors = w->factors + (size_t)lane * FACTORS * w->row;
    sum_picture(w, picture);
    forward_factors(w, picture, factors, factors + w->row);
    for (int y = 0; y < s->height >> s->pool; y++)
        FOR_LANES(s->channels, c, count, write_outputs(w, picture, y, c, count, factors))
}

/* ---- backward ---- */

static void backward_factors(const norm_work *w, int picture, float *a, float *b, float *k)
{
    const lk_norm_shape *s = w->shape;
    int width = s->channels / s->groups;
    const double *products = w->products + (size_t)picture * (size_t)s->channels;
    const double *totals = w->totals + (size_t)picture * (size_t)s->channels;
    double count = (double)s->height * s->width * width;
    for (int g = 0; g < s->groups; g++) {
        double product = 0, total = 0;
        double mean = w->mean[picture * s->groups + g], rstd = w->rstd[picture * s->groups + g];
        for (int c = g * width; c < (g + 1) * width; c++) {
            product += products[c] * (double)w->scale[c];
            total += totals[c] * (double)w->scale[c];
        }
        double slope = (total * mean - product) * rstd * rstd * rstd / count;
        for (int c = g * width; c < (g + 1) * width; c++) {
            a[c] = (float)((double)w->scale[c] * rstd);
            b[c] = (float)slope;
            k[c] = (float)(-slope * mean - total * rstd / count);
        }
    }
}

INLINE vec slope_of(const number *x, int count, vec a, vec b, vec k, vec gradient)
{
    return vec_fma(a, gradient, vec_fma(b, number_load_at(x, 0, count), k));
}

INLINE void write_slopes(source_kind kind, const norm_work *w, int picture, int row, int c, int count, const float *factors)
{
    const lk_norm_shape *s = w->shape;
    size_t step = (size_t)s->channels, down = step * (size_t)s->width, at = row_at(s, kind == POOLED, picture, row) + (size_t)c;
    size_t from = row_at(s, false, picture, kind == POOLED ? 2 * row : row) + (size_t)c;
    vec a = vec_load(factors + c), b = vec_load(factors + w->row + c), k = vec_load(factors + 2 * w->row + c);
    for (int x = 0; x < (kind == POOLED ? s->width / 2 : s->width); x++, at += step) {
        vec gradient = gradient_at(kind, w->dy + at, w->y + at, count);
        if (kind != POOLED) {
            number_store_at(w->out + from, 0, count, slope_of(w->x + from, count, a, b, k, gradient));
            from += step;
            continue;
        }
        uint8_t few[LANES] = {0};
        const uint8_t *bytes = choices_at(w->choice + at, count, few);
        UNROLL for (int n = 0; n < 4; n++)
        {
            size_t to = from + (size_t)(n / 2) * down + (size_t)(n % 2) * step;
            number_store_at(w->out + to, 0, count, slope_of(w->x + to, count, a, b, k, vec_chosen(gradient, bytes, n)));
        }
        from += 2 * step;
    }
}

INLINE void write_picture_of(source_kind kind, const norm_work *w, int picture, const float *factors)
{
    const lk_norm_shape *s = w->shape;
    for (int y = 0; y < (kind == POOLED ? s->height / 2 : s->height); y++)
        FOR_LANES(s->channels, c, count, write_slopes(kind, w, picture, y, c, count, factors))
}

static void backward_item(void *context, int lane, int picture)
{
    const norm_work *w = context;
    float *factors = w->factors + (size_t)lane * FACTORS * w->row;
    sum_picture(w, picture);
    backward_factors(w, picture, factors, factors + w->row, factors + 2 * w->row);
    switch (w->kind) {
    case PLAIN: write_picture_of(PLAIN, w, picture, factors); break;
    case GATED: write_picture_of(GATED, w, picture, factors); break;
    case POOLED: write_picture_of(POOLED, w, picture, factors); break;
    }
}

/* Over the pictures in their order. */
static void add_pictures(const norm_work *w, float *dscale, float *dshift)
{
    const lk_norm_shape *s = w->shape;
    int width = s->channels / s->groups;
    for (int g = 0; g < s->groups; g++)
        for (int c = g * width; c < (g + 1) * width; c++) {
            double change = 0, total = 0;
            for (int n = 0; n < s->batch; n++) {
                int group = n * s->groups + g, at = n * s->channels + c;
                change += (w->products[at] - w->totals[at] * w->mean[group]) * w->rstd[group];
                total += w->totals[at];
            }
            dscale[c] = (float)change;
            dshift[c] = (float)total;
        }
}

/* ---- the row ---- */

/* One picture after another on all threads, in memory that is freed again. */
static lk_status run(const lk_team *team, norm_work *w, lk_team_item *item, float *dscale, float *dshift)
{
    size_t sums = (size_t)w->shape->batch * (size_t)w->shape->channels;
    w->row = ((size_t)w->shape->channels + LANES - 1) / LANES * LANES;
    w->factors = zeros((size_t)team->threads * FACTORS * w->row);
    w->products = calloc(2 * sums, sizeof *w->products);
    w->totals = w->products + sums;
    lk_status status = w->factors && w->products ? LK_OK : no_memory("the sums of a norm");
    if (status == LK_OK)
        lk_team_each(team, w->shape->batch, item, w);
    if (status == LK_OK && dscale)
        add_pictures(w, dscale, dshift);
    free(w->factors);
    free(w->products);
    return status;
}

static lk_status forward(const lk_team *team, const lk_norm_shape *s, const void *x, const float *scale, const float *shift,
                         double eps, void *y, uint8_t *choice, double *mean, double *rstd)
{
    norm_work w = {.shape = s,
                   .kind = PLAIN,
                   .x = x,
                   .dy = x,
                   .y = x, /* not read */
                   .out = y,
                   .choice = choice,
                   .scale = scale,
                   .shift = shift,
                   .eps = eps,
                   .mean = mean,
                   .rstd = rstd};
    return run(team, &w, forward_item, NULL, NULL);
}

/* The casts: what only forward writes. */
static lk_status backward(const lk_team *team, const lk_norm_shape *s, const lk_output_gradient *g, const void *x,
                          const float *scale, const double *mean, const double *rstd, void *dx, float *dscale, float *dshift)
{
    norm_work w = {.shape = s,
                   .kind = s->pool ? POOLED : (s->relu ? GATED : PLAIN),
                   .x = x,
                   .dy = g->dy,
                   .y = s->relu ? g->y : g->dy,
                   .out = dx,
                   .choice = (uint8_t *)(uintptr_t)g->choice,
                   .scale = scale,
                   .mean = (double *)(uintptr_t)mean,
                   .rstd = (double *)(uintptr_t)rstd};
    return run(team, &w, backward_item, dscale, dshift);
}

const lk_norm_kernel LK_NORM = {
    .instructions = LK_LANES == 16 ? "avx512" : "avx2",
    .needs = LK_LANES == 16 ? LK_CPU_AVX512 : LK_CPU_AVX2,
    .bf16 = LK_BF16,
    .forward = forward,
    .backward = backward,
};
