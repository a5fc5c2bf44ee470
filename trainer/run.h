/* The run folder, written by rank 0: config.yaml as resolved, metrics.jsonl, TensorBoard events, samples/, model.safetensors,
 * DONE. On other ranks every function does nothing and succeeds.
 */
#ifndef LK_TRAINER_RUN_H
#define LK_TRAINER_RUN_H

#include "base/error.h"
#include "base/file.h"
#include "configs/config.h"
#include "trainer/metrics.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lk_run lk_run;

/* Makes the folder and writes config.yaml. A folder that holds a finished or begun run is an error. `writer`: this is rank 0. */
lk_status lk_run_open(const lk_config *config, bool writer, lk_run **out);
/* NULL is fine. */
void lk_run_close(lk_run *run);

/* One line of metrics.jsonl, {"kind":..,"step":..,"epoch":..,<items>}, and the same as TensorBoard scalars "kind/key". */
lk_status lk_run_record(lk_run *run, const char *kind, int64_t step, int64_t epoch, const lk_metric *items, int count);

/* The path of a file in the folder; out[LK_PATH_SIZE]. */
lk_status lk_run_path(const lk_run *run, const char *name, char *out);

/* Marks the run as finished: DONE with a line of text. */
lk_status lk_run_finish(lk_run *run, const char *line);

#endif
