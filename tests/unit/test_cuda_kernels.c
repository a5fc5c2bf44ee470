/* What our CUDA kernels compute, without a GPU: the same sources, compiled for the CPU and launched by the same calls
 * (cuda_standin.h), against the CPU's table of kernels and libtorch's operators. Odd sizes, memory of any alignment, float32 and
 * bfloat16; the same bits whichever thread goes first. */
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

static void *exact_block(size_t bytes)
{
    void *block;
    assert_int_equal(posix_memalign(&block, 16, bytes), 0);
    memset(block, 0xff, bytes); /* NaNs */
    return block;
}

static array make(way w, int64_t count)
{
    size_t size = lk_dtype_size(w.dtype), shift = w.shifted ? size : 0;
    void *block = exact_block((size_t)count * size + shift);
    return (array){w.dtype, count, block, (char *)block + shift};
}

static float get(const array *a, int64_t i)
{
    return a->dtype == LK_DTYPE_BF16 ? lk_bfloat_to_float(((uint16_t *)a->at)[i]) : ((float *)a->at)[i];
}
static void set(array *a, int64_t i, float v)
{
    if (a->dtype == LK_DTYPE_BF16)
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
    array b = make((way){a->dtype, shifted}, a->count);
    memcpy(b.at, a->at, (size_t)a->count * lk_dtype_size(a->dtype));
    return b;
}
static void release(array *a)
{
    free(a->block);
}

/* The memory itself as a tensor: 4-d ones channels_last. */
static lk_tensor *view(const array *a, int dims, const int64_t *sizes)
{
    return lk_tensor_view(a->at, a->dtype, dims, sizes);
}

/* ---- comparing ---- */

/* Float32 but for rounding in sums, bfloat16 within a unit; `scale`: how large numbers were that cancelled. */
static void assert_near(const char *what, const array *got, const array *want, double scale)
{
    assert_int_equal(got->count, want->count);
    double relative = got->dtype == LK_DTYPE_BF16 ? 1.0 / 128 : 4e-6;
    for (int64_t i = 0; i < got->count; i++) {
        double a = (double)get(got, i), b = (double)get(want, i);
        if (!(fabs(a - b) <= relative * fabs(b) + 4e-6 * scale))
            fail_msg("%s: number %lld is %.9g, not %.9g (%s)", what, (long long)i, a, b, lk_dtype_name(got->dtype));
    }
}
static void assert_equal(const char *what, const array *got, const array *want)
{
    for (int64_t i = 0; i < got->count; i++)
        if (get(got, i) != get(want, i))
            fail_msg("%s: number %lld is %.9g, not %.9g (%s)", what, (long long)i, (double)get(got, i), (double)get(want, i),
                     lk_dtype_name(got->dtype));
}
static void assert_same_bits(const char *what, const array *a, const array *b)
{
    if (memcmp(a->at, b->at, (size_t)a->count * lk_dtype_size(a->dtype)) != 0)
        fail_msg("%s: other bits when the threads run in the opposite order", what);
}
static void assert_close(const char *what, double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want)))
        fail_msg("%s: %.17g, not %.17g", what, got, want);
}

static const way plain = {LK_DTYPE_F32, false};

/* ---- element by element ---- */

enum { COUNT = 5003 }; /* whole packs, and a rest */

static void relu_backward_is_the_cpus(void **state)
{
    (void)state;
    for (int w = 0; w < WAYS; w++) {
        array dy = numbers(ways[w], COUNT, 1), want = copy_of(&dy), y = numbers(ways[w], COUNT, 2);
        for (int64_t i = 0; i < COUNT; i++)
            set(&y, i, fmaxf(get(&y, i), 0));
        assert_ok(cpu->relu_backward(device, ways[w].dtype, want.at, y.at, COUNT));
        assert_ok(gpu->relu_backward(device, ways[w].dtype, dy.at, y.at, COUNT));
        assert_equal("relu backward", &dy, &want);
        release(&dy);
        release(&want);
        release(&y);
    }
}

