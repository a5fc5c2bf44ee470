/* Bytes of pictures, three channels innermost, to numbers: the same division and subtraction as the CPU's. */

typedef struct NAME(bytes) {
    unsigned char v[LANES];
} LK_ALIGNED(LANES) NAME(bytes);

LK_DEVICE ELEMENT NAME(from_byte)(const lk_pictures_job *job, unsigned char byte, int channel)
{
    float mean = channel == 0 ? job->mean[0] : channel == 1 ? job->mean[1] : job->mean[2];
    float deviation = channel == 0 ? job->deviation[0] : channel == 1 ? job->deviation[1] : job->deviation[2];
    return NARROW(((float)byte / 255.0f - mean) / deviation);
}

LK_KERNEL(NAME(pictures), lk_pictures_job)
{
    ELEMENT *out = (ELEMENT *)job.values;
    LK_EACH (i, job.count / LANES) {
        NAME(bytes) bytes;
        LK_MOVE(BYTES, &bytes, job.pixels + i * LANES);
        int channel = (int)(i * LANES % 3);
        PACK p;
        for (int k = 0; k < LANES; k++) {
            p.v[k] = NAME(from_byte)(&job, bytes.v[k], channel);
            channel = channel == 2 ? 0 : channel + 1;
        }
        NAME(store)(out + i * LANES, p);
    }
    long long i = NAME(rest)(job.count);
    if (i >= 0)
        out[i] = NAME(from_byte)(&job, job.pixels[i], (int)(i % 3));
}
