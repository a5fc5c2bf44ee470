/* The run folder, written by rank 0: config.yaml as resolved, metrics.jsonl, TensorBoard events, samples/, checkpoints/,
 * model.safetensors, DONE, and `generation`, the number of times a job took the run over.
 *
 * A job that lost the run (an isolated node whose job was requeued elsewhere) must write nothing any more: every write first
 * looks whether the generation is still its own, and fails with LK_INTERNAL if not. On ranks other than 0 every function does
 * nothing and succeeds.
 */
#ifndef LK_TRAINER_RECORD_RUN_H
#define LK_TRAINER_RECORD_RUN_H

#include "base/error.h"
#include "base/file.h"
#include "configs/config.h"
#include "dataset/image.h"
#include "trainer/record/metrics.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lk_run lk_run;

/* Makes the folder, takes it over and begins to record; writes config.yaml. Whoever works in it ends at its next write, so only
 * once this job is sure to go on. `resumed`: a checkpoint of `step` was taken up, so what metrics and events hold of later steps
 * is cut, where validation_due also what they hold of a validation of that step, and later checkpoints are set aside
 * (retention.h). Else metrics that are there are set aside, not cut. `writer`: this is rank 0. */
lk_status lk_run_open(const lk_config *config, bool writer, bool resumed, int64_t step, bool validation_due, lk_run **out);
/* NULL is fine. */
void lk_run_close(lk_run *run);

/* LK_INTERNAL if another job has taken the run over, LK_IO where it cannot be told just now. */
lk_status lk_run_still_ours(const lk_run *run);

/* One line of metrics.jsonl, {"kind":..,"step":..,"epoch":..,<items>}, and the same as TensorBoard scalars "kind/key". A disk
 * that is full is a warning, told once: the lines wait in memory and go before the next one that can be written. */
lk_status lk_run_record(lk_run *run, const char *kind, int64_t step, int64_t epoch, const lk_metric *items, int count);

/* samples/step-N.png, and the same picture in TensorBoard. */
lk_status lk_run_picture(lk_run *run, int64_t step, const lk_image *picture);

/* The path of a file in the folder; out[LK_PATH_SIZE]. */
lk_status lk_run_path(const lk_run *run, const char *name, char *out);

/* Marks the run as finished: DONE with a line of text. */
lk_status lk_run_finish(lk_run *run, const char *line);

/* What a folder holds, before it is opened. */
lk_status lk_run_is_done(const char *folder, bool *done);
lk_status lk_run_is_begun(const char *folder, bool *begun); /* metrics, checkpoints or weights */

#endif
