/* What our CUDA kernels compute, without a GPU: the same sources, compiled for the CPU and launched by the same calls
 * (cuda_standin.h), against libtorch's operators and the CPU's loops. Odd sizes, memory of any alignment, float32 and bfloat16;
 * the same bits whichever thread goes first. */
#include "base/random.h"
#include "trainer/model/loss.h"
#include "trainer/tensor/cuda/operations.h"
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

static lk_device *device;
static lk_cuda *gpu;

/* ---- arrays of a format, at any alignment ---- */

/* Exactly so long, so that AddressSanitizer sees the first number past either end. */
typedef struct array {
    lk_cuda_format format;
    int64_t count;
    void *block, *at;
} array;

/* How the cases are run: both formats, and memory that begins at a multiple of 16 bytes or one number after. */
typedef struct way {
    lk_cuda_format format;
    bool shifted;
} way;
static const way ways[] = {{LK_CUDA_FLOAT, false}, {LK_CUDA_FLOAT, true}, {LK_CUDA_BFLOAT, false}, {LK_CUDA_BFLOAT, true}};
enum { WAYS = 4 };

static size_t element_size(lk_cuda_format format)
{
    return format == LK_CUDA_BFLOAT ? 2 : 4;
}
static lk_dtype dtype_of(lk_cuda_format format)
{
    return format == LK_CUDA_BFLOAT ? LK_DTYPE_BF16 : LK_DTYPE_F32;
}

static void *exact_block(size_t bytes)
{
    void *block;
    assert_int_equal(posix_memalign(&block, 16, bytes), 0);
    memset(block, 0xff, bytes); /* NaNs */
    return block;
}

static array make(way w, int64_t count)
{
    size_t size = element_size(w.format), shift = w.shifted ? size : 0;
    void *block = exact_block((size_t)count * size + shift);
    return (array){w.format, count, block, (char *)block + shift};
}

static float get(const array *a, int64_t i)
{
    return a->format == LK_CUDA_BFLOAT ? lk_bfloat_to_float(((uint16_t *)a->at)[i]) : ((float *)a->at)[i];
}
static void set(array *a, int64_t i, float v)
{
    if (a->format == LK_CUDA_BFLOAT)
        ((uint16_t *)a->at)[i] = lk_float_to_bfloat(v);
    else
        ((float *)a->at)[i] = v;
}

/* Normal numbers, some of them equal, some zero. */
static array numbers(way w, int64_t count, uint64_t stream)
{
    array a = make(w, count);
    lk_random random = lk_random_make(5, stream);
    for (int64_t i = 0; i < count; i++) {
        float v = lk_random_normal(&random);
        set(&a, i, i % 11 == 3 ? 0 : i % 7 == 5 && i > 0 ? get(&a, i - 1) : v);
    }
    return a;
}
static array copy_of(const array *a)
{
    bool shifted = a->block != a->at;
    array b = make((way){a->format, shifted}, a->count);
    memcpy(b.at, a->at, (size_t)a->count * element_size(a->format));
    return b;
}
static void release(array *a)
{
    free(a->block);
}

/* The memory itself as a tensor: 4-d ones channels_last. */
static lk_tensor *view(const array *a, int dims, const int64_t *sizes)
{
    return lk_tensor_view(a->at, dtype_of(a->format), dims, sizes);
}

/* ---- comparing ---- */

/* Float32 but for rounding in sums, bfloat16 within a unit; `scale`: how large numbers were that cancelled. */
static void assert_near(const char *what, const array *got, const array *want, double scale)
{
    assert_int_equal(got->count, want->count);
    double relative = got->format == LK_CUDA_BFLOAT ? 1.0 / 128 : 4e-6;
    for (int64_t i = 0; i < got->count; i++) {
        double a = (double)get(got, i), b = (double)get(want, i);
        if (!(fabs(a - b) <= relative * fabs(b) + 4e-6 * scale))
            fail_msg("%s: number %lld is %.9g, not %.9g (format %d)", what, (long long)i, a, b, got->format);
    }
}
static void assert_equal(const char *what, const array *got, const array *want)
{
    for (int64_t i = 0; i < got->count; i++)
        if (get(got, i) != get(want, i))
            fail_msg("%s: number %lld is %.9g, not %.9g (format %d)", what, (long long)i, (double)get(got, i),
                     (double)get(want, i), got->format);
}
static void assert_same_bits(const char *what, const array *a, const array *b)
{
    if (memcmp(a->at, b->at, (size_t)a->count * element_size(a->format)) != 0)
        fail_msg("%s: other bits when the threads run in the opposite order", what);
}
static void assert_close(const char *what, double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want)))
        fail_msg("%s: %.17g, not %.17g", what, got, want);
}

