/* The loops of device_kernels.h on the CPU, on libtorch's threads: the reference of the other tables. Those of group norm are in
 * group_norm.c. Declared in trainer/tensor/device_kernels.h. */
#include "trainer/tensor/device_kernels.h"

#include "trainer/tensor/dispatch.h"
#include "trainer/tensor/group_norm.h"
#include "trainer/tensor/memory.h"

#include <math.h>
#include <stdlib.h>

enum { GRAIN = 32768 };

/* ---- element by element ---- */

typedef struct pair_job {
    void *a;
    const void *b;
    double factor;
} pair_job;

#define PAIR_LOOP(name, type, statement)                                                                                         \
    static void name(int64_t begin, int64_t end, void *context)                                                                  \
    {                                                                                                                            \
        const pair_job *job = context;                                                                                           \
        type *restrict a = job->a;                                                                                               \
        const type *restrict b = job->b;                                                                                         \
        for (int64_t i = begin; i < end; i++)                                                                                    \
            statement;                                                                                                           \
    }

PAIR_LOOP(relu_backward_f32, float, a[i] = b[i] > 0 ? a[i] : 0)
PAIR_LOOP(relu_backward_f64, double, a[i] = b[i] > 0 ? a[i] : 0)
PAIR_LOOP(relu_backward_bf16, uint16_t, a[i] = (b[i] & 0x7fff) ? a[i] : 0) /* b is never negative */
PAIR_LOOP(add_f32, float, a[i] += b[i])
PAIR_LOOP(add_f64, double, a[i] += b[i])

static lk_status relu_backward(lk_device *d, lk_dtype dtype, void *dy, const void *y, int64_t count)
{
    (void)d;
    pair_job job = {.a = dy, .b = y};
    ParallelFunc loop = relu_backward_f32;
    if (dtype != LK_DTYPE_F32)
        loop = dtype == LK_DTYPE_F64 ? relu_backward_f64 : relu_backward_bf16;
    return lk_torch_status(torch_parallel_for(0, count, GRAIN, loop, &job), "relu backward");
}

static lk_status add(lk_device *d, lk_dtype dtype, void *a, const void *b, int64_t count)
{
    (void)d;
    pair_job job = {.a = a, .b = b};
    return lk_torch_status(torch_parallel_for(0, count, GRAIN, dtype == LK_DTYPE_F32 ? add_f32 : add_f64, &job), "add_");
}

static lk_status add_on(lk_device *d, void *stream, float *a, const float *b, int64_t count)
{
    (void)stream;
    return add(d, LK_DTYPE_F32, a, b, count);
}

static void narrow(int64_t begin, int64_t end, void *context)
{
    const pair_job *job = context;
    uint16_t *restrict out = job->a;
    const float *restrict in = job->b;
    for (int64_t i = begin; i < end; i++)
        out[i] = lk_float_to_bfloat(in[i]);
}

static void widen(int64_t begin, int64_t end, void *context)
{
    const pair_job *job = context;
    float *restrict out = job->a;
    const uint16_t *restrict in = job->b;
    for (int64_t i = begin; i < end; i++)
        out[i] = lk_bfloat_to_float(in[i]);
}

static lk_status narrow_on(lk_device *d, void *stream, uint16_t *out, const float *in, int64_t count)
{
    (void)d;
    (void)stream;
    return lk_torch_status(torch_parallel_for(0, count, GRAIN, narrow, &(pair_job){.a = out, .b = in}), "narrow");
}

static lk_status widen_on(lk_device *d, void *stream, float *out, const uint16_t *in, int64_t count)
{
    (void)d;
    (void)stream;
    return lk_torch_status(torch_parallel_for(0, count, GRAIN, widen, &(pair_job){.a = out, .b = in}), "widen");
}

static void scale_f32(int64_t begin, int64_t end, void *context)
{
    const pair_job *job = context;
    float *a = job->a, factor = (float)job->factor;
    for (int64_t i = begin; i < end; i++)
        a[i] *= factor;
}

static void scale_f64(int64_t begin, int64_t end, void *context)
{
    const pair_job *job = context;
    double *a = job->a;
    for (int64_t i = begin; i < end; i++)
        a[i] *= job->factor;
}

