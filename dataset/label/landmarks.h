/* Where dlib's 68 landmarks lie on the client's face: a vertex, or a point in a triangle, each. The contour (0 to 16) is where
 * the face ends for the viewer, so its points move over the mesh as the head turns: each is looked for on a strip of
 * vertices that runs from the jaw's line to the cheek.
 */
#ifndef LK_DATASET_LABEL_LANDMARKS_H
#define LK_DATASET_LABEL_LANDMARKS_H

#include "dataset/align/detector.h"
#include "dataset/client/raster.h"

enum { LK_CONTOUR = 17, LK_STRIP = 48 };

typedef struct lk_mesh_landmark {
    uint16_t vertices[3];
    float weights[3];
} lk_mesh_landmark;

typedef struct lk_contour_strip {
    int count;
    uint16_t vertices[LK_STRIP];
    float out_x, out_y; /* which way is out of the face, on the plane of a frontal view, y up */
} lk_contour_strip;

typedef struct lk_mesh_landmarks {
    lk_mesh_landmark points[LK_LANDMARKS];
    lk_contour_strip contour[LK_CONTOUR];
} lk_mesh_landmarks;

/* `neutral` [mesh->count] as lk_morph_neutral. LK_BAD_DATA: the mesh is not MakeHuman's. */
lk_status lk_mesh_landmarks_find(const lk_mesh *mesh, const lk_vec3 *neutral, lk_mesh_landmarks *out);

/* The landmarks of a face whose vertices were turned already, in the camera's samples. */
void lk_mesh_landmarks_project(const lk_mesh_landmarks *landmarks, const lk_vec3 *turned, const lk_camera *camera,
                               lk_point out[LK_LANDMARKS]);

#endif
