/* The losses over pictures: distances of each sample, then gradients (trainer/tensor/loss.h). */

LK_KERNEL(row_sums, lk_row_sums_job)
{
    long long size = (job.length + job.chunks - 1) / job.chunks, begin = blockIdx.x * size;
    long long end = begin + size < job.length ? begin + size : job.length, row = blockIdx.y * job.length;
    double sum = 0;
    for (long long i = begin + threadIdx.x; i < end; i += blockDim.x) {
        double difference = (double)(job.y[row + i] - job.target[row + i]);
        sum += job.squares ? difference * difference : fabs(difference);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        job.partial[(long long)blockIdx.y * job.chunks + blockIdx.x] = sum;
}

/* out[row] = the sum of its chunks. */
LK_KERNEL(finish_rows, lk_finish_rows_job)
{
    LK_EACH (row, job.rows) {
        double sum = 0;
        for (int k = 0; k < job.chunks; k++)
            sum += job.partial[row * job.chunks + k];
        job.out[row] = sum;
    }
}

/* sums: squares -> norms; factors: d||x|| / dx = x / ||x||, times `share`. */
LK_KERNEL(pixel_norms, lk_pixel_job)
{
    LK_EACH (n, job.samples) {
        double norm = sqrt(job.sums[n]);
        job.sums[n] = norm;
        job.factors[n] = (float)(norm > 0 ? job.share / norm : 0);
    }
}

/* dy = (y - target) factors[sample]; the grid's y are samples. */
LK_KERNEL(pixel_gradient, lk_pixel_job)
{
    long long row = (long long)blockIdx.y * job.length;
    float factor = job.factors[blockIdx.y];
    LK_EACH (i, job.length)
        job.dy[row + i] = (job.y[row + i] - job.target[row + i]) * factor;
}

/* dy = sign(y - target) step */
LK_KERNEL(absolute_gradient, lk_pixel_job)
{
    LK_EACH (i, job.length * job.samples) {
        float difference = job.y[i] - job.target[i];
        job.dy[i] = (float)((difference > 0) - (difference < 0)) * job.step;
    }
}
