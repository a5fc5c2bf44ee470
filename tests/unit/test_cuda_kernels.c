/* What our CUDA kernels compute, without a GPU: the same sources, compiled for the CPU and launched by the same calls
 * (cuda_standin.h), against the CPU's table of kernels. Odd sizes, memory of any alignment, float32 and bfloat16; the same bits
 * whichever thread goes first. What follows a convolution is in test_cuda_layers.c. */
#include "tests/unit/cuda_arrays.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relu_backward_is_the_cpus),
        cmocka_unit_test(narrow_and_wide_as_the_cpu_has_them),
        cmocka_unit_test(sums_and_products_element_by_element),
        cmocka_unit_test(a_kernel_covers_its_range_from_any_grid),
        cmocka_unit_test(squares_are_summed_over_ranges_and_tell_of_every_number_that_is_not_finite),
        cmocka_unit_test(pictures_are_the_cpus_and_come_back),
        cmocka_unit_test(losses_over_pictures_are_the_cpus),
        cmocka_unit_test(cross_entropy_is_the_cpus),
        cmocka_unit_test(the_decoders_input_is_the_cpus),
        cmocka_unit_test(what_no_gpu_takes_is_refused),
        cmocka_unit_test(a_gpu_that_fails_is_lost),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
