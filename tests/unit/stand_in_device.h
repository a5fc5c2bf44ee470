/* What sums over ranks need of a CUDA device that is a stand-in (tests/stand_in/): its memory can be read by the host, and a
 * kernel is a function of the host that a stream runs. */
#ifndef LK_TESTS_UNIT_STAND_IN_DEVICE_H
#define LK_TESTS_UNIT_STAND_IN_DEVICE_H

#include "base/bfloat.h"
#include "collectives/reducer.h"

#include <dlfcn.h>
#include <stdlib.h>

/* Has run(argument) done by a stream of the stand-in, in order. */
static lk_status stand_in_launch(void *stream, void (*run)(void *argument), void *argument)
{
    int (*launch_host_function)(void *, void (*)(void *), void *) = NULL;
    *(void **)&launch_host_function = dlsym(RTLD_DEFAULT, "cudaLaunchHostFunc");
    if (!launch_host_function || launch_host_function(stream, run, argument) != 0)
        return lk_fail(LK_INTERNAL, "no stand-in for the CUDA runtime");
    return LK_OK;
}

typedef struct stand_in_job {
    enum { JOB_ADD, JOB_NARROW, JOB_WIDEN } kind;
    void *out;
    const void *in;
    size_t count;
} stand_in_job;

static void run_job(void *argument)
{
    stand_in_job *j = argument;
    for (size_t i = 0; i < j->count; i++)
        if (j->kind == JOB_ADD)
            ((float *)j->out)[i] += ((const float *)j->in)[i];
        else if (j->kind == JOB_NARROW)
            ((uint16_t *)j->out)[i] = lk_float_to_bfloat(((const float *)j->in)[i]);
        else
            ((float *)j->out)[i] = lk_bfloat_to_float(((const uint16_t *)j->in)[i]);
    free(j);
}

static lk_status launch(void *stream, stand_in_job job)
{
    stand_in_job *j = malloc(sizeof *j);
    if (!j)
        return lk_fail(LK_INTERNAL, "out of memory");
    *j = job;
    return stand_in_launch(stream, run_job, j);
}
static lk_status kernel_add(lk_device *d, void *stream, float *sum, const float *term, size_t count)
{
    (void)d;
    return launch(stream, (stand_in_job){JOB_ADD, sum, term, count});
}
static lk_status kernel_narrow(lk_device *d, void *stream, uint16_t *out, const float *in, size_t count)
{
    (void)d;
    return launch(stream, (stand_in_job){JOB_NARROW, out, in, count});
}
static lk_status kernel_widen(lk_device *d, void *stream, float *out, const uint16_t *in, size_t count)
{
    (void)d;
    return launch(stream, (stand_in_job){JOB_WIDEN, out, in, count});
}

static const lk_reducer_kernels stand_in_kernels = {kernel_add, kernel_narrow, kernel_widen};

#endif
