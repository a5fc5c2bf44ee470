/* Progress: how far, how fast, how long still, and a note such as the loss.
 *
 * On a terminal one line that is redrawn at most ten times a second; elsewhere (a log file, a SLURM job) a plain line every
 * ten seconds. Call from one thread of rank 0; nothing is drawn on other ranks (pass quiet = true there).
 */
#ifndef LK_BASE_PROGRESS_H
#define LK_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct lk_progress {
    const char *what; /* what is being done, e.g. "render" */
    const char *unit; /* what is counted, e.g. "faces" */
    int64_t total;    /* 0 if unknown */
    int64_t started_at;
    double start;
    double drawn;
    double interval;
    bool terminal;
    bool quiet;
} lk_progress;

/* `what` and `unit` must outlive the bar. `already` counts as done before the clock started (a resumed run). */
void lk_progress_begin(lk_progress *bar, const char *what, const char *unit, int64_t already, int64_t total, bool quiet);
/* `note` may be NULL. */
void lk_progress_update(lk_progress *bar, int64_t done, const char *note);
void lk_progress_end(lk_progress *bar);

#endif
