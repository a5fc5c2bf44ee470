/* Evaluation on photos of people, for whom there are no labels: against what a person sees in them (seen.h), by the landmarks of
 * photo and client's picture, and by whether the two are the same person to a face descriptor (identity.h).
 *
 *     lk_photo_evaluation e = {.schema = schema, .seen = seen, .table = "seen.csv"};
 *     LK_TRY_OR(done, lk_photo_evaluation_add(&e, "ann-1", "ann.jpg", continuous, discrete, certainty, &measured));
 *     LK_TRY_OR(done, lk_photo_evaluation_finish(&e));
 *     status = lk_photo_evaluation_write("photos.json", &e);
 *     done: lk_photo_evaluation_free(&e);
 */
#ifndef LK_TRAINER_EVALUATE_PHOTO_EVALUATION_H
#define LK_TRAINER_EVALUATE_PHOTO_EVALUATION_H

#include "base/error.h"
#include "dataset/schema.h"
#include "trainer/evaluate/calibration.h"
#include "trainer/evaluate/identity.h"
#include "trainer/evaluate/seen.h"

#include <stdint.h>

/* The photo beside the client's picture. */
typedef struct lk_photo_measured {
    double landmarks;             /* lk_landmark_distance; NAN: not known */
    const float *photo, *picture; /* descriptors [LK_DESCRIPTOR] of both; NULL: not known */
} lk_photo_measured;

/* One face. */
typedef struct lk_photo_result {
    char *name, *photo;
    float *continuous, *certainty; /* [nc] in [0,1], [groups] */
    uint8_t *discrete;             /* [groups] */
    int added;                     /* its place among those that were added, from 0 */
    int row;                       /* of the table; -1: the face is not in it */
    int judged, right;             /* columns */
    double landmarks;              /* NAN: not known */
    float *descriptors;            /* [2,LK_DESCRIPTOR]: photo, picture; NULL: not known */
    double distance;               /* of the two; NAN: not known */
    int rank;                      /* of the own picture among all, 1 the nearest; 0: not known */
} lk_photo_result;

typedef struct lk_photo_refusal {
    char *photo, *why;
} lk_photo_refusal;

typedef struct lk_photo_evaluation {
    const lk_schema *schema;
    const lk_seen *seen; /* NULL: there is no table */
    const char *table;   /* its path */
    int count;
    lk_photo_result *faces; /* after lk_photo_evaluation_finish the best first */
    int refused_count;
    lk_photo_refusal *refused;
    int *judged, *right; /* [columns] of the table */
    int absent_count;
    int *absent;      /* rows of the table of which there is no face */
    int measured;     /* faces whose landmarks are known */
    double landmarks; /* their median */
    lk_identity identity;
    lk_reliability reliability; /* of the certainties of judged groups */
} lk_photo_evaluation;

/* Copies of what is given. */
lk_status lk_photo_evaluation_add(lk_photo_evaluation *e, const char *name, const char *photo, const float *continuous,
                                  const uint8_t *discrete, const float *certainty, const lk_photo_measured *measured);
lk_status lk_photo_evaluation_refuse(lk_photo_evaluation *e, const char *photo, const char *why);
/* Once, after the last face. LK_BAD_DATA as lk_seen_match, or if no row of the table is about any face. */
lk_status lk_photo_evaluation_finish(lk_photo_evaluation *e);
void lk_photo_evaluation_free(lk_photo_evaluation *e);

/* The share of right ones of a column, NAN where nothing was judged; and the mean of that over the columns. */
double lk_photo_accuracy(const lk_photo_evaluation *e, int column);
double lk_mean_photo_accuracy(const lk_photo_evaluation *e);
/* Whether the face is judged by the column, and by a word that is not right. */
bool lk_photo_is_wrong(const lk_photo_evaluation *e, const lk_photo_result *face, int column);

/* photos.json (docs/formats.md). */
lk_status lk_photo_evaluation_write(const char *path, const lk_photo_evaluation *e);

#endif
