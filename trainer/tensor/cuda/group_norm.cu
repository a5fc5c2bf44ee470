/* Group norm (tensor.h; Wu and He 2018), channels_last: a map is read twice and written once, forward and backward, without a
 * change of layout.
 *
 *     y = scale (x - mean) rstd + shift, mean and rstd over a group's pixels and channels
 *     dx = scale rstd dy + s x - s mean - rstd/m sum(scale dy),  s = (mean sum(scale dy) - sum(scale dy x)) rstd^3 / m
 *
 * Both passes begin with sums over pixels of u v and of u (forward u = v = x; backward u = dy, v = x), and end with
 * out = a u + b v + k. What lies between, small and in float64, is in group_norm_statistics.cu. */

/* A block's sums over a chunk of one sample's pixels. A thread adds up few pixels in float32; the rest is float64. */
LK_KERNEL(NAME(norm_sums), lk_norm_sums_job)
{
    __shared__ float held[2 * LANES][LK_CUDA_THREADS];
    int first = (int)(blockIdx.y * blockDim.x + threadIdx.x) * LANES, place = (int)(threadIdx.y * blockDim.x + threadIdx.x);
    int chunk = (int)blockIdx.x, rows = (job.pixels + job.chunks - 1) / job.chunks;
    int begin = chunk * rows, end = begin + rows < job.pixels ? begin + rows : job.pixels;
    long long sample = (long long)blockIdx.z * job.pixels * job.channels;
    float product[LANES], total[LANES];
    for (int k = 0; k < LANES; k++)
        product[k] = total[k] = 0;
    for (int p = begin + (int)threadIdx.y; first < job.channels && p < end; p += (int)blockDim.y) {
        long long at = sample + (long long)p * job.channels + first;
        PACK a = NAME(load)((const ELEMENT *)job.u + at), b = NAME(load)((const ELEMENT *)job.v + at);
        for (int k = 0; k < LANES; k++) {
            product[k] += WIDEN(a.v[k]) * WIDEN(b.v[k]);
            total[k] += WIDEN(a.v[k]);
        }
    }
    for (int k = 0; k < LANES; k++) {
        held[k][place] = product[k];
        held[LANES + k][place] = total[k];
    }
    __syncthreads();
    if (threadIdx.y > 0 || first >= job.channels)
        return;
    double *out = job.sums + ((long long)blockIdx.z * job.chunks + chunk) * 2 * job.channels;
    for (int k = 0; k < 2 * LANES; k++) {
        double sum = 0;
        for (int row = 0; row < (int)blockDim.y; row++)
            sum += (double)held[k][row * (int)blockDim.x + place];
        out[k / LANES * job.channels + first + k % LANES] = sum;
    }
}

/* out = a u + b v + k, or without v, a u + k. */
LK_KERNEL(NAME(norm_apply), lk_norm_apply_job)
{
    int first = (int)(blockIdx.y * blockDim.x + threadIdx.x) * LANES;
    if (first >= job.channels)
        return;
    long long sample = (long long)blockIdx.z * job.pixels * job.channels;
    const float *factors = job.factors + (long long)blockIdx.z * 3 * job.channels + first;
    float a[LANES], b[LANES], c[LANES];
    for (int k = 0; k < LANES; k++) {
        a[k] = factors[k];
        b[k] = factors[job.channels + k];
        c[k] = factors[2 * job.channels + k];
    }
    int step = (int)(gridDim.x * blockDim.y);
    for (int p = (int)(blockIdx.x * blockDim.y + threadIdx.y); p < job.pixels; p += step) {
        long long at = sample + (long long)p * job.channels + first;
        PACK u = NAME(load)((const ELEMENT *)job.u + at), out;
        if (job.v) {
            PACK v = NAME(load)((const ELEMENT *)job.v + at);
            for (int k = 0; k < LANES; k++)
                out.v[k] = NARROW(a[k] * WIDEN(u.v[k]) + b[k] * WIDEN(v.v[k]) + c[k]);
        } else {
            for (int k = 0; k < LANES; k++)
                out.v[k] = NARROW(a[k] * WIDEN(u.v[k]) + c[k]);
        }
        NAME(store)((ELEMENT *)job.out + at, out);
    }
}
