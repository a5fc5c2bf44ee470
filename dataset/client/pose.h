/* Pose: how a scene turns the head and where its camera puts the face in the picture. Who draws a face and who fits one to a
 * photo (dataset/label/) share it, so that a fitted pose is drawn where it was fitted.
 */
#ifndef LK_DATASET_CLIENT_POSE_H
#define LK_DATASET_CLIENT_POSE_H

#include "dataset/client/raster.h"
#include "dataset/client/scene.h"

/* A turn of the head around the point between the eyes. */
typedef struct lk_turn {
    lk_vec3 x, y, z; /* rows */
} lk_turn;

static inline lk_vec3 lk_turn_apply(const lk_turn *turn, lk_vec3 p)
{
    return lk_v3(lk_vec3_dot(turn->x, p), lk_vec3_dot(turn->y, p), lk_vec3_dot(turn->z, p));
}

/* Radians; positive turns to the viewer's right, and down. */
lk_turn lk_turn_of(float yaw, float pitch);

/* The camera of a scene for a picture of `size` samples: on the eyes of `turned` [mesh->count], then off by the crop's error
 * where the scene is lively. */
lk_camera lk_scene_camera(const lk_scene *scene, const lk_mesh *mesh, const lk_vec3 *turned, int size);

#endif
