/* Group norm between its two passes over the maps (group_norm.cu): a block a sample, a thread a group, in float64. */

/* Sum over the chunks of a sample, of channel c; which: 0 of u v, 1 of u. */
LK_DEVICE double norm_channel_sum(const lk_norm_statistics_job *job, int sample, int which, int c)
{
    double sum = 0;
    for (int chunk = 0; chunk < job->chunks; chunk++)
        sum += job->sums[(((long long)sample * job->chunks + chunk) * 2 + which) * job->channels + c];
    return sum;
}

LK_KERNEL(norm_statistics, lk_norm_statistics_job)
{
    int sample = (int)blockIdx.x, width = job.channels / job.groups;
    float *a = job.factors + (long long)sample * 3 * job.channels, *k = a + 2 * job.channels;
    for (int g = (int)threadIdx.x; g < job.groups; g += (int)blockDim.x) {
        double count = (double)job.pixels * width, sum = 0, square = 0;
        for (int c = g * width; c < (g + 1) * width; c++) {
            sum += norm_channel_sum(&job, sample, 1, c);
            square += norm_channel_sum(&job, sample, 0, c);
        }
        double mean = sum / count, variance = square / count - mean * mean;
        double rstd = 1 / sqrt((variance < 0 ? 0 : variance) + job.eps);
        job.mean[(long long)sample * job.groups + g] = mean;
        job.rstd[(long long)sample * job.groups + g] = rstd;
        for (int c = g * width; c < (g + 1) * width; c++) {
            a[c] = (float)((double)job.scale[c] * rstd);
            a[job.channels + c] = 0;
            k[c] = (float)((double)job.shift[c] - (double)job.scale[c] * rstd * mean);
        }
    }
}

LK_KERNEL(norm_slopes, lk_norm_statistics_job)
{
    int sample = (int)blockIdx.x, width = job.channels / job.groups;
    float *a = job.factors + (long long)sample * 3 * job.channels, *b = a + job.channels, *k = b + job.channels;
    double *products = job.products + (long long)sample * job.channels, *totals = job.totals + (long long)sample * job.channels;
    for (int g = (int)threadIdx.x; g < job.groups; g += (int)blockDim.x) {
        double count = (double)job.pixels * width, product = 0, total = 0;
        double mean = job.mean[(long long)sample * job.groups + g], rstd = job.rstd[(long long)sample * job.groups + g];
        for (int c = g * width; c < (g + 1) * width; c++) {
            products[c] = norm_channel_sum(&job, sample, 0, c);
            totals[c] = norm_channel_sum(&job, sample, 1, c);
            product += products[c] * (double)job.scale[c];
            total += totals[c] * (double)job.scale[c];
        }
        double slope = (total * mean - product) * rstd * rstd * rstd / count;
        for (int c = g * width; c < (g + 1) * width; c++) {
            a[c] = (float)((double)job.scale[c] * rstd);
            b[c] = (float)slope;
            k[c] = (float)(-slope * mean - total * rstd / count);
        }
    }
}

/* A thread a channel, over the samples in their order. */
LK_KERNEL(norm_gradients, lk_norm_statistics_job)
{
    int width = job.channels / job.groups;
    LK_EACH (c, job.channels) {
        double change = 0, total = 0;
        for (int n = 0; n < job.samples; n++) {
            long long group = (long long)n * job.groups + c / width, at = (long long)n * job.channels + c;
            change += (job.products[at] - job.totals[at] * job.mean[group]) * job.rstd[group];
            total += job.totals[at];
        }
        job.dscale[c] = (float)change;
        job.dshift[c] = (float)total;
    }
}
