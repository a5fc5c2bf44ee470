/* What painting needs to know about the neutral face, worked out once: normals, ambient occlusion, where skin flushes and
 * darkens, where the eyeballs are, and a texture of noise. Immutable after making.
 */
#ifndef LK_DATASET_CLIENT_BAKE_H
#define LK_DATASET_CLIENT_BAKE_H

#include "dataset/client/mesh.h"

typedef struct lk_skin_vertex {
    float occlusion;   /* 1 open to the sky .. 0 buried */
    float flush;       /* redder skin: cheeks, nose, ears */
    float dark;        /* darker skin: lids, below the eyes */
    float hairline;    /* as lk_hairline */
    float inner_mouth; /* 1 inside the mouth */
} lk_skin_vertex;

typedef struct lk_bake {
    lk_vec3 *normals;      /* [mesh->count] */
    lk_skin_vertex *skin;  /* [mesh->count] */
    lk_vec3 eye_centre[2]; /* of LK_PART_LEFT_EYE and LK_PART_RIGHT_EYE */
    float eye_radius;
    float *noise; /* LK_NOISE_SIZE squared, about -1.5..1.5, tiles */
    float *cloud; /* the same with slow changes strongest: amplitude 1/f, as in photos */
} lk_bake;

enum { LK_NOISE_SIZE = 256 };

lk_status lk_bake_make(const lk_mesh *mesh, const lk_vec3 *neutral, int threads, lk_bake *out);
void lk_bake_free(lk_bake *bake);

/* Vertex normals of all parts at `positions`; lashes count too. */
void lk_mesh_normals(const lk_mesh *mesh, const lk_vec3 *positions, lk_vec3 *normals);

/* Noise at a position in texels. */
static inline float lk_noise(const lk_bake *bake, float u, float v)
{
    int x = (int)floorf(u) & (LK_NOISE_SIZE - 1), y = (int)floorf(v) & (LK_NOISE_SIZE - 1);
    return bake->noise[y * LK_NOISE_SIZE + x];
}

/* The cloud between texels. */
static inline float lk_cloud(const lk_bake *bake, float u, float v)
{
    float i = floorf(u), j = floorf(v), s = u - i, t = v - j;
    int x = (int)i & (LK_NOISE_SIZE - 1), y = (int)j & (LK_NOISE_SIZE - 1);
    int right = (x + 1) & (LK_NOISE_SIZE - 1), below = (y + 1) & (LK_NOISE_SIZE - 1);
    const float *upper = bake->cloud + y * LK_NOISE_SIZE, *lower = bake->cloud + below * LK_NOISE_SIZE;
    return (upper[x] * (1 - s) + upper[right] * s) * (1 - t) + (lower[x] * (1 - s) + lower[right] * s) * t;
}

#endif