static const way plain = {LK_CUDA_FLOAT, false};

/* ---- element by element ---- */

enum { COUNT = 5003 }; /* whole packs, and a rest */

static void relu_backward_is_the_cpus(void **state)
{
    (void)state;
    for (int w = 0; w < WAYS; w++) {
        array dy = numbers(ways[w], COUNT, 1), want = copy_of(&dy), y = numbers(ways[w], COUNT, 2);
        for (int64_t i = 0; i < COUNT; i++)
            set(&y, i, fmaxf(get(&y, i), 0));
        lk_tensor *t = view(&want, 1, (int64_t[]){COUNT}), *ty = view(&y, 1, (int64_t[]){COUNT});
        lk_relu_backward_(t, ty);
        assert_ok(lk_cuda_relu_backward(gpu, ways[w].format, dy.at, y.at, COUNT));
        assert_equal("relu backward", &dy, &want);
        lk_tensor_free(&t);
        lk_tensor_free(&ty);
        release(&dy);
        release(&want);
        release(&y);
    }
}

static void sums_and_products_element_by_element(void **state)
{
    (void)state;
    for (int w = 0; w < WAYS; w++) {
        array a = numbers(ways[w], COUNT, 1), b = numbers(ways[w], COUNT, 2), want = copy_of(&a);
        for (int64_t i = 0; i < COUNT; i++)
            set(&want, i, get(&a, i) + 0.3f * get(&b, i));
        assert_ok(lk_cuda_add(gpu, ways[w].format, a.at, b.at, 0.3f, COUNT));
        assert_equal("add", &a, &want);
        for (int64_t i = 0; i < COUNT; i++)
            set(&want, i, get(&a, i) * -1.7f);
        assert_ok(lk_cuda_scale(gpu, ways[w].format, a.at, -1.7f, COUNT));
        assert_equal("scale", &a, &want);
        enum { ROWS = 3, LENGTH = 1667 };
        const double factors[ROWS] = {0.5, -3.1, 0};
        for (int64_t i = 0; i < (int64_t)ROWS * LENGTH; i++)
            set(&want, i, get(&a, i) * (float)factors[i / LENGTH]);
        assert_ok(lk_cuda_multiply_rows(gpu, ways[w].format, a.at, factors, ROWS, LENGTH));
        assert_equal("multiply rows", &a, &want);
        release(&a);
        release(&b);
        release(&want);
    }
}

static void a_kernel_covers_its_range_from_any_grid(void **state)
{
    (void)state;
    for (unsigned blocks = 1; blocks <= 21; blocks += 4) {
        array a = numbers(plain, COUNT, 1), b = numbers(plain, COUNT, 2), want = copy_of(&a);
        for (int64_t i = 0; i < COUNT; i++)
            set(&want, i, get(&a, i) + get(&b, i));
        lk_flat_job job = {.out = a.at, .in = b.at, .factor = 1, .count = COUNT};
        assert_true(cuda_run(add_f32, &job, (cuda_dim){blocks, 1, 1}, (cuda_dim){32, 1, 1}));
        assert_equal("add", &a, &want);
        release(&a);
        release(&b);
        release(&want);
    }
}

static void weights_become_bfloat16_as_on_the_cpu(void **state)
{
    (void)state;
    array in = numbers(plain, COUNT, 3), out = make((way){LK_CUDA_BFLOAT, false}, COUNT);
    set(&in, 0, 1.00390625f); /* half way: to even */
    set(&in, 1, 1.01171875f);
    set(&in, 2, INFINITY);
    set(&in, 3, 3.4e38f); /* rounds to infinity */
    set(&in, 4, -1e-40f);
    assert_ok(lk_cuda_narrow(gpu, in.at, out.at, COUNT));
    for (int64_t i = 0; i < COUNT; i++)
        assert_int_equal(((uint16_t *)out.at)[i], lk_float_to_bfloat(get(&in, i)));
    array odd = numbers((way){LK_CUDA_FLOAT, true}, 8, 1);
    assert_fails(lk_cuda_narrow(gpu, odd.at, out.at, 8), LK_INTERNAL, "multiple of 16 bytes");
    release(&odd);
    release(&in);
    release(&out);
}

