#include "trainer/tensor/tensor.h"

#include "trainer/tensor/dispatch.h"
#include "trainer/tensor/memory.h"

#include <stdio.h>
#include <string.h>

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

int lk_tensor_dims(const lk_tensor *t)
{
    int64_t dims = 0;
    lk_torch_ok(aoti_torch_get_dim(lk_tensor_handle(t), &dims), "dim");
    return (int)dims;
}

lk_dtype lk_tensor_dtype(const lk_tensor *t)
{
    int32_t theirs = lk_torch_dtype(LK_DTYPE_F32);
    if (t)
        lk_torch_ok(aoti_torch_get_dtype(lk_tensor_handle(t), &theirs), "dtype");
    for (int dtype = 0; dtype < LK_DTYPE_COUNT; dtype++)
        if (theirs == lk_torch_dtype((lk_dtype)dtype))
            return (lk_dtype)dtype;
    return LK_DTYPE_F32;
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
    lk_torch_ok(aoti_torch_empty_strided(dims, sizes, strides, lk_torch_dtype(dtype), lk_torch_device(),
                                         lk_device_index(lk_tensor_device()), &out),
                "empty");
    return (lk_tensor *)out;
}

lk_tensor *lk_tensor_view(void *memory, lk_dtype dtype, int dims, const int64_t *sizes)
{
    int64_t strides[LK_MAX_DIMS];
    AtenTensorHandle out = NULL;
    strides_of(dims, sizes, strides);
    lk_torch_ok(aoti_torch_create_tensor_from_blob(memory, dims, sizes, strides, 0, lk_torch_dtype(dtype), lk_torch_device(),
                                                   lk_device_index(lk_tensor_device()), &out),
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

bool lk_tensor_is_same(const lk_tensor *a, const lk_tensor *b)
{
    return a && b && lk_tensor_data(a) == lk_tensor_data(b);
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
    int dims = lk_tensor_dims(t);
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

/* ---- layouts ---- */

bool lk_tensor_same_layout(const lk_tensor *a, const lk_tensor *b)
{
    int dims = lk_tensor_dims(a);
    if (dims != lk_tensor_dims(b))
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

bool lk_tensor_require_channels_last(const lk_tensor *t)
{
    int64_t sizes[4], strides[4];
    bool good = lk_tensor_dims(t) == 4;
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
