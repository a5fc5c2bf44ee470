/* Scenes: everything about a picture that is not the face: light, background, how the head is turned, the camera's faults. */
#ifndef LK_DATASET_CLIENT_SCENE_H
#define LK_DATASET_CLIENT_SCENE_H

#include "dataset/client/bake.h"
#include "dataset/client/vector.h"

#include <stdint.h>

enum { LK_MOST_BLOBS = 6 };

typedef struct lk_blob {
    float x, y, radius; /* of the picture's edge */
    float softness;     /* 0 hard .. 1 */
    lk_vec3 colour;
} lk_blob;

typedef struct lk_scene {
    float yaw, pitch;                    /* radians; positive turns to the viewer's right, and up */
    lk_vec3 key_direction, key_colour;   /* the main light */
    lk_vec3 fill_direction, fill_colour; /* a weaker one from the other side */
    lk_vec3 sky, ground;                 /* light from all around, above and below */
    /* Background: a gradient between two colours along a direction, noise, blobs. */
    lk_vec3 back_from, back_to;
    float back_x, back_y; /* direction of the gradient */
    float back_noise, back_noise_scale;
    int blob_count;
    lk_blob blobs[LK_MOST_BLOBS];
    /* The camera's faults, applied in this order. */
    float blur;                 /* standard deviation, of the picture's edge */
    lk_vec3 gain;               /* exposure and white balance */
    float contrast, saturation; /* 1: as it is */
    float noise;                /* standard deviation, 0..1 */
    int jpeg_quality;           /* 0: not compressed */
    uint64_t noise_seed;
} lk_scene;

lk_scene lk_scene_canonical(void);
lk_scene lk_scene_varied(uint64_t seed);

/* The background at a place in the picture, 0..1 from the top left. */
lk_vec3 lk_scene_background(const lk_scene *scene, const lk_bake *bake, float x, float y);

#endif
