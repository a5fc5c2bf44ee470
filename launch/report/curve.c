#include "launch/report/curve.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { A_BIN = 3, ENDS = 2 }; /* points that a bin leaves, that the curve's ends add */

void lk_curve_free(lk_curve *curve)
{
    free(curve->x);
    free(curve->y);
    free(curve->mean_x);
    free(curve->mean_y);
    *curve = (lk_curve){0};
}

static void add_to_bin(lk_curve_bin *bin, int64_t step, double value)
{
    if (!isfinite(value)) {
        bin->gaps++;
        bin->gap = step;
        return;
    }
    if (bin->finite == 0 || value < bin->low.value)
        bin->low = (lk_curve_point){step, value};
    if (bin->finite == 0 || value > bin->high.value)
        bin->high = (lk_curve_point){step, value};
    bin->finite++;
    bin->steps += (double)step;
    bin->values += value;
}

static lk_curve_bin join(const lk_curve_bin *a, const lk_curve_bin *b)
{
    lk_curve_bin both = *a;
    if (b->finite > 0 && (a->finite == 0 || b->low.value < a->low.value))
        both.low = b->low;
    if (b->finite > 0 && (a->finite == 0 || b->high.value > a->high.value))
        both.high = b->high;
    if (b->gaps > 0)
        both.gap = b->gap;
    both.finite += b->finite;
    both.steps += b->steps;
    both.values += b->values;
    both.gaps += b->gaps;
    return both;
}

static void halve(lk_thinner *t)
{
    for (size_t i = 0; i < LK_CURVE_BINS / 2; i++)
        t->bins[i] = join(&t->bins[2 * i], &t->bins[2 * i + 1]);
    t->count = LK_CURVE_BINS / 2;
    t->per_bin *= 2;
}

void lk_thinner_add(lk_thinner *t, int64_t step, double value)
{
    if (t->per_bin == 0)
        t->per_bin = 1;
    if (t->count == 0 || t->in_last == t->per_bin) {
        if (t->count == LK_CURVE_BINS)
            halve(t);
        t->bins[t->count++] = (lk_curve_bin){0};
        t->in_last = 0;
    }
    add_to_bin(&t->bins[t->count - 1], step, value);
    t->in_last++;
    t->seen++;
    t->last = (lk_curve_point){step, value};
    if (!isfinite(value)) {
        t->not_finite++;
        return;
    }
    if (t->seen - t->not_finite == 1)
        t->first = t->last;
    t->last_finite = t->last;
}

/* Points of one bin, in the order of their steps. */
static int by_step(const void *a, const void *b)
{
    const lk_curve_point *x = a, *y = b;
    return (x->step > y->step) - (x->step < y->step);
}

static void put(lk_curve *out, lk_curve_point point)
{
    bool same = out->count > 0 && out->x[out->count - 1] == (double)point.step;
    bool gap_after_gap = out->count > 0 && isnan(point.value) && isnan(out->y[out->count - 1]);
    if (gap_after_gap || (same && !isnan(point.value) && out->y[out->count - 1] == point.value))
        return;
    out->x[out->count] = (double)point.step;
    out->y[out->count++] = point.value;
}

/* What is left of a bin; the curve's ends count where they lie in it. */
static size_t points_of(const lk_thinner *t, const lk_curve_bin *bin, bool first, bool last, lk_curve_point *points)
{
    size_t count = 0;
    if (bin->finite > 0) {
        points[count++] = bin->low;
        points[count++] = bin->high;
    }
    if (bin->gaps > 0)
        points[count++] = (lk_curve_point){bin->gap, NAN};
    if (first)
        points[count++] = t->first;
    if (last)
        points[count++] = t->last_finite;
    qsort(points, count, sizeof *points, by_step);
    return count;
}

static lk_status allocate(const lk_thinner *t, lk_curve *out)
{
    double **const arrays[] = {&out->x, &out->y, &out->mean_x, &out->mean_y};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = calloc(i < 2 ? A_BIN * t->count + ENDS : t->count + 1, sizeof **arrays[i]);
        if (!*arrays[i]) {
            lk_curve_free(out);
            return lk_fail(LK_INTERNAL, "out of memory for a curve");
        }
    }
    return LK_OK;
}

lk_status lk_thinner_finish(const lk_thinner *t, lk_curve *out)
{
    int64_t finite = t->seen - t->not_finite, passed = 0;
    double sum = 0;
    *out = (lk_curve){.seen = t->seen, .not_finite = t->not_finite, .last_step = t->last.step};
    LK_TRY(allocate(t, out));
    for (size_t i = 0; i < t->count; i++) {
        const lk_curve_bin *bin = &t->bins[i];
        lk_curve_point points[A_BIN + ENDS];
        bool first = passed == 0 && bin->finite > 0;
        passed += bin->finite;
        sum += bin->values;
        size_t count = points_of(t, bin, first, bin->finite > 0 && passed == finite, points);
        for (size_t k = 0; k < count; k++)
            put(out, points[k]);
        if (bin->finite > 0) {
            out->mean_x[out->mean_count] = bin->steps / (double)bin->finite;
            out->mean_y[out->mean_count++] = bin->values / (double)bin->finite;
        }
    }
    out->last = t->seen > 0 ? t->last.value : NAN;
    out->mean = finite > 0 ? sum / (double)finite : NAN;
    return LK_OK;
}
