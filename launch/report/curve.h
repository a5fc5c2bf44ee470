/* A curve as a screen shows it, out of any number of points in bounded memory.
 *
 * Points come in the order of their steps and are gathered in bins of as many neighbours each as it takes to have at most
 * LK_CURVE_BINS of them: where they are full, two become one. Of a bin the lowest and the highest value stay, at their steps, and
 * whether a value in it was not finite: no spike is lost, and a gap stays a gap. Their means stay beside them. The first and the
 * last finite point stay as well.
 *
 *     lk_thinner *thinner = calloc(1, sizeof *thinner);
 *     lk_thinner_add(thinner, step, value);              // any number of times
 *     status = lk_thinner_finish(thinner, &curve);
 *     lk_curve_free(&curve);
 */
#ifndef LK_LAUNCH_REPORT_CURVE_H
#define LK_LAUNCH_REPORT_CURVE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { LK_CURVE_BINS = 320 }; /* a plot is half as wide in pixels of its own: two columns */

/* What was seen, finite or not, and the points that are left: a y that is not finite is a gap. */
typedef struct lk_curve {
    size_t count, mean_count;
    double *x, *y;
    double *mean_x, *mean_y;             /* the bins' means, finite; as many as there are */
    int64_t seen, not_finite, last_step; /* last_step: of any value, 0 if there was none */
    double last, mean;                   /* last: as it came, finite or not; mean of the finite values; NAN if there was none */
} lk_curve;
void lk_curve_free(lk_curve *curve);

typedef struct lk_curve_point {
    int64_t step;
    double value;
} lk_curve_point;

typedef struct lk_curve_bin {
    int64_t finite, gaps;
    double steps, values; /* sums over the finite points */
    lk_curve_point low, high;
    int64_t gap; /* step of the last value that is not finite */
} lk_curve_bin;

/* Starts as {0}; owns nothing. */
typedef struct lk_thinner {
    lk_curve_bin bins[LK_CURVE_BINS];
    size_t count;             /* bins in use */
    int64_t per_bin, in_last; /* points a full bin has, the last one has */
    int64_t seen, not_finite;
    lk_curve_point first, last_finite, last;
} lk_thinner;

void lk_thinner_add(lk_thinner *thinner, int64_t step, double value);
/* LK_INTERNAL (memory). */
lk_status lk_thinner_finish(const lk_thinner *thinner, lk_curve *out);

#endif
