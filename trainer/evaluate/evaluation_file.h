/* RUN/report/evaluation.json: what likeness evaluate found out about a run, for those who come later: reports, sweeps, scripts.
 *
 *     {"samples": 16, "F": ..., "baseline_F": ..., "F1": ..., "F2": ..., "baseline_F1": ..., "baseline_F2": ...,
 *      "mae_ratio_10": ..., "mae_ratio_20": ..., "temperature": {GROUP: ...}, "calibration_error": ..., "calibration_errors":
 *      {GROUP: ...}, "reliability": [{"from": 0.9, "to": 1, "choices": ..., "certainty": ..., "right": ...}, ...],
 *      "accuracy": {GROUP: ...}, "majority": {GROUP: ...},
 *      "continuous": [{"name": ..., "strength": ..., "mae": ..., "mae_ratio": ..., "correlation": ...}, ...]}
 *
 * A decoder run has samples, F (its L1) and baseline_F alone. One thread; the record owns its memory.
 */
#ifndef LK_TRAINER_EVALUATE_EVALUATION_FILE_H
#define LK_TRAINER_EVALUATE_EVALUATION_FILE_H

#include "base/error.h"
#include "trainer/evaluate/evaluate.h"

#include <stddef.h>

/* LK_IO, LK_INTERNAL. */
lk_status lk_evaluation_write(const char *path, const lk_schema *schema, const lk_evaluation *evaluation);
/* Mean of mae_ratio over the `strongest` strongest continuous parameters, 0 if there are none. */
double lk_mean_ratio(const lk_evaluation *evaluation, int strongest);

typedef struct lk_recorded_choice {
    char *group;
    double accuracy, majority; /* majority: of always saying the commonest choice */
} lk_recorded_choice;

typedef struct lk_recorded_parameter {
    char *name;
    double strength, mae, mae_ratio, correlation;
} lk_recorded_parameter;

/* The file as it was read. Numbers that it does not have are NAN. */
typedef struct lk_evaluation_record {
    bool present;
    int64_t samples;
    double f, f1, f2, baseline_f, baseline_f1, baseline_f2;
    double mae_ratio_20; /* mean over the 20 strongest parameters */
    double calibration_error;
    int bin_count;
    lk_recorded_bin bins[LK_CERTAINTY_BINS];
    size_t choice_count, parameter_count;
    lk_recorded_choice *choices;
    lk_recorded_parameter *parameters; /* strongest first */
} lk_evaluation_record;

/* No file is fine (present stays false); a damaged one is LK_BAD_DATA with *out empty. */
lk_status lk_evaluation_record_read(const char *path, lk_evaluation_record *out);
void lk_evaluation_record_free(lk_evaluation_record *evaluation);
/* Over the groups; NAN if there are none. */
double lk_mean_accuracy(const lk_evaluation_record *evaluation);

#endif
