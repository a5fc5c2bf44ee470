/* The report: what runs left in their folders, read, compared and written as one HTML page. This is what the commands call; the
 * other headers of this room are its own.
 *
 * A run is a folder with config.yaml, trained, in training or yet to begin, here or copied from elsewhere. Nothing in it is
 * trusted: damaged files become notes on the page and warnings, never a failure of the whole report. A file that cannot be
 * looked at just now is a failure (LK_IO): without it the page would rank runs wrongly.
 *
 *     lk_report report = {0};
 *     status = lk_report_add(&report, "runs/sweep");     // every run below
 *     if (status == LK_OK)
 *         status = lk_report_write(&report, "report.html");
 *     lk_report_free(&report);
 *
 * One thread. Of metrics.jsonl only what a page shows is kept, some 50 KB a run.
 */
#ifndef LK_LAUNCH_REPORT_REPORT_H
#define LK_LAUNCH_REPORT_REPORT_H

#include "launch/report/run.h"

#include <stdio.h>

typedef struct lk_report {
    size_t count;
    lk_report_run *runs;
} lk_report;

/* Every run in or below `folder`, in the order of their names, numbers within names by value; a run that is there already is not
 * added again. LK_BAD_DATA if nothing was added. */
lk_status lk_report_add(lk_report *report, const char *folder);
void lk_report_free(lk_report *report);

/* The page. Pictures are part of it as long as they are few (LK_PICTURE_BYTES, picture.h); else it shows them where the runs keep
 * them, by paths relative to its own folder, and a warning says so. */
lk_status lk_report_write(const lk_report *report, const char *path);

/* A table of the runs as plain text: state, step, epoch, best validation. */
void lk_report_print_status(const lk_report *report, FILE *out);

#endif
