/* The process group of one, how gradients are cut into buckets, and the tree over micro-batches. */
#include "base/random.h"
#include "collectives/buckets.h"
#include "collectives/tree_sum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check.h"

static lk_process_group group;
static lk_device *device;

static int open_group(void **state)
{
    (void)state;
    return lk_group_open(&group) == LK_OK && lk_device_open(LK_DEVICE_CPU, 0, &device) == LK_OK ? 0 : -1;
}

static int close_group(void **state)
{
    (void)state;
    lk_device_close(device);
    lk_group_close(&group);
    return 0;
}

static void one_process_is_a_group_of_one(void **state)
{
    (void)state;
    assert_int_equal(group.rank, 0);
    assert_int_equal(group.size, 1);
    assert_int_equal(group.local_size, 1);
    char text[2] = "x";
    int64_t i[2] = {5, 6};
    char gathered[4] = "";
    lk_group_barrier(&group);
    lk_group_max_i64(&group, i, 2);
    lk_group_broadcast(&group, text, sizeof text, 0);
    lk_group_gather(&group, "abc", 4, gathered);
    assert_string_equal(text, "x");
    assert_true(i[0] == 5 && i[1] == 6);
    assert_string_equal(gathered, "abc");
}

static void agreement_keeps_the_sentence(void **state)
{
    (void)state;
    assert_int_equal(lk_group_agree(&group, LK_OK), LK_OK);
    assert_int_equal(lk_group_agree(&group, lk_fail(LK_BAD_DATA, "shard 7 is torn")), LK_BAD_DATA);
    assert_string_equal(lk_error_text(), "shard 7 is torn");
}

/* The environment of a launcher that starts tasks without telling them how to find each other. */
static void srun_without_pmix_is_refused(void **state)
{
    (void)state;
    lk_process_group other;
    setenv("SLURM_STEP_ID", "0", 1);
    setenv("SLURM_PROCID", "0", 1);
    setenv("SLURM_STEP_NUM_TASKS", "4", 1);
    lk_status several = lk_group_open(&other);
    setenv("SLURM_STEP_NUM_TASKS", "1", 1);
    lk_status single = lk_group_open(&other);
    unsetenv("SLURM_STEP_ID");
    unsetenv("SLURM_PROCID");
    unsetenv("SLURM_STEP_NUM_TASKS");
    assert_int_equal(several, LK_BAD_CONFIG);
    assert_non_null(strstr(lk_error_text(), "--mpi=pmix"));
    assert_int_equal(single, LK_OK);
    assert_int_equal(other.size, 1);
}

static int buckets_of(const size_t *sizes, int count, size_t bytes)
{
    lk_buckets *buckets;
    assert_int_equal(lk_buckets_create(&group, device, sizes, count, (lk_buckets_options){.bucket_bytes = bytes}, &buckets),
                     LK_OK);
    int n = lk_buckets_count(buckets);
    lk_buckets_free(buckets);
    return n;
}

static void buckets_are_cut_between_gradients(void **state)
{
    (void)state;
    const size_t sizes[] = {10, 10, 10, 100, 5, 5};
    assert_int_equal(buckets_of(sizes, 6, 1 << 20), 1);
    assert_int_equal(buckets_of(sizes, 6, 20 * sizeof(float)), 4); /* 10+10 | 10 | 100 | 5+5 */
    assert_int_equal(buckets_of(sizes, 6, 1), 6);
    assert_int_equal(buckets_of(sizes, 0, 1 << 20), 0);
}

static void gradients_lie_one_after_the_other(void **state)
{
    (void)state;
    const size_t sizes[] = {3, 1, 40};
    lk_buckets *buckets;
    assert_int_equal(lk_buckets_create(&group, device, sizes, 3, (lk_buckets_options){.bucket_bytes = 16}, &buckets), LK_OK);
    float *data = lk_buckets_data(buckets);
    assert_int_equal(lk_buckets_total(buckets), 44);
    assert_ptr_equal(lk_buckets_gradient(buckets, 0), data);
    assert_ptr_equal(lk_buckets_gradient(buckets, 1), data + 3);
    assert_ptr_equal(lk_buckets_gradient(buckets, 2), data + 4);
    for (int i = 0; i < 44; i++) {
        assert_true(data[i] == 0);
        data[i] = (float)i;
    }
    double exposed = -1, busy = -1;
    lk_buckets_begin(buckets);
    for (int i = 2; i >= 0; i--)
        lk_buckets_ready(buckets, i);
    assert_ok(lk_buckets_wait(buckets));
    assert_ok(lk_buckets_finish(buckets, &exposed, &busy));
    assert_true(exposed == 0 && busy == 0);
    for (int i = 0; i < 44; i++)
        assert_true(data[i] == (float)i);
    lk_buckets_free(buckets);
    lk_buckets_free(NULL);
}

enum { FLOATS = 1000, MOST_TERMS = 16 };

/* The tree written as its definition. */
static void sum_of_tree(float terms[][FLOATS], int n, float *out)
{
    if (n == 1) {
        memcpy(out, terms[0], sizeof terms[0]);
        return;
    }
    float right[FLOATS];
    sum_of_tree(terms, n / 2, out);
    sum_of_tree(terms + n / 2, n / 2, right);
    for (int i = 0; i < FLOATS; i++)
        out[i] += right[i];
}

static void accumulation_is_the_tree(void **state)
{
    (void)state;
    static float terms[MOST_TERMS][FLOATS];
    float expected[FLOATS], buffer[FLOATS];
    lk_random r = lk_random_make(1, 2);
    for (int n = 1; n <= MOST_TERMS; n *= 2) {
        for (int t = 0; t < n; t++)
            for (int i = 0; i < FLOATS; i++)
                terms[t][i] = lk_random_normal(&r) * (float)(1 << lk_random_below(&r, 20));
        sum_of_tree(terms, n, expected);
        lk_tree_accumulator *tree;
        assert_int_equal(lk_tree_accumulator_create(device, NULL, FLOATS, n, &tree), LK_OK);
        for (int step = 0; step < 2; step++) /* used again without any reset */
            for (int t = 0; t < n; t++) {
                memcpy(buffer, terms[t], sizeof buffer);
                assert_ok(lk_tree_accumulate(tree, t, buffer, 300, FLOATS - 300)); /* the end first, as backward does */
                assert_ok(lk_tree_accumulate(tree, t, buffer, 0, 300));
            }
        assert_memory_equal(buffer, expected, sizeof buffer);
        lk_tree_accumulator_free(tree);
    }
}

static void a_tree_has_a_power_of_two_of_terms(void **state)
{
    (void)state;
    lk_tree_accumulator *tree;
    assert_fails(lk_tree_accumulator_create(device, NULL, 10, 3, &tree), LK_BAD_CONFIG, "not 3");
    assert_null(tree);
    assert_int_equal(lk_tree_accumulator_create(device, NULL, 10, 0, &tree), LK_BAD_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_process_is_a_group_of_one),      cmocka_unit_test(agreement_keeps_the_sentence),
        cmocka_unit_test(srun_without_pmix_is_refused),       cmocka_unit_test(buckets_are_cut_between_gradients),
        cmocka_unit_test(gradients_lie_one_after_the_other),  cmocka_unit_test(accumulation_is_the_tree),
        cmocka_unit_test(a_tree_has_a_power_of_two_of_terms),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