static lk_status scale(lk_device *d, lk_dtype dtype, void *a, double factor, int64_t count)
{
    (void)d;
    pair_job job = {.a = a, .factor = factor};
    return lk_torch_status(torch_parallel_for(0, count, GRAIN, dtype == LK_DTYPE_F32 ? scale_f32 : scale_f64, &job), "scale_");
}

/* ---- pictures ---- */

typedef struct picture_job {
    const uint8_t *pixels;
    uint8_t *pixels_out;
    void *values;
    const float *values_in;
    float table[3][256]; /* every value a channel can take */
    uint16_t table_bf16[3][256];
} picture_job;

static void pixels_to_f32(int64_t begin, int64_t end, void *context)
{
    const picture_job *job = context;
    float *out = job->values;
    for (int64_t i = begin; i < end; i++)
        for (int c = 0; c < 3; c++)
            out[3 * i + c] = job->table[c][job->pixels[3 * i + c]];
}

static void pixels_to_bf16(int64_t begin, int64_t end, void *context)
{
    const picture_job *job = context;
    uint16_t *out = job->values;
    for (int64_t i = begin; i < end; i++)
        for (int c = 0; c < 3; c++)
            out[3 * i + c] = job->table_bf16[c][job->pixels[3 * i + c]];
}

static lk_status pictures(lk_device *d, lk_dtype dtype, const uint8_t *pixels, int64_t count, const float mean[3],
                          const float deviation[3], void *values)
{
    (void)d;
    picture_job job = {.pixels = pixels, .values = values};
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) {
            job.table[c][v] = ((float)v / 255.0f - mean[c]) / deviation[c];
            job.table_bf16[c][v] = lk_float_to_bfloat(job.table[c][v]);
        }
    ParallelFunc loop = dtype == LK_DTYPE_F32 ? pixels_to_f32 : pixels_to_bf16;
    return lk_torch_status(torch_parallel_for(0, count, GRAIN, loop, &job), "pictures");
}

