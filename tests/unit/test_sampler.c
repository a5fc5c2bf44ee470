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

static void runs_of_neighbours_are_a_permutation_too(void **state)
{
    (void)state;
    const int blocks[] = {2, 3, 16, 64}, windows[] = {0, 1, 2, 16}, batches[] = {0, 1, 6, 64, 127, 256};
    for (int64_t count = 1; count <= 1200; count += count < 70 ? 1 : 113)
        for (size_t b = 0; b < 4 * 4 * 6; b++)
            assert_each_once(&(lk_sampler){.count = count,
                                           .seed = 5,
                                           .shuffle = true,
                                           .block = blocks[b % 4],
                                           .window = windows[b / 4 % 4],
                                           .batch = batches[b / 16]},
                             3);
    assert_each_once(&(lk_sampler){.count = 70001, .seed = 5, .shuffle = true, .block = 64, .window = 16, .batch = 256}, 1);
}

/* What a rank has to read, and how well runs are mixed: the two ends that a block is chosen between. */
static void a_lane_has_its_runs_for_itself_and_a_step_has_many(void **state)
{
    (void)state;
    enum { COUNT = 70000, BLOCK = 64, BATCH = 256, RUNS = COUNT / BLOCK + 1, RANKS = 4 };
    const lk_sampler s = {
        .count = COUNT, .seed = 1, .shuffle = true, .block = BLOCK, .window = LK_SAMPLER_WINDOW, .batch = BATCH};
    char *ranks_of = calloc(RUNS, 1), *in_step = calloc(RUNS, 1);
    int64_t touched = 0, distinct = 0, steps = COUNT / BATCH;
    for (int64_t p = 0; p < steps * BATCH; p++) {
        int64_t run = lk_sampler_at(&s, 0, p) / BLOCK;
        ranks_of[run] |= (char)(1 << (p % BATCH / (BATCH / RANKS)));
        if (p % BATCH == 0)
            memset(in_step, 0, RUNS);
        distinct += !in_step[run];
        in_step[run] = 1;
    }
    for (int run = 0; run < RUNS; run++)
        touched += __builtin_popcount((unsigned char)ranks_of[run]);
    free(ranks_of);
    free(in_step);
    assert_in_range(touched, RUNS, RUNS + RANKS);        /* a run at the border of two ranks' lanes is both's */
    assert_true((double)distinct / (double)steps > 200); /* of 256; 227 without runs */
}

static void runs_come_in_another_order_each_epoch(void **state)
{
    (void)state;
    const lk_sampler s = {.count = 5000, .seed = 1, .shuffle = true, .block = 16, .window = 4, .batch = 32};
    int same = 0, together = 0;
    for (int64_t p = 0; p < s.count; p++) {
        same += lk_sampler_at(&s, 0, p) == lk_sampler_at(&s, 1, p);
        together += p > 0 && llabs(lk_sampler_at(&s, 0, p) - lk_sampler_at(&s, 0, p - 1)) == 1;
    }
    assert_in_range(same, 0, 15);
    assert_in_range(together, 0, 150);
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
    const lk_sampler runs = {.count = 1003, .seed = 1, .shuffle = true, .block = 8, .window = 4, .batch = 6};
    const int64_t first_of_runs[] = {65, 174, 161, 977, 923, 493, 722, 587};
    for (int64_t p = 0; p < 8; p++)
        assert_int_equal(lk_sampler_at(&runs, 2, p), first_of_runs[p]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_comes_once),
        cmocka_unit_test(runs_of_neighbours_are_a_permutation_too),
        cmocka_unit_test(a_lane_has_its_runs_for_itself_and_a_step_has_many),
        cmocka_unit_test(runs_come_in_another_order_each_epoch),
        cmocka_unit_test(very_large_sets_stay_in_range),
        cmocka_unit_test(epochs_and_seeds_differ_and_repeat),
        cmocka_unit_test(without_shuffle_order_is_kept),
        cmocka_unit_test(positions_are_uniform),
        cmocka_unit_test(neighbours_are_parted),
        cmocka_unit_test(the_order_never_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
