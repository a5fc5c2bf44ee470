/* Operations that are kernels of the device (device_kernels.h), one after the other in the order of trainer/tensor/tensor.h. */
#include "trainer/tensor/device_kernels.h"
#include "trainer/tensor/dispatch.h"
#include "trainer/tensor/memory.h"

#include <stdlib.h>

/* ---- pieces of a block ---- */

void lk_relu_backward_(lk_tensor *dy, const lk_tensor *y)
{
    if (!dy || !y)
        return;
    if (!lk_tensor_same_layout(dy, y)) {
        lk_tensor_fail(LK_INTERNAL, "relu backward: gradient and output have different memory layouts");
        return;
    }
    lk_tensor_keep(lk_tensor_kernels()->relu_backward(lk_tensor_device(), lk_tensor_dtype(dy), lk_tensor_data(dy),
                                                      lk_tensor_data(y), lk_tensor_count(dy)));
}

static lk_group_norm_shape norm_shape(const lk_tensor *x, const lk_tensor *scale, int groups, double eps)
{
    return (lk_group_norm_shape){
        .dtype = lk_tensor_dtype(x),
        .weight = lk_tensor_dtype(scale),
        .map = {lk_tensor_dim(x, 0), lk_tensor_dim(x, 2), lk_tensor_dim(x, 3), lk_tensor_dim(x, 1)},
        .groups = groups,
        .eps = eps,
    };
}

static lk_tensor *like(const lk_tensor *x)
{
    int64_t sizes[4] = {lk_tensor_dim(x, 0), lk_tensor_dim(x, 1), lk_tensor_dim(x, 2), lk_tensor_dim(x, 3)};
    return lk_tensor_empty(lk_tensor_dtype(x), 4, sizes);
}

lk_tensor *lk_group_norm(const lk_tensor *x, const lk_tensor *scale, const lk_tensor *shift, int groups, double eps,
                         lk_tensor *saved[2])
{
    if (!x || !scale || !shift || !lk_tensor_require_channels_last(x))
        return NULL;
    lk_group_norm_shape shape = norm_shape(x, scale, groups, eps);
    int64_t sizes[2] = {shape.map.samples, groups};
    lk_tensor *y = like(x);
    for (int i = 0; i < 2; i++)
        saved[i] = lk_tensor_empty(LK_DTYPE_F64, 2, sizes);
    if (!y || !saved[0] || !saved[1] ||
        !lk_tensor_keep(lk_tensor_kernels()->group_norm(lk_tensor_device(), &shape, lk_tensor_data(x), lk_tensor_data(scale),
                                                        lk_tensor_data(shift), lk_tensor_data(y), lk_tensor_data(saved[0]),
                                                        lk_tensor_data(saved[1]))))
        lk_tensor_free(&y);
    return y;
}

lk_tensor *lk_group_norm_backward(const lk_tensor *dy, const lk_tensor *x, const lk_tensor *scale, int groups,
                                  lk_tensor *const saved[2], lk_tensor **dscale, lk_tensor **dshift)
{
    *dscale = *dshift = NULL;
    if (!dy || !x || !scale || !saved[0] || !saved[1] || !lk_tensor_require_channels_last(x) ||
        !lk_tensor_require_channels_last(dy))
        return NULL;
    lk_group_norm_shape shape = norm_shape(x, scale, groups, 0);
    lk_tensor *dx = like(x);
    *dscale = lk_tensor_empty(shape.weight, 1, &shape.map.channels);
    *dshift = lk_tensor_empty(shape.weight, 1, &shape.map.channels);
    if (!dx || !*dscale || !*dshift ||
        !lk_tensor_keep(lk_tensor_kernels()->group_norm_backward(
            lk_tensor_device(), &shape, lk_tensor_data(dy), lk_tensor_data(x), lk_tensor_data(scale), lk_tensor_data(saved[0]),
            lk_tensor_data(saved[1]), lk_tensor_data(dx), lk_tensor_data(*dscale), lk_tensor_data(*dshift)))) {
        lk_tensor_free(&dx);
        lk_tensor_free(dscale);
        lk_tensor_free(dshift);
    }
    return dx;
}