/* ---- sums ---- */

static void row_sums_are_the_cpus(void **state)
{
    (void)state;
    const int64_t lengths[] = {1, 255, 20001};
    for (int w = 0; w < WAYS; w++)
        for (int k = 0; k < 3; k++)
            for (int squares = 0; squares < 2; squares++) {
                enum { ROWS = 3 };
                array x = numbers(ways[w], ROWS * lengths[k], 4);
                double want[ROWS], got[2][ROWS];
                lk_tensor *t = view(&x, 2, (int64_t[]){ROWS, lengths[k]});
                if (squares)
                    lk_sum_squares(t, want);
                else
                    lk_sum_absolute(t, want);
                lk_tensor_free(&t);
                for (int run = 0; run < 2; run++) {
                    cuda.backwards = run;
                    assert_ok(lk_cuda_row_sums(gpu, ways[w].format, x.at, squares, ROWS, lengths[k], got[run]));
                }
                for (int row = 0; row < ROWS; row++)
                    assert_close("row sum", got[0][row], want[row], 1e-13);
                assert_memory_equal(got[0], got[1], sizeof got[0]);
                release(&x);
            }
}

static void the_sum_of_squares_tells_of_every_number_that_is_not_finite(void **state)
{
    (void)state;
    array x = numbers(plain, 70001, 6);
    double want = 0, got[2];
    for (int64_t i = 0; i < x.count; i++)
        want += (double)get(&x, i) * (double)get(&x, i);
    for (int run = 0; run < 2; run++) {
        cuda.backwards = run;
        assert_ok(lk_cuda_sum_squares(gpu, x.at, x.count, false, &got[run]));
    }
    assert_close("sum of squares", got[0], want, 1e-13);
    assert_memory_equal(&got[0], &got[1], sizeof got[0]);
    assert_ok(lk_cuda_sum_squares(gpu, x.at, x.count, true, &got[0]));
    assert_close("twice", got[0], 2 * want, 1e-13);
    set(&x, 12, 3e38f); /* its square is beyond float32 */
    assert_ok(lk_cuda_sum_squares(gpu, x.at, x.count, false, &got[0]));
    assert_true(isfinite(got[0]));
    const int64_t places[] = {0, 300, 70000};
    const float bad[] = {INFINITY, NAN, -INFINITY};
    for (int k = 0; k < 3; k++) {
        float kept = get(&x, places[k]);
        set(&x, places[k], bad[k]);
        assert_ok(lk_cuda_sum_squares(gpu, x.at, x.count, false, &got[0]));
        assert_false(isfinite(got[0]));
        set(&x, places[k], kept);
    }
    release(&x);
}

/* ---- what follows a convolution ---- */

