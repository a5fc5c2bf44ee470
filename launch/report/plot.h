/* Curves and points as SVG inside of the page, in the style sheet's colours. */
#ifndef LK_LAUNCH_REPORT_PLOT_H
#define LK_LAUNCH_REPORT_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A series in a plot. A value that is not finite is a gap in a line. */
typedef struct lk_plot_series {
    const char *label;  /* in the legend; NULL: not there */
    const char *colour; /* a variable of the style sheet: "train", "val", "base", "ink"; of an ordered set lk_plot_ramp */
    enum { LK_PLOT_LINE, LK_PLOT_HAIR, LK_PLOT_MARKED_LINE, LK_PLOT_DASHED, LK_PLOT_ERRORS } style;
    size_t count;
    const double *x, *y;
    const double *dx, *dy;    /* LK_PLOT_ERRORS: half lengths of the bars */
    const char *const *names; /* LK_PLOT_ERRORS: written beside the points, as far as there is room; all are hints; may be NULL */
    size_t marked;            /* LK_PLOT_ERRORS: the point that stands out, counted from 1; 0: none */
} lk_plot_series;

typedef struct lk_plot {
    const char *title;
    const char *x, *y; /* what the axes show */
    bool logarithmic_x;
    const lk_plot_series *series; /* later ones are drawn over earlier ones */
    size_t series_count;
} lk_plot;

/* One <figure> with the drawing and a legend. A plot without any finite value says so. The vertical axis is logarithmic where the
 * values are positive and span a factor of 20; the horizontal one starts at 0 unless it is logarithmic or points have names.
 * `number` is different for every plot of a page. */
void lk_plot_draw(FILE *page, const lk_plot *plot, int number);

/* "ramp0" to "ramp7" for item i of n in an order. */
const char *lk_plot_ramp(size_t i, size_t n);

#endif
