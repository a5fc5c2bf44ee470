/* An axis of a plot: where a value lies, and which values are marked. */
#ifndef LK_LAUNCH_REPORT_AXIS_H
#define LK_LAUNCH_REPORT_AXIS_H

#include <stdbool.h>
#include <stddef.h>

/* base 0: linear; 2 or 10: logarithmic, low > 0. low < high; `from` and `to` are where they lie in the drawing. */
typedef struct lk_axis {
    int base;
    double low, high;
    double from, to;
} lk_axis;

double lk_axis_place(const lk_axis *axis, double value);

enum { LK_TICKS = 64 };

typedef struct lk_tick {
    double value;
    char label[24]; /* "": a small tick */
} lk_tick;

/* Round values from low to high, rising; at least two have labels where the axis has any two numbers
 * to show. Returns how many. */
size_t lk_axis_ticks(const lk_axis *axis, lk_tick ticks[LK_TICKS]);

#endif