/* Packs that fill no tile, more than one tile, rows of no whole pack, odd heights and widths. */
static const lk_cuda_maps shapes[] = {{3, 5, 7, 24}, {2, 6, 4, 20}, {1, 9, 3, 7}, {1, 4, 5, 300}, {2, 30, 41, 8}, {5, 2, 2, 64}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static int64_t count_of(const lk_cuda_maps *m)
{
    return m->samples * m->height * m->width * m->channels;
}
static lk_tensor *view_maps(const array *a, const lk_cuda_maps *m)
{
    return view(a, 4, (int64_t[]){m->samples, m->channels, m->height, m->width});
}
static lk_cuda_maps halved(const lk_cuda_maps *m)
{
    return (lk_cuda_maps){m->samples, m->height / 2, m->width / 2, m->channels};
}

/* z + bias, and ReLU of it, by libtorch. */
static lk_tensor *with_bias(const array *z, const array *bias, const lk_cuda_maps *m, bool relu)
{
    lk_tensor *tz = view_maps(z, m), *tb = view(bias, 4, (int64_t[]){1, m->channels, 1, 1}), *y = lk_add(tz, tb);
    if (relu)
        lk_relu_(y);
    lk_tensor_free(&tz);
    lk_tensor_free(&tb);
    return y;
}

/* What libtorch made, of maps or channels, as an array. */
static array array_of(lk_tensor **t, way w)
{
    assert_ok(lk_tensor_check());
    array a = make(w, lk_tensor_count(*t));
    memcpy(a.at, lk_tensor_data(*t), (size_t)a.count * element_size(a.format));
    lk_tensor_free(t);
    return a;
}

/* Sums over rows in float64, rounded once. */
static array channel_sums(const array *a, int channels)
{
    array sums = make(plain, channels);
    for (int c = 0; c < channels; c++) {
        double sum = 0;
        for (int64_t i = c; i < a->count; i += channels)
            sum += (double)get(a, i);
        set(&sums, c, (float)sum);
    }
    return sums;
}

static void bias_and_relu(way w, const lk_cuda_maps *m)
{
    array z = numbers(w, count_of(m), 1), bias = numbers(w, m->channels, 2), dy = numbers(w, count_of(m), 3);
    for (int relu = 0; relu < 2; relu++) {
        array got = copy_of(&z), slope = copy_of(&dy), again = copy_of(&dy);
        lk_tensor *t = with_bias(&z, &bias, m, relu);
        array want = array_of(&t, w);
        assert_ok(lk_cuda_bias(gpu, w.format, got.at, bias.at, relu, m));
        assert_equal("bias and ReLU", &got, &want);

        array dbias[2] = {make(plain, m->channels), make(plain, m->channels)}, dwant = copy_of(&dy);
        for (int64_t i = 0; relu && i < dwant.count; i++)
            set(&dwant, i, get(&want, i) > 0 ? get(&dy, i) : 0);
        array dbias_want = channel_sums(&dwant, m->channels);
        cuda.backwards = false;
        assert_ok(lk_cuda_bias_backward(gpu, w.format, slope.at, relu ? want.at : NULL, dbias[0].at, m));
        cuda.backwards = true;
        assert_ok(lk_cuda_bias_backward(gpu, w.format, again.at, relu ? want.at : NULL, dbias[1].at, m));
        assert_equal("gradient of bias and ReLU", &slope, &dwant);
        assert_near("gradient of the bias", &dbias[0], &dbias_want, sqrt((double)count_of(m) / m->channels));
        assert_same_bits("gradient of the bias", &dbias[0], &dbias[1]);
        assert_ok(lk_cuda_bias_backward(gpu, w.format, again.at, relu ? want.at : NULL, NULL, m)); /* of a frozen layer */
        assert_equal("gradient of ReLU alone", &again, &dwant);
        array all[] = {got, slope, again, want, dbias[0], dbias[1], dwant, dbias_want};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            release(&all[i]);
    }
    release(&z);
    release(&bias);
    release(&dy);
}

static void bias_and_relu_are_libtorchs(void **state)
{
    (void)state;
    for (int w = 0; w < WAYS; w++)
        for (int s = 0; s < SHAPES; s++)
            bias_and_relu(ways[w], &shapes[s]);
}

static void bias_relu_and_pool(way w, const lk_cuda_maps *m)
{
    lk_cuda_maps half = halved(m);
    array z = numbers(w, count_of(m), 1), bias = numbers(w, m->channels, 2), dy = numbers(w, count_of(&half), 3);
    uint8_t *choice = exact_block((size_t)count_of(&half));
    array got = make(w, count_of(&half)), dz[2] = {make(w, count_of(m)), make(w, count_of(m))};
    array dbias[2] = {make(plain, m->channels), make(plain, m->channels)};

    lk_tensor *indices, *y = with_bias(&z, &bias, m, true), *pooled = lk_max_pool(y, &indices);
    lk_tensor *tdy = view_maps(&dy, &half), *unpooled = lk_max_pool_backward(tdy, y, indices);
    lk_relu_backward_(unpooled, y);
    array want = array_of(&pooled, w), dz_want = array_of(&unpooled, w), dbias_want = channel_sums(&dz_want, m->channels);
    lk_tensor_free(&y);
    lk_tensor_free(&tdy);
    lk_tensor_free(&indices);

    assert_ok(lk_cuda_bias_pool(gpu, w.format, z.at, bias.at, got.at, choice, m));
    assert_equal("bias, ReLU and pool", &got, &want);
    for (int run = 0; run < 2; run++) {
        cuda.backwards = run;
        assert_ok(lk_cuda_bias_pool_backward(gpu, w.format, dy.at, choice, dz[run].at, dbias[run].at, m));
    }
    /* Two corners of a bfloat16 map may be one number once the bias is added: then either may take the gradient. */
    if (w.format == LK_CUDA_FLOAT)
        assert_equal("gradient of bias, ReLU and pool", &dz[0], &dz_want);
    assert_near("gradient of the bias", &dbias[0], &dbias_want, sqrt((double)count_of(m) / m->channels));
    assert_same_bits("gradient of the bias", &dbias[0], &dbias[1]);
    assert_same_bits("gradient of bias, ReLU and pool", &dz[0], &dz[1]);
    array all[] = {z, bias, dy, got, dz[0], dz[1], dbias[0], dbias[1], want, dz_want, dbias_want};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        release(&all[i]);
    free(choice);
}

static void bias_relu_and_pool_are_libtorchs(void **state)
{
    (void)state;
    for (int w = 0; w < WAYS; w++)
        for (int s = 0; s < SHAPES; s++)
            bias_relu_and_pool(ways[w], &shapes[s]);
}

static void a_nan_goes_through_relu_and_pool(void **state)
{
    (void)state;
    lk_cuda_maps m = {1, 2, 2, 4};
    array z = numbers(plain, 16, 1), bias = numbers(plain, 4, 2), pooled = make(plain, 4);
    uint8_t choice[4];
    set(&z, 5, NAN);
    assert_ok(lk_cuda_bias_pool(gpu, LK_CUDA_FLOAT, z.at, bias.at, pooled.at, choice, &m));
    assert_ok(lk_cuda_bias(gpu, LK_CUDA_FLOAT, z.at, bias.at, true, &m));
    for (int i = 0; i < 16; i++)
        assert_int_equal(isnan(get(&z, i)) != 0, i == 5);
    for (int c = 0; c < 4; c++)
        assert_int_equal(isnan(get(&pooled, c)) != 0, c == 1);
    release(&z);
    release(&bias);
    release(&pooled);
}

/* ---- norms ---- */

static void group_norm(way w, const lk_cuda_maps *m, int groups)
{
    array x = numbers(w, count_of(m), 1), dy = numbers(w, count_of(m), 2), scale = numbers(plain, m->channels, 3);
    array shift = numbers(plain, m->channels, 4), y[2], dx[2], dscale[2], dshift[2];
    size_t stats = (size_t)m->samples * (size_t)groups;
    double *mean = calloc(2 * stats, sizeof *mean), *rstd = mean + stats;
    for (int run = 0; run < 2; run++) {
        cuda.backwards = run;
        y[run] = make(w, count_of(m));
        dx[run] = make(w, count_of(m));
        dscale[run] = make(plain, m->channels);
        dshift[run] = make(plain, m->channels);
        assert_ok(lk_cuda_group_norm(gpu, w.format, x.at, scale.at, shift.at, groups, 1e-5, m, y[run].at, mean, rstd));
        assert_ok(lk_cuda_group_norm_backward(gpu, w.format, dy.at, x.at, scale.at, groups, mean, rstd, m, dx[run].at,
                                              dscale[run].at, dshift[run].at));
    }
    lk_tensor *tx = view_maps(&x, m), *tdy = view_maps(&dy, m), *saved[2], *tdscale, *tdshift;
    lk_tensor *tscale = view(&scale, 1, (int64_t[]){m->channels}), *tshift = view(&shift, 1, (int64_t[]){m->channels});
    lk_tensor *ty = lk_group_norm(tx, tscale, tshift, groups, 1e-5, saved);
    lk_tensor *tdx = lk_group_norm_backward(tdy, tx, tscale, groups, saved, &tdscale, &tdshift);
    array want[] = {array_of(&ty, w), array_of(&tdx, w), array_of(&tdscale, plain), array_of(&tdshift, plain)};
    assert_near("group norm", &y[0], &want[0], 4);
    assert_near("gradient of group norm", &dx[0], &want[1], 16);
    assert_near("gradient of the scale", &dscale[0], &want[2], sqrt((double)count_of(m)));
    assert_near("gradient of the shift", &dshift[0], &want[3], sqrt((double)count_of(m)));
    assert_same_bits("group norm", &y[0], &y[1]);
    assert_same_bits("gradient of group norm", &dx[0], &dx[1]);
    assert_same_bits("gradient of the scale", &dscale[0], &dscale[1]);
    assert_same_bits("gradient of the shift", &dshift[0], &dshift[1]);
    array all[] = {x,       dy,      scale,   shift,   y[0],      y[1],      dx[0],     dx[1],
                   want[0], want[1], want[2], want[3], dscale[0], dscale[1], dshift[0], dshift[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        release(&all[i]);
    lk_tensor *tensors[] = {tx, tdy, tscale, tshift, saved[0], saved[1]};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
        lk_tensor_free(&tensors[i]);
    free(mean);
}

static void group_norm_is_the_cpus(void **state)
{
    (void)state;
    const int groups[SHAPES] = {4, 10, 7, 3, 4, 32};
    for (int w = 0; w < WAYS; w++)
        for (int s = 0; s < SHAPES; s++)
            group_norm(ways[w], &shapes[s], groups[s]);
}

static void batch_statistics_are_those_of_the_block(void **state)
{
    (void)state;
    enum { CHANNELS = 37 };
    float mean[CHANNELS], rstd[CHANNELS], got_mean[CHANNELS], got_variance[CHANNELS];
    lk_random random = lk_random_make(1, 1);
    for (int c = 0; c < CHANNELS; c++) {
        mean[c] = lk_random_normal(&random);
        rstd[c] = 0.5f + fabsf(lk_random_normal(&random));
    }
    assert_ok(lk_cuda_batch_statistics(gpu, mean, rstd, CHANNELS, 48, 1e-5, 0.25, got_mean, got_variance));
    for (int c = 0; c < CHANNELS; c++) {
        double r = (double)rstd[c];
        assert_true(got_mean[c] == (float)((double)mean[c] * 0.25));
        assert_true(got_variance[c] == (float)((1.0 / (r * r) - 1e-5) * 48 / 47 * 0.25));
    }
}

/* ---- pictures ---- */

static void pictures_are_the_cpus_and_come_back(void **state)
{
    (void)state;
    enum { N = 3, SIZE = 19, BYTES = N * SIZE * SIZE * 3 };
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
    const float zero[3] = {0, 0, 0}, one[3] = {1, 1, 1};
    uint8_t *pixels = exact_block(BYTES), *back = exact_block(BYTES), *want_back = exact_block(BYTES);
    for (int i = 0; i < BYTES; i++)
        pixels[i] = (uint8_t)(i * 89 + i / 251);
    for (int w = 0; w < WAYS; w++) {
        array got = make(ways[w], BYTES);
        lk_tensor *t = lk_normalized_pictures(pixels, N, SIZE, dtype_of(ways[w].format));
        array want = array_of(&t, ways[w]);
        assert_ok(lk_cuda_pictures(gpu, ways[w].format, pixels, mean, deviation, got.at, BYTES));
        assert_equal("normalized pictures", &got, &want);
        release(&want);
        t = lk_pictures(pixels, N, SIZE, dtype_of(ways[w].format));
        want = array_of(&t, ways[w]);
        assert_ok(lk_cuda_pictures(gpu, ways[w].format, pixels, zero, one, got.at, BYTES));
        assert_equal("pictures", &got, &want);

        set(&got, 0, -0.2f);
        set(&got, 1, 1.7f);
        t = view(&got, 4, (int64_t[]){N, 3, SIZE, SIZE});
        lk_pictures_to_pixels(t, want_back);
        lk_tensor_free(&t);
        assert_ok(lk_cuda_pixels(gpu, ways[w].format, got.at, back, BYTES));
        assert_memory_equal(back, want_back, BYTES);
        release(&want);
        release(&got);
    }
    free(pixels);
    free(back);
    free(want_back);
}

/* ---- losses ---- */

enum { SAMPLES = 5 };

static void losses_over_pictures_are_the_cpus(void **state)
{
    (void)state;
    const int64_t sizes[][4] = {{SAMPLES, 3, 9, 9}, {SAMPLES, 3, 57, 57}};
    for (int w = 0; w < WAYS; w++)
        for (int k = 0; k < 2; k++)
            for (int l1 = 0; l1 < 2; l1++) {
                int64_t length = sizes[k][1] * sizes[k][2] * sizes[k][3];
                array y = numbers(ways[w], SAMPLES * length, 1), t = numbers(ways[w], SAMPLES * length, 2);
                array dy[2] = {make(ways[w], y.count), make(ways[w], y.count)};
                memcpy(t.at, y.at, (size_t)length * element_size(ways[w].format)); /* a sample without a difference */
                lk_tensor *ty = view(&y, 4, sizes[k]), *tt = view(&t, 4, sizes[k]), *tdy;
                double want = l1 ? lk_l1_loss(ty, tt, 0.125, &tdy) : lk_pixel_loss(ty, tt, 0.125, &tdy), got[2] = {1, 1};
                array dwant = array_of(&tdy, ways[w]);
                for (int run = 0; run < 2; run++) {
                    cuda.backwards = run;
                    assert_ok((l1 ? lk_cuda_l1_loss : lk_cuda_pixel_loss)(gpu, ways[w].format, y.at, t.at, SAMPLES, length, 0.125,
                                                                          dy[run].at, &got[run]));
                }
                assert_close("loss", got[0], 1 + want, 1e-13); /* added to what was there */
                assert_memory_equal(&got[0], &got[1], sizeof got[0]);
                assert_near("gradient of the loss", &dy[0], &dwant, 0);
                assert_same_bits("gradient of the loss", &dy[0], &dy[1]);
                assert_ok((l1 ? lk_cuda_l1_loss : lk_cuda_pixel_loss)(gpu, ways[w].format, y.at, t.at, SAMPLES, length, 0.125,
                                                                      NULL, &got[1]));
                assert_close("loss without gradient", got[1], 1 + 2 * want, 1e-13);
                lk_tensor_free(&ty);
                lk_tensor_free(&tt);
                array all[] = {y, t, dy[0], dy[1], dwant};
                for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                    release(&all[i]);
            }
}

/* Three groups of 4, 2 and 7 choices. */
enum { GROUPS = 3, CHOICES = 13, CONTINUOUS = 6 };
static const int begins[GROUPS + 1] = {0, 4, 6, 13};
static const lk_cuda_choices choices = {begins, GROUPS, CHOICES};

static void fill_schema(lk_schema *schema, lk_choice_group groups[GROUPS])
{
    *schema = (lk_schema){.continuous_count = CONTINUOUS, .group_count = GROUPS, .choice_count = CHOICES};
    for (int g = 0; g < GROUPS; g++)
        groups[g].count = begins[g + 1] - begins[g];
    schema->groups = groups;
}
static void fill_labels(uint8_t labels[SAMPLES * GROUPS])
{
    for (int i = 0; i < SAMPLES * GROUPS; i++)
        labels[i] = (uint8_t)(i * 5 % (begins[i % GROUPS + 1] - begins[i % GROUPS]));
}

static void cross_entropy_is_the_cpus(void **state)
{
    (void)state;
    lk_schema schema;
    lk_choice_group groups[GROUPS] = {{0}};
    uint8_t labels[SAMPLES * GROUPS];
    double logits[SAMPLES * CHOICES], dlogits[SAMPLES * CHOICES], got[2] = {0, 0};
    array single = numbers(plain, SAMPLES * CHOICES, 1), slopes = make(plain, SAMPLES * CHOICES);
    fill_schema(&schema, groups);
    fill_labels(labels);
    set(&single, 3, 500); /* exp of it is beyond float32 */
    for (int i = 0; i < SAMPLES * CHOICES; i++)
        logits[i] = (double)get(&single, i);
    double want = lk_discrete_loss(&schema, SAMPLES, logits, labels, 0.25, dlogits);
    for (int run = 0; run < 2; run++) {
        cuda.backwards = run;
        assert_ok(lk_cuda_cross_entropy(gpu, &choices, single.at, labels, SAMPLES, 0.25, run ? NULL : slopes.at, &got[run]));
    }
    assert_close("cross-entropy", got[0], want, 1e-14);
    assert_memory_equal(&got[0], &got[1], sizeof got[0]);
    for (int i = 0; i < SAMPLES * CHOICES; i++)
        assert_true(get(&slopes, i) == (float)dlogits[i]);
    release(&single);
    release(&slopes);
}

static void the_decoders_input_holds_parameters_and_choices(void **state)
{
    (void)state;
    enum { WIDTH = CONTINUOUS + CHOICES };
    uint8_t labels[SAMPLES * GROUPS];
    float want[SAMPLES * WIDTH] = {0};
    array continuous = numbers(plain, SAMPLES * CONTINUOUS, 1), got = make(plain, SAMPLES * WIDTH);
    array back = make(plain, SAMPLES * CONTINUOUS);
    fill_labels(labels);
    for (int n = 0; n < SAMPLES; n++) {
        memcpy(want + (size_t)n * WIDTH, (float *)continuous.at + (size_t)n * CONTINUOUS, CONTINUOUS * sizeof *want);
        for (int g = 0; g < GROUPS; g++)
            want[n * WIDTH + CONTINUOUS + begins[g] + labels[n * GROUPS + g]] = 1;
    }
    assert_ok(lk_cuda_decoder_input(gpu, &choices, continuous.at, CONTINUOUS, labels, SAMPLES, got.at));
    assert_memory_equal(got.at, want, sizeof want);
    assert_ok(lk_cuda_first_columns(gpu, got.at, SAMPLES, WIDTH, CONTINUOUS, back.at));
    assert_memory_equal(back.at, continuous.at, SAMPLES * CONTINUOUS * sizeof(float));
    release(&continuous);
    release(&got);
    release(&back);
}

/* ---- refusals ---- */

static void sizes_that_no_gpu_takes_are_refused(void **state)
{
    (void)state;
    lk_cuda_maps m = {1 << 20, 64, 64, 8};
    float one = 0;
    assert_fails(lk_cuda_bias(gpu, LK_CUDA_FLOAT, &one, &one, true, &m), LK_INTERNAL, "lower train.micro_batch");
    double factor = 1;
    assert_fails(lk_cuda_multiply_rows(gpu, LK_CUDA_FLOAT, &one, &factor, 70000, 1), LK_INTERNAL, "70000 samples at once");
}

static void a_gpu_that_fails_is_lost(void **state)
{
    (void)state;
    float one = 0;
    standin.launch_code = 700;
    assert_fails(lk_cuda_scale(gpu, LK_CUDA_FLOAT, &one, 1, 1), LK_DEVICE_LOST, "scale_f32");
    assert_told("an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS, code 700)");
    standin.launch_code = 2;
    assert_fails(lk_cuda_scale(gpu, LK_CUDA_FLOAT, &one, 1, 1), LK_INTERNAL, "code 2");
    standin.launch_code = 0;
    standin.context = NULL; /* another thread */
    assert_ok(lk_cuda_scale(gpu, LK_CUDA_FLOAT, &one, 1, 1));
    assert_ptr_equal(standin.context, &standin);
}

static int open_all(void **state)
{
    (void)state;
    setenv("XDG_CACHE_HOME", "", 1);
    setenv("HOME", "", 1);
    return lk_tensor_start(2) != LK_OK || lk_device_open(LK_DEVICE_CPU, 0, &device) != LK_OK ||
           lk_cuda_open(device, &standin_driver, &standin_nvrtc, &gpu) != LK_OK;
}
static int close_all(void **state)
{
    (void)state;
    lk_cuda_close(gpu);
    lk_device_close(device);
    free(cuda.stacks);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relu_backward_is_the_cpus),
        cmocka_unit_test(sums_and_products_element_by_element),
        cmocka_unit_test(a_kernel_covers_its_range_from_any_grid),
        cmocka_unit_test(weights_become_bfloat16_as_on_the_cpu),
        cmocka_unit_test(row_sums_are_the_cpus),
        cmocka_unit_test(the_sum_of_squares_tells_of_every_number_that_is_not_finite),
        cmocka_unit_test(bias_and_relu_are_libtorchs),
        cmocka_unit_test(bias_relu_and_pool_are_libtorchs),
        cmocka_unit_test(a_nan_goes_through_relu_and_pool),
        cmocka_unit_test(group_norm_is_the_cpus),
        cmocka_unit_test(batch_statistics_are_those_of_the_block),
        cmocka_unit_test(pictures_are_the_cpus_and_come_back),
        cmocka_unit_test(losses_over_pictures_are_the_cpus),
        cmocka_unit_test(cross_entropy_is_the_cpus),
        cmocka_unit_test(the_decoders_input_holds_parameters_and_choices),
        cmocka_unit_test(sizes_that_no_gpu_takes_are_refused),
        cmocka_unit_test(a_gpu_that_fails_is_lost),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
