/* float32 -> bfloat16, to nearest even: the copy of the weights that layers compute with. */

typedef struct eight_floats {
    float v[8];
} LK_ALIGNED(16) eight_floats;
typedef struct eight_bfloats {
    unsigned short v[8];
} LK_ALIGNED(16) eight_bfloats;

/* Eight numbers a thread and step; both begin at multiples of 16 bytes. */
LK_KERNEL(narrow, lk_flat_job)
{
    LK_EACH (i, job.count / 8) {
        eight_floats in;
        eight_bfloats out;
        LK_MOVE(lk_bytes16, &in.v[0], (const float *)job.in + i * 8);
        LK_MOVE(lk_bytes16, &in.v[4], (const float *)job.in + i * 8 + 4);
        for (int k = 0; k < 8; k++)
            out.v[k] = lk_narrow(in.v[k]);
        LK_MOVE(lk_bytes16, (unsigned short *)job.out + i * 8, &out);
    }
    long long i = job.count / 8 * 8 + threadIdx.x;
    if (blockIdx.x == 0 && i < job.count)
        ((unsigned short *)job.out)[i] = lk_narrow(((const float *)job.in)[i]);
}
