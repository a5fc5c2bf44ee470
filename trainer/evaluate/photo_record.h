/* RUN/report/photos.json as it is read back, for reports: what likeness evaluate --photos found (photo_evaluation.h). Numbers
 * that it does not have are NAN, counts 0. One thread; the record owns its memory.
 */
#ifndef LK_TRAINER_EVALUATE_PHOTO_RECORD_H
#define LK_TRAINER_EVALUATE_PHOTO_RECORD_H

#include "base/error.h"
#include "trainer/evaluate/calibration.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lk_recorded_column {
    char *name;
    int64_t right, judged;
    double accuracy;
} lk_recorded_column;

typedef struct lk_recorded_face {
    char *name;
    int64_t right, judged;
    double landmarks, distance;
} lk_recorded_face;

typedef struct lk_photo_record {
    bool present;
    int64_t samples;
    double mean_accuracy, calibration_error;
    double landmarks;             /* the median */
    int64_t measured, identified; /* faces whose landmarks, whose descriptors are known */
    double auc, rank1;
    size_t column_count, face_count;
    lk_recorded_column *columns;
    lk_recorded_face *faces; /* as in photos.png, the best first */
    int bin_count;
    lk_recorded_bin bins[LK_CERTAINTY_BINS];
} lk_photo_record;

/* No file is fine (present stays false); a damaged one is LK_BAD_DATA with *out empty. */
lk_status lk_photo_record_read(const char *path, lk_photo_record *out);
void lk_photo_record_free(lk_photo_record *record);

#endif
