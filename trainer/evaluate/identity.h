/* Whether predicted faces look like the people of their photos: distances of face descriptors (dataset/align/detector.h) of photo
 * and client's picture, of pairs that belong together against all that do not.
 */
#ifndef LK_TRAINER_EVALUATE_IDENTITY_H
#define LK_TRAINER_EVALUATE_IDENTITY_H

#include "base/error.h"

typedef struct lk_identity {
    int count;
    double own, other; /* mean distance of a photo to its own picture, and to those of other photos */
    double auc;        /* share of (own, other) pairs of distances in which the own is less; chance is 0.5 */
    double rank1;      /* share of photos to which their own picture is the nearest; chance is 1 / count */
} lk_identity;

/* photos, pictures [count,width] belong together by their place. distances [count] get those to the own picture, ranks [count]
 * how many pictures are as near or nearer, the own included: 1 is the nearest. With fewer than two faces all is NAN. */
lk_status lk_identity_measure(int count, int width, const float *photos, const float *pictures, double *distances, int *ranks,
                              lk_identity *out);

#endif
