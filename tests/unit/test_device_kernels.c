/* The CPU's table of kernels (trainer/tensor/device_kernels.h), which is the reference of the others, against the formulas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/check.h"
#include "trainer/tensor/device_kernels.h"
#include "trainer/tensor/loss.h"

#include <math.h>

static const lk_device_kernels *const cpu = &lk_device_kernels_cpu;

static float number(int i)
{
    uint32_t bits = (uint32_t)(i + 1) * 2654435761u;
    return (float)((bits ^ bits >> 15) * 2246822519u >> 8) / (float)(1 << 23) - 1;
}

static void close_to(double got, double wanted, double limit)
{
    if (!(fabs(got - wanted) <= limit * (1 + fabs(wanted))))
        fail_msg("%.9g is not %.9g", got, wanted);
}

static void element_by_element(void **state)
{
    (void)state;
    enum { COUNT = 70001 };
    float *a = malloc(COUNT * sizeof *a), *b = malloc(COUNT * sizeof *b);
    for (int i = 0; i < COUNT; i++) {
        a[i] = number(i);
        b[i] = i % 3 ? number(2 * i) : 0;
    }
    assert_ok(cpu->add(lk_device_host(), LK_DTYPE_F32, a, b, COUNT));
    for (int i = 0; i < COUNT; i++)
        assert_true(a[i] == number(i) + b[i]);
    assert_ok(cpu->scale(lk_device_host(), LK_DTYPE_F32, a, 0.1, COUNT));
    for (int i = 0; i < COUNT; i++)
        assert_true(a[i] == (number(i) + b[i]) * 0.1f);
    assert_ok(cpu->relu_backward(lk_device_host(), LK_DTYPE_F32, a, b, COUNT));
    for (int i = 0; i < COUNT; i++)
        assert_true(a[i] == (b[i] > 0 ? (number(i) + b[i]) * 0.1f : 0));
    free(a);
    free(b);
}

static void pictures_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[3 * 256], back[3 * 256];
    float values[3 * 256];
    for (int i = 0; i < 3 * 256; i++)
        bytes[i] = (uint8_t)(i / 3);
    const float mean[3] = {0, 0.5F, 0.25F}, deviation[3] = {1, 0.5F, 2};
    assert_ok(cpu->pictures(lk_device_host(), LK_DTYPE_F32, bytes, 256, mean, deviation, values));
    for (int i = 0; i < 3 * 256; i++)
        close_to(values[i], (bytes[i] / 255.0 - mean[i % 3]) / deviation[i % 3], 1e-6);
    for (int i = 0; i < 3 * 256; i++)
        values[i] = (float)bytes[i] / 255 + (i % 2 ? 0.001F : -0.001F);
    assert_ok(cpu->pixels(lk_device_host(), values, 3 * 256, back));
    assert_memory_equal(bytes, back, sizeof bytes);
}

static void squares_of_ranges(void **state)
{
    (void)state;
    float values[300];
    double sum = 2, wanted = 2;
    const lk_range ranges[] = {{200, 100}, {128, 7}, {0, 33}};
    for (int i = 0; i < 300; i++)
        values[i] = number(i);
    values[40] = NAN; /* in none of them */
    for (int r = 0; r < 3; r++)
        for (int64_t i = ranges[r].begin; i < ranges[r].begin + ranges[r].count; i++)
            wanted += (double)values[i] * values[i];
    assert_ok(cpu->sum_squares(lk_device_host(), values, ranges, 3, &sum));
    close_to(sum, wanted, 1e-13);
    lk_scale_ranges(values, ranges + 1, 1, 0.5F);
    for (int i = 41; i < 300; i++)
        assert_true(values[i] == number(i) * (i >= 128 && i < 135 ? 0.5f : 1));
    values[130] = 3e38F; /* squares of float32 do not overflow */
    sum = 0;
    assert_ok(cpu->sum_squares(lk_device_host(), values, ranges, 3, &sum));
    assert_true(isfinite(sum));
}

