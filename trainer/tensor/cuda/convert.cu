/* Between float32 and bfloat16, for sums that travel narrow: eight numbers a thread and step where the job says that memory
 * allows it, what is left of them, or all, one by one. */

typedef struct lk_wide_pack {
    float v[LK_CUDA_CONVERTED];
} LK_ALIGNED(16) lk_wide_pack;
typedef struct lk_narrow_pack {
    unsigned short v[LK_CUDA_CONVERTED];
} LK_ALIGNED(16) lk_narrow_pack;

LK_KERNEL(narrow, lk_convert_job)
{
    const float *in = (const float *)job.in;
    unsigned short *out = (unsigned short *)job.out;
    long long packed = job.packs * LK_CUDA_CONVERTED;
    LK_EACH (i, job.packs) {
        lk_wide_pack wide;
        lk_narrow_pack pack;
        for (int half = 0; half < 2; half++)
            LK_MOVE(lk_bytes16, wide.v + 4 * half, in + i * LK_CUDA_CONVERTED + 4 * half);
        for (int k = 0; k < LK_CUDA_CONVERTED; k++)
            pack.v[k] = lk_narrow(wide.v[k]);
        LK_MOVE(lk_bytes16, out + i * LK_CUDA_CONVERTED, &pack);
    }
    LK_EACH (i, job.count - packed)
        out[packed + i] = lk_narrow(in[packed + i]);
}

LK_KERNEL(widen, lk_convert_job)
{
    const unsigned short *in = (const unsigned short *)job.in;
    float *out = (float *)job.out;
    long long packed = job.packs * LK_CUDA_CONVERTED;
    LK_EACH (i, job.packs) {
        lk_wide_pack wide;
        lk_narrow_pack pack;
        LK_MOVE(lk_bytes16, &pack, in + i * LK_CUDA_CONVERTED);
        for (int k = 0; k < LK_CUDA_CONVERTED; k++)
            wide.v[k] = lk_widen(pack.v[k]);
        for (int half = 0; half < 2; half++)
            LK_MOVE(lk_bytes16, out + i * LK_CUDA_CONVERTED + 4 * half, wide.v + 4 * half);
    }
    LK_EACH (i, job.count - packed)
        out[packed + i] = lk_widen(in[packed + i]);
}
