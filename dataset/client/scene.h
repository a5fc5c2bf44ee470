/* Scenes: everything about a picture that is not the face's parameters: light, background, how the head is turned, what the face
 * does, what it wears, the camera's faults. A label never depends on it.
 */
#ifndef LK_DATASET_CLIENT_SCENE_H
#define LK_DATASET_CLIENT_SCENE_H

#include "base/random.h"
#include "dataset/client/backgrounds.h"
#include "dataset/client/bake.h"
#include "dataset/client/morph.h"
#include "dataset/client/vector.h"

#include <stdbool.h>
#include <stdint.h>

enum { LK_MOST_BLOBS = 6, LK_MOST_LOCKS = 5 };

typedef struct lk_blob {
    float x, y, radius; /* of the picture's edge */
    float softness;     /* 0 hard .. 1 */
    lk_vec3 colour;
} lk_blob;

/* What skin does besides its colour. */
typedef struct lk_complexion {
    float redness;  /* of cheeks and nose, added to what is usual */
    float blotches; /* uneven tone, share of the albedo */
    float freckles; /* 0 none .. 1 many */
    float wrinkles; /* 0 none .. 1 deep, on an old face */
    float shine;    /* added to the skin's oil */
    float lip_red;  /* natural lips: redder (above 0) or paler */
    float beard;    /* denser or thinner than the style, share */
    float noise_u, noise_v;
} lk_complexion;

typedef enum lk_glasses { LK_NO_GLASSES, LK_CLEAR_GLASSES, LK_SUN_GLASSES } lk_glasses;

/* What is worn and what is in the way. */
typedef struct lk_accessories {
    lk_glasses glasses;
    lk_vec3 frame_colour;
    float lens_width, lens_height, lens_square, frame_width, lens_drop; /* decimetres; 2 ellipse .. 8 box */
    lk_vec3 lens_colour;
    float lens_opacity, lens_glare;
    bool hat;
    float hat_brim, hat_thickness; /* its edge on the forehead, neutral y; decimetres */
    lk_vec3 hat_colour, hat_stripe;
    bool clothed;
    float neckline;
    lk_vec3 cloth_colour, cloth_stripe;
    float cloth_scale;
    int lock_count; /* strands of hair over the face */
    float lock_start[LK_MOST_LOCKS], lock_end[LK_MOST_LOCKS], lock_length[LK_MOST_LOCKS];
    bool hand;
    float hand_x, hand_y, hand_turn,
        hand_size; /* where the fingers begin and their length, of the picture's edge; radians, 0 up */
    float hand_spread, hand_curl;
    int fingers;
    bool hand_mirrored;
} lk_accessories;

typedef struct lk_scene {
    bool lively;      /* skin as complexion says; else the even skin of the other views */
    float yaw, pitch; /* radians; positive turns to the viewer's right, and down */
    float expression[LK_EXPRESSIONS];
    bool mouth_open; /* teeth and tongue are seen */
    lk_vec3 teeth;   /* their albedo */
    lk_complexion complexion;
    lk_accessories worn;
    float crop_x, crop_y, crop_scale, crop_roll; /* the crop is off by: of the edge; 1 + this; radians */
    float softness;                              /* of the main light: 1 wraps around as usual, 0 is hard */
    lk_vec3 rim_direction, rim_colour;           /* a light from behind or aside */
    lk_vec3 key_direction, key_colour;           /* the main light */
    lk_vec3 fill_direction, fill_colour;         /* a weaker one from the other side */
    lk_vec3 sky, ground;                         /* light from all around, above and below */
    /* Background: a gradient between two colours along a direction, noise, blobs. */
    lk_vec3 back_from, back_to;
    float back_x, back_y; /* direction of the gradient */
    float back_noise, back_noise_scale;
    float back_cloud, back_cloud_scale, back_cloud_x, back_cloud_y; /* texture with the spectrum of photos (1/f) */
    lk_vec3 back_cloud_tint;
    const lk_backgrounds *backgrounds; /* pictures of the user's instead; NULL: none */
    int back_picture;                  /* which of them */
    float back_left, back_top, back_zoom;
    bool back_flip;
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

/* Does a hat cover this point of the neutral face? Its edge runs down towards the neck. */
static inline bool lk_under_hat(const lk_accessories *worn, lk_vec3 neutral)
{
    return worn->hat && neutral.y > worn->hat_brim + 0.22f * (neutral.z - 0.2f);
}

lk_scene lk_scene_canonical(void);
lk_scene lk_scene_varied(uint64_t seed);
/* As cameras meet people: expressions, turned heads, any light and camera, accessories, a crop that is a little off.
 * (scene_photo.c). `backgrounds` may be NULL and must outlive the scene. */
lk_scene lk_scene_photo(uint64_t seed, const lk_backgrounds *backgrounds);

/* Draws that both views use. */
lk_vec3 lk_scene_random_colour(lk_random *random);
lk_vec3 lk_scene_random_white(lk_random *random, float strength, float spread);
lk_vec3 lk_scene_random_direction(lk_random *random, float most_aside, float lowest, float highest); /* degrees */
void lk_scene_random_background(lk_scene *scene, lk_random *random);

/* The background at a place in the picture, 0..1 from the top left. */
lk_vec3 lk_scene_background(const lk_scene *scene, const lk_bake *bake, float x, float y);

#endif
