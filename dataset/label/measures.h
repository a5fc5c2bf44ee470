/* What is measured in a picture of a face to tell its skin, hair, beard, brows, lips and eyes: the same in a photo and in the
 * client's pictures of each choice, which are then compared (choices.h). Places are told by dlib's landmarks. Colours are
 * CIE Lab under a white that is estimated from the picture itself: its mean colour half way to grey (the grey world), and a
 * brightness between that of its brightest parts and that of the eyes' white.
 */
#ifndef LK_DATASET_LABEL_MEASURES_H
#define LK_DATASET_LABEL_MEASURES_H

#include "dataset/align/detector.h"
#include "dataset/client/vector.h"
#include "dataset/label/habits.h"

#include <stdbool.h>

/* A picture [LK_LABEL_SIZE, LK_LABEL_SIZE, 3] with its landmarks (eye distances), made ready to be measured. */
typedef struct lk_seen_face {
    lk_vec3 linear[LK_LABEL_SIZE * LK_LABEL_SIZE]; /* linear light */
    lk_point landmarks[LK_LANDMARKS];
    lk_vec3 white;
    lk_vec3 skin; /* linear, of cheeks and nose */
} lk_seen_face;

void lk_face_see(const uint8_t *pixels, const lk_point landmarks[LK_LANDMARKS], lk_seen_face *out);

/* What tells the choices of a group apart, [LK_MEASURES] at most; returns how many, 0: nothing can be measured. */
enum { LK_MEASURES = 64 };
int lk_measure_skin(const lk_seen_face *face, float *out);
int lk_measure_beard(const lk_seen_face *face, float *out); /* how dark lip, chin and jaws are beside the skin, log */
int lk_measure_brows(const lk_seen_face *face, float *out); /* darkness on a grid around the brows, mean 0, length 1 */
int lk_measure_lips(const lk_seen_face *face, float *out);  /* Lab, beside the skin */
int lk_measure_eyes(const lk_seen_face *face, float *out);

/* ---- hair ---- */

/* A mask of pixels that would be hair. */
typedef struct lk_hair_mask {
    bool is_hair[LK_LABEL_SIZE * LK_LABEL_SIZE];
} lk_hair_mask;

/* How badly the picture splits into hair of one colour, skin and what is behind, if the mask is hair: mean over the pixels that
 * could be hair. (Chan and Vese's regions, with robust distances.) */
double lk_hair_misfit(const lk_seen_face *face, const lk_hair_mask *mask);

/* Lab of what is in the mask: its darker middle. 0 if the mask is nearly empty. */
int lk_measure_hair_colour(const lk_seen_face *face, const lk_hair_mask *mask, float *out);

#endif