/* NaNs and infinities, too; of a NaN a GPU makes one of its own. */
static void narrow_and_wide_as_the_cpu_has_them(void **state)
{
    (void)state;
    for (int shifted = 0; shifted < 4; shifted++) {
        array wide = numbers((way){LK_DTYPE_F32, shifted & 1}, COUNT, 1), back = copy_of(&wide), back_cpu = copy_of(&wide);
        array narrow = make((way){LK_DTYPE_BF16, shifted & 2}, COUNT), narrow_cpu = copy_of(&narrow);
        float *values = wide.at;
        values[3] = -INFINITY;
        values[4] = 3.4e38f; /* rounds up to infinity */
        values[COUNT - 1] = NAN;
        assert_ok(cpu->narrow_on(device, NULL, narrow_cpu.at, wide.at, COUNT));
        assert_ok(gpu->narrow_on(device, NULL, narrow.at, wide.at, COUNT));
        assert_true(isnan(get(&narrow, COUNT - 1)) && isnan(get(&narrow_cpu, COUNT - 1)));
        set(&narrow_cpu, COUNT - 1, get(&narrow, COUNT - 1));
        assert_memory_equal(narrow.at, narrow_cpu.at, COUNT * sizeof(uint16_t));
        assert_ok(cpu->widen_on(device, NULL, back_cpu.at, narrow.at, COUNT));
        assert_ok(gpu->widen_on(device, NULL, back.at, narrow.at, COUNT));
        assert_memory_equal(back.at, back_cpu.at, COUNT * sizeof(float));
        for (int64_t i = 0; i < COUNT; i++)
            assert_true(get(&back, i) == lk_bfloat_to_float(lk_float_to_bfloat(values[i])) || isnan(values[i]));
        assert_true(isinf(get(&back, 4)) && isnan(get(&back, COUNT - 1)));
        array *all[] = {&wide, &back, &back_cpu, &narrow, &narrow_cpu};
        for (int i = 0; i < 5; i++)
            release(all[i]);
    }
}

static void sums_and_products_element_by_element(void **state)
{
    (void)state;
    for (int w = 0; w < WAYS; w++) {
        array a = numbers(ways[w], COUNT, 1), b = numbers(ways[w], COUNT, 2), want = copy_of(&a);
        for (int64_t i = 0; i < COUNT; i++)
            set(&want, i, get(&a, i) + get(&b, i));
        assert_ok(gpu->add(device, ways[w].dtype, a.at, b.at, COUNT));
        assert_equal("add", &a, &want);
        for (int64_t i = 0; i < COUNT; i++)
            set(&want, i, get(&a, i) * -1.7f);
        assert_ok(gpu->scale(device, ways[w].dtype, a.at, -1.7, COUNT));
        assert_equal("scale", &a, &want);
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
        lk_flat_job job = {.out = a.at, .in = b.at, .count = COUNT};
        assert_true(cuda_run(add_f32, &job, (cuda_dim){blocks, 1, 1}, (cuda_dim){32, 1, 1}));
        assert_equal("add", &a, &want);
        release(&a);
        release(&b);
        release(&want);
    }
}

/* ---- sums ---- */

