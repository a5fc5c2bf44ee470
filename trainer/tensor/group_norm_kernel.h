/* Internal to trainer/tensor/group_norm.c, which includes it once for each number format with
 *
 *     NAME(f)    the function's name for this format        ELEMENT   what memory holds
 *     NUMBER     what is computed in                        LOAD(v), STORE(v)   between the two
 *
 * One sample a call, channels_last: channels are the inner loop, so that every loop over them is a vector loop. Sums over at
 * most BLOCK pixels are taken in NUMBER, the rest in double.
 */
enum { NAME(BLOCK) = 32 };

/* sums[c] += sum over pixels of u[c] * v[c]; totals[c] += sum of u[c]. */
static void NAME(sum_channels)(const ELEMENT *restrict u, const ELEMENT *restrict v, int64_t pixels, int64_t channels,
                               NUMBER *restrict product, NUMBER *restrict total, double *restrict sums, double *restrict totals)
{
    for (int64_t begin = 0; begin < pixels; begin += NAME(BLOCK)) {
        int64_t end = begin + NAME(BLOCK) < pixels ? begin + NAME(BLOCK) : pixels;
        for (int64_t c = 0; c < channels; c++)
            product[c] = total[c] = 0;
        for (int64_t p = begin; p < end; p++)
            for (int64_t c = 0; c < channels; c++) {
                NUMBER a = LOAD(u[p * channels + c]);
                product[c] += a * LOAD(v[p * channels + c]);
                total[c] += a;
            }
        for (int64_t c = 0; c < channels; c++) {
            sums[c] += (double)product[c];
            totals[c] += (double)total[c];
        }
    }
}

/* out = a[c] * u + b[c] * v + k[c] */
static void NAME(combine)(const ELEMENT *restrict u, const ELEMENT *restrict v, int64_t pixels, int64_t channels,
                          const NUMBER *restrict a, const NUMBER *restrict b, const NUMBER *restrict k, ELEMENT *restrict out)
{
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < channels; c++)
            out[p * channels + c] = STORE(a[c] * LOAD(u[p * channels + c]) + b[c] * LOAD(v[p * channels + c]) + k[c]);
}

/* out = a[c] * u + k[c] */
static void NAME(scale)(const ELEMENT *restrict u, int64_t pixels, int64_t channels, const NUMBER *restrict a,
                        const NUMBER *restrict k, ELEMENT *restrict out)
{
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < channels; c++)
            out[p * channels + c] = STORE(a[c] * LOAD(u[p * channels + c]) + k[c]);
}

static void NAME(forward_samples)(int64_t begin, int64_t end, void *context)
{
    const norm_job *job = context;
    int64_t channels = job->channels, size = job->pixels * channels, width = channels / job->groups;
    NUMBER *scratch = malloc(2 * (size_t)channels * sizeof *scratch);
    double *sums = malloc(2 * (size_t)channels * sizeof *sums);
    for (int64_t n = begin; scratch && sums && n < end; n++) {
        const ELEMENT *x = (const ELEMENT *)job->x + n * size;
        NUMBER *a = scratch, *k = scratch + channels;
        double *squares = sums, *totals = sums + channels;
        memset(sums, 0, 2 * (size_t)channels * sizeof *sums);
        NAME(sum_channels)(x, x, job->pixels, channels, a, k, squares, totals);
        for (int64_t g = 0; g < job->groups; g++) {
            double count = (double)(job->pixels * width), sum = 0, square = 0;
            for (int64_t c = g * width; c < (g + 1) * width; c++) {
                sum += totals[c];
                square += squares[c];
            }
            double mean = sum / count;
            double variance = square / count - mean * mean;
            double rstd = 1 / sqrt((variance > 0 ? variance : 0) + job->eps);
            job->mean[n * job->groups + g] = mean;
            job->rstd[n * job->groups + g] = rstd;
            for (int64_t c = g * width; c < (g + 1) * width; c++) {
                a[c] = (NUMBER)(job->scale[c] * rstd);
                k[c] = (NUMBER)(job->shift[c] - job->scale[c] * rstd * mean);
            }
        }
        NAME(scale)(x, job->pixels, channels, a, k, (ELEMENT *)job->out + n * size);
    }
    if (!scratch || !sums)
        job->out_of_memory[0] = true;
    free(scratch);
    free(sums);
}

static void NAME(backward_samples)(int64_t begin, int64_t end, void *context)
{
    const norm_job *job = context;
    int64_t channels = job->channels, size = job->pixels * channels, width = channels / job->groups;
    NUMBER *scratch = malloc(3 * (size_t)channels * sizeof *scratch);
    for (int64_t n = begin; scratch && n < end; n++) {
        const ELEMENT *x = (const ELEMENT *)job->x + n * size;
        const ELEMENT *dy = (const ELEMENT *)job->dy + n * size;
        NUMBER *a = scratch, *b = scratch + channels, *k = scratch + 2 * channels;
        double *products = job->products + n * channels, *totals = job->totals + n * channels;
        NAME(sum_channels)(dy, x, job->pixels, channels, a, b, products, totals);
        for (int64_t g = 0; g < job->groups; g++) {
            double count = (double)(job->pixels * width), product = 0, total = 0;
            double mean = job->mean[n * job->groups + g], rstd = job->rstd[n * job->groups + g];
            for (int64_t c = g * width; c < (g + 1) * width; c++) {
                product += products[c] * job->scale[c];
                total += totals[c] * job->scale[c];
            }
            double slope = (total * mean - product) * rstd * rstd * rstd / count;
            for (int64_t c = g * width; c < (g + 1) * width; c++) {
                a[c] = (NUMBER)(job->scale[c] * rstd);
                b[c] = (NUMBER)slope;
                k[c] = (NUMBER)(-slope * mean - total * rstd / count);
            }
        }
        NAME(combine)(dy, x, job->pixels, channels, a, b, k, (ELEMENT *)job->out + n * size);
    }
    if (!scratch)
        job->out_of_memory[0] = true;
    free(scratch);
}

#undef NAME
#undef ELEMENT
#undef NUMBER
#undef LOAD
#undef STORE
