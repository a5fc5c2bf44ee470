/* The base mesh: the head, neck and shoulders of MakeHuman's base.obj with the helper geometry that a face needs.
 *
 * Vertices outside the picture are dropped and the rest renumbered, so that a face costs 5,000 vertices and not 19,000;
 * targets, which speak in base.obj's numbers, are translated through `kept`. Immutable after loading.
 */
#ifndef LK_DATASET_CLIENT_MESH_H
#define LK_DATASET_CLIENT_MESH_H

#include "base/error.h"
#include "dataset/client/vector.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum lk_part {
    LK_PART_SKIN,
    LK_PART_LEFT_EYE,
    LK_PART_RIGHT_EYE,
    LK_PART_UPPER_LASHES,
    LK_PART_LOWER_LASHES,
    LK_PART_UPPER_TEETH,
    LK_PART_LOWER_TEETH,
    LK_PART_TONGUE,
    LK_PART_COUNT
} lk_part;

typedef struct lk_triangles {
    int count;
    uint16_t (*corners)[3];
} lk_triangles;

/* A rectangle cut from a grey UV mask of 2048 x 2048 texels, 0..255. */
typedef struct lk_mask {
    int x, y, width, height;
    uint8_t *texels;
} lk_mask;

enum { LK_UV_SIZE = 2048, LK_EYE_LANDMARKS = 6 };

typedef struct lk_mesh {
    int count;                      /* vertices kept, below 65,536 */
    int raw_count;                  /* vertices of base.obj */
    int *kept;                      /* [raw_count] new number or -1 */
    lk_vec3 *base;                  /* [count] as in base.obj: decimetres, the floor at y 0 */
    float (*uv)[2];                 /* [count] 0..1, v up */
    float *ear, *inner_mouth, *lid; /* [count] UV masks at the vertices, 0..1 */
    float *lash_tip;                /* [count] 0 at the root of a lash strip, 1 at its tip */
    lk_triangles parts[LK_PART_COUNT];
    lk_mask lips;
    uint16_t eye_landmarks[2][LK_EYE_LANDMARKS]; /* dlib's landmarks 36-41 and 42-47 as vertices */
} lk_mesh;

/* `folder` as in lk_client_open. A missing or damaged file is LK_BAD_DATA. `wanted`, if not NULL, marks vertices of base.obj that
 * are kept besides (wanted[19158]); they come last, so that all others have their usual numbers. */
lk_status lk_mesh_load(const char *folder, const uint8_t *wanted, lk_mesh **out);
void lk_mesh_free(lk_mesh *mesh);

/* The lip mask at a texture position, bilinear, 0..1. */
float lk_mesh_lip(const lk_mesh *mesh, float u, float v);

#endif
