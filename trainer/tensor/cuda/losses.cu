/* Losses (trainer/model/loss.h) and what goes into and comes out of the decoder: small arrays, in float64 as the CPU does it. */

/* A thread a group of one sample: -ln softmax of the label, and the gradient times `share`. */
LK_KERNEL(cross_entropy, lk_entropy_job)
{
    int choices = job.begins[job.groups];
    LK_EACH (i, (long long)job.samples * job.groups) {
        int g = (int)(i % job.groups), begin = job.begins[g], count = job.begins[g + 1] - begin, label = job.labels[i];
        const float *row = job.logits + i / job.groups * choices + begin;
        double largest = (double)row[0], total = 0;
        for (int k = 1; k < count; k++)
            largest = fmax(largest, (double)row[k]);
        for (int k = 0; k < count; k++)
            total += exp((double)row[k] - largest);
        job.losses[i] = log(total) + largest - (double)row[label];
        for (int k = 0; job.dlogits && k < count; k++)
            job.dlogits[i / job.groups * choices + begin + k] =
                (float)(job.share * (exp((double)row[k] - largest) / total - (double)(k == label)));
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

LK_KERNEL(decoder_input, lk_decoder_input_job)
{
    int width = job.continuous_count + job.begins[job.groups];
    LK_EACH (i, (long long)job.samples * width) {
        int column = (int)(i % width), choice = column - job.continuous_count;
        long long sample = i / width;
        float v = 0;
        if (choice < 0) {
            v = job.continuous[sample * job.continuous_count + column];
        } else {
            int g = 0;
            while (choice >= job.begins[g + 1])
                g++;
            v = (float)(choice - job.begins[g] == job.labels[sample * job.groups + g]);
        }
        job.input[i] = v;
    }
}

LK_KERNEL(decoder_input_gradient, lk_columns_of_job)
{
    LK_EACH (i, (long long)job.samples * job.columns)
        job.dcontinuous[i] = job.dinput[i / job.columns * job.width + i % job.columns];
}

LK_KERNEL(batch_statistics, lk_batch_statistics_job)
{
    LK_EACH (c, job.channels) {
        double rstd = (double)job.rstd[c], biased = 1.0 / (rstd * rstd) - job.eps;
        job.mean_out[c] = (float)((double)job.mean[c] * job.share);
        job.variance_out[c] = (float)(biased * job.samples / (job.samples - 1.0) * job.share);
    }
}
