/* Group norm (Wu and He 2018) on the CPU, for float64 and as the reference of trainer/kernels/norm.h. libtorch's took half of a
 * narrow encoder's step; a sample's channels_last map is read twice forward and twice backward, in loops over its channels.
 *
 *     y = scale (x - mean) rstd + shift, mean and rstd over a group's pixels and channels
 *     dx = scale rstd dy + s x - s mean - rstd/m sum(scale dy),  s = (mean sum(scale dy) - sum(scale dy x)) rstd^3 / m
 */
#include "trainer/tensor/group_norm.h"

#include "trainer/tensor/dispatch.h"
#include "trainer/tensor/memory.h"

#include <math.h>
#include <stdlib.h>

typedef struct norm_job {
    const void *x, *dy;
    void *out; /* y, or dx */
    int64_t pixels, channels, groups;
    double eps;
    double *scale, *shift;     /* [channels] */
    double *mean, *rstd;       /* [samples, groups] */
    double *products, *totals; /* backward: [samples, channels], sums over pixels of dy x and of dy */
    bool *out_of_memory;
} norm_job;

#define NAME(f) f##_f32
#define ELEMENT float
#define NUMBER float
#define LOAD(v) (v)
#define STORE(v) (v)
#include "trainer/tensor/group_norm_kernel.h"

#define NAME(f) f##_f64
#define ELEMENT double
#define NUMBER double
#define LOAD(v) (v)
#define STORE(v) (v)
#include "trainer/tensor/group_norm_kernel.h"

#define NAME(f) f##_bf16
#define ELEMENT uint16_t
#define NUMBER float
#define LOAD(v) lk_bfloat_to_float(v)
#define STORE(v) lk_float_to_bfloat(v)
#include "trainer/tensor/group_norm_kernel.h"

static double weight_at(const lk_group_norm_shape *shape, const void *weights, int64_t c)
{
    return shape->weight == LK_DTYPE_F64 ? ((const double *)weights)[c] : (double)((const float *)weights)[c];
}

static void set_weight(const lk_group_norm_shape *shape, void *weights, int64_t c, double value)
{
    if (shape->weight == LK_DTYPE_F64)
        ((double *)weights)[c] = value;
    else
        ((float *)weights)[c] = (float)value;
}

/* In double, and room for a sample's sums: job->scale owns the memory. */
static lk_status prepare(norm_job *job, const lk_group_norm_shape *shape, const void *scale, const void *shift)
{
    size_t channels = (size_t)shape->map.channels, sums = (size_t)shape->map.samples * channels;
    job->pixels = shape->map.rows * shape->map.columns;
    job->channels = shape->map.channels;
    job->groups = shape->groups;
    job->eps = shape->eps;
    job->scale = calloc(2 * channels + 2 * sums, sizeof *job->scale);
    if (!job->scale)
        return lk_fail(LK_INTERNAL, "group norm: out of memory");
    job->shift = job->scale + channels;
    job->products = job->shift + channels;
    job->totals = job->products + sums;
    for (int64_t c = 0; c < job->channels; c++) {
        job->scale[c] = weight_at(shape, scale, c);
        job->shift[c] = shift ? weight_at(shape, shift, c) : 0;
    }
    return LK_OK;
}

static lk_status run(const norm_job *job, const lk_group_norm_shape *shape, ParallelFunc f32, ParallelFunc f64, ParallelFunc bf16)
{
    ParallelFunc loop = f32;
    if (shape->dtype != LK_DTYPE_F32)
        loop = shape->dtype == LK_DTYPE_F64 ? f64 : bf16;
    LK_TRY(lk_torch_status(torch_parallel_for(0, shape->map.samples, 1, loop, (void *)(uintptr_t)job), "group norm"));
    return job->out_of_memory[0] ? lk_fail(LK_INTERNAL, "group norm: out of memory") : LK_OK;
}

lk_status lk_group_norm_cpu(lk_device *d, const lk_group_norm_shape *shape, const void *x, const void *scale, const void *shift,
                            void *y, double *mean, double *rstd)
{
    (void)d;
    bool failed = false;
    norm_job job = {.x = x, .out = y, .mean = mean, .rstd = rstd, .out_of_memory = &failed};
    LK_TRY(prepare(&job, shape, scale, shift));
    lk_status status = run(&job, shape, forward_samples_f32, forward_samples_f64, forward_samples_bf16);
    free(job.scale);
    return status;
}

lk_status lk_group_norm_backward_cpu(lk_device *d, const lk_group_norm_shape *shape, const void *dy, const void *x,
                                     const void *scale, const double *mean, const double *rstd, void *dx, void *dscale,
                                     void *dshift)
{
    (void)d;
    bool failed = false;
    norm_job job = {.x = x,
                    .dy = dy,
                    .out = dx,
                    .mean = (double *)(uintptr_t)mean, /* only read */
                    .rstd = (double *)(uintptr_t)rstd,
                    .out_of_memory = &failed};
    LK_TRY(prepare(&job, shape, scale, NULL));
    lk_status status = run(&job, shape, backward_samples_f32, backward_samples_f64, backward_samples_bf16);

    /* Over the samples in their order: the same digits for any number of threads. */
    int64_t width = job.channels / job.groups;
    for (int64_t c = 0; status == LK_OK && c < job.channels; c++) {
        double change = 0, total = 0;
        for (int64_t n = 0; n < shape->map.samples; n++) {
            int64_t group = n * job.groups + c / width, at = n * job.channels + c;
            change += (job.products[at] - job.totals[at] * mean[group]) * rstd[group];
            total += job.totals[at];
        }
        set_weight(shape, dscale, c, change);
        set_weight(shape, dshift, c, total);
    }
    free(job.scale);
    return status;
}
