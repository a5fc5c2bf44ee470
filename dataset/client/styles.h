/* The discrete choices: what they are called and what they look like.
 *
 * Shapes are functions of a point on the neutral face (the space of vector.h), so that they follow every morph.
 */
#ifndef LK_DATASET_CLIENT_STYLES_H
#define LK_DATASET_CLIENT_STYLES_H

#include "base/random.h"
#include "dataset/client/vector.h"

#include <stdbool.h>

typedef enum lk_group_id {
    LK_HAIR,
    LK_HAIR_COLOUR,
    LK_BROWS,
    LK_BEARD,
    LK_LIPS,
    LK_SKIN,
    LK_EYES,
    LK_LASHES,
    LK_GROUP_IDS
} lk_group_id;

typedef enum lk_hair_number {
    LK_HAIR_BALD,
    LK_HAIR_BUZZ,
    LK_HAIR_SHORT,
    LK_HAIR_SIDE_PART,
    LK_HAIR_FRINGE,
    LK_HAIR_BOB,
    LK_HAIR_LONG,
    LK_HAIR_MOHAWK,
    LK_HAIR_BUN,
    LK_HAIR_CURLY,
    LK_HAIR_AFRO,
    LK_HAIR_SLICK,
    LK_HAIR_SPIKY,
    LK_HAIR_CENTRE_PART,
    LK_HAIR_STYLES
} lk_hair_number;

typedef enum lk_beard_number {
    LK_BEARD_NONE,
    LK_BEARD_STUBBLE,
    LK_BEARD_MOUSTACHE,
    LK_BEARD_GOATEE,
    LK_BEARD_FULL,
    LK_BEARD_CHIN_STRAP,
    LK_BEARD_STYLES
} lk_beard_number;

enum { LK_BROW_STYLES = 8, LK_MOST_CHOICES = 14 };

typedef struct lk_group_choices {
    const char *group;
    int count;
    int usual; /* worn where a schema lacks the group */
    const char *choices[LK_MOST_CHOICES];
} lk_group_choices;
extern const lk_group_choices LK_GROUPS[LK_GROUP_IDS];

/* ---- colours, in linear light ---- */

lk_vec3 lk_srgb(float red, float green, float blue); /* from sRGB 0..255 */
lk_vec3 lk_hair_colour(int choice);
lk_vec3 lk_skin_colour(int choice);
lk_vec3 lk_eye_colour(int choice);
/* *cover: how much of the lips' own colour is hidden, 0..1. */
lk_vec3 lk_lip_colour(int choice, float *cover);

/* ---- hair ---- */

/* How far inside the scalp's hairline a point is; below 0 is face. */
float lk_hairline(lk_vec3 at);

typedef struct lk_hair_style {
    int strands;
    float length, spread; /* decimetres; spread up and down by this much */
    float step;           /* from point to point */
    float lift;           /* how far the top layer stands off the head */
    float rise;           /* how steeply strands leave the skin */
    float gravity, stiffness, comb;
    float hold;        /* how far along the strand the comb reaches, per decimetre: 0 is all the way */
    float curl, turns; /* radius; radians a decimetre */
    bool locks;        /* neighbours curl together */
    float width;
    float cap;                                 /* how much of the scalp under it is painted as hair */
    float cling;                               /* how far strands may leave the head beyond the lift; 0: freely */
    lk_vec3 (*flow)(lk_vec3 root, lk_vec3 at); /* the direction it is combed to; NULL: none */
    float (*trim)(lk_vec3 root, float length, lk_random *random); /* the strand's length; 0: no hair here; NULL: as it is */
    bool (*ends)(lk_vec3 root, lk_vec3 at, lk_random *random);    /* the scissors; NULL: none */
} lk_hair_style;
extern const lk_hair_style LK_HAIR_TABLE[LK_HAIR_STYLES];

/* Where the bun sits. */
extern const lk_vec3 LK_BUN_CENTRE;
extern const float LK_BUN_RADIUS;

/* ---- brows and beards ---- */

typedef struct lk_brow_style {
    float inner, outer;       /* from the middle of the face */
    float height, arch, peak; /* of the inner end; of the arch; where along it stands highest, 0..1 */
    float tilt;               /* outer end above the inner one */
    float thick, thin;        /* half thickness at the inner and outer end */
    float density, hair;      /* relative number of hairs; their length */
} lk_brow_style;
extern const lk_brow_style LK_BROW_TABLE[LK_BROW_STYLES];

/* Above 0 inside the brow, 1 on its spine; *along runs from 0 at the inner to 1 at the outer end. */
float lk_brow_cover(const lk_brow_style *style, lk_vec3 at, float *along);

/* Where the neutral face has its mouth and chin. */
extern const float LK_MOUTH_Y, LK_CHIN_Y;

typedef struct lk_beard_style {
    int strands;
    float length, width;
    float paint; /* how much of the skin below is painted */
} lk_beard_style;
extern const lk_beard_style LK_BEARD_TABLE[LK_BEARD_STYLES];

/* 0..1 */
float lk_beard_cover(int style, lk_vec3 at);
/* Is this part of a beard above the mouth? */
bool lk_is_moustache(lk_vec3 at);

#endif
