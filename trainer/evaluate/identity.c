#include "trainer/evaluate/identity.h"

#include <math.h>
#include <stdlib.h>

static double distance(int width, const float *a, const float *b)
{
    double sum = 0;
    for (int k = 0; k < width; k++)
        sum += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
    return sqrt(sum);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How many of the sorted values are less than `value`; equal ones count half. */
static double count_less(const double *sorted, int count, double value)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (sorted[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    int equal = low;
    while (equal < count && sorted[equal] <= value)
        equal++;
    return low + 0.5 * (equal - low);
}

lk_status lk_identity_measure(int count, int width, const float *photos, const float *pictures, double *distances, int *ranks,
                              lk_identity *out)
{
    *out = (lk_identity){.count = count, .own = NAN, .other = NAN, .auc = NAN, .rank1 = NAN};
    if (count < 2)
        return LK_OK;
    double *sorted = malloc((size_t)count * sizeof *sorted), own = 0, other = 0, less = 0;
    int first = 0;
    if (!sorted)
        return lk_fail(LK_INTERNAL, "out of memory for the descriptors of %d faces", count);
    for (int i = 0; i < count; i++) {
        sorted[i] = distances[i] = distance(width, photos + (size_t)i * (size_t)width, pictures + (size_t)i * (size_t)width);
        own += distances[i];
    }
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    for (int i = 0; i < count; i++) {
        ranks[i] = 1;
        for (int k = 0; k < count; k++) {
            if (k == i)
                continue;
            double d = distance(width, photos + (size_t)i * (size_t)width, pictures + (size_t)k * (size_t)width);
            other += d;
            less += count_less(sorted, count, d);
            ranks[i] += d <= distances[i];
        }
        first += ranks[i] == 1;
    }
    free(sorted);
    double pairs = (double)count * (count - 1);
    out->own = own / count;
    out->other = other / pairs;
    out->auc = less / (pairs * count);
    out->rank1 = (double)first / count;
    return LK_OK;
}
