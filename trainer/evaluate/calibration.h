/* Calibration of certainties: the softmax of a trained encoder is surer than it is right. Dividing a group's logits by a
 * temperature, one number a group that is fitted on faces which the encoder did not learn from, changes no choice and makes the
 * certainties those that the choices are right with (Guo et al., On Calibration of Modern Neural Networks, 2017).
 */
#ifndef LK_TRAINER_EVALUATE_CALIBRATION_H
#define LK_TRAINER_EVALUATE_CALIBRATION_H

#include "base/error.h"
#include "dataset/schema.h"

#include <stdbool.h>
#include <stdint.h>

/* The note of a weights' file with the temperatures: {"hair": 1.73, "skin": 2.04}, every group of the schema once. */
#define LK_TEMPERATURE_NOTE "temperature"
#define LK_LEAST_TEMPERATURE 0.05
#define LK_MOST_TEMPERATURE 20.0

/* The temperatures [groups] with the least cross-entropy of n faces: logits [n,choices], labels [n,groups]. */
void lk_fit_temperatures(const lk_schema *schema, int64_t n, const float *logits, const uint8_t *labels, double *temperatures);

/* The note's text; the caller frees. NULL: out of memory. */
char *lk_temperature_text(const lk_schema *schema, const double *temperatures);
/* LK_BAD_DATA if the text is none, lacks a group or has one that the schema lacks, or a value is outside the limits above.
 * `origin` is the file. */
lk_status lk_temperature_parse(const lk_schema *schema, const char *text, const char *origin, double *temperatures);

/* How often choices of one certainty are right. */
enum { LK_CERTAINTY_BINS = 10 };
typedef struct lk_reliability {
    int64_t count[LK_CERTAINTY_BINS], right[LK_CERTAINTY_BINS]; /* bin b: certainties from b / 10 */
    double certainty[LK_CERTAINTY_BINS];                        /* sums */
} lk_reliability;

void lk_reliability_add(lk_reliability *r, double certainty, bool right);
/* The expected calibration error: the mean over choices of |share right - mean certainty| of their bin; NAN without choices. */
double lk_calibration_error(const lk_reliability *r);
/* As a table on standard output. */
void lk_reliability_print(const lk_reliability *r);
/* [{"from": 0.9, "to": 1, "choices": 120, "certainty": 0.97, "right": 0.94}, ...] of the bins that are not empty; jansson's, the
 * caller's. NULL: out of memory. */
struct json_t;
struct json_t *lk_reliability_to_json(const lk_reliability *r);

/* One of them as it is read back: NAN and 0 for what is not there. */
typedef struct lk_recorded_bin {
    double from, to, certainty, right;
    int64_t choices;
} lk_recorded_bin;
/* Returns how many; what is no list has none. */
int lk_reliability_from_json(const struct json_t *list, lk_recorded_bin bins[LK_CERTAINTY_BINS]);

#endif
