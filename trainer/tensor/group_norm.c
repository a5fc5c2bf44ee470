/* Group norm (tensor.h; Wu and He 2018) on the CPU. libtorch's took half of a narrow encoder's step; a sample's channels_last map
 * is read twice forward and twice backward, in vector loops over its channels.
 *
 *     y = scale (x - mean) rstd + shift, mean and rstd over a group's pixels and channels
 *     dx = scale rstd dy + s x - s mean - rstd/m sum(scale dy),  s = (mean sum(scale dy) - sum(scale dy x)) rstd^3 / m
 */
#include "trainer/tensor/dispatch.h"
#include "trainer/tensor/group_norm_loops.h"
#include "trainer/tensor/memory.h"

#include <stdlib.h>

/* Host copies of what is small, and room for sums. */
static bool prepare(lk_norm_job *job, const lk_tensor *x, const lk_tensor *scale, const lk_tensor *shift, int groups,
                    bool *failed)
{
    int64_t samples = lk_tensor_dim(x, 0);
    job->channels = lk_tensor_dim(x, 1);
    job->pixels = lk_tensor_dim(x, 2) * lk_tensor_dim(x, 3);
    job->groups = groups;
    job->out_of_memory = failed;
    size_t per_channel = (size_t)job->channels, per_group = (size_t)(samples * groups),
           per_sample = (size_t)samples * per_channel;
    double *memory = calloc(2 * per_channel + 2 * per_group + 2 * per_sample, sizeof *memory);
    if (!memory) {
        lk_tensor_fail(LK_INTERNAL, "group norm: out of memory");
        return false;
    }
    job->scale = memory;
    job->shift = job->scale + per_channel;
    job->mean = job->shift + per_channel;
    job->rstd = job->mean + per_group;
    job->products = job->rstd + per_group;
    job->totals = job->products + per_sample;
    lk_tensor_to_doubles(scale, job->scale);
    if (shift)
        lk_tensor_to_doubles(shift, job->shift);
    job->x = lk_tensor_data(x);
    return true;
}

const lk_norm_loops *lk_norm_loops_choose(void)
{
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return wide ? &lk_norm_loops_avx512 : &lk_norm_loops_plain;
}

static void run(const lk_norm_job *job, const lk_tensor *x, lk_norm_loop *f32, lk_norm_loop *f64, lk_norm_loop *bf16)
{
    ParallelFunc loop = f32;
    if (lk_tensor_dtype(x) != LK_DTYPE_F32)
        loop = lk_tensor_dtype(x) == LK_DTYPE_F64 ? f64 : bf16;
    lk_torch_ok(torch_parallel_for(0, lk_tensor_dim(x, 0), 1, loop, (void *)(uintptr_t)job), "group norm");
    if (job->out_of_memory[0])
        lk_tensor_fail(LK_INTERNAL, "group norm: out of memory");
}

static lk_tensor *like(const lk_tensor *x)
{
    int64_t sizes[4] = {lk_tensor_dim(x, 0), lk_tensor_dim(x, 1), lk_tensor_dim(x, 2), lk_tensor_dim(x, 3)};
    return lk_tensor_empty(lk_tensor_dtype(x), 4, sizes);
}

lk_tensor *lk_group_norm(const lk_tensor *x, const lk_tensor *scale, const lk_tensor *shift, int groups, double eps,
                         lk_tensor *saved[2])
{
    lk_norm_job job = {.eps = eps};
    bool failed = false;
    lk_tensor *y = x ? like(x) : NULL;
    if (!y || !lk_tensor_require_channels_last(x) || !prepare(&job, x, scale, shift, groups, &failed)) {
        lk_tensor_free(&y);
        return NULL;
    }
    int64_t sizes[2] = {lk_tensor_dim(x, 0), groups};
    job.out = lk_tensor_data(y);
    const lk_norm_loops *loops = lk_norm_loops_choose();
    run(&job, x, loops->forward_f32, loops->forward_f64, loops->forward_bf16);
    saved[0] = lk_tensor_from_doubles(job.mean, LK_DTYPE_F64, 2, sizes);
    saved[1] = lk_tensor_from_doubles(job.rstd, LK_DTYPE_F64, 2, sizes);
    free(job.scale);
    return y;
}

lk_tensor *lk_group_norm_backward(const lk_tensor *dy, const lk_tensor *x, const lk_tensor *scale, int groups,
                                  lk_tensor *const saved[2], lk_tensor **dscale, lk_tensor **dshift)
{
    lk_norm_job job = {0};
    bool failed = false;
    lk_tensor *dx = dy && x ? like(x) : NULL;
    *dscale = *dshift = NULL;
    if (!dx || !lk_tensor_require_channels_last(x) || !lk_tensor_require_channels_last(dy) ||
        !prepare(&job, x, scale, NULL, groups, &failed)) {
        lk_tensor_free(&dx);
        return NULL;
    }
    lk_tensor_to_doubles(saved[0], job.mean);
    lk_tensor_to_doubles(saved[1], job.rstd);
    job.dy = lk_tensor_data(dy);
    job.out = lk_tensor_data(dx);
    const lk_norm_loops *loops = lk_norm_loops_choose();
    run(&job, x, loops->backward_f32, loops->backward_f64, loops->backward_bf16);

    /* Over the samples in their order: the same digits for any number of threads. The host copies become the results. */
    int64_t width = job.channels / groups;
    for (int64_t c = 0; c < job.channels; c++) {
        double change = 0, total = 0;
        for (int64_t n = 0; n < lk_tensor_dim(x, 0); n++) {
            double mean = job.mean[n * groups + c / width], rstd = job.rstd[n * groups + c / width];
            change += (job.products[n * job.channels + c] - job.totals[n * job.channels + c] * mean) * rstd;
            total += job.totals[n * job.channels + c];
        }
        job.scale[c] = change;
        job.shift[c] = total;
    }
    *dscale = lk_tensor_from_doubles(job.scale, lk_tensor_dtype(scale), 1, &job.channels);
    *dshift = lk_tensor_from_doubles(job.shift, lk_tensor_dtype(scale), 1, &job.channels);
    free(job.scale);
    return dx;
}
