/* Mixtures: shares are kept in every epoch, a set's samples come equally often, and the order needs no memory. */
#include "dataset/mixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check.h"

enum { LARGE = 700, SMALL = 100, ALL = LARGE + SMALL, EPOCHS = 8 };

static const int64_t COUNTS[2] = {LARGE, SMALL};

static void assert_shares(int block)
{
    lk_mixture m;
    assert_int_equal(lk_mixture_make(2, COUNTS, (const double[]){3, 1}, 5, true, &m), LK_OK);
    m.block = block;
    m.batch = 12;
    assert_int_equal(m.count, ALL);
    int seen[ALL] = {0};
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
        int small = 0;
        for (int64_t p = 0; p < ALL; p++) {
            int64_t at = lk_mixture_at(&m, epoch, p);
            assert_in_range(at, 0, ALL - 1);
            seen[at]++;
            small += at >= LARGE;
        }
        assert_int_equal(small, ALL / 4);
    }
    /* 8 epochs of 200 slots go 16 times through the small set, of 600 slots nearly 7 times through the large one. */
    for (int i = 0; i < SMALL; i++)
        assert_int_equal(seen[LARGE + i], 16);
    for (int i = 0; i < LARGE; i++)
        assert_in_range(seen[i], 6, 7);
}

static void shares_are_kept_and_samples_come_equally_often(void **state)
{
    (void)state;
    for (int block = 1; block <= 64; block *= 4)
        assert_shares(block);
}

/* A rank's share of the steps, a quarter, reads little more than a quarter of a set's runs at a time. */
static void runs_stay_together_in_a_mixture(void **state)
{
    (void)state;
    enum { N = 16, BIG = 70000, BATCH = 64, STEPS = 200 };
    lk_mixture m;
    assert_int_equal(lk_mixture_make(2, (const int64_t[]){BIG, BIG / 10}, (const double[]){2, 1}, 5, true, &m), LK_OK);
    m.block = N;
    m.batch = BATCH;
    char *seen = calloc(m.count / N + 1, 1);
    int64_t runs = 0;
    for (int64_t step = 0; step < STEPS; step++)
        for (int i = 0; i < BATCH / 4; i++) {
            int64_t run = lk_mixture_at(&m, 1, step * BATCH + i) / N;
            runs += !seen[run];
            seen[run] = 1;
        }
    free(seen);
    /* 3,200 samples are 200 runs; the windows under way of 16 lanes are 256 more at most, and borders double both. */
    assert_in_range(runs, 200, 900);
}

static void shuffled_epochs_differ_and_mix_the_sets(void **state)
{
    (void)state;
    lk_mixture m;
    assert_int_equal(lk_mixture_make(2, COUNTS, (const double[]){1, 1}, 5, true, &m), LK_OK);
    int equal = 0, small_in_first_half = 0;
    for (int64_t p = 0; p < ALL; p++) {
        equal += lk_mixture_at(&m, 0, p) == lk_mixture_at(&m, 1, p);
        small_in_first_half += p < ALL / 2 && lk_mixture_at(&m, 0, p) >= LARGE;
    }
    assert_in_range(equal, 0, 20);
    assert_in_range(small_in_first_half, 150, 250);
}

static void without_shares_it_is_the_sampler(void **state)
{
    (void)state;
    lk_mixture m;
    assert_int_equal(lk_mixture_make(2, COUNTS, NULL, 5, true, &m), LK_OK);
    lk_sampler plain = {.count = ALL, .seed = 5, .shuffle = true};
    for (int64_t p = 0; p < ALL; p++)
        assert_int_equal(lk_mixture_at(&m, 3, p), lk_sampler_at(&plain, 3, p));
}

static void unshuffled_sets_come_in_their_order(void **state)
{
    (void)state;
    lk_mixture m;
    assert_int_equal(lk_mixture_make(2, COUNTS, (const double[]){1, 1}, 5, false, &m), LK_OK);
    assert_int_equal(lk_mixture_at(&m, 0, 0), 0);
    assert_int_equal(lk_mixture_at(&m, 0, 399), 399);
    assert_int_equal(lk_mixture_at(&m, 0, 400), LARGE);
    assert_int_equal(lk_mixture_at(&m, 1, 0), 400);
}

static void a_share_that_gives_nothing_is_refused(void **state)
{
    (void)state;
    lk_mixture m;
    assert_fails(lk_mixture_make(2, COUNTS, (const double[]){1, 1e-6}, 5, true, &m), LK_BAD_CONFIG, "share 1e-06 of set 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_kept_and_samples_come_equally_often),
        cmocka_unit_test(runs_stay_together_in_a_mixture),
        cmocka_unit_test(shuffled_epochs_differ_and_mix_the_sets),
        cmocka_unit_test(without_shares_it_is_the_sampler),
        cmocka_unit_test(unshuffled_sets_come_in_their_order),
        cmocka_unit_test(a_share_that_gives_nothing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
