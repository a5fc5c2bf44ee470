/* A face fitted to the landmarks of a photo: the continuous parameters, the expression and the pose whose landmarks, seen by the
 * client's own camera, lie where the photo's do (patent CN109902767B, paragraph 54: labels by a method of many iterations).
 *
 * The expression is fitted so that a smile does not become a shape, and then forgotten. What landmarks say nothing about stays
 * what the expectation says. Lengths are in eye distances of the crop (dataset/crop.h), whose edge is LK_CROP_EDGE of them; the
 * crop's top left corner is (0, 0), y runs down.
 */
#ifndef LK_DATASET_LABEL_FIT_H
#define LK_DATASET_LABEL_FIT_H

#include "dataset/align/detector.h"
#include "dataset/client/client.h"

enum { LK_CROP_EDGE = 4 };

/* A Gaussian over the continuous parameters, in [0,1] of their ranges. */
typedef struct lk_expectation {
    float middle[LK_MAX_CONTINUOUS], deviation[LK_MAX_CONTINUOUS];
} lk_expectation;

typedef struct lk_fit {
    float continuous[LK_MAX_CONTINUOUS]; /* [0,1], schema order */
    float expression[LK_EXPRESSIONS];
    float yaw, pitch;                            /* as in lk_scene */
    float crop_x, crop_y, crop_scale, crop_roll; /* as in lk_scene */
    lk_point landmarks[LK_LANDMARKS];            /* of the fitted face */
    double median, mean;                         /* distance between where a landmark is and where it should be seen */
    int inliers;                                 /* landmarks nearer than LK_INLIER */
} lk_fit;
#define LK_INLIER 0.1

/* By how much a landmark model sees landmarks elsewhere than they lie on the mesh (habits.h measures it). Of one coordinate of
 * one landmark: it is seen at
 *     expected + bias + yaw * (the head's yaw) + pitch * (its pitch) + gain * (true - expected),  scattering by `deviation`,
 * where `expected` is the place on the expected face in the same pose and with the same expression. Eye distances; radians. */
typedef struct lk_habit {
    float bias, yaw, pitch, gain, deviation;
} lk_habit;

typedef struct lk_habits {
    float expected[LK_MAX_CONTINUOUS]; /* the expected face */
    lk_habit of[LK_LANDMARKS][2];      /* x, y */
} lk_habits;

/* Scratch memory of one thread. Client and habits must outlive it. */
typedef struct lk_fitter lk_fitter;
lk_status lk_fitter_create(const lk_client *client, const lk_habits *habits, lk_fitter **out);
void lk_fitter_free(lk_fitter *fitter); /* NULL is fine */

/* Fits from the middle of the expectation. The same digits for the same arguments on any thread. */
lk_status lk_fit_face(lk_fitter *fitter, const lk_point target[LK_LANDMARKS], const lk_expectation *expectation, lk_fit *fit);

/* Puts pose and expression of the fit into a scene, which becomes lively. */
void lk_fit_pose(const lk_fit *fit, lk_scene *scene);

/* Distances between two sets of landmarks: median, mean, and how many are below LK_INLIER. */
void lk_landmark_distances(const lk_point a[LK_LANDMARKS], const lk_point b[LK_LANDMARKS], double *median, double *mean,
                           int *inliers);

#endif
