/* Element by element, a pack of numbers a thread and step; what is left of a pack at the end goes to the first block. */

LK_DEVICE long long NAME(packs)(long long count)
{
    return count / LANES;
}
/* The index of a number past the last whole pack, which this thread has to do; -1: none. */
LK_DEVICE long long NAME(rest)(long long count)
{
    long long i = count / LANES * LANES + threadIdx.x;
    return blockIdx.x == 0 && i < count ? i : -1;
}

/* out *= (in > 0): in is the output of a ReLU, out its gradient. */
LK_KERNEL(NAME(relu_backward), lk_flat_job)
{
    ELEMENT *dy = (ELEMENT *)job.out;
    const ELEMENT *y = (const ELEMENT *)job.in;
    LK_EACH (i, NAME(packs)(job.count)) {
        PACK a = NAME(load)(dy + i * LANES), b = NAME(load)(y + i * LANES);
        for (int k = 0; k < LANES; k++)
            a.v[k] = WIDEN(b.v[k]) > 0 ? a.v[k] : NARROW(0.0f);
        NAME(store)(dy + i * LANES, a);
    }
    long long i = NAME(rest)(job.count);
    if (i >= 0)
        dy[i] = WIDEN(y[i]) > 0 ? dy[i] : NARROW(0.0f);
}

/* out += in */
LK_KERNEL(NAME(add), lk_flat_job)
{
    ELEMENT *a = (ELEMENT *)job.out;
    const ELEMENT *b = (const ELEMENT *)job.in;
    LK_EACH (i, NAME(packs)(job.count)) {
        PACK sum = NAME(load)(a + i * LANES), term = NAME(load)(b + i * LANES);
        for (int k = 0; k < LANES; k++)
            sum.v[k] = NARROW(WIDEN(sum.v[k]) + WIDEN(term.v[k]));
        NAME(store)(a + i * LANES, sum);
    }
    long long i = NAME(rest)(job.count);
    if (i >= 0)
        a[i] = NARROW(WIDEN(a[i]) + WIDEN(b[i]));
}

/* out *= factor */
LK_KERNEL(NAME(scale), lk_flat_job)
{
    ELEMENT *a = (ELEMENT *)job.out;
    LK_EACH (i, NAME(packs)(job.count)) {
        PACK p = NAME(load)(a + i * LANES);
        for (int k = 0; k < LANES; k++)
            p.v[k] = NARROW(job.factor * WIDEN(p.v[k]));
        NAME(store)(a + i * LANES, p);
    }
    long long i = NAME(rest)(job.count);
    if (i >= 0)
        a[i] = NARROW(job.factor * WIDEN(a[i]));
}
