#include "trainer/tensor/tensor.h"

#include "trainer/tensor/dispatch.h"
#include "trainer/tensor/memory.h"

#include <dlfcn.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A step frees and takes the same large blocks as the one before; given back to the system in between, each would come again as
 * pages to be cleared. */
static void keep_freed_memory(void)
{
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1); /* never */
}

lk_status lk_tensor_start(int threads)
{
    keep_freed_memory();
    aoti_torch_grad_mode_set_enabled(false);
    if (threads > 0) {
        /* libtorch brings its own OpenMP; its pool has no call in the C ABI. */
        void (*set_threads)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "omp_set_num_threads");
        if (!set_threads)
            return lk_fail(LK_INTERNAL, "libtorch's OpenMP library is not loaded; run make deps again");
        set_threads(threads);
    }
    return LK_OK;
}

int lk_tensor_threads(void)
{
    int (*threads)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "omp_get_max_threads");
    return threads ? threads() : 1;
}

void lk_tensor_library(char *out, size_t size)
{
    uint64_t version = aoti_torch_abi_version(); /* major, minor, patch in the three highest bytes */
    snprintf(out, size, "libtorch %u.%u.%u", (unsigned)(version >> 56), (unsigned)(version >> 48 & 255),
             (unsigned)(version >> 40 & 255));
}

/* ---- shapes ---- */

static bool is_channels_last(int dims)
{
    return dims == 4;
}

static void strides_of(int dims, const int64_t *sizes, int64_t *strides)
{
    int64_t stride = 1;
    if (is_channels_last(dims)) {
        const int order[4] = {1, 3, 2, 0};
        for (int i = 0; i < 4; i++) {
            strides[order[i]] = stride;
            stride *= sizes[order[i]];
        }
        return;
    }
    for (int i = dims - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= sizes[i];
    }
}

int64_t lk_tensor_count(const lk_tensor *t)
{
    int64_t count = 0;
    if (t)
        lk_torch_ok(aoti_torch_get_numel(lk_tensor_handle(t), &count), "numel");
    return count;
}

int64_t lk_tensor_dim(const lk_tensor *t, int dim)
{
    int64_t size = 0;
    if (t)
        lk_torch_ok(aoti_torch_get_size(lk_tensor_handle(t), dim, &size), "size");
    return size;
}

static int dims_of(const lk_tensor *t)
{
    int64_t dims = 0;
    lk_torch_ok(aoti_torch_get_dim(lk_tensor_handle(t), &dims), "dim");
    return (int)dims;
}

lk_dtype lk_tensor_dtype(const lk_tensor *t)
{
    int32_t dtype = lk_torch_dtype(LK_DTYPE_F32);
    if (t)
        lk_torch_ok(aoti_torch_get_dtype(lk_tensor_handle(t), &dtype), "dtype");
    if (dtype == lk_torch_dtype(LK_DTYPE_F64))
        return LK_DTYPE_F64;
    return dtype == lk_torch_dtype(LK_DTYPE_BF16) ? LK_DTYPE_BF16 : LK_DTYPE_F32;
}

void *lk_tensor_data(const lk_tensor *t)
{
    void *data = NULL;
    lk_torch_ok(aoti_torch_get_data_ptr(lk_tensor_handle(t), &data), "data_ptr");
    return data;
}

/* ---- making and freeing ---- */

lk_tensor *lk_tensor_empty(lk_dtype dtype, int dims, const int64_t *sizes)
{
    int64_t strides[LK_MAX_DIMS];
    AtenTensorHandle out = NULL;
    strides_of(dims, sizes, strides);
    lk_torch_ok(aoti_torch_empty_strided(dims, sizes, strides, lk_torch_dtype(dtype), aoti_torch_device_type_cpu(), 0, &out),
                "empty");
    return (lk_tensor *)out;
}

