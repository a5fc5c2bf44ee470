/* One face being drawn: geometry, look, scene and samples. The scratch memory of a renderer; one thread. */
#ifndef LK_DATASET_CLIENT_DRAWING_H
#define LK_DATASET_CLIENT_DRAWING_H

#include "dataset/client/assets.h"
#include "dataset/client/bake.h"
#include "dataset/client/pose.h"
#include "dataset/client/raster.h"
#include "dataset/client/scene.h"
#include "dataset/client/strands.h"

/* The discrete choices as colours and styles. */
typedef struct lk_look {
    int hair, brows, beard;
    lk_vec3 skin, lips, hair_colour, brow_colour, beard_colour, iris;
    float lip_gloss, lip_paint; /* 0 bare .. 1 painted */
    float cap;                  /* how much of the scalp is painted */
} lk_look;

/* `skin` is the colour of the skin where an asset has it; NULL: the choice's. */
lk_look lk_look_of(const int choices[LK_GROUP_IDS], const lk_vec3 *skin);

typedef struct lk_sorted_triangle {
    float nearness;
    int triangle;
} lk_sorted_triangle;

/* Scratch memory in which an asset is fitted to the face; room for the largest. */
typedef struct lk_fitting {
    lk_vec3 *positions, *normals, *screen; /* turned, as those of the face */
    lk_sorted_triangle *order;
} lk_fitting;

lk_status lk_fitting_allocate(const lk_assets *assets, lk_fitting *out);
void lk_fitting_free(lk_fitting *fitting);

typedef struct lk_face {
    const lk_mesh *mesh;
    const lk_bake *bake;
    const lk_vec3 *neutral;
    lk_scene scene;
    lk_look look;
    lk_turn turn;
    lk_camera camera;
    lk_vec3 halfway;                        /* between the main light and the viewer */
    lk_vec3 *positions;                     /* [mesh->count] morphed, then turned */
    lk_vec3 *moves;                         /* [mesh->count] morphed minus neutral, not turned */
    lk_vec3 *normals;                       /* [mesh->count] turned */
    lk_vec3 *screen;                        /* [mesh->count] projected */
    lk_vec3 *outside;                       /* [mesh->count] of a hat, projected */
    lk_triangles hat;                       /* those of the skin that a hat covers; room for all */
    float age;                              /* 0 young .. 1 old */
    float teeth_front;                      /* z of the foremost tooth on the neutral face */
    const lk_asset *assets[LK_ASSET_KINDS]; /* worn in the place of the client's own; NULL: none */
    lk_fitting fitting;
    int skin_level; /* of the skin asset's texture */
    lk_raster raster;
} lk_face;

/* Light from all around on a surface of this normal. */
static inline lk_vec3 lk_ambient(const lk_scene *scene, lk_vec3 normal)
{
    return lk_vec3_mix(scene->ground, scene->sky, 0.5f + 0.5f * normal.y);
}

/* Light on a matt surface that faces `normal`, without the face's own shade. */
lk_vec3 lk_matt_light(const lk_scene *scene, lk_vec3 normal);

/* shade.c: an eye of this albedo at a point of the neutral face, with the light's reflections. */
lk_vec3 lk_light_eye(const lk_face *face, lk_vec3 at, lk_vec3 normal, lk_vec3 albedo);
/* asset_draw.c: the asset of this kind, if one is worn. */
void lk_draw_asset(lk_face *face, lk_asset_kind kind);
/* shade.c: colours every sample that the raster's triangles cover. */
void lk_shade(lk_face *face);
/* shade.c: lashes over the eyes. */
void lk_draw_lashes(lk_face *face);
/* strand_draw.c: brows, beard and hair (or its asset) in this order, then the hair's shadow on the skin. */
void lk_draw_strands(lk_face *face, const lk_strand_set *brows, const lk_strand_set *beard, const lk_strand_set *hair);

#endif
