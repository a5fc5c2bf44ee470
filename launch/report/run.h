/* What one run left in its folder. Nothing in it is trusted: what is damaged or missing becomes a note and a warning. */
#ifndef LK_LAUNCH_REPORT_RUN_H
#define LK_LAUNCH_REPORT_RUN_H

#include "base/error.h"
#include "configs/config.h"
#include "launch/report/curve.h"
#include "launch/report/score.h"
#include "trainer/evaluate/evaluation_file.h"
#include "trainer/evaluate/photo_record.h"

#include <sys/types.h>
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
typedef enum lk_curve_of {
    LK_TRAIN_LOSS,
    LK_TRAIN_F1,
    LK_TRAIN_F2,
    LK_TRAIN_SPEED,
    LK_TRAIN_RATE,
    LK_VAL_LOSS,
    LK_VAL_F1,
    LK_VAL_F2,
    LK_CURVE_COUNT
} lk_curve_of;

/* Numbers that a run does not have are NAN. */
typedef struct lk_report_run {
    char *folder, *name; /* name: how the page calls it */
    dev_t device;        /* with inode: the folder, by whatever path it was reached */
    ino_t inode;
    lk_config *config; /* NULL: config.yaml cannot be read */
    char *config_text; /* as it stands in the file */
    char *program;     /* the build that finished it, else that of the newest checkpoint; NULL: not known */
    char *note;        /* what is wrong with the files of the run, NULL if nothing */
    lk_curve curves[LK_CURVE_COUNT];
    int64_t damaged_lines;
    lk_report_state state;
    int64_t step, epoch; /* the last in metrics.jsonl, 0 if none */
    int64_t best_step;   /* of the validation with the lowest loss, 0 if none */
    double best, best_f1, best_f2;
    double f1, f2; /* of the model as it is now: the evaluation's, else the last validation's */
    lk_evaluation_record evaluation;
    lk_photo_record photos;
    lk_score score;
    /* Paths of report/triptych.png, of the newest samples/step-N.png, of report/photos.png; NULL if there is none. */
    char *triptych, *sample, *photo_sheet;
} lk_report_run;

/* `now` is the time that the age of metrics.jsonl is taken against. LK_INTERNAL (memory), LK_IO (a file that is there cannot be
 * read just now); the rest becomes the note. */
lk_status lk_report_run_read(const char *folder, const char *name, time_t now, lk_report_run *out);
void lk_report_run_free(lk_report_run *run);
bool lk_is_encoder_run(const lk_report_run *run);

#endif