lk_tensor *lk_tensor_view(void *memory, lk_dtype dtype, int dims, const int64_t *sizes)
{
    int64_t strides[LK_MAX_DIMS];
    AtenTensorHandle out = NULL;
    strides_of(dims, sizes, strides);
    lk_torch_ok(aoti_torch_create_tensor_from_blob(memory, dims, sizes, strides, 0, lk_torch_dtype(dtype),
                                                   aoti_torch_device_type_cpu(), 0, &out),
                "from_blob");
    return (lk_tensor *)out;
}

void lk_tensor_free(lk_tensor **t)
{
    if (*t)
        aoti_torch_delete_tensor_object(lk_tensor_handle(*t));
    *t = NULL;
}

lk_tensor *lk_tensor_share(const lk_tensor *t)
{
    AtenTensorHandle out = NULL;
    if (t)
        lk_torch_ok(aoti_torch_new_tensor_handle(lk_tensor_handle(t), &out), "new handle");
    return (lk_tensor *)out;
}

void lk_tensor_copy_(lk_tensor *target, const lk_tensor *source)
{
    if (target && source)
        lk_torch_ok(aoti_torch_copy_(lk_tensor_handle(target), lk_tensor_handle(source), 0), "copy_");
}

lk_tensor *lk_tensor_cast(const lk_tensor *t, lk_dtype dtype)
{
    lk_call call = lk_call_begin("aten::to", "dtype");
    lk_push_tensor(&call, t);
    lk_push_int(&call, lk_torch_dtype(dtype));
    lk_push_bool(&call, false);
    lk_push_bool(&call, false);
    lk_push_none(&call);
    return lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
}

/* A contiguous window (NCHW order also for 4-d) on host memory. */
static lk_tensor *contiguous_window(void *memory, lk_dtype dtype, int dims, const int64_t *sizes)
{
    int64_t strides[LK_MAX_DIMS];
    int64_t stride = 1;
    AtenTensorHandle out = NULL;
    for (int i = dims - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= sizes[i];
    }
    lk_torch_ok(aoti_torch_create_tensor_from_blob(memory, dims, sizes, strides, 0, lk_torch_dtype(dtype),
                                                   aoti_torch_device_type_cpu(), 0, &out),
                "from_blob");
    return (lk_tensor *)out;
}

static lk_tensor *from_host(const void *values, lk_dtype from, lk_dtype dtype, int dims, const int64_t *sizes)
{
    /* The ABI has no const window; the memory is only read. */
    lk_tensor *window = contiguous_window((void *)(uintptr_t)values, from, dims, sizes);
    lk_tensor *out = lk_tensor_empty(dtype, dims, sizes);
    lk_tensor_copy_(out, window);
    lk_tensor_free(&window);
    return out;
}

static void to_host(const lk_tensor *t, void *values, lk_dtype to)
{
    if (!t)
        return;
    int64_t sizes[LK_MAX_DIMS];
    int dims = dims_of(t);
    for (int i = 0; i < dims; i++)
        sizes[i] = lk_tensor_dim(t, i);
    lk_tensor *window = contiguous_window(values, to, dims, sizes);
    lk_tensor_copy_(window, t);
    lk_tensor_free(&window);
}

lk_tensor *lk_tensor_from_floats(const float *values, lk_dtype dtype, int dims, const int64_t *sizes)
{
    return from_host(values, LK_DTYPE_F32, dtype, dims, sizes);
}

lk_tensor *lk_tensor_from_doubles(const double *values, lk_dtype dtype, int dims, const int64_t *sizes)
{
    return from_host(values, LK_DTYPE_F64, dtype, dims, sizes);
}

void lk_tensor_to_floats(const lk_tensor *t, float *values)
{
    to_host(t, values, LK_DTYPE_F32);
}

void lk_tensor_to_doubles(const lk_tensor *t, double *values)
{
    to_host(t, values, LK_DTYPE_F64);
}

/* ---- loops over raw memory, on libtorch's thread pool ---- */

enum { GRAIN = 32768 };

typedef struct relu_job {
    void *dy;
    const void *y;
} relu_job;

