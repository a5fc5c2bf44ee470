#include "trainer/model/loss.h"

#include <math.h>
#include <stdlib.h>

double lk_discrete_loss(const lk_schema *schema, int n, const double *logits, const uint8_t *labels, double share,
                        double *dlogits)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        const double *row = logits + (size_t)i * (size_t)schema->choice_count;
        double *drow = dlogits ? dlogits + (size_t)i * (size_t)schema->choice_count : NULL;
        for (int g = 0; g < schema->group_count; g++) {
            int count = schema->groups[g].count;
            int label = labels[(size_t)i * (size_t)schema->group_count + (size_t)g];
            double largest = row[0];
            for (int k = 1; k < count; k++)
                largest = fmax(largest, row[k]);
            double total = 0;
            for (int k = 0; k < count; k++)
                total += exp(row[k] - largest);
            sum += log(total) + largest - row[label];
            for (int k = 0; drow && k < count; k++)
                drow[k] = share * (exp(row[k] - largest) / total - (k == label));
            row += count;
            if (drow)
                drow += count;
        }
    }
    return sum;
}

double lk_pixel_loss(const lk_tensor *y, const lk_tensor *target, double share, lk_tensor **dy)
{
    int64_t n = lk_tensor_dim(y, 0);
    double *norms = calloc((size_t)n + 1, sizeof *norms);
    lk_tensor *difference = lk_subtract(y, target);
    double sum = 0;
    if (norms)
        lk_sum_squares(difference, norms);
    for (int64_t i = 0; norms && i < n; i++) {
        double norm = sqrt(norms[i]);
        sum += norm;
        norms[i] = norm > 0 ? share / norm : 0; /* d||x|| / dx = x / ||x|| */
    }
    if (dy && norms) {
        lk_tensor *factors = lk_tensor_from_doubles(norms, lk_tensor_dtype(y), 4, (int64_t[]){n, 1, 1, 1});
        lk_multiply_(difference, factors);
        lk_tensor_free(&factors);
        *dy = difference;
        difference = NULL;
    }
    lk_tensor_free(&difference);
    if (!norms)
        lk_tensor_fail(LK_INTERNAL, "out of memory for the losses of a batch");
    free(norms);
    return sum;
}

double lk_l1_loss(const lk_tensor *y, const lk_tensor *target, double share, lk_tensor **dy)
{
    int64_t n = lk_tensor_dim(y, 0);
    double pixels = (double)lk_tensor_count(y) / (double)n;
    double *sums = calloc((size_t)n + 1, sizeof *sums);
    lk_tensor *difference = lk_subtract(y, target);
    double sum = 0;
    if (sums)
        lk_sum_absolute(difference, sums);
    for (int64_t i = 0; sums && i < n; i++)
        sum += sums[i] / pixels;
    if (dy) {
        *dy = lk_sign(difference);
        lk_scale_(*dy, share / pixels);
    }
    lk_tensor_free(&difference);
    if (!sums)
        lk_tensor_fail(LK_INTERNAL, "out of memory for the losses of a batch");
    free(sums);
    return sum;
}
