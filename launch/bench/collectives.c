#include "launch/bench/collectives.h"

#include "base/clock.h"
#include "collectives/buckets.h"
#include "collectives/tree_sum.h"

#include <stdlib.h>

/* Equal gradients; backward of a real model has about as many. */
enum { GRADIENTS = 64, MOST_REPEATS = 101 };

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return values[count / 2];
}

/* Arithmetic in registers, so that it competes with the exchange for the core and not for memory. */
static float compute(long turns)
{
    float a = 1.0f, b = 0.5f, c = 0.25f, d = 0.125f;
    for (long i = 0; i < turns; i++) {
        a = a * 0.999f + 0.001f;
        b = b * 0.998f + 0.002f;
        c = c * 0.997f + 0.003f;
        d = d * 0.996f + 0.004f;
    }
    return a + b + c + d;
}

/* One step: `turns` of arithmetic in equal parts, each followed by a gradient. Returns its seconds, of the slowest rank. */
static lk_status run_step(lk_process_group *group, lk_buckets *buckets, long turns, bool exchange, double *seconds)
{
    static volatile float sink;
    lk_group_barrier(group);
    double start = lk_clock();
    if (exchange)
        lk_buckets_begin(buckets);
    for (int i = 0; i < GRADIENTS; i++) {
        sink = compute(turns / GRADIENTS);
        if (exchange)
            lk_buckets_ready(buckets, i);
    }
    (void)sink;
    if (exchange)
        LK_TRY(lk_buckets_wait(buckets));
    int64_t nanoseconds = (int64_t)(1e9 * (lk_clock() - start));
    lk_group_max_i64(group, &nanoseconds, 1);
    *seconds = 1e-9 * (double)nanoseconds;
    return LK_OK;
}

static lk_status time_steps(lk_process_group *group, lk_buckets *buckets, long turns, bool exchange, int repeats, double *seconds)
{
    double all[MOST_REPEATS];
    for (int i = -1; i < repeats; i++) /* the first one warms up */
        LK_TRY(run_step(group, buckets, turns, exchange, &all[i < 0 ? 0 : i]));
    *seconds = median(all, repeats);
    return LK_OK;
}

static lk_status bench(lk_process_group *group, lk_device *device, size_t bytes, lk_buckets_options options, int repeats,
                       lk_exchange_speed *out)
{
    size_t sizes[GRADIENTS];
    for (int i = 0; i < GRADIENTS; i++)
        sizes[i] = bytes / sizeof(float) / GRADIENTS;
    const long probe = 4000000;
    double exchange, calibration, computing, together;
    lk_buckets *buckets;
    LK_TRY(lk_buckets_create(group, device, sizes, GRADIENTS, options, &buckets));
    lk_status status = LK_OK;
    LK_TRY_OR(done, time_steps(group, buckets, 0, true, repeats, &exchange));
    LK_TRY_OR(done, time_steps(group, buckets, probe, false, repeats, &calibration));
    long turns = (long)((double)probe * exchange / calibration);
    lk_group_broadcast(group, &turns, sizeof turns, 0);
    LK_TRY_OR(done, time_steps(group, buckets, turns, false, repeats, &computing));
    LK_TRY_OR(done, time_steps(group, buckets, turns, true, repeats, &together));
    *out = (lk_exchange_speed){.reproducible = options.reproducible,
                               .exchange_ms = 1e3 * exchange,
                               .compute_ms = 1e3 * computing,
                               .together_ms = 1e3 * together,
                               .hidden = 1 - (together - computing) / exchange};
done:
    lk_buckets_free(buckets);
    return status;
}

lk_status lk_bench_collectives(lk_process_group *group, size_t bytes, size_t bucket_bytes, int repeats, lk_exchange_speed out[2],
                               int *count)
{
    *count = 0;
    if (repeats < 1 || repeats > MOST_REPEATS)
        return lk_fail(LK_USAGE, "bench: %d repeats, allowed are 1 to %d", repeats, MOST_REPEATS);
    if (group->size == 1)
        return LK_OK;
    lk_device *device = lk_device_host();
    lk_buckets_options options = {.bucket_bytes = bucket_bytes};
    lk_status status = bench(group, device, bytes, options, repeats, &out[(*count)++]);
    options.reproducible = true;
    if (status == LK_OK && lk_is_power_of_two(group->size))
        status = bench(group, device, bytes, options, repeats, &out[(*count)++]);
    return status;
}
