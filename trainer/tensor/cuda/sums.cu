/* Adding up: over the threads of a block, over blocks, over ranges. Always in the same order. */

/* The sum of v over the block's threads, for thread 0. blockDim.x is a power of two. */
LK_DEVICE double block_sum(double v)
{
    __shared__ double held[LK_CUDA_THREADS];
    __syncthreads(); /* readers of an earlier sum are done */
    held[threadIdx.x] = v;
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            held[threadIdx.x] += held[threadIdx.x + half];
    }
    return held[0];
}

/* A block of 32 x 8: 32 columns, of which each of the 8 threads adds up every eighth of the partial sums. */
LK_KERNEL(sum_columns, lk_columns_job)
{
    __shared__ double held[8][32];
    int c = (int)(blockIdx.x * 32 + threadIdx.x);
    double sum = 0;
    for (int b = (int)threadIdx.y; c < job.channels && b < job.blocks; b += 8)
        sum += (double)job.partial[(long long)b * job.channels + c];
    held[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || c >= job.channels)
        return;
    for (int k = 1; k < 8; k++)
        sum += held[k][threadIdx.x];
    job.out[c] = (float)sum;
}

/* Squares of float32 in float64: they cannot overflow, so the sum is finite exactly if every number is. */
LK_KERNEL(range_squares, lk_squares_job)
{
    double sum = 0;
    LK_EACH (i, job.count)
        sum += (double)job.x[i] * (double)job.x[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        job.partial[blockIdx.x] = sum;
}

LK_KERNEL(total, lk_total_job)
{
    double sum = 0;
    for (int i = (int)threadIdx.x; i < job.count; i += (int)blockDim.x)
        sum += job.values[i] / job.divisor;
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        *job.out += sum;
}
