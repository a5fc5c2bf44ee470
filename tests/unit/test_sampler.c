/* The sampler: every epoch visits every sample once, in an order of its own that looks random. */
#include "dataset/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_each_once(const lk_sampler *sampler, int64_t epoch)
{
    char *seen = calloc(1, (size_t)sampler->count);
    for (int64_t p = 0; p < sampler->count; p++) {
        int64_t i = lk_sampler_at(sampler, epoch, p);
        assert_in_range(i, 0, sampler->count - 1);
        assert_int_equal(seen[i], 0);
        seen[i] = 1;
    }
    free(seen);
}

static void every_sample_comes_once(void **state)
{
    (void)state;
    for (int64_t count = 1; count <= 300; count++)
        for (int64_t epoch = 0; epoch < 3; epoch++)
            assert_each_once(&(lk_sampler){.count = count, .seed = 5, .shuffle = true}, epoch);
    const int64_t large[] = {1023, 1024, 1025, 4095, 4097, 70000, 65536, 262145};
    for (size_t k = 0; k < sizeof large / sizeof *large; k++)
        assert_each_once(&(lk_sampler){.count = large[k], .seed = 5, .shuffle = true}, 7);
}

static void very_large_sets_stay_in_range(void **state)
{
    (void)state;
    const lk_sampler sampler = {.count = ((int64_t)1 << 60) + 12345, .seed = 1, .shuffle = true};
    for (int64_t p = 0; p < 1000; p++)
        assert_in_range(lk_sampler_at(&sampler, 0, sampler.count - 1 - p), 0, sampler.count - 1);
}

/* The share of positions that hold the same sample in both. */
static double agreement(const lk_sampler *a, int64_t a_epoch, const lk_sampler *b, int64_t b_epoch)
{
    int64_t same = 0;
    for (int64_t p = 0; p < a->count; p++)
        same += lk_sampler_at(a, a_epoch, p) == lk_sampler_at(b, b_epoch, p);
    return (double)same / (double)a->count;
}

static void epochs_and_seeds_differ_and_repeat(void **state)
{
    (void)state;
    const lk_sampler a = {.count = 5000, .seed = 1, .shuffle = true}, b = {.count = 5000, .seed = 2, .shuffle = true};
    assert_true(agreement(&a, 3, &a, 3) == 1.0);
    assert_true(agreement(&a, 0, &a, 1) < 0.002);
    assert_true(agreement(&a, 1, &a, 2) < 0.002);
    assert_true(agreement(&a, 0, &b, 0) < 0.002);
    assert_true(agreement(&a, 1, &b, 0) < 0.002);
}

static void without_shuffle_order_is_kept(void **state)
{
    (void)state;
    const lk_sampler sampler = {.count = 100, .seed = 1, .shuffle = false};
    for (int64_t p = 0; p < 100; p++)
        assert_int_equal(lk_sampler_at(&sampler, p, p), p);
}

/* Over many epochs each sample stands at each position equally often: chi-squared over the count x count table, whose expected
 * value is (count - 1)^2; 5 standard deviations are allowed. */
static void assert_uniform(int count, int epochs)
{
    const lk_sampler sampler = {.count = count, .seed = 11, .shuffle = true};
    double *hits = calloc((size_t)count * (size_t)count, sizeof *hits);
    for (int64_t epoch = 0; epoch < epochs; epoch++)
        for (int64_t p = 0; p < count; p++)
            hits[p * count + lk_sampler_at(&sampler, epoch, p)]++;
    double expected = (double)epochs / count, sum = 0;
    for (int i = 0; i < count * count; i++)
        sum += (hits[i] - expected) * (hits[i] - expected) / expected;
    free(hits);
    double freedom = (double)(count - 1) * (count - 1);
    if (sum > freedom + 5 * sqrt(2 * freedom) || sum < freedom - 5 * sqrt(2 * freedom))
        fail_msg("%d samples: chi-squared %.1f for %.0f degrees of freedom", count, sum, freedom);
}

static void positions_are_uniform(void **state)
{
    (void)state;
    assert_uniform(2, 4000);
    assert_uniform(5, 4000);
    assert_uniform(10, 4000);
    assert_uniform(64, 4000);
    assert_uniform(100, 4000);
}

/* Neighbours do not stay neighbours: the distance of two samples that follow each other averages count / 3. */
static void neighbours_are_parted(void **state)
{
    (void)state;
    const lk_sampler sampler = {.count = 70000, .seed = 3, .shuffle = true};
    double sum = 0;
    int64_t next_to = 0;
    for (int64_t p = 1; p < sampler.count; p++) {
        double distance = fabs((double)(lk_sampler_at(&sampler, 0, p) - lk_sampler_at(&sampler, 0, p - 1)));
        sum += distance;
        next_to += distance == 1;
    }
    double mean = sum / (double)(sampler.count - 1) / (double)sampler.count;
    assert_true(mean > 0.33 && mean < 0.337);
    assert_true(next_to < 20);
}

/* Pinned: a run resumed by a later version must see the same order. */
static void the_order_never_changes(void **state)
{
    (void)state;
    const lk_sampler sampler = {.count = 1000, .seed = 1, .shuffle = true};
    const int64_t first[] = {515, 879, 852, 541, 638, 152, 590, 58};
    for (int64_t p = 0; p < 8; p++)
        assert_int_equal(lk_sampler_at(&sampler, 2, p), first[p]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_comes_once),
        cmocka_unit_test(very_large_sets_stay_in_range),
        cmocka_unit_test(epochs_and_seeds_differ_and_repeat),
        cmocka_unit_test(without_shuffle_order_is_kept),
        cmocka_unit_test(positions_are_uniform),
        cmocka_unit_test(neighbours_are_parted),
        cmocka_unit_test(the_order_never_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
