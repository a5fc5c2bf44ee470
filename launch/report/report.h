/* The report: what runs left in their folders, read, compared and written as one HTML page.
 *
 * A run is a folder with config.yaml, trained, in training or yet to begin, here or copied from elsewhere. Nothing in it is
 * trusted: damaged files become notes on the page and warnings, never a failure of the whole report.
 *
 *     lk_report report = {0};
 *     status = lk_report_add(&report, "runs/sweep");     // every run below
 *     if (status == LK_OK)
 *         status = lk_report_write(&report, "report.html");
 *     lk_report_free(&report);
 *
 * One thread. Numbers that a run does not have are NAN.
 */
#ifndef LK_LAUNCH_REPORT_REPORT_H
#define LK_LAUNCH_REPORT_REPORT_H

#include "base/error.h"
#include "configs/config.h"
#include "launch/report/score.h"
#include "trainer/evaluate/evaluation_file.h"
#include "trainer/record/metrics.h"

#include <stdio.h>
#include <time.h>

/* Without metrics.jsonl a run has not begun; with STOPPED the halving of a sweep ended it. Without DONE it counts as running
 * while metrics.jsonl is younger than stall.abort_s: a run that stands still that long ends itself. */
typedef enum lk_report_state {
    LK_STATE_DONE,
    LK_STATE_STOPPED,
    LK_STATE_RUNNING,
    LK_STATE_UNFINISHED,
    LK_STATE_NOT_BEGUN,
    LK_STATE_COUNT
} lk_report_state;
const char *lk_state_name(lk_report_state state);

/* The curves read from metrics.jsonl; LOSS is F, or L1 of a decoder run. */
typedef enum lk_curve {
    LK_TRAIN_LOSS,
    LK_TRAIN_F1,
    LK_TRAIN_F2,
    LK_TRAIN_SPEED,
    LK_TRAIN_RATE,
    LK_TRAIN_EPOCH,
    LK_VAL_LOSS,
    LK_VAL_F1,
    LK_VAL_F2,
    LK_CURVE_COUNT
} lk_curve;

typedef struct lk_report_run {
    char *folder, *name; /* name: how the page calls it */
    lk_config *config;   /* NULL: config.yaml cannot be read */
    char *config_text;   /* as it stands in the file */
    char *program;       /* the build that finished it, else that of the newest checkpoint; NULL: not known */
    char *note;          /* what is wrong with the files of the run, NULL if nothing */
    lk_series curves[LK_CURVE_COUNT];
    int64_t damaged_lines;
    lk_report_state state;
    int64_t step, epoch; /* the last in metrics.jsonl, 0 if none */
    int64_t best_step;   /* of the validation with the lowest loss, 0 if none */
    double best, best_f1, best_f2;
    double f1, f2; /* of the model as it is now: the evaluation's, else the last validation's */
    lk_evaluation_record evaluation;
    lk_score score;
    char *triptych, *sample; /* paths of report/triptych.png and of the newest samples/step-N.png; NULL if there is none */
} lk_report_run;

/* `now` is the time that the age of metrics.jsonl is taken against. LK_INTERNAL (memory) alone; the rest becomes the note. */
lk_status lk_report_run_read(const char *folder, const char *name, time_t now, lk_report_run *out);
void lk_report_run_free(lk_report_run *run);
bool lk_is_encoder_run(const lk_report_run *run);

typedef struct lk_report {
    size_t count;
    lk_report_run *runs;
} lk_report;

/* Every run in or below `folder`, in the order of their names, numbers within names by value; a run that is there already is not
 * added again. LK_BAD_DATA if nothing was added. */
lk_status lk_report_add(lk_report *report, const char *folder);
void lk_report_free(lk_report *report);

/* ---- comparison ---- */

/* Mean and sample standard deviation (0 for one value) of the finite values among `count`. */
typedef struct lk_spread {
    int count;
    double mean, deviation;
} lk_spread;

/* A point of a sweep: the encoder runs whose configurations differ in nothing but run.dir and run.seed. */
typedef struct lk_setting {
    size_t *runs; /* indices, in the order of their seeds */
    size_t run_count;
    char *label; /* "lambda 0.5, lr 0.001": the keys that differ between settings */
    double lambda;
    lk_spread f1, f2; /* of the runs that are done; where none is, of all: a run in training is not compared with its twin */
    lk_spread accuracy, score, choices, continuous, pixels; /* of the runs that are done and judged */
} lk_setting;

typedef struct lk_comparison {
    size_t count;
    lk_setting *settings; /* by lambda, then in the order of the runs */
    int best, second;     /* lowest mean score; -1 if there is none */
    size_t key_count;
    int *keys; /* indices of lk_config_key of the keys that differ between the encoder runs, run.dir and run.seed apart */
} lk_comparison;

lk_status lk_compare(const lk_report *report, lk_comparison *out);
void lk_comparison_free(lk_comparison *comparison);
/* The index in settings of run `run`, -1 if it is in none. */
int lk_setting_of(const lk_comparison *comparison, size_t run);

/* ---- output ---- */

/* The page: one file, no reference to any other. Needs gnuplot in PATH. */
lk_status lk_report_write(const lk_report *report, const char *path);

/* A table of the runs as plain text: state, step, epoch, best validation. */
void lk_report_print_status(const lk_report *report, FILE *out);

#endif
