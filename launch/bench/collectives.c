#include "launch/bench/collectives.h"

#include "base/clock.h"
#include "collectives/deadline.h"
#include "collectives/tree_sum.h"
#include "trainer/tensor/tensor.h"

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

/* What is computed beside the exchange. */
typedef struct workload {
    lk_device *device;
    lk_tensor *memory; /* on a GPU: 4 MB, a turn is a pass over them; else NULL */
    long probe;        /* turns to find out how long one takes */
} workload;

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

static void work(const workload *w, long turns)
{
    static volatile float sink;
    if (!w->memory)
        sink = compute(turns);
    for (long i = 0; w->memory && i < turns; i++)
        lk_scale_(w->memory, 1);
    (void)sink;
}

static lk_status open_workload(lk_device *device, workload *w)
{
    *w = (workload){.device = device, .probe = 4000000};
    if (lk_tensor_on_host())
        return LK_OK;
    w->probe = 16 * GRADIENTS;
    w->memory = lk_tensor_empty(LK_DTYPE_F32, 1, (int64_t[]){1 << 20});
    lk_scale_(w->memory, 0);
    return lk_tensor_check();
}

/* No rank waits for one that is stopped for longer than that. */
static lk_status watch(const lk_exchange_plan *plan)
{
    return plan->patience > 0 ? lk_deadline_set("in an exchange of likeness bench", plan->patience) : LK_OK;
}

/* One step: `turns` of arithmetic in equal parts, each followed by a gradient. Returns its seconds, of the slowest rank. */
static lk_status run_step(lk_process_group *group, lk_buckets *buckets, const workload *w, long turns, bool exchange,
                          double *seconds)
{
    double exposed, busy;
    lk_group_barrier(group);
    double start = lk_clock();
    if (exchange)
        lk_buckets_begin(buckets);
    for (int i = 0; i < GRADIENTS; i++) {
        work(w, turns / GRADIENTS);
        if (exchange)
            lk_buckets_ready(buckets, i);
    }
    if (exchange)
        LK_TRY(lk_buckets_wait(buckets));
    LK_TRY(lk_device_wait(w->device));
    if (exchange)
        LK_TRY(lk_buckets_finish(buckets, &exposed, &busy));
    int64_t nanoseconds = (int64_t)(1e9 * (lk_clock() - start));
    lk_group_max_i64(group, &nanoseconds, 1);
    *seconds = 1e-9 * (double)nanoseconds;
    return lk_tensor_check();
}

static lk_status time_steps(lk_process_group *group, lk_buckets *buckets, const workload *w, long turns, bool exchange,
                            const lk_exchange_plan *plan, double *seconds)
{
    double all[MOST_REPEATS];
    for (int i = -1; i < plan->repeats; i++) { /* the first one warms up */
        LK_TRY(watch(plan));
        LK_TRY(run_step(group, buckets, w, turns, exchange, &all[i < 0 ? 0 : i]));
    }
    *seconds = median(all, plan->repeats);
    return LK_OK;
}

static lk_status bench(lk_process_group *group, const lk_exchange_plan *plan, bool reproducible, lk_exchange_speed *out)
{
    size_t sizes[GRADIENTS];
    for (int i = 0; i < GRADIENTS; i++)
        sizes[i] = plan->bytes / sizeof(float) / GRADIENTS;
    double exchange, calibration, computing, together;
    workload w = {0};
    lk_buckets *buckets;
    lk_buckets_options options = plan->options;
    options.reproducible = reproducible;
    LK_TRY(watch(plan));
    LK_TRY(lk_buckets_create(group, plan->device, sizes, GRADIENTS, options, &buckets));
    lk_status status = LK_OK;
    LK_TRY_OR(done, open_workload(plan->device, &w));
    LK_TRY_OR(done, time_steps(group, buckets, &w, 0, true, plan, &exchange));
    LK_TRY_OR(done, time_steps(group, buckets, &w, w.probe, false, plan, &calibration));
    long turns = (long)((double)w.probe * exchange / calibration);
    lk_group_broadcast(group, &turns, sizeof turns, 0);
    LK_TRY_OR(done, time_steps(group, buckets, &w, turns, false, plan, &computing));
    LK_TRY_OR(done, time_steps(group, buckets, &w, turns, true, plan, &together));
    *out = (lk_exchange_speed){.reproducible = reproducible,
                               .exchange_ms = 1e3 * exchange,
                               .compute_ms = 1e3 * computing,
                               .together_ms = 1e3 * together,
                               .hidden = 1 - (together - computing) / exchange};
done:
    lk_tensor_free(&w.memory);
    lk_buckets_free(buckets);
    return status;
}

lk_status lk_bench_collectives(lk_process_group *group, const lk_exchange_plan *plan, lk_exchange_speed out[2], int *count)
{
    *count = 0;
    if (plan->repeats < 1 || plan->repeats > MOST_REPEATS)
        return lk_fail(LK_USAGE, "bench: %d repeats, allowed are 1 to %d", plan->repeats, MOST_REPEATS);
    if (group->size == 1 && !plan->options.alone)
        return LK_OK;
    lk_status status = bench(group, plan, false, &out[(*count)++]);
    if (status == LK_OK && lk_is_power_of_two(group->size) && !plan->options.bf16)
        status = bench(group, plan, true, &out[(*count)++]);
    lk_deadline_clear();
    return status;
}
