/* What our CUDA kernels compute after a convolution: bias, ReLU, pool and norms, forward and backward, run on the CPU as in
 * test_cuda_kernels.c, against the CPU's table of kernels and libtorch's operators. */
#include "tests/unit/cuda_arrays.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bias_and_relu_are_libtorchs),      cmocka_unit_test(bias_relu_and_pool_are_libtorchs),
        cmocka_unit_test(a_nan_goes_through_relu_and_pool), cmocka_unit_test(group_norm_is_the_cpus),
        cmocka_unit_test(batch_statistics_are_the_cpus),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
