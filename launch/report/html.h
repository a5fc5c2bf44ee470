/* Pieces of the report's page. Everything that comes from files goes through lk_html_text. Errors stick to the stream. */
#ifndef LK_LAUNCH_REPORT_HTML_H
#define LK_LAUNCH_REPORT_HTML_H

#include "base/error.h"
#include "launch/report/report.h"

#include <stddef.h>
#include <stdio.h>

/* Between tags and inside of double-quoted attributes: markup is escaped, bytes that are no UTF-8 and control characters become
 * U+FFFD. NULL counts as "". */
void lk_html_text(FILE *page, const char *text);
/* Four significant digits; an en dash for NAN. */
void lk_html_number(FILE *page, double value);
/* A cell of a table that sorts by `value`; `digits` behind the point. */
void lk_html_cell(FILE *page, double value, int digits);
/* The same as mean and deviation; sorts by the mean. */
void lk_html_spread_cell(FILE *page, const lk_spread *spread, int digits);
void lk_html_base64(FILE *page, const void *data, size_t size);

/* The style sheet and the script of the page, with their tags. */
extern const char *const lk_html_style;
extern const char *const lk_html_script;

/* ---- curves, drawn by gnuplot ---- */

/* A series in a plot. */
typedef struct lk_plot_series {
    const char *label;  /* in the legend; NULL: not there */
    const char *colour; /* a variable of the style sheet: "train", "val", "base", "ink"; of an ordered set lk_plot_ramp */
    enum { LK_PLOT_LINE, LK_PLOT_MARKED_LINE, LK_PLOT_DASHED, LK_PLOT_DOTS, LK_PLOT_ERRORS } style;
    size_t count;
    const double *x, *y;
    const double *dx, *dy;    /* LK_PLOT_ERRORS: half lengths of the bars */
    const char *const *names; /* written beside the points; may be NULL */
} lk_plot_series;

typedef struct lk_plot {
    const char *title;
    const char *x, *y; /* what the axes show */
    bool logarithmic_x;
    const lk_plot_series *series;
    size_t series_count;
} lk_plot;

/* One <figure> with the drawing as SVG inside of the page and a legend. Values that are not finite are left out; a plot without
 * any says so. The vertical axis is logarithmic where the values are positive and span a factor of 20; the horizontal one starts
 * at 0 unless it is logarithmic or points have names. `number` is different for every plot of a page.
 * LK_INTERNAL where gnuplot is missing or fails. */
lk_status lk_plot_draw(FILE *page, const lk_plot *plot, int number);

/* "ramp0" to "ramp7" for item i of n in an order. */
const char *lk_plot_ramp(size_t i, size_t n);

/* Means of `series` over at most `most` runs of neighbours; values that are not finite are left out. Free *x and *y. */
lk_status lk_plot_thin(const lk_series *series, size_t most, double **x, double **y, size_t *count);

/* ---- sections ---- */

/* Pictures are part of the page once, as the backgrounds of CSS classes; elements show them whole or cut out of them. */
typedef struct lk_picture {
    int width, height; /* 0: there is none, or it cannot be read */
} lk_picture;
/* Writes class `name``number` for a PNG file. Unreadable: a warning, and no picture. */
lk_picture lk_html_picture(FILE *page, const char *path, const char *name, size_t number);

/* State, curves, pictures, evaluation, configuration of one run, `open` or folded. *plots counts the plots of the page. */
lk_status lk_html_run(FILE *page, const lk_report_run *run, size_t index, bool open, lk_picture triptych, lk_picture sample,
                      int *plots);
/* The comparison of several runs. */
lk_status lk_html_comparison(FILE *page, const lk_report *report, const lk_comparison *comparison, const lk_picture *triptychs,
                             const lk_picture *samples, int *plots);
/* The table of all runs, one row each; with the marks and scores of a comparison. */
void lk_html_runs(FILE *page, const lk_report *report, const lk_comparison *comparison);
/* The faces of the settings side by side. */
void lk_html_faces(FILE *page, const lk_report *report, const lk_comparison *comparison, const lk_picture *triptychs,
                   const lk_picture *samples);

#endif
