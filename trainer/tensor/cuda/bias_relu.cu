/* What follows a convolution, in one pass: bias and ReLU, and the 2x2 pool; backward with the bias gradient. Of what a pool saw
 * only one byte a result is kept: which of the four it was, or that the ReLU gave zero.
 *
 * A block's x are packs of one row's channels, its y rows; blockIdx.y counts tiles of packs. */

/* This thread's first channel; past the last: nothing to do. */
LK_DEVICE int NAME(first_channel)(void)
{
    return (int)(blockIdx.y * blockDim.x + threadIdx.x) * LANES;
}

/* The block's sums over its rows, to partial[block][channels]: the threads of a column in a tree. blockDim.y is a power of two.
 * Every thread of the block must call. */
LK_DEVICE void NAME(leave_sums)(const float *sum, float *partial, int channels)
{
    __shared__ float held[LANES][LK_CUDA_THREADS];
    int place = (int)(threadIdx.y * blockDim.x + threadIdx.x), first = NAME(first_channel)();
    for (int k = 0; k < LANES; k++)
        held[k][place] = sum[k];
    for (int half = (int)blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.y < half)
            for (int k = 0; k < LANES; k++)
                held[k][place] += held[k][place + half * (int)blockDim.x];
    }
    if (threadIdx.y == 0 && first < channels)
        for (int k = 0; k < LANES; k++)
            partial[(long long)blockIdx.x * channels + first + k] = held[k][place];
}

/* z = z + bias, and relu of it; a NaN stays one. */
LK_KERNEL(NAME(bias_relu), lk_bias_job)
{
    int first = NAME(first_channel)();
    if (first >= job.channels)
        return;
    float bias[LANES];
    for (int k = 0; k < LANES; k++)
        bias[k] = job.bias[first + k];
    for (long long r = (long long)blockIdx.x * blockDim.y + threadIdx.y; r < job.rows; r += (long long)gridDim.x * blockDim.y) {
        ELEMENT *at = (ELEMENT *)job.z + r * job.channels + first;
        PACK p = NAME(load)(at);
        for (int k = 0; k < LANES; k++) {
            float v = WIDEN(p.v[k]) + bias[k];
            p.v[k] = NARROW(job.relu && v < 0 ? 0.0f : v);
        }
        NAME(store)(at, p);
    }
}

/* z, which is dy, *= (y > 0); partial: sums of the result over rows. Without y dy stays, without partial nothing is summed. */
LK_KERNEL(NAME(bias_relu_backward), lk_bias_job)
{
    int first = NAME(first_channel)();
    float sum[LANES];
    for (int k = 0; k < LANES; k++)
        sum[k] = 0;
    long long r = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    for (; first < job.channels && r < job.rows; r += (long long)gridDim.x * blockDim.y) {
        long long at = r * job.channels + first;
        PACK a = NAME(load)((ELEMENT *)job.z + at);
        if (job.y) {
            PACK b = NAME(load)((const ELEMENT *)job.y + at);
            for (int k = 0; k < LANES; k++)
                a.v[k] = WIDEN(b.v[k]) > 0 ? a.v[k] : NARROW(0.0f);
            NAME(store)((ELEMENT *)job.z + at, a);
        }
        for (int k = 0; k < LANES; k++)
            sum[k] += WIDEN(a.v[k]);
    }
    if (job.partial)
        NAME(leave_sums)(sum, job.partial, job.channels);
}

/* The bytes of a pack of choices, loaded and stored at once. */
typedef struct NAME(choices) {
    unsigned char v[LANES];
} LK_ALIGNED(LANES) NAME(choices);

/* pooled = max over 2x2 of relu(full + bias). The bias is the same for all four, so it is added to the greatest alone. */
LK_KERNEL(NAME(bias_relu_pool), lk_pool_job)
{
    int first = NAME(first_channel)(), height = job.height / 2, width = job.width / 2;
    if (first >= job.channels)
        return;
    float bias[LANES];
    for (int k = 0; k < LANES; k++)
        bias[k] = job.bias[first + k];
    int rows = job.samples * height * width, step = (int)(gridDim.x * blockDim.y);
    for (int r = (int)(blockIdx.x * blockDim.y + threadIdx.y); r < rows; r += step) {
        int x = r % width, line = r / width, y = line % height, n = line / height;
        const ELEMENT *at =
            (const ELEMENT *)job.full + (((long long)n * job.height + 2 * y) * job.width + 2 * x) * job.channels + first;
        long long down = (long long)job.width * job.channels;
        PACK corner[4];
        corner[0] = NAME(load)(at);
        corner[1] = NAME(load)(at + job.channels);
        corner[2] = NAME(load)(at + down);
        corner[3] = NAME(load)(at + down + job.channels);
        PACK out;
        NAME(choices) choice;
        for (int k = 0; k < LANES; k++) {
            float best = WIDEN(corner[0].v[k]);
            int which = 0;
            for (int q = 1; q < 4; q++) {
                float v = WIDEN(corner[q].v[k]);
                if (v > best || v != v) { /* a NaN is the greatest, as with libtorch */
                    best = v;
                    which = q;
                }
            }
            best += bias[k];
            out.v[k] = NARROW(best < 0 ? 0.0f : best);
            choice.v[k] = (unsigned char)(WIDEN(out.v[k]) > 0 ? which : LK_CUDA_DEAD);
        }
        NAME(store)((ELEMENT *)job.pooled + (long long)r * job.channels + first, out);
        LK_MOVE(BYTES, job.choice + (long long)r * job.channels + first, &choice);
    }
}

/* Backward of the same: a thread a 2x2 of `full`, also where an odd height or width leaves a part of one that no pool saw. */
LK_KERNEL(NAME(bias_relu_pool_backward), lk_pool_job)
{
    int first = NAME(first_channel)(), height = (job.height + 1) / 2, width = (job.width + 1) / 2;
    float sum[LANES];
    for (int k = 0; k < LANES; k++)
        sum[k] = 0;
    int rows = first < job.channels ? job.samples * height * width : 0, step = (int)(gridDim.x * blockDim.y);
    for (int r = (int)(blockIdx.x * blockDim.y + threadIdx.y); r < rows; r += step) {
        int x = r % width, line = r / width, y = line % height, n = line / height;
        int pooled = 2 * x + 1 < job.width && 2 * y + 1 < job.height;
        PACK dy;
        NAME(choices) choice;
        for (int k = 0; k < LANES; k++) {
            dy.v[k] = NARROW(0.0f);
            choice.v[k] = LK_CUDA_DEAD;
        }
        if (pooled) {
            long long at = (((long long)n * (job.height / 2) + y) * (job.width / 2) + x) * job.channels + first;
            dy = NAME(load)((const ELEMENT *)job.pooled + at);
            LK_MOVE(BYTES, &choice, job.choice + at);
        }
        for (int k = 0; k < LANES; k++)
            sum[k] += choice.v[k] < 4 ? WIDEN(dy.v[k]) : 0.0f;
        for (int q = 0; q < 4; q++) {
            int row = 2 * y + q / 2, column = 2 * x + q % 2;
            long long at = (((long long)n * job.height + row) * job.width + column) * job.channels + first;
            PACK out;
            for (int k = 0; k < LANES; k++)
                out.v[k] = choice.v[k] == q ? dy.v[k] : NARROW(0.0f);
            if (row < job.height && column < job.width)
                NAME(store)((ELEMENT *)job.full + at, out);
        }
    }
    if (job.partial)
        NAME(leave_sums)(sum, job.partial, job.channels);
}
