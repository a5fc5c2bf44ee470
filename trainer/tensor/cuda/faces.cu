/* What goes over small arrays, in float64 as on the CPU: cross-entropy, the decoder's input, the statistics of batch norm;
 * and pictures to bytes. */

/* A thread a group of one sample: -ln softmax of the label, and the gradient times `share`. */
LK_KERNEL(cross_entropy, lk_entropy_job)
{
    int choices = job.groups.begins[job.groups.count];
    LK_EACH (i, (long long)job.samples * job.groups.count) {
        int g = (int)(i % job.groups.count), begin = job.groups.begins[g], count = job.groups.begins[g + 1] - begin,
            label = job.labels[i];
        const float *row = job.logits + i / job.groups.count * choices + begin;
        double largest = (double)row[0], total = 0;
        for (int k = 1; k < count; k++)
            largest = fmax(largest, (double)row[k]);
        for (int k = 0; k < count; k++)
            total += exp((double)row[k] - largest);
        job.losses[i] = log(total) + largest - (double)row[label];
        for (int k = 0; job.dlogits && k < count; k++)
            job.dlogits[i / job.groups.count * choices + begin + k] =
                (float)(job.share * (exp((double)row[k] - largest) / total - (double)(k == label)));
    }
}

LK_KERNEL(decoder_input, lk_decoder_input_job)
{
    int width = job.continuous_count + job.groups.begins[job.groups.count];
    LK_EACH (i, (long long)job.samples * width) {
        int column = (int)(i % width), choice = column - job.continuous_count;
        long long sample = i / width;
        float v = 0;
        if (choice < 0) {
            v = job.continuous[sample * job.continuous_count + column];
        } else {
            int g = 0;
            while (choice >= job.groups.begins[g + 1])
                g++;
            v = (float)(choice - job.groups.begins[g] == job.labels[sample * job.groups.count + g]);
        }
        job.input[i] = v;
    }
}

LK_KERNEL(batch_statistics, lk_batch_statistics_job)
{
    LK_EACH (c, job.channels) {
        double rstd = (double)job.rstd[c], biased = 1.0 / (rstd * rstd) - job.eps;
        job.mean_out[c] = (float)((double)job.mean[c] * job.share);
        job.variance_out[c] = (float)(biased * job.samples / (job.samples - 1.0) * job.share);
    }
}

/* [0,1] -> bytes, rounded and held within 0 .. 255. */
LK_KERNEL(pixels, lk_pixels_job)
{
    LK_EACH (i, job.count) {
        float v = job.values[i] * 255.0f + 0.5f;
        job.pixels[i] = (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}