static void squares_are_summed_over_ranges_and_tell_of_every_number_that_is_not_finite(void **state)
{
    (void)state;
    /* The first two are one to a GPU, for only zeros lie between; what lies before the last is in none. */
    const lk_range ranges[] = {{4000, 66001}, {3900, 60}, {0, 700}};
    array x = numbers(plain, 70001, 6);
    double want = 2, got[2] = {2, 2};
    for (int64_t i = 3960; i < 4000; i++)
        set(&x, i, 0);
    set(&x, 700, NAN);
    assert_ok(cpu->sum_squares(device, x.at, ranges, 3, &want));
    for (int run = 0; run < 2; run++) {
        cuda.backwards = run;
        assert_ok(gpu->sum_squares(device, x.at, ranges, 3, &got[run]));
    }
    assert_close("sum of squares", got[0], want, 1e-13);
    assert_memory_equal(&got[0], &got[1], sizeof got[0]);
    set(&x, 12, 3e38f); /* its square is beyond float32 */
    assert_ok(gpu->sum_squares(device, x.at, ranges, 3, &got[0]));
    assert_true(isfinite(got[0]));
    const int64_t places[] = {0, 3950, 70000};
    const float bad[] = {INFINITY, NAN, -INFINITY};
    for (int k = 0; k < 3; k++) {
        float kept = get(&x, places[k]);
        set(&x, places[k], bad[k]);
        got[0] = 0;
        assert_ok(gpu->sum_squares(device, x.at, ranges, 3, &got[0]));
        assert_false(isfinite(got[0]));
        set(&x, places[k], kept);
    }
    release(&x);
}

/* ---- what follows a convolution ---- */

