/* The losses over pictures: distances of each sample, then gradients (trainer/model/loss.h). */

/* A number of x, or of the difference x - t as its format holds it. */
LK_DEVICE float NAME(difference)(ELEMENT x, ELEMENT t)
{
    return WIDEN(NARROW(WIDEN(x) - WIDEN(t)));
}

LK_KERNEL(NAME(row_sums), lk_row_sums_job)
{
    long long size = (job.length + job.chunks - 1) / job.chunks, begin = blockIdx.x * size;
    long long end = begin + size < job.length ? begin + size : job.length;
    const ELEMENT *x = (const ELEMENT *)job.x + blockIdx.y * job.length;
    const ELEMENT *t = job.t ? (const ELEMENT *)job.t + blockIdx.y * job.length : 0;
    double sum = 0;
    for (long long i = begin + threadIdx.x; i < end; i += blockDim.x) {
        double v = (double)(t ? NAME(difference)(x[i], t[i]) : WIDEN(x[i]));
        sum += job.squares ? v * v : fabs(v);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        job.partial[(long long)blockIdx.y * job.chunks + blockIdx.x] = sum;
}

/* dy = (y - t) factors[sample]; the grid's y are samples. */
LK_KERNEL(NAME(pixel_gradient), lk_pixel_job)
{
    long long row = (long long)blockIdx.y * job.length;
    float factor = job.factors[blockIdx.y];
    LK_EACH (i, job.length)
        ((ELEMENT *)job.dy)[row + i] =
            NARROW(NAME(difference)(((const ELEMENT *)job.y)[row + i], ((const ELEMENT *)job.t)[row + i]) * factor);
}

/* dy = sign(y - t) step; a NaN stays one. */
LK_KERNEL(NAME(absolute_gradient), lk_pixel_job)
{
    LK_EACH (i, job.length * job.samples) {
        float d = NAME(difference)(((const ELEMENT *)job.y)[i], ((const ELEMENT *)job.t)[i]);
        ((ELEMENT *)job.dy)[i] = NARROW(d > 0 ? job.step : d < 0 ? -job.step : d);
    }
}