void lk_batch_statistics(lk_tensor *const saved[2], double samples, double eps, double share, lk_dtype dtype, lk_tensor **mean,
                         lk_tensor **variance)
{
    *mean = *variance = NULL;
    if (!saved[0] || !saved[1])
        return;
    int64_t channels = lk_tensor_count(saved[0]);
    *mean = lk_tensor_empty(dtype, 1, &channels);
    *variance = lk_tensor_empty(dtype, 1, &channels);
    if (!*mean || !*variance ||
        !lk_tensor_keep(lk_tensor_kernels()->batch_statistics(
            lk_tensor_device(), lk_tensor_dtype(saved[0]), lk_tensor_data(saved[0]), lk_tensor_data(saved[1]), channels, samples,
            eps, share, dtype, lk_tensor_data(*mean), lk_tensor_data(*variance)))) {
        lk_tensor_free(mean);
        lk_tensor_free(variance);
    }
}

/* ---- element by element ---- */

void lk_add_(lk_tensor *a, const lk_tensor *b)
{
    if (!a || !b)
        return;
    if (!lk_tensor_same_layout(a, b) || lk_tensor_dtype(a) == LK_DTYPE_BF16) { /* any layout: through the operator */
        lk_tensor *sum = lk_add(a, b);
        lk_tensor_copy_(a, sum);
        lk_tensor_free(&sum);
        return;
    }
    lk_tensor_keep(lk_tensor_kernels()->add(lk_tensor_device(), lk_tensor_dtype(a), lk_tensor_data(a), lk_tensor_data(b),
                                            lk_tensor_count(a)));
}

void lk_scale_(lk_tensor *a, double factor)
{
    if (a)
        lk_tensor_keep(
            lk_tensor_kernels()->scale(lk_tensor_device(), lk_tensor_dtype(a), lk_tensor_data(a), factor, lk_tensor_count(a)));
}

/* ---- sums ---- */

struct lk_sums {
    lk_device *device;
    int count;
    double *values; /* the device's */
    double *host;
};

lk_status lk_sums_create(int count, lk_sums **out)
{
    *out = NULL;
    lk_sums *s = calloc(1, sizeof *s);
    if (!s)
        return lk_fail(LK_INTERNAL, "out of memory");
    s->device = lk_tensor_device();
    s->count = count;
    s->values = lk_device_alloc(s->device, (size_t)count * sizeof *s->values);
    s->host = s->values ? lk_device_alloc_host(s->device, (size_t)count * sizeof *s->host) : NULL;
    if (!s->host) {
        lk_sums_free(s);
        return LK_INTERNAL;
    }
    *out = s;
    return LK_OK;
}

void lk_sums_free(lk_sums *s)
{
    if (!s)
        return;
    lk_device_free(s->device, s->values);
    lk_device_free_host(s->device, s->host);
    free(s);
}

void lk_sums_clear(lk_sums *s)
{
    lk_tensor_keep(lk_device_zero(s->device, s->values, (size_t)s->count * sizeof *s->values));
}

double *lk_sums_at(lk_sums *s, int i)
{
    return s->values + i;
}

lk_status lk_sums_read(lk_sums *s, int count, double *values)
{
    size_t bytes = (size_t)count * sizeof *values;
    LK_TRY(lk_device_to_host(s->device, s->host, s->values, bytes));
    memcpy(values, s->host, bytes);
    return LK_OK;
}

void lk_sum_squares(const float *values, const lk_range *ranges, int count, double *sum)
{
    lk_tensor_keep(lk_tensor_kernels()->sum_squares(lk_tensor_device(), values, ranges, count, sum));
}

void lk_scale_ranges(float *values, const lk_range *ranges, int count, float factor)
{
    for (int i = 0; i < count; i++)
        lk_tensor_keep(
            lk_tensor_kernels()->scale(lk_tensor_device(), LK_DTYPE_F32, values + ranges[i].begin, factor, ranges[i].count));
}