static void relu_backward_f32(int64_t begin, int64_t end, void *context)
{
    const relu_job *job = context;
    float *restrict dy = job->dy;
    const float *restrict y = job->y;
    for (int64_t i = begin; i < end; i++)
        dy[i] = y[i] > 0 ? dy[i] : 0;
}

static void relu_backward_f64(int64_t begin, int64_t end, void *context)
{
    const relu_job *job = context;
    double *restrict dy = job->dy;
    const double *restrict y = job->y;
    for (int64_t i = begin; i < end; i++)
        dy[i] = y[i] > 0 ? dy[i] : 0;
}

static void relu_backward_bf16(int64_t begin, int64_t end, void *context)
{
    const relu_job *job = context;
    uint16_t *restrict dy = job->dy;
    const uint16_t *restrict y = job->y;
    for (int64_t i = begin; i < end; i++)
        dy[i] = (y[i] & 0x7fff) ? dy[i] : 0; /* y is never negative */
}

static bool same_layout(const lk_tensor *a, const lk_tensor *b)
{
    int dims = dims_of(a);
    if (dims != dims_of(b))
        return false;
    for (int i = 0; i < dims; i++) {
        int64_t sa = 0, sb = 0;
        if (lk_tensor_dim(a, i) != lk_tensor_dim(b, i))
            return false;
        lk_torch_ok(aoti_torch_get_stride(lk_tensor_handle(a), i, &sa), "stride");
        lk_torch_ok(aoti_torch_get_stride(lk_tensor_handle(b), i, &sb), "stride");
        if (sa != sb && lk_tensor_dim(a, i) > 1)
            return false;
    }
    return true;
}

void lk_relu_backward_(lk_tensor *dy, const lk_tensor *y)
{
    if (!dy || !y)
        return;
    if (!same_layout(dy, y)) {
        lk_tensor_fail(LK_INTERNAL, "relu backward: gradient and output have different memory layouts");
        return;
    }
    ParallelFunc loop = relu_backward_f32;
    if (lk_tensor_dtype(dy) != LK_DTYPE_F32)
        loop = lk_tensor_dtype(dy) == LK_DTYPE_F64 ? relu_backward_f64 : relu_backward_bf16;
    relu_job job = {lk_tensor_data(dy), lk_tensor_data(y)};
    lk_torch_ok(torch_parallel_for(0, lk_tensor_count(dy), GRAIN, loop, &job), "relu backward");
}

bool lk_tensor_require_channels_last(const lk_tensor *t)
{
    int64_t sizes[4], strides[4];
    bool good = dims_of(t) == 4;
    for (int i = 0; good && i < 4; i++)
        sizes[i] = lk_tensor_dim(t, i);
    if (good)
        strides_of(4, sizes, strides);
    for (int i = 0; good && i < 4; i++) {
        int64_t stride = 0;
        lk_torch_ok(aoti_torch_get_stride(lk_tensor_handle(t), i, &stride), "stride");
        good = stride == strides[i] || sizes[i] == 1;
    }
    if (!good)
        lk_tensor_fail(LK_INTERNAL, "a tensor does not lie channels_last in memory");
    return good;
}

typedef struct add_job {
    void *a;
    const void *b;
} add_job;

static void add_f32(int64_t begin, int64_t end, void *context)
{
    const add_job *job = context;
    float *restrict a = job->a;
    const float *restrict b = job->b;
    for (int64_t i = begin; i < end; i++)
        a[i] += b[i];
}

static void add_f64(int64_t begin, int64_t end, void *context)
{
    const add_job *job = context;
    double *restrict a = job->a;
    const double *restrict b = job->b;
    for (int64_t i = begin; i < end; i++)
        a[i] += b[i];
}

void lk_add_(lk_tensor *a, const lk_tensor *b)
{
    if (!a || !b)
        return;
    if (!same_layout(a, b) || lk_tensor_dtype(a) == LK_DTYPE_BF16) { /* any layout: through the operator */
        lk_tensor *sum = lk_add(a, b);
        lk_tensor_copy_(a, sum);
        lk_tensor_free(&sum);
        return;
    }
    add_job job = {lk_tensor_data(a), lk_tensor_data(b)};
    lk_torch_ok(torch_parallel_for(0, lk_tensor_count(a), GRAIN, lk_tensor_dtype(a) == LK_DTYPE_F32 ? add_f32 : add_f64, &job),
                "add_");
}