static void losses_of_pictures(void **state)
{
    (void)state;
    enum { SAMPLES = 3, LENGTH = 50 };
    float y[SAMPLES * LENGTH], target[SAMPLES * LENGTH], dy[SAMPLES * LENGTH];
    double sum = 1, wanted = 1;
    for (int i = 0; i < SAMPLES * LENGTH; i++) {
        y[i] = number(i);
        target[i] = i < 2 * LENGTH ? number(1000 + i) : y[i]; /* the last sample has no difference */
    }
    assert_ok(cpu->pixel_loss(lk_device_host(), LK_DTYPE_F32, y, target, SAMPLES, LENGTH, 0.25, dy, &sum));
    for (int n = 0; n < SAMPLES; n++) {
        double square = 0;
        for (int i = n * LENGTH; i < (n + 1) * LENGTH; i++)
            square += ((double)y[i] - target[i]) * ((double)y[i] - target[i]);
        wanted += sqrt(square);
        for (int i = n * LENGTH; i < (n + 1) * LENGTH; i++)
            close_to(dy[i], square > 0 ? 0.25 * ((double)y[i] - target[i]) / sqrt(square) : 0, 1e-6);
    }
    close_to(sum, wanted, 1e-6);
    sum = wanted = 0;
    assert_ok(cpu->l1_loss(lk_device_host(), LK_DTYPE_F32, y, target, SAMPLES, LENGTH, 0.25, dy, &sum));
    for (int i = 0; i < SAMPLES * LENGTH; i++) {
        double difference = (double)y[i] - target[i];
        wanted += fabs(difference) / LENGTH;
        close_to(dy[i], 0.25 / LENGTH * ((difference > 0) - (difference < 0)), 1e-6);
    }
    close_to(sum, wanted, 1e-6);
    double alone = 0; /* without a gradient the same */
    assert_ok(cpu->l1_loss(lk_device_host(), LK_DTYPE_F32, y, target, SAMPLES, LENGTH, 0.25, NULL, &alone));
    assert_true(alone == sum);
}

static void faces(void **state)
{
    (void)state;
    const lk_choices choices = {.groups = 2, .begins = {0, 3, 5}};
    const uint8_t labels[] = {2, 0, 1, 1};
    const float continuous[] = {0.25F, 0.5F, 0.75F, 1}, logits[] = {1, 2, 3, 700, -700, -1, 0.5F, 2, 0, 0};
    const float wanted[] = {0.25F, 0.5F, 0, 0, 1, 1, 0, 0.75F, 1, 0, 1, 0, 0, 1};
    float input[14], dlogits[10];
    double sum = 0, expected = 0;
    assert_ok(cpu->decoder_input(lk_device_host(), &choices, continuous, labels, 2, 2, input));
    assert_memory_equal(input, wanted, sizeof wanted);
    assert_ok(cpu->discrete_loss(lk_device_host(), LK_DTYPE_F32, &choices, logits, labels, 2, 0.5, dlogits, &sum));
    for (int n = 0; n < 2; n++)
        for (int g = 0; g < 2; g++) {
            double total = 0, largest = -INFINITY;
            int begin = n * 5 + choices.begins[g], end = n * 5 + choices.begins[g + 1], label = begin + labels[n * 2 + g];
            for (int k = begin; k < end; k++)
                largest = fmax(largest, logits[k]);
            for (int k = begin; k < end; k++)
                total += exp(logits[k] - largest);
            expected -= log(exp(logits[label] - largest) / total);
            for (int k = begin; k < end; k++)
                close_to(dlogits[k], 0.5 * (exp(logits[k] - largest) / total - (k == label)), 1e-6);
        }
    close_to(sum, expected, 1e-12);
}

static void statistics(void **state)
{
    (void)state;
    const float x[] = {1, 2, 4, 9};
    double average = 4, biased = 38.0 / 4, unbiased = 38.0 / 3;
    const float mean = (float)average, rstd = (float)(1 / sqrt(biased + 1e-5));
    float mean_out, variance_out;
    assert_int_equal(sizeof x / sizeof *x, 4);
    assert_ok(cpu->batch_statistics(lk_device_host(), LK_DTYPE_F32, &mean, &rstd, 1, 4, 1e-5, 0.5, LK_DTYPE_F32, &mean_out,
                                    &variance_out));
    close_to(mean_out, average / 2, 1e-6);
    close_to(variance_out, unbiased / 2, 1e-6);
}

int main(void)
{
    if (lk_tensor_start(2) != LK_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(element_by_element),
        cmocka_unit_test(pictures_there_and_back),
        cmocka_unit_test(squares_of_ranges),
        cmocka_unit_test(losses_of_pictures),
        cmocka_unit_test(faces),
        cmocka_unit_test(statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
