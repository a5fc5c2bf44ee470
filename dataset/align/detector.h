/* Faces in a picture: dlib's frontal detector, its 68 landmarks and its face descriptor behind a C interface (patent
 * CN109902767B, paragraph 79).
 *
 * The detector (Felzenszwalb's HOG pyramid; King 2015) sees faces of about 80 pixels and more, turned by up to about 30
 * degrees. The landmarks (Kazemi and Sullivan 2014) number the eyes 36-41 (left in the picture) and 42-47. No exception
 * crosses this interface.
 */
#ifndef LK_DATASET_ALIGN_DETECTOR_H
#define LK_DATASET_ALIGN_DETECTOR_H

#include "base/error.h"

#include <stdint.h>

enum { LK_LANDMARKS = 68, LK_MAX_FACES = 64, LK_SMALLEST_FACE = 80 };

/* x to the right, y down, in pixels; the centre of the first pixel is at (0.5, 0.5). */
typedef struct lk_point {
    double x, y;
} lk_point;

/* 8-bit grey, rows from the top, no padding. */
typedef struct lk_grey {
    int width, height;
    const uint8_t *pixels;
} lk_grey;

typedef struct lk_face_box {
    double left, top, right, bottom;
    double score; /* above 0: a face; the higher the surer */
} lk_face_box;

/* Detector and landmark model: immutable, shared by all threads, about 100 MB. */
typedef struct lk_face_model lk_face_model;
/* path NULL: where Debian's libdlib-data puts it. A missing or foreign file is LK_BAD_DATA. */
lk_status lk_face_model_open(const char *path, lk_face_model **out);
void lk_face_model_close(lk_face_model *model);

/* A detector to work with: one per thread. */
typedef struct lk_face_finder lk_face_finder;
lk_status lk_face_finder_create(const lk_face_model *model, lk_face_finder **out);
void lk_face_finder_free(lk_face_finder *finder);

/* The faces of a picture, the surest first, at most LK_MAX_FACES. One face may be found twice. */
lk_status lk_face_find(lk_face_finder *finder, const lk_grey *picture, lk_face_box boxes[LK_MAX_FACES], int *count);

/* The landmarks of the face in `box`, which may stand over the border. */
lk_status lk_face_landmarks(const lk_face_model *model, const lk_grey *picture, const lk_face_box *box,
                            lk_point points[LK_LANDMARKS]);

/* ---- who it is ---- */

enum { LK_CHIP = 150, LK_DESCRIPTOR = 128 };

/* What the descriptor sees of a face: a crop of LK_CHIP x LK_CHIP pixels, RGB, by all landmarks; black outside of the picture. */
lk_status lk_face_chip(int width, int height, const uint8_t *rgb, const lk_point landmarks[LK_LANDMARKS], uint8_t *chip);

/* dlib's residual network (dlib_face_recognition_resnet_model_v1.dat; He et al. 2016, trained with a metric loss): numbers that
 * lie close to each other for photos of one person, mostly within 0.6. A missing or foreign file is LK_BAD_DATA. 22 MB, and as
 * much for each describer; one describer per thread. */
typedef struct lk_describer lk_describer;
lk_status lk_describer_open(const char *path, lk_describer **out);
lk_status lk_describer_copy(const lk_describer *describer, lk_describer **out);
void lk_describer_free(lk_describer *describer);
lk_status lk_describe(lk_describer *describer, const uint8_t *chip, float descriptor[LK_DESCRIPTOR]);

#endif