/* ---- pictures ---- */

typedef struct picture_job {
    const uint8_t *pixels;
    uint8_t *pixels_out;
    void *values;
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

static lk_tensor *pictures(const uint8_t *pixels, int n, int size, lk_dtype dtype, const float mean[3], const float deviation[3])
{
    if (dtype == LK_DTYPE_F64) { /* tests only: by way of float32 */
        lk_tensor *narrow = pictures(pixels, n, size, LK_DTYPE_F32, mean, deviation);
        lk_tensor *wide = lk_tensor_cast(narrow, LK_DTYPE_F64);
        lk_tensor_free(&narrow);
        return wide;
    }
    lk_tensor *out = lk_tensor_empty(dtype, 4, (int64_t[]){n, 3, size, size});
    if (!out)
        return NULL;
    picture_job job = {.pixels = pixels, .values = lk_tensor_data(out)};
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) {
            job.table[c][v] = ((float)v / 255.0f - mean[c]) / deviation[c];
            job.table_bf16[c][v] = lk_float_to_bfloat(job.table[c][v]);
        }
    lk_torch_ok(
        torch_parallel_for(0, (int64_t)n * size * size, GRAIN, dtype == LK_DTYPE_F32 ? pixels_to_f32 : pixels_to_bf16, &job),
        "pictures");
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

static void values_to_pixels(int64_t begin, int64_t end, void *context)
{
    const picture_job *job = context;
    const float *values = job->values;
    for (int64_t i = begin; i < end; i++) {
        float v = values[i] * 255.0f + 0.5f;
        job->pixels_out[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

void lk_pictures_to_pixels(const lk_tensor *x, uint8_t *pixels)
{
    lk_tensor *floats = lk_tensor_cast(x, LK_DTYPE_F32);
    if (!floats)
        return;
    picture_job job = {.values = lk_tensor_data(floats), .pixels_out = pixels};
    lk_torch_ok(torch_parallel_for(0, lk_tensor_count(floats), GRAIN, values_to_pixels, &job), "pictures to pixels");
    lk_tensor_free(&floats);
}

/* ---- sums per sample, in float64, always in the same order ---- */

typedef struct sum_job {
    const void *values;
    lk_dtype dtype;
    bool squares;
    int64_t length;
    double *out;
} sum_job;

static double value_at(const sum_job *job, int64_t i)
{
    switch (job->dtype) {
    case LK_DTYPE_F64: return ((const double *)job->values)[i];
    case LK_DTYPE_BF16: return lk_bfloat_to_float(((const uint16_t *)job->values)[i]);
    default: return ((const float *)job->values)[i];
    }
}

static void sum_samples(int64_t begin, int64_t end, void *context)
{
    const sum_job *job = context;
    for (int64_t n = begin; n < end; n++) {
        double sum = 0;
        for (int64_t i = n * job->length; i < (n + 1) * job->length; i++) {
            double v = value_at(job, i);
            sum += job->squares ? v * v : fabs(v);
        }
        job->out[n] = sum;
    }
}

static void sum_per_sample(const lk_tensor *x, bool squares, double *out)
{
    if (!x)
        return;
    int64_t n = lk_tensor_dim(x, 0);
    sum_job job = {lk_tensor_data(x), lk_tensor_dtype(x), squares, lk_tensor_count(x) / n, out};
    lk_torch_ok(torch_parallel_for(0, n, 1, sum_samples, &job), "sum");
}

void lk_sum_squares(const lk_tensor *x, double *out)
{
    sum_per_sample(x, true, out);
}

void lk_sum_absolute(const lk_tensor *x, double *out)
{
    sum_per_sample(x, false, out);
}