/* Packs that fill no tile, more than one tile, rows of no whole pack, odd heights and widths. */
static const lk_map_shape shapes[] = {{3, 5, 7, 24}, {2, 6, 4, 20}, {1, 9, 3, 7}, {1, 4, 5, 300}, {2, 30, 41, 8}, {5, 2, 2, 64}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static int64_t count_of(const lk_map_shape *m)
{
    return m->samples * m->rows * m->columns * m->channels;
}
static int64_t pixels_of(const lk_map_shape *m)
{
    return m->samples * m->rows * m->columns;
}
static lk_tensor *view_maps(const array *a, const lk_map_shape *m)
{
    return view(a, 4, (int64_t[]){m->samples, m->channels, m->rows, m->columns});
}
static lk_map_shape halved(const lk_map_shape *m)
{
    return (lk_map_shape){m->samples, m->rows / 2, m->columns / 2, m->channels};
}

/* z + bias, and ReLU of it, by libtorch. */
static lk_tensor *with_bias(const array *z, const array *bias, const lk_map_shape *m, bool relu)
{
    lk_tensor *tz = view_maps(z, m), *tb = view(bias, 4, (int64_t[]){1, m->channels, 1, 1}), *wide = lk_add(tz, tb);
    lk_tensor *y = lk_tensor_cast(wide, z->dtype); /* of bfloat16 and float32 libtorch makes float32 */
    lk_tensor_free(&wide);
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
    memcpy(a.at, lk_tensor_data(*t), (size_t)a.count * lk_dtype_size(a.dtype));
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

static void bias_and_relu(way w, const lk_map_shape *m)
{
    array z = numbers(w, count_of(m), 1), bias = numbers(plain, m->channels, 2), dy = numbers(w, count_of(m), 3);
    for (int relu = 0; relu < 2; relu++) {
        array got = copy_of(&z), slope = copy_of(&dy), again = copy_of(&dy);
        lk_tensor *t = with_bias(&z, &bias, m, relu);
        array want = array_of(&t, w);
        assert_ok(gpu->bias_relu(device, w.dtype, got.at, bias.at, pixels_of(m), m->channels, relu));
        assert_equal("bias and ReLU", &got, &want);

        array dbias[2] = {make(plain, m->channels), make(plain, m->channels)}, dwant = copy_of(&dy);
        for (int64_t i = 0; relu && i < dwant.count; i++)
            set(&dwant, i, get(&want, i) > 0 ? get(&dy, i) : 0);
        array dbias_want = channel_sums(&dwant, m->channels);
        cuda.backwards = false;
        assert_ok(
            gpu->bias_relu_backward(device, w.dtype, slope.at, relu ? want.at : NULL, pixels_of(m), m->channels, dbias[0].at));
        cuda.backwards = true;
        assert_ok(
            gpu->bias_relu_backward(device, w.dtype, again.at, relu ? want.at : NULL, pixels_of(m), m->channels, dbias[1].at));
        assert_equal("gradient of bias and ReLU", &slope, &dwant);
        assert_near("gradient of the bias", &dbias[0], &dbias_want, sqrt((double)count_of(m) / m->channels));
        assert_same_bits("gradient of the bias", &dbias[0], &dbias[1]);
        assert_ok(gpu->bias_relu_backward(device, w.dtype, again.at, relu ? want.at : NULL, pixels_of(m), m->channels,
                                          NULL)); /* of a frozen layer */
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

static void bias_relu_and_pool(way w, const lk_map_shape *m)
{
    lk_map_shape half = halved(m);
    array z = numbers(w, count_of(m), 1), bias = numbers(plain, m->channels, 2), dy = numbers(w, count_of(&half), 3);
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

    assert_ok(gpu->bias_relu_pool(device, w.dtype, z.at, bias.at, m, got.at, choice));
    assert_equal("bias, ReLU and pool", &got, &want);
    for (int run = 0; run < 2; run++) {
        cuda.backwards = run;
        assert_ok(gpu->bias_relu_pool_backward(device, w.dtype, dy.at, choice, m, dz[run].at, dbias[run].at));
    }
    /* Two corners of a bfloat16 map may be one number once the bias is added: then either may take the gradient. */
    if (w.dtype == LK_DTYPE_F32)
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
    lk_map_shape m = {1, 2, 2, 4};
    array z = numbers(plain, 16, 1), bias = numbers(plain, 4, 2), pooled = make(plain, 4);
    uint8_t choice[4];
    set(&z, 5, NAN);
    assert_ok(gpu->bias_relu_pool(device, LK_DTYPE_F32, z.at, bias.at, &m, pooled.at, choice));
    assert_ok(gpu->bias_relu(device, LK_DTYPE_F32, z.at, bias.at, 4, 4, true));
    for (int i = 0; i < 16; i++)
        assert_int_equal(isnan(get(&z, i)) != 0, i == 5);
    for (int c = 0; c < 4; c++)
        assert_int_equal(isnan(get(&pooled, c)) != 0, c == 1);
    release(&z);
    release(&bias);
    release(&pooled);
}

/* ---- norms ---- */

static void group_norm_by(const lk_device_kernels *kernels, const lk_group_norm_shape *shape, const array in[4], array out[4],
                          double *statistics)
{
    double *mean = statistics, *rstd = statistics + shape->map.samples * shape->groups;
    assert_ok(kernels->group_norm(device, shape, in[0].at, in[2].at, in[3].at, out[0].at, mean, rstd));
    assert_ok(
        kernels->group_norm_backward(device, shape, in[1].at, in[0].at, in[2].at, mean, rstd, out[1].at, out[2].at, out[3].at));
}

static void group_norm_of(way w, const lk_map_shape *m, int groups)
{
    static const char *const names[4] = {"group norm", "its gradient", "gradient of the scale", "gradient of the shift"};
    lk_group_norm_shape shape = {.dtype = w.dtype, .weight = LK_DTYPE_F32, .map = *m, .groups = groups, .eps = 1e-5};
    array in[4] = {numbers(w, count_of(m), 1), numbers(w, count_of(m), 2), numbers(plain, m->channels, 3),
                   numbers(plain, m->channels, 4)};
    array out[3][4]; /* of the CPU, of the GPU, and with the threads in the opposite order */
    size_t statistics = 2 * (size_t)m->samples * (size_t)groups;
    double *kept[3];
    for (int run = 0; run < 3; run++) {
        for (int i = 0; i < 4; i++)
            out[run][i] = i < 2 ? make(w, count_of(m)) : make(plain, m->channels);
        kept[run] = calloc(statistics, sizeof *kept[run]);
        cuda.backwards = run == 2;
        group_norm_by(run == 0 ? cpu : gpu, &shape, in, out[run], kept[run]);
    }
    for (size_t i = 0; i < statistics; i++)
        if (!(fabs(kept[1][i] - kept[0][i]) <= 1e-6 * (1 + fabs(kept[0][i]))))
            fail_msg("mean or deviation: %.9g, not %.9g", kept[1][i], kept[0][i]);
    const double scales[4] = {4, 16, sqrt((double)count_of(m)), sqrt((double)count_of(m))};
    for (int i = 0; i < 4; i++) {
        assert_near(names[i], &out[1][i], &out[0][i], scales[i]);
        assert_same_bits(names[i], &out[1][i], &out[2][i]);
        for (int run = 0; run < 3; run++)
            release(&out[run][i]);
        release(&in[i]);
    }
    for (int run = 0; run < 3; run++)
        free(kept[run]);
}

static void group_norm_is_the_cpus(void **state)
{
    (void)state;
    const int groups[SHAPES] = {4, 10, 7, 3, 4, 32};
    for (int w = 0; w < WAYS; w++)
        for (int s = 0; s < SHAPES; s++)
            group_norm_of(ways[w], &shapes[s], groups[s]);
}

static void batch_statistics_are_the_cpus(void **state)
{
    (void)state;
    enum { CHANNELS = 37 };
    array mean = numbers(plain, CHANNELS, 1), rstd = numbers(plain, CHANNELS, 2);
    for (int c = 0; c < CHANNELS; c++)
        set(&rstd, c, 0.5f + fabsf(get(&rstd, c)));
    array got[2] = {make(plain, CHANNELS), make(plain, CHANNELS)}, want[2] = {make(plain, CHANNELS), make(plain, CHANNELS)};
    assert_ok(cpu->batch_statistics(device, LK_DTYPE_F32, mean.at, rstd.at, CHANNELS, 48, 1e-5, 0.25, LK_DTYPE_F32, want[0].at,
                                    want[1].at));
    assert_ok(gpu->batch_statistics(device, LK_DTYPE_F32, mean.at, rstd.at, CHANNELS, 48, 1e-5, 0.25, LK_DTYPE_F32, got[0].at,
                                    got[1].at));
    for (int i = 0; i < 2; i++) {
        assert_equal("batch statistics", &got[i], &want[i]);
        release(&got[i]);
        release(&want[i]);
    }
    release(&mean);
    release(&rstd);
}

/* ---- pictures ---- */

static void pictures_are_the_cpus_and_come_back(void **state)
{
    (void)state;
    enum { PIXELS = 3 * 19 * 19, BYTES = 3 * PIXELS };
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
    uint8_t *bytes = exact_block(BYTES), *back = exact_block(BYTES), *want_back = exact_block(BYTES);
    for (int i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(i * 89 + i / 251);
    for (int w = 0; w < WAYS; w++) {
        array got = make(ways[w], BYTES), want = make(ways[w], BYTES);
        assert_ok(cpu->pictures(device, ways[w].dtype, bytes, PIXELS, mean, deviation, want.at));
        assert_ok(gpu->pictures(device, ways[w].dtype, bytes, PIXELS, mean, deviation, got.at));
        assert_equal("pictures", &got, &want);
        if (ways[w].dtype == LK_DTYPE_F32) {
            assert_ok(cpu->pixels(device, got.at, BYTES, want_back));
            assert_ok(gpu->pixels(device, got.at, BYTES, back));
            assert_memory_equal(back, want_back, BYTES);
        }
        release(&want);
        release(&got);
    }
    free(bytes);
    free(back);
    free(want_back);
}

/* ---- losses and faces ---- */

enum { SAMPLES = 5 };

static void losses_over_pictures_are_the_cpus(void **state)
{
    (void)state;
    const int64_t lengths[] = {1, 243, 9747};
    for (int k = 0; k < 3; k++)
        for (int l1 = 0; l1 < 2; l1++) {
            int64_t length = lengths[k];
            array y = numbers(plain, SAMPLES * length, 1), t = numbers(plain, SAMPLES * length, 2);
            array dy[3] = {make(plain, y.count), make(plain, y.count), make(plain, y.count)};
            double sum[3] = {1, 1, 1}, alone = 1;
            memcpy(t.at, y.at, (size_t)length * sizeof(float)); /* a sample without a difference */
            for (int run = 0; run < 3; run++) {
                const lk_device_kernels *kernels = run == 0 ? cpu : gpu;
                cuda.backwards = run == 2;
                assert_ok((l1 ? kernels->l1_loss : kernels->pixel_loss)(device, LK_DTYPE_F32, y.at, t.at, SAMPLES, length, 0.125,
                                                                        dy[run].at, &sum[run]));
            }
            assert_close("loss", sum[1], sum[0], 1e-13);
            assert_memory_equal(&sum[1], &sum[2], sizeof sum[1]);
            assert_near("gradient of the loss", &dy[1], &dy[0], 0);
            assert_same_bits("gradient of the loss", &dy[1], &dy[2]);
            assert_ok(
                (l1 ? gpu->l1_loss : gpu->pixel_loss)(device, LK_DTYPE_F32, y.at, t.at, SAMPLES, length, 0.125, NULL, &alone));
            assert_memory_equal(&alone, &sum[1], sizeof alone);
            array all[] = {y, t, dy[0], dy[1], dy[2]};
            for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                release(&all[i]);
        }
}

/* Three groups of 4, 2 and 7 choices. */
enum { GROUPS = 3, CHOICES = 13, CONTINUOUS = 6 };
static const lk_choices choices = {GROUPS, {0, 4, 6, 13}};

static void fill_labels(uint8_t labels[SAMPLES * GROUPS])
{
    for (int i = 0; i < SAMPLES * GROUPS; i++)
        labels[i] = (uint8_t)(i * 5 % (choices.begins[i % GROUPS + 1] - choices.begins[i % GROUPS]));
}

static void cross_entropy_is_the_cpus(void **state)
{
    (void)state;
    uint8_t labels[SAMPLES * GROUPS];
    double got[2] = {3, 3}, want = 3;
    array logits = numbers(plain, SAMPLES * CHOICES, 1), slopes = make(plain, logits.count),
          slopes_want = make(plain, logits.count);
    fill_labels(labels);
    set(&logits, 3, 500); /* exp of it is beyond float32 */
    assert_ok(cpu->discrete_loss(device, LK_DTYPE_F32, &choices, logits.at, labels, SAMPLES, 0.25, slopes_want.at, &want));
    for (int run = 0; run < 2; run++) {
        cuda.backwards = run;
        assert_ok(gpu->discrete_loss(device, LK_DTYPE_F32, &choices, logits.at, labels, SAMPLES, 0.25, run ? NULL : slopes.at,
                                     &got[run]));
    }
    assert_close("cross-entropy", got[0], want, 1e-14);
    assert_memory_equal(&got[0], &got[1], sizeof got[0]);
    assert_equal("gradient of the cross-entropy", &slopes, &slopes_want);
    release(&logits);
    release(&slopes);
    release(&slopes_want);
}

static void the_decoders_input_is_the_cpus(void **state)
{
    (void)state;
    enum { WIDTH = CONTINUOUS + CHOICES };
    uint8_t labels[SAMPLES * GROUPS];
    array continuous = numbers(plain, SAMPLES * CONTINUOUS, 1), got = make(plain, SAMPLES * WIDTH);
    array want = make(plain, SAMPLES * WIDTH);
    fill_labels(labels);
    assert_ok(cpu->decoder_input(device, &choices, continuous.at, labels, SAMPLES, CONTINUOUS, want.at));
    assert_ok(gpu->decoder_input(device, &choices, continuous.at, labels, SAMPLES, CONTINUOUS, got.at));
    assert_equal("the decoder's input", &got, &want);
    release(&continuous);
    release(&got);
    release(&want);
}

/* ---- refusals ---- */

static void what_no_gpu_takes_is_refused(void **state)
{
    (void)state;
    lk_map_shape m = {1 << 20, 64, 64, 8};
    float one = 0;
    double sum = 0;
    uint8_t byte;
    assert_fails(gpu->bias_relu_pool(device, LK_DTYPE_F32, &one, &one, &m, &one, &byte), LK_INTERNAL, "lower train.micro_batch");
    assert_fails(gpu->l1_loss(device, LK_DTYPE_F32, &one, &one, 70000, 1, 1, NULL, &sum), LK_INTERNAL, "70000 samples at once");
    assert_fails(gpu->scale(device, LK_DTYPE_F64, &sum, 1, 1), LK_INTERNAL, "scale: not made for F64");
    assert_fails(lk_device_kernels_cuda_open_with(device, &standin_driver, &standin_nvrtc), LK_INTERNAL, "open already");
    assert_true(gpu->fuses(LK_DTYPE_BF16, 24) && gpu->fuses(LK_DTYPE_F32, 20));
    assert_false(gpu->fuses(LK_DTYPE_BF16, 20) || gpu->fuses(LK_DTYPE_F32, 3) || gpu->fuses(LK_DTYPE_F64, 64));
}

static void a_gpu_that_fails_is_lost(void **state)
{
    (void)state;
    float one = 0;
    standin.launch_code = 700;
    assert_fails(gpu->scale(device, LK_DTYPE_F32, &one, 1, 1), LK_DEVICE_LOST, "scale_f32");
    assert_told("an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS, code 700)");
    standin.launch_code = 2;
    assert_fails(gpu->scale(device, LK_DTYPE_F32, &one, 1, 1), LK_INTERNAL, "code 2");
    standin.launch_code = 0;
    standin.context = NULL; /* another thread */
    assert_ok(gpu->scale(device, LK_DTYPE_F32, &one, 1, 1));
    assert_ptr_equal(standin.context, &standin);
}

static int open_all(void **state)
{
    (void)state;
    setenv("XDG_CACHE_HOME", "", 1);
    setenv("HOME", "", 1);
    device = lk_device_host();
    return lk_tensor_start(2) != LK_OK || lk_device_kernels_cuda_open_with(device, &standin_driver, &standin_nvrtc) != LK_OK;
}
static int close_all(void **state)
{
    (void)state;
    lk_device_kernels_cuda_close();
    lk_device_kernels_cuda_close(); /* nothing is open */
    free(cuda.stacks);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relu_backward_is_the_cpus),
        cmocka_unit_test(narrow_and_wide_as_the_cpu_has_them),
        cmocka_unit_test(sums_and_products_element_by_element),
        cmocka_unit_test(a_kernel_covers_its_range_from_any_grid),
        cmocka_unit_test(squares_are_summed_over_ranges_and_tell_of_every_number_that_is_not_finite),
        cmocka_unit_test(bias_and_relu_are_libtorchs),
        cmocka_unit_test(bias_relu_and_pool_are_libtorchs),
        cmocka_unit_test(a_nan_goes_through_relu_and_pool),
        cmocka_unit_test(group_norm_is_the_cpus),
        cmocka_unit_test(batch_statistics_are_the_cpus),
        cmocka_unit_test(pictures_are_the_cpus_and_come_back),
        cmocka_unit_test(losses_over_pictures_are_the_cpus),
        cmocka_unit_test(cross_entropy_is_the_cpus),
        cmocka_unit_test(the_decoders_input_is_the_cpus),
        cmocka_unit_test(what_no_gpu_takes_is_refused),
        cmocka_unit_test(a_gpu_that_fails_is_lost),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