static void values_to_pixels(int64_t begin, int64_t end, void *context)
{
    const picture_job *job = context;
    for (int64_t i = begin; i < end; i++) {
        float v = job->values_in[i] * 255.0f + 0.5f;
        job->pixels_out[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

static lk_status pixels(lk_device *d, const float *values, int64_t count, uint8_t *out)
{
    (void)d;
    picture_job job = {.values_in = values, .pixels_out = out};
    return lk_torch_status(torch_parallel_for(0, count, GRAIN, values_to_pixels, &job), "pictures to pixels");
}

/* ---- sums ---- */

/* A part of a range, whose sum is one chain whoever computes it. */
enum { SLICE = 1 << 16 };
typedef struct slice {
    const float *values;
    int64_t count;
    double sum;
} slice;

static void sum_slices(int64_t begin, int64_t end, void *context)
{
    enum { LANES = 16 }; /* independent sums, which the compiler keeps in vector registers */
    slice *slices = context;
    for (int64_t i = begin; i < end; i++) {
        const float *v = slices[i].values;
        int64_t length = slices[i].count, k = 0;
        double sums[LANES] = {0};
        for (; k + LANES <= length; k += LANES)
            for (int lane = 0; lane < LANES; lane++)
                sums[lane] += (double)v[k + lane] * (double)v[k + lane];
        for (; k < length; k++)
            sums[0] += (double)v[k] * (double)v[k];
        for (int lane = 0; lane < LANES; lane++)
            slices[i].sum += sums[lane];
    }
}

static lk_status sum_squares(lk_device *d, const float *values, const lk_range *ranges, int count, double *sum)
{
    int64_t most = 0, made = 0;
    (void)d;
    for (int r = 0; r < count; r++)
        most += ranges[r].count / SLICE + 1;
    slice *slices = calloc((size_t)most + 1, sizeof *slices);
    if (!slices)
        return lk_fail(LK_INTERNAL, "out of memory for the sum of squares");
    for (int r = 0; r < count; r++)
        for (int64_t k = 0; k < ranges[r].count; k += SLICE)
            slices[made++] = (slice){.values = values + ranges[r].begin + k,
                                     .count = ranges[r].count - k < SLICE ? ranges[r].count - k : SLICE};
    lk_status status = lk_torch_status(torch_parallel_for(0, made, 1, sum_slices, slices), "a sum of squares");
    for (int64_t i = 0; i < made; i++)
        *sum += slices[i].sum;
    free(slices);
    return status;
}

/* ---- losses: each sample's part by itself, then the samples in their order ---- */

typedef struct loss_job {
    const void *y, *target;
    void *dy;
    int64_t length;
    double share;
    double *sums; /* of each sample */
} loss_job;

#define PIXEL_LOSS(name, type)                                                                                                   \
    static void name(int64_t begin, int64_t end, void *context)                                                                  \
    {                                                                                                                            \
        const loss_job *job = context;                                                                                           \
        for (int64_t n = begin; n < end; n++) {                                                                                  \
            const type *y = (const type *)job->y + n * job->length, *target = (const type *)job->target + n * job->length;       \
            double sum = 0;                                                                                                      \
            for (int64_t i = 0; i < job->length; i++) {                                                                          \
                double difference = y[i] - target[i];                                                                            \
                sum += difference * difference;                                                                                  \
            }                                                                                                                    \
            job->sums[n] = sqrt(sum);                                                                                            \
            type factor = (type)(job->sums[n] > 0 ? job->share / job->sums[n] : 0); /* d||x|| / dx = x / ||x|| */                \
            type *dy = job->dy ? (type *)job->dy + n * job->length : NULL;                                                       \
            for (int64_t i = 0; dy && i < job->length; i++)                                                                      \
                dy[i] = (y[i] - target[i]) * factor;                                                                             \
        }                                                                                                                        \
    }

PIXEL_LOSS(pixel_loss_f32, float)
PIXEL_LOSS(pixel_loss_f64, double)

#define L1_LOSS(name, type, absolute)                                                                                            \
    static void name(int64_t begin, int64_t end, void *context)                                                                  \
    {                                                                                                                            \
        const loss_job *job = context;                                                                                           \
        type factor = (type)job->share;                                                                                          \
        for (int64_t n = begin; n < end; n++) {                                                                                  \
            const type *y = (const type *)job->y + n * job->length, *target = (const type *)job->target + n * job->length;       \
            type *dy = job->dy ? (type *)job->dy + n * job->length : NULL;                                                       \
            double sum = 0;                                                                                                      \
            for (int64_t i = 0; i < job->length; i++)                                                                            \
                sum += absolute(y[i] - target[i]);                                                                               \
            job->sums[n] = sum;                                                                                                  \
            for (int64_t i = 0; dy && i < job->length; i++) {                                                                    \
                type difference = y[i] - target[i];                                                                              \
                dy[i] = (type)((difference > 0) - (difference < 0)) * factor;                                                    \
            }                                                                                                                    \
        }                                                                                                                        \
    }

L1_LOSS(l1_loss_f32, float, fabsf)
L1_LOSS(l1_loss_f64, double, fabs)

/* Runs the job over n samples and adds what they came to, each divided by `divisor`, to *sum. */
static lk_status run_loss(loss_job *job, ParallelFunc loop, int64_t n, double divisor, double *sum, const char *what)
{
    job->sums = malloc((size_t)(n > 0 ? n : 1) * sizeof *job->sums);
    if (!job->sums)
        return lk_fail(LK_INTERNAL, "out of memory for the losses of a batch");
    lk_status status = lk_torch_status(torch_parallel_for(0, n, 1, loop, job), what);
    double total = 0;
    for (int64_t i = 0; status == LK_OK && i < n; i++)
        total += job->sums[i] / divisor;
    *sum += total;
    free(job->sums);
    return status;
}

static lk_status pixel_loss(lk_device *d, lk_dtype dtype, const void *y, const void *target, int64_t n, int64_t length,
                            double share, void *dy, double *sum)
{
    (void)d;
    loss_job job = {.y = y, .target = target, .dy = dy, .length = length, .share = share};
    return run_loss(&job, dtype == LK_DTYPE_F32 ? pixel_loss_f32 : pixel_loss_f64, n, 1, sum, "pixel loss");
}

static lk_status l1_loss(lk_device *d, lk_dtype dtype, const void *y, const void *target, int64_t n, int64_t length, double share,
                         void *dy, double *sum)
{
    (void)d;
    loss_job job = {.y = y, .target = target, .dy = dy, .length = length, .share = share / (double)length};
    return run_loss(&job, dtype == LK_DTYPE_F32 ? l1_loss_f32 : l1_loss_f64, n, (double)length, sum, "L1 loss");
}

static double number_at(lk_dtype dtype, const void *values, int64_t i)
{
    return dtype == LK_DTYPE_F64 ? ((const double *)values)[i] : (double)((const float *)values)[i];
}

static void set_number(lk_dtype dtype, void *values, int64_t i, double number)
{
    if (dtype == LK_DTYPE_F64)
        ((double *)values)[i] = number;
    else
        ((float *)values)[i] = (float)number;
}

/* One group of one sample: columns begin .. end - 1 of `row`, the place of the sample's first. */
static double cross_entropy(lk_dtype dtype, const void *logits, int64_t row, int64_t begin, int64_t end, int label, double share,
                            void *dlogits)
{
    double largest = number_at(dtype, logits, row + begin), total = 0;
    for (int64_t k = begin + 1; k < end; k++)
        largest = fmax(largest, number_at(dtype, logits, row + k));
    for (int64_t k = begin; k < end; k++)
        total += exp(number_at(dtype, logits, row + k) - largest);
    for (int64_t k = begin; dlogits && k < end; k++) {
        double probability = exp(number_at(dtype, logits, row + k) - largest) / total;
        set_number(dtype, dlogits, row + k, share * (probability - (k - begin == label)));
    }
    return log(total) + largest - number_at(dtype, logits, row + begin + label);
}

static lk_status discrete_loss(lk_device *d, lk_dtype dtype, const lk_choices *choices, const void *logits, const uint8_t *labels,
                               int64_t n, double share, void *dlogits, double *sum)
{
    (void)d;
    const int32_t *begins = choices->begins;
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        for (int g = 0; g < choices->groups; g++)
            total += cross_entropy(dtype, logits, i * begins[choices->groups], begins[g], begins[g + 1],
                                   labels[i * choices->groups + g], share, dlogits);
    *sum += total;
    return LK_OK;
}

static lk_status decoder_input(lk_device *d, const lk_choices *choices, const float *continuous, const uint8_t *labels, int64_t n,
                               int64_t nc, float *input)
{
    (void)d;
    int64_t width = nc + choices->begins[choices->groups];
    memset(input, 0, (size_t)(n * width) * sizeof *input);
    for (int64_t i = 0; i < n; i++) {
        float *row = input + i * width;
        memcpy(row, continuous + i * nc, (size_t)nc * sizeof *row);
        for (int g = 0; g < choices->groups; g++)
            row[nc + choices->begins[g] + labels[i * choices->groups + g]] = 1;
    }
    return LK_OK;
}

/* ---- norms ---- */

static lk_status batch_statistics(lk_device *d, lk_dtype dtype, const void *mean, const void *rstd, int64_t channels,
                                  double samples, double eps, double share, lk_dtype out, void *mean_out, void *variance_out)
{
    (void)d;
    for (int64_t c = 0; c < channels; c++) {
        double scale = number_at(dtype, rstd, c);
        double biased = 1.0 / (scale * scale) - eps;
        set_number(out, mean_out, c, number_at(dtype, mean, c) * share);
        set_number(out, variance_out, c, biased * samples / (samples - 1.0) * share);
    }
    return LK_OK;
}

const lk_device_kernels lk_device_kernels_cpu = {
    .relu_backward = relu_backward,
    .add = add,
    .add_on = add_on,
    .narrow_on = narrow_on,
    .widen_on = widen_on,
    .scale = scale,
    .pictures = pictures,
    .pixels = pixels,
    .sum_squares = sum_squares,
    .pixel_loss = pixel_loss,
    .l1_loss = l1_loss,
    .discrete_loss = discrete_loss,
    .decoder_input = decoder_input,
    .group_norm = lk_group_norm_cpu,
    .group_norm_backward = lk_group_norm_backward_cpu,
    .batch_statistics = batch_statistics,
};
