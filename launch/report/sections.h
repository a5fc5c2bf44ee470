/* The parts of the page. `plots` counts its plots. */
#ifndef LK_LAUNCH_REPORT_SECTIONS_H
#define LK_LAUNCH_REPORT_SECTIONS_H

#include "launch/report/compare.h"
#include "launch/report/picture.h"

#include <stdio.h>

/* More runs than this are not listed below their table: the section of a run shows when it is called for. */
enum { LK_MANY_RUNS = 20 };

/* comparison.c: which setting is best and why, the trade-off, the curves of all, the settings, the
 * faces. LK_INTERNAL (memory). */
lk_status lk_html_comparison(FILE *page, const lk_report *report, const lk_comparison *comparison, const lk_pictures *pictures,
                             int *plots);
/* tables.c: one row for each setting, one for each run; with the marks and scores of the comparison. */
void lk_html_settings(FILE *page, const lk_comparison *comparison);
void lk_html_runs(FILE *page, const lk_report *report, const lk_comparison *comparison);
/* faces.c: the same faces as the settings see them, side by side. */
void lk_html_faces(FILE *page, const lk_report *report, const lk_comparison *comparison, const lk_pictures *pictures);
/* photos.c: what the run makes of photos, if it was evaluated on any; and how often certainties are right. */
void lk_html_photos(FILE *page, const lk_report_run *run, const lk_picture *picture);
void lk_html_reliability(FILE *page, const lk_recorded_bin *bins, int count, double error);
/* section.c: state, curves, pictures, evaluation, configuration of one run, `open` or folded. */
void lk_html_run(FILE *page, const lk_report *report, size_t index, bool open, const lk_pictures *pictures, int *plots);

#endif
