/* What tests of single CUDA kernels share: arrays in float32 and bfloat16, aligned and not, the two tables of kernels, and how
 * results are compared. Includes what such a test needs. */
#ifndef LK_TESTS_UNIT_CUDA_ARRAYS_H
#define LK_TESTS_UNIT_CUDA_ARRAYS_H

#include "base/random.h"
#include "trainer/tensor/device_kernels_cuda.h"
#include "trainer/tensor/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check.h"
#include "tests/unit/cuda_standin.h"

static const lk_device_kernels *const cpu = &lk_device_kernels_cpu, *const gpu = &lk_device_kernels_cuda;
static lk_device *device;

/* ---- arrays of a format, at any alignment ---- */

/* Exactly so long, so that AddressSanitizer sees the first number past either end. */
typedef struct array {
    lk_dtype dtype;
    int64_t count;
    void *block, *at;
} array;

/* How the cases are run: both formats, and memory that begins at a multiple of 16 bytes or one number after. */
typedef struct way {
    lk_dtype dtype;
    bool shifted;
} way;
static const way ways[] = {{LK_DTYPE_F32, false}, {LK_DTYPE_F32, true}, {LK_DTYPE_BF16, false}, {LK_DTYPE_BF16, true}};
enum { WAYS = 4 };

static inline void *exact_block(size_t bytes)
{
    void *block;
    assert_int_equal(posix_memalign(&block, 16, bytes), 0);
    memset(block, 0xff, bytes); /* NaNs */
    return block;
}

static inline array make(way w, int64_t count)
{
    size_t size = lk_dtype_size(w.dtype), shift = w.shifted ? size : 0;
    void *block = exact_block((size_t)count * size + shift);
    return (array){w.dtype, count, block, (char *)block + shift};
}

static inline float get(const array *a, int64_t i)
{
    return a->dtype == LK_DTYPE_BF16 ? lk_bfloat_to_float(((uint16_t *)a->at)[i]) : ((float *)a->at)[i];
}
static inline void set(array *a, int64_t i, float v)
{
    if (a->dtype == LK_DTYPE_BF16)
        ((uint16_t *)a->at)[i] = lk_float_to_bfloat(v);
    else
        ((float *)a->at)[i] = v;
}

/* Normal numbers, some of them equal, some zero. */
static inline array numbers(way w, int64_t count, uint64_t stream)
{
    array a = make(w, count);
    lk_random random = lk_random_make(5, stream);
    for (int64_t i = 0; i < count; i++) {
        float v = lk_random_normal(&random);
        set(&a, i, i % 11 == 3 ? 0 : i % 7 == 5 && i > 0 ? get(&a, i - 1) : v);
    }
    return a;
}
static inline array copy_of(const array *a)
{
    bool shifted = a->block != a->at;
    array b = make((way){a->dtype, shifted}, a->count);
    memcpy(b.at, a->at, (size_t)a->count * lk_dtype_size(a->dtype));
    return b;
}
static inline void release(array *a)
{
    free(a->block);
}

/* The memory itself as a tensor: 4-d ones channels_last. */
static inline lk_tensor *view(const array *a, int dims, const int64_t *sizes)
{
    return lk_tensor_view(a->at, a->dtype, dims, sizes);
}

/* ---- comparing ---- */

/* Float32 but for rounding in sums, bfloat16 within a unit; `scale`: how large numbers were that cancelled. */
static inline void assert_near(const char *what, const array *got, const array *want, double scale)
{
    assert_int_equal(got->count, want->count);
    double relative = got->dtype == LK_DTYPE_BF16 ? 1.0 / 128 : 4e-6;
    for (int64_t i = 0; i < got->count; i++) {
        double a = (double)get(got, i), b = (double)get(want, i);
        if (!(fabs(a - b) <= relative * fabs(b) + 4e-6 * scale))
            fail_msg("%s: number %lld is %.9g, not %.9g (%s)", what, (long long)i, a, b, lk_dtype_name(got->dtype));
    }
}
static inline void assert_equal(const char *what, const array *got, const array *want)
{
    for (int64_t i = 0; i < got->count; i++)
        if (get(got, i) != get(want, i))
            fail_msg("%s: number %lld is %.9g, not %.9g (%s)", what, (long long)i, (double)get(got, i), (double)get(want, i),
                     lk_dtype_name(got->dtype));
}
static inline void assert_same_bits(const char *what, const array *a, const array *b)
{
    if (memcmp(a->at, b->at, (size_t)a->count * lk_dtype_size(a->dtype)) != 0)
        fail_msg("%s: other bits when the threads run in the opposite order", what);
}
static inline void assert_close(const char *what, double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want)))
        fail_msg("%s: %.17g, not %.17g", what, got, want);
}

static const way plain = {LK_DTYPE_F32, false};

static inline int open_all(void **state)
{
    (void)state;
    setenv("XDG_CACHE_HOME", "", 1);
    setenv("HOME", "", 1);
    device = lk_device_host();
    return lk_tensor_start(2) != LK_OK || lk_device_kernels_cuda_open_with(device, &standin_driver, &standin_nvrtc) != LK_OK;
}
static inline int close_all(void **state)
{
    (void)state;
    lk_device_kernels_cuda_close();
    lk_device_kernels_cuda_close(); /* nothing is open */
    free(cuda.stacks);
    return 0;
}

#endif
