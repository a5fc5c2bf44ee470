/* Alignment: a photo in, face crops with the eyes at their fixed places out (patent CN109902767B, paragraph 79; the places are
 * dataset/crop.h).
 *
 * Faces are looked for in a small copy of the photo first and in larger ones only while none is found, so the largest faces come
 * cheapest. The landmarks are then placed again in an upright view of normal scale, until the eyes rest: so the crop depends
 * little on how the face was turned and scaled in the photo and on where the detector put its box.
 */
#ifndef LK_DATASET_ALIGN_ALIGN_H
#define LK_DATASET_ALIGN_ALIGN_H

#include "base/error.h"
#include "dataset/image.h"
#include "dataset/align/detector.h"
#include "dataset/align/warp.h"

/* What is done about several faces: only the largest near the middle is taken; every face is taken; the picture is
 * rejected; everything stops with an error. */
typedef enum lk_face_choice { LK_FACE_CENTRAL, LK_FACE_ALL, LK_FACE_ONE, LK_FACE_ERROR } lk_face_choice;

typedef struct lk_align_options {
    int size; /* edge of the crop in pixels */
    lk_face_choice faces;
    double max_enlarge; /* "too small": a crop pixel may show no less than 1 / max_enlarge photo pixels */
    double max_turn;    /* "turned away": degrees between the face's axis and the camera; roll is corrected and does not count */
    double min_sharpness; /* "blurred": see lk_sharpness */
    double max_outside;   /* "cut off": share of the crop that lies outside the photo and is its reflection */
} lk_align_options;

/* clang-format off */
#define LK_ALIGN_DEFAULTS                                                                                                      \
    {.size = 128,                                                                                                              \
     .faces = LK_FACE_CENTRAL,                                                                                                 \
     .max_enlarge = 2.0,                                                                                                       \
     .max_turn = 40.0,                                                                                                         \
     .min_sharpness = 0.015,                                                                                                   \
     .max_outside = 0.25}
/* clang-format on */

typedef struct lk_aligned {
    lk_face_box box;                  /* in the photo, upright only roughly */
    lk_point landmarks[LK_LANDMARKS]; /* in the photo */
    lk_similarity frame;              /* crop pixels to photo pixels */
    double enlarge, turn, roll, sharpness, outside;
    const char *rejected; /* NULL, or the rule that refuses the face: "too small", "turned away", "cut off", "blurred" */
    uint8_t *crop;        /* size * size * 3, NULL where rejected before it was drawn; lk_aligned_free */
} lk_aligned;

/* One per thread; `model` must outlive it. */
typedef struct lk_aligner lk_aligner;
lk_status lk_aligner_create(const lk_face_model *model, const lk_align_options *options, lk_aligner **out);
void lk_aligner_free(lk_aligner *aligner);

/* Fills faces[0..*count-1] with the faces of `photo` (EXIF already obeyed) that the choice asks for, the best first. *rejected
 * is NULL or a rule about the whole picture: "no face", "several faces". LK_FACE_ERROR makes several faces LK_BAD_DATA. */
lk_status lk_align(lk_aligner *aligner, const lk_image *photo, lk_aligned faces[LK_MAX_FACES], int *count, const char **rejected);
/* The landmarks, in pixels of `picture`, of a face that is known to stand at `frame`, as lk_align places them in the end: the
 * mean over a few boxes, no detector asked. `frame` NULL: `picture` is a crop, the eyes about at their places. */
lk_status lk_align_landmarks(lk_aligner *aligner, const lk_image *picture, const lk_similarity *frame,
                             lk_point landmarks[LK_LANDMARKS]);
/* What decoding, turning and looking for faces take together, in bytes a pixel of the photo; most are the detector's pyramid. */
enum { LK_ALIGNING_COST = 16 };
void lk_aligned_free(lk_aligned *faces, int count);

/* The centres of the two eyes: means of landmarks 36-41 and 42-47. */
void lk_eye_centres(const lk_point landmarks[LK_LANDMARKS], lk_point *left, lk_point *right);

/* How far apart the landmarks of two faces are when their eyes lie on each other: the mean over the landmarks, in eye
 * distances. */
double lk_landmark_distance(const lk_point a[LK_LANDMARKS], const lk_point b[LK_LANDMARKS]);

/* The map from a crop of `size` with its eyes at their places to the picture in which they are at left and right. */
lk_similarity lk_crop_frame(lk_point left, lk_point right, int size);

/* How sharp a crop is: the variance of its Laplacian over its own variance, both of the luma shrunk to at most 128 pixels, so
 * neither contrast nor crop size matters. Sharp photos have 0.05 to 0.4; details twice as coarse as the crop give about 0.02. */
lk_status lk_sharpness(const uint8_t *crop, int size, double *out);

/* Degrees between the camera and the axis of the face: the angles of a rigid face of six points seen by a scaled orthographic
 * camera, from the nose tip, chin, outer corners of the eyes and of the mouth. */
double lk_face_turn(const lk_point landmarks[LK_LANDMARKS]);

#endif
