/* Labels for photos without a network that knows them (patent CN109902767B, paragraph 54, "other methods of many iterations"):
 * the client's face is fitted to the landmarks of the aligned photo (fit.h), as the landmark model is known to see the client's
 * faces (habits.h). The discrete choices are tried on it (choices.h); they say who it may be, and it is fitted again. How good
 * the label is tells the client's picture of it in the photo's pose, looked at by the same landmark model.
 */
#ifndef LK_DATASET_LABEL_LABEL_H
#define LK_DATASET_LABEL_LABEL_H

#include "dataset/align/align.h"
#include "dataset/label/fit.h"
#include "dataset/label/habits.h"
#include "dataset/label/people.h"

#include <stdbool.h>

typedef struct lk_label {
    lk_fit fit;                      /* of the photo's landmarks, as they are: median, mean, inliers */
    double drawn_median, drawn_mean; /* the same between the photo and the client's picture in its pose, both seen by dlib */
    int drawn_inliers;
    uint8_t discrete[LK_MAX_GROUPS];
    float certainty[LK_MAX_GROUPS]; /* of each choice, 0..1 */
} lk_label;

/* Scratch memory of one thread. What it is made of must outlive it, and may be shared by threads. */
typedef struct lk_labeller lk_labeller;
lk_status lk_labeller_create(const lk_client *client, const lk_people *people, const lk_face_model *model,
                             const lk_habits *habits, lk_labeller **out);
void lk_labeller_free(lk_labeller *labeller); /* NULL is fine */

/* Labels the face of crop [LK_LABEL_SIZE, LK_LABEL_SIZE, 3], eyes at their places. The same digits on any thread. */
lk_status lk_label_face(lk_labeller *labeller, const uint8_t *crop, lk_label *label);

/* The client's picture [LK_LABEL_SIZE, LK_LABEL_SIZE, 3] of a label, in the photo's pose or as the canonical view has it. */
lk_status lk_label_draw(lk_labeller *labeller, const lk_label *label, bool posed, uint8_t *picture);

#endif
