/* What ranks runs of different lambda. */
#ifndef LK_LAUNCH_REPORT_SCORE_H
#define LK_LAUNCH_REPORT_SCORE_H

#include "trainer/evaluate/evaluation_file.h"

/* What is left of the error of a guess without looking, 0 for none and 1 for all of it: of the choices (1 - accuracy over
 * 1 - majority, both summed over groups), of the 20 strongest continuous parameters, of the pixel distance F2. None of them
 * contains lambda. The score is their mean; a schema without choices or where one choice is always right leaves the first out.
 * NAN where the evaluation does not tell. */
typedef struct lk_score {
    double choices, continuous, pixels, mean;
} lk_score;
lk_score lk_score_of(const lk_evaluation_record *evaluation);

#endif