/* ---- faces ---- */

lk_tensor *lk_decoder_input(const lk_choices *choices, const lk_tensor *continuous, const lk_tensor *labels)
{
    if (!continuous || !labels)
        return NULL;
    int64_t n = lk_tensor_dim(continuous, 0), nc = lk_tensor_dim(continuous, 1);
    lk_tensor *input = lk_tensor_empty(LK_DTYPE_F32, 2, (int64_t[]){n, nc + choices->begins[choices->groups]});
    if (!input || !lk_tensor_keep(lk_tensor_kernels()->decoder_input(lk_tensor_device(), choices, lk_tensor_data(continuous),
                                                                     lk_tensor_data(labels), n, nc, lk_tensor_data(input))))
        lk_tensor_free(&input);
    return input;
}

/* ---- pictures ---- */

static lk_tensor *pictures(const uint8_t *pixels, int n, int size, lk_dtype dtype, const float mean[3], const float deviation[3])
{
    if (dtype == LK_DTYPE_F64) { /* tests only: by way of float32 */
        lk_tensor *narrow = pictures(pixels, n, size, LK_DTYPE_F32, mean, deviation);
        lk_tensor *wide = lk_tensor_cast(narrow, LK_DTYPE_F64);
        lk_tensor_free(&narrow);
        return wide;
    }
    int64_t count = (int64_t)n * size * size;
    lk_tensor *bytes = lk_tensor_lend(pixels, LK_DTYPE_U8, 1, (int64_t[]){3 * count});
    lk_tensor *out = lk_tensor_empty(dtype, 4, (int64_t[]){n, 3, size, size});
    if (!bytes || !out ||
        !lk_tensor_keep(lk_tensor_kernels()->pictures(lk_tensor_device(), dtype, lk_tensor_data(bytes), count, mean, deviation,
                                                      lk_tensor_data(out))))
        lk_tensor_free(&out);
    lk_tensor_free(&bytes);
    return out;
}

lk_tensor *lk_normalized_pictures(const uint8_t *pixels, int n, int size, lk_dtype dtype)
{
    static const float mean[3] = {0.485f, 0.456f, 0.406f};
    static const float deviation[3] = {0.229f, 0.224f, 0.225f};
    return pictures(pixels, n, size, dtype, mean, deviation);
}

lk_tensor *lk_pictures(const uint8_t *pixels, int n, int size, lk_dtype dtype)
{
    return pictures(pixels, n, size, dtype, (const float[3]){0, 0, 0}, (const float[3]){1, 1, 1});
}

void lk_pictures_to_pixels(const lk_tensor *x, uint8_t *pixels)
{
    lk_tensor *floats = lk_tensor_cast(x, LK_DTYPE_F32);
    if (!floats)
        return;
    int64_t count = lk_tensor_count(floats);
    lk_tensor *bytes = lk_tensor_empty(LK_DTYPE_U8, 1, &count);
    if (bytes &&
        lk_tensor_keep(lk_tensor_kernels()->pixels(lk_tensor_device(), lk_tensor_data(floats), count, lk_tensor_data(bytes))))
        lk_tensor_keep(lk_device_to_host(lk_tensor_device(), pixels, lk_tensor_data(bytes), (size_t)count));
    lk_tensor_free(&bytes);
    lk_tensor_free(&floats);
}

lk_status lk_tensor_add_floats(lk_device *device, void *stream, float *sum, const float *term, size_t count)
{
    return lk_tensor_kernels()->add_on(device, stream, sum, term, (int64_t)count);
}

lk_status lk_tensor_narrow_floats(lk_device *device, void *stream, uint16_t *out, const float *in, size_t count)
{
    return lk_tensor_kernels()->narrow_on(device, stream, out, in, (int64_t)count);
}

lk_status lk_tensor_widen_floats(lk_device *device, void *stream, float *out, const uint16_t *in, size_t count)
{
    return lk_tensor_kernels()->widen_on(device, stream, out, in, (int64_t)count);
}
